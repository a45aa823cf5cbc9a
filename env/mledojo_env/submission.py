"""From the bytes of a submission.csv to a table of text: nothing is guessed, converted or executed."""

from __future__ import annotations

import codecs
import csv
import io
from collections import Counter
from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any

import numpy as np

from mledojo_env.errors import InvalidSubmission

if TYPE_CHECKING:
    from pandas import DataFrame

_MEGABYTE = 1_000_000
_MAX_COLUMNS = 10_000
_HEADER_CHARS = 1_000_000
_COMPARED_CHARS, _COMPARED_NAMES = 60, 50


def max_submission_bytes(sample_bytes: int) -> int:
    """Return the size beyond which a file is refused unread.

    Twenty times the sample submission leaves room for every digit of a float64 where the sample says 0, and
    1 MB for a tiny sample. Beyond 64 MB parsing costs gigabytes, so there three times the sample must do.
    """
    generous = max(_MEGABYTE, 20 * sample_bytes)
    return min(generous, max(64 * _MEGABYTE, 3 * sample_bytes))


def read_submission(
    data: bytes,
    expected: Sequence[str] | None = None,
    *,
    numbers: Sequence[str] = (),
    widths: Mapping[str, int] | None = None,
) -> DataFrame:
    """Return the table in a CSV file, every cell as text (a blank is "").

    Text is made cell by cell, which takes most of the time. Where a file is what is hoped for, columns come
    without that: as floats, or as bytes.

    Args:
        data: The file's bytes: UTF-8 with or without a byte order mark, comma-separated, with a header.
        expected: The columns to be found, checked before any row is parsed; None takes what there is.
        numbers: Columns that come as floats, if every cell of all of them is one.
        widths: Columns that come as bytes, of one width for the whole column, if no cell has more bytes than
            this. Either all of `numbers` and `widths` come so, or none.

    Raises:
        InvalidSubmission: If it is empty, not text, not comma-separated, ragged, or the columns do not fit.
    """
    import pandas as pd

    columns = _header(_text(data))
    if expected is not None:
        check_columns(columns, expected)
    if numbers or widths:
        typed = _read_typed(data, columns, numbers, widths or {})
        if typed is not None:
            return typed
    try:
        table = pd.read_csv(
            io.BytesIO(data), header=None, dtype=object, keep_default_na=False, encoding="utf-8", engine="c"
        )
    except (pd.errors.ParserError, pd.errors.EmptyDataError, ValueError, OverflowError) as error:
        if "out of memory" in str(error):
            raise MemoryError from error
        reason = " ".join(str(error).removeprefix("Error tokenizing data. C error: ").split())
        raise InvalidSubmission(f"submission.csv is not a CSV file: {reason[:200]}.") from error
    if table.shape[1] != len(columns):
        raise InvalidSubmission(
            f"submission.csv is not a CSV file: its header has {len(columns)} fields, "
            f"its rows {table.shape[1]}."
        )
    table = table.iloc[1:].reset_index(drop=True)
    table.columns = pd.Index(columns, dtype=object)
    return table


def _read_typed(
    data: bytes, columns: Sequence[str], numbers: Sequence[str], widths: Mapping[str, int]
) -> DataFrame | None:
    """Return the table with columns of floats and of bytes, or None if anything is out of the ordinary."""
    import pandas as pd

    body = data.find(b"\n") + 1
    header = data[:body].decode("utf-8-sig").rstrip("\r\n")
    if header.split(",") != columns:  # quotes, blank lines before it, or no line end
        return None
    floats = frozenset(numbers)
    types: dict[int, Any] = {
        place: np.float64 if name in floats else f"S{widths[name] + 1}" if name in widths else object
        for place, name in enumerate(columns)
    }
    stream = io.BytesIO(data)
    stream.seek(body)
    try:
        table = pd.read_csv(stream, header=None, dtype=types, na_filter=False, encoding="utf-8", engine="c")
    except (pd.errors.ParserError, pd.errors.EmptyDataError, ValueError, OverflowError):
        return None
    if table.shape[1] != len(columns):
        return None
    table.columns = pd.Index(columns, dtype=object)
    for name, width in widths.items():
        cells = np.ascontiguousarray(table[name].to_numpy(), dtype=f"S{width + 1}")
        if cells.view(np.uint8).reshape(len(cells), -1)[:, width].any():
            return None  # a cell fills the byte beyond, so it may have lost its end
    if any(table[name].isin((0, 1)).all() for name in numbers):
        letters = data.lower()
        if b"true" in letters or b"false" in letters:
            return None  # pandas takes a column of nothing but truth values for numbers
    return table


def check_columns(found: Sequence[str], expected: Sequence[str]) -> None:
    """Check that exactly the expected columns are there, in any order.

    Raises:
        InvalidSubmission: If one is renamed, missing, unexpected or there twice.
    """
    wanted, there = set(expected), set(found)
    missing = [name for name in expected if name not in there]
    extra = [name for name in found if name not in wanted]
    listed = ", ".join(expected[:20]) + (f" ... ({len(expected)} in all)" if len(expected) > 20 else "")
    value = next((name for name in found if _is_number(name)), None)
    if value is not None and len(missing) == len(expected):
        raise InvalidSubmission(
            f"Column {missing[0]!r} is missing: the first line holds {_shown(value)} and is no header; "
            f"expected the columns {listed}."
        )
    if len(there) < len(found):
        repeated = next(name for name, count in Counter(found).items() if count > 1)
        raise InvalidSubmission(f"Column {_shown(repeated)} is there twice; expected {listed}.")
    renamed = _renamed(missing, extra)
    if renamed:
        raise InvalidSubmission(f"Column renamed: found {_shown(renamed[0])}, expected {renamed[1]!r}.")
    if missing:
        raise InvalidSubmission(f"Column {missing[0]!r} is missing; expected the columns {listed}.")
    if extra:
        index = " Write it with index=False." if extra[0] in ("", "index", "Unnamed: 0") else ""
        raise InvalidSubmission(f"Column {_shown(extra[0])} is not expected; expected just {listed}.{index}")


def _renamed(missing: Sequence[str], extra: Sequence[str]) -> tuple[str, str] | None:
    """Return a column that seems to be a missing one under another name, and that one's name.

    Only the first few names are compared letter by letter: an agent's file may hold thousands of long ones.
    """
    by_folded = {other.strip().casefold(): other for other in extra}
    for name in missing:
        if name.strip().casefold() in by_folded:
            return by_folded[name.strip().casefold()], name
    short = [other for other in by_folded if len(other) <= _COMPARED_CHARS][:_COMPARED_NAMES]
    for name in missing[:1]:
        nearest = get_close_matches(name.strip().casefold(), short, n=1, cutoff=0.5)
        if nearest:
            return by_folded[nearest[0]], name
    return None


def _text(data: bytes) -> str:
    """Return the beginning of the file as text, long enough for the header; all of it has been decoded."""
    if not data.strip():
        raise InvalidSubmission("submission.csv is empty.")
    if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        raise InvalidSubmission("submission.csv is UTF-16 text; expected UTF-8.")
    nul = data.find(b"\0")
    if nul >= 0:
        raise InvalidSubmission(f"submission.csv is not text: it has a NUL byte at offset {nul}.")
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        byte = data[error.start]
        raise InvalidSubmission(
            f"submission.csv is not UTF-8 text: byte 0x{byte:02x} at offset {error.start}."
        ) from error
    return text[:_HEADER_CHARS]


def _header(text: str) -> list[str]:
    try:
        columns = next((row for row in csv.reader(io.StringIO(text)) if row), [])
    except csv.Error as error:
        raise InvalidSubmission(f"submission.csv is not a CSV file: its header: {error}.") from error
    if len(columns) > _MAX_COLUMNS:
        raise InvalidSubmission(
            f"submission.csv has {len(columns)} columns; at most {_MAX_COLUMNS} are read."
        )
    if len(columns) == 1:
        for separator, name in ((";", "semicolons"), ("\t", "tabs"), ("|", "bars")):
            if separator in columns[0]:
                raise InvalidSubmission(f"submission.csv is separated by {name}; expected commas.")
    return columns


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _shown(name: str) -> str:
    return repr(name if len(name) <= 60 else name[:57] + "...")
