"""Pieces of a made-up process: how a column bears on the answer. Each is centred and of unit variance."""

from __future__ import annotations

import numpy as np


def standardised(values: np.ndarray) -> np.ndarray:
    """Return values with mean 0 and variance 1; all 0 if they are all alike."""
    centred = values - values.mean()
    spread = float(np.sqrt(np.mean(centred**2)))
    return centred / spread if spread > 1e-9 else np.zeros(len(values))


def correlated(rng: np.random.Generator, rows: int, columns: int, strength: float) -> np.ndarray:
    """Return standard normal numbers, shape (rows, columns), that share `strength` of their variance.

    Each column hangs on two common factors, with signs and sizes of its own.
    """
    loadings = rng.standard_normal((columns, 2))
    loadings *= np.sqrt(strength / np.maximum((loadings**2).sum(axis=1, keepdims=True), 1e-9))
    factors = rng.standard_normal((rows, 2))
    own = rng.standard_normal((rows, columns)) * np.sqrt(1 - strength)
    return factors[:, :1] * loadings[:, 0] + factors[:, 1:] * loadings[:, 1] + own


def line(z: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Return a rising or falling effect, straight or bent at the ends."""
    bent = np.tanh(0.8 * z) if rng.random() < 0.3 else z
    return standardised(bent) * (1 if rng.random() < 0.5 else -1)


def curve(z: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Return an effect that no straight line follows: a valley, a wave, a step or a window."""
    way = int(rng.integers(5))
    if way == 0:
        shape = (z - rng.uniform(-0.4, 0.4)) ** 2
    elif way == 1:
        shape = np.sin(rng.uniform(1.6, 2.4) * z + rng.uniform(0, 6.28))
    elif way == 2:
        shape = np.abs(z - rng.uniform(-0.5, 0.5))
    elif way == 3:
        shape = (np.abs(z - rng.uniform(-0.5, 0.5)) < rng.uniform(0.5, 0.9)).astype(float)
    else:
        shape = np.tanh(4 * (z - rng.uniform(-0.7, 0.7))) - 0.6 * z
    return standardised(shape) * (1 if rng.random() < 0.5 else -1)


def together(first: np.ndarray, second: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Return an effect of two columns that neither has alone: a product, one switching the other, a ratio."""
    way = int(rng.integers(4))
    if way == 0:
        shape = first * second
    elif way == 1:
        shape = np.where(first > rng.uniform(-0.4, 0.4), second, -second)
    elif way == 2:
        shape = np.tanh(2 * (first - second))
    else:
        shape = np.sign(first * second) * np.minimum(np.abs(first), np.abs(second))
    return standardised(shape)


def levels(codes: np.ndarray, count: int, rng: np.random.Generator) -> np.ndarray:
    """Return an effect that each level of a category has by itself."""
    return standardised(rng.standard_normal(count)[codes])


def skewed_codes(rng: np.random.Generator, rows: int, count: int, tail: float = 1.0) -> np.ndarray:
    """Return codes 0 to count - 1, shape (rows,), of which some are frequent and many rare."""
    weights = 1 / np.arange(1, count + 1) ** tail
    order = rng.permutation(count)
    return order[np.searchsorted(np.cumsum(weights / weights.sum()), rng.random(rows)).clip(0, count - 1)]
