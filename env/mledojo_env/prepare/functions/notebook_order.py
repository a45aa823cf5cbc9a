"""AI4Code: notebooks whose cells are to be put in order; copies of one notebook stay on one side."""

from __future__ import annotations

import numpy as np

from mledojo_env.errors import TaskDataError
from mledojo_env.prepare import split
from mledojo_env.prepare.functions import preparation
from mledojo_env.prepare.output import Output
from mledojo_env.prepare.raw import RawFiles
from mledojo_env.prepare.tables import Table

TEST_SHARE = 0.14  # about 20,000 of 139,256 notebooks


@preparation
def notebook_order(raw: RawFiles, out: Output, micro: int | None) -> None:
    """Hold out notebooks by ancestor. The sample submission has each notebook's cells in alphabetical order.

    Raises:
        TaskDataError: If a file or column is missing, or a notebook has no ancestor.
    """
    import pandas as pd

    orders = pd.concat(list(Table(file="train_orders.csv").read(raw, ["id", "cell_order"])))
    ancestors = pd.concat(
        list(Table(file="train_ancestors.csv").read(raw, ["id", "ancestor_id", "parent_id"]))
    )
    if ancestors["id"].duplicated().any():
        raise TaskDataError("train_ancestors.csv has two rows for a notebook.")
    table = orders.merge(ancestors, on="id", how="left")
    orphans = table.loc[table["ancestor_id"].isna(), "id"]
    if len(orphans):
        raise TaskDataError(f"train_ancestors.csv has no row for the notebook {orphans.iloc[0]!r}.")

    random = np.random.default_rng(out.seed)
    families = split.codes(table, ["ancestor_id"])
    sides = split.whole_groups(families, TEST_SHARE, random)
    if micro is not None:
        sides = split.thin(sides, families, micro, random)
    for side, folder in ((split.TRAIN, "train"), (split.TEST, "test")):
        for notebook in table.loc[sides == side, "id"]:
            out.link(raw.path(f"train/{notebook}.json"), f"{folder}/{notebook}.json")
    with out.table("train.csv") as writer:
        writer.write(table.loc[sides == split.TRAIN, ["id", "cell_order"]])
    with out.table("train_ancestors.csv") as writer:
        writer.write(table.loc[sides == split.TRAIN, ["id", "ancestor_id", "parent_id"]])

    answers = table.loc[sides == split.TEST, ["id", "cell_order"]]
    alphabetical = answers["cell_order"].map(lambda cells: " ".join(sorted(cells.split())))
    out.answers(answers, sample={"cell_order": alphabetical})
