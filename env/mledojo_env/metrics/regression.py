"""Metrics of predicted numbers.

Several target columns are pooled, every cell counting the same, unless the name says otherwise.
"""

from __future__ import annotations

import math
from typing import Literal

import numpy as np

from mledojo_env.errors import GradingError
from mledojo_env.metrics.base import Prediction, metric


@metric(higher_is_better=False, best_value=0.0)
def mse(y_true: np.ndarray, y_pred: np.ndarray) -> float:
    """Return the mean squared error."""
    return float(np.mean(np.square(y_true - y_pred)))


@metric(higher_is_better=False, best_value=0.0)
def rmse(y_true: np.ndarray, y_pred: np.ndarray) -> float:
    """Return the root of the mean squared error."""
    return float(np.sqrt(mse(y_true, y_pred)))


@metric(higher_is_better=False, best_value=0.0)
def mcrmse(y_true: np.ndarray, y_pred: np.ndarray) -> float:
    """Return the root of the mean squared error of each target column, averaged over columns."""
    squares = np.square(y_true - y_pred).reshape(len(y_true), -1)
    return float(np.sqrt(squares.mean(axis=0)).mean())


def _least_logarithm(clip_negative: bool = False) -> Prediction:
    return Prediction.NUMBER if clip_negative else Prediction.NON_NEGATIVE


@metric(higher_is_better=False, best_value=0.0, prediction=_least_logarithm)
def rmsle(y_true: np.ndarray, y_pred: np.ndarray, *, clip_negative: bool = False) -> float:
    """Return the root mean squared error of log(1 + y).

    Args:
        y_true: Numbers of at least 0.
        y_pred: The same.
        clip_negative: Whether predictions may be negative, and count as 0.
    """
    return rmse(np.log1p(y_true), np.log1p(np.maximum(y_pred, 0) if clip_negative else y_pred))


@metric(higher_is_better=False, best_value=0.0, prediction=Prediction.NON_NEGATIVE)
def mean_columnwise_rmsle(y_true: np.ndarray, y_pred: np.ndarray) -> float:
    """Return the root mean squared error of log(1 + y) of each target column, averaged over columns."""
    return mcrmse(np.log1p(y_true), np.log1p(y_pred))


@metric(higher_is_better=False, best_value=0.0)
def rmspe(y_true: np.ndarray, y_pred: np.ndarray) -> float:
    """Return the root of the mean squared error relative to the answer, where that is not 0."""
    used = y_true != 0
    if not used.any():
        raise GradingError("rmspe is undefined: every answer is 0.")
    return float(np.sqrt(np.mean(np.square((y_true[used] - y_pred[used]) / y_true[used]))))


@metric(higher_is_better=False, best_value=0.0)
def mae(y_true: np.ndarray, y_pred: np.ndarray) -> float:
    """Return the mean absolute error."""
    return float(np.mean(np.abs(y_true - y_pred)))


@metric(higher_is_better=False, best_value=0.0, column_params=("weight_column",))
def wmae(
    y_true: np.ndarray,
    y_pred: np.ndarray,
    weight: np.ndarray,
    *,
    normalizer: Literal["weights", "rows"] = "weights",
) -> float:
    """Return the absolute error averaged with a weight for each row.

    Args:
        y_true: Numbers.
        y_pred: The same.
        weight: At least 0, shape (rows,).
        normalizer: What the sum is divided by: the sum of the weights, or the number of rows.
    """
    total = weight.sum() if normalizer == "weights" else len(weight)
    if not total > 0:
        raise GradingError("wmae is undefined: the weights sum to 0 or less.")
    errors = np.abs(y_true - y_pred).reshape(len(y_true), -1).mean(axis=1)
    return float(weight @ errors / total)


@metric(higher_is_better=False, best_value=0.0)
def median_ae(y_true: np.ndarray, y_pred: np.ndarray) -> float:
    """Return the median absolute error."""
    return float(np.median(np.abs(y_true - y_pred)))


@metric(higher_is_better=True, best_value=1.0)
def r2(y_true: np.ndarray, y_pred: np.ndarray) -> float:
    """Return the coefficient of determination: 1 - squared error / squared error of the answers' mean."""
    from sklearn.metrics import r2_score

    if np.ptp(y_true) == 0:
        raise GradingError(f"r2 is undefined: every answer is {y_true.flat[0]}.")
    return float(r2_score(y_true.ravel(), y_pred.ravel()))


@metric(higher_is_better=False, best_value=0.0)
def mape(y_true: np.ndarray, y_pred: np.ndarray) -> float:
    """Return the mean of |error| / |answer|, a fraction (0.1, not 10 %)."""
    if (y_true == 0).any():
        raise GradingError("mape is undefined: an answer is 0.")
    return float(np.mean(np.abs((y_true - y_pred) / y_true)))


@metric(higher_is_better=False, best_value=0.0)
def smape(y_true: np.ndarray, y_pred: np.ndarray, *, scale: float = 100.0) -> float:
    """Return the mean of 2 |error| / (|answer| + |prediction|), where 0 for 0 is no error.

    With a `scale` of 100, as Kaggle has it, it lies in [0, 200].
    """
    size = np.abs(y_true) + np.abs(y_pred)
    ratio = np.divide(2 * np.abs(y_true - y_pred), size, out=np.zeros(size.shape), where=size != 0)
    return float(scale * np.mean(ratio))


@metric(higher_is_better=True, best_value=math.nan)
def gini(y_true: np.ndarray, y_pred: np.ndarray) -> float:
    """Return the Gini coefficient of the answers in the order of the predictions.

    It is the area between the Lorenz curve, the largest prediction first, and the diagonal. For answers of 0
    and 1, of which a share p is 1, it is (AUC - 1/2) (1 - p), so at most (1 - p) / 2. Rows with equal
    predictions share their answers' mean, so that the order of rows does not matter (Kaggle breaks ties by
    row order).
    """
    return _lorenz_area("gini", y_true, y_pred)


@metric(higher_is_better=True, best_value=1.0)
def gini_normalized(y_true: np.ndarray, y_pred: np.ndarray) -> float:
    """Return the Gini coefficient relative to that of the best order; for answers of 0 and 1, 2 AUC - 1."""
    return _lorenz_area("gini_normalized", y_true, y_pred) / _lorenz_area("gini_normalized", y_true, y_true)


def _lorenz_area(name: str, y_true: np.ndarray, y_pred: np.ndarray) -> float:
    total = np.sum(y_true)
    if y_true.ndim != 1 or np.ptp(y_true) == 0 or not total > 0:
        raise GradingError(f"{name} is undefined: the answers are all equal, or sum to 0 or less.")
    _, group, counts = np.unique(-y_pred, return_inverse=True, return_counts=True)
    means = np.bincount(group, weights=y_true) / counts
    shares = np.cumsum(np.repeat(means, counts)) / total
    return float((shares.sum() - (len(y_true) + 1) / 2) / len(y_true))
