"""Which rows become the test set. Every choice depends on the seed alone, and on nothing but what it says."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from mledojo_env.errors import TaskDataError

if TYPE_CHECKING:
    from pandas import DataFrame, Series

TRAIN, TEST, LEFT_OUT = np.int8(0), np.int8(1), np.int8(2)


def at_random(rows: int, fraction: float, rng: np.random.Generator) -> np.ndarray:
    """Return a share of the rows as TEST, shape (rows,): rounded, at least one row on either side."""
    sides = np.full(rows, TRAIN)
    sides[rng.permutation(np.arange(rows, dtype=np.int32))[: _count(rows, fraction)]] = TEST
    return sides


def stratified(strata: np.ndarray, fraction: float, rng: np.random.Generator) -> np.ndarray:
    """Return the same share of each stratum as TEST.

    Args:
        strata: Codes from 0, shape (rows,). A stratum of a single row stays in train.
        fraction: Share of the rows.
        rng: Decides.
    """
    order = rng.permutation(len(strata))
    order = order[np.argsort(strata[order], kind="stable")]
    sizes = np.bincount(strata)
    sides = np.full(len(strata), TRAIN)
    for end, size in zip(np.cumsum(sizes), sizes, strict=True):
        if size > 1:
            sides[order[end - size : end][: _count(int(size), fraction)]] = TEST
    return sides


def whole_groups(groups: np.ndarray, fraction: float, rng: np.random.Generator) -> np.ndarray:
    """Return whole groups as TEST, drawn until they hold the share of rows (nearest, at least one group).

    Args:
        groups: Codes from 0, shape (rows,).
        fraction: Share of the rows.
        rng: Decides.

    Raises:
        TaskDataError: If there is only one group.
    """
    sizes = np.bincount(groups)
    if len(sizes) < 2:
        raise TaskDataError(f"A split by groups needs two at least; found {len(sizes)}.")
    order = rng.permutation(len(sizes))
    held = np.cumsum(sizes[order])
    drawn = int(np.abs(held - fraction * len(groups)).argmin()) + 1
    is_test = np.zeros(len(sizes), dtype=bool)
    is_test[order[: min(drawn, len(sizes) - 1)]] = True
    return np.where(is_test[groups], TEST, TRAIN)


def latest(moments: np.ndarray, fraction: float) -> np.ndarray:
    """Return the latest rows as TEST; rows of one moment are all on one side.

    Args:
        moments: Numbers that grow with time, shape (rows,).
        fraction: Share of the rows, at most.

    Raises:
        TaskDataError: If all rows are of one moment.
    """
    cut = np.sort(moments)[len(moments) - _count(len(moments), fraction) - 1]
    if cut == moments.max():  # the last moment has more rows than that
        earlier = moments[moments < cut]
        if not len(earlier):
            raise TaskDataError("A split by time needs two moments at least; found one.")
        cut = earlier.max()
    return np.where(moments > cut, TEST, TRAIN)


def cap(sides: np.ndarray, rows: int, rng: np.random.Generator) -> np.ndarray:
    """Return the sides with at most so many TEST rows, drawn at random; the others are LEFT_OUT of both."""
    test = rng.permutation(np.flatnonzero(sides == TEST))
    capped = sides.copy()
    capped[test[rows:]] = LEFT_OUT
    return capped


def thin(sides: np.ndarray, groups: np.ndarray | None, rows: int, rng: np.random.Generator) -> np.ndarray:
    """Return the sides with about so many rows left on each, the others LEFT_OUT.

    Args:
        sides: TRAIN, TEST or LEFT_OUT, shape (rows,).
        groups: Codes of what stays together, shape (rows,); None if rows stand alone.
        rows: How many to keep on each side; of groups, as many whole ones as it takes, and two at least,
            for the two parts of the answers.
        rng: Decides.
    """
    kept = np.full(len(sides), LEFT_OUT)
    units = np.arange(len(sides)) if groups is None else groups
    for side in (TRAIN, TEST):
        mine = units[sides == side]
        order = rng.permutation(np.unique(mine))
        sizes = np.bincount(mine, minlength=int(units.max(initial=0)) + 1)[order]
        enough = max(int(np.searchsorted(np.cumsum(sizes), rows)) + 1, 2)
        kept[np.isin(units, order[:enough]) & (sides == side)] = side
    return kept


def thin_evenly(
    sides: np.ndarray, strata: np.ndarray | None, rows: int, rng: np.random.Generator
) -> np.ndarray:
    """Return the sides with about so many rows left on each, and of each stratum its share, two at least.

    Args:
        sides: TRAIN, TEST or LEFT_OUT, shape (rows,).
        strata: Codes from 0, shape (rows,); None, or too many of them for so few rows: rows are drawn alike.
        rows: How many to keep on each side.
        rng: Decides.
    """
    if strata is None or 4 * (int(strata.max(initial=0)) + 1) > rows:
        return thin(sides, None, rows, rng)
    kept = np.full(len(sides), LEFT_OUT)
    for side in (TRAIN, TEST):
        places = rng.permutation(np.flatnonzero(sides == side))
        places = places[np.argsort(strata[places], kind="stable")]
        sizes = np.bincount(strata[places])
        for end, size in zip(np.cumsum(sizes), sizes, strict=True):
            share = max(round(rows * size / max(len(places), 1)), 2)
            kept[places[end - size : end][: min(share, size)]] = side
    return kept


def codes(table: DataFrame, columns: Sequence[str]) -> np.ndarray:
    """Return a code from 0 for each row, equal where all these columns are."""
    return table.groupby(list(columns), sort=True, dropna=False).ngroup().to_numpy()


def moments(column: Series, date_format: str | None = None) -> np.ndarray:
    """Return a column of numbers or dates as numbers that grow with time.

    Args:
        column: Numbers, or dates as they are usually written.
        date_format: How they are written, where that could be read otherwise: day before month.

    Raises:
        TaskDataError: If a cell is neither; names it.
    """
    import pandas as pd

    numbers = pd.to_numeric(column, errors="coerce")
    if date_format is None and numbers.notna().all():
        return numbers.to_numpy(dtype=float)
    dates = pd.to_datetime(column, errors="coerce", format=date_format or "mixed", utc=True)
    if dates.isna().any():
        cell = column[dates.isna()].iloc[0]
        raise TaskDataError(
            f"Column {column.name!r} holds {cell!r}; expected a date or a number to split by."
        )
    return dates.dt.tz_localize(None).to_numpy().astype("datetime64[ns]").astype(np.int64).astype(float)


def _count(rows: int, fraction: float) -> int:
    if rows < 2:
        raise TaskDataError(f"There are {rows} rows to split; expected two at least.")
    return min(max(round(rows * fraction), 1), rows - 1)
