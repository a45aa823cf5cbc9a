"""Bike sharing demand: the last days of each month, of those that Kaggle gives counts for."""

from __future__ import annotations

import numpy as np

from mledojo_env.errors import TaskDataError
from mledojo_env.prepare import split
from mledojo_env.prepare.functions import preparation
from mledojo_env.prepare.output import Output
from mledojo_env.prepare.raw import RawFiles
from mledojo_env.prepare.tables import Table

FIRST_TEST_DAY = 16  # Kaggle gives counts for days 1 to 19 and tests on the others
COUNTS = ["casual", "registered", "count"]  # count is the sum


@preparation
def bike_rentals(raw: RawFiles, out: Output, micro: int | None) -> None:
    """Test on the hours from day 16 of each month, without any of the three counts.

    Raises:
        TaskDataError: If the file or a column is missing, or a cell of `datetime` is no date.
    """
    import pandas as pd

    table = Table(file="train.csv").whole(raw)
    missing = [name for name in ("datetime", *COUNTS) if name not in table.columns]
    if missing:
        raise TaskDataError(f"train.csv has no column {missing[0]!r}; found {', '.join(table.columns)}.")
    days = pd.to_datetime(table["datetime"], errors="coerce").dt.day
    if days.isna().any():
        raise TaskDataError(f"Column 'datetime' holds {table.loc[days.isna(), 'datetime'].iloc[0]!r}.")
    sides = np.where(days >= FIRST_TEST_DAY, split.TEST, split.TRAIN)
    if micro is not None:
        sides = split.thin(sides, None, micro, np.random.default_rng(out.seed))
    with out.table("train.csv") as writer:
        writer.write(table[sides == split.TRAIN])
    hidden = table[sides == split.TEST].reset_index(drop=True)
    with out.table("test.csv") as writer:
        writer.write(hidden.drop(columns=COUNTS))
    out.answers(hidden[["datetime", "count"]], sample={"count": 0})
