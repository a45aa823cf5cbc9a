"""Metrics of predicted numbers. Several target columns are pooled, every cell counting the same."""

from __future__ import annotations

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


@metric(higher_is_better=False, best_value=0.0, prediction=Prediction.NON_NEGATIVE)
def rmsle(y_true: np.ndarray, y_pred: np.ndarray) -> float:
    """Return the root mean squared error of log(1 + y)."""
    return rmse(np.log1p(y_true), np.log1p(y_pred))


@metric(higher_is_better=False, best_value=0.0)
def mae(y_true: np.ndarray, y_pred: np.ndarray) -> float:
    """Return the mean absolute error."""
    return float(np.mean(np.abs(y_true - y_pred)))


@metric(higher_is_better=False, best_value=0.0, column_params=("weight_column",))
def wmae(y_true: np.ndarray, y_pred: np.ndarray, weight: np.ndarray) -> float:
    """Return the absolute error averaged with a weight for each row, shape (rows,)."""
    return float(np.average(np.abs(y_true - y_pred), axis=0, weights=weight).mean())


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


@metric(higher_is_better=True, best_value=1.0)
def gini_normalized(y_true: np.ndarray, y_pred: np.ndarray) -> float:
    """Return the Gini coefficient of the answers in the order of the predictions, relative to the best order.

    Rows with equal predictions share their answers' mean, so that the order of rows does not matter (Kaggle
    breaks ties by row order). For answers of 0 and 1 this is 2 AUC - 1.
    """
    best = _gini(y_true, y_true)
    if not np.isfinite(best) or best <= 0:
        raise GradingError("gini_normalized is undefined: the answers are all equal, or sum to 0 or less.")
    return _gini(y_true, y_pred) / best


def _gini(y_true: np.ndarray, y_pred: np.ndarray) -> float:
    """Return the area between the Lorenz curve of the answers, largest prediction first, and the diagonal."""
    _, group, counts = np.unique(-y_pred, return_inverse=True, return_counts=True)
    means = np.bincount(group, weights=y_true) / counts
    shares = np.cumsum(np.repeat(means, counts)) / np.sum(y_true)
    return float(shares.sum() - (len(y_true) + 1) / 2)
