"""Columns that look like the answer: written down after the fact, of no use when it is to be predicted."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from mledojo_env.synth.draft import Amount, Setting
from mledojo_env.synth.outcome import Outcome
from mledojo_env.synth.presentation import rounded

if TYPE_CHECKING:
    from pandas import DataFrame

_TRAIN_ONLY = 0.3  # share of tasks with a column that the test table lacks
_BLANK_IN_TEST = 0.15  # share of tasks with one that is there, and blank
_FILLED = 0.3  # of training rows
_WORDS = ("follow up", "audit result", "final check", "closing note", "review code", "second reading")


def add_hindsight(
    setting: Setting,
    train: DataFrame,
    test: DataFrame,
    target: str,
    outcome: Outcome,
    meanings: dict[str, str],
) -> str:
    """Add a column that was filled in once the answer was known, in some tasks; return a note on it, or "".

    It goes into the training table as it is, and blank, or not at all, into the test table.
    """
    rng = setting.stream("hindsight")
    roll = rng.random()
    if roll > _TRAIN_ONLY + _BLANK_IN_TEST:
        return ""
    words = _WORDS[int(rng.integers(len(_WORDS)))]
    name = setting.style.column(words)
    train[name] = _echo(train[target].tolist(), outcome, rng)
    meanings[name] = "entered when the case was closed"
    if roll < _TRAIN_ONLY:
        return f"`{name}` is not known when the prediction is made; the test table lacks it."
    train.loc[rng.random(len(train)) > _FILLED, name] = None
    test[name] = None
    return f"`{name}` is filled in late; it is blank throughout the test table."


def _echo(cells: list[Any], outcome: Outcome, rng: np.random.Generator) -> Any:
    """Return what goes along with the answers, not quite exactly."""
    if isinstance(outcome.goal, Amount):
        values = np.array(cells, dtype=float)
        unsure = 0.3 * values.std() * rng.standard_normal(len(values))
        return rounded(values * rng.uniform(0.5, 2) + unsure, 2)
    letters = {name: f"{chr(65 + place)}{place + 1}" for place, name in enumerate(outcome.goal.names)}
    shown = list(letters.values())
    wrong = rng.random(len(cells)) < 0.1
    random = rng.integers(len(shown), size=len(cells)).tolist()
    return [
        shown[other] if slip else letters[cell]
        for cell, slip, other in zip(cells, wrong.tolist(), random, strict=True)
    ]
