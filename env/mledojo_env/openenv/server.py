"""The environment behind OpenEnv's WebSocket protocol: an episode a session, many sessions at once."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import socket
import uuid
from functools import partial
from ipaddress import ip_address
from pathlib import Path
from typing import Any, NoReturn

import uvicorn
from gymnasium.error import ResetNeeded
from openenv.core.env_server.http_server import create_fastapi_app
from openenv.core.env_server.interfaces import Environment
from openenv.core.env_server.types import EnvironmentMetadata

from mledojo_env import MLEDojoEnv, Observation, __version__, make
from mledojo_env.errors import ConfigError, GradingError, SandboxError, did_you_mean
from mledojo_env.openenv.models import MLEDojoAction, MLEDojoObservation, MLEDojoState
from mledojo_env.openenv.sessions import Application, SessionGuard, while_connected
from mledojo_env.portal import shared_portal
from mledojo_env.sandbox.base import Sandbox

_log = logging.getLogger(__name__)

# What is served. The rest of OpenEnv's routes make an environment for a single request, which is no episode,
# or sessions that nobody would reap.
_ROUTES = {"/ws", "/health", "/metadata", "/schema", "/docs", "/openapi.json"}
_SHUTDOWN_S = 5
_ANY_TASK = "offline/concrete-strength"


class MLEDojoEnvironment(Environment[MLEDojoAction, MLEDojoObservation, MLEDojoState]):
    """A session: episodes of any task, one after another.

    Args:
        sandbox: Where code runs; shared by all sessions.
        tasks_path: Task folders beside the package's own and `MLEDOJO_TASKS_PATH`.
        options: Those of `MLEDojoEnv`.
    """

    SUPPORTS_CONCURRENT_SESSIONS = True

    def __init__(self, sandbox: Sandbox, tasks_path: tuple[Path, ...], options: dict[str, Any]) -> None:
        super().__init__()
        self._make = partial(make, tasks_path=tasks_path, sandbox=sandbox, **options)
        self._env: MLEDojoEnv | None = None
        self._state = MLEDojoState()

    async def reset_async(
        self,
        seed: int | None = None,
        episode_id: str | None = None,
        task: str | None = None,
        **unknown: Any,
    ) -> MLEDojoObservation:
        """Start an episode of a task, given by its id or bare name.

        Raises:
            ConfigError: If there is no task, an unknown option, or no such seed.
            TaskNotFound: If there is no such task; names the nearest.
        """
        if unknown:
            name = next(iter(unknown))
            hint = did_you_mean(name, ("seed", "episode_id", "task"))
            raise ConfigError(f"Unknown option {name!r} of reset; expected seed, episode_id and task.{hint}")
        if not isinstance(task, str):
            raise ConfigError(
                f"reset needs a task's id, found {task!r}: reset(task='offline/concrete-strength')."
            )
        if seed is not None and (type(seed) is not int or seed < 0):
            raise ConfigError(f"seed is {seed!r}; expected a whole number of at least 0.")
        env = await asyncio.to_thread(self._make, task)
        await self._leave()
        self._env = env
        self._state = MLEDojoState(episode_id=episode_id or str(uuid.uuid4()), task=env.task.id)
        try:
            observation, info = await env.areset(seed=seed)
        except (SandboxError, GradingError) as error:
            self._give_up(error)
        self._state.seed = info["seed"]
        return _shown(observation)

    async def step_async(
        self, action: MLEDojoAction, timeout_s: float | None = None, **_: Any
    ) -> MLEDojoObservation:
        """Take an action; a script runs as long as the task allows, whatever `timeout_s` says.

        Raises:
            ResetNeeded: If no episode is running.
            RuntimeError: If the episode broke on our side; it has no reward.
        """
        if self._env is None:
            raise ResetNeeded("No episode is running; call reset(task=...) first.")
        state = self._state
        taken = action.model_dump(exclude={"metadata"})
        try:
            observation, reward, terminated, truncated, _info = await while_connected(self._env.astep(taken))
        except (SandboxError, GradingError) as error:
            self._give_up(error)
        state.step_count += 1
        state.reward += reward
        state.done = terminated or truncated
        return _shown(observation, reward=reward, done=state.done, terminated=terminated, truncated=truncated)

    def reset(
        self, seed: int | None = None, episode_id: str | None = None, **options: Any
    ) -> MLEDojoObservation:
        """Start an episode; as `reset_async`."""
        return shared_portal().run(self.reset_async(seed, episode_id, **options))

    def step(self, action: MLEDojoAction, timeout_s: float | None = None, **_: Any) -> MLEDojoObservation:
        """Take an action; as `step_async`."""
        return shared_portal().run(self.step_async(action, timeout_s))

    @property
    def state(self) -> MLEDojoState:
        """Where the session stands."""
        return self._state

    def get_metadata(self) -> EnvironmentMetadata:
        """Return what this environment is."""
        about = (
            "Kaggle-style machine-learning tasks, solved by writing, running and improving Python scripts."
        )
        return EnvironmentMetadata(name="mledojo", description=about, version=__version__)

    def close(self) -> None:
        """Give back the place in the sandbox; safe to call again. OpenEnv calls it from a thread."""
        shared_portal().run(self._leave())

    async def _leave(self) -> None:
        env, self._env = self._env, None
        if env is not None:
            await env.aclose()

    def _give_up(self, error: Exception) -> NoReturn:
        """Tell the trainer that an episode broke, and the log why: that may name what is private."""
        _log.error("an episode of %s broke: %s: %s", self._state.task, type(error).__name__, error)
        raise RuntimeError(
            f"The episode broke on the server's side ({type(error).__name__}) and has no reward; see the "
            "server's log. Call reset to start another."
        ) from error


def _shown(observation: Observation, **more: Any) -> MLEDojoObservation:
    return MLEDojoObservation(text=observation.to_text(), facts=observation, **more)


def create_app(
    sandbox: Sandbox,
    *,
    max_sessions: int = 64,
    idle_s: float = 900.0,
    tasks_path: tuple[Path, ...] = (),
    **options: Any,
) -> Application:
    """Return the server as an ASGI application.

    Args:
        sandbox: Where code runs.
        max_sessions: Sessions at a time; one more is refused.
        idle_s: A session that sends nothing for so long, while nothing of it runs, is closed.
        tasks_path: Task folders beside the package's own and `MLEDOJO_TASKS_PATH`.
        options: Those of `MLEDojoEnv`.

    Raises:
        ConfigError: If a number is out of range or an option does not fit.
    """
    for name, value in {"max_sessions": max_sessions, "idle_s": idle_s}.items():
        if not value > 0:
            raise ConfigError(f"{name} is {value}; expected more than 0.")
    make(_ANY_TASK, **options)  # what is wrong with the options is better told now than at a reset
    app = create_fastapi_app(
        partial(MLEDojoEnvironment, sandbox, tasks_path, options),
        MLEDojoAction,
        MLEDojoObservation,
        max_concurrent_envs=max_sessions,
        env_name="mledojo",
        state_cls=MLEDojoState,
    )
    app.router.routes[:] = [route for route in app.router.routes if getattr(route, "path", "") in _ROUTES]
    return SessionGuard(app, idle_s)


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach a server that listens there."""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def listen(host: str, port: int) -> socket.socket:
    """Return a socket that listens there; port 0 stands for any that is free.

    Raises:
        ConfigError: If the address or the port cannot be had.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family)
    except OSError as error:
        reason = os.strerror(error.errno) if error.errno and error.errno > 0 else error.strerror
        raise ConfigError(f"Cannot listen at {host}, port {port}: {reason}.") from error


def run(app: Application, listening: socket.socket) -> None:
    """Serve until SIGINT or SIGTERM; both leave through an exception, so that callers can clean up.

    Raises:
        KeyboardInterrupt: After SIGINT.
        SystemExit: After SIGTERM.
    """

    def leave(number: int, _frame: object) -> NoReturn:
        raise SystemExit(128 + number)

    signal.signal(signal.SIGTERM, leave)  # uvicorn shuts down, then sends itself the signal that it got
    config = uvicorn.Config(app, log_level="warning", timeout_graceful_shutdown=_SHUTDOWN_S)
    uvicorn.Server(config).run(sockets=[listening])
