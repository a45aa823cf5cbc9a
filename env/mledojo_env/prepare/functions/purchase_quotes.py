"""Allstate purchase prediction: customers' first quotes, and the plan they bought in the end."""

from __future__ import annotations

import numpy as np

from mledojo_env.errors import TaskDataError
from mledojo_env.prepare import split
from mledojo_env.prepare.functions import preparation
from mledojo_env.prepare.output import Output
from mledojo_env.prepare.raw import RawFiles
from mledojo_env.prepare.tables import Table

TEST_SHARE = 0.365  # 55,716 of 152,725 customers
OPTIONS = list("ABCDEFG")


@preparation
def purchase_quotes(raw: RawFiles, out: Output, micro: int | None) -> None:
    """Hold out customers, and of their quotes show the first ones only: from two to all, each as likely.

    As on Kaggle; with the whole history, the last quote would nearly be the answer.

    Raises:
        TaskDataError: If the file or a column is missing, or quotes have no number.
    """
    import pandas as pd

    table = Table(file="train.csv").whole(raw)
    missing = {"customer_ID", "shopping_pt", "record_type", *OPTIONS} - set(table.columns)
    if missing:
        raise TaskDataError(f"train.csv has no column {min(missing)!r}; found {', '.join(table.columns)}.")
    table["point"] = pd.to_numeric(table["shopping_pt"], errors="coerce")
    if table["point"].isna().any():
        raise TaskDataError("Column 'shopping_pt' of train.csv holds something else than numbers.")
    table = table.sort_values(["customer_ID", "point"], kind="stable", ignore_index=True)
    bought = table[table["record_type"] == "1"].drop_duplicates("customer_ID", keep="last")
    quotes = table[table["record_type"] == "0"]
    customers = bought.loc[bought["customer_ID"].isin(quotes["customer_ID"]), "customer_ID"].to_numpy()

    random = np.random.default_rng(out.seed)
    sides = split.at_random(len(customers), TEST_SHARE, random)
    if micro is not None:
        sides = split.thin(sides, None, micro, random)
    tested = customers[sides == split.TEST]
    is_test = table["customer_ID"].isin(tested)
    is_train = table["customer_ID"].isin(customers[sides == split.TRAIN]) if micro is not None else ~is_test
    with out.table("train.csv") as writer:
        writer.write(table[is_train].drop(columns="point"))

    quotes = quotes[quotes["customer_ID"].isin(tested)]
    sizes = quotes.groupby("customer_ID").size()
    shown = np.minimum(2 + np.floor(random.random(len(sizes)) * np.maximum(sizes - 1, 1)), sizes)
    place = quotes.groupby("customer_ID").cumcount()
    with out.table("test.csv") as writer:
        writer.write(quotes[place < quotes["customer_ID"].map(shown)].drop(columns="point"))

    bought = bought[bought["customer_ID"].isin(tested)]
    plan = bought[OPTIONS].agg("".join, axis=1)
    answers = pd.DataFrame({"customer_ID": bought["customer_ID"], "plan": plan})
    out.answers(answers.reset_index(drop=True), sample={"plan": "0000000"})
