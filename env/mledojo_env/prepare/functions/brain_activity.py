"""EEGs, of which a table names many overlapping windows: one window of each is scored."""

from __future__ import annotations

import numpy as np

from mledojo_env.errors import TaskDataError
from mledojo_env.prepare import split
from mledojo_env.prepare.functions import preparation
from mledojo_env.prepare.output import Output
from mledojo_env.prepare.raw import RawFiles
from mledojo_env.prepare.tables import Table

_VOTES = ["seizure_vote", "lpd_vote", "gpd_vote", "lrda_vote", "grda_vote", "other_vote"]
_WINDOW = [
    "eeg_id",
    "eeg_label_offset_seconds",
    "spectrogram_id",
    "spectrogram_label_offset_seconds",
    "patient_id",
]
_TEST_SHARE = 0.1


@preparation
def harmful_brain_activity(raw: RawFiles, out: Output, micro: int | None) -> None:
    """Hold out whole patients; of each EEG of theirs, one window at random, as an id is an EEG.

    Kaggle's test recordings are cut to the window. Here they are linked whole, and test.csv says where the
    window begins.
    """
    import pandas as pd

    table = pd.concat(list(Table(file="train.csv").read(raw)), ignore_index=True)
    for name in (*_WINDOW, *_VOTES):
        if name not in table.columns:
            raise TaskDataError(f"train.csv lacks the column {name!r}; found {', '.join(table.columns)}.")
    rng = np.random.default_rng(out.seed)
    sides = split.whole_groups(split.codes(table, ["patient_id"]), _TEST_SHARE, rng)
    votes = table[_VOTES].apply(pd.to_numeric, errors="coerce")
    shuffled = rng.permutation(np.flatnonzero((sides == split.TEST) & (votes.sum(axis=1) > 0)))
    test = table.iloc[shuffled].drop_duplicates("eeg_id")
    train = table[sides == split.TRAIN]
    if micro is not None:
        train = train.iloc[np.sort(rng.permutation(len(train))[:micro])]
        test = test.iloc[:micro]
    with out.table("train.csv") as writer:
        writer.write(train)
    with out.table("test.csv") as writer:
        writer.write(test[_WINDOW])
    for side, rows in (("train", train), ("test", test)):
        for kind, column in (("eegs", "eeg_id"), ("spectrograms", "spectrogram_id")):
            for name in rows[column].unique():
                out.link(raw.path(f"train_{kind}/{name}.parquet"), f"{side}_{kind}/{name}.parquet")
    chosen = votes.loc[test.index]
    answers = chosen.div(chosen.sum(axis=1), axis=0).assign(eeg_id=test["eeg_id"])
    out.answers(answers[["eeg_id", *_VOTES]], sample=dict.fromkeys(_VOTES, round(1 / len(_VOTES), 9)))
