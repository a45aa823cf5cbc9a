"""Metrics of predicted classes. Labels are compared and never calculated with, except by `cohen_kappa`."""

from __future__ import annotations

from typing import Literal

import numpy as np

from mledojo_env.errors import GradingError
from mledojo_env.metrics.base import Prediction, metric


@metric(higher_is_better=True, best_value=1.0, prediction=Prediction.LABEL)
def accuracy(y_true: np.ndarray, y_pred: np.ndarray) -> float:
    """Return the share of rows whose label is right (in every target column, where there are several)."""
    return float(np.mean((y_true == y_pred).reshape(len(y_true), -1).all(axis=1)))


@metric(higher_is_better=True, best_value=1.0, prediction=Prediction.LABEL)
def balanced_accuracy(y_true: np.ndarray, y_pred: np.ndarray) -> float:
    """Return the recall averaged over the classes of the answers."""
    from sklearn.metrics import recall_score

    y_true, y_pred = _coded("balanced_accuracy", y_true, y_pred)
    return float(recall_score(y_true, y_pred, labels=np.unique(y_true), average="macro", zero_division=0))


@metric(higher_is_better=True, best_value=1.0, prediction=Prediction.LABEL)
def f1(
    y_true: np.ndarray,
    y_pred: np.ndarray,
    *,
    average: Literal["binary", "macro", "micro", "weighted"] = "binary",
    pos_label: int | str = 1,
) -> float:
    """Return the F1 score; a class that is never right counts 0.

    Args:
        y_true: Labels, shape (rows,).
        y_pred: Labels, same shape.
        average: `binary` is the F1 of `pos_label`; `macro` averages over the classes that occur in answers
            or predictions, `weighted` over those of the answers by size; `micro` pools all rows.
        pos_label: The class that `binary` looks for.
    """
    from sklearn.metrics import f1_score

    if average == "binary":
        if not (y_true == pos_label).any():
            raise GradingError(f"f1 is undefined: no answer is {pos_label!r}, its pos_label.")
        return float(f1_score(y_true == pos_label, y_pred == pos_label, zero_division=0))
    y_true, y_pred = _coded("f1", y_true, y_pred)
    return float(f1_score(y_true, y_pred, average=average, zero_division=0))


@metric(higher_is_better=True, best_value=1.0, prediction=Prediction.LABEL)
def matthews_corrcoef(y_true: np.ndarray, y_pred: np.ndarray) -> float:
    """Return the correlation of answers and predictions as classes; 0 for a constant prediction."""
    from sklearn.metrics import matthews_corrcoef as coefficient

    _require_several_classes("matthews_corrcoef", y_true)
    return float(coefficient(*_coded("matthews_corrcoef", y_true, y_pred)))


@metric(higher_is_better=True, best_value=1.0, prediction=Prediction.ORDINAL)
def cohen_kappa(
    y_true: np.ndarray, y_pred: np.ndarray, *, weights: Literal["linear", "quadratic"] | None = None
) -> float:
    """Return Cohen's kappa: 1 - observed disagreement / disagreement expected by chance.

    The weight of a confusion is the distance of the two ratings (1 without `weights`, its square if
    quadratic). scikit-learn measures that distance in places of the list of ratings that occur, which
    shrinks it where a rating is never used; Kaggle in the ratings themselves, as here.
    """
    _require_several_classes("cohen_kappa", y_true)
    if weights is None:
        labels, codes = np.unique(np.concatenate([y_true, y_pred]), return_inverse=True)
        shares = [np.bincount(part, minlength=len(labels)) / len(part) for part in np.split(codes, 2)]
        observed, expected = np.mean(y_true != y_pred), 1 - np.sum(shares[0] * shares[1])
    elif weights == "quadratic":  # E(x - y)² for independent x and y, from their moments
        observed = np.mean(np.square(y_true - y_pred))
        expected = np.var(y_true) + np.var(y_pred) + (np.mean(y_true) - np.mean(y_pred)) ** 2
    else:  # E|x - y| is the integral of F(1 - G) + G(1 - F) over the ratings
        observed = np.mean(np.abs(y_true - y_pred))
        ratings = np.unique(np.concatenate([y_true, y_pred]))
        below = [np.searchsorted(np.sort(y), ratings[:-1], side="right") / len(y) for y in (y_true, y_pred)]
        expected = np.sum(np.diff(ratings) * (below[0] * (1 - below[1]) + below[1] * (1 - below[0])))
    return float(1 - observed / expected)


def _coded(name: str, y_true: np.ndarray, y_pred: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return labels as integers, which scikit-learn compares fastest and never takes for numbers."""
    if y_true.ndim != 1:
        raise GradingError(f"{name} needs a single target column, found shape {y_true.shape}.")
    _, codes = np.unique(np.concatenate([y_true, y_pred]), return_inverse=True)
    return codes[: len(y_true)], codes[len(y_true) :]


def _require_several_classes(name: str, y_true: np.ndarray) -> None:
    if y_true.ndim != 1 or len(np.unique(y_true)) < 2:
        raise GradingError(f"{name} is undefined: the answers need a single column with two classes or more.")
