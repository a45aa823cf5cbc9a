"""Scans of kidneys, several of which may be of one patient."""

from __future__ import annotations

import numpy as np

from mledojo_env.errors import TaskDataError
from mledojo_env.prepare import split
from mledojo_env.prepare.functions import preparation
from mledojo_env.prepare.output import Output
from mledojo_env.prepare.raw import RawFiles
from mledojo_env.prepare.tables import Table

_INFORMATION = "HuBMAP-20-dataset_information.csv"
_TEST_SHARE = 0.33  # of 15 scans; fewer would make a part of one or two


@preparation
def kidney_glomeruli(raw: RawFiles, out: Output, micro: int | None) -> None:
    """Hold out the scans of whole patients. The outlines in {id}.json are labels, for training only."""
    import pandas as pd

    masks = pd.concat(list(Table(file="train.csv").read(raw, ["id", "encoding"])), ignore_index=True)
    columns = ["image_file", "patient_number"]
    known = pd.concat(list(Table(file=_INFORMATION).read(raw, columns)), ignore_index=True)
    patients = dict(zip(known["image_file"].str.removesuffix(".tiff"), known["patient_number"], strict=True))
    unknown = [name for name in masks["id"] if name not in patients]
    if unknown:
        raise TaskDataError(f"{_INFORMATION} has no row of {unknown[0]}.tiff, which is in train.csv.")
    rng = np.random.default_rng(out.seed)
    groups = split.codes(masks.assign(patient=masks["id"].map(patients)), ["patient"])
    sides = split.whole_groups(groups, _TEST_SHARE, rng)
    if micro is not None:
        sides = split.thin(sides, groups, micro, rng)
    train, test = masks[sides == split.TRAIN], masks[sides == split.TEST]
    with out.table("train.csv") as writer:
        writer.write(train)
    with out.table("test.csv") as writer:
        writer.write(test[["id"]])
    for side, rows, endings in (
        ("train", train, (".tiff", "-anatomical-structure.json", ".json")),
        ("test", test, (".tiff", "-anatomical-structure.json")),
    ):
        for name in rows["id"]:
            for ending in endings:
                out.link(raw.path(f"train/{name}{ending}"), f"{side}/{name}{ending}")
    out.link(raw.path(_INFORMATION), _INFORMATION)
    out.answers(test.rename(columns={"encoding": "predicted"}), sample={"predicted": ""})
