"""The record of one episode: budgets, what was done, and the submission that counts."""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from mledojo_env.actions import ActionName
from mledojo_env.observation import Observation, StepStatus

if TYPE_CHECKING:
    from mledojo_env.grading import Grade


class ScoreVisibility(StrEnum):
    """What the agent is told about a submission, and with it how submissions are compared."""

    KAGGLE = "kaggle"  # score and rank on the public part; the best public-part score counts
    DOJO = "dojo"  # the full test score and the mean rank, as MLE-Dojo; the best full score counts
    NONE = "none"  # whether it is valid; the best public-part score counts, unseen

    def score_of(self, grade: Grade | None) -> float | None:
        """Return the score that the agent may see."""
        if grade is None or self is ScoreVisibility.NONE:
            return None
        return grade.score if self is ScoreVisibility.DOJO else grade.public_score

    def rank_of(self, grade: Grade | None) -> float | None:
        """Return the rank that the agent may see."""
        if grade is None or self is ScoreVisibility.NONE:
            return None
        return grade.rank if self is ScoreVisibility.DOJO else grade.public_rank

    def compared_score(self, grade: Grade) -> float:
        """Return the score by which submissions are compared, shown or not."""
        return grade.score if self is ScoreVisibility.DOJO else grade.public_score

    def compared_rank(self, grade: Grade) -> float | None:
        """Return the rank on the board on which submissions are compared, shown or not."""
        return grade.rank if self is ScoreVisibility.DOJO else grade.public_rank

    def final_rank_of(self, grade: Grade | None) -> float | None:
        """Return the rank that an episode ends with if this submission counts."""
        if grade is None:
            return None
        return grade.rank if self is ScoreVisibility.DOJO else grade.private_rank


@dataclass(frozen=True)
class EpisodeResult:
    """What became of an episode; never shown to the agent.

    Scores and ranks are those of the submission that counts, None without one (ranks also without a
    leaderboard). `rank` is the one that `rank_gain` sums to: on the private board, or the mean of both boards
    in `dojo` visibility.
    """

    valid: bool
    score: float | None
    score_public: float | None
    score_private: float | None
    rank: float | None
    rank_public: float | None
    rank_private: float | None
    medal: str | None
    steps: int
    seconds: float  # wall clock of the agent's code
    actions: dict[str, int]  # by name, and "malformed"
    failures: dict[str, int]  # by phase: validate, execute, and submission (could not be scored)
    submissions: int  # valid ones
    first_valid_step: int | None
    best_step: int | None  # the step that made the submission that counts


@dataclass
class Episode:
    """The state of one running episode."""

    seed: int
    max_steps: int
    max_seconds: float
    visibility: ScoreVisibility
    higher_is_better: bool
    seconds: float = 0.0
    history: list[Observation] = field(default_factory=list)
    counted: Grade | None = None
    best_step: int | None = None
    first_valid_step: int | None = None
    submissions: int = 0
    terminated: bool = False

    @property
    def step(self) -> int:
        """How many steps were taken."""
        return len(self.history)

    @property
    def steps_left(self) -> int:
        """How many steps remain."""
        return self.max_steps - self.step

    @property
    def seconds_left(self) -> float:
        """How many seconds of execution remain."""
        return max(self.max_seconds - self.seconds, 0.0)

    @property
    def truncated(self) -> bool:
        """Whether a budget ran out before the episode terminated."""
        return not self.terminated and (self.steps_left <= 0 or self.seconds_left <= 0)

    @property
    def over(self) -> bool:
        """Whether no step can follow."""
        return self.terminated or self.truncated

    @property
    def final_rank(self) -> float | None:
        """The rank that the episode would end with here; None without a submission or a leaderboard."""
        return self.visibility.final_rank_of(self.counted)

    def count(self, grade: Grade) -> None:
        """Take note of a valid submission of the step under way; of equal ones the first keeps counting."""
        self.submissions += 1
        self.first_valid_step = self.first_valid_step or self.step + 1
        if self.counted is not None:
            new, old = self.visibility.compared_score(grade), self.visibility.compared_score(self.counted)
            if not (new > old if self.higher_is_better else new < old):
                return
        self.counted, self.best_step = grade, self.step + 1

    def summary(self, last: int | None) -> str:
        """Return the last steps, one a line, as `get_history` tells them."""
        first = 0 if last is None else max(self.step - last, 0)
        lines = [_line(number, seen) for number, seen in enumerate(self.history[first:], first + 1)]
        return "\n".join(lines) or "no steps to show"

    def result(self) -> EpisodeResult:
        """Return what has become of the episode so far."""
        grade = self.counted
        code = {"validate": ActionName.VALIDATE_CODE, "execute": ActionName.EXECUTE_CODE}
        failures = {
            phase: sum(seen.action == name and seen.status is StepStatus.FAILED for seen in self.history)
            for phase, name in code.items()
        }
        failures["submission"] = sum(seen.status is StepStatus.INVALID for seen in self.history)
        return EpisodeResult(
            valid=grade is not None,
            score=grade.score if grade else None,
            score_public=grade.public_score if grade else None,
            score_private=grade.private_score if grade else None,
            rank=self.final_rank,
            rank_public=grade.public_rank if grade else None,
            rank_private=grade.private_rank if grade else None,
            medal=str(grade.medal) if grade and grade.medal else None,
            steps=self.step,
            seconds=round(self.seconds, 3),
            actions=dict(Counter(seen.action or "malformed" for seen in self.history)),
            failures=failures,
            submissions=self.submissions,
            first_valid_step=self.first_valid_step,
            best_step=self.best_step,
        )

    def result_dict(self) -> dict[str, Any]:
        """Return `result` as JSON can hold it."""
        return asdict(self.result())


def _line(number: int, seen: Observation) -> str:
    parts = [f"step {number} {seen.action or 'malformed'}: {seen.status}"]
    if seen.error_class or seen.error_message:
        what = ": ".join(part for part in (seen.error_class, seen.error_message) if part)
        parts.append(what.splitlines()[0][:200])
    if seen.score is not None:
        parts.append(f"score {seen.score:.4g}")
    if seen.rank is not None:
        parts.append(f"rank {seen.rank:.4g}")
    return ", ".join(parts)
