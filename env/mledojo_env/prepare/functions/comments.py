"""Comments whose test set is Kaggle's own: its answers were published when the competitions were over."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from mledojo_env.errors import TaskDataError
from mledojo_env.prepare.functions import preparation
from mledojo_env.prepare.output import Output
from mledojo_env.prepare.raw import RawFiles
from mledojo_env.prepare.tables import Table

if TYPE_CHECKING:
    from pandas import DataFrame

_TOXICITY = ["toxic", "severe_toxic", "obscene", "threat", "insult", "identity_hate"]
_IDENTITIES = [
    "male",
    "female",
    "homosexual_gay_or_lesbian",
    "christian",
    "jewish",
    "muslim",
    "black",
    "white",
    "psychiatric_or_mental_illness",
]


@preparation
def toxic_comments(raw: RawFiles, out: Output, micro: int | None) -> None:
    """Take those comments of Kaggle's test set that were scored; the others, marked -1, were decoys."""
    comments = _whole(raw, "test.csv", ["id", "comment_text"])
    labels = _whole(raw, "test_labels.csv", ["id", *_TOXICITY])
    test = comments.merge(labels[labels["toxic"] != "-1"], on="id")
    if len(test) < 2:
        raise TaskDataError("test_labels.csv has no labels of the comments in test.csv.")
    has = test[_TOXICITY].to_numpy() == "1"
    kinds = np.column_stack([has, ~has.any(axis=1)])
    _write(raw, out, test[["id", "comment_text"]], test[["id", *_TOXICITY]], kinds, micro)


@preparation
def biased_toxicity(raw: RawFiles, out: Output, micro: int | None) -> None:
    """Take Kaggle's private test set. An identity that was not asked for counts as not mentioned."""
    import pandas as pd

    test = _whole(raw, "test_private_expanded.csv", ["id", "comment_text", "toxicity", *_IDENTITIES])
    numbers = test[["toxicity", *_IDENTITIES]].apply(pd.to_numeric, errors="coerce").fillna(0)
    answers = numbers.rename(columns={"toxicity": "prediction"}).assign(id=test["id"])
    is_toxic = (numbers["toxicity"] >= 0.5).to_numpy()[:, None]
    mentioned = numbers[_IDENTITIES].to_numpy() >= 0.5
    mentioned = np.column_stack([mentioned, ~mentioned.any(axis=1)])
    kinds = np.column_stack([mentioned & is_toxic, mentioned & ~is_toxic])
    _write(raw, out, test[["id", "comment_text"]], answers, kinds, micro)


def _write(
    raw: RawFiles, out: Output, test: DataFrame, answers: DataFrame, kinds: np.ndarray, micro: int | None
) -> None:
    """Write all files.

    Args:
        raw: Has train.csv, which is linked; a small variant has a few of its first rows.
        out: Where to.
        test: The public columns.
        answers: The hidden ones, row by row.
        kinds: Of which kind each row is, shape (rows, kinds); the metric needs some of each in either part.
        micro: How many rows to keep, all by default. A small variant keeps packs of one row of each kind, two
            packs at least, and a pack is in one part: of rows at random, few parts would have all kinds.
    """
    part_by = None
    rng = np.random.default_rng(out.seed)
    if micro is None:
        out.link(raw.path("train.csv"), "train.csv")
    else:
        packs = np.full(len(test), -1)
        order = rng.permutation(len(test))
        for pack in range(max(2, micro // kinds.shape[1])):
            for kind in kinds.T:
                free = order[kind[order] & (packs[order] < 0)]
                packs[free[:1]] = pack
        test, answers = test[packs >= 0], answers.assign(pack=packs)[packs >= 0]
        part_by = ["pack"]
        first = next(Table(file="train.csv").read(raw))
        with out.table("train.csv") as writer:
            writer.write(first.iloc[np.sort(rng.permutation(len(first))[:micro])])
    with out.table("test.csv") as writer:
        writer.write(test)
    out.answers(answers, sample=dict.fromkeys(out.form.targets, 0.5), part_by=part_by)


def _whole(raw: RawFiles, name: str, columns: list[str]) -> DataFrame:
    import pandas as pd

    return pd.concat(list(Table(file=name).read(raw, columns)), ignore_index=True)
