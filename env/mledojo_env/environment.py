"""The Gymnasium environment: five actions against one task in a sandbox."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import gymnasium
from gymnasium.error import ResetNeeded

from mledojo_env import topics
from mledojo_env.actions import Action, ActionName, MalformedAction, read_action
from mledojo_env.episode import Episode, ScoreVisibility
from mledojo_env.errors import ConfigError, did_you_mean
from mledojo_env.observation import Observation, StepStatus, bounded
from mledojo_env.portal import shared_portal
from mledojo_env.reward import Transition, make_reward
from mledojo_env.sandbox.base import Sandbox, Session
from mledojo_env.sandbox.cached import CachedSession
from mledojo_env.spaces import action_space, observation_space, to_member
from mledojo_env.workplace import Outcome, Workplace

if TYPE_CHECKING:
    from mledojo_env.execution_cache import ExecutionCache
    from mledojo_env.grading import Grader
    from mledojo_env.task import Task


class MLEDojoEnv(gymnasium.Env[dict[str, Any], dict[str, Any]]):
    """A task to be solved by writing, running and improving Python scripts.

    `reset`, `step` and `close` are Gymnasium's and work everywhere, also inside a running event loop;
    `areset`, `astep` and `aclose` are their async twins and answer with an `Observation` instead of a member
    of `observation_space`. An environment plays one episode at a time; keep to one kind of call.

    Args:
        task: A task or its id.
        sandbox: Where code runs; None: the process's own `LocalSandbox`.
        grader: Who grades; None: the process's own `Grader`.
        cache: Where results of equal executions and gradings are found; None: everything is run.
        max_steps: Steps of an episode; every action costs one, also one that could not be read.
        max_seconds: Wall clock of an episode's executions, as the sandbox measures it: waiting for a place in
            the sandbox and grading are ours and cost the agent nothing.
        execute_timeout_s: Wall clock of one `execute_code`; None: the task's own limit.
        reward: Name of the reward, see `mledojo_env.reward`.
        score_visibility: `kaggle`, `dojo` or `none`, see `ScoreVisibility`.
        max_feedback_chars: Bound on the feedback of one observation; head and tail are kept.
        seed: Seed of the first episode, where `reset` is given none.
        render_mode: None, or "ansi": `render()` returns the last observation as text.

    Raises:
        TaskNotFound: If no task has this id.
        ConfigError: If an option is unknown or out of range, or the reward needs a leaderboard and the task
            has none.
    """

    metadata: dict[str, Any] = {"render_modes": ["ansi"], "render_fps": 1}  # noqa: RUF012 - Gymnasium's form

    def __init__(
        self,
        task: str | Task,
        *,
        sandbox: Sandbox | None = None,
        grader: Grader | None = None,
        cache: ExecutionCache | None = None,
        max_steps: int = 15,
        max_seconds: float = 3600.0,
        execute_timeout_s: float | None = None,
        reward: str = "rank_gain",
        score_visibility: str = "kaggle",
        max_feedback_chars: int = 4000,
        seed: int = 0,
        render_mode: str | None = None,
    ) -> None:
        _check_positive(
            max_steps=max_steps,
            max_seconds=max_seconds,
            execute_timeout_s=execute_timeout_s,
            max_feedback_chars=max_feedback_chars,
        )
        self.task = _load(task)
        self.reward = make_reward(reward)
        if self.reward.needs_leaderboard and self.task.leaderboard is None:
            raise ConfigError(
                f"Reward {reward!r} needs a leaderboard and task {self.task.id!r} has none. "
                "Add private/leaderboard.csv to the task, or choose reward='none'."
            )
        self.score_visibility = _visibility(score_visibility)
        self.max_steps, self.max_seconds = max_steps, max_seconds
        self.execute_timeout_s = execute_timeout_s or self.task.limits.timeout_s
        self.max_feedback_chars = max_feedback_chars
        self.render_mode = render_mode
        self.action_space = action_space()
        self.observation_space = observation_space(max_steps)
        self._sandbox, self._grader, self._cache = sandbox, grader, cache
        self._next_seed: int | None = seed
        self._workplace: Workplace | None = None
        self._episode: Episode | None = None
        self._last: Observation | None = None
        self._busy = False

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[dict[str, Any], dict[str, Any]]:
        """Start an episode; as `areset`, with the observation as a member of `observation_space`."""
        observation, info = shared_portal().run(self.areset(seed=seed, options=options))
        return to_member(observation), info

    def step(self, action: dict[str, Any]) -> tuple[dict[str, Any], float, bool, bool, dict[str, Any]]:
        """Take an action; as `astep`, with the observation as a member of `observation_space`.

        Info leaves out what was measured (wall clock, CPU, memory), so that the same actions after the same
        seed give equal answers, as Gymnasium expects.
        """
        observation, reward, terminated, truncated, info = shared_portal().run(self.astep(action))
        del info["wall_s"]
        for measured in ("wall_s", "cpu_s", "peak_memory_mb"):
            info["exec"].pop(measured, None)
        return to_member(observation), reward, terminated, truncated, info

    def render(self) -> str | None:
        """Return the last observation as text, in render mode "ansi"."""
        return self._last.to_text() if self._last and self.render_mode == "ansi" else None

    def close(self) -> None:
        """Drop the working directory; safe to call again."""
        if self._workplace is not None:
            shared_portal().run(self.aclose())

    async def areset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Observation, dict[str, Any]]:
        """Start an episode in an empty working directory; return the first observation and info.

        Args:
            seed: Seed of every script of the episode; None: the next of the environment's own.
            options: None are known.

        Raises:
            ConfigError: If there are options.
            SandboxUnavailable: If this machine cannot isolate code.
            TaskDataError: If the task's data is missing or broken.
        """
        if options:
            raise ConfigError(f"Unknown reset option {next(iter(options))!r}; this environment has none.")
        self._claim()
        try:
            seed, self._next_seed = (self._next_seed if seed is None else seed), None
            super().reset(seed=seed)
            await self._leave()
            self._workplace = await self._enter()
            self._episode = Episode(
                seed=int(self.np_random.integers(2**31)) if seed is None else seed,
                max_steps=self.max_steps,
                max_seconds=self.max_seconds,
                visibility=self.score_visibility,
                higher_is_better=self.task.metric.higher_is_better,
            )
            welcome = Outcome(StepStatus.OK, topics.welcome(self.task, self.execute_timeout_s))
            self._last = self._observe(None, welcome, self._episode)
            return self._last, {"step": 0, "seed": self._episode.seed}
        finally:
            self._busy = False

    async def astep(
        self, action: Action | MalformedAction | dict[str, Any]
    ) -> tuple[Observation, float, bool, bool, dict[str, Any]]:
        """Take an action; return observation, reward, terminated, truncated and info.

        An `execute_code` that is `final` terminates the episode, whatever became of its code. So does the
        top of the leaderboard. The agent's failures are observations. `info["private"]` holds what the agent
        must not be shown: the grade of this step's submission, and the rank the episode would end with here.

        Raises:
            ResetNeeded: If no episode is running.
            SandboxError: If the sandbox failed. As after any exception, the episode is lost.
            GradingError: If the grader failed.
        """
        episode, workplace = self._running()
        self._claim()
        began = time.monotonic()
        try:
            read = read_action(action)
            name = read.name if isinstance(read, Action) else None
            outcome = await workplace.act(read, episode)
            reward = self._record(name, outcome, episode)
            episode.terminated = _is_final(read) or self._is_at_the_top(episode)
            info = self._info(outcome, episode, time.monotonic() - began)
            return episode.history[-1], reward, episode.terminated, episode.truncated, info
        except BaseException:
            self._episode = None  # half a step is on no record: only a reset can go on from here
            raise
        finally:
            self._busy = False

    async def aclose(self) -> None:
        """Drop the working directory; safe to call again. The episode's result can still be read."""
        self._last = None
        await self._leave()

    def episode_result(self) -> dict[str, Any]:
        """Return what has become of the episode, as JSON can hold it: see `EpisodeResult`.

        Private scores and ranks are in it: for records and evaluation, never for the agent.

        Raises:
            ResetNeeded: If there is no episode.
        """
        if self._episode is None:
            raise ResetNeeded("There is no episode to report on; call reset() first.")
        return self._episode.result_dict()

    def _record(self, name: ActionName | None, outcome: Outcome, episode: Episode) -> float:
        """Put an outcome on the episode's record and return its reward."""
        counted_before, rank_before = episode.counted, episode.final_rank or 0.0
        if outcome.execution is not None:
            episode.seconds += outcome.execution.wall_s
        if outcome.grade is not None:
            episode.count(outcome.grade)
        self._last = self._observe(name, outcome, episode, steps_taken=1)
        episode.history.append(self._last)
        return self.reward(
            Transition(
                action=name,
                status=outcome.status,
                execution=outcome.execution,
                grade=outcome.grade,
                counted_before=counted_before,
                counted_after=episode.counted,
                rank_before=rank_before,
                rank_after=episode.final_rank or 0.0,
            )
        )

    def _observe(
        self, name: ActionName | None, outcome: Outcome, episode: Episode, steps_taken: int = 0
    ) -> Observation:
        """Return what the agent may see of an outcome; `steps_taken` are those not yet on record."""
        visible, execution = self.score_visibility, outcome.execution
        return Observation(
            status=outcome.status,
            action=str(name) if name else None,
            feedback=bounded(outcome.feedback, self.max_feedback_chars),
            error_class=outcome.error_class,
            error_message=bounded(outcome.error_message, 500) if outcome.error_message else None,
            traceback=bounded(execution.traceback, self.max_feedback_chars) if execution else "",
            metric=self.task.metric.name,
            higher_is_better=self.task.metric.higher_is_better,
            score=visible.score_of(outcome.grade),
            rank=visible.rank_of(outcome.grade),
            best_score=visible.score_of(episode.counted),
            best_rank=visible.rank_of(episode.counted),
            submission_valid=outcome.submission_valid,
            steps_left=episode.steps_left - steps_taken,
            seconds_left=round(episode.seconds_left, 1),
            seconds_are_short=episode.seconds_left < self.execute_timeout_s,
            files=dict(execution.files) if execution else {},
        )

    def _is_at_the_top(self, episode: Episode) -> bool:
        """Whether nobody is ahead on the board on which submissions are compared.

        On Kaggle's terms that is the public one: ending on the private one would tell the agent about it.
        """
        return episode.counted is not None and self.score_visibility.compared_rank(episode.counted) == 1.0

    def _info(self, outcome: Outcome, episode: Episode, wall_s: float) -> dict[str, Any]:
        execution = outcome.execution
        ran: dict[str, Any] = {}
        if execution is not None:
            ran = {"status": str(execution.status), "exit_code": execution.exit_code}
            ran |= {"wall_s": execution.wall_s, "cpu_s": execution.cpu_s}
            ran |= {"peak_memory_mb": execution.peak_memory_mb}
        private = {"grade": outcome.grade, "rank": episode.final_rank}
        return {"step": episode.step, "wall_s": wall_s, "exec": ran, "private": private}

    def _running(self) -> tuple[Episode, Workplace]:
        if self._episode is None or self._workplace is None:
            raise ResetNeeded("No episode is running; call reset() first.")
        if self._episode.over:
            raise ResetNeeded("The episode is over; call reset() to start another.")
        return self._episode, self._workplace

    def _claim(self) -> None:
        """Refuse a second call while one is under way."""
        if self._busy:
            raise RuntimeError(
                "This environment is in the middle of a step. Await it first; concurrent episodes need an "
                "environment each (they may share a sandbox)."
            )
        self._busy = True

    async def _enter(self) -> Workplace:
        """Open a session, with the task's data prepared, which the first time takes a while."""
        if self._sandbox is None:
            from mledojo_env.sandbox.local import shared_sandbox

            self._sandbox = shared_sandbox()
        if self._grader is None:
            from mledojo_env.grading import shared_grader

            self._grader = shared_grader()
        public, sample = await asyncio.to_thread(lambda: (self.task.public_dir, self.task.sample_dir))
        session: Session
        if self._cache is None:
            session = await self._sandbox.session(public, sample)
        else:
            sandbox, data = self._sandbox, self.task.data_hash
            session = CachedSession(
                lambda: sandbox.session(public, sample),
                self._cache,
                sandbox.fingerprint,
                {public: f"{data} public", sample: f"{data} sample"},
            )
        return Workplace(self.task, session, self._grader, self.execute_timeout_s, self._cache)

    async def _leave(self) -> None:
        workplace, self._workplace = self._workplace, None
        if workplace is not None:
            await workplace.close()


def make(task: str | Task, *, tasks_path: Sequence[Path] = (), **options: Any) -> MLEDojoEnv:
    """Return an environment for a task or its id, looked for in `tasks_path` too.

    Args:
        task: A task or its id.
        tasks_path: Task folders beside the package's own and `MLEDOJO_TASKS_PATH`.
        options: Those of `MLEDojoEnv`.

    Raises:
        TaskNotFound: If no task has this id; names the nearest.
        ConfigError: If an option does not fit.
    """
    return MLEDojoEnv(_load(task, tasks_path), **options)


def _load(task: str | Task, tasks_path: Sequence[Path] = ()) -> Task:
    if not isinstance(task, str):
        return task
    from mledojo_env.catalog import load_task

    return load_task(task, tasks_path=tasks_path)


def _is_final(action: Action | MalformedAction) -> bool:
    return isinstance(action, Action) and action.final and action.name is ActionName.EXECUTE_CODE


def _visibility(name: str) -> ScoreVisibility:
    known = list(ScoreVisibility)
    if name not in known:
        hint = did_you_mean(name, known)
        raise ConfigError(f"Unknown score_visibility {name!r}; expected one of {', '.join(known)}.{hint}")
    return ScoreVisibility(name)


def _check_positive(**options: float | None) -> None:
    for name, value in options.items():
        if value is not None and not value > 0:
            raise ConfigError(f"{name} is {value}; expected more than 0.")
