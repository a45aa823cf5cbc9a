"""Dirty documents: the answers are the pixels of clean scans."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from mledojo_env.errors import TaskDataError
from mledojo_env.prepare import split
from mledojo_env.prepare.functions import preparation
from mledojo_env.prepare.output import Output
from mledojo_env.prepare.raw import RawFiles

if TYPE_CHECKING:
    from pandas import DataFrame

_FRACTION = 0.15  # 20 scans of 200,000 pixels: a submission of 4 million rows is enough
_SMALL = 4  # scans on each side of a small variant


@preparation
def dirty_documents(raw: RawFiles, out: Output, micro: int | None) -> None:
    """Write noisy and clean scans to learn from, noisy ones to clean, and the pixels of their clean twins.

    A page was scanned once and soiled in several ways, so the scans of a page are all on one side: else the
    clean test pages would lie in train_cleaned/.
    """
    import pandas as pd

    rng = np.random.default_rng(out.seed)
    names = [found["name"] for _, found in raw.match(r"train/(?P<name>\d+)\.png")]
    digests = [
        hashlib.sha256(_pixels(raw.path(f"train_cleaned/{name}.png")).tobytes()).hexdigest() for name in names
    ]
    pages = split.codes(pd.DataFrame({"page": digests}), ["page"])
    sides = split.whole_groups(pages, _FRACTION, rng)
    if micro is not None:
        sides = split.thin(sides, pages, _SMALL, rng)
    answers = []
    for name, side in zip(names, sides, strict=True):
        if side == split.TRAIN:
            out.link(raw.path(f"train/{name}.png"), f"train/{name}.png")
            out.link(raw.path(f"train_cleaned/{name}.png"), f"train_cleaned/{name}.png")
        elif side == split.TEST:
            out.link(raw.path(f"train/{name}.png"), f"test/{name}.png")
            answers.append(_melted(name, _pixels(raw.path(f"train_cleaned/{name}.png"))))
    table = pd.concat(answers, ignore_index=True)
    out.answers(table, sample={"value": 1.0}, part_by=["part_by_image"])


def _melted(name: str, pixels: np.ndarray) -> DataFrame:
    """Return a row for each pixel, with the id `<image>_<row>_<column>`, counted from 1."""
    import pandas as pd

    rows, columns = pixels.shape
    ids = [f"{name}_{row}_{column}" for row in range(1, rows + 1) for column in range(1, columns + 1)]
    values = np.round(pixels.ravel() / 255, 6)
    return pd.DataFrame({"id": ids, "value": values, "part_by_image": name})


def _pixels(path: Path) -> np.ndarray:
    """Return a scan's grey levels, 0 black to 255 white, shape (rows, columns)."""
    from PIL import Image

    try:
        with Image.open(path) as image:
            return np.asarray(image.convert("L"))
    except (OSError, SyntaxError, ValueError) as error:
        raise TaskDataError(f"Cannot read {path}: {error}. Delete it, and download it again.") from error
