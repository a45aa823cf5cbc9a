"""The Gymnasium side: action and observation spaces, and an observation as a member of its space."""

from __future__ import annotations

from typing import Any

import numpy as np
from gymnasium import spaces

from mledojo_env.actions import ActionName
from mledojo_env.observation import Observation, StepStatus

MAX_ARGUMENT_CHARS = 100_000
_LARGEST = float(np.finfo(np.float64).max)


class UnicodeText(spaces.Space[str]):
    """Any text of at most `max_length` characters (Gymnasium's own `Text` needs a list of characters).

    Samples are short lines of printable ASCII.
    """

    def __init__(self, max_length: int, seed: int | np.random.Generator | None = None) -> None:
        self.max_length = max_length
        super().__init__(dtype=str, seed=seed)

    @property
    def is_np_flattenable(self) -> bool:
        """False: text has no fixed shape."""
        return False

    def sample(self, mask: Any | None = None, probability: Any | None = None) -> str:
        """Return a short random text."""
        length = int(self.np_random.integers(0, min(self.max_length, 40) + 1))
        return "".join(map(chr, self.np_random.integers(32, 127, size=length)))

    def contains(self, x: Any) -> bool:
        """Return whether `x` is text and not too long."""
        return isinstance(x, str) and len(x) <= self.max_length

    def __repr__(self) -> str:
        return f"UnicodeText({self.max_length})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, UnicodeText) and other.max_length == self.max_length


def action_space() -> spaces.Dict:
    """Return the space of actions: `name` is a number in the order of `ActionName`."""
    return spaces.Dict(
        {
            "name": spaces.Discrete(len(ActionName)),
            "argument": UnicodeText(MAX_ARGUMENT_CHARS),
            "final": spaces.Discrete(2),
        }
    )


def observation_space(max_steps: int) -> spaces.Dict:
    """Return the space of observations; `status` is a number in the order of `StepStatus`.

    Scores and ranks are 0 where there is none to be shown: `has_score` and `has_best` say so.
    """
    score = spaces.Box(-_LARGEST, _LARGEST, shape=(), dtype=np.float64)
    rank = spaces.Box(0.0, 1.0, shape=(), dtype=np.float64)
    return spaces.Dict(
        {
            "text": UnicodeText(1_000_000),
            "status": spaces.Discrete(len(StepStatus)),
            "submission_valid": spaces.Discrete(2),
            "has_score": spaces.Discrete(2),
            "score": score,
            "rank": rank,
            "has_best": spaces.Discrete(2),
            "best_score": score,
            "best_rank": rank,
            "steps_left": spaces.Discrete(max_steps + 1),
        }
    )


def to_member(observation: Observation) -> dict[str, Any]:
    """Return an observation as a member of `observation_space`, without any wall clock."""
    return {
        "text": observation.to_text(),
        "status": list(StepStatus).index(observation.status),
        "submission_valid": int(bool(observation.submission_valid)),
        "has_score": int(observation.score is not None),
        "score": _number(observation.score),
        "rank": _number(observation.rank),
        "has_best": int(observation.best_score is not None),
        "best_score": _number(observation.best_score),
        "best_rank": _number(observation.best_rank),
        "steps_left": observation.steps_left,
    }


def _number(value: float | None) -> np.ndarray:
    return np.array(value or 0.0, dtype=np.float64)
