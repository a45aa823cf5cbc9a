"""What crosses the wire, and the client that speaks it.

with MLEDojoClient(base_url="http://127.0.0.1:8000").sync() as env:
    result = env.reset(task="offline/concrete-strength", seed=0)
    result = env.step(MLEDojoAction(name="execute_code", argument=script))
    print(result.observation.text, result.reward, result.done)
"""

from __future__ import annotations

from typing import Annotated, Any

from openenv.core import EnvClient
from openenv.core.client_types import StepResult
from openenv.core.env_server.types import Action, Observation, State
from pydantic import WithJsonSchema

from mledojo_env.observation import Observation as Seen


class MLEDojoAction(Action):
    """One action: its name, and its argument as `mledojo_env.Action` has it.

    An unknown name, or an argument that is no text, is the agent's mistake: the environment answers it with
    an observation, at the cost of a step, as any reply in which no action can be read.
    """

    name: str
    argument: Annotated[Any, WithJsonSchema({"type": "string"})] = ""
    final: bool = False


class MLEDojoObservation(Observation):
    """What the agent may see, as text and as facts; for the trainer, `reward` and `done`.

    `reward` is the step's, None at a reset. Private scores and ranks are in none of it.
    """

    text: str
    facts: Seen
    terminated: bool = False
    truncated: bool = False


class MLEDojoState(State):
    """Where a session stands: `episode_id` and `step_count`, the task, the seed, the rewards' sum."""

    task: str | None = None
    seed: int | None = None
    reward: float = 0.0
    done: bool = False


class MLEDojoClient(EnvClient[MLEDojoAction, MLEDojoObservation, MLEDojoState]):
    """OpenEnv's client with our types. `reset` takes `task` (its id or bare name) and `seed`.

    `message_timeout_s` is an hour where OpenEnv has a minute: a step is as long as the script that it runs.
    """

    def __init__(
        self, base_url: str | None = None, message_timeout_s: float = 3600.0, **options: Any
    ) -> None:
        super().__init__(base_url, message_timeout_s=message_timeout_s, **options)

    def _step_payload(self, action: MLEDojoAction) -> dict[str, Any]:
        return dict(action.model_dump())

    def _parse_result(self, payload: dict[str, Any]) -> StepResult[MLEDojoObservation]:
        reward, done = payload.get("reward"), payload.get("done", False)
        seen = MLEDojoObservation.model_validate({**payload["observation"], "reward": reward, "done": done})
        return StepResult(observation=seen, reward=reward, done=done)

    def _parse_state(self, payload: dict[str, Any]) -> MLEDojoState:
        return MLEDojoState.model_validate(payload)
