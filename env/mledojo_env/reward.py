"""From what a step changed to a reward; a small registry by name."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from mledojo_env.actions import ActionName
from mledojo_env.errors import ConfigError, did_you_mean
from mledojo_env.observation import StepStatus
from mledojo_env.sandbox.base import ExecutionResult

if TYPE_CHECKING:
    from mledojo_env.grading import Grade


@dataclass(frozen=True)
class Transition:
    """All that a reward may look at: one step, seen from our side (private numbers included)."""

    action: ActionName | None  # None: malformed
    status: StepStatus
    execution: ExecutionResult | None  # of a code action
    grade: Grade | None  # of this step's submission, if it was valid
    counted_before: Grade | None  # the submission that counts, before and after the step
    counted_after: Grade | None
    rank_before: float  # the rank in [0, 1] that the episode would have ended with; 0 without a submission
    rank_after: float


@dataclass(frozen=True)
class Reward:
    """A named rule: transition -> float; an episode's reward is the sum over its steps."""

    name: str
    source: str
    needs_leaderboard: bool
    of: Callable[[Transition], float]

    def __call__(self, transition: Transition) -> float:
        """Return the step's reward."""
        return self.of(transition)


def rank_gain(transition: Transition) -> float:
    """Return by how much the final rank changed: an episode sums to the rank it ends with.

    The potential of a state is the rank of the submission that counts: its rank on the private board, or the
    mean over both boards where submissions are compared on the whole test set (`dojo` visibility). A
    submission that does not become the one that counts earns exactly 0.
    """
    return transition.rank_after - transition.rank_before


def position_score(transition: Transition) -> float:
    """Return the mean of public and private rank of this step's submission; 0 for everything else.

    As MLE-Dojo gives it: resubmitting a file earns its rank again.
    """
    if transition.action is not ActionName.EXECUTE_CODE or transition.grade is None:
        return 0.0
    return float(transition.grade.rank or 0.0)


REWARDS = {
    reward.name: reward
    for reward in (
        Reward(
            "rank_gain",
            "potential-based shaping, Ng et al. 1999, over MLE-Dojo's position score, arXiv 2505.07782",
            True,
            rank_gain,
        ),
        Reward("dojo", "MLE-Dojo's position score at each execution, arXiv 2505.07782", True, position_score),
        Reward("none", "no reward, for evaluation and for tasks without a leaderboard", False, lambda _: 0.0),
    )
}


def make_reward(name: str) -> Reward:
    """Return the reward of this name.

    Raises:
        ConfigError: If there is none; names the nearest.
    """
    if name not in REWARDS:
        hint = did_you_mean(name, REWARDS)
        raise ConfigError(f"Unknown reward {name!r}; expected one of {', '.join(REWARDS)}.{hint}")
    return REWARDS[name]
