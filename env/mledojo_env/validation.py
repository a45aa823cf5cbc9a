"""A submission against the answers: rows in the same order, every cell fit to be scored, or a reason.

Messages are one line for the agent; they name the column or the first bad id.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from mledojo_env.errors import GradingError, InvalidSubmission
from mledojo_env.ids import Ids, cell_texts, count_rows, is_missing, match, show_id, written_alike, zeros_lost
from mledojo_env.metrics import Metric, Prediction
from mledojo_env.submission import check_columns

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pandas import DataFrame, Series

    from mledojo_env.task import SubmissionFormat

_BLANKS = frozenset({"", "nan", "na", "n/a", "<na>", "nat", "none", "null"})
_TRUTH_VALUES = {"true": 1.0, "false": 0.0}
_EXACT = 2.0**53  # up to here, whole floats are told apart
_ROWS_AN_ID = 100  # at most, where there may be several
_PROBABILITY_SLACK = 1e-6  # float32 rows that sum to one overshoot by less


@dataclass(frozen=True)
class Aligned:
    """Answers and predictions, row by row, in the order of the answers.

    One target gives shape (rows,), several (rows, targets). Labels are numbers or text, alike on both sides.
    Where an id has several rows, there is one row an id here, whose elements are tuples of text.
    """

    y_true: np.ndarray
    y_pred: np.ndarray
    columns: dict[str, np.ndarray]  # what the metric needs besides, shape (rows,)
    ids: Sequence[str]  # of the rows of the answers
    first: np.ndarray  # where in the answers each row is first found, shape (rows,)


def align(
    submission: DataFrame,
    answers: DataFrame,
    form: SubmissionFormat,
    metric: Metric,
    ids: Ids | None = None,
) -> Aligned:
    """Return answers and predictions row by row, of the rows and targets that count.

    Args:
        submission: Id and target columns, as text or typed, rows and columns in any order.
        answers: The same columns with the truth, and what the metric needs; others are ignored.
        form: Which columns are ids and targets, and what targets hold.
        metric: Decides with `form` what a prediction may be, and what counts.
        ids: Those of the answers, where they are known already.

    Raises:
        InvalidSubmission: If columns, ids or a value do not fit.
        GradingError: If the answers themselves do not.
    """
    check_answers(answers, form, metric)
    submission = submission.set_axis([str(name) for name in submission.columns], axis="columns")
    check_columns(list(submission.columns), [*form.id, *form.targets])
    ids = Ids(answers, form.id) if ids is None else ids
    if form.rows == "several":
        return _that_count(_align_groups(submission, answers, form, metric, ids), metric)
    if len(submission) > 2 * len(answers) + 1000:  # not worth naming an id among millions
        raise InvalidSubmission(f"The submission has {len(submission)} rows; expected {len(answers)}.")
    rows = match(ids, Ids(submission, form.id))
    truth, predicted = [], []
    for name in form.targets:
        column, cells = submission[name].iloc[rows], _Cells(name, ids)
        if metric.prediction in (Prediction.LABEL, Prediction.ORDINAL):
            whole = metric.prediction is Prediction.ORDINAL
            pair = _labels(answers[name], column, cells, whole_numbers=whole)
        elif metric.prediction is Prediction.TEXT:
            pair = _objects(cell_texts(answers[name])), _objects(cell_texts(column))
            if not metric.allows_blank:
                cells.refuse(pair[1] == "", "is blank; expected text")
        else:
            values = _within_range(cells.numbers(column), cells, form, metric)
            pair = _trusted(answers[name], cells), values
        if name in (metric.scored_columns or form.targets):
            truth.append(pair[0])
            predicted.append(pair[1])
    needed = {name: _needed(answers[name], _Cells(name, ids)) for name in metric.needed_columns}
    aligned = Aligned(_side_by_side(truth), _side_by_side(predicted), needed, ids, np.arange(len(ids)))
    return _that_count(aligned, metric)


def check_answers(answers: DataFrame, form: SubmissionFormat, metric: Metric) -> None:
    """Check that the answers have every column that is needed.

    Raises:
        GradingError: If one is missing, or the metric scores a column that is no target; names it.
    """
    for name in (*form.id, *form.targets, *metric.needed_columns):
        if name not in answers.columns:
            raise GradingError(f"The answers have no column {name!r}; found {', '.join(map(str, answers))}.")
    for name in metric.scored_columns:
        if name not in form.targets:
            raise GradingError(f"scored_columns of {metric.name} names {name!r}, which is no target.")


def numeric_targets(answers: DataFrame, form: SubmissionFormat, metric: Metric) -> list[str]:
    """Return the targets of which only the numbers matter, not how they are written."""
    if metric.prediction is Prediction.TEXT:
        return []
    if metric.prediction is not Prediction.LABEL:
        return list(form.targets)
    return [name for name in form.targets if _are_numeric_labels(answers[name])]


def _side_by_side(columns: list[np.ndarray]) -> np.ndarray:
    """Return columns as one array, which a single one is already."""
    return columns[0] if len(columns) == 1 else np.column_stack(columns)


def _that_count(aligned: Aligned, metric: Metric) -> Aligned:
    """Return the rows that the metric's mask leaves."""
    if metric.mask_column is None:
        return aligned
    mask = aligned.columns[metric.mask_column]
    if mask.dtype == object or not np.isin(mask, (0, 1)).all():
        raise GradingError(f"The mask {metric.mask_column!r} of the answers is not all 0 and 1.")
    keep = np.flatnonzero(mask)
    return Aligned(
        aligned.y_true[keep],
        aligned.y_pred[keep],
        {name: values[keep] for name, values in aligned.columns.items()},
        aligned.ids,
        aligned.first[keep],
    )


def _align_groups(
    submission: DataFrame, answers: DataFrame, form: SubmissionFormat, metric: Metric, ids: Ids
) -> Aligned:
    """Return answers and predictions id by id: the cells of its rows in their order, without blanks."""
    if metric.prediction is not Prediction.TEXT or len(form.targets) != 1:
        raise GradingError(f"Several rows an id need one target of text; {metric.name} takes no such thing.")
    (target,) = form.targets
    listed = ids.texts
    place = {text: number for number, text in enumerate(dict.fromkeys(listed))}
    if len(submission) > _ROWS_AN_ID * len(place) + 1000:
        raise InvalidSubmission(
            f"The submission has {len(submission)} rows; expected at most {_ROWS_AN_ID} for each of "
            f"{len(place)} ids."
        )
    found = Ids(submission, form.id).texts
    if any(text not in place for text in found):
        found = written_alike(list(place), found)
    unknown = np.array([text not in place for text in found], dtype=bool)
    expected = f"Expected at least one row for each of {len(place)} ids."
    if unknown.any():
        name = found[int(unknown.argmax())]
        hint = zeros_lost(list(place), name)
        raise InvalidSubmission(
            f"Id {show_id(name)} is not in the test set ({count_rows(unknown)} such).{hint} {expected}"
        )
    missing = place.keys() - set(found)
    if missing:
        name = show_id(min(missing, key=place.__getitem__))
        raise InvalidSubmission(f"Id {name} is missing ({len(missing)} such). {expected}")

    def grouped(ids: list[str], cells: list[str]) -> np.ndarray:
        groups: list[list[str]] = [[] for _ in place]
        for text, cell in zip(ids, cells, strict=True):
            if cell:
                groups[place[text]].append(cell)
        return _objects([tuple(group) for group in groups])

    truth = grouped(listed, cell_texts(answers[target]))
    predicted = grouped(found, cell_texts(submission[target]))
    names = list(place)
    cells = _Cells(target, names)
    if not metric.allows_blank:
        cells.refuse(np.array([not group for group in predicted]), "is blank; expected text")
    first = np.unique([place[text] for text in listed], return_index=True)[1]
    columns = {
        name: _needed(answers[name].iloc[first], _Cells(name, names)) for name in metric.needed_columns
    }
    return Aligned(truth, predicted, columns, ids, first)


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

    def labels(self, column: Series, *, whole_numbers: bool) -> np.ndarray:
        """Return labels that are numbers, as finite floats."""
        values = self.numbers(column)
        if whole_numbers:
            self.refuse(values != np.round(values), "is not a whole number")
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
            several = f" ({count_rows(bad)} such)" if count else ""
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
    if _are_numeric_labels(truth) or (whole_numbers and _is_numeric(truth)):
        return _trusted(truth, cells), cells.labels(predicted, whole_numbers=whole_numbers)
    texts, found = cell_texts(truth), cell_texts(predicted)
    known = set(texts)
    if {text.casefold() for text in known} <= _TRUTH_VALUES.keys():
        values = np.array([_TRUTH_VALUES.get(text.casefold(), _number(text)) for text in found])
        cells.refuse(~np.isin(values, (0, 1)), "holds something else than True and False")
        return _trusted(truth, cells), values
    if whole_numbers or all(_is_plain_number(text) for text in known):
        values = cells.labels(predicted, whole_numbers=whole_numbers)
        answers = _trusted(truth, cells)
        if whole_numbers or np.abs(answers).max() < _EXACT:
            return answers, values
        return _objects(texts), _objects(found)
    blank = {text for text in set(found) if text.casefold() in _BLANKS and text not in known}
    if blank:
        cells.refuse(np.array([text in blank for text in found]), "is blank or NaN; expected a label")
    return _objects(texts), _objects(found)


def _are_numeric_labels(truth: Series) -> bool:
    """Return whether labels are compared as numbers, at the first look."""
    return _is_numeric(truth) and bool(truth.abs().max() < _EXACT)


def _trusted(column: Series, cells: _Cells) -> np.ndarray:
    """Return an answers' column as finite floats (True is 1); what is wrong with it is our fault."""
    if column.dtype == bool:
        return column.to_numpy(np.float64)
    texts = set() if _is_numeric(column) else {text.casefold() for text in set(cell_texts(column))}
    if texts and texts <= _TRUTH_VALUES.keys():
        return np.array([_TRUTH_VALUES[text.casefold()] for text in cell_texts(column)])
    try:
        return cells.numbers(column)
    except InvalidSubmission as error:
        raise GradingError(f"The answers are broken: {error}") from error


def _needed(column: Series, cells: _Cells) -> np.ndarray:
    """Return a further column of the answers: finite floats if every cell is a number, text else."""
    if _is_numeric(column):
        return _trusted(column, cells)
    texts = cell_texts(column)
    distinct = {text.casefold() for text in set(texts)}
    is_text = not all(text in _TRUTH_VALUES or np.isfinite(_number(text)) for text in distinct - _BLANKS)
    if is_text and not distinct & _BLANKS:
        return _objects(texts)
    return _trusted(column, cells)


def _objects(values: Sequence[object]) -> np.ndarray:
    """Return an array of objects, shape (values,), whatever they are."""
    return np.fromiter(values, dtype=object, count=len(values))


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
    return is_missing(value) or (isinstance(value, str) and value.strip().casefold() in _BLANKS)


def _shown(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."
