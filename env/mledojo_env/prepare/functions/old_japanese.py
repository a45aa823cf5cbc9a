"""Pages of old Japanese books, with a box around each character."""

from __future__ import annotations

import numpy as np

from mledojo_env.errors import TaskDataError
from mledojo_env.prepare import split
from mledojo_env.prepare.functions import preparation
from mledojo_env.prepare.output import Output
from mledojo_env.prepare.raw import RawFiles
from mledojo_env.prepare.tables import Table

_TEST_SHARE = 0.1
_TRANSLATION = "unicode_translation.csv"


@preparation
def kuzushiji_pages(raw: RawFiles, out: Output, micro: int | None) -> None:
    """Hold out pages. A prediction is points and the truth boxes: answers have both, the points amid them."""
    import pandas as pd

    columns = ["image_id", "labels"]
    table = pd.concat(list(Table(file="train.csv").read(raw, columns)), ignore_index=True)
    rng = np.random.default_rng(out.seed)
    sides = split.at_random(len(table), _TEST_SHARE, rng)
    if micro is not None:
        sides = split.thin(sides, None, micro, rng)
    train, test = table[sides == split.TRAIN], table[sides == split.TEST]
    with out.table("train.csv") as writer:
        writer.write(train)
    with out.table("test.csv") as writer:
        writer.write(test[["image_id"]])
    for side, rows in (("train", train), ("test", test)):
        for page in rows["image_id"]:
            out.link(raw.path(f"train_images/{page}.jpg"), f"{side}_images/{page}.jpg")
    out.link(raw.path(_TRANSLATION), _TRANSLATION)
    points = [_centres(page, boxes) for page, boxes in test.itertuples(index=False)]
    answers = test.assign(labels=points, boxes=test["labels"].where(test["labels"] != "", "-"))
    out.answers(answers, sample={"labels": ""})


def _centres(page: str, boxes: str) -> str:
    """Return "character x y" for each "character left top width height"."""
    cells = boxes.split()
    try:
        left, top, width, height = (np.array(cells[start::5], dtype=float) for start in range(1, 5))
        x, y = left + width / 2, top + height / 2
        return " ".join(f"{name} {a:g} {b:g}" for name, a, b in zip(cells[::5], x, y, strict=True))
    except ValueError as error:
        raise TaskDataError(
            f"The labels of {page} are no characters with left, top, width and height: {boxes[:60]!r}."
        ) from error
