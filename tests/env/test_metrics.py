"""Metrics against numbers worked out by hand, and against what other implementations gave."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mledojo_env.errors import ConfigError, GradingError
from mledojo_env.metrics import Prediction, get_metric, metric_names

LOG2, LOG4 = math.log(2), math.log(4)

# name, params, answers, predictions, score by hand
BY_HAND: list[tuple[str, dict[str, Any], list[Any], list[Any], float]] = [
    ("mse", {}, [1, 2, 3], [1, 4, 6], 13 / 3),
    ("rmse", {}, [1, 2, 3], [1, 4, 6], math.sqrt(13 / 3)),
    ("rmse", {}, [[1, 2], [3, 4]], [[1, 2], [3, 8]], 2.0),  # several targets: every cell counts the same
    ("mae", {}, [1, 2, 3], [1, 4, 6], 5 / 3),
    ("median_ae", {}, [1, 2, 3], [1, 4, 6], 2.0),
    ("rmsle", {}, [0, math.e - 1], [math.e - 1, math.e - 1], math.sqrt(0.5)),
    ("mape", {}, [1, -2, 4], [2, -2, 3], (1 + 0 + 0.25) / 3),
    ("smape", {}, [0, 1, 1], [0, 3, -1], 100 * (0 + 1 + 2) / 3),
    ("smape", {"scale": 1}, [2], [1], 2 / 3),
    ("r2", {}, [1, 2, 3], [1, 2, 5], 1 - 4 / 2),
    # positives 0.8 and 0.4 against 0.6 and 0.4: wins 1, 1, 0 and half for the tie
    ("roc_auc", {}, [1, 0, 1, 0], [0.8, 0.6, 0.4, 0.4], 2.5 / 4),
    ("roc_auc", {}, [1, 0], [-3, 7], 0.0),
    ("gini_normalized", {}, [1, 0, 1, 0], [0.8, 0.6, 0.4, 0.4], 2 * 2.5 / 4 - 1),
    ("gini_normalized", {}, [3, 1, 2], [1, 3, 2], -1.0),
    ("log_loss", {}, [1, 0], [0.5, 0.75], (LOG2 + LOG4) / 2),
    ("log_loss", {}, [1, 0], [0, 0], -math.log(1e-15) / 2),
    ("log_loss", {"eps": 0.25}, [1, 0], [0, 0.5], (LOG4 + LOG2) / 2),
    # rows are divided by their sums: 2 of 4 and 1 of 4
    ("multiclass_log_loss", {}, [[1, 0], [0, 1]], [[0.5, 0.5], [0.75, 0.25]], (LOG2 + LOG4) / 2),
    ("multiclass_log_loss", {}, [[1, 0], [0, 1]], [[1, 1], [0.6, 0.2]], (LOG2 + LOG4) / 2),
    ("multiclass_log_loss", {"renormalize": False}, [[1, 0]], [[0.25, 0.25]], LOG4),
    ("multiclass_log_loss", {}, [[1, 0]], [[0, 0]], -math.log(1e-15)),
    ("accuracy", {}, ["a", "b", "c"], ["a", "b", "b"], 2 / 3),
    ("accuracy", {}, [["a", "b"], ["c", "d"]], [["a", "b"], ["c", "x"]], 0.5),
    ("balanced_accuracy", {}, [0, 0, 0, 1], [0, 0, 1, 1], (2 / 3 + 1) / 2),
    ("balanced_accuracy", {}, ["a", "b"], ["a", "z"], 0.5),
    ("f1", {}, [1, 1, 0, 0], [1, 0, 1, 0], 0.5),
    ("f1", {"pos_label": "y"}, ["y", "y", "n"], ["y", "n", "n"], 2 / 3),
    ("f1", {}, [1, 0], [0, 0], 0.0),
    # a: 2 of 2 right, one too many, F1 0.8; b: nothing, F1 0
    ("f1", {"average": "macro"}, ["a", "a", "b"], ["a", "a", "a"], 0.4),
    ("f1", {"average": "micro"}, ["a", "a", "b"], ["a", "a", "a"], 2 / 3),
    ("f1", {"average": "weighted"}, ["a", "a", "b"], ["a", "a", "a"], 0.8 * 2 / 3),
    ("matthews_corrcoef", {}, [1, 1, 0, 0], [1, 0, 0, 0], 2 / math.sqrt(1 * 2 * 2 * 3)),
    ("matthews_corrcoef", {}, [1, 0], [1, 1], 0.0),
    # agreement 3/4; by chance 1/2 * 3/4 + 1/2 * 1/4 = 1/2
    ("cohen_kappa", {}, [1, 1, 0, 0], [1, 1, 1, 0], 0.5),
    # squared distance 1/4 on average; by chance var 1/4 + var 3/16 + (1/4)^2 = 1/2
    ("cohen_kappa", {"weights": "quadratic"}, [1, 1, 0, 0], [1, 1, 1, 0], 0.5),
    # ratings 0 and 3 with nothing between: Kaggle measures 3, not one place in a list
    ("cohen_kappa", {"weights": "quadratic"}, [0, 0, 3, 3], [0, 1, 3, 3], 1 - 0.25 / 4.0),
    ("cohen_kappa", {"weights": "linear"}, [0, 0, 3, 3], [0, 1, 3, 3], 1 - 0.25 / 1.5),
]


@pytest.mark.parametrize(("name", "params", "truth", "predicted", "score"), BY_HAND)
def test_scores_worked_out_by_hand(
    name: str, params: dict[str, Any], truth: Any, predicted: Any, score: float
):
    assert get_metric(name, params)(truth, predicted) == pytest.approx(score, abs=1e-12)


def test_weights_come_from_a_column_of_the_answers():
    metric = get_metric("wmae", {"weight_column": "w"})
    assert metric.needs == ("w",)
    assert metric([0, 0, 0], [1, 2, 4], w=[1, 0, 3]) == pytest.approx((1 + 12) / 4)
    with pytest.raises(GradingError, match="'w'"):
        metric([0.0], [1.0])


# Made-up answers and predictions in the schema of Kaggle competitions, with the scores that MLE-Dojo gave
# them; kept are those that follow Kaggle's definition.
FIGURES = json.loads(Path(__file__).with_name("metric_figures.json").read_text())


@pytest.mark.parametrize("figure", FIGURES, ids=[figure["competition"] for figure in FIGURES])
def test_scores_of_other_implementations(figure: dict[str, Any]):
    metric = get_metric(figure["metric"], figure["params"])
    assert metric(figure["answers"], figure["predictions"]) == pytest.approx(figure["score"], rel=1e-6)


@pytest.mark.parametrize(
    ("name", "truth"),
    [
        ("roc_auc", [1, 1, 1]),
        ("r2", [2.0, 2.0, 2.0]),
        ("mape", [1.0, 0.0, 2.0]),
        ("gini_normalized", [0, 0, 0]),
        ("gini_normalized", [1, 1, 1]),
        ("log_loss", [0, 1, 2]),
        ("multiclass_log_loss", [[1, 1], [0, 1], [1, 0]]),
        ("f1", [0, 0, 0]),
        ("matthews_corrcoef", [1, 1, 1]),
        ("cohen_kappa", [3, 3, 3]),
        ("rmse", []),
    ],
)
def test_answers_that_leave_a_metric_undefined_are_our_fault(name: str, truth: Any):
    with pytest.raises(GradingError, match=name):
        get_metric(name)(truth, truth)


def test_shapes_must_agree():
    with pytest.raises(GradingError, match="shape"):
        get_metric("rmse")([1, 2, 3], [1, 2])


@pytest.mark.parametrize(
    ("name", "params", "found"),
    [
        ("rmsee", {}, "'rmse'"),
        ("f1", {"averge": "macro"}, "'average'"),
        ("f1", {"average": "marco"}, "'marco'"),
        ("rmse", {"scale": 2}, "none"),
        ("log_loss", {"eps": "tiny"}, "'tiny'"),
        ("wmae", {}, "'weight_column'"),
    ],
)
def test_unknown_metrics_and_parameters_name_the_nearest(name: str, params: dict[str, Any], found: str):
    with pytest.raises(ConfigError, match=found):
        get_metric(name, params)


def _example(name: str, rows: int, seed: int) -> tuple[Any, np.ndarray, np.ndarray, dict[str, np.ndarray]]:
    """Return a metric with answers and predictions that fit it."""
    random = np.random.default_rng(seed)
    metric = get_metric(name, {"weight_column": "w"} if name == "wmae" else {})
    columns = {column: random.random(rows) + 0.1 for column in metric.needs}
    if name == "multiclass_log_loss":
        return metric, np.eye(3)[random.integers(0, 3, rows)], random.random((rows, 3)), columns
    if metric.prediction in (Prediction.LABEL, Prediction.ORDINAL):
        truth, predicted = random.integers(0, 2, rows), random.integers(0, 2, rows)
    elif metric.prediction is Prediction.PROBABILITY or name == "roc_auc":
        truth, predicted = random.integers(0, 2, rows), random.random(rows).round(1)
    else:
        truth, predicted = random.random(rows).round(1) + 0.1, random.random(rows).round(1)
    truth[:2] = (0, 1) if truth.dtype.kind == "i" else (0.5, 2.5)
    return metric, truth, predicted, columns


@pytest.mark.parametrize("name", metric_names())
@settings(max_examples=12, deadline=None)
@given(rows=st.integers(3, 40), seed=st.integers(0, 10_000))
def test_the_order_of_rows_never_matters(name: str, rows: int, seed: int):
    metric, truth, predicted, columns = _example(name, rows, seed)
    order = np.random.default_rng(seed + 1).permutation(rows)
    shuffled = {column: values[order] for column, values in columns.items()}
    score = metric(truth, predicted, **columns)
    assert math.isfinite(score)
    assert metric(truth[order], predicted[order], **shuffled) == pytest.approx(score, rel=1e-9, abs=1e-12)


@pytest.mark.parametrize("name", metric_names())
@settings(max_examples=12, deadline=None)
@given(rows=st.integers(3, 40), seed=st.integers(0, 10_000))
def test_nothing_scores_better_than_the_answers(name: str, rows: int, seed: int):
    metric, truth, predicted, columns = _example(name, rows, seed)
    gold = metric(truth, truth, **columns)
    assert gold == pytest.approx(metric.best_value, abs=1e-9)
    assert not metric.is_better(
        metric(truth, predicted, **columns), gold + 1e-9 * (-1, 1)[metric.higher_is_better]
    )
