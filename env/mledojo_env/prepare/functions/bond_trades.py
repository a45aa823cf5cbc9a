"""Benchmark bond trade prices: the latest trades of each bond, so far apart that none tells of another."""

from __future__ import annotations

import numpy as np

from mledojo_env.errors import TaskDataError
from mledojo_env.prepare import split
from mledojo_env.prepare.functions import preparation
from mledojo_env.prepare.output import Output
from mledojo_env.prepare.raw import RawFiles
from mledojo_env.prepare.tables import Table

LATE_SHARE = 0.25  # of a bond's trades, by time
SPACING = 11  # a row has the prices of the ten trades before it
TRADES = Table(file="train.csv")


@preparation
def bond_trades(raw: RawFiles, out: Output, micro: int | None) -> None:
    """Train on a bond's early trades, test on every eleventh of its late ones, leave out the others.

    A row repeats the prices of the ten trades before it, so a later trade of the same bond, in training or
    test, would have the answer. As on Kaggle, the test table does not say which bond it is.

    Raises:
        TaskDataError: If the file or a column is missing, or a time to maturity is no number.
    """
    import pandas as pd

    keys = pd.concat(list(TRADES.read(raw, ["bond_id", "time_to_maturity"])), ignore_index=True)
    years = pd.to_numeric(keys["time_to_maturity"], errors="coerce").to_numpy(dtype=float)
    if np.isnan(years).any():
        raise TaskDataError("Column 'time_to_maturity' of train.csv holds something else than numbers.")
    sides = _sides(split.codes(keys, ["bond_id"]), years)
    if micro is not None:
        sides = split.thin(sides, None, micro, np.random.default_rng(out.seed))

    answers, start = [], 0
    with out.table("train.csv") as train, out.table("test.csv") as test:
        for rows in TRADES.read(raw):
            here = sides[start : start + len(rows)]
            start += len(rows)
            train.write(rows[here == split.TRAIN])
            test.write(rows[here == split.TEST].drop(columns=["bond_id", "trade_price"]))
            answers.append(rows.loc[here == split.TEST, ["id", "trade_price", "weight"]])
    out.answers(pd.concat(answers, ignore_index=True), sample={"trade_price": 100})


def _sides(bonds: np.ndarray, years: np.ndarray) -> np.ndarray:
    """Return the side of each trade. As time goes on, the time to maturity gets less; ties keep their order.

    Args:
        bonds: Codes from 0, shape (rows,).
        years: Years to maturity, shape (rows,).
    """
    order = np.lexsort((np.arange(len(bonds)), -years, bonds))
    sizes = np.bincount(bonds)
    to_come = (np.cumsum(sizes) - 1)[bonds[order]] - np.arange(len(bonds))  # later trades of the bond
    is_late = to_come < np.floor(sizes * LATE_SHARE)[bonds[order]]
    sides = np.empty(len(bonds), dtype=np.int8)
    sides[order] = np.select(
        [~is_late, to_come % SPACING == 0], [split.TRAIN, split.TEST], default=split.LEFT_OUT
    )
    return sides
