"""Metrics of ranked lists and of sets: in a cell with spaces between, or in several rows of an id."""

from __future__ import annotations

from bisect import bisect, insort
from typing import Literal

import numpy as np

from mledojo_env.errors import GradingError
from mledojo_env.metrics.base import BadCell, Prediction, metric
from mledojo_env.metrics.cells import Unreadable, numbers, read, read_answers, shown, words

_MAX_LABELS = 10_000  # in a set


@metric(higher_is_better=True, best_value=1.0, prediction=Prediction.TEXT, allows_blank=True)
def map_at_k(
    y_true: np.ndarray, y_pred: np.ndarray, *, k: int = 5, compat: Literal["kaggle", "dojo"] = "kaggle"
) -> float:
    """Return the mean average precision of ranked lists, of which the first k entries count.

    The average precision of a row is the sum, over the ranks of its hits, of hits so far / rank, divided by
    the smaller of k and the number of answers. With a single answer it is 1 / rank. An answer that is listed
    again is no further hit. No entry at all scores 0.

    Args:
        y_true: Right entries with spaces between, in any order; repeats count once.
        y_pred: Entries with spaces between, best first.
        k: How many count.
        compat: MLE-Dojo counts repeats on both sides as if they were further entries.
    """
    total = 0.0
    for row, (answer, cell) in enumerate(zip(y_true, y_pred, strict=True)):
        right = answer.split()
        if not right:
            raise GradingError(f"map_at_k is undefined: an answer is blank (row {row + 1}).")
        relevant = set(right)
        seen: set[str] = set()
        hits = 0
        gain = 0.0
        for rank, entry in enumerate(cell.split(None, k)[:k], start=1):
            if entry in relevant and (compat == "dojo" or entry not in seen):
                hits += 1
                gain += hits / rank
            seen.add(entry)
        total += gain / min(k, len(right) if compat == "dojo" else len(relevant))
    return total / len(y_true)


@metric(higher_is_better=False, best_value=0.0, prediction=Prediction.TEXT)
def top_k_error(y_true: np.ndarray, y_pred: np.ndarray, *, k: int = 1) -> float:
    """Return the share of rows whose answer is not among the first k entries of a ranked list."""
    right = [answer in cell.split(None, k)[:k] for answer, cell in zip(y_true, y_pred, strict=True)]
    return 1 - sum(right) / len(right)


@metric(higher_is_better=True, best_value=1.0, prediction=Prediction.TEXT)
def ndcg_at_k(y_true: np.ndarray, y_pred: np.ndarray, *, k: int = 5) -> float:
    """Return the mean discounted gain of ranked lists, relative to the best possible.

    A hit at rank r gains 1 / log2(r + 1).

    Args:
        y_true: Tuples of right entries, in any order.
        y_pred: Tuples of entries, best first: k at most, each once.
        k: The longest list.
    """
    gains = 1 / np.log2(np.arange(2, k + 2))
    total = 0.0
    for row, (answer, listed) in enumerate(zip(y_true, y_pred, strict=True)):
        if len(listed) > k:
            raise BadCell(row, f"has {len(listed)} rows; at most {k} are ranked")
        if len(set(listed)) < len(listed):
            twice = next(entry for place, entry in enumerate(listed) if entry in listed[:place])
            raise BadCell(row, f"lists {shown(twice)} twice")
        if not answer:
            raise GradingError(f"ndcg_at_k is undefined: an answer is blank (id {row + 1}).")
        hits = np.array([entry in answer for entry in listed])
        total += float(gains[: len(listed)] @ hits / gains[: len(set(answer))].sum())
    return total / len(y_true)


@metric(higher_is_better=True, best_value=1.0, prediction=Prediction.TEXT, allows_blank=True)
def set_f1(
    y_true: np.ndarray,
    y_pred: np.ndarray,
    *,
    average: Literal["samples", "micro"] = "samples",
    compat: Literal["kaggle", "dojo"] = "kaggle",
) -> float:
    """Return the F1 of sets of labels: 2 shared / (right + predicted); 1 where both are empty.

    Args:
        y_true: Labels with spaces between; order and repeats do not matter.
        y_pred: Labels, likewise.
        average: `samples` averages over rows, `micro` adds up all rows first.
        compat: With `micro`, MLE-Dojo ignores predicted labels that occur nowhere in the answers.
    """
    truth = [set(cell.split()) for cell in y_true]
    predicted = read(y_pred, lambda text: set(words(text, _MAX_LABELS)))
    if compat == "dojo" and average == "micro":
        known = set().union(*truth)
        predicted = [labels & known for labels in predicted]
    shared = np.array([len(one & other) for one, other in zip(truth, predicted, strict=True)])
    sizes = np.array([len(one) + len(other) for one, other in zip(truth, predicted, strict=True)])
    if average == "micro":
        shared, sizes = shared.sum(keepdims=True), sizes.sum(keepdims=True)
    return float(np.divide(2 * shared, sizes, out=np.ones(len(sizes)), where=sizes > 0).mean())


@metric(higher_is_better=True, best_value=1.0, prediction=Prediction.TEXT)
def kendall_tau_ordering(y_true: np.ndarray, y_pred: np.ndarray) -> float:
    """Return Kendall's tau of orderings, all rows pooled: 1 - 2 inversions / pairs.

    Every row orders the entries of its answer: it lists each of them once. Rows of one entry have no pairs.
    """
    inversions = sum(read(zip(y_true, y_pred, strict=True), _inversions))
    lengths = [len(answer.split()) for answer in y_true]
    pairs = sum(length * (length - 1) // 2 for length in lengths)
    return 1 - 2 * inversions / pairs if pairs else 1.0


def _inversions(row: tuple[str, str]) -> int:
    """Return how many pairs of an answer's entries a prediction has the wrong way round."""
    answer, cell = row
    place = {entry: rank for rank, entry in enumerate(answer.split())}
    listed = _so_many(cell, len(place), "entries")
    missing = set(place)
    inversions = 0
    before: list[int] = []  # places of the entries so far, sorted
    for entry in listed:
        if entry not in missing:
            known = entry in place
            raise Unreadable(f"lists {shown(entry)} {'twice' if known else 'that is none of those to order'}")
        missing.remove(entry)
        inversions += len(before) - bisect(before, place[entry])
        insort(before, place[entry])
    return inversions


@metric(higher_is_better=True, best_value=1.0, prediction=Prediction.TEXT)
def mean_rowwise_spearman(y_true: np.ndarray, y_pred: np.ndarray) -> float:
    """Return Spearman's rank correlation of the numbers in a cell with those in its answer, averaged.

    Equal numbers share the mean of their ranks. A row whose numbers are all equal has no correlation.
    """
    from scipy.stats import rankdata

    truth = read_answers(y_true, lambda text: _uneven(words(text, _MAX_LABELS)))
    predicted = read(
        zip(truth, y_pred, strict=True), lambda row: _uneven(_so_many(row[1], len(row[0]), "numbers"))
    )
    total = 0.0
    lengths = np.array([len(row) for row in truth])
    for length in np.unique(lengths):
        rows = np.flatnonzero(lengths == length)
        one, other = (
            rankdata(np.stack([table[row] for row in rows]), axis=1) for table in (truth, predicted)
        )
        one -= (length + 1) / 2
        other -= (length + 1) / 2
        scale = np.sqrt(np.square(one).sum(axis=1) * np.square(other).sum(axis=1))
        total += float(((one * other).sum(axis=1) / scale).sum())
    return total / len(truth)


def _uneven(found: list[str]) -> np.ndarray:
    values = numbers(found)
    if len(values) == 0 or (values == values[0]).all():
        raise Unreadable("holds no two different numbers; there is nothing to rank")
    return values


def _so_many(cell: str, expected: int, what: str) -> list[str]:
    """Return the words of a cell that must hold a certain number of them."""
    found = cell.split(None, expected)
    if len(found) != expected:
        count = f"more than {expected}" if len(found) > expected else str(len(found))
        raise Unreadable(f"lists {count} {what}; expected {expected}")
    return found
