"""Metrics of objects found in images: boxes with a confidence, points with a label."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from operator import ge, gt
from typing import Any, Literal

import numpy as np

from mledojo_env.errors import GradingError
from mledojo_env.metrics.base import Prediction, metric
from mledojo_env.metrics.cells import numbers, read, read_answers, repeated

_MAX_BOXES = 5_000  # in an image
_MAX_POINTS = 1_200  # on a page, as Kaggle has it

_WHEAT = (0.5, 0.55, 0.6, 0.65, 0.7, 0.75)


@dataclass(frozen=True)
class _Boxes:
    """The boxes of an image, most confident first; among equals, in the order they are listed."""

    labels: list[str]
    confidence: np.ndarray  # shape (boxes,)
    corners: np.ndarray  # x1, y1, x2, y2, shape (boxes, 4)
    areas: np.ndarray  # shape (boxes,)

    def __len__(self) -> int:
        return len(self.confidence)

    def __getitem__(self, places: list[int]) -> _Boxes:
        labels = [self.labels[place] for place in places]
        return _Boxes(labels, self.confidence[places], self.corners[places], self.areas[places])


def _best_value(compat: str = "kaggle", **_: object) -> float:
    return 1.0 if compat == "kaggle" else np.nan  # MLE-Dojo has none for images without boxes, nor quite 1


@metric(higher_is_better=True, best_value=_best_value, prediction=Prediction.TEXT, allows_blank=True)
def map_detection_iou(
    y_true: np.ndarray,
    y_pred: np.ndarray,
    *,
    thresholds: tuple[float, ...] = _WHEAT,
    compat: Literal["kaggle", "dojo"] = "kaggle",
) -> float:
    """Return hits / (hits + false + missed boxes), averaged over thresholds and then over images.

    At each threshold the boxes take turns, most confident first: each hits the free true box with which its
    intersection over union (IoU) is largest, if it exceeds the threshold. An image without true boxes
    scores 0 if any are predicted, and does not count if none are.

    Args:
        y_true: 'confidence x y width height' repeated, the confidence of no consequence; blank for none.
        y_pred: The same.
        thresholds: Of the IoU.
        compat: For MLE-Dojo an IoU may also equal the threshold, and images without true boxes score 0.
    """
    truth = read_answers(y_true, _sized)
    if not any(map(len, truth)):
        raise GradingError("map_detection_iou is undefined: no image has a true box.")
    reaches = ge if compat == "dojo" else gt
    scores = []
    for boxes, found in zip(truth, read(y_pred, _sized), strict=True):
        if len(boxes) and len(found):
            hits = _hits(_iou(found, boxes), thresholds, reaches)
            scores.append(float(np.mean(hits / (len(boxes) + len(found) - hits))))
        elif len(boxes) or len(found) or compat == "dojo":
            scores.append(0.0)
    return float(np.mean(scores))


def _hits(iou: np.ndarray, thresholds: tuple[float, ...], reaches: Callable[[Any, Any], Any]) -> np.ndarray:
    """Return how many boxes hit at each threshold, shape (thresholds,).

    Args:
        iou: Of predicted with true boxes, shape (predicted, true), the first prediction choosing first.
        thresholds: Of the IoU.
        reaches: Whether an IoU is enough for a threshold.
    """
    near = reaches(iou, min(thresholds))
    if near.sum(axis=0).max() <= 1 and near.sum(axis=1).max() <= 1:  # nobody has a choice
        return reaches(iou[near][:, None], np.array(thresholds)).sum(axis=0)
    choices = []
    for row in np.flatnonzero(near.any(axis=1)):
        places = np.flatnonzero(near[row])
        places = places[np.argsort(-iou[row, places], kind="stable")]
        choices.append(list(zip(iou[row, places].tolist(), places.tolist(), strict=True)))
    hits = np.zeros(len(thresholds))
    for number, threshold in enumerate(thresholds):
        taken: set[int] = set()
        for choice in choices:
            place = next((j for value, j in choice if j not in taken and reaches(value, threshold)), None)
            if place is not None:
                taken.add(place)
        hits[number] = len(taken)
    return hits


@metric(higher_is_better=True, best_value=_best_value, prediction=Prediction.TEXT, allows_blank=True)
def voc_map(
    y_true: np.ndarray,
    y_pred: np.ndarray,
    *,
    iou: float = 0.5,
    match: Literal["best", "best_free"] = "best",
    compat: Literal["kaggle", "dojo"] = "kaggle",
) -> float:
    """Return the average precision of PASCAL VOC 2010, averaged over the classes that the answers hold.

    All boxes of a class take turns, most confident first. Each belongs to the true box of its image and
    class with which its IoU is largest; it is a hit if the IoU exceeds the threshold and no box before was
    a hit there. Average precision is the area under precision over recall, precision at a recall being the
    best at that recall or beyond. Boxes of one confidence enter together, so that the order of images does
    not matter.

    Args:
        y_true: 'class confidence x1 y1 x2 y2' repeated, the confidence of no consequence; blank for none.
        y_pred: The same.
        iou: The threshold.
        match: `best_free` looks for the largest IoU among true boxes that are not hit yet.
        compat: For MLE-Dojo an IoU may also equal the threshold, boxes of one confidence enter one by one in
            the order of the answers, and precision is hits / (boxes + 1e-6). It matches `best_free` for
            vinbigdata-chest-xray-abnormalities-detection.
    """
    truth, predicted = read_answers(y_true, _labelled), read(y_pred, _labelled)
    reaches = ge if compat == "dojo" else gt
    true_boxes: dict[str, int] = defaultdict(int)
    confidence: dict[str, list[np.ndarray]] = defaultdict(list)
    is_hit: dict[str, list[np.ndarray]] = defaultdict(list)
    for boxes, found in zip(truth, predicted, strict=True):
        true_places, places = _by_label(boxes.labels), _by_label(found.labels)
        for label, there in true_places.items():
            true_boxes[label] += len(there)
        for label, here in places.items():
            hit = np.zeros(len(here), dtype=bool)
            if label in true_places:
                table = _iou(found[here], boxes[true_places[label]])
                hit = _turns(table, reaches(table, iou), match)
            confidence[label].append(found.confidence[here])
            is_hit[label].append(hit)
    if not true_boxes:
        raise GradingError("voc_map is undefined: no image has a true box.")
    total = 0.0
    for label, count in true_boxes.items():
        if label in is_hit:
            scores, hits = np.concatenate(confidence[label]), np.concatenate(is_hit[label])
            total += _average_precision(scores, hits, count, compat)
    return total / len(true_boxes)


def _turns(iou: np.ndarray, is_near: np.ndarray, match: Literal["best", "best_free"]) -> np.ndarray:
    """Return which predicted boxes are hits, shape (predicted,), the first choosing first."""
    hit = np.zeros(len(iou), dtype=bool)
    free = np.ones(iou.shape[1], dtype=bool)
    for row in np.flatnonzero(is_near.any(axis=1)):
        place = int(np.argmax(np.where(free, iou[row], -1.0) if match == "best_free" else iou[row]))
        hit[row] = is_near[row, place] and free[place]
        free[place] &= not hit[row]
    return hit


def _average_precision(confidence: np.ndarray, is_hit: np.ndarray, true_boxes: int, compat: str) -> float:
    """Return the area under the curve of precision over recall, made to fall."""
    order = np.argsort(-confidence, kind="stable")
    hits, boxes = np.cumsum(is_hit[order]), np.arange(1, len(order) + 1)
    if compat == "dojo":
        precision = hits / (boxes + 1e-6)
    else:
        last = np.append(confidence[order][1:] != confidence[order][:-1], True)  # of its confidence
        hits, boxes = hits[last], boxes[last]
        precision = hits / boxes
    best_beyond = np.maximum.accumulate(precision[::-1])[::-1]
    return float(np.diff(hits, prepend=0) @ best_beyond / true_boxes)


@metric(
    higher_is_better=True,
    best_value=1.0,
    prediction=Prediction.TEXT,
    column_params=("boxes_column",),
    allows_blank=True,
)
def point_in_box_f1(
    y_true: np.ndarray,
    y_pred: np.ndarray,
    boxes: np.ndarray,
    *,
    compat: Literal["kaggle", "dojo"] = "kaggle",
) -> float:
    """Return the F1 of labelled points, all pages pooled: a hit lies inside a true box of its label.

    True boxes take turns, and each is hit by the first point left that lies strictly inside; 1 where there
    are neither boxes nor points.

    Args:
        y_true: Points that hit every box, which only serve as gold.
        y_pred: 'label x y' repeated, 1200 at most; blank for none.
        boxes: 'label x y width height' repeated; '-' for none.
        compat: For MLE-Dojo points take turns, and a box includes its left and upper sides.
    """
    truth = read_answers(boxes, _true_boxes)
    predicted = read(y_pred, _points)
    matched = _points_inside if compat == "kaggle" else _boxes_around
    hits = sum(matched(page, points) for page, points in zip(truth, predicted, strict=True))
    total = sum(map(len, truth)) + sum(map(len, predicted))
    return 2 * hits / total if total else 1.0


_Point = tuple[str, float, float]
_TrueBox = tuple[str, float, float, float, float]  # label, x1, y1, x2, y2


def _points_inside(boxes: list[_TrueBox], points: list[_Point]) -> int:
    """Return how many boxes are hit, where each takes the first point left that lies strictly inside."""
    left: dict[str, list[tuple[float, float]]] = defaultdict(list)
    for label, x, y in points:
        left[label].append((x, y))
    hits = 0
    for label, x1, y1, x2, y2 in boxes:
        found = left.get(label, [])
        place = next((i for i, (x, y) in enumerate(found) if x1 < x < x2 and y1 < y < y2), None)
        if place is not None:
            del found[place]
            hits += 1
    return hits


def _boxes_around(boxes: list[_TrueBox], points: list[_Point]) -> int:
    """Return how many points hit, where each takes the first box left that it lies in."""
    left: dict[str, list[tuple[float, float, float, float]]] = defaultdict(list)
    for label, x1, y1, x2, y2 in boxes:
        left[label].append((x1, y1, x2, y2))
    hits = 0
    for label, x, y in points:
        found = left.get(label, [])
        place = next((i for i, (x1, y1, x2, y2) in enumerate(found) if x1 <= x < x2 and y1 <= y < y2), None)
        if place is not None:
            del found[place]
            hits += 1
    return hits


# --------------------------------------------------------------------------- reading


def _sized(text: str) -> _Boxes:
    table = numbers(repeated(text, "confidence x y width height", _MAX_BOXES)).reshape(-1, 5)
    corners = np.hstack([table[:, 1:3], table[:, 1:3] + table[:, 3:]])
    return _ranked([""] * len(table), table[:, 0], corners, table[:, 3] * table[:, 4])


def _labelled(text: str) -> _Boxes:
    labels, table = _without_labels(repeated(text, "class confidence x1 y1 x2 y2", _MAX_BOXES), 6)
    sides = table[:, 3:] - table[:, 1:3]
    return _ranked(labels, table[:, 0], table[:, 1:], sides[:, 0] * sides[:, 1])


def _ranked(labels: list[str], confidence: np.ndarray, corners: np.ndarray, areas: np.ndarray) -> _Boxes:
    order = np.argsort(-confidence, kind="stable").tolist()
    return _Boxes(labels, confidence, corners, areas)[order]


def _points(text: str) -> list[_Point]:
    labels, table = _without_labels(repeated(text, "label x y", _MAX_POINTS), 3)
    return list(zip(labels, *table.T.tolist(), strict=True))


def _true_boxes(text: str) -> list[_TrueBox]:
    found = repeated("" if text == "-" else text, "label x y width height", _MAX_BOXES)
    labels, table = _without_labels(found, 5)
    corners = np.hstack([table[:, :2], table[:, :2] + table[:, 2:]])
    return list(zip(labels, *corners.T.tolist(), strict=True))


def _without_labels(found: list[str], length: int) -> tuple[list[str], np.ndarray]:
    """Return the first of each `length` words, and the others as a table of numbers."""
    labels = found[::length]
    del found[::length]
    return labels, numbers(found).reshape(-1, length - 1)


def _by_label(labels: list[str]) -> dict[str, list[int]]:
    """Return where each label is, in order."""
    found: dict[str, list[int]] = defaultdict(list)
    for place, label in enumerate(labels):
        found[label].append(place)
    return found


def _iou(one: _Boxes, other: _Boxes) -> np.ndarray:
    """Return intersection over union of all pairs, shape (one, other); 0 for a box that is inside out."""
    low = np.maximum(one.corners[:, None, :2], other.corners[None, :, :2])
    high = np.minimum(one.corners[:, None, 2:], other.corners[None, :, 2:])
    shared = np.prod(np.maximum(high - low, 0), axis=2)
    union = one.areas[:, None] + other.areas[None, :] - shared
    return np.divide(shared, union, out=np.zeros(shared.shape), where=union > 0)
