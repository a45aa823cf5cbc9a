"""Metrics of run-length encoded masks, compared run by run; only volumes are laid out in pixels."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal

import numpy as np

from mledojo_env.errors import GradingError
from mledojo_env.metrics.base import Prediction, metric
from mledojo_env.metrics.cells import Unreadable, read, read_answers
from mledojo_env.metrics.runs import Runs, covered, overlap, read_runs, size, united
from mledojo_env.metrics.volumes import hausdorff

_MAX_MASKS = 1_000  # of one image
_MAX_VOXELS = 100_000_000  # of one volume

_THRESHOLDS = (0.5, 0.55, 0.6, 0.65, 0.7, 0.75, 0.8, 0.85, 0.9, 0.95)
_DOJO_THRESHOLDS = np.arange(0.5, 1.0, 0.05)  # some a little above what they stand for, 0.6000000000000001
_DOJO_SIDE = 512


@metric(higher_is_better=True, best_value=1.0, prediction=Prediction.TEXT, allows_blank=True)
def dice_rle(y_true: np.ndarray, y_pred: np.ndarray, *, pixels: int | None = None) -> float:
    """Return the mean Dice coefficient of masks, 2 shared / (true + predicted); 1 where both are empty.

    Args:
        y_true: 'start length' repeated; blank for an empty mask.
        y_pred: The same.
        pixels: Of an image, where all have as many.
    """
    shared, true, predicted = _sizes(y_true, y_pred, pixels)
    total = true + predicted
    return float(np.divide(2 * shared, total, out=np.ones(len(total)), where=total > 0).mean())


@metric(higher_is_better=True, best_value=1.0, prediction=Prediction.TEXT, allows_blank=True)
def fbeta_rle(
    y_true: np.ndarray, y_pred: np.ndarray, *, beta: float = 0.5, pixels: int | None = None
) -> float:
    """Return the mean F-beta of masks, for which recall counts beta times as much; 1 where both are empty."""
    shared, true, predicted = _sizes(y_true, y_pred, pixels)
    total = beta**2 * true + predicted
    return float(np.divide((1 + beta**2) * shared, total, out=np.ones(len(total)), where=total > 0).mean())


@metric(higher_is_better=True, best_value=1.0, prediction=Prediction.TEXT, allows_blank=True)
def iou_map_segmentation(
    y_true: np.ndarray,
    y_pred: np.ndarray,
    *,
    pixels: int | None = None,
    compat: Literal["kaggle", "dojo"] = "kaggle",
) -> float:
    """Return the share of thresholds that a mask's intersection over union exceeds, averaged over images.

    The thresholds are 0.5, 0.55 ... 0.95. An empty mask is right where the answer is empty.

    Args:
        y_true: 'start length' repeated; blank for an empty mask.
        y_pred: The same.
        pixels: Of an image, where all have as many.
        compat: For MLE-Dojo it may also equal the threshold.
    """
    shared, true, predicted = _sizes(y_true, y_pred, pixels)
    union = true + predicted - shared
    iou = np.divide(shared, union, out=np.ones(len(union)), where=union > 0)
    return float(_reached(iou, compat).mean())


@metric(higher_is_better=True, best_value=1.0, prediction=Prediction.TEXT, allows_blank=True)
def iou_f2_detection(
    y_true: np.ndarray,
    y_pred: np.ndarray,
    *,
    pixels: int | None = None,
    compat: Literal["kaggle", "dojo"] = "kaggle",
) -> float:
    """Return the F2 of objects found, averaged over thresholds and then over images.

    Pairs of a true and a predicted mask are matched, largest intersection over union (IoU) first. A pair is a
    hit if its IoU exceeds the threshold, 0.5, 0.55 ... 0.95. F2 is 5 hits / (5 hits + 4 missed + false), and
    1 for an image without objects where none is predicted.

    Args:
        y_true: Tuples of masks, one for each object of an image.
        y_pred: The same; the masks of an image do not overlap.
        pixels: Of an image.
        compat: For MLE-Dojo all objects of an image are one, and an IoU may also equal the threshold.
    """
    truth = read_answers(y_true, lambda cells: [read_runs(cell, pixels) for cell in cells])
    predicted = read(y_pred, lambda cells: _separate(cells, pixels))
    total = 0.0
    for objects, found in zip(truth, predicted, strict=True):
        if compat == "dojo" and objects:
            objects = [united(np.concatenate(objects))]
        if objects and found:
            matched = _matched(objects, found)
            if compat == "dojo":
                matched = matched.astype(np.float32).astype(np.float64)
            hits = _reached(matched, compat).sum(axis=0)
            total += float(np.mean(5 * hits / (4 * len(objects) + len(found))))
        elif not objects and not found:
            total += 1.0
    return total / len(truth)


def _best_value(compat: str = "kaggle") -> float:
    return 1.0 if compat == "kaggle" else np.nan  # MLE-Dojo gives 0.6 for a row that is rightly empty


@metric(
    higher_is_better=True,
    best_value=_best_value,
    prediction=Prediction.TEXT,
    column_params=("size_columns", "volume_columns", "slice_column"),
    allows_blank=True,
)
def dice_hausdorff(
    y_true: np.ndarray,
    y_pred: np.ndarray,
    sizes: np.ndarray,
    volumes: np.ndarray,
    slices: np.ndarray,
    *,
    compat: Literal["kaggle", "dojo"] = "kaggle",
) -> float:
    """Return 0.4 Dice + 0.6 (1 - Hausdorff distance) of masks of slices, which are stacked to volumes.

    Dice is averaged over rows, the distance over volumes, both without those that are empty on either side.
    Distances are measured in a cube of side 1 that the whole volume fills, and relative to its diagonal. A
    volume that is empty on one side only has the distance 1.

    Args:
        y_true: 'start length' repeated, pixels numbered down the columns; blank for an empty mask.
        y_pred: The same.
        sizes: Height and width of the images, shape (rows, 2), the same for a whole volume.
        volumes: What the masks of a volume have in common, shape (rows,) or (rows, columns).
        slices: Where in the volume a mask lies: equal for those on top of each other. All slices are there.
        compat: For MLE-Dojo each row is a volume of one slice, 512 by 512 pixels, and rows that are empty on
            both sides count, with a Dice of 0 and a distance of 0.
    """
    heights, widths = np.asarray(sizes, dtype=np.int64).T
    places = list(zip((heights * widths).tolist(), strict=True))
    truth = read_answers(zip(y_true, places, strict=True), lambda row: read_runs(row[0], *row[1]))
    predicted = read(zip(y_pred, places, strict=True), lambda row: read_runs(row[0], *row[1]))
    shared = np.array([overlap(one, other) for one, other in zip(truth, predicted, strict=True)])
    total = np.array([size(one) + size(other) for one, other in zip(truth, predicted, strict=True)])
    if not any(map(len, truth)):
        raise GradingError("dice_hausdorff is undefined: every mask of the answers is empty.")
    if compat == "dojo":
        dice = np.divide(2 * shared, total, out=np.zeros(len(total)), where=total > 0)
        flat = (np.zeros(1, dtype=np.int64), _DOJO_SIDE, _DOJO_SIDE, 2**0.5)
        distances = [_distance([one], [other], *flat) for one, other in zip(truth, predicted, strict=True)]
        return float(0.4 * dice.mean() + 0.6 * (1 - np.nan_to_num(distances).mean()))
    dice = 2 * shared[total > 0] / total[total > 0]
    distances = []
    for rows in _grouped(volumes):
        if len(np.unique(heights[rows])) + len(np.unique(widths[rows])) > 2:
            raise GradingError(f"dice_hausdorff: the images of a volume differ in size (row {rows[0] + 1}).")
        levels = np.unique(slices[rows], return_inverse=True)[1]
        one, other = ([masks[row] for row in rows] for masks in (truth, predicted))
        distances.append(_distance(one, other, levels, int(heights[rows[0]]), int(widths[rows[0]]), 3**0.5))
    return float(0.4 * dice.mean() + 0.6 * (1 - np.nanmean(distances)))


def _sizes(
    y_true: np.ndarray, y_pred: np.ndarray, pixels: int | None
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return how many pixels each row's masks share, and how many are true and predicted."""
    truth = read_answers(y_true, lambda text: read_runs(text, pixels))
    predicted = read(y_pred, lambda text: read_runs(text, pixels))
    shared = [overlap(one, other) for one, other in zip(truth, predicted, strict=True)]
    return (
        np.array(shared),
        np.array([size(one) for one in truth]),
        np.array([size(one) for one in predicted]),
    )


def _reached(iou: np.ndarray, compat: str) -> np.ndarray:
    """Return which thresholds each IoU reaches, shape (ious, thresholds)."""
    if compat == "dojo":
        return iou[:, None] >= _DOJO_THRESHOLDS
    return iou[:, None] > np.array(_THRESHOLDS)


def _separate(cells: tuple[str, ...], pixels: int | None) -> list[Runs]:
    """Return the masks of an image, which must not overlap."""
    if len(cells) > _MAX_MASKS:
        raise Unreadable(f"has {len(cells)} rows; at most {_MAX_MASKS} are read")
    found = [read_runs(cell, pixels) for cell in cells]
    if found:
        everything = np.concatenate(found)
        everything = everything[np.argsort(everything[:, 0])]
        twice = everything[1:, 0] < everything[:-1, 1]
        if twice.any():
            raise Unreadable(f"covers pixel {everything[1:, 0][twice][0]} in two rows")
    return found


def _matched(objects: list[Runs], found: list[Runs]) -> np.ndarray:
    """Return the IoU of each pair of masks, the largest matched first, shape (pairs,)."""
    everything = np.concatenate(found)
    owner = np.repeat(np.arange(len(found)), [len(mask) for mask in found])
    shared = np.stack(
        [np.bincount(owner, covered(everything, mask), minlength=len(found)) for mask in objects]
    )
    union = np.array([[size(mask)] for mask in objects]) + np.array([size(mask) for mask in found]) - shared
    iou = shared / union
    matched, left = [], iou.copy()
    for _ in range(min(iou.shape)):
        row, column = np.unravel_index(np.argmax(left), left.shape)
        if left[row, column] < min(_THRESHOLDS):
            break
        matched.append(iou[row, column])
        left[row, :] = left[:, column] = -1
    return np.array(matched)


def _grouped(volumes: np.ndarray) -> Iterable[list[int]]:
    """Return the rows of each volume."""
    groups: dict[object, list[int]] = {}
    for row, key in enumerate(volumes.tolist()):
        groups.setdefault(tuple(key) if isinstance(key, list) else key, []).append(row)
    return groups.values()


def _distance(
    truth: list[Runs],
    predicted: list[Runs],
    levels: np.ndarray,
    height: int,
    width: int,
    diagonal: float,
) -> float:
    """Return the Hausdorff distance of two stacks of masks, 1 if one is empty, NaN if both are.

    Args:
        truth: Masks.
        predicted: Masks, as many.
        levels: The level of each pair in the stack, counted from 0.
        height: Pixels of a column.
        width: Columns.
        diagonal: The distance that counts as 1, in units of the stack's extent along each axis.
    """
    empty = [not any(map(len, masks)) for masks in (truth, predicted)]
    if any(empty):
        return np.nan if all(empty) else 1.0
    depth = int(levels.max()) + 1
    both = np.concatenate([*truth, *predicted])
    level = np.repeat(np.tile(levels, 2), [len(mask) for mask in (*truth, *predicted)])
    is_true = np.arange(len(both)) < sum(map(len, truth))
    # Only the levels and columns that hold anything are laid out.
    low, first = int(level.min()), int(both[:, 0].min() - 1) // height
    columns = int(both[:, 1].max() - 2) // height - first + 1
    shape = (int(level.max()) - low + 1, columns, height)
    if np.prod(shape, dtype=np.float64) > _MAX_VOXELS:
        raise GradingError(f"dice_hausdorff: a volume of {shape} voxels is too large.")
    places = both - 1 - first * height + ((level - low) * columns * height)[:, None]
    one, other = (_laid_out(places[side], shape) for side in (is_true, ~is_true))
    return hausdorff(one, other, spacing=1 / np.array([depth, width, height])) / diagonal


def _laid_out(places: np.ndarray, shape: tuple[int, int, int]) -> np.ndarray:
    """Return voxels as booleans, those of runs that may overlap being true."""
    change = np.zeros(int(np.prod(shape)) + 1, dtype=np.int16)
    np.add.at(change, places[:, 0], 1)
    np.add.at(change, places[:, 1], -1)
    return np.cumsum(change[:-1], dtype=np.int16).reshape(shape) > 0
