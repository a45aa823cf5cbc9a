"""The rollout engine: many episodes at once, generation and execution overlapped.

Each episode is a coroutine that alternates between its policy and its environment. The policy's generator
batches whatever episodes are ready; a gate lets as many scripts run at a time as the machine has room for.
Nobody waits for the slowest: an episode that is late is cut. Collecting, GRPO and evaluation all run through
here.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass, replace

from mledojo_env import MLEDojoEnv, Observation, Task, load_task
from mledojo_env.actions import Action
from mledojo_env.errors import ConfigError, GenerationError, GradingError, SandboxError, SandboxUnavailable
from mledojo_env.execution_cache import ExecutionCache
from mledojo_env.sandbox.base import Sandbox
from mledojo_train.codec import Codec
from mledojo_train.gate import ExecutionGate, GateSettings
from mledojo_train.gated_sandbox import GatedSandbox
from mledojo_train.policy.base import Actor, Policy, Reply
from mledojo_train.prompts import PromptStyle, opening
from mledojo_train.rollout_metrics import BusyClock, cache_figures, rollout_figures
from mledojo_train.trajectory import Step, Trajectory


@dataclass(frozen=True)
class EpisodeSpec:
    """What to play: a task and the seed that scripts and scripted agents see.

    Episodes of a `group` share a deadline and take turns with other groups; empty: the task's own group.
    """

    task: str
    seed: int
    group: str = ""


@dataclass(frozen=True)
class EpisodeOptions:
    """How an episode is played; the same for collecting, training and evaluating.

    Deadlines are wall clock, everything included: of an episode, of a group since its first episode began, of
    a whole rollout since it began. Who is late is cut: truncated, with what it has so far. None: no deadline.
    """

    max_steps: int = 15
    max_seconds: float = 3600.0  # wall-clock of an episode's actions
    execute_timeout_s: float | None = None  # None: the task's own limit
    reward: str = "rank_gain"
    score_visibility: str = "kaggle"
    prompt_style: PromptStyle = "full"
    max_feedback_chars: int = 4000
    max_concurrent_episodes: int = 64
    episode_deadline_s: float | None = None
    group_deadline_s: float | None = None
    rollout_deadline_s: float | None = None

    def __post_init__(self) -> None:
        for name in ("max_steps", "max_seconds", "max_concurrent_episodes"):
            _check_above_zero(name, getattr(self, name))
        for name in ("episode_deadline_s", "group_deadline_s", "rollout_deadline_s"):
            if getattr(self, name) is not None:
                _check_above_zero(name, getattr(self, name))


def _check_above_zero(name: str, value: float) -> None:
    if not value > 0:
        raise ValueError(f"{name} is {value}; expected more than 0.")


class RolloutEngine:
    """Plays episodes of a policy in a sandbox.

    Args:
        sandbox: Where scripts run.
        codec: How actions are written.
        options: How episodes are played.
        gate: How many scripts run at a time; what suits the machine by default.
        cache: Where results of equal executions are found; None: everything is run.
        config_hash: What the trajectories say of the run's configuration.

    `figures` are those of the last run, see `rollout_figures`.
    """

    def __init__(
        self,
        sandbox: Sandbox,
        codec: Codec,
        options: EpisodeOptions,
        *,
        gate: GateSettings | None = None,
        cache: ExecutionCache | None = None,
        config_hash: str = "",
    ) -> None:
        self._sandbox, self._codec, self._options = sandbox, codec, options
        self._gate_settings, self._cache = gate or GateSettings.for_machine(), cache
        self._config_hash = config_hash
        self._seen_mb: dict[Hashable, float] = {}
        self._tasks: dict[str, Task] = {}
        self.figures: dict[str, float] = {}

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

        An episode that we broke comes back with `error` set, one that was late with the stop reason
        "deadline". `on_episode` is called as each one ends, in the order of ending. Cancelling the call ends
        every episode and its executions.

        Raises:
            SandboxUnavailable: If this machine cannot isolate code at all.
            SandboxError: If every single episode broke: going on would train on nothing.
        """
        places = asyncio.Semaphore(self._options.max_concurrent_episodes)
        rollout = _Rollout(self._options, ExecutionGate(self._gate_settings, self._seen_mb))
        cached_before = replace(self._cache.stats) if self._cache else None

        async def play(spec: EpisodeSpec) -> Trajectory:
            async with places:
                trajectory = await self._episode(policy, spec, rollout)
            if on_episode:
                on_episode(trajectory)
            return trajectory

        async with _cancel_on_error() as group:
            running = [group.create_task(play(spec)) for spec in specs]
        trajectories = [task.result() for task in running]
        self.figures = rollout_figures(trajectories, rollout.clock, rollout.gate.waits)
        if self._cache and cached_before:
            self.figures |= cache_figures(cached_before, self._cache.stats)
        broken = [trajectory for trajectory in trajectories if trajectory.broken]
        if trajectories and len(broken) == len(trajectories):
            raise SandboxError(f"All {len(broken)} episodes broke on our side; the first: {broken[0].error}")
        return trajectories

    async def _episode(self, policy: Policy, spec: EpisodeSpec, rollout: _Rollout) -> Trajectory:
        options = self._options
        task = self.task(spec.task)
        conversation = opening(task, self._codec, options.prompt_style, options.max_steps)
        trajectory = Trajectory(task.id, policy.name, spec.seed, list(conversation))
        trajectory.data_hash, trajectory.config_hash = task.data_hash, self._config_hash
        actor = policy.start(task, conversation, spec.seed)
        env = MLEDojoEnv(
            task,
            sandbox=GatedSandbox(self._sandbox, rollout.gate, rollout.clock, spec.group or task.id, task.id),
            cache=self._cache,
            max_steps=options.max_steps,
            max_seconds=options.max_seconds,
            execute_timeout_s=options.execute_timeout_s,
            reward=options.reward,
            score_visibility=options.score_visibility,
            max_feedback_chars=options.max_feedback_chars,
        )
        began = time.monotonic()
        deadline = asyncio.timeout_at(rollout.deadline(spec.group or task.id))
        try:
            async with deadline:
                await self._play(env, actor, spec.seed, trajectory, rollout.clock)
        except TimeoutError:
            if not deadline.expired():
                raise
            trajectory.truncated, trajectory.stop_reason = True, "deadline"
        except SandboxUnavailable:
            raise
        except (SandboxError, GradingError, GenerationError) as error:
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

    async def _play(
        self, env: MLEDojoEnv, actor: Actor, seed: int, trajectory: Trajectory, clock: BusyClock
    ) -> None:
        """Alternate between actor and environment until the episode ends; the record is whole at any time."""
        trajectory.reward = 0.0
        observation, _ = await env.areset(seed=seed)
        trajectory.result = env.episode_result()
        while not (trajectory.terminated or trajectory.truncated):
            with clock.during("generate"):
                reply = await actor.act(observation)
            if reply.out_of_tokens:
                trajectory.truncated, trajectory.stop_reason = True, "tokens"
                break
            began = time.monotonic()
            observation, reward, terminated, truncated, info = await env.astep(reply.action)
            step = _step(reply, observation, reward)
            step.execute_s, step.run_s = time.monotonic() - began, info["exec"].get("wall_s", 0.0)
            trajectory.steps.append(step)
            trajectory.result = env.episode_result()
            step.rank = trajectory.result["rank"]
            trajectory.reward += reward
            trajectory.terminated, trajectory.truncated = terminated, truncated
            trajectory.messages.append(reply.message)
            if terminated:
                trajectory.stop_reason = "terminated"
            elif truncated:
                trajectory.stop_reason = "steps" if observation.steps_left == 0 else "seconds"
            else:
                trajectory.messages.append(self._codec.observation(observation.to_text()))


class _Rollout:
    """What the episodes of one run share."""

    def __init__(self, options: EpisodeOptions, gate: ExecutionGate) -> None:
        self._options, self.gate, self.clock = options, gate, BusyClock()
        self._began = asyncio.get_running_loop().time()
        self._groups: dict[str, float] = {}  # when the first episode of each began

    def deadline(self, group: str) -> float | None:
        """Return when an episode that begins now is cut, by the event loop's clock."""
        now = asyncio.get_running_loop().time()
        options = self._options
        ends = [
            since + seconds
            for since, seconds in (
                (now, options.episode_deadline_s),
                (self._groups.setdefault(group, now), options.group_deadline_s),
                (self._began, options.rollout_deadline_s),
            )
            if seconds is not None
        ]
        return min(ends, default=None)


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
        policy_version=reply.policy_version,
        prompt_tokens=reply.prompt_tokens,
        completion_tokens=reply.completion_tokens,
        cost=reply.cost,
        reasoning=reply.reasoning,
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
        EpisodeSpec(task, seed * 1_000_000 + place * 10_000 + episode, task)
        for place, task in enumerate(tasks)
        for episode in range(episodes)
    ]
