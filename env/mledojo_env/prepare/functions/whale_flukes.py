"""Photos of whales' flukes: a whale is to be recognised from few pictures, or to be called new."""

from __future__ import annotations

import numpy as np

from mledojo_env.prepare import split
from mledojo_env.prepare.functions import preparation
from mledojo_env.prepare.output import Output
from mledojo_env.prepare.raw import RawFiles
from mledojo_env.prepare.tables import Table

_FRACTION = 0.1
_NEW = "new_whale"


@preparation
def whale_flukes(raw: RawFiles, out: Output, micro: int | None) -> None:
    """Hold out a photo of each whale that has several, and a share of all others, as mle-bench does.

    A whale whose only photo is held out is new.
    """
    import pandas as pd

    table = pd.concat(list(Table(file="train.csv").read(raw, ["Image", "Id"])), ignore_index=True)
    rng = np.random.default_rng(out.seed)
    shuffled = table.iloc[rng.permutation(len(table))]
    place = shuffled.groupby("Id").cumcount().reindex(table.index)
    photos = table.groupby("Id")["Id"].transform("size")
    is_known = table["Id"] != _NEW
    has_pair = is_known & (photos > 1)
    drawn = rng.random(len(table)) < _FRACTION
    is_test = np.where(has_pair & (place < 2), place == 1, drawn)
    sides = np.where(is_test, split.TEST, split.TRAIN)
    if micro is not None:  # whales that are on both sides, a photo of each
        whales = rng.permutation(table["Id"][has_pair].unique())[:micro]
        is_kept = table["Id"].isin(set(whales)) & (place < 2)
        sides = np.where(is_kept, sides, split.LEFT_OUT)
    train, test = table[sides == split.TRAIN], table[sides == split.TEST]

    for folder, rows in (("train", train), ("test", test)):
        for name in rows["Image"]:
            out.link(raw.path(f"train/{name}"), f"{folder}/{name}")
    with out.table("train.csv") as writer:
        writer.write(train)
    with out.table("test.csv") as writer:
        writer.write(test[["Image"]])
    answers = test.assign(Id=test["Id"].where(test["Id"].isin(set(train["Id"])), _NEW))
    out.answers(answers, sample={"Id": _NEW})
