"""Metrics against numbers worked out by hand, and against what other implementations gave."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import label_ranking_average_precision_score, roc_auc_score

from mledojo_env.errors import ConfigError, GradingError, InvalidSubmission
from mledojo_env.grading import score_frame
from mledojo_env.metrics import BadCell, Prediction, get_metric
from mledojo_env.metrics.base import _definitions
from mledojo_env.task import SubmissionFormat

LOG2, LOG4 = math.log(2), math.log(4)
DEGREE_M = math.radians(1) * 6_371_000  # of latitude

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
    ("multiclass_log_loss", {"compat": "dojo"}, [[1, 0]], [[0, 0]], LOG2),
    ("multiclass_log_loss", {"compat": "dojo"}, [[1, 0]], [[0, 0.5]], -math.log(2e-15)),
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
    # the same in places of the list 0, 1, 3: by chance var 1 + var 11/16 + (1/4)^2 = 7/4
    ("cohen_kappa", {"weights": "quadratic", "compat": "dojo"}, [0, 0, 3, 3], [0, 1, 3, 3], 1 - 0.25 / 1.75),
    # columns of squared errors 0, 4 and 9, 16
    ("mcrmse", {}, [[1, 10], [2, 20]], [[1, 13], [4, 24]], (math.sqrt(2) + math.sqrt(12.5)) / 2),
    ("mcrmse", {}, [1, 2, 3], [1, 4, 6], math.sqrt(13 / 3)),
    ("mean_columnwise_rmsle", {}, [[0, 3], [0, 7]], [[math.e - 1, 3], [math.e - 1, 7]], 0.5),
    ("rmsle", {"clip_negative": True}, [0, math.e - 1], [-5, -0.5], math.sqrt(0.5)),
    ("rmspe", {}, [2, 0, 4], [1, 5, 4], math.sqrt(0.25 / 2)),  # the answer of 0 is left out
    # AUC 5/8 and half of the answers 1: (5/8 - 1/2) / 2
    ("gini", {}, [1, 0, 1, 0], [0.8, 0.6, 0.4, 0.4], 1 / 16),
    ("gini", {}, [1, 0, 0, 0], [1, 0, 0, 0], 3 / 8),
    ("gini", {}, [1, 0, 0, 0], [7, 7, 7, 7], 0.0),
    ("pearson", {}, [1, 2, 3], [1, 2, 4], 3 / math.sqrt(2 * 42 / 9)),
    ("pearson", {}, [1, 2, 3], [30, 20, 10], -1.0),
    ("pearson", {}, [1, 2, 3], [5, 5, 5], 0.0),
    # ranks 1.5, 1.5, 3, 4
    ("spearman", {}, [1, 2, 3, 4], [1, 1, 5, 90], math.sqrt(0.9)),
    ("spearman", {}, [1, 2], [0, 0], 0.0),
    ("mean_columnwise_spearman", {}, [[1, 1], [2, 2], [3, 3]], [[1, 3], [2, 2], [90, 1]], 0.0),
    ("mean_columnwise_spearman", {}, [[1, 1], [2, 2]], [[0, 1], [0, 2]], 0.5),
    ("mean_columnwise_spearman", {"undefined": "skip"}, [[1, 5], [2, 5]], [[1, 0], [2, 1]], 1.0),
    ("mean_columnwise_spearman", {"compat": "dojo"}, [[1, 5], [2, 5]], [[1, 0], [2, 1]], 0.5),
    ("mean_columnwise_roc_auc", {}, [[1, 0], [0, 1]], [[0.9, 0.9], [0.1, 0.1]], 0.5),
    ("mean_columnwise_roc_auc", {"void_columns": 1}, [[1, 0], [0, 1]], [[0.9, 0.9], [0.1, 0.1]], 1 / 3),
    ("mean_columnwise_roc_auc", {"undefined": "skip"}, [[1, 1], [0, 1]], [[0.9, 0.3], [0.1, 0.2]], 1.0),
    ("mean_columnwise_roc_auc", {"compat": "dojo"}, [[1, 1], [0, 1]], [[0.9, 0.3], [0.1, 0.2]], 0.75),
    # the curve goes up to 1/2, right by 1/2, and straight to the end: lost are 1/4 + 1/8, all above 0.4
    ("weighted_roc_auc", {}, [1, 0, 1, 0], [0.8, 0.6, 0.4, 0.4], 1 - 0.375 / 1.4),
    ("weighted_roc_auc", {"compat": "dojo"}, [1, 0, 1, 0], [0.8, 0.6, 0.4, 0.4], 1 - 0.375 / 3),
    ("weighted_roc_auc", {"tpr_thresholds": [0, 1], "weights": [7]}, [1, 0, 1, 0], [4, 3, 2, 2], 2.5 / 4),
    # all alike: the diagonal loses 0.08 below a rate of 0.4 and 0.42 above it
    ("weighted_roc_auc", {}, [1, 0], [0.5, 0.5], 1 - (2 * 0.08 + 0.42) / 1.4),
    (
        "weighted_roc_auc",
        {"tpr_thresholds": [0, 0.2, 0.4, 0.6, 0.8, 1], "weights": [2, 1.5, 1, 0.5, 0]},
        [1, 0],
        [3, 3],
        0.7,
    ),
    ("average_precision", {}, [1, 0, 1], [0.9, 0.8, 0.7], (1 + 2 / 3) / 2),
    ("average_precision", {}, [[1, 0], [0, 0], [1, 0]], [[0.9, 1], [0.8, 0], [0.7, 0]], (1 + 2 / 3) / 2),
    ("average_precision", {"compat": "dojo"}, [[1, 0], [0, 0]], [[0.9, 1], [0.8, 0]], 0.5),
    # true labels are first and third of three, and second; the last row has none
    (
        "lwlrap",
        {},
        [[1, 0, 1], [0, 1, 0], [0, 0, 0]],
        [[0.9, 0.8, 0.7], [0.5, 0.4, 0.3], [1, 2, 3]],
        (1 + 2 / 3 + 1 / 2) / 3,
    ),
    ("lwlrap", {}, [[0, 1]], [[0.5, 0.5]], 0.5),  # a tie goes to the last place
    ("balanced_log_loss", {}, [[1, 0], [1, 0], [0, 1]], [[0.5, 0.5], [0.25, 0.75], [0.2, 0.2]], 1.25 * LOG2),
    ("balanced_log_loss", {}, [[1, 0], [0, 1]], [[0, 0], [0, 1]], -math.log(1e-15) / 2),
    ("kl_divergence", {}, [[0.5, 0.5]], [[0.25, 0.75]], (LOG2 + math.log(2 / 3)) / 2),
    ("kl_divergence", {}, [[3, 3], [1, 0]], [[0.5, 0.5], [0, 1]], -math.log(1e-15) / 2),
    ("error_rate", {}, ["a", "b", "c"], ["a", "b", "b"], 1 / 3),
    ("exact_match_accuracy", {}, ["NA", "null", "1.0"], ["NA", "nan", "1"], 1 / 3),
    ("exact_match_accuracy", {"compat": "dojo"}, ["NA", "null", "1.0"], ["NA", "nan", "1"], 2 / 3),
    ("exact_match_accuracy", {"scale": 100}, ["a", "b"], ["a", "B"], 50.0),
    ("laplace_log_likelihood", {}, [[900, 70]], [[1000, 100]], -math.sqrt(2) - math.log(math.sqrt(2) * 100)),
    # no error beyond 1000 counts, no sigma below 70
    (
        "laplace_log_likelihood",
        {},
        [[900, 70]],
        [[9000, -1]],
        -math.sqrt(2) * 1000 / 70 - math.log(math.sqrt(2) * 70),
    ),
    # a right angle, the other side, and the pole under two names
    (
        "mean_angular_error",
        {},
        [[0, math.pi / 2], [0, math.pi / 2], [0, 0]],
        [[math.pi / 2, math.pi / 2], [math.pi, math.pi / 2], [2, 0]],
        math.pi / 2,
    ),
]

# with columns of the answers: name, params, answers, predictions, columns, score by hand
WITH_COLUMNS: list[tuple[str, dict[str, Any], list[Any], list[Any], dict[str, list[Any]], float]] = [
    ("wmae", {"weight_column": "w"}, [0, 0, 0], [1, 2, 4], {"w": [1, 0, 3]}, (1 + 12) / 4),
    (
        "wmae",
        {"weight_column": "w", "normalizer": "rows"},
        [0, 0, 0],
        [1, 2, 4],
        {"w": [1, 0, 3]},
        (1 + 12) / 3,
    ),
    # mean errors 2 and e^2
    (
        "group_mean_log_mae",
        {"group_column": "g"},
        [0, 0, 0],
        [1, -3, math.e**2],
        {"g": ["a", "a", "b"]},
        (LOG2 + 2) / 2,
    ),
    ("group_mean_log_mae", {"group_column": "g"}, [5.0], [5.0], {"g": [1]}, math.log(1e-9)),
    # 0, 1 and 2 degrees: the median is 1, the 95th percentile 1.9; the other group is off by 4
    (
        "haversine_p50_p95_mean",
        {"group_column": "g"},
        [[0, 9], [0, 9], [0, 9], [50, 9]],
        [[2, 9], [0, 9], [-1, 9], [54, 9]],
        {"g": ["a", "a", "a", "b"]},
        DEGREE_M * (1.45 + 4) / 2,
    ),
    # r: one class of two is found; v: all rows of its one class, but another class is guessed and never true
    (
        "recall_macro_weighted_components",
        {"component_column": "c", "weights": {"r": 2, "v": 1}},
        [0, 1, 5, 5],
        [0, 0, 5, 6],
        {"c": ["r", "r", "v", "v"]},
        (2 * 0.5 + 0.25) / 3,
    ),
    (
        "recall_macro_weighted_components",
        {"component_column": "c"},
        ["x", "y", "x"],
        ["x", "x", "x"],
        {"c": [1, 1, 2]},
        0.75,
    ),
    # overall 3 of 4 pairs; within the identity 1 of 1; its harmless row against the other toxic one 0; its
    # toxic row against the other harmless one 1
    (
        "jigsaw_bias_auc",
        {"identity_columns": ["i"]},
        [0.5, 0.4, 1, 0],
        [0.9, 0.8, 0.7, 0.6],
        {"i": [1, 0.5, 0.4, 0]},
        (3 / 4 + 1 + 0 + 1) / 4,
    ),
    # all alike: every AUC is 1/2
    (
        "jigsaw_bias_auc",
        {"identity_columns": ["i"]},
        [1, 0, 1, 0],
        [0.3, 0.3, 0.3, 0.3],
        {"i": [1, 1, 0, 0]},
        0.5,
    ),
    # j mentions all but the last: its AUCs are 1/2 (one toxic above, one below), undefined, 1
    (
        "jigsaw_bias_auc",
        {"identity_columns": ["i", "j"], "power": -1, "compat": "dojo"},
        [1, 0, 1, 0],
        [0.9, 0.8, 0.7, 0.6],
        {"i": [1, 1, 0, 0], "j": [1, 1, 1, 0]},
        (3 / 4 + 2 / (1 / 1 + 1 / 0.5) + 0 + 1) / 4,
    ),
]


@pytest.mark.parametrize(("name", "params", "truth", "predicted", "score"), BY_HAND)
def test_scores_worked_out_by_hand(
    name: str, params: dict[str, Any], truth: Any, predicted: Any, score: float
):
    assert get_metric(name, params)(truth, predicted) == pytest.approx(score, abs=1e-12)


@pytest.mark.parametrize(("name", "params", "truth", "predicted", "columns", "score"), WITH_COLUMNS)
def test_scores_with_columns_of_the_answers_worked_out_by_hand(
    name: str, params: dict[str, Any], truth: Any, predicted: Any, columns: dict[str, Any], score: float
):
    metric = get_metric(name, params)
    assert set(metric.needed_columns) == set(columns)
    assert metric(truth, predicted, **columns) == pytest.approx(score, rel=1e-12, abs=1e-12)
    with pytest.raises(GradingError, match="needs the column"):
        metric(truth, predicted)


LIFE = {"delta_column": "delta", "width": 5}


def boards(*pictures: str) -> np.ndarray:
    """Return boards of 5 x 5 cells, shape (boards, 25)."""
    return np.array([[int(cell == "#") for cell in picture.replace("/", "")] for picture in pictures])


def test_boards_of_life_are_played_forward():
    upright, flat = "...../..#../..#../..#../.....", "...../...../.###./...../....."
    empty, lonely = "/".join(["....."] * 5), "#..../...../..#../...../....."
    edge, over_the_edge = "#..../#..../...../...../#....", "##..#/...../...../...../....."
    metric, start = get_metric("life_forward_mae", LIFE), boards(upright, upright, empty, edge)
    delta = [1, 2, 1, 2]
    assert metric(start, start, delta=delta) == 0
    dying = boards(upright, upright, lonely, edge)  # cells that are gone after a step: as good as none
    assert metric(start, dying, delta=delta) == 0
    assert metric(start, boards(upright, empty, empty, edge), delta=delta) == 3 / 100
    assert metric(start, boards(upright, upright, empty, over_the_edge), delta=[1, 2, 1, 0]) == 4 / 100
    assert metric(boards(edge), boards(over_the_edge), delta=[0]) == 4 / 25
    pairs = [(upright, flat), (upright, edge), (edge, flat), (edge, edge)]
    wrong = [25 * metric(boards(one), boards(other), delta=[1]) for one, other in pairs]
    assert wrong == pytest.approx([4, 6, 6, 0])
    crowded = boards("...../.#.#./...../.#.#./.....")  # four neighbours wake no cell, and all die
    assert metric(boards(empty), crowded, delta=[1]) == 0
    with pytest.raises(BadCell, match="something else than 0 and 1") as error:
        metric(start, start * [[1], [1], [1], [0.5]], delta=delta)
    assert error.value.row == 3
    with pytest.raises(GradingError, match="whole number of steps"):
        metric(start, start, delta=[1, 2, 1, 1.5])
    with pytest.raises(GradingError, match="boards of 0 and 1"):
        metric(start * 2, start, delta=delta)


def test_predicted_distributions_sum_to_1():
    metric = get_metric("kl_divergence")
    assert metric([[0.5, 0.5]], [[0.5, 0.5004]]) == pytest.approx(0, abs=1e-3)
    with pytest.raises(BadCell, match=r"sums to 0\.9 over the row; expected 1") as error:
        metric([[0.5, 0.5], [1, 0]], [[0.5, 0.5], [0.5, 0.4]])
    assert error.value.row == 1


def test_chance_gets_nothing_as_mle_dojo_has_flavours_of_physics():
    """Its grid of 10,000 rates misses the last digits."""
    bands = {"tpr_thresholds": [0, 0.2, 0.4, 0.6, 0.8], "weights": [2, 1.5, 1, 0.5], "compat": "dojo_chance"}
    metric = get_metric("weighted_roc_auc", bands)
    assert metric([1, 0], [3, 3]) == pytest.approx(0, abs=1e-3)
    assert metric([1, 0, 1, 0], [4, 3, 2, 1]) == pytest.approx(1 - 0.5 * (0.1 + 0.5 * 0.2) / 0.3, abs=1e-3)


@pytest.mark.parametrize("seed", range(20))
def test_lwlrap_is_scikit_learns_ranking_precision_weighted_by_labels(seed: int):
    random = np.random.default_rng(seed)
    truth = random.integers(0, 2, (30, 6))
    truth[0] = 1
    predicted = random.random((30, 6)).round(1)  # with ties
    expected = label_ranking_average_precision_score(truth, predicted, sample_weight=truth.sum(axis=1))
    assert get_metric("lwlrap")(truth, predicted) == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("seed", range(20))
def test_areas_under_the_curve_are_scikit_learns(seed: int):
    random = np.random.default_rng(seed)
    truth, predicted = random.integers(0, 2, 40), random.normal(0, 1, 40).round(seed % 3)
    truth[:2] = (0, 1)
    assert get_metric("roc_auc")(truth, predicted) == pytest.approx(
        roc_auc_score(truth, predicted), abs=1e-12
    )
    whole = get_metric("weighted_roc_auc", {"tpr_thresholds": [0, 0.3, 1], "weights": [2, 2]})
    assert whole(truth, predicted) == pytest.approx(roc_auc_score(truth, predicted), abs=1e-12)


def test_what_a_prediction_may_be_can_depend_on_a_parameter():
    assert get_metric("rmsle").prediction is Prediction.NON_NEGATIVE
    assert get_metric("rmsle", {"clip_negative": True}).prediction is Prediction.NUMBER


# --------------------------------------------------------------------------- what counts

ANSWERS = pd.DataFrame(
    {"id": list("abcd"), "x": [0.0, 0, 0, 0], "y": [0.0, 0, 0, 0], "scored": [True, False, True, True]}
)
FORM = SubmissionFormat(id=["id"], targets=["x", "y"], value="number")
SUBMISSION = pd.DataFrame({"y": [1.0, 2, 3, 4], "id": list("abcd"), "x": [10.0, 20, 30, 40]})


@pytest.mark.parametrize(
    ("params", "score"),
    [
        ({}, (10 + 100) / 8),
        ({"mask_column": "scored"}, (8 + 80) / 6),
        ({"scored_columns": ["y"]}, 10 / 4),
        ({"scored_columns": ["y", "x"], "mask_column": "scored"}, (8 + 80) / 6),
        ({"scored_columns": ["x"], "mask_column": "scored"}, 80 / 3),
    ],
)
def test_rows_and_targets_that_do_not_count(params: dict[str, Any], score: float):
    metric = get_metric("mae", params)
    assert score_frame(SUBMISSION, ANSWERS, FORM, metric) == pytest.approx(score)
    shuffled = SUBMISSION.iloc[[2, 0, 3, 1]]
    assert score_frame(shuffled, ANSWERS.iloc[::-1], FORM, metric) == pytest.approx(score)


def test_what_does_not_count_must_be_fit_to_count():
    metric = get_metric("mae", {"mask_column": "scored", "scored_columns": ["x"]})
    with pytest.raises(InvalidSubmission, match=r"'y' is blank or NaN; .*: at id b"):
        score_frame(SUBMISSION.assign(y=[1, None, 3, 4]), ANSWERS, FORM, metric)


def test_a_refusal_of_a_masked_metric_names_the_right_id():
    answers = ANSWERS.assign(x=[1, 1, 0, 0], y=[0, 0, 1, 1])
    metric = get_metric("kl_divergence", {"mask_column": "scored"})
    bad = SUBMISSION.assign(x=[1, 0.2, 0, 0.4], y=[0, 0, 1, 0.2])
    with pytest.raises(InvalidSubmission, match=r"sums to 0\.6 .*: at id d"):
        score_frame(bad, answers, FORM, metric)


@pytest.mark.parametrize(
    ("params", "words"),
    [
        ({"mask_column": "keep"}, "no column 'keep'"),
        ({"mask_column": "x"}, "mask 'x' of the answers is not all 0 and 1"),
        ({"scored_columns": ["z"]}, "names 'z', which is no target"),
    ],
)
def test_what_counts_must_be_known(params: dict[str, Any], words: str):
    answers = ANSWERS.assign(x=[0, 1, 2, 3])
    with pytest.raises(GradingError, match=words):
        score_frame(SUBMISSION, answers, FORM, get_metric("mae", params))


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
        ("gini", [0, 0, 0]),
        ("rmspe", [0, 0]),
        ("pearson", [2, 2, 2]),
        ("spearman", [2, 2, 2]),
        ("mean_columnwise_spearman", [[1, 2], [3, 2]]),
        ("mean_columnwise_roc_auc", [[1, 0], [0, 0]]),
        ("weighted_roc_auc", [1, 1]),
        ("average_precision", [[0, 0], [0, 0]]),
        ("lwlrap", [[0, 0], [0, 0]]),
        ("lwlrap", [0, 1]),
        ("balanced_log_loss", [[1, 0], [1, 0]]),
        ("kl_divergence", [[1, 0], [0, 0]]),
        ("laplace_log_likelihood", [1, 2]),
        ("mean_angular_error", [[1], [2]]),
    ],
)
def test_answers_that_leave_a_metric_undefined_are_our_fault(name: str, truth: Any):
    with pytest.raises(GradingError, match=name):
        get_metric(name)(truth, truth)


@pytest.mark.parametrize(
    ("name", "params", "truth", "columns"),
    [
        ("wmae", {"weight_column": "w"}, [1, 2], {"w": [0, 0]}),
        ("haversine_p50_p95_mean", {"group_column": "g"}, [1, 2], {"g": [0, 0]}),
        ("jigsaw_bias_auc", {"identity_columns": ["i"]}, [1, 0, 1], {"i": [1, 0, 0]}),
        (
            "jigsaw_bias_auc",
            {"identity_columns": ["i", "j"]},
            [1, 0, 1, 0],
            {"i": [1, 1, 0, 0], "j": [1, 1, 1, 0]},
        ),
        ("jigsaw_bias_auc", {"identity_columns": ["i"], "compat": "dojo"}, [1, 1], {"i": [1, 0]}),
        (
            "recall_macro_weighted_components",
            {"component_column": "c", "weights": {"a": 1}},
            [1, 2],
            {"c": ["a", "b"]},
        ),
    ],
)
def test_columns_of_the_answers_that_leave_a_metric_undefined_are_our_fault(
    name: str, params: dict[str, Any], truth: Any, columns: dict[str, Any]
):
    with pytest.raises(GradingError, match=name):
        get_metric(name, params)(truth, truth, **columns)


def test_shapes_must_agree():
    with pytest.raises(GradingError, match="shape"):
        get_metric("rmse")([1, 2, 3], [1, 2])


@pytest.mark.parametrize(
    ("name", "params", "found"),
    [
        ("rmsee", {}, "'rmse'"),
        ("f1", {"averge": "macro"}, "'average'"),
        ("f1", {"average": "marco"}, "'marco'"),
        ("rmse", {"scale": 2}, "mask_column, scored_columns"),
        ("rmse", {"mask_colum": "m"}, "'mask_column'"),
        ("log_loss", {"eps": "tiny"}, "'tiny'"),
        ("wmae", {}, "'weight_column'"),
        ("rmse", {"scored_columns": 3}, "scored_columns is 3"),
    ],
)
def test_unknown_metrics_and_parameters_name_the_nearest(name: str, params: dict[str, Any], found: str):
    with pytest.raises(ConfigError, match=found):
        get_metric(name, params)


# --------------------------------------------------------------------------- whatever comes

PARAMS: dict[str, dict[str, Any]] = {
    "wmae": {"weight_column": "w"},
    "group_mean_log_mae": {"group_column": "g"},
    "haversine_p50_p95_mean": {"group_column": "g"},
    "recall_macro_weighted_components": {"component_column": "g"},
    "jigsaw_bias_auc": {"identity_columns": ["i", "j"]},
    "life_forward_mae": LIFE,
}
# Those that read a structure from text have tests of their own.
COLUMN_METRICS = [
    name
    for name, definition in _definitions().items()
    if definition.prediction is not Prediction.TEXT or name == "exact_match_accuracy"
]
CLASSES = ("multiclass_log_loss", "balanced_log_loss", "kl_divergence")
INDICATORS = ("mean_columnwise_roc_auc", "average_precision", "lwlrap")
SEPARATING = ("roc_auc", "weighted_roc_auc", "jigsaw_bias_auc")
SEVERAL = ("mcrmse", "mean_columnwise_rmsle", "mean_columnwise_spearman", "mean_angular_error")
SEVERAL += ("haversine_p50_p95_mean", "laplace_log_likelihood")


def _example(name: str, rows: int, seed: int) -> tuple[Any, np.ndarray, np.ndarray, dict[str, np.ndarray]]:
    """Return a metric with answers and predictions that fit it, predictions with ties."""
    random = np.random.default_rng(seed)
    metric = get_metric(name, PARAMS.get(name, {}))
    columns = {column: random.random(rows) + 0.1 for column in metric.needed_columns}
    if name == "life_forward_mae":
        truth, predicted = random.integers(0, 2, (2, rows, 25))
        return metric, truth, predicted, {"delta": random.integers(0, 4, rows)}
    if "g" in columns:
        columns["g"] = np.array(["a", "b", "c"], dtype=object)[random.integers(0, 3, rows)]
    if name in CLASSES:
        truth, predicted = np.eye(3)[random.integers(0, 3, rows)], random.random((rows, 3)).round(1) + 0.01
        truth[:3] = np.eye(3)
        return metric, truth, predicted / predicted.sum(axis=1, keepdims=True), columns
    if name in INDICATORS:
        truth, predicted = random.integers(0, 2, (rows, 3)), random.random((rows, 3)).round(1)
        truth[:2] = [[0, 1, 0], [1, 0, 1]]
        return metric, truth, predicted, columns
    shape = (rows, 2) if name in SEVERAL else (rows,)
    if metric.prediction in (Prediction.LABEL, Prediction.ORDINAL, Prediction.TEXT):
        truth, predicted = random.integers(0, 2, rows), random.integers(0, 2, rows)
        truth[:2] = (0, 1)
    elif metric.prediction is Prediction.PROBABILITY or name in SEPARATING:
        truth, predicted = random.integers(0, 2, rows), random.random(rows).round(1)
        truth[:4] = (0, 1, 0, 1)
        if name == "jigsaw_bias_auc":
            columns["i"][:4], columns["j"][:4] = (0, 0, 1, 1), (1, 1, 0, 0)
    else:
        truth, predicted = random.random(shape).round(1) + 0.1, random.random(shape).round(1)
        truth[0], truth[1] = 0.5, 2.5
        if name == "laplace_log_likelihood":
            truth[:, 1] = 70
    return metric, truth, predicted, columns


@pytest.mark.parametrize("name", COLUMN_METRICS)
@settings(max_examples=12, deadline=None)
@given(rows=st.integers(4, 40), seed=st.integers(0, 10_000))
def test_the_order_of_rows_never_matters(name: str, rows: int, seed: int):
    metric, truth, predicted, columns = _example(name, rows, seed)
    order = np.random.default_rng(seed + 1).permutation(rows)
    shuffled = {column: values[order] for column, values in columns.items()}
    score = metric(truth, predicted, **columns)
    assert math.isfinite(score)
    assert metric(truth[order], predicted[order], **shuffled) == pytest.approx(score, rel=1e-9, abs=1e-12)


@pytest.mark.parametrize("name", [*CLASSES, *INDICATORS, *SEVERAL[:3]])
@settings(max_examples=12, deadline=None)
@given(rows=st.integers(4, 40), seed=st.integers(0, 10_000))
def test_the_order_of_targets_never_matters(name: str, rows: int, seed: int):
    metric, truth, predicted, columns = _example(name, rows, seed)
    score = metric(truth, predicted, **columns)
    assert metric(truth[:, ::-1], predicted[:, ::-1], **columns) == pytest.approx(score, rel=1e-9, abs=1e-12)


@pytest.mark.parametrize("name", COLUMN_METRICS)
@settings(max_examples=12, deadline=None)
@given(rows=st.integers(4, 40), seed=st.integers(0, 10_000))
def test_nothing_scores_better_than_the_answers(name: str, rows: int, seed: int):
    metric, truth, predicted, columns = _example(name, rows, seed)
    gold = metric(truth, truth, **columns)
    if name != "gini":  # whose best value depends on the answers
        assert gold == pytest.approx(metric.best_value, abs=1e-9)
    assert not metric.is_better(
        metric(truth, predicted, **columns), gold + 1e-9 * (-1, 1)[metric.higher_is_better]
    )
