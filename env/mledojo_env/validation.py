"""A submission against the answers: rows in the same order, every cell fit to be scored, or a reason.

Messages are one line for the agent; they name the column or the first bad id.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from mledojo_env.errors import GradingError, InvalidSubmission
from mledojo_env.metrics import Metric, Prediction
from mledojo_env.submission import check_columns

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pandas import DataFrame, Series

    from mledojo_env.task import SubmissionFormat

_JOINT = "\x1f"  # between the parts of an id of several columns
_WHOLE = re.compile(r"-?(0|[1-9]\d*)")
_WHOLE_AS_FLOAT = re.compile(r"(-?(?:0|[1-9]\d*))\.0*")
_BLANKS = frozenset({"", "nan", "na", "n/a", "<na>", "nat", "none", "null"})
_TRUTH_VALUES = {"true": 1.0, "false": 0.0}
_EXACT = 2.0**53  # up to here, whole floats are told apart
_PROBABILITY_SLACK = 1e-6  # float32 rows that sum to one overshoot by less


@dataclass(frozen=True)
class Aligned:
    """Answers and predictions, row by row, in the order of the answers.

    One target gives shape (rows,), several (rows, targets). Labels are numbers or text, alike on both sides.
    """

    y_true: np.ndarray
    y_pred: np.ndarray
    columns: dict[str, np.ndarray]  # what the metric needs besides, shape (rows,)


def align(submission: DataFrame, answers: DataFrame, form: SubmissionFormat, metric: Metric) -> Aligned:
    """Return answers and predictions row by row.

    Args:
        submission: Id and target columns, as text or typed, rows and columns in any order.
        answers: The same columns with the truth, and what the metric needs; others are ignored.
        form: Which columns are ids and targets, and what targets hold.
        metric: Decides with `form` what a prediction may be.

    Raises:
        InvalidSubmission: If columns, ids or a value do not fit.
        GradingError: If the answers themselves do not.
    """
    for name in (*form.id, *form.targets, *metric.needs):
        if name not in answers.columns:
            raise GradingError(f"The answers have no column {name!r}; found {', '.join(map(str, answers))}.")
    submission = submission.set_axis([str(name) for name in submission.columns], axis="columns")
    check_columns(list(submission.columns), [*form.id, *form.targets])
    if len(submission) > 2 * len(answers) + 1000:  # not worth naming an id among millions
        raise InvalidSubmission(f"The submission has {len(submission)} rows; expected {len(answers)}.")
    ids = _ids(answers, form.id)
    rows = _match(ids, _ids(submission, form.id), form.id)
    truth, predicted = [], []
    for name in form.targets:
        column, cells = submission[name].iloc[rows], _Cells(name, ids)
        if metric.prediction in (Prediction.LABEL, Prediction.ORDINAL):
            whole = metric.prediction is Prediction.ORDINAL
            pair = _labels(answers[name], column, cells, whole_numbers=whole)
        else:
            values = _within_range(cells.numbers(column), cells, form, metric)
            pair = _trusted(answers[name], cells), values
        truth.append(pair[0])
        predicted.append(pair[1])
    needed = {name: _trusted(answers[name], _Cells(name, ids)) for name in metric.needs}
    if len(form.targets) == 1:
        return Aligned(truth[0], predicted[0], needed)
    return Aligned(np.column_stack(truth), np.column_stack(predicted), needed)


# --------------------------------------------------------------------------- ids


def _ids(table: DataFrame, names: Sequence[str]) -> list[str]:
    """Return one text for each row's id."""
    parts = [_texts(table[name]) for name in names]
    return parts[0] if len(parts) == 1 else [_JOINT.join(row) for row in zip(*parts, strict=True)]


def _match(expected: list[str], found: list[str], names: Sequence[str]) -> np.ndarray:
    """Return for each expected id the row where it was found.

    Raises:
        InvalidSubmission: If ids are blank, repeated, unknown or missing; names the first.
    """
    if not found:
        raise InvalidSubmission(f"The submission has no rows; expected {len(expected)}.")
    place = {text: row for row, text in enumerate(expected)}  # for a million ids, faster than an index
    if len(place) < len(expected):
        twice = next(text for row, text in enumerate(expected) if place[text] != row)
        raise GradingError(f"The answers hold the id {show_id(twice)} twice.")
    places = np.array([place.get(text, -1) for text in found])
    if (places < 0).any():
        found = _like(expected, found)
        places = np.array([place.get(text, -1) for text in found])
    counts = f"It has {len(found)} rows; expected {len(expected)}, one for each id of the test set."
    unknown = places < 0
    if unknown.any():
        row = int(unknown.argmax())
        if not found[row].replace(_JOINT, ""):
            raise InvalidSubmission(f"Column {'/'.join(names)!r} is blank in row {row + 1}. {counts}")
        raise InvalidSubmission(
            f"Id {show_id(found[row])} is not in the test set ({_rows(unknown)} such)."
            f"{_zeros_lost(expected, found[row])} {counts}"
        )
    times = np.bincount(places, minlength=len(expected))
    if (times > 1).any():
        raise InvalidSubmission(f"Id {show_id(expected[(times > 1).argmax()])} is there twice. {counts}")
    if (times == 0).any():
        missing = show_id(expected[(times == 0).argmax()])
        raise InvalidSubmission(f"Id {missing} is missing ({_rows(times == 0)} such). {counts}")
    rows = np.empty(len(expected), dtype=int)
    rows[places] = np.arange(len(found))
    return rows


def _like(expected: list[str], found: list[str]) -> list[str]:
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


def _zeros_lost(expected: list[str], found: str) -> str:
    """Return a hint for 7 where the test set has 007: pandas reads such ids as numbers unless told not to."""
    for text in expected:
        if text.lstrip("0") == found and text != found:
            return f" The test set has {show_id(text)}: read ids as text (dtype=str)."
    return ""


def show_id(text: str) -> str:
    """Return an id as messages name it, on one line."""
    shown = "".join(letter if letter.isprintable() else " " for letter in text.replace(_JOINT, ", "))
    return shown if len(shown) <= 60 else shown[:57] + "..."


def _texts(column: Series) -> list[str]:
    """Return cells as text: whole floats without their .0, missing ones as ""."""
    values = column.tolist()
    try:
        return list(map(str.strip, values))
    except TypeError:  # not all text
        return [_cell_text(value) for value in values]


def _cell_text(value: object) -> str:
    if isinstance(value, str):
        return value.strip()
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return "" if _is_missing(value) else str(value).strip()


def _is_missing(value: object) -> bool:
    import pandas as pd

    if isinstance(value, float | np.floating):
        return bool(np.isnan(value))
    return value is None or value is pd.NA or value is pd.NaT


# --------------------------------------------------------------------------- values


@dataclass(frozen=True)
class _Cells:
    """One target column, whose rows have these ids: reads it, and names what is wrong with it."""

    name: str
    ids: Sequence[str]

    def numbers(self, column: Series) -> np.ndarray:
        """Return finite floats, shape (rows,)."""
        from pandas.api import types

        kind = column.dtype
        if types.is_bool_dtype(kind) or types.is_complex_dtype(kind) or types.is_datetime64_any_dtype(kind):
            raise InvalidSubmission(f"Column {self.name!r} holds {kind} values; expected numbers.")
        if types.is_numeric_dtype(kind):
            values = column.to_numpy(dtype=np.float64, na_value=np.nan)
        else:
            values = self._parse(column)
        self.refuse(np.isnan(values), "is blank or NaN; expected a finite number")
        self.refuse(np.isinf(values), "is infinite or too large; expected a finite number")
        return values

    def _parse(self, column: Series) -> np.ndarray:
        import pandas as pd

        cells = column.astype(object)
        is_text = pd.api.types.infer_dtype(cells, skipna=False) == "string"
        if is_text:  # what read_submission gives: a million cells in a tenth of a second
            values = pd.to_numeric(cells, errors="coerce").to_numpy(np.float64)
        else:
            values = np.array([_number(value) for value in cells.tolist()], dtype=np.float64)
        raw = cells.tolist()
        wrong = next((row for row in np.flatnonzero(np.isnan(values)) if not _is_blank(raw[row])), None)
        if wrong is not None:
            problem = f"is {_shown(raw[wrong])}; expected a number"
            self.refuse(np.arange(len(values)) == wrong, problem, count=False)
        return values

    def refuse(self, bad: np.ndarray, problem: str, *, count: bool = True) -> None:
        """Raise for the first bad row, if there is one."""
        if bad.any():
            several = f" ({_rows(bad)} such)" if count else ""
            raise InvalidSubmission(
                f"Column {self.name!r} {problem}: at id {show_id(self.ids[int(bad.argmax())])}{several}."
            )


def _within_range(values: np.ndarray, cells: _Cells, form: SubmissionFormat, metric: Metric) -> np.ndarray:
    """Return the values, float noise around [0, 1] clipped; refuse what lies outside."""
    if metric.prediction is Prediction.PROBABILITY or form.value == "probability":
        outside = (values < -_PROBABILITY_SLACK) | (values > 1 + _PROBABILITY_SLACK)
        first = values[outside][:1]
        cells.refuse(outside, f"is {first[0] if len(first) else ''}; expected a probability from 0 to 1")
        return np.clip(values, 0, 1)
    if metric.prediction is Prediction.NON_NEGATIVE:
        first = values[values < 0][:1]
        problem = f"is {first[0] if len(first) else ''}; {metric.name} needs numbers of at least 0"
        cells.refuse(values < 0, problem)
    return values


def _labels(
    truth: Series, predicted: Series, cells: _Cells, *, whole_numbers: bool
) -> tuple[np.ndarray, np.ndarray]:
    """Return both columns as labels that compare: numbers if every answer is one (True is 1), else text."""
    texts, found = _texts(truth), _texts(predicted)
    known = set(texts)
    if {text.casefold() for text in known} <= _TRUTH_VALUES.keys():
        values = np.array([_TRUTH_VALUES.get(text.casefold(), _number(text)) for text in found])
        cells.refuse(~np.isin(values, (0, 1)), "holds something else than True and False")
        return _trusted(truth, cells), values
    if whole_numbers or all(_is_plain_number(text) for text in known):
        values = cells.numbers(predicted)
        if whole_numbers:
            cells.refuse(values != np.round(values), "is not a whole number")
        answers = _trusted(truth, cells)
        if whole_numbers or np.abs(answers).max() < _EXACT:
            return answers, values
        return np.array(texts, dtype=object), np.array(found, dtype=object)
    cells.refuse(
        np.array([text.casefold() in _BLANKS and text not in known for text in found]),
        "is blank or NaN; expected a label",
    )
    return np.array(texts, dtype=object), np.array(found, dtype=object)


def _trusted(column: Series, cells: _Cells) -> np.ndarray:
    """Return an answers' column as finite floats (True is 1); what is wrong with it is our fault."""
    texts = set() if _is_numeric(column) else {text.casefold() for text in set(_texts(column))}
    if texts and texts <= _TRUTH_VALUES.keys():
        return np.array([_TRUTH_VALUES[text.casefold()] for text in _texts(column)])
    try:
        return cells.numbers(column)
    except InvalidSubmission as error:
        raise GradingError(f"The answers are broken: {error}") from error


def _is_numeric(column: Series) -> bool:
    from pandas.api import types

    return bool(types.is_numeric_dtype(column.dtype) and not types.is_bool_dtype(column.dtype))


def _number(value: object) -> float:
    if isinstance(value, bool | np.bool_ | complex | np.complexfloating | bytes):
        return np.nan
    try:
        return float(value)  # type: ignore[arg-type]
    except OverflowError:
        return np.inf
    except (TypeError, ValueError):
        return np.nan


def _is_plain_number(text: str) -> bool:
    """Whether a label is a number that loses nothing when read as one (007 does)."""
    if re.match(r"-?0\d", text):
        return False
    try:
        return bool(np.isfinite(float(text)))
    except ValueError:
        return False


def _is_blank(value: object) -> bool:
    return _is_missing(value) or (isinstance(value, str) and value.strip().casefold() in _BLANKS)


def _shown(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."


def _rows(mask: np.ndarray) -> str:
    count = int(mask.sum())
    return f"{count} row{'s' * (count != 1)}"
