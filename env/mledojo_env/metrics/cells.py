"""Cells of text read as words and numbers, in bounded time and memory whatever they say.

A reader takes the text of a cell and returns what it means, or raises `Unreadable`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from typing import Any, TypeVar

import numpy as np

from mledojo_env.errors import GradingError
from mledojo_env.metrics.base import BadCell

Read = TypeVar("Read")

MAX_DIGITS = 12  # of a whole number: sums over millions of them stay within 64 bits

_NO_DIGIT = re.compile(r"[^\d\s]", re.ASCII)
_TOO_LONG = re.compile(rf"\d{{{MAX_DIGITS + 1}}}", re.ASCII)


class Unreadable(Exception):
    """A cell does not hold what a metric reads; the text follows "Column 'x' "."""


def read(cells: Iterable[Any], reader: Callable[[Any], Read]) -> list[Read]:
    """Return what a reader makes of each prediction.

    Raises:
        BadCell: If it cannot read one.
    """
    found = []
    for row, cell in enumerate(cells):
        try:
            found.append(reader(cell))
        except Unreadable as error:
            raise BadCell(row, str(error)) from error
    return found


def read_answers(cells: Iterable[Any], reader: Callable[[Any], Read]) -> list[Read]:
    """Return what a reader makes of each answer.

    Raises:
        GradingError: If it cannot read one, which is our fault.
    """
    try:
        return read(cells, reader)
    except BadCell as error:
        raise GradingError(
            f"The answers are broken: a cell {error.problem} (row {error.row + 1})."
        ) from error


def words(text: str, at_most: int) -> list[str]:
    """Return what white space separates."""
    found = text.split(None, at_most)
    if len(found) > at_most:
        raise Unreadable(f"lists more than {at_most} words")
    return found


def repeated(text: str, layout: str, at_most: int) -> list[str]:
    """Return the words of a cell that repeats a layout such as "x y", up to so many times."""
    length = len(layout.split())
    found = text.split(None, at_most * length)
    if len(found) > at_most * length:
        raise Unreadable(f"repeats '{layout}' more than {at_most} times")
    if len(found) % length:
        raise Unreadable(f"holds {len(found)} values; expected '{layout}' repeated")
    return found


def numbers(found: Sequence[str]) -> np.ndarray:
    """Return words as finite floats, shape (words,)."""
    try:
        values = np.array(list(map(float, found)), dtype=np.float64)
    except ValueError:
        values = np.array([_float(word) for word in found])
    is_finite = np.isfinite(values)
    if not is_finite.all():
        raise Unreadable(f"holds {shown(found[int(is_finite.argmin())])}; expected a finite number")
    return values


def whole_numbers(text: str) -> np.ndarray:
    """Return whole numbers of at least 0 with spaces between, as 64-bit integers."""
    wrong = _NO_DIGIT.search(text)
    if wrong:
        around = text[max(0, wrong.start() - 15) : wrong.start() + 15]
        raise Unreadable(f"holds {shown(around)}; expected whole numbers of at least 0")
    if _TOO_LONG.search(text):
        raise Unreadable(f"holds a number of more than {MAX_DIGITS} digits")
    return np.fromstring(text, dtype=np.int64, sep=" ")


def shown(text: str) -> str:
    """Return text for a message, quoted and cut."""
    return repr(str(text) if len(text) <= 40 else text[:37] + "...")


def _float(word: str) -> float:
    try:
        return float(word)
    except ValueError:
        return np.nan
