"""Sets of whole numbers as runs: the pixels of a mask, the characters of spans.

Everything here takes time that grows with the number of runs, not with what they cover.
"""

from __future__ import annotations

import numpy as np

from mledojo_env.metrics.cells import Unreadable, shown, whole_numbers

# Where each run begins and where the next number after it is, shape (runs, 2). Runs are in order, and no
# number is in two of them.
Runs = np.ndarray

MAX_RUNS = 5_000_000  # in a cell
MAX_SPANS = 10_000

_NO_RUNS = np.empty((0, 2), dtype=np.int64)


def read_runs(text: str, pixels: int | None = None) -> Runs:
    """Return the runs of a run-length encoded mask, 'start length' repeated; the first pixel is 1.

    Kaggle wants the runs in order and no pixel twice. Their order carries no meaning and is not insisted on.
    """
    if not text or text.isspace():
        return _NO_RUNS
    values = whole_numbers(text)
    if len(values) % 2:
        raise Unreadable(f"holds {len(values)} numbers; expected 'start length' repeated")
    if len(values) > 2 * MAX_RUNS:
        raise Unreadable(f"holds {len(values) // 2} runs; at most {MAX_RUNS} are read")
    if (values == 0).any():
        raise Unreadable("holds a 0; starts and lengths are 1 at least")
    starts, lengths = values[::2], values[1::2]
    found = np.column_stack([starts, starts + lengths])
    if (starts[1:] < starts[:-1]).any():
        found = found[np.argsort(starts, kind="stable")]
    twice = found[1:, 0] < found[:-1, 1]
    if twice.any():
        raise Unreadable(f"covers pixel {found[1:, 0][twice][0]} twice")
    if pixels is not None and found[-1, 1] > pixels + 1:
        raise Unreadable(f"covers pixel {found[-1, 1] - 1}; the image has {pixels}")
    return found


def read_spans(text: str) -> Runs:
    """Return the characters of spans, 'start end' separated by semicolons; an end is not part of its span."""
    pieces = text.split(";", MAX_SPANS)
    if len(pieces) > MAX_SPANS:
        raise Unreadable(f"lists more than {MAX_SPANS} spans")
    if not text or text.isspace():
        return _NO_RUNS
    wrong = next((piece for piece in pieces if len(piece.split(None, 2)) != 2), None)
    if wrong is not None:
        raise Unreadable(f"holds {shown(wrong.strip())}; expected 'start end' separated by semicolons")
    found = whole_numbers(" ".join(pieces)).reshape(-1, 2)
    backwards = found[:, 1] < found[:, 0]
    if backwards.any():
        start, end = found[backwards][0]
        raise Unreadable(f"holds '{start} {end}', which ends before it starts")
    return united(found)


def united(pieces: np.ndarray) -> Runs:
    """Return runs that may overlap, shape (pieces, 2), as runs that do not."""
    pieces = pieces[pieces[:, 1] > pieces[:, 0]]
    if len(pieces) == 0:
        return _NO_RUNS
    pieces = pieces[np.argsort(pieces[:, 0], kind="stable")]
    reached = np.maximum.accumulate(pieces[:, 1])
    first = np.concatenate([[True], pieces[1:, 0] > reached[:-1]])
    return np.column_stack([pieces[first, 0], reached[np.concatenate([first[1:], [True]])]])


def size(found: Runs) -> int:
    """Return how many numbers runs cover."""
    return int((found[:, 1] - found[:, 0]).sum())


def covered(one: Runs, other: Runs) -> np.ndarray:
    """Return how many numbers of each run of one set are in the other; `one` may be in any order."""
    if len(other) == 0:
        return np.zeros(len(one), dtype=np.int64)
    lengths = other[:, 1] - other[:, 0]
    before = np.cumsum(lengths) - lengths
    last = np.maximum(np.searchsorted(other[:, 0], one, side="right") - 1, 0)  # that begins up to there
    there = before[last] + np.clip(one - other[last, 0], 0, lengths[last])
    return there[:, 1] - there[:, 0]


def overlap(one: Runs, other: Runs) -> int:
    """Return how many numbers are in both."""
    return int(covered(one, other).sum())
