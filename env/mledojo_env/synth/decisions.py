"""From what is believed to what is submitted: the prediction that a metric rewards best, given a belief.

Whoever believes a class has a probability of 0.3 submits 0.3 under log loss, another class under accuracy,
and perhaps this very class under F1. Of a skewed amount it is the mean under RMSE, the median under MAE.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from functools import cache, lru_cache
from statistics import NormalDist

import numpy as np

from mledojo_env.synth.scores import cohen_kappa, f1, matthews_corrcoef

_MEAN, _MEDIAN, _LOG_MEAN = "mean", "median", "log mean"

# By which point of its distribution an amount is predicted.
_POINTS = {
    "rmse": _MEAN,
    "mse": _MEAN,
    "r2": _MEAN,
    "gini_normalized": _MEAN,
    "mae": _MEDIAN,
    "wmae": _MEDIAN,
    "smape": _MEDIAN,
    "rmsle": _LOG_MEAN,
}
# Of errors relative to the answer, small answers count most: by how many variances the logarithm goes down.
_DOWN = {"mape": 1.0, "rmspe": 1.5}


def amount(metric: str, noise: str, location: np.ndarray, spread: float) -> np.ndarray:
    """Return the best prediction of an amount, shape (rows,).

    Args:
        metric: Name of the metric.
        noise: Of `draft.Amount`.
        location: Of the amount, or of its logarithm, shape (rows,).
        spread: What is open about it, as a standard deviation on the same scale.
    """
    if noise == "normal":
        return location
    variance = spread**2
    if noise == "lognormal":
        if metric == "median_ae":
            return np.exp(location) * _middle_of_half(spread)
        if metric in _DOWN:
            return np.exp(location - _DOWN[metric] * variance)
        return np.exp(location + (variance / 2 if _POINTS[metric] == _MEAN else 0.0))
    rate = np.exp(location + variance / 2)
    if _POINTS[metric] == _MEAN:
        return rate
    if _POINTS[metric] == _MEDIAN:  # of a Poisson distribution: a whole number, about a third below the mean
        return np.floor(np.maximum(np.exp(location) + 1 / 3 - 0.02 / rate, 0))
    return np.expm1(np.maximum(np.log1p(np.exp(location)) - rate / (2 * (1 + rate) ** 2), 0))


@lru_cache(maxsize=512)
def _middle_of_half(spread: float) -> float:
    """Return the middle of the shortest interval that holds half of a lognormal amount of median 1."""
    ends = [(math.exp(spread * low), math.exp(spread * high)) for low, high in _halves()]
    low, high = min(ends, key=lambda pair: pair[1] - pair[0])
    return (low + high) / 2


@cache
def _halves() -> list[tuple[float, float]]:
    """Return intervals that hold half of a standard normal distribution."""
    quantile = NormalDist().inv_cdf
    return [(quantile(step / 100), quantile(step / 100 + 0.5)) for step in range(1, 50)]


def label(metric: str, average: str | None, belief: np.ndarray, shares: np.ndarray) -> np.ndarray:
    """Return the code of the class to submit for each row, shape (rows,).

    Args:
        metric: Name of a metric of labels.
        average: Of F1.
        belief: Probabilities, shape (rows, classes).
        shares: Of the classes among the training rows.
    """
    if metric in ("accuracy", "error_rate"):
        return belief.argmax(axis=1)
    if metric == "balanced_accuracy":
        return (belief / shares).argmax(axis=1)
    if belief.shape[1] == 2:
        return _most_promising(_f1_of_cuts if metric == "f1" else _mcc_of_cuts, belief[:, 1])
    expected: Callable[[np.ndarray], float] = matthews_corrcoef
    if metric == "f1":
        expected = _macro_f1 if average == "macro" else _weighted_f1
    return _best((belief / shares**power for power in (0.0, 0.5, 1.0)), belief, expected)


def grade(metric: str, weights: str | None, belief: np.ndarray) -> np.ndarray:
    """Return the code of the grade to submit for each row, shape (rows,).

    Args:
        metric: Name of a metric of grades.
        weights: Of kappa: "linear" or "quadratic".
        belief: Probabilities, shape (rows, grades).
    """
    grades = np.arange(belief.shape[1])
    if metric == "mae":
        return _median_grade(belief)
    mean = (belief * grades).sum(axis=1)
    middle = float(mean.mean())
    ways = [belief.argmax(axis=1), _median_grade(belief)]
    # Kappa rewards predictions as spread out as the answers: the mean, stretched from the middle.
    for stretch in (1.0, 1.4, 2.0):
        ways.append(np.clip(np.round(middle + stretch * (mean - middle)), 0, grades[-1]).astype(int))
    return ways[int(np.argmax([cohen_kappa(_confusion(way, belief), weights) for way in ways]))]


def _median_grade(belief: np.ndarray) -> np.ndarray:
    return (np.cumsum(belief, axis=1) < 0.5).sum(axis=1).clip(0, belief.shape[1] - 1)


def _confusion(codes: np.ndarray, belief: np.ndarray) -> np.ndarray:
    """Return the confusion matrix (true class, predicted class) that a belief expects of predictions."""
    classes = belief.shape[1]
    places = codes[:, None] + classes * np.arange(classes)
    return np.bincount(places.ravel(), weights=belief.ravel(), minlength=classes**2).reshape(classes, classes)


def _best(
    scores: Iterable[np.ndarray], belief: np.ndarray, expected: Callable[[np.ndarray], float]
) -> np.ndarray:
    ways = [score.argmax(axis=1) for score in scores]
    return ways[int(np.argmax([expected(_confusion(way, belief)) for way in ways]))]


def _macro_f1(confusion: np.ndarray) -> float:
    return f1(confusion, "macro")


def _weighted_f1(confusion: np.ndarray) -> float:
    return f1(confusion, "weighted")


def _most_promising(
    of_cuts: Callable[[np.ndarray, np.ndarray, float, int], np.ndarray], belief: np.ndarray
) -> np.ndarray:
    """Return 1 for the likeliest rows, as many as make the expected score highest, shape (rows,)."""
    order = np.argsort(-belief, kind="stable")
    hits = np.cumsum(belief[order])
    chosen = np.arange(1, len(belief) + 1)
    cut = int(np.argmax(of_cuts(hits, chosen, float(hits[-1]), len(belief)))) + 1
    codes = np.zeros(len(belief), dtype=int)
    # Rows that are believed alike are decided alike, so that a dummy is constant.
    codes[belief >= belief[order[cut - 1]]] = 1
    return codes


def _f1_of_cuts(hits: np.ndarray, chosen: np.ndarray, positives: float, rows: int) -> np.ndarray:
    return 2 * hits / (chosen + positives)


def _mcc_of_cuts(hits: np.ndarray, chosen: np.ndarray, positives: float, rows: int) -> np.ndarray:
    covered = chosen * (rows - chosen) * positives * (rows - positives)
    return np.where(covered > 0, rows * hits - chosen * positives, 0) / np.sqrt(np.maximum(covered, 1e-9))
