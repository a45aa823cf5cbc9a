"""Can a script look a task's rows up in a package that the sandbox has, such as scikit-learn's own data sets?

Rows are found whatever their columns are called and in whatever order they come: two columns of numbers whose
values a table of a package has, too, in the same rows.
"""

from __future__ import annotations

import bz2
import gzip
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from itertools import combinations
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

import numpy as np

from mledojo_env.sandbox import packages

if TYPE_CHECKING:
    from pandas import DataFrame

_ENDINGS = (".csv", ".csv.gz", ".csv.bz2", ".tsv", ".data", ".dat")
_MOST_BYTES = 50_000_000  # of a file that is read
_FEWEST_VALUES = 30  # different ones, for a column to tell one table from another
_SHARED = 0.9  # of a column's values, for it to be the package's column
_MOST_BY_CHANCE = 0.2  # of the rows, if cells of different rows are put together
_DIGITS = 6  # that count when numbers are compared


@dataclass(frozen=True)
class Found:
    """Where rows of a task were found."""

    file: str  # below site-packages, or the name of the table
    rows: int  # of the task's


def find_in_packages(table: DataFrame) -> Found | None:
    """Return where rows of a table are found among the data files of the sandbox's packages.

    Args:
        table: Rows of a task; columns of numbers are looked at.

    Returns:
        The file that has most of them, if it has more than half; else None.
    """
    return find_rows(table, _tables())


def find_rows(table: DataFrame, known: Iterable[tuple[str, np.ndarray]]) -> Found | None:
    """Return which known table (a name, and its numbers by `numbers_of`) has most of the rows of a table.

    None, if no table has more than half of them.
    """
    best: Found | None = None
    columns = _telling_columns(table)
    for name, numbers in known:
        rows = _rows_in(columns, numbers, len(table))
        if rows > len(table) / 2 and (best is None or rows > best.rows):
            best = Found(name, rows)
    return best


def numbers_of(table: DataFrame) -> np.ndarray:
    """Return the columns of a table that tell it from another, rounded; numbers, shape (rows, columns)."""
    import pandas as pd

    columns = (pd.to_numeric(table[name], errors="coerce").to_numpy(float) for name in table.columns)
    useful = [column for column in columns if len(np.unique(column[np.isfinite(column)])) >= _FEWEST_VALUES]
    return _rounded(np.array(useful).T if useful else np.empty((len(table), 0)))


def _rows_in(columns: list[np.ndarray], known: np.ndarray, rows: int) -> int:
    """Return how many rows have two cells that are next to each other in a row of a known table."""
    pairs = []
    for cells in columns:
        for place in range(known.shape[1]):
            values = known[:, place]
            if np.isin(cells, values).mean() >= _SHARED:
                pairs.append((cells, values))
    most = 0
    for (one, known_one), (other, known_other) in combinations(pairs, 2):
        if one is not other and known_one is not known_other:
            near = np.isin(known_one, one)
            there = {*zip(known_one[near].tolist(), known_other[near].tolist(), strict=True)}
            by_chance = _count(
                one, np.roll(other, len(other) // 2), there
            )  # small numbers go with each other
            if by_chance < _MOST_BY_CHANCE * rows:
                most = max(most, _count(one, other, there))
        if most == rows:
            break
    return most


def _count(one: np.ndarray, other: np.ndarray, there: set[tuple[float, float]]) -> int:
    return sum(pair in there for pair in zip(one.tolist(), other.tolist(), strict=True))


def _telling_columns(table: DataFrame) -> list[np.ndarray]:
    """Return the columns of numbers that have enough different values, rounded."""
    import pandas as pd

    found = []
    for name in table.columns:
        cells = pd.to_numeric(table[name], errors="coerce").to_numpy(float)
        if np.isfinite(cells).mean() > _SHARED and len(np.unique(cells)) >= _FEWEST_VALUES:
            found.append(_rounded(cells))
    return found


def _rounded(cells: np.ndarray) -> np.ndarray:
    size = np.where((cells == 0) | ~np.isfinite(cells), 1.0, np.abs(cells))
    scale = 10.0 ** (_DIGITS - 1 - np.floor(np.log10(size)))
    return np.round(cells * scale) / scale


@lru_cache(maxsize=1)
def _tables() -> tuple[tuple[str, np.ndarray], ...]:
    """Return the numbers in every table that a package of the sandbox ships, and its name."""
    return tuple(_read_all())


def _read_all() -> Iterator[tuple[str, np.ndarray]]:
    import pandas as pd

    for path, name in _data_files():
        try:
            with _opened(path) as file:
                lines = file.read().splitlines()
        except (OSError, EOFError):
            continue
        comma = sum("," in line for line in lines) > len(lines) / 2
        cells = [line.split(",") if comma else line.split() for line in lines]
        width, _ = Counter(map(len, cells)).most_common(1)[0] if cells else (0, 0)
        rows = [row for row in cells if len(row) == width]  # without a first line that counts the others
        numbers = numbers_of(pd.DataFrame(rows))
        if numbers.shape[1] > 1:
            yield name, numbers


def _opened(path: Path) -> IO[str]:
    opener: Any = {".gz": gzip.open, ".bz2": bz2.open}.get(path.suffix, open)
    return opener(path, "rt", encoding="latin-1")


def _data_files() -> Iterator[tuple[Path, str]]:
    for distribution in packages.resolve(packages.DEFAULT_PACKAGES).values():
        for file in distribution.files or ():
            path = Path(str(distribution.locate_file(file)))
            if file.name.endswith(_ENDINGS) and path.is_file() and path.stat().st_size < _MOST_BYTES:
                yield path, str(file)
