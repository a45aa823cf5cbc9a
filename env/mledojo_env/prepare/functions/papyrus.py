"""Ink on papyrus: one of three scanned fragments is tested on, in bands."""

from __future__ import annotations

import struct
from itertools import pairwise
from pathlib import Path

import numpy as np

from mledojo_env.errors import TaskDataError
from mledojo_env.prepare.functions import preparation
from mledojo_env.prepare.output import Output
from mledojo_env.prepare.raw import RawFiles
from mledojo_env.prepare.tables import Table

_TRAIN, _TEST = ("1", "2"), "3"
_BANDS = 10  # one row alone could not be cut into a public and a private part


@preparation
def papyrus_ink(raw: RawFiles, out: Output, micro: int | None) -> None:
    """Make fragment 3 the test fragment `a`, without labels and without the photo that shows the ink.

    Masks are numbered row by row, so a band of rows is a range of pixels. There is nothing to make smaller
    for `micro`.
    """
    import pandas as pd

    source = f"train/{_TEST}"
    for name in _TRAIN:
        out.link_folder(raw.folder_path(f"train/{name}"), f"train/{name}")
    out.link_folder(raw.folder_path(f"{source}/surface_volume"), "test/a/surface_volume")
    out.link(raw.path(f"{source}/mask.png"), "test/a/mask.png")
    width, height = _png_size(raw.path(f"{source}/mask.png"))
    if height < _BANDS:
        raise TaskDataError(f"{source}/mask.png has {height} rows; expected at least {_BANDS}.")

    label = f"{source}/inklabels_rle.csv"
    cells = pd.concat(list(Table(file=label).read(raw, ["Predicted"])))["Predicted"]
    if len(cells) != 1:
        raise TaskDataError(f"{label} has {len(cells)} rows; expected one.")
    runs = _runs(cells.iloc[0], width * height, label)
    edges = np.linspace(0, height, _BANDS + 1).astype(int)
    bands = pd.DataFrame(
        {
            "Id": [f"a_{band}" for band in range(_BANDS)],
            "fragment": "a",
            "first_row": edges[:-1],
            "end_row": edges[1:],
            "width": width,
        }
    )
    with out.table("test.csv") as writer:
        writer.write(bands)
    masks = [_cut(runs, int(first) * width, int(end) * width) for first, end in pairwise(edges)]
    out.answers(bands[["Id"]].assign(Predicted=masks), sample={"Predicted": ""})


def _png_size(path: Path) -> tuple[int, int]:
    """Return width and height of a PNG image, which its first bytes tell."""
    with path.open("rb") as file:
        head = file.read(24)
    if len(head) < 24 or not head.startswith(b"\x89PNG\r\n\x1a\n"):
        raise TaskDataError(f"{path} is no PNG image. Delete it, and download it again.")
    width, height = struct.unpack(">II", head[16:24])
    return width, height


def _runs(text: str, pixels: int, where: str) -> np.ndarray:
    """Return where runs begin and end, from 0, shape (runs, 2)."""
    try:
        values = np.array(text.split(), dtype=np.int64)
    except ValueError as error:
        raise TaskDataError(f"{where} is no list of whole numbers: {error}.") from error
    if len(values) % 2:
        raise TaskDataError(f"{where} has {len(values)} numbers; expected a start and a length in turn.")
    begins = values[::2] - 1
    found = np.column_stack([begins, begins + values[1::2]])
    if len(found) and (found.min() < 0 or found.max() > pixels):
        raise TaskDataError(f"{where} marks pixels outside the {pixels} of the image.")
    return found


def _cut(runs: np.ndarray, first: int, end: int) -> str:
    """Return the runs within a range of pixels as text, numbered from 1 within it."""
    begins, ends = runs.clip(first, end).T
    mine = ends > begins
    pairs = np.column_stack([begins[mine] - first + 1, (ends - begins)[mine]])
    return " ".join(map(str, pairs.ravel()))
