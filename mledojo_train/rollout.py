"""The rollout engine: many episodes at once, generation and execution overlapped.

Each episode is a coroutine that alternates between its policy and its environment. The policy's generator
batches whatever episodes are ready; the sandbox runs as many scripts at a time as it has room for.
Collecting, GRPO and evaluation all run through here.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from mledojo_env import MLEDojoEnv, Observation, Task, load_task
from mledojo_env.actions import Action
from mledojo_env.errors import ConfigError, GradingError, SandboxError, SandboxUnavailable
from mledojo_env.sandbox.base import Sandbox
from mledojo_train.codec import Codec
from mledojo_train.policy.base import Actor, Policy, Reply
from mledojo_train.prompts import PromptStyle, opening
from mledojo_train.trajectory import Step, Trajectory


@dataclass(frozen=True)
class EpisodeSpec:
    """What to play: a task and the seed that scripts and scripted agents see."""

    task: str
    seed: int


@dataclass(frozen=True)
class EpisodeOptions:
    """How an episode is played; the same for collecting, training and evaluating."""

    max_steps: int = 15
    max_seconds: float = 3600.0  # wall-clock of an episode's actions
    execute_timeout_s: float | None = None  # None: the task's own limit
    reward: str = "rank_gain"
    score_visibility: str = "kaggle"
    prompt_style: PromptStyle = "full"
    max_feedback_chars: int = 4000
    max_concurrent_episodes: int = 64

    def __post_init__(self) -> None:
        if self.max_steps < 1 or self.max_seconds <= 0 or self.max_concurrent_episodes < 1:
            raise ValueError(
                f"max_steps {self.max_steps}, max_seconds {self.max_seconds}, max_concurrent_episodes "
                f"{self.max_concurrent_episodes}: all must be above 0."
            )


class RolloutEngine:
    """Plays episodes of a policy in a sandbox."""

    def __init__(
        self, sandbox: Sandbox, codec: Codec, options: EpisodeOptions, *, config_hash: str = ""
    ) -> None:
        self._sandbox, self._codec, self._options = sandbox, codec, options
        self._config_hash = config_hash
        self._tasks: dict[str, Task] = {}

    def task(self, task_id: str) -> Task:
        """Return a task, loaded once."""
        if task_id not in self._tasks:
            self._tasks[task_id] = load_task(task_id)
        return self._tasks[task_id]

    async def run(
        self,
        policy: Policy,
        specs: Sequence[EpisodeSpec],
        on_episode: Callable[[Trajectory], None] | None = None,
    ) -> list[Trajectory]:
        """Play every spec and return the trajectories in the same order.

        An episode that we broke comes back with `error` set. `on_episode` is called as each one ends, in the
        order of ending. Cancelling the call ends every episode and its executions.

        Raises:
            SandboxUnavailable: If this machine cannot isolate code at all.
            SandboxError: If every single episode broke: going on would train on nothing.
        """
        gate = asyncio.Semaphore(self._options.max_concurrent_episodes)

        async def play(spec: EpisodeSpec) -> Trajectory:
            async with gate:
                trajectory = await self._episode(policy, spec)
            if on_episode:
                on_episode(trajectory)
            return trajectory

        async with _cancel_on_error() as group:
            running = [group.create_task(play(spec)) for spec in specs]
        trajectories = [task.result() for task in running]
        broken = [trajectory for trajectory in trajectories if trajectory.broken]
        if trajectories and len(broken) == len(trajectories):
            raise SandboxError(f"All {len(broken)} episodes broke on our side; the first: {broken[0].error}")
        return trajectories

    async def _episode(self, policy: Policy, spec: EpisodeSpec) -> Trajectory:
        options = self._options
        task = self.task(spec.task)
        conversation = opening(task, self._codec, options.prompt_style, options.max_steps)
        trajectory = Trajectory(task.id, policy.name, spec.seed, list(conversation))
        trajectory.data_hash, trajectory.config_hash = task.data_hash, self._config_hash
        actor = policy.start(task, conversation, spec.seed)
        env = MLEDojoEnv(
            task,
            sandbox=self._sandbox,
            max_steps=options.max_steps,
            max_seconds=options.max_seconds,
            execute_timeout_s=options.execute_timeout_s,
            reward=options.reward,
            score_visibility=options.score_visibility,
            max_feedback_chars=options.max_feedback_chars,
        )
        began = time.monotonic()
        try:
            await self._play(env, actor, spec.seed, trajectory)
        except SandboxUnavailable:
            raise
        except (SandboxError, GradingError) as error:
            trajectory.error = f"{type(error).__name__}: {error}"
            trajectory.stop_reason, trajectory.reward = "error", None
        finally:
            trajectory.wall_s = time.monotonic() - began
            await asyncio.shield(env.aclose())
        tokens = actor.tokens()
        if tokens:
            trajectory.prompt_ids, trajectory.completion_ids = tokens.prompt_ids, tokens.completion_ids
            trajectory.mask, trajectory.logprobs = tokens.mask, tokens.logprobs
        return trajectory

    async def _play(self, env: MLEDojoEnv, actor: Actor, seed: int, trajectory: Trajectory) -> None:
        """Alternate between actor and environment until the episode ends."""
        observation, _ = await env.areset(seed=seed)
        trajectory.reward = 0.0
        while not (trajectory.terminated or trajectory.truncated):
            reply = await actor.act(observation)
            if reply.out_of_tokens:
                trajectory.truncated, trajectory.stop_reason = True, "tokens"
                break
            began = time.monotonic()
            observation, reward, terminated, truncated, info = await env.astep(reply.action)
            step = _step(reply, observation, reward)
            step.execute_s, step.run_s = time.monotonic() - began, info["exec"].get("wall_s", 0.0)
            trajectory.steps.append(step)
            trajectory.reward += reward
            trajectory.terminated, trajectory.truncated = terminated, truncated
            trajectory.messages.append(reply.message)
            if terminated:
                trajectory.stop_reason = "terminated"
            elif truncated:
                trajectory.stop_reason = "steps" if observation.steps_left == 0 else "seconds"
            else:
                trajectory.messages.append(self._codec.observation(observation.to_text()))
        trajectory.result = env.episode_result()


def _step(reply: Reply, observation: Observation, reward: float) -> Step:
    action = reply.action if isinstance(reply.action, Action) else None
    return Step(
        reply=str(reply.message.get("content", "")),
        action=str(action.name) if action else None,
        argument=action.argument if action else "",
        observation=observation.to_dict(),
        observation_text=observation.to_text(),
        reward=reward,
        generate_s=reply.generate_s,
        execute_s=0.0,
    )


class _cancel_on_error:
    """A task group that raises the first error itself instead of an `ExceptionGroup` of one."""

    def __init__(self) -> None:
        self._group = asyncio.TaskGroup()

    async def __aenter__(self) -> asyncio.TaskGroup:
        return await self._group.__aenter__()

    async def __aexit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        try:
            await self._group.__aexit__(type(error) if error else None, error, None)
        except BaseExceptionGroup as group:
            first = group.exceptions[0]
            while isinstance(first, BaseExceptionGroup):
                first = first.exceptions[0]
            raise first from None


def spread(tasks: Sequence[str], episodes: int, seed: int) -> list[EpisodeSpec]:
    """Return `episodes` specs a task, task by task, with seeds that differ between tasks and episodes.

    Raises:
        ConfigError: If there is no task to play.
    """
    if not tasks:
        raise ConfigError("No tasks to play. List them: mledojo-train tasks list")
    return [
        EpisodeSpec(task, seed * 1_000_000 + place * 10_000 + episode)
        for place, task in enumerate(tasks)
        for episode in range(episodes)
    ]
