"""From the bytes of a submission.csv to a table of text: nothing is guessed, converted or executed."""

from __future__ import annotations

import codecs
import csv
import io
from collections.abc import Sequence
from typing import TYPE_CHECKING

from mledojo_env.errors import InvalidSubmission, did_you_mean

if TYPE_CHECKING:
    from pandas import DataFrame

_MEGABYTE = 1_000_000
_MAX_COLUMNS = 10_000
_HEADER_CHARS = 1_000_000


def max_submission_bytes(sample_bytes: int) -> int:
    """Return the size beyond which a file is refused unread.

    Twenty times the sample submission leaves room for every digit of a float64 where the sample says 0, and
    1 MB for a tiny sample. Beyond 64 MB parsing costs gigabytes, so there three times the sample must do.
    """
    generous = max(_MEGABYTE, 20 * sample_bytes)
    return min(generous, max(64 * _MEGABYTE, 3 * sample_bytes))


def read_submission(data: bytes, expected: Sequence[str] | None = None) -> DataFrame:
    """Return the table in a CSV file, every cell as text (a blank is "").

    Args:
        data: The file's bytes: UTF-8 with or without a byte order mark, comma-separated, with a header.
        expected: The columns to be found, checked before any row is parsed; None takes what there is.

    Raises:
        InvalidSubmission: If it is empty, not text, not comma-separated, ragged, or the columns do not fit.
    """
    import pandas as pd

    columns = _header(_text(data))
    if expected is not None:
        check_columns(columns, expected)
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


def check_columns(found: Sequence[str], expected: Sequence[str]) -> None:
    """Check that exactly the expected columns are there, in any order.

    Raises:
        InvalidSubmission: If one is renamed, missing, unexpected or there twice.
    """
    repeated = next((name for index, name in enumerate(found) if name in found[:index]), None)
    if repeated is not None:
        raise InvalidSubmission(f"Column {_shown(repeated)} is there twice; expected {', '.join(expected)}.")
    missing = [name for name in expected if name not in found]
    extra = [name for name in found if name not in expected]
    listed = ", ".join(expected[:20]) + (f" ... ({len(expected)} in all)" if len(expected) > 20 else "")
    for name in missing:
        nearest = _nearest(name, extra)
        if nearest is not None:
            raise InvalidSubmission(f"Column renamed: found {_shown(nearest)}, expected {name!r}.")
    if missing:
        raise InvalidSubmission(f"Column {missing[0]!r} is missing; expected the columns {listed}.")
    if extra:
        index = " Write it with index=False." if extra[0] in ("", "index", "Unnamed: 0") else ""
        raise InvalidSubmission(f"Column {_shown(extra[0])} is not expected; expected just {listed}.{index}")


def _nearest(name: str, extra: Sequence[str]) -> str | None:
    by_folded = {other.strip().casefold(): other for other in extra}
    folded = name.strip().casefold()
    if folded in by_folded:
        return by_folded[folded]
    short = [other for other in by_folded if len(other) <= 100][:1000]
    return next((by_folded[other] for other in short if repr(other) in did_you_mean(folded, short)), None)


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


def _shown(name: str) -> str:
    return repr(name if len(name) <= 60 else name[:57] + "...")
