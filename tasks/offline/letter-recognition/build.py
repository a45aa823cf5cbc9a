"""Build offline/letter-recognition: capital letters in twenty typefaces, from sixteen shape measures."""

from __future__ import annotations

import sys
from itertools import combinations, product
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

import build_board as board
import build_common as common
import build_models as models
import numpy as np
import pandas as pd
from sklearn.base import BaseEstimator
from sklearn.calibration import CalibratedClassifierCV
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis, QuadraticDiscriminantAnalysis
from sklearn.ensemble import ExtraTreesClassifier, HistGradientBoostingClassifier, RandomForestClassifier
from sklearn.kernel_approximation import Nystroem
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.neighbors import KNeighborsClassifier, NearestCentroid, NeighborhoodComponentsAnalysis
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import PolynomialFeatures, StandardScaler
from sklearn.svm import SVC, LinearSVC

FOLDER = Path(__file__).parent
TARGET = "letter"
SEED = 1991
TRAIN_ROWS, TEST_ROWS = 2000, 1200
NAMES = {
    "lettr": TARGET,
    "x.box": "box_x",
    "y.box": "box_y",
    "width": "box_width",
    "high": "box_height",
    "onpix": "pixels_on",
    "x.bar": "mean_x",
    "y.bar": "mean_y",
    "x2bar": "variance_x",
    "y2bar": "variance_y",
    "xybar": "correlation_xy",
    "x2ybr": "mean_xxy",
    "xy2br": "mean_xyy",
    "x.ege": "edges_x",
    "xegvy": "edges_x_by_y",
    "y.ege": "edges_y",
    "yegvx": "edges_y_by_x",
}


def build_data() -> None:
    """Write the data: a random sample of the images, those with equal measures kept once."""
    deb = common.fetch_deb(
        "r-cran-mlbench",
        "2.1-3-1",
        sha256="2f1127f7b5e7d08703b13b52ef1976a0c355a7660d6ac575e29b87b13921bc06",
    )
    table = common.read_rda(common.read_deb_member(deb, "LetterRecognition.rda"))["LetterRecognition"]
    table = table.rename(columns=NAMES)
    features = [column for column in NAMES.values() if column != TARGET]
    table[features] = table[features].astype(int)
    table[TARGET] = table[TARGET].astype(str)
    table = common.drop_near_duplicates(table, features)
    train, test = common.random_split(table, train_rows=TRAIN_ROWS, test_rows=TEST_ROWS, seed=SEED)
    common.write_table_task(FOLDER, train, test, target=TARGET, sample_value="A", seed=SEED)


def add_products(train: pd.DataFrame, test: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Add ratios, differences and a crude shape of the box."""

    def add(table: pd.DataFrame) -> pd.DataFrame:
        return table.assign(
            aspect=(table["box_width"] + 1) / (table["box_height"] + 1),
            fill=(table["pixels_on"] + 1) / ((table["box_width"] + 1) * (table["box_height"] + 1)),
            edge_ratio=(table["edges_x"] + 1) / (table["edges_y"] + 1),
            edge_sum=table["edges_x"] + table["edges_y"],
            variance_ratio=(table["variance_x"] + 1) / (table["variance_y"] + 1),
            skew=table["mean_xxy"] - table["mean_xyy"],
            lean=table["correlation_xy"] * (table["mean_x"] - table["mean_y"]),
            tilt=table["edges_x_by_y"] - table["edges_y_by_x"],
        )

    return add(train), add(test)


def add_differences(train: pd.DataFrame, test: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Add the difference of every two measures."""
    pairs = list(combinations(train.columns, 2))

    def add(table: pd.DataFrame) -> pd.DataFrame:
        differences = {f"{left}-{right}": table[left] - table[right] for left, right in pairs}
        return pd.concat([table, pd.DataFrame(differences, index=table.index)], axis=1)

    return add(train), add(test)


def box_only(train: pd.DataFrame, test: pd.DataFrame) -> tuple[np.ndarray, np.ndarray]:
    """Only the position and size of the box."""
    columns = ["box_x", "box_y", "box_width", "box_height", "pixels_on"]
    return train[columns].to_numpy(), test[columns].to_numpy()


def neighbours() -> dict[str, BaseEstimator]:
    """Nearest neighbours and centroids."""
    return {
        "centroid": models.scaled(NearestCentroid()),
        "knn-1": KNeighborsClassifier(1),
        "knn-1-scaled": models.scaled(KNeighborsClassifier(1)),
        "knn-3-distance": models.scaled(KNeighborsClassifier(3, weights="distance")),
        "knn-4-manhattan": models.scaled(KNeighborsClassifier(4, p=1, weights="distance")),
        "knn-10": KNeighborsClassifier(10),
        "knn-50": models.scaled(KNeighborsClassifier(50)),
    }


def kernels() -> dict[str, BaseEstimator]:
    """Support vector machines and networks."""
    network = {"early_stopping": False, "random_state": models.SEED}
    return {
        "linear-svm": models.scaled(LinearSVC(C=0.3, random_state=models.SEED)),
        "svc-unscaled": SVC(),
        "svc-1": models.scaled(SVC()),
        "svc-10": models.scaled(SVC(C=10.0)),
        "svc-30-narrow": models.scaled(SVC(C=30.0, gamma=0.12)),
        "svc-cubic": models.scaled(SVC(C=10.0, kernel="poly", degree=3, coef0=1.0)),
        "network-16": models.scaled(MLPClassifier(hidden_layer_sizes=(16,), max_iter=60, **network)),
        "network-100": models.scaled(MLPClassifier(hidden_layer_sizes=(100,), max_iter=120, **network)),
        "network-200": models.scaled(
            MLPClassifier(hidden_layer_sizes=(200,), alpha=0.03, max_iter=150, **network)
        ),
    }


def quadratic() -> dict[str, BaseEstimator]:
    """Linear models on all products of two measures."""
    products = [StandardScaler(), PolynomialFeatures(2, include_bias=False), StandardScaler()]
    return {
        "quadratic logistic-0.1": make_pipeline(*products, LogisticRegression(C=0.1, max_iter=150)),
        "quadratic logistic-2": make_pipeline(*products, LogisticRegression(C=2.0, max_iter=150)),
        "quadratic lda": make_pipeline(*products, LinearDiscriminantAnalysis(solver="lsqr", shrinkage=0.05)),
        "qda-0.02": QuadraticDiscriminantAnalysis(reg_param=0.02),
        "qda-0.3": QuadraticDiscriminantAnalysis(reg_param=0.3),
    }


def calibrated(model: BaseEstimator) -> BaseEstimator:
    """Give a support vector machine probabilities, by five-fold cross-validation."""
    return models.scaled(CalibratedClassifierCV(model, ensemble=False))


def tuned_kernels() -> dict[str, BaseEstimator]:
    """Support vector machines over a grid, one tuned by cross-validation, and kernels of other kinds."""
    grid = {"svc__C": [3.0, 10.0, 30.0], "svc__gamma": [0.06, 0.12, 0.18]}
    zoo = {
        f"svc-{c}-{gamma}": models.scaled(SVC(C=c, gamma=gamma))
        for c, gamma in product((5, 50), (0.09, 0.15, 0.22))
    }
    return {
        **zoo,
        "svc-tuned": GridSearchCV(make_pipeline(StandardScaler(), SVC()), grid, cv=3),
        "nystroem logistic": make_pipeline(
            StandardScaler(),
            Nystroem(gamma=0.08, n_components=600, random_state=models.SEED),
            LogisticRegression(C=100.0, max_iter=100),
        ),
    }


def learned_metrics() -> dict[str, BaseEstimator]:
    """Neighbours and kernels in a space learnt from the labels."""
    learnt = NeighborhoodComponentsAnalysis(n_components=12, max_iter=40, random_state=models.SEED)
    discriminants = LinearDiscriminantAnalysis(n_components=14)
    return {
        "nca knn-1": make_pipeline(StandardScaler(), learnt, KNeighborsClassifier(1)),
        "nca knn-5": make_pipeline(StandardScaler(), learnt, KNeighborsClassifier(5, weights="distance")),
        "nca svc-10": make_pipeline(StandardScaler(), learnt, SVC(C=10.0, gamma=0.02)),
        "lda knn-5": make_pipeline(discriminants, KNeighborsClassifier(5, weights="distance")),
        "lda svc-10": make_pipeline(discriminants, StandardScaler(), SVC(C=10.0, gamma=0.1)),
    }


def big_forests() -> dict[str, BaseEstimator]:
    """Extremely randomised trees that look at more measures at each split."""
    return {
        "extra-trees": ExtraTreesClassifier(200, random_state=models.SEED),
        "extra-trees-wide": ExtraTreesClassifier(200, max_features=0.4, random_state=models.SEED),
        "extra-trees-wide-bootstrap": ExtraTreesClassifier(
            200, max_features=0.4, bootstrap=True, random_state=models.SEED
        ),
        "forest-wide": RandomForestClassifier(120, max_features=0.2, random_state=models.SEED),
    }


def trees() -> dict[str, BaseEstimator]:
    """Forests of several sizes, and boosting kept small because every round grows 26 trees."""
    return {
        "forest-3": RandomForestClassifier(3, random_state=models.SEED),
        "forest-300-sqrt": RandomForestClassifier(300, max_features=3, random_state=models.SEED),
        "extra-trees-400": ExtraTreesClassifier(400, max_features=6, random_state=models.SEED),
        "hist-boosting-5": HistGradientBoostingClassifier(max_iter=5, random_state=models.SEED),
        "hist-boosting-40": HistGradientBoostingClassifier(
            max_iter=40, learning_rate=0.2, max_leaf_nodes=10, random_state=models.SEED
        ),
    }


def vote_members() -> dict[str, board.Entry]:
    """Return probability models for the blends."""
    products = board.Chain(add_products, board.numbers)
    differences = board.Chain(add_differences, board.numbers)
    return {
        "learnt": board.Fit(board.numbers, learned_metrics()["nca knn-5"], "probabilities"),
        "kernel": board.Fit(board.numbers, calibrated(SVC(C=20.0, gamma=0.12)), "probabilities"),
        "kernel ratios": board.Fit(products, calibrated(SVC(C=20.0, gamma=0.06)), "probabilities"),
        "differences": board.Fit(differences, big_forests()["extra-trees-wide"], "probabilities"),
        "trees": board.Fit(products, trees()["extra-trees-400"], "probabilities"),
        "network": board.Fit(products, kernels()["network-200"], "probabilities"),
        "neighbours": board.Fit(board.numbers, neighbours()["knn-4-manhattan"], "probabilities"),
        "logistic": board.Fit(board.numbers, quadratic()["quadratic logistic-2"], "probabilities"),
        "lda": board.Fit(board.numbers, quadratic()["quadratic lda"], "probabilities"),
        "forest": board.Fit(board.numbers, models.classification_forests()["forest"], "probabilities"),
    }


def build_leaderboard() -> None:
    """Fit and score the reference teams."""
    simple, linear = models.classification_simple(), models.classification_linear()
    forests = models.classification_forests()
    single = {name: simple[name] for name in ("stump", "tree-3", "tree-7", "tree-full", "adaboost", "mlp-16")}
    products = board.Chain(add_products, board.numbers)
    sets = {
        "box": (
            box_only,
            {"naive-bayes": linear["naive-bayes"], "forest": forests["forest"], "lda": linear["lda"]},
        ),
        "raw": (
            board.numbers,
            {**models.classification_dummies(), **single, **linear, **forests, **trees()},
        ),
        "raw smooth": (board.numbers, {**neighbours(), **kernels(), **quadratic()}),
        "ratios": (products, {**forests, **kernels(), **big_forests(), "logistic-1": linear["logistic-1"]}),
        "tuned": (board.numbers, {**tuned_kernels(), **learned_metrics()}),
        "tuned ratios": (products, learned_metrics()),
        "differences": (board.Chain(add_differences, board.numbers), big_forests()),
    }
    entries: dict[str, board.Entry] = {}
    for name, (features, zoo) in sets.items():
        entries |= board.cross({name.strip(): features}, zoo, output="label")
    vote = vote_members()
    blends = {
        "vote forest and logistic": ("forest", "logistic"),
        "vote trees and network": ("trees", "network"),
        "vote network and neighbours": ("network", "neighbours", "lda"),
        "vote trees and kernel": ("trees", "kernel"),
        "vote differences and kernels": ("differences", "kernel", "kernel ratios"),
        "vote kernel and network": ("kernel", "network"),
        "vote learnt and trees": ("learnt", "differences"),
        "vote learnt and kernel": ("learnt", "kernel", "trees"),
        "vote best four": ("differences", "trees", "kernel", "learnt"),
        "vote everything": ("trees", "network", "neighbours", "logistic", "lda"),
    }
    entries |= {
        name: board.Blend(tuple(vote[member] for member in members), output="label")
        for name, members in blends.items()
    }
    board.build_leaderboard(FOLDER, entries, metric="accuracy", target=TARGET)


if __name__ == "__main__":
    common.main(build_data, build_leaderboard, FOLDER)
