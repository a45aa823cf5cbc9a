"""Insults in comments: the test set is Kaggle's own, whose answers came out after the competition."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from mledojo_env.prepare import split
from mledojo_env.prepare.functions import preparation
from mledojo_env.prepare.output import Output
from mledojo_env.prepare.raw import RawFiles
from mledojo_env.prepare.tables import Table

if TYPE_CHECKING:
    from pandas import DataFrame

_COLUMNS = ("Insult", "Date", "Comment")


@preparation
def insults(raw: RawFiles, out: Output, micro: int | None) -> None:
    """Write comments to learn from and comments to judge, numbered: neither dates nor texts identify them."""
    import pandas as pd

    train, test = _comments("train.csv", raw), _comments("test_with_solutions.csv", raw)
    if micro is not None:
        sides = np.repeat([split.TRAIN, split.TEST], [len(train), len(test)])
        strata = split.codes(pd.concat([train, test]), ["Insult"])
        kept = split.thin_evenly(sides, strata, micro, np.random.default_rng(out.seed))
        train, test = train[kept[: len(train)] == split.TRAIN], test[kept[len(train) :] == split.TEST]
    with out.table("train.csv") as writer:
        # Some comments are in both collections, with the same label.
        writer.write(train[~train["Comment"].isin(set(test["Comment"]))])
    test.insert(0, "id", np.arange(1, len(test) + 1).astype(str))
    with out.table("test.csv") as writer:
        writer.write(test.drop(columns="Insult"))
    answers = test[["id", "Insult", "Comment"]].rename(columns={"Comment": "part_by_comment"})
    out.answers(answers, sample={"Insult": 0.5}, part_by=["part_by_comment"])


def _comments(name: str, raw: RawFiles) -> DataFrame:
    import pandas as pd

    return pd.concat(list(Table(file=name).read(raw, _COLUMNS)), ignore_index=True)
