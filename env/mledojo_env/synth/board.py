"""The two parts of the answers, and the reference leaderboard: what each rung of the ladder would score.

No entry is a fitted model. Each is what somebody would submit who knows a part of the process that made the
data: a rung, a mixture of two neighbours, or the oracle seen through a noise. Each is scored like any
submission.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from mledojo_env.synth.contest import Contest
from mledojo_env.synth.draft import Amount, Classes, Draft, Rung

PUBLIC_SHARE = 0.3  # of the test rows
MIN_TEAMS = 60
MAX_TEAMS = 100

_BLENDS = 76  # shared out among the pairs of neighbouring rungs
_NOISY = 34  # views of the oracle through a noise
# How much rarer entries are at the upper end than at the lower: what is known there can hardly be learnt from
# so few rows, and a good pipeline is to stand near the top, as on other boards.
_THINNING = 0.8
_DECIMALS = 6  # of scores
_BLOCK = 10  # test rows among which three are public


@dataclass(frozen=True)
class Entry:
    """One team of the board."""

    team: str
    public_score: float
    private_score: float


def part_codes(draft: Draft, rng: np.random.Generator) -> np.ndarray:
    """Return whether each test row is public, shape (rows,).

    Rows are lined up by their answer, of equal answers by how little the oracle expected it, and of each
    ten in that line three are public: both parts are equally hard, so that a place on one board means as much
    on the other. Rows that belong together (`Draft.part_groups`) go to one part, by their means.
    """
    surprise = _surprise(draft)
    groups = np.arange(len(surprise)) if draft.part_groups is None else draft.part_groups
    sizes = np.bincount(groups)
    mean = np.bincount(groups, weights=surprise) / np.maximum(sizes, 1)
    order = np.argsort(mean, kind="stable")
    is_public = np.zeros(len(sizes), dtype=bool)
    for start in range(0, len(order), _BLOCK):
        block = order[start : start + _BLOCK]
        chosen = max(round(PUBLIC_SHARE * len(block)), 1 if start == 0 else 0)
        is_public[rng.permutation(block)[:chosen]] = True
    return is_public[groups]


def _surprise(draft: Draft) -> np.ndarray:
    oracle = draft.ladder[-1]
    if isinstance(draft.goal, Classes):
        expected = oracle.belief[np.arange(len(draft.goal.truth)), draft.goal.truth]
        return draft.goal.truth * 2.0 + expected  # classes one after another, each by its probability
    truth = draft.goal.truth
    return (truth if draft.goal.noise == "normal" else np.log1p(truth)) - oracle.belief


def make_board(
    draft: Draft, contest: Contest, is_public: np.ndarray, rng: np.random.Generator
) -> tuple[list[Entry], list[Entry]]:
    """Return the entries of the leaderboard, best first, and those of the bare rungs in their order.

    Entries that happen to be luckier than the oracle, or less so than the sample submission, are left out,
    and of several with the same private score all but the first.
    """
    rungs = [_score(contest, rung, is_public) for rung in draft.ladder]
    careless = _scored("", contest, contest.careless, is_public)
    oracle, sign = rungs[-1], 1 if contest.metric.higher_is_better else -1
    others = [_score(contest, rung, is_public) for rung in _between(draft, rng)]
    found: dict[float, Entry] = {}
    for entry in [oracle, *rungs, *others]:
        if _is_between(careless, entry, oracle, sign):
            found.setdefault(entry.private_score, entry)
    best_first = sorted(found.values(), key=lambda entry: (-sign * entry.private_score, entry.team))
    return _thinned(best_first), rungs


def _thinned(entries: list[Entry]) -> list[Entry]:
    """Return `MAX_TEAMS` of the entries at most, from the whole of the board, first and last among them."""
    places = np.linspace(0, len(entries) - 1, min(len(entries), MAX_TEAMS)).round().astype(int)
    return [entries[place] for place in places.tolist()]


def _score(contest: Contest, rung: Rung, is_public: np.ndarray) -> Entry:
    return _scored(rung.name, contest, contest.predict(rung), is_public)


def _scored(team: str, contest: Contest, predictions: np.ndarray, is_public: np.ndarray) -> Entry:
    public, private = (contest.score(predictions, rows) for rows in (is_public, ~is_public))
    return Entry(team, round(public, _DECIMALS) + 0.0, round(private, _DECIMALS) + 0.0)


def _is_between(low: Entry, entry: Entry, high: Entry, sign: int) -> bool:
    """Whether an entry is at least as good as one and at most as good as another, on both boards."""
    public = sign * low.public_score <= sign * entry.public_score <= sign * high.public_score
    return public and sign * low.private_score <= sign * entry.private_score <= sign * high.private_score


def _between(draft: Draft, rng: np.random.Generator) -> Iterator[Rung]:
    """Yield mixtures of neighbouring rungs, then the oracle through noises of decreasing size."""
    pairs = list(zip(draft.ladder[:-1], draft.ladder[1:], strict=True))
    each = _crowd(len(pairs))
    for (lower, upper), count in zip(pairs, each, strict=True):
        for step in range(1, count + 1):
            share = step / (count + 1)
            name = f"{share:.0%} of the way from {lower.name} to {upper.name}"
            belief = (1 - share) * lower.belief + share * upper.belief
            variance = (1 - share) * lower.spread**2 + share * upper.spread**2
            yield Rung(name, belief, float(np.sqrt(variance)))
    dummy, oracle = draft.ladder[0], draft.ladder[-1]
    for step in range(_NOISY):
        kept = ((step + 0.5) / _NOISY) ** (1 + _THINNING)  # of the oracle's variance, the rest is noise
        name = f"all that can be known, {1 - kept:.0%} noise"
        if isinstance(draft.goal, Amount):
            yield _noisy_amount(name, dummy, oracle, kept, rng)
        else:
            yield _noisy_classes(name, dummy, oracle, kept, rng)


def _noisy_amount(name: str, dummy: Rung, oracle: Rung, kept: float, rng: np.random.Generator) -> Rung:
    """Return the location as known from a noisy look at it: drawn to the middle as much as it deserves."""
    middle = dummy.belief
    variance = float(np.mean((oracle.belief - middle) ** 2))
    noise = rng.standard_normal(len(middle)) * np.sqrt(variance * (1 - kept) / kept)
    belief = middle + kept * (oracle.belief - middle + noise)
    return Rung(name, belief, float(np.sqrt(oracle.spread**2 + (1 - kept) * variance)))


def _noisy_classes(name: str, dummy: Rung, oracle: Rung, kept: float, rng: np.random.Generator) -> Rung:
    """Return probabilities as known from a noisy look at their logarithms."""
    middle = np.log(np.clip(dummy.belief, 1e-6, 1))
    away = np.log(np.clip(oracle.belief, 1e-6, 1)) - middle
    size = np.sqrt(np.mean((away - away.mean(axis=1, keepdims=True)) ** 2) * (1 - kept) / kept)
    scores = middle + kept * (away + rng.standard_normal(away.shape) * size)
    scores = np.exp(scores - scores.max(axis=1, keepdims=True))
    return Rung(name, scores / scores.sum(axis=1, keepdims=True))


def _crowd(pairs: int) -> list[int]:
    """Return how many blends stand between each two neighbours: fewer and fewer towards the oracle."""
    weights = 1 - _THINNING * np.arange(pairs) / max(pairs - 1, 1)
    ends = np.round(np.cumsum(weights) / weights.sum() * _BLENDS).astype(int)
    return np.diff(ends, prepend=0).tolist()
