"""Metrics of how well numbers separate two classes, from ROC and precision-recall curves.

Any number can rank, so predictions need not be probabilities. Equal predictions count half for, half against
(or together, for precision): the order of rows never matters.
"""

from __future__ import annotations

from itertools import pairwise
from typing import Literal

import numpy as np

from mledojo_env.errors import GradingError
from mledojo_env.metrics.base import metric


@metric(higher_is_better=True, best_value=1.0)
def roc_auc(y_true: np.ndarray, y_pred: np.ndarray) -> float:
    """Return the area under the ROC curve."""
    _require_two_classes("roc_auc", y_true)
    return _auc(y_true, y_pred)


@metric(higher_is_better=True, best_value=1.0)
def mean_columnwise_roc_auc(
    y_true: np.ndarray,
    y_pred: np.ndarray,
    *,
    undefined: Literal["error", "skip"] = "error",
    compat: Literal["kaggle", "dojo"] = "kaggle",
    void_columns: int = 0,
) -> float:
    """Return the area under the ROC curve of each target column, averaged over columns.

    Args:
        y_true: Labels of 0 and 1, shape (rows, columns).
        y_pred: Numbers, same shape.
        undefined: What a column with a single class is: a fault of the answers, or left out.
        compat: MLE-Dojo counts such a column as 0.5.
        void_columns: How many columns more to divide by, as if each got 0. MLE-Dojo does so for a column of
            patients beside the labels (RANZCR).
    """
    truth, predicted = y_true.reshape(len(y_true), -1), y_pred.reshape(len(y_pred), -1)
    found: list[float] = []
    for column in range(truth.shape[1]):
        if np.ptp(truth[:, column]) > 0:
            _require_two_classes("mean_columnwise_roc_auc", truth[:, column])
            found.append(_auc(truth[:, column], predicted[:, column]))
        elif compat == "dojo":
            found.append(0.5)
        elif undefined == "error":
            raise GradingError(
                f"mean_columnwise_roc_auc is undefined: column {column + 1} of the answers has one class."
            )
    if not found:
        raise GradingError("mean_columnwise_roc_auc is undefined: no column of the answers has two classes.")
    return sum(found) / (len(found) + void_columns)


@metric(higher_is_better=True, best_value=1.0)
def weighted_roc_auc(
    y_true: np.ndarray,
    y_pred: np.ndarray,
    *,
    tpr_thresholds: tuple[float, ...] = (0.0, 0.4, 1.0),
    weights: tuple[float, ...] = (2.0, 1.0),
    compat: Literal["kaggle", "dojo", "dojo_chance"] = "kaggle",
) -> float:
    """Return the area under the ROC curve, weighted by bands of the true positive rate (TPR).

    The area of a band is what lies below the curve between its two rates. The sum is divided by its maximum,
    so that perfect predictions get 1.

    Args:
        y_true: Labels of 0 and 1, shape (rows,).
        y_pred: Numbers, same shape.
        tpr_thresholds: Bounds of the bands, rising.
        weights: One for each band.
        compat: MLE-Dojo's two versions. `dojo` (ALASKA2) ends bands at the curve's own points and divides by
            the sum of the weights; `dojo_chance` (Flavours of Physics) subtracts what chance gets, on a grid
            of 10,000 rates.
    """
    from sklearn.metrics import roc_curve

    _require_two_classes("weighted_roc_auc", y_true)
    bounds, band_weights = np.asarray(tpr_thresholds), np.asarray(weights)
    if len(bounds) != len(weights) + 1 or (np.diff(bounds) <= 0).any() or bounds[0] < 0 or bounds[-1] > 1:
        raise GradingError(
            f"weighted_roc_auc needs a weight for each band between rising tpr_thresholds, found "
            f"{len(bounds)} thresholds and {len(weights)} weights."
        )
    fpr, tpr, _ = roc_curve(y_true == np.max(y_true), y_pred)
    lost = np.array([_left_of_curve(tpr, fpr, low, high, compat) for low, high in pairwise(bounds)])
    whole = {
        "kaggle": band_weights @ np.diff(bounds),
        "dojo": band_weights.sum(),
        "dojo_chance": band_weights @ np.diff(np.square(bounds)) / 2,
    }[compat]
    return float(1 - band_weights @ lost / whole)


def _left_of_curve(tpr: np.ndarray, fpr: np.ndarray, low: float, high: float, compat: str) -> float:
    """Return the area between the curve and the axis, within a band of true positive rates."""
    if compat == "dojo_chance":
        rates = np.linspace(0, 1, 10_000)
        rates = rates[(rates >= low) & (rates <= high)]
        return _integral(np.interp(rates, tpr, fpr), rates)
    inside = slice(np.searchsorted(tpr, low, "left"), np.searchsorted(tpr, high, "right"))
    rates, false = tpr[inside], fpr[inside]
    ends = np.interp((low, high), tpr, fpr)
    if compat == "dojo":
        if not len(rates):
            return 0.0
        ends = false[[0, -1]]
    return _integral(np.concatenate([ends[:1], false, ends[1:]]), np.concatenate([[low], rates, [high]]))


def _integral(heights: np.ndarray, places: np.ndarray) -> float:
    return float(np.diff(places) @ (heights[1:] + heights[:-1]) / 2)


@metric(higher_is_better=True, best_value=1.0)
def average_precision(
    y_true: np.ndarray, y_pred: np.ndarray, *, compat: Literal["kaggle", "dojo"] = "kaggle"
) -> float:
    """Return the average precision of each target column, averaged over columns that have a positive answer.

    Args:
        y_true: Labels of 0 and 1, shape (rows, columns).
        y_pred: Numbers, same shape.
        compat: MLE-Dojo counts a column without positive answers as 0.
    """
    from sklearn.metrics import average_precision_score

    truth, predicted = _indicators("average_precision", y_true), y_pred.reshape(len(y_pred), -1)
    used = np.flatnonzero(truth.any(axis=0))
    found = [float(average_precision_score(truth[:, i], predicted[:, i])) for i in used]
    return sum(found) / (truth.shape[1] if compat == "dojo" else len(found))


@metric(higher_is_better=True, best_value=1.0)
def lwlrap(y_true: np.ndarray, y_pred: np.ndarray) -> float:
    """Return the label-weighted label-ranking average precision.

    Each true label of a row gets the share of true labels among those that are predicted at least as high;
    the result is the mean over all true labels of all rows. As scikit-learn's
    `label_ranking_average_precision_score` weighted by the labels of a row, without its loop over rows.

    Args:
        y_true: Labels of 0 and 1, shape (rows, classes).
        y_pred: Numbers, same shape.
    """
    truth = _indicators("lwlrap", y_true)
    if truth.shape[1] < 2:
        raise GradingError("lwlrap is undefined: it needs a target column for each of several classes.")
    order = np.argsort(-y_pred, axis=1)
    ranked, is_true = np.take_along_axis(y_pred, order, axis=1), np.take_along_axis(truth, order, axis=1)
    classes = truth.shape[1]
    is_last = np.ones(truth.shape, dtype=bool)  # of labels predicted alike, which share the last one's rank
    is_last[:, :-1] = ranked[:, :-1] != ranked[:, 1:]
    places = np.where(is_last, np.arange(classes), classes)
    last = np.minimum.accumulate(places[:, ::-1], axis=1)[:, ::-1]
    precision = np.take_along_axis(np.cumsum(is_true, axis=1), last, axis=1) / (last + 1)
    return float(precision[is_true].mean())


def _auc(y_true: np.ndarray, y_pred: np.ndarray) -> float:
    """Return what scikit-learn's `roc_auc_score` does, in a third of its time.

    It is the share of pairs of a positive and a negative row in which the positive one is higher.
    """
    levels, place = np.unique(y_pred, return_inverse=True)
    is_positive = y_true == np.max(y_true)
    negative = np.bincount(place[~is_positive], minlength=len(levels))
    beaten = np.cumsum(negative) - negative / 2  # by a positive row on each level
    return float(beaten[place[is_positive]].mean() / negative.sum())


def _indicators(name: str, y_true: np.ndarray) -> np.ndarray:
    """Return answers as truth values, shape (rows, columns)."""
    if not np.isin(y_true, (0, 1)).all() or not y_true.any():
        raise GradingError(f"{name} is undefined: the answers are not all 0 or 1, with a 1 among them.")
    return y_true.reshape(len(y_true), -1) == 1


def _require_two_classes(name: str, y_true: np.ndarray) -> None:
    classes = np.unique(y_true)
    if y_true.ndim != 1 or len(classes) != 2:
        raise GradingError(
            f"{name} is undefined: it needs one column of answers with two classes, found shape "
            f"{y_true.shape} and {len(classes)} class{'es' * (len(classes) != 1)}."
        )
