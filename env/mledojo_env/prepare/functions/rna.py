"""OpenVaccine: RNA molecules whose bases fall apart at measured rates."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from mledojo_env.errors import TaskDataError
from mledojo_env.prepare import split
from mledojo_env.prepare.functions import preparation
from mledojo_env.prepare.output import Output
from mledojo_env.prepare.raw import RawFiles
from mledojo_env.prepare.tables import Table

if TYPE_CHECKING:
    from pandas import DataFrame

TEST_SHARE = 0.1  # of all molecules; only clean measurements are tested on

_TARGETS = ("reactivity", "deg_Mg_pH10", "deg_pH10", "deg_Mg_50C", "deg_50C")
_SHOWN = ["id", "sequence", "structure", "predicted_loop_type", "seq_length", "seq_scored"]


@preparation
def stanford_covid_vaccine(raw: RawFiles, out: Output, micro: int | None) -> None:
    """Hold out molecules that passed the filter of signal to noise, as Kaggle's test set did.

    A molecule has an answer for each base; past `seq_scored` nothing was measured, and `scored` is 0.
    """
    import pandas as pd

    molecules = Table(file="train.json", format="jsonl").whole(raw)
    missing = [name for name in (*_SHOWN, "SN_filter", *_TARGETS) if name not in molecules.columns]
    if missing:
        raise TaskDataError(f"train.json needs {missing[0]!r}; found {', '.join(molecules.columns)}.")
    can_test = np.flatnonzero(molecules["SN_filter"].to_numpy() > 0)
    random = np.random.default_rng(out.seed)
    share = min(TEST_SHARE * len(molecules) / max(len(can_test), 1), 0.5)
    sides = np.full(len(molecules), split.TRAIN)
    sides[can_test] = split.at_random(len(can_test), share, random)
    if micro is not None:
        sides = split.thin(sides, None, micro, random)
    train, test = molecules[sides == split.TRAIN], molecules[sides == split.TEST]
    with out.table("train.jsonl") as writer:
        writer.write(train)
    with out.table("test.jsonl") as writer:
        writer.write(test[_SHOWN])
    for name in (*train["id"], *test["id"]):
        out.link(raw.path(f"bpps/{name}.npy"), f"bpps/{name}.npy")
    answers = pd.concat([_bases(row) for row in test.to_dict("records")], ignore_index=True)
    out.answers(answers, sample=dict.fromkeys(_TARGETS, 0.0), part_by=["molecule"])


def _bases(molecule: dict[str, Any]) -> DataFrame:
    """Return the answers of one molecule, a row for each base."""
    import pandas as pd

    length, scored = int(molecule["seq_length"]), int(molecule["seq_scored"])
    columns: dict[str, Any] = {"id_seqpos": [f"{molecule['id']}_{place}" for place in range(length)]}
    for name in _TARGETS:
        measured = molecule[name]
        if len(measured) != scored or scored > length:
            raise TaskDataError(
                f"{molecule['id']} of train.json has {len(measured)} values of {name} for {length} bases; "
                f"expected {scored}, which is seq_scored."
            )
        columns[name] = [*measured, *[0.0] * (length - scored)]
    is_scored = (np.arange(length) < scored).astype(int)
    return pd.DataFrame({**columns, "scored": is_scored, "molecule": molecule["id"]})
