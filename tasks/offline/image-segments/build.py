"""Build offline/image-segments: surfaces in the right half of pictures, learnt from the left half."""

from __future__ import annotations

import io
import sys
from dataclasses import dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

import build_board as board
import build_common as common
import build_models as models
import numpy as np
import pandas as pd
from sklearn.base import BaseEstimator
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.ensemble import ExtraTreesClassifier, HistGradientBoostingClassifier, RandomForestClassifier
from sklearn.model_selection import GridSearchCV, GroupKFold, StratifiedKFold
from sklearn.svm import SVC

FOLDER = Path(__file__).parent
TARGET = "surface"
SEED = 1990
LAST_TRAIN_COLUMN, FIRST_TEST_COLUMN = 125, 131  # a patch is three pixels wide
NAMES = {
    "region-centroid-col": "column",
    "region-centroid-row": "row",
    "short-line-density-5": "lines_faint",
    "short-line-density-2": "lines_strong",
    "vedge-mean": "vertical_edge_mean",
    "vegde-sd": "vertical_edge_spread",
    "hedge-mean": "horizontal_edge_mean",
    "hedge-sd": "horizontal_edge_spread",
    "intensity-mean": "intensity",
    "rawred-mean": "red",
    "rawblue-mean": "blue",
    "rawgreen-mean": "green",
    "exred-mean": "excess_red",
    "exblue-mean": "excess_blue",
    "exgreen-mean": "excess_green",
    "value-mean": "value",
    "saturation-mean": "saturation",
    "hue-mean": "hue",
    "category": TARGET,
}
COLOURS = ["red", "green", "blue"]
EDGES = [name for name in NAMES.values() if "edge" in name]


def build_data() -> None:
    """Write the data: patches left of the middle train, patches right of it test."""
    wheel = common.fetch_wheel(
        "river", "0.26.1", sha256="6a11e1a9749beec3ea138efeb0205b2c5cea8d424e9deee306c8980faec01bef"
    )
    packed = common.read_zip_member(wheel, "river/datasets/segment.csv.zip")
    table = pd.read_csv(io.BytesIO(packed), compression="zip").rename(columns=NAMES)[list(NAMES.values())]
    features = [column for column in table if column != TARGET]
    table[features] = table[features].round(4)
    table["horizontal_edge_spread"] = table["horizontal_edge_spread"].clip(lower=0)  # -1.6e-8 in one row
    table = common.drop_near_duplicates(table, features)
    common.write_table_task(
        FOLDER,
        table[table["column"] <= LAST_TRAIN_COLUMN],
        table[table["column"] >= FIRST_TEST_COLUMN],
        target=TARGET,
        sample_value="path",
        seed=SEED,
    )


# --------------------------------------------------------------------------- features


def place_only(train: pd.DataFrame, test: pd.DataFrame) -> tuple[np.ndarray, np.ndarray]:
    """Only where the patch lies."""
    return board.first_columns(train, test, columns=("column", "row"))


def colour_only(train: pd.DataFrame, test: pd.DataFrame) -> tuple[np.ndarray, np.ndarray]:
    """Only the three colours."""
    return board.first_columns(train, test, columns=("red", "green", "blue"))


def without_column(train: pd.DataFrame, test: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Leave out the column, where train and test never meet."""
    return train.drop(columns="column"), test.drop(columns="column")


def without_place(train: pd.DataFrame, test: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Leave out column and row."""
    return train.drop(columns=["column", "row"]), test.drop(columns=["column", "row"])


def add_tones(train: pd.DataFrame, test: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Add colour shares, which do not change with the light, and tame the long tails of edges."""

    def add(table: pd.DataFrame) -> pd.DataFrame:
        total = table[COLOURS].sum(axis=1) + 1
        shares = {f"{name}_share": (table[name] + 1 / 3) / total for name in COLOURS}
        logs = {f"log_{name}": np.log1p(table[name]) for name in EDGES}
        hue = table["hue"]
        return table.drop(columns=["column", "value", *EDGES]).assign(
            **shares,
            **logs,
            log_intensity=np.log1p(table["intensity"]),
            hue_sin=np.sin(hue),
            hue_cos=np.cos(hue),
        )

    return add(train), add(test)


def colour_shares(train: pd.DataFrame, test: pd.DataFrame) -> tuple[np.ndarray, np.ndarray]:
    """Only the shares of the colours, and saturation."""
    toned = add_tones(train, test)
    return board.first_columns(*toned, columns=("red_share", "green_share", "blue_share", "saturation"))


# --------------------------------------------------------------------------- entries


@dataclass(frozen=True)
class Tuned:
    """A support vector machine tuned by cross-validation, over patches at random or strips of columns."""

    features: board.FeatureMaker
    by_strip: bool

    def __call__(self, data: board.Data) -> np.ndarray:
        """Return surfaces for the test rows."""
        strips = pd.qcut(data.x_train["column"], 5, labels=False)
        folds = GroupKFold(5) if self.by_strip else StratifiedKFold(5, shuffle=True, random_state=models.SEED)
        model = models.scaled(SVC(class_weight="balanced"))
        grid = {"svc__C": [0.3, 1.0, 5.0, 30.0, 200.0], "svc__gamma": [0.002, 0.01, 0.05, 0.2]}
        search = GridSearchCV(model, grid, cv=folds, scoring="balanced_accuracy")
        x_train, x_test = self.features(data.x_train, data.x_test)
        return search.fit(x_train, data.y_train, groups=strips).predict(x_test)


def balanced() -> dict[str, BaseEstimator]:
    """Models that weigh the surfaces alike, as the metric does."""
    even = {"class_weight": "balanced", "random_state": models.SEED}
    return {
        "even forest": RandomForestClassifier(150, min_samples_leaf=2, **even),
        "even extra-trees": ExtraTreesClassifier(200, max_features=0.5, **even),
        "even hist-boosting": HistGradientBoostingClassifier(
            max_iter=60, learning_rate=0.1, max_leaf_nodes=8, **even
        ),
        "even svc-10": models.scaled(SVC(C=10.0, class_weight="balanced")),
        "even svc-linear": models.scaled(SVC(C=1.0, kernel="linear", class_weight="balanced")),
        "lda-shrunk": models.scaled(LinearDiscriminantAnalysis(solver="lsqr", shrinkage=0.1)),
    }


def build_leaderboard() -> None:
    """Fit and score the reference teams."""
    linear, simple = models.classification_linear(), models.classification_simple()
    forests, smooth = models.classification_forests(), models.classification_smooth()
    boosting = {
        name: models.classification_boosting()[name] for name in ("boosting-10", "hist-boosting-slow")
    }
    few_linear = {name: linear[name] for name in ("lda", "logistic-0.1", "logistic-1")}
    few_simple = {name: simple[name] for name in ("knn-1", "knn-5", "tree-7", "tree-full")}
    few_forests = {name: forests[name] for name in ("forest", "extra-trees", "extra-trees-leaf-5")}
    no_column = board.Chain(without_column, board.numbers)
    no_place = board.Chain(without_place, board.numbers)
    tones = board.Chain(add_tones, board.numbers)
    sets: dict[str, tuple[board.FeatureMaker, dict[str, BaseEstimator]]] = {
        "place": (place_only, {**few_simple, "lda": linear["lda"]}),
        "colour": (colour_only, {**few_simple, **few_linear, "forest": forests["forest"]}),
        "raw": (
            board.numbers,
            {**models.classification_dummies(), **linear, **simple, **forests, **boosting, **smooth},
        ),
        "no column": (no_column, {**few_linear, **few_simple, **few_forests, **boosting, **balanced()}),
        "no place": (no_place, {**few_linear, **few_simple, **few_forests, **balanced()}),
        "tones": (tones, {**few_linear, **few_simple, **forests, **boosting, **balanced(), **smooth}),
        "shares": (colour_shares, {**few_linear, "forest": forests["forest"], "knn-5": simple["knn-5"]}),
    }
    entries: dict[str, board.Entry] = {}
    for name, (features, zoo) in sets.items():
        entries |= board.cross({name: features}, zoo, output="label")
    for name, features in {"raw": board.numbers, "no column": no_column, "tones": tones}.items():
        entries[f"{name} tuned over patches"] = Tuned(features, by_strip=False)
        entries[f"{name} tuned over strips"] = Tuned(features, by_strip=True)

    vote = {
        name: board.Fit(features, model, "probabilities")
        for name, (features, model) in {
            "trees": (tones, balanced()["even extra-trees"]),
            "boosting": (tones, balanced()["even hist-boosting"]),
            "forest": (no_column, balanced()["even forest"]),
            "lda": (tones, balanced()["lda-shrunk"]),
            "kernel": (tones, smooth["svc-10"]),
            "network": (tones, smooth["mlp-64"]),
        }.items()
    }
    blends = {
        "vote trees": ("trees", "forest", "boosting"),
        "vote trees and lda": ("trees", "lda"),
        "vote kernel and network": ("kernel", "network"),
        "vote boosting and network": ("boosting", "network"),
        "vote everything": tuple(vote),
    }
    entries |= {
        name: board.Blend(tuple(vote[member] for member in members), output="label")
        for name, members in blends.items()
    }
    board.build_leaderboard(FOLDER, entries, metric="balanced_accuracy", target=TARGET)


if __name__ == "__main__":
    common.main(build_data, build_leaderboard, FOLDER)
