"""Calendar, lag and profile features for the reference leaderboards of the bundled time-series tasks.

Used by build.py scripts only, never by the package.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from build_board import Data, Entry
from numpy.typing import NDArray
from pandas.tseries.holiday import USFederalHolidayCalendar
from sklearn.base import BaseEstimator, RegressorMixin
from sklearn.ensemble import HistGradientBoostingRegressor
from sklearn.linear_model import HuberRegressor, LinearRegression, Ridge
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler


def calendar(times: pd.Series) -> pd.DataFrame:
    """Return hour, weekday, weekend flag, day of year, month and days since the first row."""
    times = pd.to_datetime(times)
    return pd.DataFrame(
        {
            "hour": times.dt.hour,
            "weekday": times.dt.day_of_week,
            "weekend": (times.dt.day_of_week >= 5).astype(int),
            "day_of_year": times.dt.day_of_year,
            "month": times.dt.month,
            "elapsed_days": (times - pd.Timestamp("2000-01-01")).dt.total_seconds() / 86_400,
        },
        index=times.index,
    )


def waves(values: pd.Series, period: float, orders: int, name: str) -> pd.DataFrame:
    """Return sines and cosines of `values` with the given period, `orders` of each."""
    angle = 2 * np.pi * values.astype(float) / period
    columns = {}
    for order in range(1, orders + 1):
        columns[f"{name}_sin{order}"] = np.sin(order * angle)
        columns[f"{name}_cos{order}"] = np.cos(order * angle)
    return pd.DataFrame(columns, index=values.index)


def indicators(values: pd.Series, name: str) -> pd.DataFrame:
    """Return one 0/1 column for each distinct value, in sorted order."""
    return pd.get_dummies(values, prefix=name).astype(float)


def is_us_holiday(times: pd.Series, days_after: int = 0) -> pd.Series:
    """Return 1.0 where the date is `days_after` days after a federal holiday of the United States."""
    days = pd.to_datetime(times).dt.normalize() - pd.Timedelta(days=days_after)
    margin = pd.Timedelta(days=400)
    holidays = USFederalHolidayCalendar().holidays(days.min() - margin, days.max() + margin)
    return days.isin(holidays).astype(float)


def shifted(table: pd.DataFrame, columns: Sequence[str], steps: Sequence[int]) -> pd.DataFrame:
    """Return each column `steps` rows earlier (negative: later), edges filled with the nearest value."""
    parts = {f"{c}_lag{s}": table[c].shift(s).bfill().ffill() for c in columns for s in steps}
    return pd.DataFrame(parts, index=table.index)


def rolling_means(
    table: pd.DataFrame, columns: Sequence[str], windows: Sequence[int], center: bool = False
) -> pd.DataFrame:
    """Return means over the last `windows` rows (or the rows around, when centred)."""
    parts = {
        f"{c}_mean{w}": table[c].rolling(w, min_periods=1, center=center).mean()
        for c in columns
        for w in windows
    }
    return pd.DataFrame(parts, index=table.index)


# --------------------------------------------------------------------------- makers and models


@dataclass(frozen=True)
class Joined:
    """Makes features of train and test as one table in time order, so that lags cross the border."""

    make: Callable[[pd.DataFrame], pd.DataFrame]

    def __call__(
        self, train: pd.DataFrame, test: pd.DataFrame
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        features = self.make(pd.concat([train, test], ignore_index=True)).to_numpy(float)
        return features[: len(train)], features[len(train) :]


@dataclass(frozen=True)
class Repeat:
    """Repeats the last `period` training targets over the test rows (period 1: the last value)."""

    period: int

    def __call__(self, data: Data) -> NDArray[np.float64]:
        last = data.y_train[-self.period :].astype(float)
        return np.resize(last, len(data.x_test))


@dataclass(frozen=True)
class UseColumn:
    """Submits one column of test.csv as it is."""

    column: str

    def __call__(self, data: Data) -> NDArray[np.float64]:
        return data.x_test[self.column].to_numpy(float)


@dataclass(frozen=True)
class Recent:
    """Gives another entry only the last `rows` training rows."""

    rows: int
    entry: Entry

    def __call__(self, data: Data) -> NDArray[np.float64]:
        cut = replace(data, x_train=data.x_train.iloc[-self.rows :], y_train=data.y_train[-self.rows :])
        return self.entry(cut)


class ProfileRegressor(RegressorMixin, BaseEstimator):
    """Predicts the mean or median target of the training rows that share the key columns.

    Args:
        keys: Positions of the key columns in the feature matrix.
        statistic: "mean" or "median".
        prior_rows: Strength of the pull towards the overall value, in rows.
    """

    def __init__(
        self, keys: tuple[int, ...] = (0,), statistic: str = "mean", prior_rows: float = 0.0
    ) -> None:
        self.keys = keys
        self.statistic = statistic
        self.prior_rows = prior_rows

    def fit(self, features: NDArray[np.float64], target: NDArray[np.float64]) -> ProfileRegressor:
        """Learn one value for each combination of keys."""
        columns = list(range(len(self.keys)))
        table = pd.DataFrame(np.asarray(features)[:, list(self.keys)]).assign(target=np.asarray(target))
        grouped = table.groupby(columns)["target"]
        self.overall_ = float(table["target"].agg(self.statistic))
        values, rows = grouped.agg(self.statistic), grouped.size()
        pulled = (values * rows + self.prior_rows * self.overall_) / (rows + self.prior_rows)
        self.table_ = {
            key if isinstance(key, tuple) else (key,): float(value) for key, value in pulled.items()
        }
        return self

    def predict(self, features: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the learnt values, the overall one for unseen keys; shape (n,)."""
        keys = np.asarray(features)[:, list(self.keys)]
        return np.array([self.table_.get(tuple(key), self.overall_) for key in keys])


def linear_models() -> dict[str, BaseEstimator]:
    """Linear models for designs with many calendar columns."""
    return {
        "least-squares": LinearRegression(),
        "ridge-10": make_pipeline(StandardScaler(), Ridge(10.0)),
        "ridge-300": make_pipeline(StandardScaler(), Ridge(300.0)),
        "huber-10": make_pipeline(StandardScaler(), HuberRegressor(alpha=10.0, max_iter=300)),
    }


class LinearThenTrees(RegressorMixin, BaseEstimator):
    """A ridge regression that can extrapolate, then boosted trees on what it leaves over.

    Args:
        alpha: Ridge penalty on standardised inputs.
        linear_columns: How many of the first columns the ridge sees; None for all.
        rounds: Boosting rounds of the trees.
    """

    def __init__(self, alpha: float = 10.0, linear_columns: int | None = None, rounds: int = 80) -> None:
        self.alpha = alpha
        self.linear_columns = linear_columns
        self.rounds = rounds

    def fit(self, features: NDArray[np.float64], target: NDArray[np.float64]) -> LinearThenTrees:
        """Fit both stages on the same rows."""
        head = np.asarray(features)[:, : self.linear_columns]
        self.linear_ = make_pipeline(StandardScaler(), Ridge(self.alpha)).fit(head, target)
        self.trees_ = HistGradientBoostingRegressor(
            learning_rate=0.06, max_iter=self.rounds, max_leaf_nodes=12, min_samples_leaf=20, random_state=0
        ).fit(features, target - self.linear_.predict(head))
        return self

    def predict(self, features: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the sum of both stages; shape (n,)."""
        head = np.asarray(features)[:, : self.linear_columns]
        return self.linear_.predict(head) + self.trees_.predict(features)
