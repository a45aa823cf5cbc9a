"""Elo ratings of policies that played the same tasks, by maximum likelihood.

The Bradley-Terry model says that i beats j with probability s_i / (s_i + s_j). Outcomes are counted per task:
of all pairs of an episode of i and one of j, the share that i won, ties a half; so each task weighs the same.
Strengths are found by Hunter's MM iteration (Annals of Statistics 32, 2004), which converges where each
policy can be reached from each other through wins (Ford 1957). Who cannot be is not rated, for a likelihood
that is largest at infinity says nothing of how far. A rating is 400 log10(strength), moved to a mean of 1000.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.sparse.csgraph import connected_components

MEAN = 1000.0
SCALE = 400.0
_TOLERANCE = 1e-9
_MOST_ITERATIONS = 10_000
_RESAMPLES = 500
_LEAST_SHARE = 0.5  # of the resamples that must rate a policy, for its interval to be told
_ALONE = "nobody to compare with: wins that lead to another policy and back"

Scores = Mapping[
    str, Mapping[str, Sequence[float]]
]  # policy -> task -> one value an episode, larger is better


@dataclass(frozen=True)
class Rating:
    """A policy's Elo rating with its 95 % interval over resampled tasks.

    `elo` is None for a policy without a win or without a loss against the others, directly or through them,
    and `reason` says so; the interval is None where too few resamples could rate it.
    """

    elo: float | None
    low: float | None = None
    high: float | None = None
    reason: str = ""


def elo_ratings(scores: Scores, *, seed: int = 0) -> dict[str, Rating]:
    """Return the rating of each policy.

    Args:
        scores: Policy -> task -> one value an episode, larger is better. Tasks that only one policy played
            decide nothing.
        seed: Of the bootstrap over tasks.
    """
    policies = sorted(scores)  # so that the order they come in changes nothing
    tasks = sorted({task for policy in policies for task in scores[policy]})
    if not tasks:
        return {policy: Rating(None, reason=_ALONE) for policy in scores}
    wins = np.array([_wins(scores, policies, task) for task in tasks]).reshape(
        -1, len(policies), len(policies)
    )
    ratings, reasons = _rate(wins.sum(axis=0))
    rng = np.random.default_rng(seed)
    resampled = np.full((_RESAMPLES, len(policies)), np.nan)
    if len(tasks) > 1:
        for row in resampled:
            row[:], _ = _rate(wins[rng.integers(len(tasks), size=len(tasks))].sum(axis=0))
    found = {}
    for place, policy in enumerate(policies):
        draws = resampled[np.isfinite(resampled[:, place]), place]
        told = np.isfinite(ratings[place]) and len(draws) >= _LEAST_SHARE * _RESAMPLES
        low, high = np.percentile(draws, [2.5, 97.5]) if told else (None, None)
        found[policy] = Rating(
            float(ratings[place]) if np.isfinite(ratings[place]) else None,
            None if low is None else float(low),
            None if high is None else float(high),
            reasons[place],
        )
    return {policy: found[policy] for policy in scores}


def _wins(scores: Scores, policies: Sequence[str], task: str) -> np.ndarray:
    """Return the share of pairs of episodes that the row's policy won against the column's, on one task."""
    wins = np.zeros((len(policies), len(policies)))
    for i, one in enumerate(policies):
        for j, other in enumerate(policies):
            mine, theirs = scores[one].get(task, ()), scores[other].get(task, ())
            if i != j and len(mine) and len(theirs):
                ahead = np.subtract.outer(np.asarray(mine, float), np.asarray(theirs, float))
                wins[i, j] = ((ahead > 0) + 0.5 * (ahead == 0)).mean()
    return wins


def _rate(wins: np.ndarray) -> tuple[np.ndarray, list[str]]:
    """Return ratings (NaN for who cannot be rated) and why not, from the wins of rows over columns."""
    count = len(wins)
    ratings, reasons = np.full(count, np.nan), [""] * count
    _, group = connected_components(wins > 0, directed=True, connection="strong")
    sizes = np.bincount(group, minlength=1)
    rated = np.flatnonzero(group == sizes.argmax()) if count else np.array([], int)
    if len(rated) < 2:
        return ratings, [_ALONE] * count
    for place in np.setdiff1d(np.arange(count), rated):
        beats, loses = wins[place, rated].sum(), wins[rated, place].sum()
        if not beats and not loses:
            reasons[place] = "played no task that a rated policy played"
        else:
            reasons[place] = "won every comparison" if beats else "lost every comparison"
    strengths = _strengths(wins[np.ix_(rated, rated)])
    elo = SCALE * np.log10(strengths)
    ratings[rated] = elo - elo.mean() + MEAN
    return ratings, reasons


def _strengths(wins: np.ndarray) -> np.ndarray:
    """Return Bradley-Terry strengths of policies that are all connected, up to a factor."""
    games = wins + wins.T
    total = wins.sum(axis=1)
    strengths = np.ones(len(wins))
    for _ in range(_MOST_ITERATIONS):
        new = total / (games / np.add.outer(strengths, strengths)).sum(axis=1)
        new /= np.exp(np.log(new).mean())
        if np.abs(np.log(new / strengths)).max() < _TOLERANCE:
            return new
        strengths = new
    return strengths
