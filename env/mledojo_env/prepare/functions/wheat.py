"""Global wheat detection: fields are whole on one side, as a model is to work on fields it has not seen."""

from __future__ import annotations

import numpy as np

from mledojo_env.errors import TaskDataError
from mledojo_env.prepare import split
from mledojo_env.prepare.functions import preparation
from mledojo_env.prepare.output import Output
from mledojo_env.prepare.raw import RawFiles
from mledojo_env.prepare.tables import Table

_FRACTION = 0.2
_COLUMNS = ("image_id", "width", "height", "bbox", "source")


@preparation
def wheat_detection(raw: RawFiles, out: Output, micro: int | None) -> None:
    """Write images with the boxes of their wheat heads, and images of other sources without.

    Images that show no wheat have no row in train.csv, hence no source; they are all to learn from.
    """
    import pandas as pd

    rng = np.random.default_rng(out.seed)
    boxes = pd.concat(list(Table(file="train.csv").read(raw, _COLUMNS)), ignore_index=True)
    images = boxes.drop_duplicates("image_id", ignore_index=True)
    sides = split.whole_groups(split.codes(images, ["source"]), _FRACTION, rng)
    if micro is not None:
        sides = split.thin(sides, None, micro, rng)
    train, test = images[sides == split.TRAIN], images[sides == split.TEST]

    names = list(train["image_id"])
    if micro is None:
        known = set(images["image_id"])
        listed = [found["id"] for _, found in raw.match(r"train/(?P<id>[^/]+)\.jpg")]
        names += [name for name in listed if name not in known]
    for folder, ids in (("train", names), ("test", test["image_id"])):
        for name in ids:
            out.link(raw.path(f"train/{name}.jpg"), f"{folder}/{name}.jpg")
    with out.table("train.csv") as writer:
        writer.write(boxes[boxes["image_id"].isin(set(train["image_id"]))])
    with out.table("test.csv") as writer:
        writer.write(test[["image_id", "width", "height"]])

    mine = boxes[boxes["image_id"].isin(set(test["image_id"]))]
    written = mine.assign(box=[_as_submitted(cell) for cell in mine["bbox"]])
    answers = written.groupby("image_id", sort=True)["box"].agg(" ".join).reset_index()
    out.answers(answers.rename(columns={"box": "PredictionString"}), sample={"PredictionString": ""})


def _as_submitted(box: str) -> str:
    """Return "[x, y, width, height]" as a submission has it, with full confidence first."""
    parts = box.strip("[] ").split(",")
    try:
        numbers = [float(part) for part in parts]
    except ValueError:
        numbers = []
    if len(numbers) != 4 or not np.isfinite(numbers).all():
        raise TaskDataError(f"train.csv has the box {box[:60]!r}; expected [x, y, width, height].")
    return " ".join(map(str, (1.0, *numbers)))
