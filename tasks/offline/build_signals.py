"""Features of whole signals, and neighbours under time warping, for boards that classify time series.

A table holds one signal a row: columns `<channel>_<step>` with one number each, empty after a signal's end.
Used by build.py scripts only, never by the package.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from build_board import Data, FeatureMaker
from numpy.typing import NDArray

Array = NDArray[np.float64]

_COLUMN = re.compile(r"(.+)_(\d+)")


def signal_columns(channels: list[str], steps: int) -> list[str]:
    """Return the names of a table's columns, channel by channel."""
    return [f"{channel}_{step:02d}" for channel in channels for step in range(steps)]


def read_signals(table: pd.DataFrame) -> Array:
    """Return the signals of a table, shape (rows, channels, steps); NaN after a signal's end."""
    found = [match for name in table.columns if (match := _COLUMN.fullmatch(str(name)))]
    channels = list(dict.fromkeys(match[1] for match in found))
    blocks = [table[[match[0] for match in found if match[1] == name]].to_numpy(float) for name in channels]
    return np.stack(blocks, axis=1)


def lengths(signals: Array) -> NDArray[np.int64]:
    """Return how many steps each signal has."""
    return np.isfinite(signals[:, 0]).sum(axis=1)


def stretch(signals: Array, steps: int) -> Array:
    """Return the signals with `steps` steps each, between which they are straight lines."""
    out = np.empty((*signals.shape[:2], steps))
    for row, length in enumerate(lengths(signals)):
        places = np.linspace(0, length - 1, steps)
        left = np.minimum(places.astype(int), max(length - 2, 0))
        share = places - left
        ends = signals[row][:, np.minimum(left + 1, length - 1)]
        out[row] = signals[row][:, left] * (1 - share) + ends * share
    return out


# --------------------------------------------------------------------------- features


@dataclass(frozen=True)
class Each:
    """Makes features of train and test signals alike, by a function that learns nothing."""

    make: Callable[[Array], Array]

    def __call__(self, train: pd.DataFrame, test: pd.DataFrame) -> tuple[Array, Array]:
        return self.make(read_signals(train)), self.make(read_signals(test))


@dataclass(frozen=True)
class Flat:
    """The values themselves, `steps` of each channel; with `centred`, less the channel's mean."""

    steps: int
    centred: bool = False

    def __call__(self, train: pd.DataFrame, test: pd.DataFrame) -> tuple[Array, Array]:
        sides = [stretch(read_signals(rows), self.steps) for rows in (train, test)]
        if self.centred:
            sides = [side - side.mean(axis=2, keepdims=True) for side in sides]
        return sides[0].reshape(len(sides[0]), -1), sides[1].reshape(len(sides[1]), -1)


def means(signals: Array) -> Array:
    """Return the mean of each channel, shape (rows, channels)."""
    return np.nanmean(signals, axis=2)


def summary(signals: Array) -> Array:
    """Return length, and level, spread, range, quartiles and roughness of each channel."""
    changes = np.abs(np.diff(signals, axis=2))
    columns = [
        np.nanmean(signals, axis=2),
        np.nanstd(signals, axis=2),
        np.nanmin(signals, axis=2),
        np.nanmax(signals, axis=2),
        *np.nanquantile(signals, [0.25, 0.5, 0.75], axis=2),
        np.nanmean(changes, axis=2),
        np.nanmax(changes, axis=2),
    ]
    return np.hstack([lengths(signals)[:, None], *columns])


def spectrum(signals: Array) -> Array:
    """Return the size of the slowest ten waves of each channel."""
    even = stretch(signals, 40)
    waves = np.abs(np.fft.rfft(even - even.mean(axis=2, keepdims=True), axis=2))[:, :, 1:11]
    return np.log1p(waves).reshape(len(waves), -1)


def together(signals: Array) -> Array:
    """Return the correlation of each pair of channels."""
    even = stretch(signals, 40)
    even = (even - even.mean(axis=2, keepdims=True)) / np.maximum(even.std(axis=2, keepdims=True), 1e-9)
    products = np.einsum("nct,ndt->ncd", even, even) / even.shape[2]
    first, second = np.triu_indices(even.shape[1], k=1)
    return products[:, first, second]


def parts(signals: Array) -> Array:
    """Return level, spread and slope of each fifth of each channel."""
    pieces = stretch(signals, 40).reshape(*signals.shape[:2], 5, 8)
    time = np.linspace(-1, 1, 8)
    slopes = (pieces * time).sum(axis=3) / (time**2).sum()
    return np.concatenate([pieces.mean(axis=3), pieces.std(axis=3), slopes], axis=2).reshape(len(signals), -1)


def rich(signals: Array) -> Array:
    """Return summary, spectrum, correlations and parts side by side."""
    return np.hstack([summary(signals), spectrum(signals), together(signals), parts(signals)])


@dataclass(frozen=True)
class Kernels:
    """Random dilated filters; of each answer the maximum and the share above a threshold.

    Dempster, Petitjean and Webb, "ROCKET" (2020); filters of length 7 over up to three channels each, with
    thresholds at a quantile of the answers on train.
    """

    count: int
    seed: int = 0
    steps: int = 40

    def __call__(self, train: pd.DataFrame, test: pd.DataFrame) -> tuple[Array, Array]:
        sides = [stretch(read_signals(rows), self.steps) for rows in (train, test)]
        level, spread = sides[0].mean(axis=(0, 2)), sides[0].std(axis=(0, 2))
        sides = [(side - level[:, None]) / spread[:, None] for side in sides]
        generator = np.random.default_rng(self.seed)
        columns: list[list[Array]] = [[], []]
        for _ in range(self.count):
            chosen = generator.permutation(sides[0].shape[1])[: generator.integers(1, 4)]
            weights = generator.normal(size=(len(chosen), 7))
            weights -= weights.mean()
            dilation = 2 ** generator.integers(0, int(np.log2((self.steps - 1) / 6)) + 1)
            answers = [_filter(side[:, chosen], weights, dilation) for side in sides]
            threshold = np.quantile(answers[0], generator.uniform(0.1, 0.9))
            for place, answer in zip(columns, answers, strict=True):
                place += [answer.max(axis=1), (answer > threshold).mean(axis=1)]
        return np.column_stack(columns[0]), np.column_stack(columns[1])


def _filter(signals: Array, weights: Array, dilation: int) -> Array:
    """Return the sum over channels of dilated convolutions without padding, shape (rows, steps left)."""
    span = (weights.shape[1] - 1) * dilation
    left = signals.shape[2] - span
    taps = [signals[:, :, tap * dilation : tap * dilation + left] for tap in range(weights.shape[1])]
    return sum(np.einsum("ncs,c->ns", tap, weights[:, place]) for place, tap in enumerate(taps))


@dataclass(frozen=True)
class Stacked:
    """Several features side by side."""

    parts: tuple[FeatureMaker, ...]

    def __call__(self, train: pd.DataFrame, test: pd.DataFrame) -> tuple[Array, Array]:
        pairs = [part(train, test) for part in self.parts]
        return np.hstack([pair[0] for pair in pairs]), np.hstack([pair[1] for pair in pairs])


@dataclass(frozen=True)
class Changed:
    """Features of a table after `change`, such as one that mirrors signals."""

    change: Callable[[pd.DataFrame], pd.DataFrame]
    make: FeatureMaker

    def __call__(self, train: pd.DataFrame, test: pd.DataFrame) -> tuple[Array, Array]:
        return self.make(self.change(train), self.change(test))


# --------------------------------------------------------------------------- entries


@dataclass(frozen=True)
class Warped:
    """The label of the training signal that is nearest under dynamic time warping.

    Signals are stretched to `steps` steps, channels put on one scale; paths stay within `band` steps of the
    diagonal (0: Euclidean distance).
    """

    steps: int
    band: int
    centred: bool = False
    change: Callable[[pd.DataFrame], pd.DataFrame] | None = None

    def __call__(self, data: Data) -> np.ndarray:
        tables = [self.change(rows) if self.change else rows for rows in (data.x_train, data.x_test)]
        train, test = (stretch(read_signals(rows), self.steps) for rows in tables)
        spread = train.std(axis=(0, 2))[:, None]
        if self.centred:
            train, test = (side - side.mean(axis=2, keepdims=True) for side in (train, test))
        nearest = [
            _warp(train / spread, rows / spread, self.band).argmin(axis=0) for rows in np.array_split(test, 8)
        ]
        return data.y_train[np.concatenate(nearest)]


def _warp(train: Array, test: Array, band: int) -> Array:
    """Return squared warping distances, shape (train rows, test rows)."""
    steps = train.shape[2]
    before: dict[int, Array] = {}
    for i in range(steps):
        row: dict[int, Array] = {}
        for j in range(max(0, i - band), min(steps, i + band + 1)):
            cost = _distances(train[:, :, i], test[:, :, j])
            ways = [way for way in (before.get(j), before.get(j - 1), row.get(j - 1)) if way is not None]
            row[j] = cost + np.minimum.reduce(ways) if ways else cost
        before = row
    return before[steps - 1]


def _distances(left: Array, right: Array) -> Array:
    """Return squared Euclidean distances of all pairs of rows."""
    return (left**2).sum(axis=1)[:, None] + (right**2).sum(axis=1)[None] - 2 * left @ right.T


@dataclass(frozen=True)
class Few:
    """Gives another entry only a share of the training rows, drawn at random."""

    entry: Callable[[Data], np.ndarray]
    share: float
    seed: int = 0

    def __call__(self, data: Data) -> np.ndarray:
        rows = np.random.default_rng(self.seed).permutation(len(data.y_train))[
            : int(self.share * len(data.y_train))
        ]
        rows = np.sort(rows)
        return self.entry(replace(data, x_train=data.x_train.iloc[rows], y_train=data.y_train[rows]))
