"""A fast schema-agnostic pipeline, fitted on the host: does a task's data let anyone learn anything?

Numbers, dates, categories and images of any bundled task become one matrix for an ensemble of trees, text
one for a linear model. It is no entrant: it checks that a task works (see `mledojo_env.checks`).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from mledojo_env.metrics import Prediction

if TYPE_CHECKING:
    from pandas import DataFrame, Series

    from mledojo_env.task import Task

_DATE = re.compile(r"\d{4}-\d{2}-\d{2}([ T]\d{2}:\d{2}(:\d{2})?)?")
_UNSPACED = re.compile("[\u3040-\u30ff\u3400-\u9fff]")  # Chinese and Japanese: no blanks between words
_IMAGE_SIDE = 14  # pixels; larger images are averaged down
_MAX_WORDS = 5000
_MAX_BYTES = 500_000_000  # of a table
_SEED = 0


@dataclass(frozen=True)
class Tables:
    """The rows of a task with `train.csv`, `test.csv` and one target, answers in the order of the test."""

    task: Task

    @classmethod
    def of(cls, task: Task) -> Tables | None:
        """Return the tables of a task, or None where it is not of this simple form."""
        public = task.public_dir
        if task.metric.prediction is Prediction.TEXT:
            return None
        if any(
            (public / name).stat().st_size > _MAX_BYTES
            for name in ("train.csv", "test.csv")
            if (public / name).is_file()
        ):
            return None
        if len(task.submission.targets) != 1 or not all(
            (public / name).is_file() for name in ("train.csv", "test.csv")
        ):
            return None
        tables = cls(task)
        columns = {*task.submission.id, *task.submission.targets}
        return tables if columns <= set(tables.train) and tables.features is not None else None

    @property
    def target(self) -> str:
        """The target's column."""
        return self.task.submission.targets[0]

    @cached_property
    def train(self) -> DataFrame:
        """The training rows, target included."""
        return self._read("train.csv")

    @cached_property
    def test(self) -> DataFrame:
        """The test rows."""
        return self._read("test.csv")

    @cached_property
    def features(self) -> list[str]:
        """The columns that both tables have, ids left out."""
        hidden = {*self.task.submission.id, self.target}
        return [name for name in map(str, self.test) if name in self.train and name not in hidden]

    @cached_property
    def answers(self) -> Series:
        """The truth for each test row."""
        ids = list(self.task.submission.id)
        answers = self.task.answers().set_index(ids)[self.target]
        return answers.loc[self.test.set_index(ids).index]

    @cached_property
    def images(self) -> tuple[np.ndarray, np.ndarray] | None:
        """The images of train and test rows, shape (rows, height, width), or None."""
        paths = [self.task.public_dir / f"{part}_images.npz" for part in ("train", "test")]
        if not all(path.is_file() for path in paths):
            return None
        train, test = (np.load(path, allow_pickle=False)["images"] for path in paths)
        return train, test

    def submission(self, predictions: np.ndarray) -> DataFrame:
        """Return predictions for the test rows as a submission; whole numbers where the metric needs them."""
        if self.task.metric.prediction is Prediction.ORDINAL:
            predictions = np.rint(predictions)
        return self.test[list(self.task.submission.id)].assign(**{self.target: predictions})

    def _read(self, name: str) -> DataFrame:
        import pandas as pd

        text = dict.fromkeys(self.task.submission.id, str)
        return pd.read_csv(self.task.public_dir / name, dtype=text)


def predict(tables: Tables) -> np.ndarray:
    """Return the baseline's predictions for the test rows, shape (rows,); one core, a few seconds.

    Where there is text, a linear model of its words (of its characters, where words are not parted); else
    trees on everything there is.
    """
    from threadpoolctl import threadpool_limits

    with threadpool_limits(1):
        texts = [name for name in tables.features if is_text(tables.train[name])]
        return _predict_from_words(tables, texts) if texts else _predict_from_columns(tables)


def _predict_from_columns(tables: Tables) -> np.ndarray:
    from sklearn.ensemble import HistGradientBoostingRegressor, RandomForestClassifier

    train, test = matrix(tables)
    target = tables.train[tables.target].to_numpy()
    if predicts_classes(tables.task):  # a forest's cost does not grow with the number of classes
        forest = RandomForestClassifier(100, min_samples_leaf=2, random_state=_SEED)
        return _classes(tables.task, forest.fit(train, target), test)
    boosting = HistGradientBoostingRegressor(max_iter=60, max_leaf_nodes=15, random_state=_SEED)
    numbers = target.astype(float)
    return np.clip(boosting.fit(train, numbers).predict(test), numbers.min(), numbers.max())


def _predict_from_words(tables: Tables, columns: list[str]) -> np.ndarray:
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.linear_model import LogisticRegression, Ridge, RidgeClassifier

    texts = [
        part[columns].fillna("").astype(str).agg(" ".join, axis=1) for part in (tables.train, tables.test)
    ]
    unspaced = texts[0].str.contains(_UNSPACED).mean() > 0.5
    terms = {"analyzer": "char"} if unspaced else {"token_pattern": r"\w+"}
    words = TfidfVectorizer(sublinear_tf=True, min_df=2, max_features=_MAX_WORDS, **terms)
    train, test = words.fit_transform(texts[0]), words.transform(texts[1])
    target = tables.train[tables.target].to_numpy()
    if predicts_classes(tables.task):
        model = LogisticRegression(C=5) if predicts_probabilities(tables.task) else RidgeClassifier()
        return _classes(tables.task, model.fit(train, target), test)
    numbers = target.astype(float)
    return np.clip(Ridge().fit(train, numbers).predict(test), numbers.min(), numbers.max())


def _classes(task: Task, model: Any, test: Any) -> np.ndarray:
    """Return what a fitted classifier submits: labels, or the probability of the second class."""
    return np.asarray(
        model.predict_proba(test)[:, 1] if predicts_probabilities(task) else model.predict(test)
    )


def predicts_classes(task: Task) -> bool:
    """Whether the target is a class, submitted as a label or a probability."""
    return predicts_probabilities(task) or task.metric.prediction is Prediction.LABEL


def predicts_probabilities(task: Task) -> bool:
    """Whether a probability is submitted."""
    return task.submission.value == "probability" or task.metric.prediction is Prediction.PROBABILITY


def matrix(tables: Tables) -> tuple[np.ndarray, np.ndarray]:
    """Return features of train and test rows, shape (rows, features) each; NaN where a value is missing.

    Text is left out.
    """
    names = [name for name in tables.features if not is_text(tables.train[name])]
    blocks = [_encode(tables.train[name], tables.test[name]) for name in names]
    if tables.images is not None:
        blocks.append((_pixels(tables.images[0]), _pixels(tables.images[1])))
    if not blocks:
        return np.zeros((len(tables.train), 1)), np.zeros((len(tables.test), 1))
    return np.hstack([block[0] for block in blocks]), np.hstack([block[1] for block in blocks])


def is_number(column: Series) -> bool:
    """Whether a column holds numbers (booleans included)."""
    from pandas.api import types

    return bool(types.is_numeric_dtype(column) or types.is_bool_dtype(column))


def is_text(column: Series) -> bool:
    """Whether a column holds prose: cells of four words or more, hardly any of them twice."""
    cells = column.dropna().astype(str)
    if is_number(column) or cells.empty or is_date(column):
        return False
    return bool(cells.str.count(" ").mean() >= 3 and cells.nunique() > 0.5 * len(cells))


def is_date(column: Series) -> bool:
    """Whether a column holds dates, with or without a time."""
    cells = column.dropna().astype(str)
    return not is_number(column) and not cells.empty and bool(cells.head(100).str.fullmatch(_DATE).all())


def _encode(train: Series, test: Series) -> tuple[np.ndarray, np.ndarray]:
    if is_number(train) and is_number(test):
        return train.to_numpy(float)[:, None], test.to_numpy(float)[:, None]
    if is_date(train):
        return _dates(train), _dates(test)
    # Ranked by frequency, one apart; unknown categories are below them all.
    known = {value: code for code, value in enumerate(train.astype(str).value_counts().index)}
    codes = [column.astype(str).map(known).fillna(-1).to_numpy(float)[:, None] for column in (train, test)]
    return codes[0], codes[1]


def _dates(column: Series) -> np.ndarray:
    import pandas as pd

    when = pd.to_datetime(column, errors="coerce")
    parts = [when.dt.day_of_week, when.dt.day_of_year, when.dt.hour, when.dt.month]
    days = (when - pd.Timestamp("2000-01-01")) / pd.Timedelta(days=1)
    return np.column_stack([days.to_numpy(float), *(part.to_numpy(float) for part in parts)])


def _pixels(images: np.ndarray) -> np.ndarray:
    """Return images as rows of at most `_IMAGE_SIDE` squared numbers: means over blocks."""
    pooled = images.reshape(*images.shape[:3], -1).mean(axis=3)
    for axis in (1, 2):
        side = pooled.shape[axis]
        edges = np.linspace(0, side, min(side, _IMAGE_SIDE) + 1).astype(int)[:-1]
        pooled = np.add.reduceat(pooled, edges, axis=axis) / np.diff(np.append(edges, side)).reshape(
            (-1, 1) if axis == 1 else (-1,)
        )
    return pooled.reshape(len(images), -1)
