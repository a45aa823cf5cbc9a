"""Metrics of predicted probabilities: how likely they make the answers."""

from __future__ import annotations

from typing import Literal

import numpy as np

from mledojo_env.errors import GradingError
from mledojo_env.metrics.base import BadCell, Prediction, metric

_SUM_SLACK = 1e-3  # by how much a distribution's sum may miss 1


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
    y_true: np.ndarray,
    y_pred: np.ndarray,
    *,
    eps: float = 1e-15,
    renormalize: bool = True,
    compat: Literal["kaggle", "dojo"] = "kaggle",
) -> float:
    """Return the mean negative log-likelihood of the true class.

    As Kaggle defines it: rows need not sum to one because each is divided by its sum, then clipped.

    Args:
        y_true: One column a class, shape (rows, classes): 1 for the true class, 0 elsewhere.
        y_pred: Probabilities, same shape.
        eps: Clip to [eps, 1 - eps].
        renormalize: Whether to divide each row by its sum first.
        compat: MLE-Dojo clips before it divides, where it divides at all.
    """
    if compat == "dojo":
        y_pred = np.clip(y_pred, eps, 1 - eps)
    likelihood = _likelihood("multiclass_log_loss", y_true, y_pred, renormalize)
    if compat == "kaggle":
        likelihood = np.clip(likelihood, eps, 1 - eps)
    return float(-np.mean(np.log(likelihood)))


@metric(higher_is_better=False, best_value=0.0, prediction=Prediction.PROBABILITY)
def balanced_log_loss(y_true: np.ndarray, y_pred: np.ndarray, *, eps: float = 1e-15) -> float:
    """Return the mean negative log-likelihood of a true class, averaged over classes.

    Args:
        y_true: One column a class, shape (rows, classes): 1 for the true class, 0 elsewhere.
        y_pred: Probabilities, same shape; each row is divided by its sum.
        eps: Clip to [eps, 1 - eps].
    """
    likelihood = _likelihood("balanced_log_loss", y_true, y_pred, renormalize=True)
    rows = y_true.sum(axis=0)
    if (rows == 0).any():
        raise GradingError(f"balanced_log_loss is undefined: no answer is class {int(rows.argmin()) + 1}.")
    return float(np.mean(-np.log(np.clip(likelihood, eps, 1 - eps)) @ y_true / rows))


def _likelihood(name: str, y_true: np.ndarray, y_pred: np.ndarray, renormalize: bool) -> np.ndarray:
    """Return the probability of each row's true class, shape (rows,)."""
    if y_true.ndim != 2 or not (np.isin(y_true, (0, 1)).all() and (y_true.sum(axis=1) == 1).all()):
        raise GradingError(f"{name} needs answers with one column a class, a single 1 in each row.")
    likelihood: np.ndarray = y_pred[np.arange(len(y_true)), y_true.argmax(axis=1)]
    if renormalize:
        total = y_pred.sum(axis=1)
        likelihood = likelihood / np.where(total == 0, 1, total)
    return likelihood


@metric(higher_is_better=False, best_value=0.0, prediction=Prediction.PROBABILITY)
def kl_divergence(y_true: np.ndarray, y_pred: np.ndarray, *, eps: float = 1e-15) -> float:
    """Return the Kullback-Leibler divergence of the predicted from the true distribution, averaged over rows.

    Args:
        y_true: A distribution a row, or counts, shape (rows, classes); divided by its sum.
        y_pred: A distribution a row, same shape.
        eps: Clip predictions to [eps, 1 - eps].

    Raises:
        BadCell: If a predicted row does not sum to 1.
    """
    from scipy.special import rel_entr

    total = y_true.reshape(len(y_true), -1).sum(axis=1, keepdims=True)
    if y_true.ndim != 2 or (y_true < 0).any() or not (total > 0).all():
        raise GradingError("kl_divergence needs answers of at least 0 with a positive sum in each row.")
    off = np.abs(y_pred.sum(axis=1) - 1) > _SUM_SLACK
    if off.any():
        row = int(off.argmax())
        raise BadCell(row, f"sums to {y_pred[row].sum():.6g} over the row; expected 1")
    return float(rel_entr(y_true / total, np.clip(y_pred, eps, 1 - eps)).sum(axis=1).mean())
