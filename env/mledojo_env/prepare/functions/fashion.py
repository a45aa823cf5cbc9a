"""Fashion recommendations: what customers bought in the last week, after two years of purchases."""

from __future__ import annotations

import numpy as np

from mledojo_env.errors import TaskDataError
from mledojo_env.prepare.functions import preparation
from mledojo_env.prepare.output import Output
from mledojo_env.prepare.raw import RawFiles
from mledojo_env.prepare.tables import Table

_DAYS = 7
_PURCHASES = Table(file="transactions_train.csv")


@preparation
def fashion_purchases(raw: RawFiles, out: Output, micro: int | None) -> None:
    """Write all purchases but those of the last 7 days, and which customers bought in these, to be predicted.

    The peer takes 8 days, as it counts the first one, too. Article ids stay text: they begin with 0.
    """
    import pandas as pd

    last = max(piece["t_dat"].max() for piece in _PURCHASES.read(raw, ["t_dat"]))
    try:
        first_day = (pd.Timestamp(last) - pd.Timedelta(days=_DAYS - 1)).strftime("%Y-%m-%d")
    except ValueError as error:
        raise TaskDataError(f"{_PURCHASES.file} has the day {last!r}; expected YYYY-MM-DD.") from error
    bought = pd.concat(
        [
            piece[piece["t_dat"] >= first_day]
            for piece in _PURCHASES.read(raw, ["t_dat", "customer_id", "article_id"])
        ]
    )
    customers = _customers(raw, bought["customer_id"].unique(), first_day, micro, out.seed)
    if customers is not None:
        bought = bought[bought["customer_id"].isin(customers)]

    with out.table("transactions_train.csv") as writer:
        for piece in _PURCHASES.read(raw):
            earlier = piece["t_dat"] < first_day
            writer.write(
                piece[earlier if customers is None else earlier & piece["customer_id"].isin(customers)]
            )
    for name in ("articles.csv", "customers.csv"):
        out.link(raw.path(name), name)
    out.link_folder(raw.folder_path("images"), "images")

    # An article bought twice counts once; in the order bought.
    lists = bought.drop_duplicates(["customer_id", "article_id"]).groupby("customer_id", sort=True)
    answers = lists["article_id"].agg(" ".join).reset_index(name="prediction")
    with out.table("test.csv") as writer:
        writer.write(answers[["customer_id"]])
    some_article = next(Table(file="articles.csv").read(raw, ["article_id"]))["article_id"].iloc[0]
    out.answers(answers, sample={"prediction": some_article})


def _customers(
    raw: RawFiles, tested: np.ndarray, first_day: str, micro: int | None, seed: int
) -> set[str] | None:
    """Return the customers of a small variant, so many to predict for and as many others; None for all."""
    if micro is None:
        return None
    rng = np.random.default_rng(seed)
    some = next(_PURCHASES.read(raw, ["t_dat", "customer_id"]))
    others = np.setdiff1d(some.loc[some["t_dat"] < first_day, "customer_id"].unique(), tested)
    drawn = [rng.permutation(np.sort(names))[:micro] for names in (tested, others)]
    return set(np.concatenate(drawn))
