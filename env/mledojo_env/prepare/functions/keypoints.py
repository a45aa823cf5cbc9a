"""Facial keypoints: which points are asked for differs from face to face."""

from __future__ import annotations

import numpy as np

from mledojo_env.errors import TaskDataError
from mledojo_env.prepare import split
from mledojo_env.prepare.functions import preparation
from mledojo_env.prepare.output import Output
from mledojo_env.prepare.raw import RawFiles
from mledojo_env.prepare.tables import Table

_FRACTION = 1783 / 7049  # as many test faces as Kaggle has


@preparation
def facial_keypoints(raw: RawFiles, out: Output, micro: int | None) -> None:
    """Write faces with their points, others without, and a row of answers for each point that is known.

    Some faces are there more than once, with different points marked; they are all on one side.
    """
    rng = np.random.default_rng(out.seed)
    faces = Table(file="training.csv").whole(raw)
    points = [name for name in faces.columns if name != "Image"]
    if "Image" not in faces.columns or not points or not all(name[-2:] in ("_x", "_y") for name in points):
        raise TaskDataError(
            f"training.csv of {raw.slug} has the columns {', '.join(points[:5])} ...; expected keypoints "
            "whose names end in _x or _y, and Image."
        )
    groups = split.codes(faces, ["Image"])
    sides = split.whole_groups(groups, _FRACTION, rng)
    if micro is not None:
        sides = split.thin(sides, groups, micro, rng)
    with out.table("train.csv") as writer:
        writer.write(faces[sides == split.TRAIN])
    test = faces[sides == split.TEST].reset_index(drop=True)
    test.insert(0, "ImageId", np.arange(1, len(test) + 1).astype(str))
    with out.table("test.csv") as writer:
        writer.write(test[["ImageId", "Image"]])
    rows = test.melt(["ImageId"], points, var_name="FeatureName", value_name="Location", ignore_index=False)
    rows = rows[rows["Location"] != ""].sort_index(kind="stable").reset_index(drop=True)
    rows.insert(0, "RowId", np.arange(1, len(rows) + 1).astype(str))
    with out.table("IdLookupTable.csv") as writer:
        writer.write(rows[["RowId", "ImageId", "FeatureName"]])
    out.answers(rows, sample={"Location": 48.0}, part_by=["ImageId"])
