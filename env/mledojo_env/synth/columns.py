"""Columns of a table as they are written: numbers, words, blanks, slips, copies; and what they mean."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from mledojo_env.synth import effects
from mledojo_env.synth.draft import Setting
from mledojo_env.synth.presentation import rounded
from mledojo_env.synth.worlds import Category, Number

if TYPE_CHECKING:
    from pandas import DataFrame

_SENTINELS = (-1, -9, -99, -999, 9999)


@dataclass(frozen=True)
class Measured:
    """A column of numbers.

    Attributes:
        number: What it is.
        name: Of the column.
        cells: As written, NaN where missing, shape (rows,).
        z: What the process goes by, standardised; 0 where missing.
        is_missing: Shape (rows,).
    """

    number: Number
    name: str
    cells: np.ndarray
    z: np.ndarray
    is_missing: np.ndarray


@dataclass(frozen=True)
class Sorted:
    """A column of words: codes into `levels`."""

    name: str
    codes: np.ndarray
    levels: tuple[str, ...]


@dataclass
class Sheet:
    """A table in the making: cells and meanings by column."""

    cells: dict[str, Any] = field(default_factory=dict)
    meanings: dict[str, str] = field(default_factory=dict)

    def add(self, name: str, cells: Any, meaning: str) -> None:
        """Append a column."""
        self.cells[name], self.meanings[name] = cells, meaning

    def table(self) -> DataFrame:
        """Return the columns as a table."""
        import pandas as pd

        return pd.DataFrame({name: pd.Series(cells) for name, cells in self.cells.items()}, copy=False)


def measure(
    setting: Setting,
    sheet: Sheet,
    numbers: list[Number],
    z: np.ndarray,
    *,
    may_miss: bool = True,
    stream: str = "measure",
) -> list[Measured]:
    """Write columns of numbers into a sheet, some with blanks.

    Args:
        setting: For style, difficulty and random numbers.
        sheet: Gets the columns.
        numbers: What they are.
        z: Standard normal, shape (rows, numbers).
        may_miss: Whether cells may be blank.
        stream: Of random numbers.
    """
    rng = setting.stream(stream)
    found = []
    for place, number in enumerate(numbers):
        cells = rounded(number.cells(z[:, place]), number.decimals)
        seen = np.log(np.maximum(cells, 0) + 0.5) if number.shape == "count" else z[:, place]
        seen = effects.standardised(seen)
        missing = np.zeros(len(cells), dtype=bool)
        rolls = rng.random(3)
        draws = rng.random(len(cells))
        if may_miss and rolls[0] < setting.between(0.25, 0.45):
            rate = 0.03 + 0.2 * rolls[1]
            # At random, or rather where the value is large.
            odds = rate if rolls[2] < 0.5 else np.clip(2 * rate / (1 + np.exp(-1.5 * seen)), 0, 0.8)
            missing = draws < odds
        name = setting.style.feature(number.words)
        sheet.add(name, np.where(missing, np.nan, cells), setting.style.meaning(number.meaning))
        found.append(Measured(number, name, cells, np.where(missing, 0.0, seen), missing))
    return found


def sort_in(
    setting: Setting, sheet: Sheet, categories: list[Category], rows: int, stream: str = "sort"
) -> list[Sorted]:
    """Write columns of words into a sheet."""
    rng = setting.stream(stream)
    style = setting.style
    found = []
    for category in categories:
        shown = tuple(coded(category.levels, rng) if style.is_opaque else category.levels)
        codes = effects.skewed_codes(rng, rows, len(shown), rng.uniform(0.2, 1.2))
        name = style.feature(category.words)
        sheet.add(name, np.array(shown, dtype=object)[codes], style.meaning(category.meaning))
        found.append(Sorted(name, codes, shown))
    return found


def coded(levels: tuple[str, ...], rng: np.random.Generator) -> list[str]:
    """Return anonymous names for levels."""
    letters = rng.permutation(list("ABCDEFGHJKLMPQRSTUVWXYZ"))
    return [str(letter) for letter in letters[: len(levels)]]


def many_levels(rng: np.random.Generator, words: str, count: int) -> tuple[str, ...]:
    """Return names of a category of high cardinality: codes such as BR-017, or made-up words."""
    if rng.random() < 0.5:
        start = "".join(word[0] for word in words.split()).upper() + words[1].upper()
        numbers = rng.permutation(900)[:count] + 100
        joint = "-" if rng.random() < 0.5 else ""
        return tuple(f"{start}{joint}{number}" for number in numbers.tolist())
    first = (
        "Al",
        "Ber",
        "Cor",
        "Dun",
        "El",
        "Fal",
        "Gra",
        "Hol",
        "Is",
        "Kor",
        "Lin",
        "Mar",
        "Nor",
        "Os",
        "Pel",
    )
    last = ("bach", "dorf", "felt", "gard", "ham", "kirk", "low", "mond", "ric", "sten", "ton", "wick")
    pairs = rng.permutation(len(first) * len(last))[:count]
    return tuple(first[pair // len(last)] + last[pair % len(last)] for pair in pairs.tolist())


def write_slips(setting: Setting, sheet: Sheet, columns: list[Measured]) -> str:
    """Let a few cells of one column be typed in another unit, in some tasks; return a note on it, or ""."""
    rng = setting.stream("units")
    skewed = [column for column in columns if column.number.shape == "skewed"]
    if not skewed or rng.random() > 0.2:
        return ""
    column = skewed[int(rng.integers(len(skewed)))]
    factor = (100, 1000)[int(rng.integers(2))]
    slipped = rng.random(len(column.cells)) < 0.03
    written = np.where(slipped, rounded(column.cells * factor, column.number.decimals), column.cells)
    sheet.cells[column.name] = np.where(column.is_missing, np.nan, written)
    told = f"Some entries of `{column.name}` were typed in a unit that is {factor} times smaller."
    return told if rng.random() < 0.6 else ""


def write_sentinel(setting: Setting, sheet: Sheet, columns: list[Measured]) -> str:
    """Write what is missing as a number such as -999, in some tasks; return a note on it, or ""."""
    rng = setting.stream("sentinel")
    affected = [column for column in columns if column.is_missing.any()]
    sentinel = _SENTINELS[int(rng.integers(len(_SENTINELS)))]
    if not affected or rng.random() > 0.2:
        return ""
    for column in affected:
        cells = sheet.cells[column.name]
        sheet.cells[column.name] = np.where(np.isnan(cells), sentinel, cells)
    return f"Numbers that are not known were entered as {sentinel}."


def write_copies(setting: Setting, sheet: Sheet, columns: list[Measured]) -> None:
    """Add up to two columns that say again, less exactly, what another one says."""
    rng = setting.stream("copies")
    for _ in range(int(rng.integers(3))):
        column = columns[int(rng.integers(len(columns)))]
        number = column.number
        unsure = rng.standard_normal(len(column.cells))
        if rng.random() < 0.5:
            factor = float(rng.choice([0.1, 0.453, 1.609, 12.0, 60.0]))
            cells = rounded(column.cells * factor * (1 + 0.02 * unsure), number.decimals)
            words, meaning = f"{number.words} converted", f"`{column.name}` in another unit, about"
        else:
            scale = float(column.cells.std())
            cells = rounded(column.cells + 0.4 * scale * unsure, number.decimals)
            words, meaning = f"{number.words} estimate", f"an earlier estimate of `{column.name}`"
        sheet.add(setting.style.feature(words), cells, setting.style.meaning(meaning))
