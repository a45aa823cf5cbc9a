"""Metrics of boxes and points against numbers worked out by hand, and what they refuse."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest

from mledojo_env.errors import GradingError, InvalidSubmission
from mledojo_env.grading import score_frame
from mledojo_env.metrics import BadCell, detection, get_metric
from mledojo_env.task import SubmissionFormat


def cells(values: list[str]) -> np.ndarray:
    return np.array(values, dtype=object)


DOJO = {"compat": "dojo"}
AT_65 = {"thresholds": [0.65]}

# params, answers, predictions, score by hand; boxes are 'confidence x y width height'
WHEAT: list[tuple[dict[str, Any], list[str], list[str], float]] = [
    ({}, ["1 0 0 10 10"], ["0.9 0 0 10 10"], 1.0),
    # 60 of 100 pixels: more than 0.5 and 0.55, no more than 0.6
    ({}, ["1 0 0 10 10"], ["0.9 0 0 10 6"], 2 / 6),
    (DOJO, ["1 0 0 10 10"], ["0.9 0 0 10 6"], 3 / 6),
    ({}, ["1 0 0 10 10"], ["0.9 0 0 10 5"], 0.0),
    (DOJO, ["1 0 0 10 10"], ["0.9 0 0 10 5"], 1 / 6),
    # half a box to the right: 50 of 150
    ({"thresholds": [0.3, 0.4]}, ["1 0 0 10 10"], ["0.9 5 0 10 10"], 1 / 2),
    # a miss; a false one besides; the same one twice
    ({}, ["1 0 0 10 10 1 50 50 9 9"], ["0.9 0 0 10 10"], 1 / 2),
    ({}, ["1 0 0 10 10"], ["0.9 0 0 10 10 0.8 50 50 9 9"], 1 / 2),
    ({}, ["1 0 0 10 10"], ["0.9 0 0 10 10 0.8 0 0 10 10"], 1 / 2),
    # nothing found; then nothing there: 0 if anything is predicted, left out if not
    ({}, ["1 0 0 10 10"] * 2, ["0.9 0 0 10 10", ""], 1 / 2),
    ({}, ["1 0 0 10 10", "", ""], ["0.9 0 0 10 10", "0.9 0 0 1 1", ""], 1 / 2),
    (DOJO, ["1 0 0 10 10", "", ""], ["0.9 0 0 10 10", "0.9 0 0 1 1", ""], 1 / 3),
    # the second of two equal boxes takes the true box that is left, which it overlaps by 0.8
    ({}, ["1 0 0 10 10 1 0 0 10 8"], ["0.9 0 0 10 8 0.8 0 0 10 8"], 1.0),
    # 10 x 8 prefers the true 10 x 7, which is all that 10 x 6 can hit: whoever is more confident chooses
    (AT_65, ["1 0 0 10 10 1 0 0 10 7"], ["0.9 0 0 10 8 0.8 0 0 10 6"], 1 / 3),
    (AT_65, ["1 0 0 10 10 1 0 0 10 7"], ["0.7 0 0 10 8 0.8 0 0 10 6"], 1.0),
    (AT_65, ["1 0 0 10 10 1 0 0 10 7"], ["0.8 0 0 10 6 0.9 0 0 10 8"], 1 / 3),
    # of equals, the first listed
    (AT_65, ["1 0 0 10 10 1 0 0 10 7"], ["0.8 0 0 10 6 0.8 0 0 10 8"], 1.0),
    # boxes without area or inside out hit nothing
    ({}, ["1 0 0 10 10"], ["0.9 0 0 0 10 0.8 10 10 -10 -10 0.7 0 0 10 10"], 1 / 3),
    ({}, ["1 0 0 10 10"], ["0.9 -1e308 0 1e308 1e308 0.7 0 0 10 10"], 1 / 2),
]

# params, answers, predictions, score by hand; boxes are 'class confidence x1 y1 x2 y2'
VOC: list[tuple[dict[str, Any], list[str], list[str], float]] = [
    ({}, ["a 1 0 0 10 10"], ["a 0.2 0 0 10 10"], 1.0),
    ({}, ["a 1 0 0 10 10"], [""], 0.0),
    # 50 of 100 pixels do not exceed 0.5
    ({}, ["a 1 0 0 10 10"], ["a 0.9 0 0 10 5"], 0.0),
    ({"iou": 0.4}, ["a 1 0 0 10 10"], ["a 0.9 0 0 10 5"], 1.0),
    (DOJO, ["a 1 0 0 10 10"], ["a 0.9 0 0 10 5"], 1 / (1 + 1e-6)),
    # hit, false, hit: precision 1 up to recall 1/2, then 2/3
    (
        {},
        ["a 1 0 0 10 10", "a 1 0 0 10 10"],
        ["a 0.9 0 0 10 10", "a 0.8 40 40 50 50 a 0.7 0 0 10 10"],
        1 / 2 + 1 / 2 * 2 / 3,
    ),
    # false, hit, hit: precision 1/2, then 2/3; the better one counts for both
    (
        {},
        ["a 1 0 0 10 10", "a 1 0 0 10 10"],
        ["a 0.7 0 0 10 10", "a 0.9 40 40 50 50 a 0.8 0 0 10 10"],
        2 / 3,
    ),
    # a true box is hit once
    (
        {},
        ["a 1 0 0 10 10", "a 1 0 0 10 10"],
        ["a 0.9 0 0 10 10 a 0.8 0 0 10 10", "a 0.7 0 0 10 10"],
        1 / 2 + 1 / 2 * 2 / 3,
    ),
    # two boxes of one confidence enter together, hit or false first
    ({}, ["a 1 0 0 10 10", "b 1 0 0 1 1"], ["a 0.5 0 0 10 10", "a 0.5 0 0 10 10"], (1 / 2 + 0) / 2),
    ({}, ["b 1 0 0 1 1", "a 1 0 0 10 10"], ["a 0.5 0 0 10 10", "a 0.5 0 0 10 10"], (1 / 2 + 0) / 2),
    (DOJO, ["b 1 0 0 1 1", "a 1 0 0 10 10"], ["a 0.5 0 0 10 10", "a 0.5 0 0 10 10"], 1 / (2 + 1e-6) / 2),
    (DOJO, ["a 1 0 0 10 10", "b 1 0 0 1 1"], ["a 0.5 0 0 10 10", "a 0.5 0 0 10 10"], 1 / (1 + 1e-6) / 2),
    # classes of the answers count the same, b is never found, and c is no class
    ({}, ["a 1 0 0 10 10 b 1 0 0 5 5", ""], ["a 0.9 0 0 10 10 c 1 0 0 5 5", "c 1 0 0 1 1"], 1 / 2),
    # a box of another class is no hit
    ({}, ["a 1 0 0 10 10 b 1 0 0 10 10"], ["a 0.9 0 0 10 10"], 1 / 2),
    # both predictions belong to the smaller true box, which only one of them can hit
    ({}, ["a 1 0 0 10 10 a 1 0 0 10 8"], ["a 0.9 0 0 10 8 a 0.8 0 0 10 8"], 1 / 2),
    ({"match": "best_free"}, ["a 1 0 0 10 10 a 1 0 0 10 8"], ["a 0.9 0 0 10 8 a 0.8 0 0 10 8"], 1.0),
    # a box that is inside out is false, and below zero is a place like any other
    ({}, ["a 1 0 0 10 10"], ["a 0.9 10 10 0 0 a 0.8 0 0 10 10"], 1 / 2),
    ({}, ["a 1 -5 -5 5 5"], ["a 0.8 -5 -5 5 5"], 1.0),
    ({}, ["14 1 0 0 1 1"], ["14 1e-300 0 0 1 1 14 1e300 -1e308 -1e308 1e308 1e308"], 1 / 2),
]

# params, true boxes, points, score by hand
KUZUSHIJI: list[tuple[dict[str, Any], list[str], list[str], float]] = [
    ({}, ["U+4E00 0 0 10 10"], ["U+4E00 5 5"], 1.0),
    # another label; on a border of the box; on the opposite one
    ({}, ["a 0 0 10 10"], ["b 5 5"], 0.0),
    ({}, ["a 0 0 10 10"], ["a 0 5"], 0.0),
    (DOJO, ["a 0 0 10 10"], ["a 0 5"], 1.0),
    (DOJO, ["a 0 0 10 10"], ["a 5 10"], 0.0),
    # two points in one box: 1 hit of 1 + 2
    ({}, ["a 0 0 10 10"], ["a 5 5 a 6 6"], 2 / 3),
    (DOJO, ["a 0 0 10 10"], ["a 5 5 a 6 6"], 2 / 3),
    # boxes overlap: the first takes the point that the second needs, unless another comes before
    ({}, ["a 0 0 10 10 a 5 0 10 10"], ["a 7 5 a 3 5"], 2 * 1 / 4),
    ({}, ["a 0 0 10 10 a 5 0 10 10"], ["a 3 5 a 7 5"], 1.0),
    # boxes take turns on Kaggle, points at MLE-Dojo: the wide box first, then the narrow one inside
    ({}, ["a 0 0 10 10 a 4 4 2 2"], ["a 1 1 a 5 5"], 1.0),
    (DOJO, ["a 4 4 2 2 a 0 0 10 10"], ["a 1 1 a 5 5"], 1.0),
    ({}, ["a 0 0 10 10 a 4 4 2 2"], ["a 5 5 a 1 1"], 2 * 1 / 4),
    # pages are pooled: 1 hit of 1 + 1, nothing of 0 + 2, nothing of 3 + 0
    ({}, ["a 0 0 9 9", "-", "a 0 0 9 9 b 0 0 9 9 c 0 0 9 9"], ["a 1 1", "a 1 1 b 1 1", ""], 2 * 1 / 7),
    ({}, ["-"], [""], 1.0),
]


@pytest.mark.parametrize(("params", "truth", "predicted", "score"), WHEAT)
def test_wheat_worked_out_by_hand(
    params: dict[str, Any], truth: list[str], predicted: list[str], score: float
):
    found = get_metric("map_detection_iou", params)(cells(truth), cells(predicted))
    assert found == pytest.approx(score, abs=1e-12)


@pytest.mark.parametrize(("params", "truth", "predicted", "score"), VOC)
def test_average_precision_worked_out_by_hand(
    params: dict[str, Any], truth: list[str], predicted: list[str], score: float
):
    found = get_metric("voc_map", params)(cells(truth), cells(predicted))
    assert found == pytest.approx(score, abs=1e-12)


@pytest.mark.parametrize(("params", "boxes", "points", "score"), KUZUSHIJI)
def test_points_worked_out_by_hand(params: dict[str, Any], boxes: list[str], points: list[str], score: float):
    metric = get_metric("point_in_box_f1", {"boxes_column": "boxes", **params})
    assert metric(cells(points), cells(points), boxes=cells(boxes)) == pytest.approx(score, abs=1e-12)


def score(name: str, predicted: list[str]) -> float:
    box = {"map_detection_iou": "1 0 0 9 9", "voc_map": "a 1 0 0 9 9"}.get(name, "")
    truth = cells([box] * len(predicted))
    if name == "point_in_box_f1":
        boxes = cells(["a 0 0 9 9"] * len(predicted))
        return get_metric(name, {"boxes_column": "boxes"})(truth, cells(predicted), boxes=boxes)
    return get_metric(name)(truth, cells(predicted))


@pytest.mark.parametrize(
    ("name", "predicted", "problem"),
    [
        ("map_detection_iou", "0.9 0 0 10", "holds 4 values; expected 'confidence x y width height'"),
        ("map_detection_iou", "0.9 0 0 10 ten", "'ten'; expected a finite number"),
        ("map_detection_iou", "nan 0 0 10 10", "'nan'"),
        ("map_detection_iou", "0.9 0 0 1e309 10", "'1e309'"),
        ("voc_map", "a 0.9 0 0 1 1 b", "holds 7 values"),
        ("voc_map", "0.9 a 0 0 1 1", "'a'; expected a finite number"),
        ("voc_map", "a inf 0 0 1 1", "'inf'"),
        ("point_in_box_f1", "a 1", "holds 2 values; expected 'label x y'"),
        ("point_in_box_f1", "a 1 b", "'b'"),
        ("point_in_box_f1", "a 1 1 " * 1201, "more than 1200 times"),
    ],
)
def test_what_cannot_be_read_names_its_row(name: str, predicted: str, problem: str):
    with pytest.raises(BadCell, match=problem) as caught:
        score(name, ["", predicted])
    assert caught.value.row == 1


def test_a_page_may_hold_1200_points():
    assert score("point_in_box_f1", ["a 1 1 " * 1200]) == pytest.approx(2 / 1201)


@pytest.mark.parametrize(("name", "box"), [("map_detection_iou", "1 0 0 9 9 "), ("voc_map", "a 1 0 0 9 9 ")])
def test_boxes_have_a_limit(name: str, box: str, monkeypatch: pytest.MonkeyPatch):
    with pytest.raises(BadCell, match="more than 5000 times"):
        score(name, [box * 1_000_000])
    monkeypatch.setattr(detection, "_MAX_BOXES", 3)
    assert score(name, [box * 3]) > 0
    with pytest.raises(BadCell, match="more than 3 times"):
        score(name, [box * 4])


@pytest.mark.parametrize(
    ("name", "truth"),
    [
        ("map_detection_iou", ["", ""]),
        ("map_detection_iou", ["1 2 3", ""]),
        ("voc_map", ["", ""]),
        ("voc_map", ["a 1 2", ""]),
    ],
)
def test_broken_answers_are_our_fault(name: str, truth: list[str]):
    with pytest.raises(GradingError, match=r"answers|undefined"):
        get_metric(name)(cells(truth), cells(["", ""]))
    with pytest.raises(GradingError, match="answers"):
        get_metric("point_in_box_f1", {"boxes_column": "b"})(cells([""]), cells([""]), b=cells(["a 1 2"]))


def example(name: str, rows: int, seed: int) -> tuple[np.ndarray, np.ndarray, dict[str, np.ndarray]]:
    """Return answers, predictions and further columns that fit a metric; confidences tie often."""
    random = np.random.default_rng(seed)

    def page(count: int) -> np.ndarray:
        return np.column_stack([random.integers(0, 12, (count, 2)), random.integers(4, 9, (count, 2))])

    truth, predicted, columns = [], [], []
    for _ in range(rows):
        boxes = page(random.integers(1, 5))
        labels = random.choice(["a", "b"], len(boxes))
        moved = boxes + np.pad(random.integers(-1, 2, (len(boxes), 2)), ((0, 0), (0, 2)))
        scores = random.integers(1, 5, len(boxes)) / 4
        if name == "point_in_box_f1":
            columns.append(
                " ".join(f"{a} {x} {y} {w} {h}" for a, (x, y, w, h) in zip(labels, boxes, strict=True))
            )
            truth.append(
                " ".join(
                    f"{a} {x + w / 2} {y + h / 2}" for a, (x, y, w, h) in zip(labels, boxes, strict=True)
                )
            )
            predicted.append(
                " ".join(f"{a} {x} {y}" for a, (x, y, _, _) in zip(labels, moved + 1, strict=True))
            )
        elif name == "voc_map":
            ends = np.hstack([boxes[:, :2], boxes[:, :2] + boxes[:, 2:]])
            shift = moved[:, [0, 1, 0, 1]] - boxes[:, [0, 1, 0, 1]]
            truth.append(
                " ".join(f"{a} 1 {' '.join(map(str, b))}" for a, b in zip(labels, ends, strict=True))
            )
            found = zip(labels, scores, ends + shift, strict=True)
            predicted.append(" ".join(f"{a} {s} {' '.join(map(str, b))}" for a, s, b in found))
        else:
            truth.append(" ".join(f"1 {' '.join(map(str, box))}" for box in boxes))
            predicted.append(
                " ".join(f"{s} {' '.join(map(str, b))}" for s, b in zip(scores, moved, strict=True))
            )
    return cells(truth), cells(predicted), {"boxes": cells(columns)} if columns else {}


@pytest.mark.parametrize("name", ["map_detection_iou", "voc_map", "point_in_box_f1"])
@pytest.mark.parametrize("seed", range(3))
def test_the_order_of_rows_never_matters_and_gold_is_best(name: str, seed: int):
    metric = get_metric(name, {"boxes_column": "boxes"} if name == "point_in_box_f1" else {})
    truth, predicted, columns = example(name, 30, seed)
    order = np.random.default_rng(seed).permutation(30)
    shuffled = {column: values[order] for column, values in columns.items()}
    score = metric(truth, predicted, **columns)
    assert metric(truth[order], predicted[order], **shuffled) == pytest.approx(score, abs=1e-12)
    assert metric(truth, truth, **columns) == pytest.approx(1.0)
    assert metric.best_value == 1 and 0 < score < 1


def test_what_perfect_predictions_get_at_mle_dojo_depends_on_the_answers():
    for name in ("map_detection_iou", "voc_map"):
        assert np.isnan(get_metric(name, DOJO).best_value)


def test_pages_without_boxes_pass_through_grading():
    form = SubmissionFormat(id=["id"], targets=["labels"], value="text")
    answers = pd.DataFrame({"id": ["1", "2"], "labels": ["a 5 5", ""], "boxes": ["a 0 0 10 10", "-"]})
    metric = get_metric("point_in_box_f1", {"boxes_column": "boxes"})
    assert score_frame(answers[["id", "labels"]], answers, form, metric) == 1
    submission = pd.DataFrame({"id": ["2", "1"], "labels": ["a 5", ""]})
    with pytest.raises(InvalidSubmission, match=r"^Column 'labels' holds 2 values; .*: at id 2\.$"):
        score_frame(submission, answers, form, metric)
