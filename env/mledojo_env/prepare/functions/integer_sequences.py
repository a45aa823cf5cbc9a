"""Sequences of whole numbers, whose last one is to be told."""

from __future__ import annotations

import numpy as np

from mledojo_env.prepare import split
from mledojo_env.prepare.functions import preparation
from mledojo_env.prepare.output import Output
from mledojo_env.prepare.raw import RawFiles
from mledojo_env.prepare.tables import Table

_TEST_SHARE = 0.2


@preparation
def integer_sequences(raw: RawFiles, out: Output, micro: int | None) -> None:
    """Cut the last number off a share of Kaggle's training sequences; it stays text, as it may be huge."""
    import pandas as pd

    table = pd.concat(list(Table(file="train.csv").read(raw, ["Id", "Sequence"])), ignore_index=True)
    cut = table["Sequence"].str.extract(r"^(?P<Sequence>.+),\s*(?P<Last>-?\d+)\s*$")
    rng = np.random.default_rng(out.seed)
    can_test = cut["Last"].notna().to_numpy()  # not those of a single number
    sides = np.full(len(table), split.TRAIN)
    sides[can_test] = split.at_random(int(can_test.sum()), _TEST_SHARE, rng)
    if micro is not None:
        sides = split.thin(sides, None, micro, rng)
    test = cut[sides == split.TEST].assign(Id=table["Id"])
    with out.table("train.csv") as writer:
        writer.write(table[sides == split.TRAIN])
    with out.table("test.csv") as writer:
        writer.write(test[["Id", "Sequence"]])
    out.answers(test[["Id", "Last"]], sample={"Last": 1})
