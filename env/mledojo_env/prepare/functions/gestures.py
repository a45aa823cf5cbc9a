"""Multi-modal gestures: recordings of sound, colour, depth and skeletons; the fourth archive is the test."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np

from mledojo_env.errors import TaskDataError
from mledojo_env.prepare import split
from mledojo_env.prepare.functions import preparation
from mledojo_env.prepare.output import Output
from mledojo_env.prepare.raw import RawFiles
from mledojo_env.prepare.tables import Table

_KINDS = ("audio.wav", "color.mp4", "depth.mp4", "user.mp4", "data.mat")
_FILES = (
    r"(?:.*/)?training(?P<archive>[1-4])/(?:.*/)?Sample0?(?P<number>\d{4})"
    rf"_(?P<kind>{'|'.join(_KINDS)})"
)
_MAT_TEXT = 116  # bytes of free text that a MAT file begins with


@preparation
def gestures(raw: RawFiles, out: Output, micro: int | None) -> None:
    """Write labelled recordings of training1 to 3 as train, those of training4 as test without their labels.

    Kaggle's validation and test recordings have no labels and are left out.

    Raises:
        TaskDataError: If files or columns are missing, or a recording's data cannot be read.
    """
    import pandas as pd

    pieces = list(Table(file="training.csv").read(raw, ["Id", "Sequence"]))
    table = pd.concat(pieces, ignore_index=True)
    table["Id"] = table["Id"].str.zfill(4)
    found = [(name, groups) for name, groups in raw.match(_FILES)]
    kinds = {groups["kind"] for _, groups in found}
    lacking = sorted(set(_KINDS) - kinds)
    if lacking:
        raise TaskDataError(
            f"No recording of {raw.slug} has a {lacking[0]}; found {', '.join(sorted(kinds))}."
        )
    archive = {groups["number"]: groups["archive"] for _, groups in found}
    table = table[table["Id"].isin(archive)].reset_index(drop=True)
    is_test = table["Id"].map(archive) == "4"
    if not 0 < is_test.sum() < len(table):
        raise TaskDataError(
            f"Of {len(table)} labelled recordings {int(is_test.sum())} are in training4; expected some there "
            "and some in training1 to training3."
        )
    sides = np.where(is_test, split.TEST, split.TRAIN)
    if micro is not None:
        sides = split.thin(sides, None, micro, np.random.default_rng(out.seed))
    train, test = table[sides == split.TRAIN], table[sides == split.TEST]
    kept = dict.fromkeys(train["Id"], "train") | dict.fromkeys(test["Id"], "test")
    for name, groups in found:
        side = kept.get(groups["number"])
        target = f"{side}/{groups['number']}/{groups['kind']}"
        if side == "test" and groups["kind"] == "data.mat":
            out.public(target).write_bytes(_without_labels(raw.path(name)))
        elif side is not None:
            out.link(raw.path(name), target)
    with out.table("train.csv") as writer:
        writer.write(train)
    with out.table("test.csv") as writer:
        writer.write(test[["Id"]])
    out.answers(test, sample={"Sequence": " ".join(map(str, range(1, 21)))})


def _without_labels(path: Path) -> bytes:
    """Return a recording's MAT file without Video.Labels, which names its gestures with their times."""
    from scipy.io import loadmat, savemat

    try:
        video = loadmat(path)["Video"]
    except (OSError, KeyError, TypeError, ValueError, NotImplementedError) as error:
        raise TaskDataError(f"Cannot read the structure Video of {path}: {error!r}.") from error
    if video.dtype.names is None:
        raise TaskDataError(f"Video in {path} is no structure: its labels cannot be taken out.")
    names = [name for name in video.dtype.names if name.lower() != "labels"]
    bare = np.empty(video.shape, dtype=[(name, object) for name in names])
    for name in names:
        bare[name] = video[name]
    content = io.BytesIO()
    savemat(content, {"Video": bare}, do_compression=True)
    text = b"MATLAB 5.0 MAT-file".ljust(_MAT_TEXT)  # scipy writes the time of day there
    return text + content.getvalue()[_MAT_TEXT:]
