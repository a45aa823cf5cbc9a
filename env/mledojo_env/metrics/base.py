"""What a metric is, and the registry that finds one by name."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from functools import lru_cache
from importlib import import_module
from typing import Any, TypeVar, get_type_hints

import numpy as np
from numpy.typing import ArrayLike

from mledojo_env.errors import ConfigError, GradingError, did_you_mean

_MODULES = (
    "classification",
    "competition",
    "correlation",
    "curves",
    "detection",
    "masks",
    "probability",
    "ranking",
    "regression",
    "text",
)

Function = TypeVar("Function", bound=Callable[..., float])


class Prediction(StrEnum):
    """What a metric can be computed from; whatever lies outside is an invalid submission."""

    NUMBER = "number"  # any finite number
    NON_NEGATIVE = "non-negative"  # a finite number, at least 0
    PROBABILITY = "probability"  # within [0, 1]
    LABEL = "label"  # a class; compared, never calculated with
    ORDINAL = "ordinal"  # a class that is a whole number, whose distances count
    TEXT = "text"  # whatever a cell may say: the metric parses it, and raises `BadCell`


class BadCell(Exception):
    """A prediction that a metric cannot read. Whoever knows the ids makes it an `InvalidSubmission`.

    Args:
        row: Which one, as a position among the rows that were passed.
        problem: What is wrong, in a few words that follow "Column 'x' ".
    """

    def __init__(self, row: int, problem: str) -> None:
        super().__init__(row, problem)
        self.row = row
        self.problem = problem


# A column of the answers that a metric needs, or several, passed as one array.
Needed = str | tuple[str, ...]

# What of a submission counts; parameters of every metric, which see nothing but that.
_SCOPE: dict[str, Any] = {"mask_column": str, "scored_columns": tuple[str, ...]}


@dataclass(frozen=True)
class Metric:
    """A metric with its parameters, ready to be called."""

    name: str
    higher_is_better: bool
    best_value: float  # what perfect predictions get; NaN where that depends on the answers
    prediction: Prediction
    params: Mapping[str, Any] = field(default_factory=dict)
    needs: tuple[Needed, ...] = ()  # further columns of the answers
    allows_blank: bool = False  # whether a blank cell is a prediction, for text
    mask_column: str | None = None  # of the answers: rows where it is 0 must be there, but do not count
    scored_columns: tuple[str, ...] = ()  # target columns that count; all of them if it is empty
    function: Callable[..., float] = field(repr=False, compare=False, kw_only=True)

    def __call__(self, y_true: ArrayLike, y_pred: ArrayLike, **columns: ArrayLike) -> float:
        """Return the score of predictions.

        Args:
            y_true: Answers, shape (rows,) or (rows, targets). Where a row's answer is several rows of the
                file, an element is a tuple.
            y_pred: Predictions, same shape and row order; checked already (see `prediction`).
            columns: The columns in `needs` by name, shape (rows,) each.

        Returns:
            A float; not finite where the arithmetic overflows.

        Raises:
            BadCell: If a prediction of text is not what the metric reads.
            GradingError: If the answers leave the metric undefined (AUC with one class), or shapes differ.
        """
        truth, predicted = np.asarray(y_true), np.asarray(y_pred)
        if truth.shape != predicted.shape:
            raise GradingError(
                f"{self.name}: answers have shape {truth.shape} and predictions {predicted.shape}; "
                "expected the same."
            )
        if len(truth) == 0:
            raise GradingError(f"{self.name} is undefined without any rows.")
        missing = [name for name in _flat(self.needs) if name not in columns]
        if missing:
            raise GradingError(f"{self.name} needs the column {missing[0]!r} of the answers.")
        extra = [
            np.asarray(columns[names])
            if isinstance(names, str)
            else np.column_stack([columns[name] for name in names])
            for names in self.needs
        ]
        with np.errstate(all="ignore"):
            return float(self.function(truth, predicted, *extra, **self.params))

    @property
    def needed_columns(self) -> tuple[str, ...]:
        """Columns of the answers besides ids and targets: those in `needs` and the mask, each once."""
        return _flat(self.needs if self.mask_column is None else (*self.needs, self.mask_column))

    def is_better(self, score: float, than: float) -> bool:
        """Whether `score` beats `than`; equal scores do not."""
        return score > than if self.higher_is_better else score < than


def _flat(needs: tuple[Needed, ...]) -> tuple[str, ...]:
    """Return the names, each once."""
    flat = [(names,) if isinstance(names, str) else names for names in needs]
    return tuple(dict.fromkeys(name for names in flat for name in names))


@dataclass(frozen=True)
class _Definition:
    name: str
    function: Callable[..., float]
    higher_is_better: bool
    best_value: float | Callable[..., float]
    prediction: Prediction | Callable[..., Prediction]
    column_params: tuple[str, ...]
    allows_blank: bool

    def make(self, params: Mapping[str, Any]) -> Metric:
        known = self._known_params()
        for key in params:
            if key not in known:
                expected = ", ".join(known)
                hint = did_you_mean(str(key), known)
                raise ConfigError(
                    f"Metric {self.name} has no parameter {key!r}; expected one of: {expected}.{hint}"
                )
        checked = {key: self._check(key, value, known[key]) for key, value in params.items()}
        for key in self.column_params:
            if key not in checked:
                raise ConfigError(f"Metric {self.name} needs the parameter {key!r}: a column of the answers.")
        needs: list[Needed] = [checked.pop(key) for key in self.column_params]
        scope = {key: checked.pop(key) for key in _SCOPE if key in checked}
        return Metric(
            self.name,
            self.higher_is_better,
            self.best_value(**checked) if callable(self.best_value) else self.best_value,
            self.prediction if isinstance(self.prediction, Prediction) else self.prediction(**checked),
            params=checked,
            needs=tuple(needs),
            allows_blank=self.allows_blank,
            function=self.function,
            **scope,
        )

    def _known_params(self) -> dict[str, Any]:
        hints = get_type_hints(self.function)
        keyword_only = inspect.Parameter.KEYWORD_ONLY
        names = [
            p.name for p in inspect.signature(self.function).parameters.values() if p.kind is keyword_only
        ]
        return dict.fromkeys(self.column_params, Needed) | {name: hints[name] for name in names} | _SCOPE

    def _check(self, key: str, value: Any, expected: Any) -> Any:
        from pydantic import TypeAdapter, ValidationError

        try:
            return TypeAdapter(expected).validate_python(value)
        except ValidationError as error:
            problem = error.errors()[0]["msg"]
            raise ConfigError(f"Metric {self.name}: {key} is {value!r}; {problem}.") from error


_DEFINITIONS: dict[str, _Definition] = {}


def metric(
    *,
    higher_is_better: bool,
    best_value: float | Callable[..., float],
    prediction: Prediction | Callable[..., Prediction] = Prediction.NUMBER,
    column_params: tuple[str, ...] = (),
    allows_blank: bool = False,
) -> Callable[[Function], Function]:
    """Register a function as the metric of its name.

    The function takes (y_true, y_pred), then one array for each of `column_params` in that order, then
    keyword-only parameters with defaults and type hints: those a task may set. A column parameter is set in
    `task.yaml` to the name of a column of the answers, or to a list of names for an array of shape
    (rows, names). Such a column comes as floats if every cell is a number, as text else.

    Every metric takes two more parameters, of which the function learns nothing: `mask_column`, a column of
    the answers that is 0 for rows that do not count, and `scored_columns`, the targets that count.

    Args:
        higher_is_better: Which way is up.
        best_value: What perfect predictions get; a function of the parameters where it depends on them, NaN
            where it depends on the answers.
        prediction: What it is computed from; a function of the parameters where it depends on them.
        column_params: Further columns of the answers that it needs.
        allows_blank: Whether a blank cell is a prediction, e.g. of nothing; for text only.
    """

    def register(function: Function) -> Function:
        name = function.__name__
        _DEFINITIONS[name] = _Definition(
            name, function, higher_is_better, best_value, prediction, column_params, allows_blank
        )
        return function

    return register


def get_metric(name: str, params: Mapping[str, Any] | None = None) -> Metric:
    """Return the metric of this name.

    Raises:
        ConfigError: If there is none, or a parameter is unknown or unfit; names the nearest.
    """
    definitions = _definitions()
    if name not in definitions:
        hint = did_you_mean(name, definitions)
        raise ConfigError(
            f"Unknown metric {name!r}; expected one of: {', '.join(sorted(definitions))}.{hint}"
        )
    return definitions[name].make(params or {})


def metric_names() -> list[str]:
    """Return the names of all metrics, sorted."""
    return sorted(_definitions())


@lru_cache(maxsize=1)
def _definitions() -> dict[str, _Definition]:
    for module in _MODULES:
        import_module(f"mledojo_env.metrics.{module}")
    return _DEFINITIONS
