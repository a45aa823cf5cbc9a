"""Metrics of text: how far a string, a sequence, a set of words or a set of characters is from the answer."""

from __future__ import annotations

import numpy as np

from mledojo_env.errors import GradingError
from mledojo_env.metrics.base import Prediction, metric
from mledojo_env.metrics.cells import Unreadable, read, read_answers, shown, words
from mledojo_env.metrics.runs import overlap, read_spans, size

_MAX_CHARS = 20_000  # or twice the longest answer: the time of a comparison grows with both lengths
_MAX_WORDS = 10_000  # or twice the longest answer's


@metric(higher_is_better=False, best_value=0.0, prediction=Prediction.TEXT)
def levenshtein_mean(y_true: np.ndarray, y_pred: np.ndarray) -> float:
    """Return the mean number of characters to insert, delete or replace to make a prediction its answer."""
    limit = max(_MAX_CHARS, 2 * max(map(len, y_true)))
    return float(_distances(y_true.tolist(), read(y_pred, lambda text: _short(text, limit))).mean())


@metric(higher_is_better=False, best_value=0.0, prediction=Prediction.TEXT, allows_blank=True)
def levenshtein_normalized(y_true: np.ndarray, y_pred: np.ndarray) -> float:
    """Return the Levenshtein distance of sequences of whole numbers, summed, / the length of all answers.

    It exceeds 1 where predictions are too long.
    """
    truth = read_answers(y_true, lambda text: _sequence(text, np.iinfo(np.int32).max))
    longest = max(map(len, truth))
    if longest == 0:
        raise GradingError("levenshtein_normalized is undefined: every answer is empty.")
    predicted = read(y_pred, lambda text: _sequence(text, max(_MAX_WORDS, 2 * longest)))
    return float(_distances(truth, predicted).sum() / sum(map(len, truth)))


@metric(higher_is_better=True, best_value=1.0, prediction=Prediction.TEXT)
def word_jaccard(y_true: np.ndarray, y_pred: np.ndarray) -> float:
    """Return the mean Jaccard index of sets of words: shared / all, in lower case; 1 where both are empty."""
    truth = [set(answer.lower().split()) for answer in y_true]
    predicted = read(y_pred, lambda text: set(words(text.lower(), _MAX_WORDS)))
    scores = [
        len(one & other) / len(one | other) if one or other else 1.0
        for one, other in zip(truth, predicted, strict=True)
    ]
    return sum(scores) / len(scores)


@metric(higher_is_better=True, best_value=1.0, prediction=Prediction.TEXT, allows_blank=True)
def span_f1(y_true: np.ndarray, y_pred: np.ndarray) -> float:
    """Return the F1 of characters in spans, all rows pooled; 1 where neither side has any.

    Spans are 'start end' separated by semicolons, an end not being part of its span. A character that
    several spans of a row cover counts once.
    """
    truth, predicted = read_answers(y_true, read_spans), read(y_pred, read_spans)
    shared = sum(overlap(one, other) for one, other in zip(truth, predicted, strict=True))
    total = sum(map(size, truth)) + sum(map(size, predicted))
    return 2 * shared / total if total else 1.0


def _distances(truth: list, predicted: list) -> np.ndarray:
    """Return the Levenshtein distance of each row."""
    from rapidfuzz.distance import Levenshtein
    from rapidfuzz.process import cpdist

    return np.asarray(cpdist(truth, predicted, scorer=Levenshtein.distance, dtype=np.int64, workers=1))


def _short(text: str, at_most: int) -> str:
    if len(text) > at_most:
        raise Unreadable(f"has {len(text)} characters; at most {at_most} are compared")
    return str(text)


def _sequence(text: str, at_most: int) -> list[str]:
    found = words(text, at_most)
    wrong = next((word for word in found if not (word.isascii() and word.isdigit())), None)
    if wrong is not None:
        raise Unreadable(f"holds {shown(wrong)}; expected whole numbers with spaces between")
    return [word.lstrip("0") for word in found]  # 07 is 7
