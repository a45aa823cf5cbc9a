"""Metrics of text against numbers worked out by hand, and what they refuse."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest

from mledojo_env.errors import GradingError, InvalidSubmission
from mledojo_env.grading import score_frame
from mledojo_env.metrics import BadCell, get_metric, runs, text
from mledojo_env.task import SubmissionFormat


def cells(values: list[str]) -> np.ndarray:
    return np.array(values, dtype=object)


# name, answers, predictions, score by hand
BY_HAND: list[tuple[str, list[str], list[str], float]] = [
    # three edits, none, and four characters too many
    ("levenshtein_mean", ["kitten", "same", "a"], ["sitting", "same", "abcde"], (3 + 0 + 4) / 3),
    # characters, not bytes; upper case differs
    ("levenshtein_mean", ["naïve", "A"], ["naive", "a"], (1 + 1) / 2),
    # one missing of four, nothing said of two, one too many of none: 4 edits / 6 numbers
    ("levenshtein_normalized", ["1 2 3 14", "5 6", ""], ["1 2 14", "", "7"], (1 + 2 + 1) / 6),
    # numbers, not characters, however they are written
    ("levenshtein_normalized", ["12 3"], ["1 23"], 2 / 2),
    ("levenshtein_normalized", ["7 0"], ["07  00"], 0.0),
    ("levenshtein_normalized", ["1"], ["2 3 4"], 3 / 1),
    # 2 shared of 4 words, all in lower case; none of 2; a repeated word counts once
    ("word_jaccard", ["The cat sat", "no", "a a b"], ["the CAT ran", "yes", "b a"], (2 / 4 + 0 + 1) / 3),
    ("word_jaccard", ["", "a", "bad."], ["", "", "bad"], (1 + 0 + 0) / 3),
    # characters 2-4 of 0-4 and 2-6, and 10-11 of 10-11: 5 shared of 7 + 7
    ("span_f1", ["0 5;10 12"], ["2 7;10 12"], 2 * 5 / 14),
    # pooled: 3 shared of 3 + 3 in one row, 0 of 0 + 4 in the other
    ("span_f1", ["0 3", ""], ["0 3", "5 9"], 2 * 3 / 10),
    # overlapping, touching and empty spans cover what they cover
    ("span_f1", ["0 10"], ["0 6;4 7;7 10;3 3"], 1.0),
    ("span_f1", ["5 8"], [" 5   6 ; 7 8 "], 2 * 2 / 5),
    ("span_f1", ["", ""], ["", ""], 1.0),
    ("span_f1", ["0 1"], ["0 999999999999"], 2 * 1 / (1 + 999999999999)),
]


@pytest.mark.parametrize(("name", "truth", "predicted", "score"), BY_HAND)
def test_scores_worked_out_by_hand(name: str, truth: list[str], predicted: list[str], score: float):
    assert get_metric(name)(cells(truth), cells(predicted)) == pytest.approx(score, abs=1e-12)


@pytest.mark.parametrize(
    ("name", "predicted", "problem"),
    [
        ("levenshtein_normalized", "1 x", "'x'; expected whole numbers"),
        ("levenshtein_normalized", "1 -2", "'-2'"),
        ("levenshtein_normalized", "1.0", "'1.0'"),
        ("levenshtein_normalized", "²", "'²'"),
        ("span_f1", "0 3;4", "'4'; expected 'start end'"),
        ("span_f1", "0 3;", "''; expected 'start end'"),
        ("span_f1", "0 3 5", "'0 3 5'"),
        ("span_f1", "9 5", "'9 5', which ends before it starts"),
        ("span_f1", "-3 5", "'-3 5'; expected whole numbers of at least 0"),
        ("span_f1", "0 1e309", "whole numbers"),
        ("span_f1", "0 1234567890123", "more than 12 digits"),
        ("span_f1", "['0 3']", "whole numbers"),
        ("span_f1", "nan", "'nan'"),
    ],
)
def test_what_cannot_be_read_names_its_row(name: str, predicted: str, problem: str):
    with pytest.raises(BadCell, match=problem) as caught:
        get_metric(name)(cells(["0 1"] * 3), cells(["0 1", "0 1", predicted]))
    assert caught.value.row == 2


def test_comparisons_have_a_limit(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(text, "_MAX_CHARS", 4)
    metric = get_metric("levenshtein_mean")
    assert metric(cells(["a", "b"]), cells(["abcd", "b"])) == 1.5
    with pytest.raises(BadCell, match="has 5 characters; at most 4"):
        metric(cells(["a", "b"]), cells(["abcde", "b"]))
    # an answer that is longer still raises it for all rows
    assert metric(cells(["a", "bcd"]), cells(["abcdef", "bcd"])) == 2.5
    monkeypatch.setattr(text, "_MAX_WORDS", 2)
    for name in ("levenshtein_normalized", "word_jaccard"):
        assert get_metric(name)(cells(["1"]), cells(["1 2"])) > 0
        with pytest.raises(BadCell, match="more than 2 words"):
            get_metric(name)(cells(["1"]), cells(["1 2 3"]))


def test_a_megabyte_of_text_is_refused_unread():
    many = "1 " * 500_000
    for name in ("levenshtein_mean", "levenshtein_normalized", "word_jaccard", "span_f1"):
        with pytest.raises(BadCell, match=r"at most|more than"):
            get_metric(name)(cells(["1 2"]), cells([many.replace(" ", " 2;") if name == "span_f1" else many]))


def test_spans_have_a_limit(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(runs, "MAX_SPANS", 2)
    metric = get_metric("span_f1")
    assert metric(cells(["0 1;2 3"]), cells(["0 1;2 3"])) == 1
    with pytest.raises(BadCell, match="more than 2 spans"):
        metric(cells(["0 1;2 3"]), cells(["0 1;2 3;4 5"]))


@pytest.mark.parametrize(
    ("name", "truth"),
    [
        ("levenshtein_normalized", ["", ""]),
        ("levenshtein_normalized", ["1", "x"]),
        ("span_f1", ["0 1", "['2 3']"]),
    ],
)
def test_broken_answers_are_our_fault(name: str, truth: list[str]):
    with pytest.raises(GradingError, match="answer"):
        get_metric(name)(cells(truth), cells(truth))


def example(name: str, rows: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Return answers and predictions that fit a metric."""
    random = np.random.default_rng(seed)

    def cell() -> str:
        if name == "span_f1":
            ends = np.cumsum(random.integers(1, 9, 2 * random.integers(1, 4))).reshape(-1, 2)
            return ";".join(f"{start} {end}" for start, end in ends)
        return " ".join(map(str, random.integers(0, 9, random.integers(1, 6))))

    return cells([cell() for _ in range(rows)]), cells([cell() for _ in range(rows)])


@pytest.mark.parametrize("name", ["levenshtein_mean", "levenshtein_normalized", "word_jaccard", "span_f1"])
@pytest.mark.parametrize("seed", range(3))
def test_the_order_of_rows_never_matters_and_gold_is_best(name: str, seed: int):
    metric = get_metric(name)
    truth, predicted = example(name, 30, seed)
    order = np.random.default_rng(seed).permutation(30)
    score = metric(truth, predicted)
    assert metric(truth[order], predicted[order]) == pytest.approx(score, abs=1e-12)
    assert metric(truth, truth) == metric.best_value
    assert metric.is_better(metric.best_value, score)


def test_spans_agree_with_sets_of_characters():
    truth, predicted = example("span_f1", 200, seed=7)

    def characters(cell: str) -> set[int]:
        pairs: list[Any] = [map(int, span.split()) for span in cell.split(";")]
        return {place for start, end in pairs for place in range(start, end)}

    sets = [(characters(one), characters(other)) for one, other in zip(truth, predicted, strict=True)]
    shared = sum(len(one & other) for one, other in sets)
    both = sum(len(one) + len(other) for one, other in sets)
    assert get_metric("span_f1")(truth, predicted) == pytest.approx(2 * shared / both)


def test_only_text_that_may_be_nothing_may_be_blank():
    form = SubmissionFormat(id=["id"], targets=["y"], value="text")
    answers = pd.DataFrame({"id": ["1", "2"], "y": ["3 4", "5 6"]})
    submission = pd.DataFrame({"id": ["1", "2"], "y": ["3 4", " "]})
    for name in ("levenshtein_mean", "word_jaccard"):
        with pytest.raises(InvalidSubmission, match="'y' is blank; expected text: at id 2"):
            score_frame(submission, answers, form, get_metric(name))
    assert score_frame(submission, answers, form, get_metric("levenshtein_normalized")) == 2 / 4
    assert score_frame(submission, answers, form, get_metric("span_f1")) == 2 * 1 / 3
