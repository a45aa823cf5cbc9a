"""The ids of a submission against those of the answers: which row is which, or what is wrong with them."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import cached_property
from typing import TYPE_CHECKING, overload

import numpy as np

from mledojo_env.errors import GradingError, InvalidSubmission

if TYPE_CHECKING:
    from pandas import DataFrame, Series

_JOINT = "\x1f"  # between the parts of an id of several columns
_WHOLE = re.compile(r"-?(0|[1-9]\d*)")
_WHOLE_AS_FLOAT = re.compile(r"(-?(?:0|[1-9]\d*))\.0*")
_MAX_WIDTH = 64  # of an id that is compared as bytes


class Ids(Sequence[str]):
    """The ids of a table's rows, as text: of several columns, joined.

    Args:
        table: Any with the id columns.
        names: The id columns.
    """

    def __init__(self, table: DataFrame, names: Sequence[str]) -> None:
        self.names = tuple(names)
        self._columns = [table[name] for name in names]

    @cached_property
    def parts(self) -> list[list[str]]:
        """The cells of each id column."""
        return [cell_texts(column) for column in self._columns]

    @cached_property
    def texts(self) -> list[str]:
        """One text for each row."""
        if len(self.parts) == 1:
            return self.parts[0]
        return [_JOINT.join(row) for row in zip(*self.parts, strict=True)]

    @cached_property
    def fixed(self) -> list[np.ndarray] | None:
        """The cells of each id column as ASCII bytes of one width; None if some are longer, or no ASCII."""
        found = []
        for number, column in enumerate(self._columns):
            if _are_bytes(column):
                found.append(np.ascontiguousarray(column.to_numpy(), dtype="S"))
                continue
            cells = self.parts[number]
            width = max(map(len, cells), default=0)
            if not 0 < width <= _MAX_WIDTH or not all(map(str.isascii, cells)):
                return None
            found.append(np.array(cells, dtype=f"S{width}"))
        return found

    @property
    def widths(self) -> dict[str, int]:
        """How many bytes a cell of each id column has at most; empty if that is of no use."""
        return {name: cells.itemsize for name, cells in zip(self.names, self.fixed or (), strict=False)}

    def __len__(self) -> int:
        return len(self._columns[0])

    @overload
    def __getitem__(self, index: int) -> str: ...

    @overload
    def __getitem__(self, index: slice) -> list[str]: ...

    def __getitem__(self, index: int | slice) -> str | list[str]:
        return self.texts[index]


def match(expected: Ids, found: Ids) -> np.ndarray:
    """Return for each expected id the row where it was found.

    Raises:
        InvalidSubmission: If ids are blank, repeated, unknown or missing; names the first.
        GradingError: If an expected one is repeated.
    """
    if not len(found):
        raise InvalidSubmission(f"The submission has no rows; expected {len(expected)}.")
    rows = _match_bytes(expected, found)
    return _match_texts(expected.texts, found.texts, found.names) if rows is None else rows


def _match_bytes(expected: Ids, found: Ids) -> np.ndarray | None:
    """Return the rows if all is well, byte by byte, and None else: then texts tell what is wrong.

    Hashes of both sides are sorted. For a million ids, this takes a fifth of the time of a dictionary.
    """
    if len(found) != len(expected) or found.fixed is None or expected.fixed is None:
        return None
    order, found_order = (np.argsort(hashes) for hashes in (_hashes(expected.fixed), _hashes(found.fixed)))
    is_repeated = np.ones(len(order) - 1, dtype=bool)
    for wanted, there in zip(expected.fixed, found.fixed, strict=True):
        wanted = wanted[order]
        if not np.array_equal(wanted, there[found_order]):
            return None
        is_repeated &= wanted[1:] == wanted[:-1]
    if is_repeated.any():
        return None
    rows = np.empty(len(order), dtype=int)
    rows[order] = found_order
    return rows


def _hashes(columns: Sequence[np.ndarray]) -> np.ndarray:
    """Return a number of 64 bits for each row of bytes; equal bytes of any width get the same."""
    hashes = np.zeros(len(columns[0]), dtype=np.uint64)
    for cells in columns:
        words = -(-cells.itemsize // 8)
        padded = np.ascontiguousarray(cells, dtype=f"S{8 * words}").view(np.uint64).reshape(-1, words)
        for word in padded.T:
            mixed = (hashes ^ word) * np.uint64(0x9E3779B97F4A7C15)
            hashes = np.where(word == 0, hashes, mixed ^ (mixed >> np.uint64(29)))
        hashes = hashes * np.uint64(0xC2B2AE3D27D4EB4F) + np.uint64(1)
    return hashes


def _match_texts(expected: list[str], found: list[str], names: Sequence[str]) -> np.ndarray:
    place = {text: row for row, text in enumerate(expected)}
    if len(place) < len(expected):
        twice = next(text for row, text in enumerate(expected) if place[text] != row)
        raise GradingError(f"The answers hold the id {show_id(twice)} twice.")
    places = np.array([place.get(text, -1) for text in found])
    if (places < 0).any():
        found = written_alike(expected, found)
        places = np.array([place.get(text, -1) for text in found])
    counts = f"It has {len(found)} rows; expected {len(expected)}, one for each id of the test set."
    unknown = places < 0
    if unknown.any():
        row = int(unknown.argmax())
        if not found[row].replace(_JOINT, ""):
            raise InvalidSubmission(f"Column {'/'.join(names)!r} is blank in row {row + 1}. {counts}")
        raise InvalidSubmission(
            f"Id {show_id(found[row])} is not in the test set ({count_rows(unknown)} such)."
            f"{zeros_lost(expected, found[row])} {counts}"
        )
    times = np.bincount(places, minlength=len(expected))
    if (times > 1).any():
        raise InvalidSubmission(f"Id {show_id(expected[(times > 1).argmax()])} is there twice. {counts}")
    if (times == 0).any():
        missing = show_id(expected[(times == 0).argmax()])
        raise InvalidSubmission(f"Id {missing} is missing ({count_rows(times == 0)} such). {counts}")
    rows = np.empty(len(expected), dtype=int)
    rows[places] = np.arange(len(found))
    return rows


def written_alike(expected: list[str], found: list[str]) -> list[str]:
    """Return ids with 7.0 written as 7 where every expected one is written so.

    Ids such as 007 or 7.0 among the expected ones are text, to be matched to the letter.
    """
    columns = list(zip(*(text.split(_JOINT) for text in expected), strict=True))
    whole = [all(map(_WHOLE.fullmatch, column)) for column in columns]

    def written_so(text: str) -> str:
        cells = text.split(_JOINT)
        if len(cells) != len(whole):  # a cell that holds the joint itself
            return text
        return _JOINT.join(
            plain[1] if is_whole and (plain := _WHOLE_AS_FLOAT.fullmatch(cell)) else cell
            for cell, is_whole in zip(cells, whole, strict=True)
        )

    return [written_so(text) for text in found]


def zeros_lost(expected: Sequence[str], found: str) -> str:
    """Return a hint for 7 where the test set has 007: pandas reads such ids as numbers unless told not to."""
    for text in expected:
        if text.lstrip("0") == found and text != found:
            return f" The test set has {show_id(text)}: read ids as text (dtype=str)."
    return ""


def show_id(text: str) -> str:
    """Return an id as messages name it, on one line."""
    shown = "".join(letter if letter.isprintable() else " " for letter in text.replace(_JOINT, ", "))
    return shown if len(shown) <= 60 else shown[:57] + "..."


def count_rows(mask: np.ndarray) -> str:
    """Return how many rows a mask has, in words."""
    count = int(mask.sum())
    return f"{count} row{'s' * (count != 1)}"


def cell_texts(column: Series) -> list[str]:
    """Return cells as text: whole floats without their .0, missing ones as ""."""
    values = column.tolist()
    try:
        return list(map(str.strip, values))
    except TypeError:  # not all text
        return [_cell_text(value) for value in values]


def _are_bytes(column: Series) -> bool:
    """Return whether `read_submission` gave the column as bytes, which are objects before pandas 3."""
    from pandas.api.types import infer_dtype

    return column.dtype.kind == "S" or (
        column.dtype == object and infer_dtype(column, skipna=False) == "bytes"
    )


def _cell_text(value: object) -> str:
    if isinstance(value, str):
        return value.strip()
    if isinstance(value, bytes):  # as `read_submission` gives cells of a few bytes
        return value.decode(errors="replace").strip()
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return "" if is_missing(value) else str(value).strip()


def is_missing(value: object) -> bool:
    """Return whether a cell of a table holds nothing, or NaN."""
    import pandas as pd

    if isinstance(value, float | np.floating):
        return bool(np.isnan(value))
    return value is None or value is pd.NA or value is pd.NaT
