"""Do tasks of the benchmark share rows with tasks that are trained on, whatever their columns are called?

A source's name tells most of it (see `checks.check_splits`); this looks at the data. Tables are compared by
pairs of numbers, texts by their letters, pictures and sounds by their shape after they were shrunk.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from mledojo_env.lookup import find_rows, numbers_of

if TYPE_CHECKING:
    from pathlib import Path

    from pandas import DataFrame

_MOST_BYTES = 20_000_000  # of a file that is read
_SHORTEST_TEXT = 40  # letters on average; shorter ones are alike by chance
_SAME_TEXT = 0.9  # cosine of counts of four letters in a row
_SAME_SHAPE = 0.98  # correlation of shrunk arrays
_SIDE = 16  # of a shrunk picture; sounds have the square of it
_MOST_SHARED = 0.02  # of a file's rows that may look like another's by chance
_COMPARED = 400  # rows of a table or text file of the benchmark, with all of those that are trained on
_COLUMNS = 16  # of numbers that are compared, of a table that is trained on
_CHUNK = 500


@dataclass(frozen=True)
class Contents:
    """What of a task's public files can be compared with another task's, by file."""

    task: str
    tables: dict[str, DataFrame]
    texts: dict[str, Any]  # sparse, a row each, of length 1
    shapes: dict[str, np.ndarray]  # (rows, 256), each of mean 0 and length 1


def read_contents(task: str, public: Path) -> Contents:
    """Return what can be compared of a task: its tables and arrays, but for huge ones and the sample."""
    import pandas as pd

    contents = Contents(task, {}, {}, {})
    for path in sorted(public.iterdir()):
        if path.stat().st_size > _MOST_BYTES or path.stem == "sample_submission":
            continue
        if path.suffix == ".csv":
            table = contents.tables[path.name] = pd.read_csv(path)
            texts = _long_texts(table)
            if texts is not None:
                contents.texts[path.name] = texts
        elif path.suffix == ".npz":
            with np.load(path) as arrays:
                for name in arrays.files:
                    if arrays[name].ndim > 1 and arrays[name].dtype.kind in "iuf":
                        contents.shapes[f"{path.name}:{name}"] = _shrunk(arrays[name])
    return contents


def find_shared_rows(hidden: Sequence[Contents], seen: Sequence[Contents]) -> list[str]:
    """Return a line for every file of the benchmark whose rows are found in a task that is trained on."""
    known = [
        (f"{other.task}/{name}", numbers_of(table)[:, :_COLUMNS])
        for other in seen
        for name, table in other.tables.items()
    ]
    lines = []
    for task in hidden:
        for name, table in task.tables.items():
            some = table.iloc[:: max(1, len(table) // _COMPARED), : 2 * _COLUMNS]
            found = find_rows(some, known)
            if found is not None:
                lines.append(f"{found.rows} of {len(some)} rows of {task.task}/{name} in {found.file}")
        lines += _alike(task, seen, "texts", _SAME_TEXT)
        lines += _alike(task, seen, "shapes", _SAME_SHAPE)
    return lines


def _alike(task: Contents, seen: Sequence[Contents], kind: str, threshold: float) -> Iterator[str]:
    for name, rows in getattr(task, kind).items():
        for other in seen:
            for other_name, others in getattr(other, kind).items():
                some = rows[:: max(1, rows.shape[0] // _COMPARED)]
                count = _near(some, others, threshold)
                if count > _MOST_SHARED * some.shape[0]:
                    where = f"{task.task}/{name} in {other.task}/{other_name}"
                    yield f"{count} of {some.shape[0]} {kind} of {where}"


def _near(rows: Any, others: Any, threshold: float) -> int:
    """Return how many rows have a near one among the others; both of unit length."""
    count = 0
    for start in range(0, rows.shape[0], _CHUNK):
        product = rows[start : start + _CHUNK] @ others.T
        best = product.max(axis=1)
        count += int((np.asarray(best.toarray() if hasattr(best, "toarray") else best) >= threshold).sum())
    return count


def _long_texts(table: DataFrame) -> Any:
    """Return vectors of a table's texts, a row's together; None if they are short or missing."""
    from pandas.api.types import is_numeric_dtype
    from sklearn.feature_extraction.text import HashingVectorizer

    columns = [table[name].fillna("").astype(str) for name in table if not is_numeric_dtype(table[name])]
    texts = [" ".join(cells) for cells in zip(*columns, strict=True)]
    if not texts or sum(map(len, texts)) < _SHORTEST_TEXT * len(texts):
        return None
    letters = HashingVectorizer(
        analyzer="char_wb", ngram_range=(4, 4), n_features=2**18, alternate_sign=False
    )
    return letters.transform(texts)


def _shrunk(array: np.ndarray) -> np.ndarray:
    """Return each row as 256 numbers: a picture's blocks, colours averaged, or a signal's stretches."""
    values = array.astype(np.float32)
    if values.ndim >= 3:
        values = values.reshape(*values.shape[:3], -1).mean(axis=3)
        values = _blocks(_blocks(values, 1, _SIDE), 2, _SIDE)
    else:
        values = _blocks(values, 1, _SIDE**2)
    flat = values.reshape(len(values), -1)
    flat = flat - flat.mean(axis=1, keepdims=True)
    length = np.linalg.norm(flat, axis=1, keepdims=True)
    return (flat / np.where(length > 1e-6, length, np.inf)).astype(np.float32)  # a blank one is like none


def _blocks(values: np.ndarray, axis: int, count: int) -> np.ndarray:
    """Return the means of `count` stretches along an axis; a shorter axis is stretched."""
    length = values.shape[axis]
    if length < count:
        return np.take(values, np.arange(count) * length // count, axis=axis)
    starts = np.arange(count) * length // count
    sizes = np.diff([*starts, length]).reshape([-1 if a == axis else 1 for a in range(values.ndim)])
    return np.add.reduceat(values, starts, axis=axis) / sizes
