"""How a generated task looks: names of columns, files, ids and classes, different from task to task.

None of it matters to the answer, and all of it varies, so that a policy has to read what is there.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, TypeVar

import numpy as np

if TYPE_CHECKING:
    from pandas import DataFrame

Item = TypeVar("Item")

_PLAIN_FILES = 0.6  # share of tasks whose tables are train.csv and test.csv
_FILES = {
    "train": (
        "training_data",
        "train_set",
        "labelled",
        "training",
        "known",
        "history",
        "train_data",
        "Train",
    ),
    "test": (
        "test_data",
        "test_set",
        "unlabelled",
        "evaluation",
        "to_predict",
        "holdout",
        "test_rows",
        "Test",
    ),
}
_IDS = ("id", "ID", "Id", "row_id", "{}_id", "{}Id", "{}_no", "{}_key", "record", "index", "case", "ref")


def _snake(words: list[str]) -> str:
    return "_".join(words).lower()


def _camel(words: list[str]) -> str:
    return words[0].lower() + "".join(word.capitalize() for word in words[1:])


def _pascal(words: list[str]) -> str:
    return "".join(word.capitalize() for word in words)


def _upper(words: list[str]) -> str:
    return "_".join(words).upper()


def _title(words: list[str]) -> str:
    return " ".join(words).capitalize()


def _dotted(words: list[str]) -> str:
    return ".".join(words).lower()


def _short(words: list[str]) -> str:
    """Vowels inside words are dropped, as in old databases: monthly fee becomes mnthly_fee."""
    return "_".join(word[0] + re.sub("[aeiou]", "", word[1:]) if len(word) > 4 else word for word in words)


def _joined(words: list[str]) -> str:
    return "".join(words).lower()


_COLUMN_STYLES: tuple[tuple[Callable[[list[str]], str], float], ...] = (
    (_snake, 0.34),
    (_camel, 0.12),
    (_pascal, 0.14),
    (_upper, 0.1),
    (_title, 0.1),
    (_dotted, 0.06),
    (_short, 0.08),
    (_joined, 0.06),
)
_OPAQUE = 0.12  # share of tasks whose features are anonymous
_OPAQUE_STYLES = ("f{}", "x{}", "V{}", "feature_{}", "var_{:02d}", "c{:03d}", "attr{}", "Col{}")
_YES_NO: tuple[tuple[int | str | bool, int | str | bool], ...] = (
    (0, 1),
    (0, 1),
    (0, 1),
    ("no", "yes"),
    ("N", "Y"),
    ("No", "Yes"),
    (False, True),
)


class Style:
    """The look of one task, drawn once. Names are handed out in the order of the calls, none twice."""

    def __init__(self, rng: np.random.Generator) -> None:
        self._rng = rng
        styles, weights = zip(*_COLUMN_STYLES, strict=True)
        self._write: Callable[[list[str]], str] = styles[rng.choice(len(styles), p=np.array(weights))]
        self.is_opaque: bool = bool(rng.random() < _OPAQUE)  # whether features are to be anonymous
        self._opaque = self.pick(_OPAQUE_STYLES)
        self._has_plain_files = bool(rng.random() < _PLAIN_FILES)
        self._file_variant = int(rng.integers(len(_FILES["train"])))
        self._taken: dict[str, None] = {}
        self._features = int(rng.integers(2))  # where anonymous features start to count
        self._file_style = self.pick((_snake, _snake, _camel, _joined))

    def pick(self, items: Sequence[Item]) -> Item:
        """Return one of several things."""
        return items[int(self._rng.integers(len(items)))]

    def chance(self, share: float) -> bool:
        """Return True in a share of the tasks."""
        return bool(self._rng.random() < share)

    def column(self, words: str) -> str:
        """Return the name of a column that is about `words`, e.g. "monthly fee" -> MonthlyFee."""
        return self._free(self._write(re.findall(r"[A-Za-z0-9]+", words)))

    def feature(self, words: str) -> str:
        """Return the name of a feature: as `column`, or an anonymous one such as x7."""
        if not self.is_opaque:
            return self.column(words)
        self._features += 1
        return self._free(self._opaque.format(self._features - 1))

    def meaning(self, text: str) -> str:
        """Return what the description says about a feature: nothing where they are anonymous."""
        return "anonymous" if self.is_opaque else text

    def id_column(self, entity: str) -> str:
        """Return the name of the id column of a table of `entity` (singular, e.g. "loan")."""
        words = re.findall(r"[A-Za-z0-9]+", entity.lower())
        return self._free(self.pick(_IDS).format("_".join(words)))

    def ids(self, train: int, test: int) -> tuple[list[int] | list[str], list[int] | list[str]]:
        """Return ids for the rows of both tables, in any order that tells nothing: no two alike."""
        total = train + test
        way = self.pick(("count", "count", "one", "thousand", "random", "letters", "hex"))
        if way in ("count", "one", "thousand"):
            start = {"count": 0, "one": 1, "thousand": 1000 * int(self._rng.integers(1, 90))}[way]
            numbers = [start + number for number in range(total)]
            return numbers[:train], numbers[train:]
        drawn = self._rng.permutation(20 * total)[:total] + 10_000
        if way == "random":
            return drawn[:train].tolist(), drawn[train:].tolist()
        letter = self.pick("ABCDEFGHKLMNPRSTUVWXYZ")
        if way == "letters":
            texts = [f"{letter}{number:06d}" for number in drawn.tolist()]
        else:  # an odd factor keeps them apart; g- keeps pandas from taking 12e5 for a number
            texts = [f"{letter.lower()}{number * 2654435761 % 2**32:08x}" for number in drawn.tolist()]
        return texts[:train], texts[train:]

    def table_file(self, role: str) -> str:
        """Return a table's file name: `role` is "train", "test", or what it is about ("shop details")."""
        return f"{self._stem(role)}.csv"

    def array_file(self, role: str) -> str:
        """Return the file name of the images that belong to the rows of a table."""
        return f"{self._stem(role)}_images.npz"

    def yes_no(self) -> tuple[int | str | bool, int | str | bool]:
        """Return how the two classes of a yes-or-no target are written, no first."""
        return self.pick(_YES_NO)

    def shuffled(self, table: DataFrame, first: Sequence[str] = ()) -> DataFrame:
        """Return a table with its columns in another order, those of `first` before all others."""
        rest = [name for name in table.columns if name not in first]
        order = self._rng.permutation(len(rest))
        return table[[*first, *(rest[place] for place in order)]]

    def _stem(self, role: str) -> str:
        if role not in _FILES:
            return self._file_style(re.findall(r"[A-Za-z0-9]+", role))
        return role if self._has_plain_files else _FILES[role][self._file_variant]

    def _free(self, name: str) -> str:
        """Return a name that is not in use yet, whatever its case; numbered if it is."""
        number, found = 1, name
        while found.lower() in self._taken:
            number += 1
            found = f"{name}{number}"
        self._taken[found.lower()] = None
        return found


def rounded(values: np.ndarray, decimals: int) -> np.ndarray:
    """Return floats as they are written, without a negative zero."""
    return np.round(np.asarray(values, dtype=float), decimals) + 0.0
