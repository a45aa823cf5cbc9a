"""Correlations of predicted numbers with the answers. A constant prediction has none: it gets 0."""

from __future__ import annotations

from typing import Literal

import numpy as np

from mledojo_env.errors import GradingError
from mledojo_env.metrics.base import metric


@metric(higher_is_better=True, best_value=1.0)
def pearson(y_true: np.ndarray, y_pred: np.ndarray) -> float:
    """Return Pearson's correlation."""
    _require_varied("pearson", y_true)
    return _correlation(y_true, y_pred)


@metric(higher_is_better=True, best_value=1.0)
def spearman(y_true: np.ndarray, y_pred: np.ndarray) -> float:
    """Return Spearman's correlation: Pearson's of the ranks, where equal numbers share their mean rank."""
    _require_varied("spearman", y_true)
    return _correlation(_ranks(y_true), _ranks(y_pred))


@metric(higher_is_better=True, best_value=1.0)
def mean_columnwise_spearman(
    y_true: np.ndarray,
    y_pred: np.ndarray,
    *,
    undefined: Literal["error", "skip"] = "error",
    compat: Literal["kaggle", "dojo"] = "kaggle",
) -> float:
    """Return Spearman's correlation of each target column, averaged over columns.

    Args:
        y_true: Numbers, shape (rows, columns).
        y_pred: Numbers, same shape.
        undefined: What a column of equal answers is: a fault of the answers, or left out. A rare label may be
            missing from a part of the test set.
        compat: MLE-Dojo counts such a column as 0.
    """
    truth, predicted = y_true.reshape(len(y_true), -1), y_pred.reshape(len(y_pred), -1)
    is_varied = np.ptp(truth, axis=0) > 0
    if not is_varied.any() or (compat == "kaggle" and undefined == "error" and not is_varied.all()):
        raise GradingError(
            f"mean_columnwise_spearman is undefined: all answers are equal in column {_first(~is_varied)}."
        )
    found = [_correlation(_ranks(truth[:, i]), _ranks(predicted[:, i])) for i in np.flatnonzero(is_varied)]
    return sum(found) / (len(is_varied) if compat == "dojo" else len(found))


def _correlation(first: np.ndarray, second: np.ndarray) -> float:
    if np.ptp(second) == 0:
        return 0.0
    first, second = first - first.mean(), second - second.mean()
    return float(np.clip(first @ second / np.sqrt((first @ first) * (second @ second)), -1, 1))


def _ranks(values: np.ndarray) -> np.ndarray:
    """Return mean ranks, as SciPy's `rankdata` in half of its time."""
    _, place, counts = np.unique(values, return_inverse=True, return_counts=True)
    means: np.ndarray = np.cumsum(counts) - (counts - 1) / 2
    return means[place]


def _require_varied(name: str, y_true: np.ndarray) -> None:
    if y_true.ndim != 1 or np.ptp(y_true) == 0:
        raise GradingError(f"{name} is undefined: the answers need a single column of unequal numbers.")


def _first(mask: np.ndarray) -> int:
    """Return the number of the first true element, from 1."""
    return int(mask.argmax()) + 1
