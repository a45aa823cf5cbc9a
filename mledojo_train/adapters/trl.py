"""The environment as TRL's `environment_factory`, for whoever trains with TRL's own tool loop.

    factory = tool_env_factory(EpisodeOptions(max_steps=6), sandbox=sandbox)
    GRPOTrainer(..., train_dataset=tool_dataset(tasks, options), environment_factory=factory)

TRL makes one environment a rollout, keeps them in a pool, resets each with a row of the dataset, offers their
public methods to the model as tools and asks each for its reward. It runs the tools of a batch one after
another; `mledojo_train.grpo` runs them side by side, and is what the recipes use.
"""

from __future__ import annotations

import functools
import inspect
import itertools
import os
import weakref
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Literal

from mledojo_env import Action, ActionName, MalformedAction, MLEDojoEnv, Task, load_task
from mledojo_env.errors import ConfigError, GradingError, SandboxError, SandboxUnavailable
from mledojo_env.portal import shared_portal
from mledojo_env.sandbox.base import Sandbox
from mledojo_train.codec import make_codec
from mledojo_train.prompts import opening
from mledojo_train.rollout import EpisodeOptions
from mledojo_train.run import process_count, process_index

if TYPE_CHECKING:
    from datasets import Dataset

_OVER = "The episode is over. Reply without calling a tool."
_BROKE = "The environment failed. The episode is over and does not count. Reply without calling a tool."

# What a model may pass: JSON's types, and how an error names them.
_EXPECTED: dict[str, tuple[type, str]] = {
    "topic": (str, "text"),
    "code": (str, "text"),
    "final": (bool, "true or false"),
    "last": (int, "a whole number"),
}
_ENV_OPTIONS = (
    *("max_steps", "max_seconds", "execute_timeout_s"),
    *("reward", "score_visibility", "max_feedback_chars"),
)


def tool_env_factory(
    options: EpisodeOptions | None = None, *, sandbox: Sandbox | None = None, seed: int = 0
) -> Callable[[], MLEDojoToolEnv]:
    """Return what `GRPOTrainer(environment_factory=...)` takes; all its environments share a sandbox.

    Args:
        options: How episodes are played, as in rollouts of our own; the prompt's style and the number of
            concurrent episodes have no meaning here.
        sandbox: Where code runs; None: the process's own `LocalSandbox`.
        seed: Every episode's scripts get a seed of their own, drawn from here.
    """
    crew = _Crew(options or EpisodeOptions(), sandbox, seed)
    return lambda: MLEDojoToolEnv(crew)


def tool_dataset(tasks: Sequence[str], options: EpisodeOptions | None = None) -> Dataset:
    """Return one row a task: `prompt`, the conversation that opens an episode, and `task`, the id.

    Raises:
        TaskNotFound: If there is no such task.
    """
    from datasets import Dataset

    options, codec = options or EpisodeOptions(), make_codec("tools")
    found = [load_task(task) for task in tasks]
    rows = [
        {"prompt": opening(task, codec, options.prompt_style, options.max_steps), "task": task.id}
        for task in found
    ]
    return Dataset.from_list(rows)


def _tool(read: Callable[..., Action | MalformedAction]) -> Callable[..., str]:
    """Make a tool of a method that reads an action: it takes the action and returns the observation's text.

    Arguments that the method does not take, or of another type, are the model's mistake: an observation that
    costs a step, as any reply in which no action can be read.
    """
    signature = inspect.signature(read)

    @functools.wraps(read)
    def call(self: MLEDojoToolEnv, *args: Any, **kwargs: Any) -> str:
        try:
            bound = signature.bind(self, *args, **kwargs)
        except TypeError as error:
            return self._take(MalformedAction(f"{read.__name__}: {error}."))
        for name, value in bound.arguments.items():
            if name == "self" or value is signature.parameters[name].default:
                continue
            kind, expected = _EXPECTED[name]
            if type(value) is not kind:
                found = type(value).__name__
                return self._take(
                    MalformedAction(f"{read.__name__}: {name} is of type {found}; expected {expected}.")
                )
        return self._take(read(*bound.args, **bound.kwargs))

    return call


class MLEDojoToolEnv:
    """One rollout's environment, as TRL drives it; made by `tool_env_factory`.

    Every public method but `reset` and `get_reward` is a tool, with its docstring as the model's manual. A
    tool returns the observation's text and raises nothing that the model could cause.

    TRL never closes an environment: its place in the sandbox is given back when its episode ends, at the next
    reset, when the environment is garbage, and when the interpreter exits and the sandbox closes.
    """

    def __init__(self, crew: _Crew) -> None:
        self._crew = crew
        self._place = _Place()
        self._reward: float | None = None  # None: no episode yet, or one that we broke
        self._closing: str | None = "No episode is running."  # what tools say once no step can follow
        self._error: str | None = None
        self._is_counted = True
        crew.size += 1
        # Not at exit, when no loop can work any more: then the sandbox goes, with everything in it.
        weakref.finalize(self, self._place.leave_soon).atexit = False

    def reset(self, *, task: str | None = None, **row: Any) -> None:
        """Start an episode of the task that a row of the dataset names; other columns are ignored.

        Raises:
            ConfigError: If the row names no task.
            TaskNotFound: If there is no such task.
            TaskDataError: If its data is missing or broken.
            SandboxUnavailable: If this machine cannot isolate code.
        """
        if task is None:
            raise ConfigError(
                f"The dataset has no column 'task', only {', '.join(row) or 'none'}; "
                "build it with tool_dataset, or add each row's task id."
            )
        self._place.leave()
        self._reward, self._closing, self._error, self._is_counted = 0.0, None, None, False
        env = self._place.env = self._crew.environment(task)
        try:
            shared_portal().run(env.areset(seed=next(self._crew.seeds)))
        except SandboxUnavailable:
            raise
        except SandboxError as error:
            self._give_up(error)

    def get_reward(self) -> float | None:
        """Return the sum of the episode's rewards; None, which TRL leaves out, for one that we broke.

        Raises:
            SandboxError: If as many episodes in a row broke as TRL plays at a time: going on would train on
                nothing.
        """
        if not self._is_counted:
            self._is_counted = True
            self._crew.count(self._error)
        return self._reward

    @_tool
    def request_info(
        self, topic: Literal["overview", "data", "metric", "leaderboard", "sample_submission"]
    ) -> Action:
        """Read about the task.

        Args:
            topic: What to read.
        """
        return Action(ActionName.REQUEST_INFO, topic)

    @_tool
    def validate_code(self, code: str) -> Action | MalformedAction:
        """Run a Python script quickly on a small sample of the data; not graded.

        Args:
            code: A complete Python script.
        """
        return _script(ActionName.VALIDATE_CODE, code)

    @_tool
    def execute_code(self, code: str, final: bool = False) -> Action | MalformedAction:
        """Run a Python script in full; the submission.csv that it writes is graded.

        Args:
            code: A complete Python script.
            final: Whether this is the last step; it ends the episode.
        """
        return _script(ActionName.EXECUTE_CODE, code, final=final)

    @_tool
    def get_history(self, last: int | None = None) -> Action:
        """Show past steps.

        Args:
            last: How many of them; all if left out.
        """
        return Action(ActionName.GET_HISTORY, "" if last is None else str(last))

    # The agent's action `reset`; the name `reset` is TRL's, for starting an episode.
    @_tool
    def reset_workdir(self) -> Action:
        """Clear the working directory; steps and submissions stay as they are."""
        return Action(ActionName.RESET)

    def _take(self, action: Action | MalformedAction) -> str:
        """Take an action and return what the model is told of it."""
        if self._closing is not None:
            return self._closing
        env = self._place.env
        assert env is not None
        try:
            observation, reward, terminated, truncated, _ = shared_portal().run(env.astep(action))
        except (SandboxError, GradingError) as error:
            return self._give_up(error)
        assert self._reward is not None
        self._reward += reward
        if not (terminated or truncated):
            return observation.to_text()
        self._closing = _OVER
        self._place.leave()
        return f"{observation.to_text()}\n{_OVER}"

    def _give_up(self, error: Exception) -> str:
        self._error = f"{type(error).__name__}: {error}"
        self._reward, self._closing = None, _BROKE
        self._place.leave()
        return _BROKE


def _script(name: ActionName, code: str, *, final: bool = False) -> Action | MalformedAction:
    return Action(name, code, final) if code.strip() else MalformedAction(f"{name} has no code.")


class _Crew:
    """What the environments of one factory share."""

    def __init__(self, options: EpisodeOptions, sandbox: Sandbox | None, seed: int) -> None:
        self._options = {name: getattr(options, name) for name in _ENV_OPTIONS}
        self._sandbox = sandbox
        self._tasks: dict[str, Task] = {}
        self._broken_in_a_row = 0
        self.size = 0
        self.seeds = itertools.count(seed * 1_000_000_000 + process_index(), process_count())

    def environment(self, task_id: str) -> MLEDojoEnv:
        """Return an environment for a task, which is loaded once."""
        if task_id not in self._tasks:
            self._tasks[task_id] = load_task(task_id)
        return MLEDojoEnv(self._tasks[task_id], sandbox=self._sandbox, **self._options)

    def count(self, error: str | None) -> None:
        """Take note of how an episode ended."""
        self._broken_in_a_row = self._broken_in_a_row + 1 if error else 0
        if self._broken_in_a_row >= self.size:
            raise SandboxError(
                f"{self._broken_in_a_row} episodes in a row broke on our side; the last: {error}"
            )


class _Place:
    """An environment's place in the sandbox; outlives the `MLEDojoToolEnv` that it belongs to."""

    def __init__(self) -> None:
        self.env: MLEDojoEnv | None = None
        self._process = os.getpid()

    def leave(self) -> None:
        """Give it back, and wait for that."""
        env = self._release()
        if env is not None:
            shared_portal().run(env.aclose())

    def leave_soon(self) -> None:
        """Give it back without waiting: garbage is collected anywhere, also where waiting would deadlock."""
        env = self._release()
        if env is not None:
            shared_portal().start_soon(env.aclose())

    def _release(self) -> MLEDojoEnv | None:
        env, self.env = self.env, None
        return env if self._process == os.getpid() else None  # a forked copy has nothing to give back
