"""The environment for TRL's own tool loop: `GRPOTrainer(environment_factory=...)`.

    tasks = ["offline/concrete-strength", "offline/hotel-rates"]
    trainer = GRPOTrainer(
        model="Qwen/Qwen3-0.6B",
        args=GRPOConfig(max_tool_calling_iterations=8),
        train_dataset=tool_dataset(tasks),
        environment_factory=tool_env_factory(sandbox, max_steps=8),
    )

TRL runs the tools of a batch one after another, so scripts do not overlap with each other or with generation;
`recipes/grpo.py`, on this project's rollout engine, is several times faster. This is for code that is built
around TRL's loop.
"""

from __future__ import annotations

import functools
import threading
import weakref
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from mledojo_env import Action, ActionName, MLEDojoEnv
from mledojo_env.errors import GradingError, SandboxError, SandboxUnavailable
from mledojo_env.portal import shared_portal
from mledojo_env.sandbox.base import Sandbox
from mledojo_train.codec import ToolCallCodec
from mledojo_train.prompts import opening

if TYPE_CHECKING:
    from datasets import Dataset

_OVER = "The episode is over; nothing more can be done. Reply without a tool call."
_BROKEN = "The environment failed, which is not your fault. Reply without a tool call."


class MLEDojoToolEnv:
    """One episode at a time, its five actions as tools.

    Every public method but `reset` and `get_reward` is a tool for TRL, which reads types and docstrings; what
    a tool returns is the observation. TRL makes an instance a rollout, resets it for the next, and never
    closes it: a session is dropped with the next `reset`, with the instance, or at exit.

    Args:
        sandbox: Where code runs, shared by all instances; None: the process's own.
        options: Those of `MLEDojoEnv`.
    """

    def __init__(self, sandbox: Sandbox | None = None, **options: Any) -> None:
        self._sandbox, self._options = sandbox, options
        self._env: MLEDojoEnv | None = None
        self._forget: weakref.finalize[[MLEDojoEnv], Any] | None = None
        self._reward: float | None = None
        self._end = _OVER

    def reset(self, *, task: str, seed: int = 0, **_: Any) -> None:
        """Start an episode; called with a row of the dataset.

        Args:
            task: The task's id.
            seed: Of the episode's scripts.

        Raises:
            TaskNotFound: If there is no such task.
            SandboxUnavailable: If this machine cannot isolate code.
        """
        self._close()
        self._env = MLEDojoEnv(task, sandbox=self._sandbox, **self._options)
        self._forget = weakref.finalize(self, _close_elsewhere, self._env)
        self._forget.atexit = False  # sandboxes close themselves then
        self._end = ""
        self._reward = 0.0
        try:
            shared_portal().run(self._env.areset(seed=seed))
        except SandboxUnavailable:
            raise
        except SandboxError:
            self._break()

    def request_info(self, topic: str) -> str:
        """
        Read about the task.

        Args:
            topic: What to read: overview, data, metric, leaderboard or sample_submission.
        """
        return self._step(Action(ActionName.REQUEST_INFO, _text(topic)))

    def validate_code(self, code: str) -> str:
        """
        Run a script quickly on a small sample of the data; not graded.

        Args:
            code: A complete Python script.
        """
        return self._step(Action(ActionName.VALIDATE_CODE, _text(code)))

    def execute_code(self, code: str, final: bool = False) -> str:
        """
        Run a script in full; the submission.csv that it writes is graded.

        Args:
            code: A complete Python script.
            final: Whether this is the last step, which ends the episode.
        """
        return self._step(Action(ActionName.EXECUTE_CODE, _text(code), final=final is True))

    def get_history(self, last: int = 0) -> str:
        """
        Show past steps.

        Args:
            last: How many; 0 for all.
        """
        return self._step(Action(ActionName.GET_HISTORY, "" if last == 0 else _text(last)))

    def clear_workdir(self) -> str:
        """
        Remove every file of the working directory. Steps and submissions stay as they are.
        """
        return self._step(Action(ActionName.RESET, ""))

    def get_reward(self) -> float | None:
        """Return the episode's reward so far; None, which TRL leaves out, for one that we broke."""
        return self._reward

    def _step(self, action: Action) -> str:
        if self._end or self._env is None:
            return self._end or _OVER
        try:
            observation, reward, terminated, truncated, _ = shared_portal().run(self._env.astep(action))
        except (SandboxError, GradingError):
            self._break()
            return _BROKEN
        self._reward = (self._reward or 0.0) + reward
        if terminated or truncated:
            self._end = _OVER
            self._close()
        return observation.to_text()

    def _break(self) -> None:
        self._reward, self._end = None, _BROKEN
        self._close()

    def _close(self) -> None:
        """Drop the session, if there is one."""
        if self._forget is not None and self._forget.detach() and self._env is not None:
            self._env.close()


def tool_env_factory(sandbox: Sandbox | None = None, **options: Any) -> Callable[[], MLEDojoToolEnv]:
    """Return what `GRPOTrainer(environment_factory=...)` takes; see `MLEDojoToolEnv`."""
    return functools.partial(MLEDojoToolEnv, sandbox, **options)


def tool_dataset(tasks: Sequence[str], max_steps: int = 15, seed: int = 0) -> Dataset:
    """Return a row a task: `prompt`, `task` and `seed`.

    Raises:
        TaskNotFound: If there is no such task.
    """
    from datasets import Dataset

    from mledojo_env import load_task

    codec = ToolCallCodec()
    rows = [
        {"prompt": opening(load_task(task), codec, "full", max_steps), "task": task, "seed": seed}
        for task in tasks
    ]
    return Dataset.from_list(rows)


def _close_elsewhere(env: MLEDojoEnv) -> None:
    """Close an environment whose owner is gone; garbage is collected in any thread, also in the portal's."""
    threading.Thread(target=env.close, name="mledojo-close", daemon=True).start()


def _text(given: object) -> str:
    """Return what a model gave as text: it may have given anything."""
    return given if isinstance(given, str) else repr(given)
