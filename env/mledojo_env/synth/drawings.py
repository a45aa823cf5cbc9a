"""What pictures show: shapes, strokes and textures, each drawn at any angle on a square of pixels."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise

import numpy as np

Draw = Callable[[int, float], np.ndarray]
"""(pixels a side, angle in radians) -> ink from 0 to 1, shape (side, side)."""

_FINE = 3  # points a pixel in either direction, averaged: edges are smooth
_EDGE = 0.08  # width of a line's soft edge, in halves of the side
_REACH = 0.58  # of the half of the square: marks keep away from the border, as they are moved


def makers(sort: str, count: int, rng: np.random.Generator) -> list[Draw]:
    """Return a drawing for each of several classes, no two alike.

    Args:
        sort: "shapes", "strokes" or "textures".
        count: How many.
        rng: Decides.
    """
    if sort == "strokes":
        return [_stroke(corners) for corners in _corners(count, rng)]
    if sort == "textures":
        return _textures(count, rng)
    chosen = rng.permutation(len(_SHAPES))[:count]
    return [_shape(_SHAPES[place], float(rng.uniform(0.8, 1.0))) for place in chosen.tolist()]


def _points(side: int, angle: float) -> tuple[np.ndarray, np.ndarray]:
    """Return x and y of fine points, from -1 to 1, turned by an angle."""
    steps = (np.arange(side * _FINE) + 0.5) / (side * _FINE) * 2 - 1
    y, x = np.meshgrid(steps, steps, indexing="ij")
    return x * np.cos(angle) + y * np.sin(angle), y * np.cos(angle) - x * np.sin(angle)


def _averaged(ink: np.ndarray, side: int) -> np.ndarray:
    return ink.reshape(side, _FINE, side, _FINE).mean(axis=(1, 3))


# --------------------------------------------------------------------------- shapes

Outline = Callable[[np.ndarray, np.ndarray], np.ndarray]
"""(x, y) -> distance to the inside: negative within the shape."""


def _ring(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    return np.abs(np.hypot(x, y) - 0.5) - 0.14


def _disc(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    return np.hypot(x, y) - 0.5


def _square(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    return np.maximum(np.abs(x), np.abs(y)) - 0.46


def _frame(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    return np.abs(np.maximum(np.abs(x), np.abs(y)) - 0.46) - 0.13


def _cross(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    long, wide = np.maximum(np.abs(x), np.abs(y)), np.minimum(np.abs(x), np.abs(y))
    return np.maximum(long - 0.62, wide - 0.15)


def _triangle(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    return np.maximum(0.87 * np.abs(x) + 0.5 * y, -y) - 0.33


def _crescent(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    return np.maximum(np.hypot(x, y) - 0.58, 0.5 - np.hypot(x - 0.28, y))


def _bars(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    return np.maximum(np.abs(np.abs(x) - 0.34) - 0.14, np.abs(y) - 0.58)


def _dots(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    return np.hypot(np.abs(x) - 0.34, np.abs(y) - 0.34) - 0.19


_SHAPES: tuple[Outline, ...] = (_ring, _disc, _square, _frame, _cross, _triangle, _crescent, _bars, _dots)


def _shape(outline: Outline, size: float) -> Draw:
    def draw(side: int, angle: float) -> np.ndarray:
        x, y = _points(side, angle)
        return _averaged(np.clip(0.5 - outline(x / size, y / size) * size / _EDGE, 0, 1), side)

    return draw


# --------------------------------------------------------------------------- strokes


def _corners(count: int, rng: np.random.Generator) -> list[np.ndarray]:
    """Return the corners of a bent line for each class, shape (corners, 2)."""
    places = [(a, b) for a in (-1, 0, 1) for b in (-1, 0, 1)]
    found: list[list[int]] = []
    while len(found) < count:
        line = rng.permutation(9)[: int(rng.integers(3, 6))].tolist()
        if all(sorted(line) != sorted(other) for other in found):
            found.append(line)
    return [np.array([places[place] for place in line]) * _REACH for line in found]


def _stroke(corners: np.ndarray) -> Draw:
    def draw(side: int, angle: float) -> np.ndarray:
        x, y = _points(side, angle)
        nearest = np.full(x.shape, np.inf)
        for (x0, y0), (x1, y1) in pairwise(corners):
            length = (x1 - x0) ** 2 + (y1 - y0) ** 2
            along = np.clip(((x - x0) * (x1 - x0) + (y - y0) * (y1 - y0)) / length, 0, 1)
            nearest = np.minimum(nearest, np.hypot(x - x0 - along * (x1 - x0), y - y0 - along * (y1 - y0)))
        return _averaged(np.clip(0.5 - (nearest - 0.1) / _EDGE, 0, 1), side)

    return draw


# --------------------------------------------------------------------------- textures


def _textures(count: int, rng: np.random.Generator) -> list[Draw]:
    """Return gratings and chequers whose waves differ in length and direction."""
    lengths = rng.permutation(np.linspace(0.34, 0.9, count))
    turns = rng.permutation(np.linspace(0, np.pi, count, endpoint=False)) + rng.uniform(0, np.pi)
    return [
        _texture(float(length), float(turn), bool(is_chequered))
        for length, turn, is_chequered in zip(lengths, turns, rng.random(count) < 0.4, strict=True)
    ]


def _texture(length: float, turn: float, is_chequered: bool) -> Draw:
    def draw(side: int, angle: float) -> np.ndarray:
        x, y = _points(side, angle + turn)
        waves = np.sin(2 * np.pi * x / length)
        if is_chequered:
            waves = waves * np.sin(2 * np.pi * y / length)
        return _averaged(0.5 + 0.5 * waves, side)

    return draw
