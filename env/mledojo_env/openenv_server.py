"""The environment as an OpenEnv server: HTTP and WebSocket, a session an episode.

    mledojo-train serve --port 8000

Any OpenEnv client drives it: `reset(task=..., seed=...)`, then `step({"action": "execute_code", "argument":
code})`. A client receives what an agent may see, the reward and whether the episode is over; grades of the
private part stay here.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable
from typing import Any

from openenv.core.env_server import Action as OpenEnvAction
from openenv.core.env_server import ConcurrencyConfig, Environment, State, create_fastapi_app
from openenv.core.env_server import Observation as OpenEnvObservation
from pydantic import Field

from mledojo_env.actions import Action, ActionName, MalformedAction
from mledojo_env.environment import MLEDojoEnv
from mledojo_env.errors import ConfigError
from mledojo_env.observation import Observation
from mledojo_env.portal import shared_portal
from mledojo_env.sandbox.base import Sandbox


class MLEDojoAction(OpenEnvAction):
    """One of the five actions."""

    action: str = Field(description=f"One of {', '.join(ActionName)}.")
    argument: str = Field("", description="The code, topic or number that the action takes.")
    final: bool = Field(False, description="With execute_code: whether this is the last step.")


class MLEDojoObservation(OpenEnvObservation):
    """What the agent sees: the text, and the same as fields."""

    text: str = ""
    details: dict[str, Any] = Field(default_factory=dict, description="See mledojo_env.Observation.")


class MLEDojoState(State):
    """Which episode a session plays."""

    task: str | None = None
    steps_left: int | None = None


class MLEDojoEnvironment(Environment[MLEDojoAction, MLEDojoObservation, MLEDojoState]):
    """A session: one episode at a time of the task that `reset` names.

    Args:
        sandbox: Where code runs, shared by all sessions; None: the process's own.
        task: The task of a reset that names none.
        options: Those of `MLEDojoEnv`.
    """

    SUPPORTS_CONCURRENT_SESSIONS = True

    def __init__(self, sandbox: Sandbox | None = None, task: str | None = None, **options: Any) -> None:
        super().__init__()
        self._sandbox, self._task, self._options = sandbox, task, options
        self._env: MLEDojoEnv | None = None
        self._state = MLEDojoState()
        self._is_busy = self._is_closed = False

    async def reset_async(
        self, seed: int | None = None, episode_id: str | None = None, task: str | None = None
    ) -> MLEDojoObservation:
        """Start an episode of a task.

        Raises:
            ConfigError: If no task is named here or by the server.
            TaskNotFound: If there is no such task.
        """
        self._check_open()
        name = task or self._task
        if name is None:
            raise ConfigError("Name a task: reset(task='offline/concrete-strength').")
        made = MLEDojoEnv(name, sandbox=self._sandbox, **self._options)
        if self._env is not None:
            await self._env.aclose()
        self._env = made
        observation, _ = await self._busy(made.areset(seed=seed))
        self._state = MLEDojoState(episode_id=episode_id or uuid.uuid4().hex, task=made.task.id)
        return self._told(observation, None, done=False)

    async def step_async(self, action: MLEDojoAction, timeout_s: float | None = None) -> MLEDojoObservation:
        """Take an action; one that does not exist is an observation, as for any agent."""
        self._check_open()
        if self._env is None:
            raise ConfigError("No episode is running; call reset first.")
        observation, reward, terminated, truncated, _ = await self._busy(self._env.astep(_read(action)))
        self._state.step_count += 1
        return self._told(observation, reward, done=terminated or truncated)

    def reset(self, *given: Any, **named: Any) -> MLEDojoObservation:
        """Start an episode; the blocking twin of `reset_async`."""
        return shared_portal().run(self.reset_async(*given, **named))

    def step(self, *given: Any, **named: Any) -> MLEDojoObservation:
        """Take an action; the blocking twin of `step_async`."""
        return shared_portal().run(self.step_async(*given, **named))

    @property
    def state(self) -> MLEDojoState:
        """Which episode is played, and how far it is."""
        return self._state

    def close(self) -> None:
        """Drop the session's working directory; after the step that is under way, if one is."""
        self._is_closed = True
        if self._env is not None and not self._is_busy:
            self._env.close()

    async def _busy(self, work: Any) -> Any:
        self._is_busy = True
        try:
            return await work
        finally:
            self._is_busy = False
            if self._is_closed and self._env is not None:
                await self._env.aclose()

    def _told(self, observation: Observation, reward: float | None, *, done: bool) -> MLEDojoObservation:
        self._state.steps_left = observation.steps_left
        return MLEDojoObservation(
            done=done, reward=reward, text=observation.to_text(), details=observation.to_dict()
        )

    def _check_open(self) -> None:
        if self._is_closed:
            raise ConfigError("The session has ended, perhaps for being idle too long; connect again.")


def make_app(
    sandbox: Sandbox | None = None,
    *,
    max_sessions: int = 8,
    idle_s: float = 1800.0,
    task: str | None = None,
    **options: Any,
) -> Any:
    """Return the FastAPI application.

    Args:
        sandbox: Where code runs.
        max_sessions: Sessions at a time; a further one is refused.
        idle_s: Seconds without a message after which a session is ended. Longer than any step takes.
        task: The task of a reset that names none.
        options: Those of `MLEDojoEnv`.
    """
    make: Callable[[], MLEDojoEnvironment] = lambda: MLEDojoEnvironment(sandbox, task, **options)  # noqa: E731
    limits = ConcurrencyConfig(max_concurrent_envs=max_sessions, session_timeout=idle_s)
    return create_fastapi_app(
        make, MLEDojoAction, MLEDojoObservation, concurrency_config=limits, state_cls=MLEDojoState
    )


def _read(given: MLEDojoAction) -> Action | MalformedAction:
    if given.action not in [str(name) for name in ActionName]:
        names = ", ".join(ActionName)
        return MalformedAction(f"unknown action {given.action[:40]!r}; expected one of {names}.")
    name = ActionName(given.action)
    return Action(name, given.argument, final=given.final and name is ActionName.EXECUTE_CODE)
