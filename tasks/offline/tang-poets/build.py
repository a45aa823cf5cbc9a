"""Build offline/tang-poets: which of ten poets of the Tang dynasty wrote these lines?

    python tasks/offline/tang-poets/build.py            # data, reference leaderboard, checksums
    python tasks/offline/tang-poets/build.py --data     # data only

The lines come from one collection, the Complete Tang Poems of 1705. Punctuation is its editors' and cut out,
and variants of a character are written alike, because both differ from volume to volume. Poems of a cycle
are either all in train or all in test. The tarball is 85 MB.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterator
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
from sklearn.ensemble import ExtraTreesClassifier, HistGradientBoostingClassifier, RandomForestClassifier
from sklearn.linear_model import LogisticRegression, RidgeClassifier, SGDClassifier
from sklearn.naive_bayes import BernoulliNB, ComplementNB, MultinomialNB
from sklearn.neighbors import KNeighborsClassifier, NearestCentroid
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import Normalizer
from sklearn.svm import SVC, LinearSVC
from sklearn.tree import DecisionTreeClassifier

FOLDER = Path(__file__).parent
TARGET = "poet"
SEED = 713
TRAIN_ROWS, TEST_ROWS = 220, 110
"""Of each poet."""
LINES = 6
POETS = {
    "白居易": "bai_juyi",
    "杜甫": "du_fu",
    "李白": "li_bai",
    "元稹": "yuan_zhen",
    "劉禹錫": "liu_yuxi",
    "李商隱": "li_shangyin",
    "韋應物": "wei_yingwu",
    "許渾": "xu_hun",
    "孟郊": "meng_jiao",
    "齊己": "qi_ji",
}
VARIANTS = str.maketrans(
    "髪窓窻牕鴈劒劔閒烟為巖迴廻墻著裡絃蹋飃飄衆沈栖峯羣猨咏游淚荅筯効凉况决澁淸靑",
    "髮窗窗窗雁劍劍閑煙爲岩回回牆着裏弦踏飄飄眾沉棲峰群猿詠遊泪答箸效涼況決澀清青",
)


def build_data() -> None:
    """Read the poems, keep the regular ones, split by cycle and write the task's files."""
    tarball = common.fetch_npm(
        "chinese-poetry", "2.0.1", sha256="25b549e46919c3a0569db6b68ddc96956b04a484ea4518ad2bbd4f137e307e86"
    )
    files = common.read_npm_folder(tarball, "package/dist/quantangshi", ".json")
    poems = [poem for name, content in files if name.startswith("poet.tang.") for poem in json.loads(content)]
    table = pd.DataFrame(read_poems(poems), columns=["cycle", "lines", TARGET])
    table = table.drop_duplicates("lines").sample(frac=1, random_state=SEED)
    table = drop_shared_lines(table)
    cycles = np.random.default_rng(SEED).permutation(np.asarray(sorted(set(table["cycle"])), dtype=object))
    in_train = table["cycle"].isin(cycles[: round(len(cycles) * TRAIN_ROWS / (TRAIN_ROWS + TEST_ROWS))])
    parts = [
        rows.groupby(TARGET).sample(count, random_state=SEED)[["lines", TARGET]]
        for rows, count in ((table[in_train], TRAIN_ROWS), (table[~in_train], TEST_ROWS))
    ]
    common.write_table_task(FOLDER, *parts, target=TARGET, sample_value="du_fu", seed=SEED)


def read_poems(poems: list[dict]) -> Iterator[tuple[str, str, str]]:
    """Yield (cycle, opening lines, poet) of each poem in lines of five or of seven characters."""
    for poem in poems:
        if poem["author"] not in POETS:
            continue
        plain = re.sub(r"[\[（({【][^\]）)}】]*[\]）)}】]", "", "".join(poem["paragraphs"]))
        lines = re.split(r"[，。？！；：、]+", plain.translate(VARIANTS).strip("，。？！；：、"))
        sizes = {len(line) for line in lines}
        if len(lines) < 4 or sizes not in ({5}, {7}) or not re.fullmatch(r"[\u4e00-\u9fff]+", "".join(lines)):
            continue
        title = re.sub(r"[\s（(]*[其之]?[一二三四五六七八九十百]+[）)]?$", "", poem["title"].strip())
        yield f"{poem['author']} {title}", " ".join(lines[:LINES]), POETS[poem["author"]]


def drop_shared_lines(table: pd.DataFrame) -> pd.DataFrame:
    """Drop poems that share a line with an earlier one: variants, and poems claimed for two poets."""
    seen: set[str] = set()
    kept = []
    for lines in table["lines"].str.split(" "):
        kept.append(seen.isdisjoint(lines))
        seen.update(lines)
    return table[kept]


# --------------------------------------------------------------------------- reference teams


@dataclass(frozen=True)
class Form:
    """What a reader without Chinese sees: lines, their length, repeated and doubled characters."""

    def __call__(
        self, train: pd.DataFrame, test: pd.DataFrame
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return dense matrices with one column a count."""

        def measure(lines: pd.Series) -> NDArray[np.float64]:
            letters = lines.str.replace(" ", "")
            distinct = letters.map(lambda poem: len(set(poem)) / len(poem))
            columns = [lines.str.count(" "), lines.str.find(" "), distinct, lines.str.count(r"(.)\1")]
            return np.column_stack(columns)

        return measure(train["lines"]), measure(test["lines"])


@dataclass(frozen=True)
class Places:
    """Characters with the place in their line where they stand, as terms."""

    ends_only: bool = False

    def __call__(self, train: pd.DataFrame, test: pd.DataFrame) -> tuple[object, object]:
        """Return count matrices: one column a character and place."""

        def spell(poem: str) -> str:
            lines = poem.split()
            if self.ends_only:
                return " ".join(part for line in lines for part in (f"{line[0]}0", f"{line[-1]}9"))
            return " ".join(f"{letter}{place}" for line in lines for place, letter in enumerate(line))

        tables = [pd.DataFrame({"terms": rows["lines"].map(spell)}) for rows in (train, test)]
        return text.Terms("terms")(*tables)


def sets() -> dict[str, board.FeatureMaker]:
    """Ways to read a poem, from naive to rich."""

    def letters(low: int, high: int, **options: object) -> text.Terms:
        return text.Terms("lines", analyzer="char", ngrams=(low, high), **options)

    return {
        "form": Form(),
        "whole-lines": text.Terms("lines"),
        "line-ends": Places(ends_only=True),
        "places": Places(),
        "counts": letters(1, 1, counts=True),
        "top-100": letters(1, 1, counts=True, max_terms=100),
        "single": letters(1, 1, sublinear=True),
        "pairs": letters(2, 2, sublinear=True),
        "marked": text.Terms("lines", analyzer="char_wb", ngrams=(1, 2), sublinear=True),
        "frequent": text.Terms("lines", analyzer="char_wb", ngrams=(1, 2), min_count=3),
        "triples": letters(1, 3, sublinear=True),
    }


def reduced(size: int, model: BaseEstimator) -> BaseEstimator:
    return make_pipeline(TruncatedSVD(size, random_state=models.SEED), Normalizer(), model)


def build_leaderboard() -> None:
    """Fit and score the reference teams."""
    makers = sets()
    logistic = {
        "logistic-0.1": LogisticRegression(C=0.1, max_iter=200),
        "logistic-3": LogisticRegression(C=3.0, max_iter=200),
        "logistic-50": LogisticRegression(C=50.0, max_iter=200),
    }
    machines = {
        "svm-0.1": LinearSVC(C=0.1, random_state=models.SEED),
        "svm-1": LinearSVC(random_state=models.SEED),
        "ridge": RidgeClassifier(random_state=models.SEED),
        "ridge-5": RidgeClassifier(5.0, random_state=models.SEED),
        "sgd": SGDClassifier(random_state=models.SEED),
        "svm-rbf": SVC(C=5.0, random_state=models.SEED),
    }
    bayes = {
        "bernoulli-bayes": BernoulliNB(alpha=0.1),
        "multinomial-bayes": MultinomialNB(),
        "multinomial-bayes-0.1": MultinomialNB(alpha=0.1),
        "complement-bayes": ComplementNB(),
        "complement-bayes-0.1": ComplementNB(alpha=0.1),
    }
    trees = {
        "stump": DecisionTreeClassifier(max_depth=1, random_state=models.SEED),
        "tree-5": DecisionTreeClassifier(max_depth=5, random_state=models.SEED),
        "tree-full": DecisionTreeClassifier(random_state=models.SEED),
        "forest": RandomForestClassifier(100, random_state=models.SEED),
        "extra-trees": ExtraTreesClassifier(150, min_samples_leaf=2, random_state=models.SEED),
    }
    neighbours = {
        "knn-1": KNeighborsClassifier(1),
        "knn-15": KNeighborsClassifier(15),
        "centroid": NearestCentroid(),
    }
    boosting = HistGradientBoostingClassifier(max_iter=30, max_leaf_nodes=8, random_state=models.SEED)
    network = MLPClassifier(hidden_layer_sizes=(64,), alpha=0.1, max_iter=40, random_state=models.SEED)
    dense = {
        "svd-20 logistic": reduced(20, LogisticRegression(C=5.0, max_iter=200)),
        "svd-200 logistic": reduced(200, LogisticRegression(C=10.0, max_iter=200)),
        "svd-50 knn-15": reduced(50, KNeighborsClassifier(15)),
        "svd-30 boosting": reduced(30, boosting),
        "svd-200 network": reduced(200, network),
    }
    some = {**logistic, "svm-0.1": machines["svm-0.1"], "ridge-5": machines["ridge-5"]}
    few = {name: bayes[name] for name in ("multinomial-bayes", "complement-bayes")}
    on_form = {
        **models.classification_dummies(),
        **trees,
        "logistic-3": models.scaled(logistic["logistic-3"]),
    }
    zoo: dict[str, dict[str, BaseEstimator]] = {
        "form": on_form,
        "whole-lines": {**few, "logistic-3": logistic["logistic-3"], "centroid": neighbours["centroid"]},
        "line-ends": {**some, **few, "forest": trees["forest"]},
        "places": {**some, **few},
        "counts": {**bayes, **neighbours, "logistic-0.1": logistic["logistic-0.1"]},
        "top-100": {**logistic, **few, **trees, "knn-15": neighbours["knn-15"]},
        "single": {**logistic, **machines, **few, **dense, **neighbours, "forest": trees["forest"]},
        "pairs": {**some, **few, "knn-1": neighbours["knn-1"]},
        "marked": {**logistic, **machines, **bayes, **dense},
        "frequent": {**some, **few, "extra-trees": trees["extra-trees"]},
        "triples": {**some, **machines, **few},
    }
    entries: dict[str, board.Entry] = {
        name: entry
        for features, zoo_models in zoo.items()
        for name, entry in board.cross({features: makers[features]}, zoo_models, output="label").items()
    }
    votes = {
        "words": board.Fit(makers["marked"], LogisticRegression(C=20.0, max_iter=200), "probabilities"),
        "bayes": board.Fit(makers["counts"], MultinomialNB(alpha=0.3), "probabilities"),
        "complement": board.Fit(makers["marked"], ComplementNB(alpha=0.3), "probabilities"),
        "network": board.Fit(makers["single"], dense["svd-200 network"], "probabilities"),
        "places": board.Fit(makers["places"], LogisticRegression(C=5.0, max_iter=200), "probabilities"),
    }
    blends = {
        "vote words and bayes": ("words", "bayes"),
        "vote words and complement": ("words", "complement"),
        "vote words and places": ("words", "places"),
        "vote everything": ("words", "bayes", "complement", "network", "places"),
    }
    entries |= {
        name: board.Blend(tuple(votes[member] for member in members), output="label")
        for name, members in blends.items()
    }
    board.build_leaderboard(FOLDER, entries, metric="accuracy", target=TARGET)


if __name__ == "__main__":
    common.main(build_data, build_leaderboard, FOLDER)
