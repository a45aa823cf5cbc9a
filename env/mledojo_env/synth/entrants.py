"""Ordinary entries to generated tasks: what a dummy, a linear model and a small boosting get.

They see what an agent sees, know nothing of families, and say whether tasks can be learnt and whether better
methods rank higher. No part of any leaderboard.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from mledojo_env.baseline import is_date, is_number, is_text
from mledojo_env.metrics import Prediction

if TYPE_CHECKING:
    from pandas import DataFrame, Series

    from mledojo_env.task import Task

_LOGARITHMIC = ("rmsle", "mape", "smape", "rmspe")  # metrics for which one models log(1 + y)
_BALANCED = ("balanced_accuracy", "balanced_log_loss", "f1", "matthews_corrcoef")
_MOST_LEVELS = 30  # of a category, in one-hot columns
_WORDS = 300
_SIDE = 12  # pixels; larger images are averaged down
_SEED = 0


@dataclass(frozen=True)
class Entrant:
    """A task as an entrant sees it: the two tables, the target, and everything else joined to them."""

    task: Task

    @cached_property
    def tables(self) -> dict[str, DataFrame]:
        """The public tables by file name, but for the sample submission."""
        import pandas as pd

        found = {}
        for name in self.task.public_files:
            if name.endswith(".csv") and name != "sample_submission.csv":
                found[name] = pd.read_csv(self.task.public_dir / name)
        return found

    @cached_property
    def target(self) -> str:
        """The target column, as the description names it."""
        found = re.search(r"`([^`]+)`[ |:]+\*\*target\*\*", self.task.description)
        assert found, f"{self.task.id} does not say what its target is"
        return found[1]

    @cached_property
    def names(self) -> tuple[str, str]:
        """The file names of the training and the test table."""
        key = self.task.submission.id[0]
        wanted = set(self.task.sample_submission()[key].astype(str))
        test = next(
            name
            for name, table in self.tables.items()
            if key in table and wanted == set(table[key].astype(str))
        )
        return next(name for name, table in self.tables.items() if self.target in table), test

    @property
    def train(self) -> DataFrame:
        """The training table."""
        return self.tables[self.names[0]]

    @property
    def test(self) -> DataFrame:
        """The test table."""
        return self.tables[self.names[1]]

    @cached_property
    def joined(self) -> tuple[DataFrame, DataFrame]:
        """Train and test features: columns of both, with those of other tables that share a key."""
        key, target = self.task.submission.id[0], self.target
        both = [name for name in self.test.columns if name in self.train and name not in (key, target)]
        parts = [self.train[both], self.test[both]]
        for name, table in self.tables.items():
            if name in self.names:
                continue
            on = next((column for column in table.columns if column in both), None)
            if on is None and key in table and key in self.train:
                parts = [
                    part.assign(**{key: full[key]})
                    for part, full in zip(parts, (self.train, self.test), strict=True)
                ]
                on = key
            if on is not None:
                more = _one_row_each(table, on, self.tables, both)
                parts = [part.merge(more, on=on, how="left") for part in parts]
        return parts[0].drop(columns=key, errors="ignore"), parts[1].drop(columns=key, errors="ignore")

    def features(self, *, one_hot: bool) -> tuple[np.ndarray, np.ndarray]:
        """Return train and test features, shape (rows, features) each; NaN where missing."""
        train, test = self.joined
        blocks: list[tuple[np.ndarray, np.ndarray]] = []
        texts = [name for name in train.columns if is_text(train[name])]
        for name in train.columns:
            if name not in texts:
                blocks.append(_encoded(train[name], test[name], one_hot))
        for name in texts:
            blocks.append(_bag_of_words(train[name], test[name]))
        images = self._images()
        if images is not None:
            blocks.append(images)
        return np.hstack([block[0] for block in blocks]), np.hstack([block[1] for block in blocks])

    def _images(self) -> tuple[np.ndarray, np.ndarray] | None:
        stems = [name.removesuffix(".csv") for name in self.names]
        paths = [self.task.public_dir / f"{stem}_images.npz" for stem in stems]
        if not all(path.is_file() for path in paths):
            return None
        shown = [_pixels(np.load(path, allow_pickle=False)["images"]) for path in paths]
        return shown[0], shown[1]

    def submission(self, predictions: np.ndarray) -> DataFrame:
        """Return predictions for the test rows as a submission."""
        import pandas as pd

        form = self.task.submission
        columns = predictions.reshape(len(predictions), -1)
        frame = pd.DataFrame({name: columns[:, place] for place, name in enumerate(form.targets)})
        frame.insert(0, form.id[0], self.test[form.id[0]].to_numpy())
        return frame


def enter(task: Task, method: str) -> DataFrame:
    """Return the submission of one of `METHODS`."""
    from threadpoolctl import threadpool_limits

    entrant = Entrant(task)
    with threadpool_limits(1):
        return entrant.submission(METHODS[method](entrant))


def _dummy(entrant: Entrant) -> np.ndarray:
    from sklearn.dummy import DummyClassifier, DummyRegressor

    nothing = np.zeros((len(entrant.train), 1)), np.zeros((len(entrant.test), 1))
    return _fit(entrant, nothing, DummyClassifier(strategy="prior"), DummyRegressor())


def _linear(entrant: Entrant) -> np.ndarray:
    from sklearn.impute import SimpleImputer
    from sklearn.linear_model import LogisticRegression, Ridge
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    def ready(model: Any) -> Any:
        return make_pipeline(SimpleImputer(keep_empty_features=True), StandardScaler(), model)

    classifier = ready(LogisticRegression(C=0.2, max_iter=200))
    return _fit(entrant, entrant.features(one_hot=True), classifier, ready(Ridge(alpha=10.0)))


def _boosting(entrant: Entrant) -> np.ndarray:
    from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor

    options = {"max_iter": 60, "learning_rate": 0.1, "max_leaf_nodes": 8, "min_samples_leaf": 8}
    options |= {"l2_regularization": 5.0, "early_stopping": False, "random_state": _SEED}
    return _fit(
        entrant,
        entrant.features(one_hot=False),
        HistGradientBoostingClassifier(**options),
        HistGradientBoostingRegressor(**options),
    )


METHODS: dict[str, Callable[[Entrant], np.ndarray]] = {
    "dummy": _dummy,
    "linear": _linear,
    "boosting": _boosting,
}


def _fit(
    entrant: Entrant, features: tuple[np.ndarray, np.ndarray], classifier: Any, regressor: Any
) -> np.ndarray:
    """Return what is submitted by a classifier or a regressor, whichever the metric asks for."""
    task, target = entrant.task, entrant.train[entrant.target].to_numpy()
    metric, value = task.metric, task.submission.value
    if value == "probability" or metric.prediction is Prediction.LABEL:
        model = classifier.fit(features[0], target)
        chances = np.asarray(model.predict_proba(features[1]))
        if metric.name in _BALANCED:  # where classes count alike, not rows
            chances = chances / np.array([np.mean(target == name) for name in model.classes_])
            chances = chances / chances.sum(axis=1, keepdims=True)
        if value == "label":
            return np.asarray(model.classes_[chances.argmax(axis=1)])
        if len(task.submission.targets) == 1:
            return chances[:, 1]
        place = {str(name): number for number, name in enumerate(model.classes_)}
        order = [place[_class_of(column, place)] for column in task.submission.targets]
        return chances[:, order]
    numbers = target.astype(float)
    in_logs = metric.name in _LOGARITHMIC
    low, high = float(numbers.min()), float(numbers.max())
    values = regressor.fit(features[0], np.log1p(numbers) if in_logs else numbers).predict(features[1])
    values = np.clip(np.expm1(np.clip(values, -1, 50)) if in_logs else values, low, high)
    return values.round() if metric.prediction is Prediction.ORDINAL else np.asarray(values)


def _class_of(column: str, classes: Iterable[str]) -> str:
    """Return the class that a column of probabilities is for."""
    return max((name for name in classes if column.endswith(name)), key=len)


def _one_row_each(table: DataFrame, on: str, tables: dict[str, DataFrame], known: list[str]) -> DataFrame:
    """Return a table with one row for each value of `on`: means and counts where there are several."""
    fresh = table[[on, *(name for name in table.columns if name not in known and name != on)]]
    if not fresh[on].duplicated().any():
        return fresh
    groups = fresh.groupby(on)
    numbers = [name for name in fresh.columns if name != on and is_number(fresh[name])]
    return (
        groups[numbers]
        .agg(["mean", "max"])
        .set_axis([f"{name}_{way}" for name in numbers for way in ("mean", "max")], axis="columns")
        .assign(**{f"{on}_rows": groups.size()})
        .reset_index()
    )


def _encoded(train: Series, test: Series, one_hot: bool) -> tuple[np.ndarray, np.ndarray]:
    import pandas as pd

    if is_number(train) and is_number(test):
        return train.to_numpy(float)[:, None], test.to_numpy(float)[:, None]
    if is_date(train):
        moments = [pd.to_datetime(column, errors="coerce") for column in (train, test)]
        parts = [
            np.column_stack(
                [m.dt.day_of_week, m.dt.month, m.dt.day_of_year, m.dt.hour, m.astype("int64") / 8.64e13]
            )
            for m in moments
        ]
        return parts[0].astype(float), parts[1].astype(float)
    texts = train.astype(str), test.astype(str)
    known = texts[0].value_counts().index[: _MOST_LEVELS if one_hot else 250].tolist()
    if one_hot:
        flags = [np.column_stack([(text == level).to_numpy(float) for level in known]) for text in texts]
        return flags[0], flags[1]
    codes = {level: code for code, level in enumerate(known)}
    columns = [text.map(codes).fillna(-1).to_numpy(float)[:, None] for text in texts]
    return columns[0], columns[1]


def _bag_of_words(train: Series, test: Series) -> tuple[np.ndarray, np.ndarray]:
    from sklearn.feature_extraction.text import TfidfVectorizer

    words = TfidfVectorizer(sublinear_tf=True, min_df=2, max_features=_WORDS, token_pattern=r"\w+")
    shown = words.fit_transform(train.fillna("").astype(str)), words.transform(test.fillna("").astype(str))
    return shown[0].toarray(), shown[1].toarray()


def _pixels(images: np.ndarray) -> np.ndarray:
    """Return images as rows of at most `_SIDE` squared numbers: means over blocks."""
    pooled = images.reshape(*images.shape[:3], -1).mean(axis=3)
    for axis in (1, 2):
        side = pooled.shape[axis]
        edges = np.linspace(0, side, min(side, _SIDE) + 1).astype(int)
        sizes = np.diff(edges).reshape((-1, 1) if axis == 1 else (-1,))
        pooled = np.add.reduceat(pooled, edges[:-1], axis=axis) / sizes
    return pooled.reshape(len(images), -1) / 255.0
