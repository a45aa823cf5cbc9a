"""Metrics of predicted labels. They are compared and never calculated with, except by `cohen_kappa`."""

from __future__ import annotations

from typing import Literal

import numpy as np

from mledojo_env.errors import GradingError
from mledojo_env.metrics.base import Prediction, metric

# What pandas reads as a missing cell unless it is told not to, among words that people write.
_MISSING = ("nan", "NaN", "-nan", "-NaN", "NA", "<NA>", "N/A", "n/a", "#N/A", "#NA", "NULL", "null", "None")


@metric(higher_is_better=True, best_value=1.0, prediction=Prediction.LABEL)
def accuracy(y_true: np.ndarray, y_pred: np.ndarray) -> float:
    """Return the share of rows whose label is right (in every target column, where there are several)."""
    return float(np.mean((y_true == y_pred).reshape(len(y_true), -1).all(axis=1)))


@metric(higher_is_better=False, best_value=0.0, prediction=Prediction.LABEL)
def error_rate(y_true: np.ndarray, y_pred: np.ndarray) -> float:
    """Return the share of rows whose label is wrong."""
    return 1 - accuracy(y_true, y_pred)


def _scaled(scale: float = 1.0, compat: str = "kaggle") -> float:
    return scale


@metric(higher_is_better=True, best_value=_scaled, prediction=Prediction.TEXT)
def exact_match_accuracy(
    y_true: np.ndarray,
    y_pred: np.ndarray,
    *,
    scale: float = 1.0,
    compat: Literal["kaggle", "dojo"] = "kaggle",
) -> float:
    """Return the share of rows whose text is right to the letter.

    Args:
        y_true: Texts, shape (rows,).
        y_pred: Texts, same shape.
        scale: What all of them are worth; MLE-Dojo has 100 in one competition.
        compat: MLE-Dojo reads words such as NA and null as missing, and takes one for another.
    """
    if compat == "dojo":
        y_true, y_pred = (np.where(np.isin(y, _MISSING), "nan", y) for y in (y_true, y_pred))
    return scale * accuracy(y_true, y_pred)


@metric(higher_is_better=True, best_value=1.0, prediction=Prediction.LABEL)
def balanced_accuracy(y_true: np.ndarray, y_pred: np.ndarray) -> float:
    """Return the recall averaged over the classes of the answers."""
    from sklearn.metrics import recall_score

    y_true, y_pred = _coded("balanced_accuracy", y_true, y_pred)
    return float(recall_score(y_true, y_pred, labels=np.unique(y_true), average="macro", zero_division=0))


@metric(
    higher_is_better=True,
    best_value=1.0,
    prediction=Prediction.LABEL,
    column_params=("component_column",),
)
def recall_macro_weighted_components(
    y_true: np.ndarray, y_pred: np.ndarray, component: np.ndarray, *, weights: dict[str, float] | None = None
) -> float:
    """Return the recall averaged over classes within each component, then over components by weight.

    A class that is predicted and never true counts 0, as in scikit-learn's macro average.

    Args:
        y_true: Labels, shape (rows,).
        y_pred: Labels, same shape.
        component: What each row is about, shape (rows,). Each component has classes of its own.
        weights: One for each component; equal by default.
    """
    from sklearn.metrics import recall_score

    names = set(component.tolist())
    if weights is not None and names != set(weights):
        raise GradingError(
            f"recall_macro_weighted_components is undefined: the answers have the components "
            f"{', '.join(sorted(map(str, names)))}; weights are for {', '.join(sorted(weights))}."
        )
    y_true, y_pred = _coded("recall_macro_weighted_components", y_true, y_pred)
    total = 0.0
    shares = weights or dict.fromkeys(names, 1.0)
    for name, weight in shares.items():
        rows = component == name
        total += weight * recall_score(y_true[rows], y_pred[rows], average="macro", zero_division=0)
    return float(total / sum(shares.values()))


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
    _require_several_classes("matthews_corrcoef", y_true)
    from sklearn.metrics import matthews_corrcoef as coefficient

    y_true, y_pred = _coded("matthews_corrcoef", y_true, y_pred)
    _require_several_classes("matthews_corrcoef", y_true)
    return float(coefficient(y_true, y_pred))


@metric(higher_is_better=True, best_value=1.0, prediction=Prediction.ORDINAL)
def cohen_kappa(
    y_true: np.ndarray,
    y_pred: np.ndarray,
    *,
    weights: Literal["linear", "quadratic"] | None = None,
    compat: Literal["kaggle", "dojo"] = "kaggle",
) -> float:
    """Return Cohen's kappa: 1 - observed disagreement / disagreement expected by chance.

    The weight of a confusion is the distance of the two ratings (1 without `weights`, its square if
    quadratic). scikit-learn measures that distance in places of the list of ratings that occur, which
    shrinks it where a rating is never used; Kaggle in the ratings themselves, as here.

    Args:
        y_true: Ratings, shape (rows,).
        y_pred: Ratings, same shape.
        weights: How distance counts.
        compat: MLE-Dojo has scikit-learn's distance.
    """
    _require_several_classes("cohen_kappa", y_true)
    if compat == "dojo":
        from sklearn.metrics import cohen_kappa_score

        return float(cohen_kappa_score(y_true.astype(int), y_pred.astype(int), weights=weights))
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
    import pandas as pd

    codes, _ = pd.factorize(np.concatenate([y_true, y_pred]))
    return codes[: len(y_true)], codes[len(y_true) :]


def _require_several_classes(name: str, y_true: np.ndarray) -> None:
    if y_true.ndim != 1 or len(np.unique(y_true)) < 2:
        raise GradingError(f"{name} is undefined: the answers need a single column with two classes or more.")
