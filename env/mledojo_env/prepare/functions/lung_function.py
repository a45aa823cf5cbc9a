"""OSIC: how the lungs of a patient develop; a test patient's first visit and scan are all that is shown."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from mledojo_env.errors import TaskDataError
from mledojo_env.prepare import split
from mledojo_env.prepare.functions import preparation
from mledojo_env.prepare.output import Output
from mledojo_env.prepare.raw import RawFiles
from mledojo_env.prepare.tables import Table

if TYPE_CHECKING:
    from pandas import DataFrame

TEST_SHARE = 0.1
SCORED_VISITS = 3  # the last ones of each patient
SURE = 70  # the least standard deviation that the metric takes, which right answers earn most with


@preparation
def lung_function(raw: RawFiles, out: Output, micro: int | None) -> None:
    """Hold out whole patients, and ask for every week, so that no id tells when a visit was.

    Raises:
        TaskDataError: If a file, folder or column is missing, or a week is no whole number.
    """
    pieces = list(Table(file="train.csv").read(raw))
    table = _visits(pieces)
    patients = split.codes(table, ["Patient"])
    random = np.random.default_rng(out.seed)
    sides = split.whole_groups(patients, TEST_SHARE, random)
    if micro is not None:
        sides = split.thin(sides, patients, micro, random)
    train, test = table[sides == split.TRAIN], table[sides == split.TEST]
    with out.table("train.csv") as writer:
        writer.write(train)
    with out.table("first_visits.csv") as writer:
        writer.write(test.sort_values(["Patient", "Weeks"]).drop_duplicates("Patient"))
    for rows, side in ((train, "train"), (test, "test")):
        for patient in rows["Patient"].unique():
            out.link_folder(raw.folder_path(f"train/{patient}"), f"{side}/{patient}")
    answers = _answers(test, range(table["Weeks"].min(), table["Weeks"].max() + 1))
    out.answers(answers, sample={"FVC": 2000, "Confidence": 100}, part_by=["Patient"])


def _visits(pieces: list[DataFrame]) -> DataFrame:
    """Return the visits, a week of a patient once: a few are listed twice."""
    import pandas as pd

    table = pd.concat(pieces, ignore_index=True)
    for name in ("Patient", "Weeks", "FVC"):
        if name not in table.columns:
            raise TaskDataError(f"train.csv has no column {name!r}; found {', '.join(table.columns)}.")
    try:
        table["Weeks"] = table["Weeks"].astype(int)
    except ValueError as error:
        raise TaskDataError(f"train.csv has a week that is no whole number: {error}.") from error
    return table.drop_duplicates(["Patient", "Weeks"], ignore_index=True)


def _answers(test: DataFrame, weeks: range) -> DataFrame:
    """Return a row for each patient and week; one that is not scored has the answer of the next visit."""
    import pandas as pd

    asked = pd.MultiIndex.from_product([test["Patient"].unique(), weeks], names=["Patient", "Weeks"])
    visits = test.sort_values(["Patient", "Weeks"])
    hidden = visits[visits["Patient"].duplicated()]  # all but the first, which is shown
    last = hidden.groupby("Patient").tail(SCORED_VISITS).set_index(["Patient", "Weeks"]).index
    measured = visits.set_index(["Patient", "Weeks"])["FVC"].reindex(asked)
    table = measured.groupby(level="Patient").transform(lambda values: values.bfill().ffill()).reset_index()
    return table.assign(
        Patient_Week=table["Patient"] + "_" + table["Weeks"].astype(str),
        Confidence=SURE,
        scored=asked.isin(last).astype(int),
    )[["Patient_Week", "FVC", "Confidence", "scored", "Patient"]]
