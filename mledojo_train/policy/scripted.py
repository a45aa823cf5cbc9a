"""Scripted agents of mixed skill: where the first trajectories come from, and baselines for evaluation."""

from __future__ import annotations

import random
from dataclasses import dataclass, replace

from mledojo_env import Observation, Task
from mledojo_env.actions import TOPICS, Action, ActionName
from mledojo_env.errors import ConfigError, did_you_mean
from mledojo_train.codec import Codec, FencedCodec, Message
from mledojo_train.policy.base import Reply, TokenRecord
from mledojo_train.policy.scripts import MISTAKES, Plan, random_plan, write


@dataclass(frozen=True)
class Skill:
    """How a scripted agent behaves; every field but `strong` is a probability."""

    asks: float  # opens with request_info
    validates: float  # runs a script on the sample before the full run
    errs: float  # a script carries a mistake, repaired after its failure
    reviews: float  # looks at its history, or starts over, between two scripts
    ends: float  # says `final` on a later run
    strong: tuple[str, ...] = ()  # models it keeps to; empty: any


SKILLS = {
    "novice": Skill(asks=0.5, validates=0.4, errs=0.4, reviews=0.1, ends=0.2),
    "mixed": Skill(asks=0.2, validates=0.2, errs=0.2, reviews=0.05, ends=0.1),
    "clean": Skill(asks=0.1, validates=0.1, errs=0.0, reviews=0.0, ends=0.1),
    "dummy": Skill(asks=0.0, validates=0.0, errs=0.0, reviews=0.0, ends=1.0, strong=("dummy",)),
    "forest": Skill(
        asks=0.0, validates=0.0, errs=0.0, reviews=0.0, ends=0.0, strong=("forest", "linear-svm")
    ),
}


class ScriptedPolicy:
    """`scripted:<skill>`: random plans within a skill; the same seed and task give the same episode."""

    def __init__(self, skill: str, codec: Codec | None = None) -> None:
        if skill not in SKILLS:
            known = ", ".join(f"scripted:{name}" for name in SKILLS)
            raise ConfigError(
                f"Unknown scripted policy {skill!r}; expected {known}.{did_you_mean(skill, SKILLS)}"
            )
        self.name = f"scripted:{skill}"
        self._skill = SKILLS[skill]
        self._codec: Codec = codec or FencedCodec()

    def start(self, task: Task, conversation: list[Message], seed: int) -> ScriptedActor:
        """Return an actor whose plans depend on the task's id, domain and submission, and on `seed`."""
        return ScriptedActor(self._skill, task, self._codec, random.Random(f"{self.name}/{task.id}/{seed}"))

    async def aclose(self) -> None:
        """Do nothing: a script holds nothing."""


class ScriptedActor:
    """One episode of a scripted agent: ask, validate, execute, repair what failed, try something else."""

    def __init__(self, skill: Skill, task: Task, codec: Codec, rng: random.Random) -> None:
        self._skill, self._codec, self._rng = skill, codec, rng
        self._domain = task.domain
        self._output = str(task.submission.value)
        self._plan: Plan | None = None
        self._last: Action | None = None

    async def act(self, observation: Observation) -> Reply:
        """Reply with the next action, written in the codec's format."""
        self._last = self._next(observation)
        return Reply(self._codec.assistant(self._last), self._last)

    def tokens(self) -> TokenRecord | None:
        """Return None: a scripted agent samples no tokens."""
        return None

    def _next(self, observation: Observation) -> Action:
        skill, rng = self._skill, self._rng
        if self._last is None and rng.random() < skill.asks:
            return Action(ActionName.REQUEST_INFO, rng.choice(TOPICS))
        code_failed = self._last is not None and self._last.name in _CODE and not observation.ok
        if self._plan and self._plan.mistake and code_failed:
            self._plan = replace(self._plan, mistake=None)
            return Action(self._last.name if self._last else ActionName.EXECUTE_CODE, write(self._plan))
        if self._plan and self._last and self._last.name is ActionName.VALIDATE_CODE and not code_failed:
            return Action(ActionName.EXECUTE_CODE, write(self._plan))
        if self._plan and rng.random() < skill.reviews:
            return rng.choice([Action(ActionName.GET_HISTORY, "2"), Action(ActionName.RESET)])
        self._plan = self._new_plan()
        if rng.random() < skill.validates:
            return Action(ActionName.VALIDATE_CODE, write(self._plan))
        final = self._plan.mistake is None and rng.random() < skill.ends
        return Action(ActionName.EXECUTE_CODE, write(self._plan), final=final)

    def _new_plan(self) -> Plan:
        for _ in range(_MAX_DRAWS):  # not every kind of task can be entered with every model
            plan = random_plan(self._rng, self._domain, self._output)
            if not self._skill.strong or plan.model in self._skill.strong:
                break
        return (
            replace(plan, mistake=self._rng.choice(MISTAKES))
            if self._rng.random() < self._skill.errs
            else plan
        )


_MAX_DRAWS = 100  # for a model that the skill calls strong
_CODE = (ActionName.VALIDATE_CODE, ActionName.EXECUTE_CODE)
