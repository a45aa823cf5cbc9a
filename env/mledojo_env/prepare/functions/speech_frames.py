"""Frames of speech, each with its neighbours on both sides: whole utterances are held out.

A row of the array is a window of eleven frames around the one that is labelled. Neighbouring rows share ten
frames, so rows drawn at random would hand out most of the test set.
"""

from __future__ import annotations

import numpy as np

from mledojo_env.errors import TaskDataError
from mledojo_env.prepare import split
from mledojo_env.prepare.functions import preparation
from mledojo_env.prepare.output import Output
from mledojo_env.prepare.raw import RawFiles

TEST_SHARE = 0.27  # as on Kaggle: 451,552 of 1,681,484 rows
FRAME = 39  # numbers in a frame

_BLOCK = 20_000  # rows read at a time


@preparation
def speech_frames(raw: RawFiles, out: Output, micro: int | None) -> None:
    """Write windows and labels of training utterances, and the windows of test utterances in their order.

    Raises:
        TaskDataError: If an array is missing, unreadable or not of the expected shape.
    """
    import pandas as pd

    windows, labels = _array("train_11.npy", raw), _array("train_label_11.npy", raw)
    if windows.ndim != 2 or windows.shape[1] % FRAME or labels.shape != windows.shape[:1]:
        raise TaskDataError(
            f"train_11.npy has shape {windows.shape} and train_label_11.npy {labels.shape}; expected rows of "
            f"frames of {FRAME} numbers, and a label for each row."
        )
    utterances = _utterances(windows)
    random = np.random.default_rng(out.seed)
    sides = split.whole_groups(utterances, TEST_SHARE, random)
    if micro is not None:
        sides = split.thin(sides, utterances, micro, random)
    train, test = np.flatnonzero(sides == split.TRAIN), np.flatnonzero(sides == split.TEST)
    _write(windows, train, out, "train_11.npy")
    _write(labels, train, out, "train_label_11.npy")
    _write(windows, test, out, "test_11.npy")
    try:
        classes = np.asarray(labels[test]).astype(int)
    except ValueError as error:
        raise TaskDataError(f"train_label_11.npy holds a label that is no whole number: {error}.") from error
    answers = pd.DataFrame({"Id": np.arange(len(test)), "ClassId": classes})
    out.answers(answers, sample={"ClassId": 0})


def _array(name: str, raw: RawFiles) -> np.ndarray:
    """Return an array that stays on disk; it lies in timit_11/, or in a folder of that name in it."""
    pattern = rf"(?:.*/)?{name.replace('.', '[.]')}"
    path = raw.path(next(found for found, _ in raw.match(pattern)))
    try:
        return np.load(path, mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise TaskDataError(f"Cannot read {path}: {error}. Delete it, and download it again.") from error


def _utterances(windows: np.ndarray) -> np.ndarray:
    """Return the number of each row's utterance: within one, a window is the last one moved by a frame."""
    starts = np.ones(len(windows), dtype=bool)
    for begin in range(0, len(windows) - 1, _BLOCK):
        piece = np.asarray(windows[begin : begin + _BLOCK + 1])
        starts[begin + 1 : begin + len(piece)] = (piece[:-1, FRAME:] != piece[1:, :-FRAME]).any(axis=1)
    return np.cumsum(starts) - 1


def _write(array: np.ndarray, rows: np.ndarray, out: Output, name: str) -> None:
    """Write rows of an array, not more than a block of them in memory."""
    shape = (len(rows), *array.shape[1:])
    written = np.lib.format.open_memmap(out.public(name), mode="w+", dtype=array.dtype, shape=shape)
    for begin in range(0, len(rows), _BLOCK):
        written[begin : begin + _BLOCK] = array[rows[begin : begin + _BLOCK]]
    written.flush()
