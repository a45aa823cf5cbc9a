"""NBME: spans in patient notes that show a feature; notes are held out whole."""

from __future__ import annotations

import re

import numpy as np

from mledojo_env.errors import TaskDataError
from mledojo_env.prepare import split
from mledojo_env.prepare.functions import preparation
from mledojo_env.prepare.output import Output
from mledojo_env.prepare.raw import RawFiles
from mledojo_env.prepare.tables import Table

TEST_SHARE = 0.2

_LOCATION = re.compile(r"\[(?:['\"][\d ;]+['\"](?:, )?)*\]")


@preparation
def patient_notes(raw: RawFiles, out: Output, micro: int | None) -> None:
    """Hold out all rows of a share of the notes. The texts of all notes are public, as on Kaggle.

    Raises:
        TaskDataError: If a file or column is missing, or a location is not a list of spans.
    """
    import pandas as pd

    columns = ["id", "case_num", "pn_num", "feature_num", "annotation", "location"]
    table = pd.concat(list(Table(file="train.csv").read(raw, columns)), ignore_index=True)
    random = np.random.default_rng(out.seed)
    notes = split.codes(table, ["pn_num"])
    sides = split.whole_groups(notes, TEST_SHARE, random)
    if micro is not None:
        sides = split.thin(sides, notes, micro, random)
    train, test = table[sides == split.TRAIN], table[sides == split.TEST]
    with out.table("train.csv") as writer:
        writer.write(train)
    with out.table("test.csv") as writer:
        writer.write(test.drop(columns=["annotation", "location"]))  # both tell the answer
    for name in ("features.csv", "patient_notes.csv"):
        out.link(raw.path(name), name)
    answers = test[["id", "pn_num"]].assign(location=test["location"].map(_spans))
    out.answers(answers, sample={"location": "0 100"}, part_by=["pn_num"])


def _spans(location: str) -> str:
    """Return a list such as ['0 5', '9 12;20 25'] as submissions have it: spans separated by semicolons."""
    if not _LOCATION.fullmatch(location):
        raise TaskDataError(f"train.csv has the location {location[:100]!r}; expected a list of spans.")
    return ";".join(re.findall(r"[\d ;]*\d", location))
