"""Metrics that a single competition defined for itself."""

from __future__ import annotations

import math
from typing import Literal

import numpy as np

from mledojo_env.errors import GradingError
from mledojo_env.metrics.base import BadCell, metric

_EARTH_RADIUS_M = 6_371_000.0
_BOARDS_AT_ONCE = 1024


def _log_floor(floor: float = 1e-9) -> float:
    return math.log(floor)


@metric(higher_is_better=False, best_value=_log_floor, column_params=("group_column",))
def group_mean_log_mae(
    y_true: np.ndarray, y_pred: np.ndarray, group: np.ndarray, *, floor: float = 1e-9
) -> float:
    """Return the logarithm of the mean absolute error of a group of rows, averaged over groups.

    Args:
        y_true: Numbers, shape (rows,).
        y_pred: Numbers, same shape.
        group: The group of each row, shape (rows,).
        floor: The least error that counts.
    """
    errors = np.abs(y_true - y_pred).reshape(len(y_true), -1).mean(axis=1)
    codes, count = _codes(group)
    means = np.bincount(codes, weights=errors) / np.bincount(codes, minlength=count)
    return float(np.log(np.maximum(means, floor)).mean())


def _best_likelihood(sigma_min: float = 70.0, error_max: float = 1000.0) -> float:
    return -math.log(math.sqrt(2) * sigma_min)


@metric(higher_is_better=True, best_value=_best_likelihood)
def laplace_log_likelihood(
    y_true: np.ndarray, y_pred: np.ndarray, *, sigma_min: float = 70.0, error_max: float = 1000.0
) -> float:
    """Return the mean log-likelihood of a Laplace distribution around each prediction.

    With sigma at least `sigma_min` and the error at most `error_max`, it is
    -sqrt(2) error / sigma - log(sqrt(2) sigma).

    Args:
        y_true: The value, and a column that says nothing, shape (rows, 2). Answers with `sigma_min` there get
            the best score.
        y_pred: Value and sigma, same shape.
        sigma_min: The least sigma that counts.
        error_max: The greatest error that counts.
    """
    if y_true.ndim != 2 or y_true.shape[1] != 2:
        raise GradingError(f"laplace_log_likelihood needs two targets, value and sigma, not {y_true.shape}.")
    sigma = np.maximum(y_pred[:, 1], sigma_min)
    error = np.minimum(np.abs(y_true[:, 0] - y_pred[:, 0]), error_max)
    return float(np.mean(-math.sqrt(2) * error / sigma - np.log(math.sqrt(2) * sigma)))


@metric(higher_is_better=False, best_value=0.0)
def mean_angular_error(y_true: np.ndarray, y_pred: np.ndarray) -> float:
    """Return the mean angle between two directions, in radians, from 0 to pi.

    It comes from the chord between the two points on the sphere: the arc cosine of the scalar product, which
    others take, loses half of the digits of a small angle.

    Args:
        y_true: Azimuth and zenith in radians, shape (rows, 2).
        y_pred: The same; angles beyond a full turn are fine.
    """
    if y_true.ndim != 2 or y_true.shape[1] != 2:
        raise GradingError(f"mean_angular_error needs two targets, azimuth and zenith, not {y_true.shape}.")
    apart = _point(y_true) - _point(y_pred)
    chord = np.sqrt(np.square(apart).sum(axis=0))
    return float(np.mean(2 * np.arcsin(np.minimum(chord / 2, 1))))


def _point(angles: np.ndarray) -> np.ndarray:
    """Return points on the unit sphere, shape (3, rows)."""
    azimuth, zenith = angles.T
    return np.stack([np.cos(azimuth) * np.sin(zenith), np.sin(azimuth) * np.sin(zenith), np.cos(zenith)])


@metric(higher_is_better=False, best_value=0.0, column_params=("group_column",))
def haversine_p50_p95_mean(y_true: np.ndarray, y_pred: np.ndarray, group: np.ndarray) -> float:
    """Return the mean of the 50th and 95th percentile of a group's errors in metres, averaged over groups.

    The error is the great-circle distance on a sphere of 6,371 km; percentiles are interpolated linearly.

    Args:
        y_true: Latitude and longitude in degrees, shape (rows, 2).
        y_pred: The same.
        group: The group of each row, e.g. a trip, shape (rows,).
    """
    if y_true.ndim != 2 or y_true.shape[1] != 2:
        raise GradingError(
            f"haversine_p50_p95_mean needs two targets, latitude and longitude, not {y_true.shape}."
        )
    (lat, lon), (other_lat, other_lon) = np.radians(y_true).T, np.radians(y_pred).T
    half_chord = (
        np.sin((other_lat - lat) / 2) ** 2
        + np.cos(lat) * np.cos(other_lat) * np.sin((other_lon - lon) / 2) ** 2
    )
    metres = 2 * _EARTH_RADIUS_M * np.arcsin(np.sqrt(np.clip(half_chord, 0, 1)))
    codes, count = _codes(group)
    metres = metres[_sorted_within(codes, metres)]
    sizes = np.bincount(codes, minlength=count)
    starts = np.cumsum(sizes) - sizes
    return float(np.mean([_percentiles(metres, starts, sizes, share) for share in (0.5, 0.95)]))


def _sorted_within(codes: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Return the order by code, then value: `np.lexsort`, where small codes are sorted by their digits."""
    order = np.argsort(values)
    small = codes[order].astype(np.min_scalar_type(codes.max()))
    return order[np.argsort(small, kind="stable")]


def _percentiles(values: np.ndarray, starts: np.ndarray, sizes: np.ndarray, share: float) -> np.ndarray:
    """Return a percentile of each group, whose values are sorted and begin at `starts`."""
    place = share * (sizes - 1)
    below = np.floor(place).astype(int)
    above = np.minimum(below + 1, sizes - 1)
    low, high = values[starts + below], values[starts + above]
    return np.asarray(low + (high - low) * (place - below))


@metric(higher_is_better=False, best_value=0.0, column_params=("delta_column",))
def life_forward_mae(y_true: np.ndarray, y_pred: np.ndarray, delta: np.ndarray, *, width: int = 25) -> float:
    """Return the share of cells that are wrong once boards of Conway's Life were played forward.

    Any board that leads to the same end is right, whether or not it was the real start. Boards are tori.

    Args:
        y_true: Start boards of 0 and 1, shape (rows, cells), row by row.
        y_pred: The same.
        delta: How many steps to play, shape (rows,).
        width: Cells in a row of a board.

    Raises:
        BadCell: If a predicted cell is neither 0 nor 1.
    """
    if y_true.ndim != 2 or y_true.shape[1] % width or not np.isin(y_true, (0, 1)).all():
        raise GradingError(f"life_forward_mae needs boards of 0 and 1, with rows of {width} cells.")
    if (delta != np.floor(delta)).any() or delta.min() < 0 or delta.max() > 1000:
        raise GradingError("life_forward_mae needs a whole number of steps up to 1000 for each row.")
    odd = ~np.isin(y_pred, (0, 1)).all(axis=1)
    if odd.any():
        raise BadCell(int(odd.argmax()), "holds something else than 0 and 1")
    wrong = 0
    for start in range(0, len(y_pred), _BOARDS_AT_ONCE):
        rows = slice(start, start + _BOARDS_AT_ONCE)
        true, predicted = (_played(y[rows], delta[rows], width) for y in (y_true, y_pred))
        wrong += int(np.count_nonzero(true != predicted))
    return wrong / y_pred.size


def _played(cells: np.ndarray, delta: np.ndarray, width: int) -> np.ndarray:
    """Return boards after so many steps, shape (boards, height, width)."""
    boards = cells.astype(np.uint8).reshape(len(cells), -1, width)
    for step in range(int(delta.max())):
        going = delta > step
        boards[going] = _next_boards(boards[going])
    return boards


def _next_boards(boards: np.ndarray) -> np.ndarray:
    """Return boards a step later, shape (boards, height, width)."""
    lines = boards + np.roll(boards, 1, axis=2) + np.roll(boards, -1, axis=2)
    alive = lines + np.roll(lines, 1, axis=1) + np.roll(lines, -1, axis=1)  # the cell itself included
    return ((alive == 3) | ((alive == 4) & (boards == 1))).astype(np.uint8)


@metric(higher_is_better=True, best_value=1.0, column_params=("identity_columns",))
def jigsaw_bias_auc(
    y_true: np.ndarray,
    y_pred: np.ndarray,
    identities: np.ndarray,
    *,
    threshold: float = 0.5,
    power: float = -5.0,
    compat: Literal["kaggle", "dojo"] = "kaggle",
) -> float:
    """Return the mean of the overall AUC and of three AUCs that show a bias against identities.

    For each identity: the AUC within its rows; of its harmless rows against toxic ones of all others; of its
    toxic rows against harmless ones of all others. Each kind is averaged over identities by a power mean,
    which the worst identity rules.

    Args:
        y_true: Toxicity, shape (rows,).
        y_pred: Numbers, same shape.
        identities: How much a row mentions each identity, shape (rows, identities).
        threshold: From which toxicity and mentions count.
        power: The exponent of the power mean.
        compat: MLE-Dojo leaves out AUCs that are undefined, where an identity has rows of one class only.
    """
    is_toxic, mentioned = y_true >= threshold, identities.reshape(len(y_true), -1) >= threshold
    levels, codes = np.unique(y_pred, return_inverse=True)
    toxic, harmless = (np.bincount(codes[rows], minlength=len(levels)) for rows in (is_toxic, ~is_toxic))
    toxic_above = toxic.sum() - np.cumsum(toxic) + toxic / 2  # of a row on each level
    harmless_below = np.cumsum(harmless) - harmless / 2
    kinds: tuple[list[float], ...] = ([], [], [])
    for identity in mentioned.T:
        own_toxic, own_harmless = codes[identity & is_toxic], codes[identity & ~is_toxic]
        within = _pairs(own_toxic, own_harmless)
        pairs = (
            (within, len(own_toxic) * len(own_harmless)),
            (toxic_above[own_harmless].sum() - within, (toxic.sum() - len(own_toxic)) * len(own_harmless)),
            (harmless_below[own_toxic].sum() - within, len(own_toxic) * (harmless.sum() - len(own_harmless))),
        )
        for found, (in_order, count) in zip(kinds, pairs, strict=True):
            if count:
                found.append(in_order / count)
            elif compat == "kaggle":
                raise GradingError("jigsaw_bias_auc is undefined: an identity has rows of one class only.")
    if not (toxic.any() and harmless.any() and all(kinds)):
        raise GradingError("jigsaw_bias_auc is undefined: the answers have one class only.")
    means = [float(np.mean(np.power(found, power)) ** (1 / power)) for found in kinds]
    return float(toxic @ harmless_below / (toxic.sum() * harmless.sum()) + sum(means)) / 4


def _pairs(positive: np.ndarray, negative: np.ndarray) -> float:
    """Return in how many pairs of a positive and a negative row the positive one is on a higher level.

    Args:
        positive: Levels of positive rows, shape (rows,). On one level, half a pair counts.
        negative: The same of negative rows.
    """
    levels, places = np.unique(np.concatenate([positive, negative]), return_inverse=True)
    there = np.bincount(places[len(positive) :], minlength=len(levels))
    below = np.cumsum(there) - there / 2
    return float(below[places[: len(positive)]].sum())


def _codes(group: np.ndarray) -> tuple[np.ndarray, int]:
    """Return groups as numbers from 0, and how many there are."""
    import pandas as pd

    codes, names = pd.factorize(group)
    return codes, len(names)
