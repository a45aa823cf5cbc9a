"""Findings on chest X-rays that several radiologists drew boxes around."""

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

_FRACTION = 0.1
_EDGES = ["x_min", "y_min", "x_max", "y_max"]
_NO_FINDING = "14"
_NOTHING = "14 1 0 0 1 1"  # as a submission says it
_SAME = 0.4  # IoU above which boxes are of one finding: the metric's


@preparation
def chest_findings(raw: RawFiles, out: Output, micro: int | None) -> None:
    """Write the boxes of training images as drawn, and one box a finding as the answer of a test image.

    Up to three radiologists drew a box around the same thing, of which the first is kept. The peers keep one
    box for each class, so that a second nodule counts as false.
    """
    import pandas as pd

    columns = ["image_id", "class_name", "class_id", "rad_id", *_EDGES]
    boxes = pd.concat(list(Table(file="train.csv").read(raw, columns)), ignore_index=True)
    images = boxes[["image_id"]].drop_duplicates(ignore_index=True)
    rng = np.random.default_rng(out.seed)
    sides = split.at_random(len(images), _FRACTION, rng)
    if micro is not None:
        sides = split.thin(sides, None, micro, rng)
    train, test = images[sides == split.TRAIN], images[sides == split.TEST]
    for folder, rows in (("train", train), ("test", test)):
        for name in rows["image_id"]:
            out.link(raw.path(f"train/{name}.dicom"), f"{folder}/{name}.dicom")
    with out.table("train.csv") as writer:
        writer.write(boxes[boxes["image_id"].isin(set(train["image_id"]))])
    with out.table("test.csv") as writer:
        writer.write(test)

    mine = boxes[boxes["image_id"].isin(set(test["image_id"]))]
    answers = {name: _as_submitted(rows) for name, rows in mine.groupby("image_id", sort=True)}
    table = pd.DataFrame({"image_id": list(answers), "PredictionString": list(answers.values())})
    out.answers(table, sample={"PredictionString": _NOTHING})


def _as_submitted(rows: DataFrame) -> str:
    """Return an image's findings as a submission has them, with full confidence."""
    kept: list[tuple[str, np.ndarray]] = []
    found = rows[rows["class_id"] != _NO_FINDING]
    try:
        edges = found[_EDGES].astype(float).to_numpy()
    except ValueError as error:
        raise TaskDataError(f"train.csv has a box that is no box: {error}.") from error
    for label, box in zip(found["class_id"], edges, strict=True):
        if not any(label == other and _overlap(box, there) > _SAME for other, there in kept):
            kept.append((label, box))
    written = [f"{label} 1 " + " ".join(f"{edge:g}" for edge in box) for label, box in kept]
    return " ".join(written) or _NOTHING


def _overlap(one: np.ndarray, other: np.ndarray) -> float:
    """Return the intersection over union of two boxes."""
    sides = np.minimum(one[2:], other[2:]) - np.maximum(one[:2], other[:2])
    shared = float(np.prod(sides.clip(0)))
    union = float(np.prod(one[2:] - one[:2]) + np.prod(other[2:] - other[:2])) - shared
    return shared / union if union > 0 else 0.0
