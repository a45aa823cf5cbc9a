"""Metrics of ranked lists and sets against numbers worked out by hand, and what they refuse."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
import pytest

from mledojo_env.errors import GradingError, InvalidSubmission
from mledojo_env.grading import score_frame
from mledojo_env.metrics import BadCell, get_metric, ranking
from mledojo_env.task import SubmissionFormat


def cells(values: Sequence[object]) -> np.ndarray:
    """Return values, which may be tuples, as an array of shape (values,)."""
    return np.fromiter(values, dtype=object, count=len(values))


# What a hit at the second rank is worth, where one at the first is worth 1.
SECOND = 1 / math.log2(3)

# name, params, answers, predictions, score by hand
BY_HAND: list[tuple[str, dict[str, Any], list[Any], list[Any], float]] = [
    # a single answer: 1 / rank, 0 beyond k and for a blank
    ("map_at_k", {"k": 3}, ["a"] * 5, ["a", "b a", "b c a", "b c d a", ""], (1 + 1 / 2 + 1 / 3) / 5),
    # a wrong entry that is repeated takes a rank each time; the right one scores once
    ("map_at_k", {"k": 3}, ["a", "a"], ["b b a", "a a a"], (1 / 3 + 1) / 2),
    ("map_at_k", {"k": 3}, ["a"], ["  b\ta "], 1 / 2),
    # hits at 1 and 3 of three answers: (1/1 + 2/3) / 3
    ("map_at_k", {"k": 12}, ["a b c"], ["c x a"], (1 + 2 / 3) / 3),
    # more answers than k: two hits are all that can be had
    ("map_at_k", {"k": 2}, ["a b c"], ["a b"], 1.0),
    ("map_at_k", {"k": 2}, ["a b c"], ["x a"], (1 / 2) / 2),
    # repeats: {a, b} is the answer, and the second a of the prediction is no hit
    ("map_at_k", {"k": 12}, ["a a b"], ["a a b"], (1 + 2 / 3) / 2),
    ("map_at_k", {"k": 12, "compat": "dojo"}, ["a a b"], ["a a b"], 1.0),
    ("map_at_k", {"k": 12, "compat": "dojo"}, ["a a b"], ["a"], 1 / 3),
    ("map_at_k", {"k": 12, "compat": "dojo"}, ["a b"], ["a a"], 1.0),
    ("top_k_error", {}, ["7", "7", "7", "7"], ["7", "7 8", "8 7", "77"], 2 / 4),
    ("top_k_error", {"k": 2}, ["7", "7", "7"], ["8 7", "8 9 7", "7"], 1 / 3),
    ("ndcg_at_k", {}, [("a",), ("a",), ("a",)], [("a",), ("b", "a"), ("b",)], (1 + SECOND) / 3),
    ("ndcg_at_k", {}, [("a", "b")], [("x", "a")], SECOND / (1 + SECOND)),
    ("ndcg_at_k", {"k": 1}, [("a", "b")], [("b",)], 1.0),
    # 3 of 3 pairs the wrong way round
    ("kendall_tau_ordering", {}, ["a b c"], ["c b a"], -1.0),
    ("kendall_tau_ordering", {}, ["a b c"], ["b a c"], 1 - 2 / 3),
    # all rows pooled: 3 of 3 and 0 of 1 pairs
    ("kendall_tau_ordering", {}, ["a b c", "d e"], ["c b a", "d e"], 1 - 2 * 3 / 4),
    ("kendall_tau_ordering", {}, ["a", "b"], ["a", "b"], 1.0),
    ("kendall_tau_ordering", {}, ["a b c d e"], ["e a d b c"], 1 - 2 * 6 / 10),
    ("mean_rowwise_spearman", {}, ["1 2 3 4 5"] * 2, ["5 4 3 2 1", "1 2 3 5 4"], (-1 + 0.9) / 2),
    # ranks 1.5, 1.5, 3 less their mean: -0.5, -0.5, 1
    ("mean_rowwise_spearman", {}, ["1 2 3"], ["7 7 1e3"], 1.5 / math.sqrt(2 * 1.5)),
    # rows of different lengths
    ("mean_rowwise_spearman", {}, ["1 2", "1 2 3", "4 3"], ["2 1", "1 2 3", "0.2 0.1"], (-1 + 1 + 1) / 3),
    # 2 shared of 2 + 3; 0 of 1 + 1; both empty; 0 of 1 + 0
    ("set_f1", {}, ["a b", "a", "", "a"], ["a b c", "b", "", ""], (4 / 5 + 0 + 1 + 0) / 4),
    ("set_f1", {"average": "micro"}, ["a b", "a", "", "a"], ["a b c", "b", "", ""], 4 / 8),
    ("set_f1", {}, ["a b"], ["b  a a\ta"], 1.0),
    ("set_f1", {"average": "micro"}, ["", ""], ["", ""], 1.0),
    # z is in no answer, c is in another row's
    ("set_f1", {"average": "micro"}, ["a b", "c"], ["a z", "c"], 4 / 6),
    ("set_f1", {"average": "micro", "compat": "dojo"}, ["a b", "c"], ["a z", "c"], 4 / 5),
    ("set_f1", {"average": "micro", "compat": "dojo"}, ["a b", "c"], ["a c", "c"], 4 / 6),
    ("set_f1", {"compat": "dojo"}, ["a b"], ["a z"], 1 / 2),
]


@pytest.mark.parametrize(("name", "params", "truth", "predicted", "score"), BY_HAND)
def test_scores_worked_out_by_hand(
    name: str, params: dict[str, Any], truth: list[Any], predicted: list[Any], score: float
):
    found = get_metric(name, params)(cells(truth), cells(predicted))
    assert found == pytest.approx(score, abs=1e-12)


@pytest.mark.parametrize(
    ("name", "params", "truth", "predicted", "row", "problem"),
    [
        ("ndcg_at_k", {"k": 2}, [("a",)] * 2, [("a",), ("a", "b", "c")], 1, "3 rows; at most 2"),
        ("ndcg_at_k", {}, [("a",)], [("b", "a", "b")], 0, "lists 'b' twice"),
        ("kendall_tau_ordering", {}, ["a b", "c d"], ["b a", "d c c"], 1, "more than 2 entries; expected 2"),
        ("kendall_tau_ordering", {}, ["a b c"], ["b a"], 0, "lists 2 entries; expected 3"),
        ("kendall_tau_ordering", {}, ["a b c"], ["b a a"], 0, "'a' twice"),
        ("kendall_tau_ordering", {}, ["a b c"], ["b a x"], 0, "'x' that is none of those"),
        ("mean_rowwise_spearman", {}, ["1 2 3"] * 2, ["1 3 2", "1 2"], 1, "2 numbers; expected 3"),
        ("mean_rowwise_spearman", {}, ["1 2 3"], ["1 2 3 4"], 0, "more than 3 numbers"),
        ("mean_rowwise_spearman", {}, ["1 2 3"], ["1 2 x"], 0, "'x'; expected a finite number"),
        ("mean_rowwise_spearman", {}, ["1 2 3"], ["1 nan 3"], 0, "'nan'"),
        ("mean_rowwise_spearman", {}, ["1 2 3"], ["1 1e309 3"], 0, "'1e309'"),
        ("mean_rowwise_spearman", {}, ["1 2 3"], ["4 4 4"], 0, "no two different numbers"),
    ],
)
def test_what_cannot_be_read_names_its_row(
    name: str, params: dict[str, Any], truth: list[Any], predicted: list[Any], row: int, problem: str
):
    with pytest.raises(BadCell, match=problem) as caught:
        get_metric(name, params)(cells(truth), cells(predicted))
    assert caught.value.row == row


def test_a_long_word_is_cut_in_messages():
    with pytest.raises(BadCell) as caught:
        get_metric("kendall_tau_ordering")(cells(["a b"]), cells(["a " + "x" * 1_000_000]))
    assert len(caught.value.problem) < 100


def test_sets_have_a_limit(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(ranking, "_MAX_LABELS", 3)
    metric = get_metric("set_f1")
    assert metric(cells(["a b c"]), cells(["a b c"])) == 1
    with pytest.raises(BadCell, match="more than 3 words"):
        metric(cells(["a b c"]), cells(["a b c d"]))


@pytest.mark.parametrize("name", ["map_at_k", "top_k_error"])
def test_what_comes_after_the_first_k_is_not_even_split(name: str):
    class Watched(str):
        limits: list[int] = []  # noqa: RUF012

        def split(self, sep: Any = None, maxsplit: Any = -1) -> list[str]:
            self.limits.append(maxsplit)
            return super().split(sep, maxsplit)

    get_metric(name, {"k": 2})(cells(["a"]), cells([Watched("b a " + "c " * 1000)]))
    assert Watched.limits == [2]


@pytest.mark.parametrize(
    ("name", "truth"),
    [
        ("map_at_k", ["a", ""]),
        ("ndcg_at_k", [("a",), ()]),
        ("mean_rowwise_spearman", ["1 2", "3 3"]),
        ("mean_rowwise_spearman", ["1 2", "1 x"]),
    ],
)
def test_broken_answers_are_our_fault(name: str, truth: list[Any]):
    with pytest.raises(GradingError, match="answer"):
        get_metric(name)(cells(truth), cells(truth))


def example(name: str, rows: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Return answers and predictions that fit a metric."""
    random = np.random.default_rng(seed)
    truth: list[Any] = []
    predicted: list[Any] = []
    for _ in range(rows):
        labels = [f"l{number}" for number in random.permutation(6)]
        if name == "kendall_tau_ordering":
            truth.append(" ".join(labels))
            predicted.append(" ".join(random.permutation(labels)))
        elif name == "mean_rowwise_spearman":
            truth.append(" ".join(map(str, random.permutation(5))))
            predicted.append(" ".join(map(str, [*random.integers(0, 9, 4), 10])))
        elif name == "ndcg_at_k":
            truth.append((labels[0],))
            predicted.append(tuple(random.permutation(labels)[:5]))
        else:
            truth.append(labels[0] if name == "top_k_error" else " ".join(labels[: random.integers(1, 5)]))
            predicted.append(" ".join(random.permutation(labels)[: random.integers(1, 5)]))
    return cells(truth), cells(predicted)


NAMES = ["map_at_k", "top_k_error", "ndcg_at_k", "kendall_tau_ordering", "mean_rowwise_spearman", "set_f1"]


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("seed", range(3))
def test_the_order_of_rows_never_matters_and_gold_is_best(name: str, seed: int):
    metric = get_metric(name)
    truth, predicted = example(name, 30, seed)
    order = np.random.default_rng(seed).permutation(30)
    score = metric(truth, predicted)
    assert metric(truth[order], predicted[order]) == pytest.approx(score, abs=1e-12)
    assert metric(truth, truth) == pytest.approx(metric.best_value)
    assert metric.is_better(metric.best_value, score)


def test_a_submission_that_cannot_be_read_names_the_id():
    form = SubmissionFormat(id=["id"], targets=["order"], value="text")
    answers = pd.DataFrame({"id": ["n1", "n2"], "order": ["a b", "c d"]})
    submission = pd.DataFrame({"id": ["n2", "n1"], "order": ["d d", "a b"]})
    with pytest.raises(InvalidSubmission, match=r"^Column 'order' lists 'd' twice: at id n2\.$"):
        score_frame(submission, answers, form, get_metric("kendall_tau_ordering"))


def test_several_rows_an_id_are_ranked_in_their_order():
    form = SubmissionFormat(id=["id"], targets=["country"], value="text", rows="several")
    answers = pd.DataFrame({"id": ["u1", "u2"], "country": ["US", "NDF"]})
    submission = pd.DataFrame({"id": ["u2", "u1", "u2"], "country": ["FR", "US", "NDF"]})
    score = score_frame(submission, answers, form, get_metric("ndcg_at_k"))
    assert score == pytest.approx((1 + SECOND) / 2)
