"""Means with intervals, comparisons and sample sizes over evaluation episodes.

Two intervals answer two questions. `stratified_mean` resamples episodes within their tasks: how would these
tasks go if they were played again? `task_mean` resamples tasks, and episodes within them: how would other
tasks like these go?
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from scipy import stats

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


def task_mean(values: Mapping[str, Sequence[float]], *, seed: int = 0) -> Estimate | None:
    """Return the mean over tasks of each task's mean, with an interval over other tasks like these.

    Tasks are resampled, and within each its episodes (Davison & Hinkley 1997, section 3.8).

    Args:
        values: Task -> one value an episode; tasks without values are left out.
        seed: Of the bootstrap.

    Returns:
        The estimate, or None where there is no value at all. With one task the interval is that of
        `stratified_mean`: one task says nothing of others.
    """
    groups = [np.asarray(group, dtype=float) for group in values.values() if len(group)]
    if len(groups) < 2:
        return stratified_mean(values, seed=seed)
    rng = np.random.default_rng(seed)
    means = np.stack([_resampled_group(group, rng) for group in groups])  # (tasks, resamples)
    tasks = rng.integers(len(groups), size=(len(groups), RESAMPLES))
    draws = np.take_along_axis(means, tasks, axis=0).mean(axis=0)
    low, high = np.percentile(draws, [2.5, 97.5])
    mean = float(np.mean([group.mean() for group in groups]))
    return Estimate(mean, float(low), float(high), sum(map(len, groups)))


@dataclass(frozen=True)
class Comparison:
    """How two policies differ on the tasks that both played."""

    difference: Estimate  # the first minus the second
    p_value: float  # of a difference as large, either way, if there were none
    tasks: int


def compare(
    one: Mapping[str, Sequence[float]], other: Mapping[str, Sequence[float]], *, seed: int = 0
) -> Comparison | None:
    """Compare two policies task by task; None where they share no task.

    The p-value is that of a permutation test (Good 2005, section 3.2): if the policies were alike, an episode
    could as well be the other's, so episodes are dealt anew within each task.
    """
    found = difference(one, other, seed=seed)
    if found is None:
        return None
    rng = np.random.default_rng(seed)
    shared = [task for task in one if len(one[task]) and len(other.get(task, ()))]
    dealt = np.zeros(RESAMPLES)
    for task in shared:
        pool = np.concatenate([np.asarray(one[task], float), np.asarray(other[task], float)])
        order = rng.permuted(np.broadcast_to(pool, (RESAMPLES, len(pool))), axis=1)
        mine = order[:, : len(one[task])]
        dealt += mine.mean(axis=1) - order[:, len(one[task]) :].mean(axis=1)
    as_large = np.abs(dealt / len(shared)) >= abs(found.mean) - 1e-12
    return Comparison(found, float((1 + as_large.sum()) / (1 + RESAMPLES)), len(shared))


def episodes_needed(
    values: Mapping[str, Sequence[float]], gap: float, *, power: float = 0.8, level: float = 0.05
) -> int | None:
    """Return how many episodes a task each of two policies must play for a difference to be seen.

    The usual sample size of a two-sided z-test (Chow, Shao & Wang 2008, section 3.2), with the variance of a
    mean over tasks, both policies taken to vary as much as this one.

    Args:
        values: Task -> one value an episode, of a policy that was played.
        gap: The difference in the mean over tasks, above 0.
        power: How likely it should be seen.
        level: How likely a difference may be seen that is none.

    Returns:
        At least 2; None where no task has two episodes, so that nothing is known of the variance.

    Raises:
        ValueError: If the gap is not above 0.
    """
    if not gap > 0:
        raise ValueError(f"The gap is {gap}; expected more than 0.")
    variances = [float(np.var(group, ddof=1)) for group in values.values() if len(group) > 1]
    if not variances:
        return None
    quantiles = stats.norm.ppf(1 - level / 2) + stats.norm.ppf(power)
    needed = 2 * quantiles**2 * np.mean(variances) / (len(variances) * gap**2)
    return max(2, int(np.ceil(needed)))


def expected_best(values: Sequence[float], k: int) -> float:
    """Return the expected best of `k` values drawn from these without putting back.

    The estimator of pass@k (Chen et al. 2021, arXiv 2107.03374) for values in place of successes: each sorted
    value is the best of C(i, k - 1) of the C(n, k) draws.

    Raises:
        ValueError: If k is not between 1 and the number of values.
    """
    if not 1 <= k <= len(values):
        raise ValueError(f"The best of {k} of {len(values)} values; expected 1 to {len(values)}.")
    ways = [math.comb(place, k - 1) for place in range(len(values))]
    return sum(w * v for w, v in zip(ways, sorted(values), strict=True)) / math.comb(len(values), k)


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
    return np.mean([_resampled_group(group, rng) for group in groups], axis=0)


def _resampled_group(group: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    return group[rng.integers(len(group), size=(RESAMPLES, len(group)))].mean(axis=1)
