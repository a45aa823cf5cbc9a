"""Organs on scans of the belly: some patients are unseen, of others the later days are."""

from __future__ import annotations

import re

import numpy as np

from mledojo_env.errors import TaskDataError
from mledojo_env.prepare import split
from mledojo_env.prepare.functions import preparation
from mledojo_env.prepare.output import Output
from mledojo_env.prepare.raw import RawFiles
from mledojo_env.prepare.tables import Table

_FRACTION = 0.1  # of the slices, as whole patients
_DAYS = 4  # of a patient that are to learn from
_ID = re.compile(r"(?P<case>case\d+)_day(?P<day>\d+)_slice_(?P<slice>\d+)")
_IMAGE = (
    r"train/case\d+/(?P<scan>case\d+_day\d+)/scans/slice_(?P<slice>\d+)_(?P<width>\d+)_(?P<height>\d+)_[^/]+"
)


@preparation
def scan_days(raw: RawFiles, out: Output, micro: int | None) -> None:
    """Hold out whole patients, and of the others the days after the fourth, as Kaggle does.

    Answers have the size of the image, and the scan and slice that a mask belongs to; the slices of a scan
    are all in one part.
    """
    import pandas as pd

    masks = pd.concat(list(Table(file="train.csv").read(raw, ["id", "class", "segmentation"])))
    masks = masks.reset_index(drop=True)
    parts = masks["id"].str.extract(_ID)
    if parts.isna().any(axis=None):
        found = masks["id"][parts.isna().any(axis=1)].iloc[0]
        raise TaskDataError(f"train.csv has the id {found!r}; expected caseN_dayN_slice_N.")
    scans = parts["case"] + "_day" + parts["day"]
    days = parts["day"].astype(int).groupby(parts["case"]).rank(method="dense")

    rng = np.random.default_rng(out.seed)
    sides = split.whole_groups(split.codes(parts, ["case"]), _FRACTION, rng)
    sides = np.where(days > _DAYS, split.TEST, sides)
    if micro is not None:
        sides = split.thin(sides, split.codes(scans.to_frame("scan"), ["scan"]), micro, rng)
    side_of = dict(zip(scans, sides, strict=True))
    sizes: dict[tuple[str, int], tuple[int, int]] = {}
    for path, image in raw.match(_IMAGE):
        folder = {split.TRAIN: "train", split.TEST: "test"}.get(side_of.get(image["scan"], split.LEFT_OUT))
        if folder:
            out.link(raw.path(path), path.replace("train", folder, 1))
            sizes[image["scan"], int(image["slice"])] = int(image["width"]), int(image["height"])

    with out.table("train.csv") as writer:
        writer.write(masks[sides == split.TRAIN])
    is_test = sides == split.TEST
    test, numbers = masks[is_test], parts["slice"][is_test].astype(int)
    with out.table("test.csv") as writer:
        writer.write(test[["id", "class"]])
    keys = list(zip(scans[is_test], numbers, strict=True))
    lost = [name for name, key in zip(test["id"], keys, strict=True) if key not in sizes]
    if lost:
        raise TaskDataError(f"The raw files of {raw.slug} lack the image of {lost[0]}.")
    answers = test.rename(columns={"segmentation": "predicted"}).assign(
        image_width=[sizes[key][0] for key in keys],
        image_height=[sizes[key][1] for key in keys],
        case_day=scans[is_test],
        slice=numbers,
    )
    out.answers(answers, sample={"predicted": ""}, part_by=["case_day"])
