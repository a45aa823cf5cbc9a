"""Metrics of predicted probabilities and of how well a number separates two classes."""

from __future__ import annotations

import numpy as np

from mledojo_env.errors import GradingError
from mledojo_env.metrics.base import Prediction, metric


@metric(higher_is_better=True, best_value=1.0)
def roc_auc(y_true: np.ndarray, y_pred: np.ndarray) -> float:
    """Return the area under the ROC curve; any number can rank, so predictions need not be probabilities."""
    from sklearn.metrics import roc_auc_score

    _require_two_classes("roc_auc", y_true)
    return float(roc_auc_score(y_true, y_pred))


@metric(higher_is_better=False, best_value=0.0, prediction=Prediction.PROBABILITY)
def log_loss(y_true: np.ndarray, y_pred: np.ndarray, *, eps: float = 1e-15) -> float:
    """Return the mean negative log-likelihood of answers of 0 and 1, predictions clipped to [eps, 1 - eps].

    Kaggle clips at 1e-15; scikit-learn's own clips at the resolution of the predictions' type instead.
    """
    if not np.isin(y_true, (0, 1)).all():
        raise GradingError("log_loss is undefined: the answers are not all 0 or 1.")
    clipped = np.clip(y_pred, eps, 1 - eps)
    return float(-np.mean(np.where(y_true == 1, np.log(clipped), np.log(1 - clipped))))


@metric(higher_is_better=False, best_value=0.0, prediction=Prediction.PROBABILITY)
def multiclass_log_loss(
    y_true: np.ndarray, y_pred: np.ndarray, *, eps: float = 1e-15, renormalize: bool = True
) -> float:
    """Return the mean negative log-likelihood of the true class.

    As Kaggle defines it: rows need not sum to one because each is divided by its sum, then clipped.

    Args:
        y_true: One column a class, shape (rows, classes): 1 for the true class, 0 elsewhere.
        y_pred: Probabilities, same shape.
        eps: Clip to [eps, 1 - eps].
        renormalize: Whether to divide each row by its sum first.
    """
    if y_true.ndim != 2 or not (np.isin(y_true, (0, 1)).all() and (y_true.sum(axis=1) == 1).all()):
        raise GradingError(
            "multiclass_log_loss needs answers with one column a class, a single 1 in each row."
        )
    if renormalize:
        total = y_pred.sum(axis=1, keepdims=True)
        y_pred = y_pred / np.where(total == 0, 1, total)
    likelihood = y_pred[np.arange(len(y_true)), y_true.argmax(axis=1)]
    return float(-np.mean(np.log(np.clip(likelihood, eps, 1 - eps))))


def _require_two_classes(name: str, y_true: np.ndarray) -> None:
    classes = np.unique(y_true)
    if y_true.ndim != 1 or len(classes) != 2:
        raise GradingError(
            f"{name} is undefined: it needs one column of answers with two classes, found shape "
            f"{y_true.shape} and {len(classes)} class{'es' * (len(classes) != 1)}."
        )
