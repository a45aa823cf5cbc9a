"""Melting points of proteins: the organisers' corrections applied, variants of one protein on one side."""

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

TEST_SHARE = 0.1

_COLUMNS = ["seq_id", "protein_sequence", "pH", "data_source", "tm"]
_END = 40  # residues at either end of a protein that tell its family


@preparation
def protein_stability(raw: RawFiles, out: Output, micro: int | None) -> None:
    """Hold out whole families of proteins, as Kaggle's test set is variants of a protein not seen before.

    Raises:
        TaskDataError: If a file or column is missing.
    """
    import pandas as pd

    table = _corrected(raw)
    families = _families(table["protein_sequence"].tolist())
    random = np.random.default_rng(out.seed)
    sides = split.whole_groups(families, TEST_SHARE, random)
    if micro is not None:
        sides = split.thin(sides, families, micro, random)
    with out.table("train.csv") as writer:
        writer.write(table[sides == split.TRAIN])
    test = table[sides == split.TEST]
    with out.table("test.csv") as writer:
        writer.write(test.drop(columns="tm"))
    answers = pd.DataFrame({"seq_id": test["seq_id"], "tm": test["tm"]})
    out.answers(answers, sample={"tm": 50.0})


def _corrected(raw: RawFiles) -> DataFrame:
    """Return the labelled proteins after the update of 29 September 2022.

    A row of it that is blank but for its id withdraws a protein; any other replaces what was known.
    """
    import pandas as pd

    table, updates = (
        pd.concat(list(Table(file=name).read(raw, _COLUMNS)), ignore_index=True)
        for name in ("train.csv", "train_updates_20220929.csv")
    )
    is_blank = (updates["protein_sequence"] == "") | (updates["tm"] == "")
    fixed = updates[~is_blank].set_index("seq_id")
    table = table[~table["seq_id"].isin(updates.loc[is_blank, "seq_id"])].set_index("seq_id")
    changed = ["protein_sequence", "pH", "tm"]
    known = fixed.index.intersection(table.index)
    table.loc[known, changed] = fixed.loc[known, changed]
    return table[table["tm"] != ""].reset_index()[_COLUMNS]


def _families(sequences: list[str]) -> np.ndarray:
    """Return a code for each protein, equal where a chain of proteins share either end.

    Variants differ in a residue or two, so one of the two ends is the same.
    """
    parent = list(range(len(sequences)))

    def root(place: int) -> int:
        while parent[place] != place:
            parent[place] = parent[parent[place]]
            place = parent[place]
        return place

    first: dict[tuple[str, str], int] = {}
    for place, text in enumerate(sequences):
        length = max(min(_END, len(text) // 2), 1)
        for key in (("start", text[:length]), ("end", text[-length:])):
            parent[root(place)] = root(first.setdefault(key, place))
    roots = [root(place) for place in range(len(sequences))]
    return np.unique(roots, return_inverse=True)[1]
