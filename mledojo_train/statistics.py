"""Means with intervals over evaluation episodes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

RESAMPLES = 10_000


@dataclass(frozen=True)
class Estimate:
    """A mean with its 95 % interval and the number of values behind it."""

    mean: float
    low: float
    high: float
    n: int

    def __str__(self) -> str:
        return f"{self.mean:.3f} [{self.low:.3f}, {self.high:.3f}]"


def stratified_mean(values: Mapping[str, Sequence[float]], *, seed: int = 0) -> Estimate | None:
    """Return the mean over tasks of each task's mean, with a percentile bootstrap interval.

    Episodes are resampled within their task (Davison & Hinkley 1997, section 3.2): the interval speaks of
    these tasks, played again, and not of other tasks.

    Args:
        values: Task -> one value an episode; tasks without values are left out.
        seed: Of the bootstrap.

    Returns:
        The estimate, or None where there is no value at all.
    """
    groups = [np.asarray(group, dtype=float) for group in values.values() if len(group)]
    if not groups:
        return None
    draws = _resampled_means(groups, np.random.default_rng(seed))
    low, high = np.percentile(draws, [2.5, 97.5])
    mean = float(np.mean([group.mean() for group in groups]))
    return Estimate(mean, float(low), float(high), sum(map(len, groups)))


def difference(
    after: Mapping[str, Sequence[float]], before: Mapping[str, Sequence[float]], *, seed: int = 0
) -> Estimate | None:
    """Return `after` minus `before` on the tasks that both have, with a bootstrap interval as above."""
    shared = [task for task in after if len(after[task]) and len(before.get(task, ()))]
    if not shared:
        return None
    rng = np.random.default_rng(seed)
    groups = [[np.asarray(side[task], dtype=float) for task in shared] for side in (after, before)]
    draws = _resampled_means(groups[0], rng) - _resampled_means(groups[1], rng)
    low, high = np.percentile(draws, [2.5, 97.5])
    mean = float(np.mean([a.mean() - b.mean() for a, b in zip(*groups, strict=True)]))
    return Estimate(mean, float(low), float(high), sum(map(len, groups[0])) + sum(map(len, groups[1])))


def _resampled_means(groups: Sequence[np.ndarray], rng: np.random.Generator) -> np.ndarray:
    """Return `RESAMPLES` bootstrap replicates of the mean over groups of group means."""
    means = [group[rng.integers(len(group), size=(RESAMPLES, len(group)))].mean(axis=1) for group in groups]
    return np.mean(means, axis=0)
