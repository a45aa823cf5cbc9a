"""Forecasts from the target's own past: lags that are known on every test day, averages of recent weeks.

Used by build.py scripts only, never by the package. A lag must reach back at least as far as the test is
long, or the last test rows would need targets that nobody has.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from build_board import Data, Entry
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, clone

Maker = Callable[[pd.DataFrame], pd.DataFrame]
"""Rows of train and test in time order -> features."""


@dataclass(frozen=True)
class Series:
    """Which columns say when and, where a table holds several series, of which one a row is."""

    time: str = "datetime"
    group: str | None = None

    def keys(self, rows: pd.DataFrame, days_back: int = 0) -> pd.MultiIndex:
        """Return (series, moment) for each row, the moment so many days earlier."""
        moments = pd.to_datetime(rows[self.time]) - pd.Timedelta(days=days_back)
        groups = rows[self.group] if self.group else pd.Series(0, index=rows.index)
        return pd.MultiIndex.from_arrays([groups, moments])


def past_targets(data: Data, series: Series, days: Sequence[int]) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return the target of the same hour so many days earlier, for train and test; NaN where unknown."""
    known = pd.Series(data.y_train.astype(float), index=series.keys(data.x_train))
    known = known[~known.index.duplicated()]
    tables = [
        pd.DataFrame({f"back_{d}": known.reindex(series.keys(rows, d)).to_numpy() for d in days})
        for rows in (data.x_train, data.x_test)
    ]
    return tables[0], tables[1]


def fill_rows(table: pd.DataFrame, overall: float) -> pd.DataFrame:
    """Return a table of lags with gaps filled by the other lags of the row, else by `overall`."""
    middle = table.median(axis=1).fillna(overall)
    return table.apply(lambda column: column.fillna(middle))


@dataclass(frozen=True)
class PastMean:
    """Forecasts the mean (or median) of the targets so many days earlier at the same hour.

    Days that nobody knows for a row are left out; a row without any gets the median of all of train.
    """

    series: Series
    days: tuple[int, ...]
    statistic: str = "mean"

    def __call__(self, data: Data) -> NDArray[np.float64]:
        past = past_targets(data, self.series, self.days)[1]
        return past.agg(self.statistic, axis=1).fillna(np.median(data.y_train)).to_numpy(float)


@dataclass(frozen=True)
class LastSeason:
    """Repeats the latest known value `period` days (or twice, three times ... so many) before each row."""

    series: Series
    period: int
    most: int = 10

    def __call__(self, data: Data) -> NDArray[np.float64]:
        days = [self.period * count for count in range(1, self.most + 1)]
        latest = past_targets(data, self.series, days)[1].bfill(axis=1).iloc[:, 0]
        return latest.fillna(np.median(data.y_train)).to_numpy(float)


@dataclass(frozen=True)
class LagFit:
    """A model on hand-made columns and on lags of the target.

    Args:
        make: Columns from what a row says of itself.
        model: A regressor.
        series: How to find a row's past.
        days: The lags, in days.
        relative: Whether the model learns the difference from the median of a row's lags.
    """

    make: Maker
    model: BaseEstimator
    series: Series
    days: tuple[int, ...]
    relative: bool = False

    def __call__(self, data: Data) -> NDArray[np.float64]:
        past, past_test = past_targets(data, self.series, self.days)
        has_past = past.notna().any(axis=1).to_numpy()
        overall = float(np.median(data.y_train))
        lags, lags_test = fill_rows(past, overall), fill_rows(past_test, overall)
        made = self.make(pd.concat([data.x_train, data.x_test], ignore_index=True)).to_numpy(float)
        features = np.hstack([made[: len(lags)], _with_level(lags)])[has_past]
        features_test = np.hstack([made[len(lags) :], _with_level(lags_test)])
        level, level_test = (lags.median(axis=1).to_numpy(), lags_test.median(axis=1).to_numpy())
        shift, shift_test = (level, level_test) if self.relative else (0.0 * level, 0.0 * level_test)
        target = data.y_train.astype(float) - shift
        return clone(self.model).fit(features, target[has_past]).predict(features_test) + shift_test


@dataclass(frozen=True)
class Since:
    """Gives another entry only the training rows of the last `days` days."""

    days: int
    entry: Entry
    time: str = "datetime"

    def __call__(self, data: Data) -> NDArray[np.float64]:
        moments = pd.to_datetime(data.x_train[self.time])
        recent = (moments > moments.max() - pd.Timedelta(days=self.days)).to_numpy()
        cut = replace(data, x_train=data.x_train[recent].reset_index(drop=True), y_train=data.y_train[recent])
        return self.entry(cut)


def _with_level(lags: pd.DataFrame) -> NDArray[np.float64]:
    """Return the lags with their mean, median and spread; shape (rows, lags + 3)."""
    extra = [lags.mean(axis=1), lags.median(axis=1), lags.max(axis=1) - lags.min(axis=1)]
    return np.column_stack([lags.to_numpy(float), *extra])
