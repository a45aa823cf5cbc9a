"""Scores of many predictions in a moment: the registry's metrics, those by scikit-learn computed by hand.

A board takes some 200 scores, and scikit-learn spends a millisecond or more on the formalities of each. Tests
hold these to the registry's figures.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from mledojo_env.metrics import Metric

Score = Callable[[np.ndarray, np.ndarray], float]


def fast_score(metric: Metric, classes: int) -> Score:
    """Return a function of (answers, predictions) that gives what `metric` gives.

    Args:
        metric: Of one target, without further columns.
        classes: How many there are, for metrics of labels; those are then compared as codes 0, 1, ..., and
            the class with the last code is the one that is looked for.
    """
    if metric.name in _BY_RANK:
        return _BY_RANK[metric.name]
    if metric.name in _BY_CONFUSION:
        return _of_labels(_BY_CONFUSION[metric.name], classes, metric.params)
    return metric


def _roc_auc(truth: np.ndarray, predicted: np.ndarray) -> float:
    _, place, counts = np.unique(predicted, return_inverse=True, return_counts=True)
    ranks = (np.cumsum(counts) - (counts - 1) / 2)[place]  # ties share their mean rank
    positive = truth == 1
    hits = int(positive.sum())
    return float((ranks[positive].sum() - hits * (hits + 1) / 2) / (hits * (len(truth) - hits)))


def _average_precision(truth: np.ndarray, predicted: np.ndarray) -> float:
    _, place, counts = np.unique(-predicted, return_inverse=True, return_counts=True)
    gained = np.bincount(place, weights=truth)
    return float((gained * np.cumsum(gained) / np.cumsum(counts)).sum() / gained.sum())


def _r2(truth: np.ndarray, predicted: np.ndarray) -> float:
    return float(1 - np.square(truth - predicted).sum() / np.square(truth - truth.mean()).sum())


_BY_RANK: dict[str, Score] = {"roc_auc": _roc_auc, "average_precision": _average_precision, "r2": _r2}


def _of_labels(function: Callable[..., float], classes: int, params: Any) -> Score:
    def score(truth: np.ndarray, predicted: np.ndarray) -> float:
        cells = np.bincount(truth.astype(int) * classes + predicted.astype(int), minlength=classes**2)
        return function(cells.reshape(classes, classes).astype(float), **params)

    return score


def balanced_accuracy(confusion: np.ndarray) -> float:
    """Return the mean recall over the classes of the answers, of a matrix (true class, predicted class)."""
    rows = confusion.sum(axis=1)
    there = rows > 0
    return float((np.diag(confusion)[there] / rows[there]).mean())


def f1(confusion: np.ndarray, average: str = "binary", pos_label: Any = None) -> float:
    """Return the F1 score of a confusion matrix, of the last class where `average` is binary."""
    hits, rows = confusion.diagonal(), confusion.sum(axis=1)
    sizes = rows + confusion.sum(axis=0)
    scores = 2 * hits / np.maximum(sizes, 1e-12)  # 0 for a class that does not occur
    if average == "binary":
        return float(scores[-1])
    if average == "micro":
        return float(hits.sum() / rows.sum())
    if average == "macro":
        return float(scores.sum() / np.count_nonzero(sizes))
    return float((scores * rows).sum() / rows.sum())


def matthews_corrcoef(confusion: np.ndarray) -> float:
    """Return the correlation of answers and predictions of a confusion matrix; 0 for a constant one."""
    rows, columns, total = confusion.sum(axis=1), confusion.sum(axis=0), confusion.sum()
    covered = (total**2 - rows @ rows) * (total**2 - columns @ columns)
    return float((np.trace(confusion) * total - rows @ columns) / np.sqrt(covered)) if covered > 0 else 0.0


def cohen_kappa(confusion: np.ndarray, weights: str | None = None) -> float:
    """Return Cohen's kappa of a confusion matrix of grades one apart; 0 for a constant prediction."""
    grades = np.arange(len(confusion), dtype=float)
    distance = np.abs(grades[:, None] - grades)
    cost = {"linear": distance, "quadratic": distance**2}.get(weights or "", (distance > 0).astype(float))
    by_chance = confusion.sum(axis=1)[:, None] * confusion.sum(axis=0) / confusion.sum()
    expected = float((by_chance * cost).sum())
    return 1 - float((confusion * cost).sum()) / expected if expected > 0 else 0.0


_BY_CONFUSION: dict[str, Callable[..., float]] = {
    "balanced_accuracy": balanced_accuracy,
    "cohen_kappa": cohen_kappa,
    "f1": f1,
    "matthews_corrcoef": matthews_corrcoef,
}
