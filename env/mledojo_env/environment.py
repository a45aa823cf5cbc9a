"""The Gymnasium environment: five actions against one task in a sandbox."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import gymnasium
from gymnasium.error import ResetNeeded

from mledojo_env import topics
from mledojo_env.actions import Action, ActionName, MalformedAction, read_action
from mledojo_env.episode import Episode, ScoreVisibility
from mledojo_env.errors import ConfigError, InvalidSubmission, did_you_mean
from mledojo_env.observation import Observation, StepStatus, bounded
from mledojo_env.portal import shared_portal
from mledojo_env.reward import Transition, make_reward
from mledojo_env.sandbox.base import ExecutionResult, Limits, Sandbox, Session, Status
from mledojo_env.spaces import action_space, observation_space, to_member

if TYPE_CHECKING:
    from mledojo_env.grading import Grade, Grader
    from mledojo_env.task import Task

SUBMISSION = "submission.csv"


@dataclass(frozen=True)
class _Outcome:
    """What an action did, before it is put on record."""

    status: StepStatus
    feedback: str = ""
    error_class: str | None = None
    error_message: str | None = None
    execution: ExecutionResult | None = None
    grade: Grade | None = None
    submission_valid: bool | None = None


class MLEDojoEnv(gymnasium.Env[dict[str, Any], dict[str, Any]]):
    """A task to be solved by writing, running and improving Python scripts.

    `reset`, `step` and `close` are Gymnasium's and work everywhere, also inside a running event loop;
    `areset`, `astep` and `aclose` are their async twins and answer with an `Observation` instead of a member
    of `observation_space`. One environment plays one episode at a time; use one kind of call throughout.

    Args:
        task: A task or its id.
        sandbox: Where code runs; None: the process's own `LocalSandbox`.
        grader: Who grades; None: the process's own `Grader`.
        max_steps: Steps of an episode; every action costs one, also one that could not be read.
        max_seconds: Wall clock of an episode's executions, as the sandbox measures it: waiting for a place in
            the sandbox and grading are ours and cost nothing.
        execute_timeout_s: Wall clock of one `execute_code`; None: the task's own limit.
        reward: Name of the reward, see `mledojo_env.reward`.
        score_visibility: `kaggle`, `dojo` or `none`, see `ScoreVisibility`.
        max_feedback_chars: Bound on the feedback of one observation; head and tail are kept.
        seed: Seed of the first episode, if `reset` is given none.
        render_mode: None, or "ansi": `render()` returns the last observation as text.

    Raises:
        TaskNotFound: If no task has this id.
        ConfigError: If an option is unknown or out of range, or the reward needs a leaderboard and the task
            has none.
    """

    metadata: ClassVar[dict[str, Any]] = {"render_modes": ["ansi"]}

    def __init__(
        self,
        task: str | Task,
        *,
        sandbox: Sandbox | None = None,
        grader: Grader | None = None,
        max_steps: int = 15,
        max_seconds: float = 3600.0,
        execute_timeout_s: float | None = None,
        reward: str = "rank_gain",
        score_visibility: str = "kaggle",
        max_feedback_chars: int = 4000,
        seed: int = 0,
        render_mode: str | None = None,
    ) -> None:
        if isinstance(task, str):
            from mledojo_env.catalog import load_task

            task = load_task(task)
        _check_positive(
            max_steps=max_steps,
            max_seconds=max_seconds,
            execute_timeout_s=execute_timeout_s,
            max_feedback_chars=max_feedback_chars,
        )
        self.task = task
        self.reward = make_reward(reward)
        if self.reward.needs_leaderboard and task.leaderboard is None:
            raise ConfigError(
                f"Reward {reward!r} needs a leaderboard and task {task.id!r} has none. "
                "Add private/leaderboard.csv to the task, or choose reward='none'."
            )
        self.score_visibility = _visibility(score_visibility)
        self.max_steps, self.max_seconds = max_steps, max_seconds
        self.execute_timeout_s = execute_timeout_s or task.limits.timeout_s
        self.max_feedback_chars = max_feedback_chars
        self.render_mode = render_mode
        self.action_space = action_space()
        self.observation_space = observation_space(max_steps)
        self._sandbox, self._grader = sandbox, grader
        self._first_seed: int | None = seed
        self._session: Session | None = None
        self._episode: Episode | None = None
        self._last: Observation | None = None
        self._busy = False

    # Gymnasium's calls

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[dict[str, Any], dict[str, Any]]:
        """Start an episode; return the first observation and info."""
        observation, info = shared_portal().run(self.areset(seed=seed, options=options))
        return to_member(observation), info

    def step(self, action: dict[str, Any]) -> tuple[dict[str, Any], float, bool, bool, dict[str, Any]]:
        """Take an action; as `astep`, but info leaves out what was measured (wall clock, CPU, memory).

        So the same actions after the same seed give equal answers.
        """
        observation, reward, terminated, truncated, info = shared_portal().run(self.astep(action))
        del info["wall_s"]
        for measured in ("wall_s", "cpu_s", "peak_memory_mb"):
            info["exec"].pop(measured, None)
        return to_member(observation), reward, terminated, truncated, info

    def render(self) -> str | None:  # type: ignore[override]
        """Return the last observation as text, in render mode "ansi"."""
        return self._last.to_text() if self._last and self.render_mode == "ansi" else None

    def close(self) -> None:
        """End the episode and drop its working directory; safe to call again."""
        if self._session is not None:
            shared_portal().run(self.aclose())

    # their async twins

    async def areset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Observation, dict[str, Any]]:
        """Start an episode in an empty working directory; return the first observation and info.

        Args:
            seed: Seed of every script of the episode; None: the next of the environment's own.
            options: None are known.

        Raises:
            SandboxUnavailable: If this machine cannot isolate code.
            TaskDataError: If the task's data is missing or broken.
        """
        if options:
            raise ConfigError(f"Unknown reset option {next(iter(options))!r}; this environment has none.")
        self._claim()
        try:
            if seed is None and self._first_seed is not None:
                seed = self._first_seed
            self._first_seed = None
            super().reset(seed=seed)
            await self._end_session()
            if self._sandbox is None:
                from mledojo_env.sandbox.local import shared_sandbox

                self._sandbox = shared_sandbox()
            self._session = await self._sandbox.session()
            # The first use of a task prepares its data, which takes a while.
            await asyncio.to_thread(lambda: (self.task.public_dir, self.task.sample_dir))
            self._episode = Episode(
                seed=seed if seed is not None else int(self.np_random.integers(2**31)),
                max_steps=self.max_steps,
                max_seconds=self.max_seconds,
                visibility=self.score_visibility,
                higher_is_better=self.task.metric.higher_is_better,
            )
            welcome = _Outcome(StepStatus.OK, topics.welcome(self.task, self.execute_timeout_s))
            self._last = self._observe(None, welcome, self._episode)
            return self._last, {"step": 0, "seed": self._episode.seed}
        finally:
            self._busy = False

    async def astep(
        self, action: Action | MalformedAction | dict[str, Any]
    ) -> tuple[Observation, float, bool, bool, dict[str, Any]]:
        """Take an action; return observation, reward, terminated, truncated and info.

        The agent's failures are observations. `info["private"]` holds what the agent must not be shown: the
        grade of this step's submission, and the episode's `result` once it is over.

        Raises:
            ResetNeeded: If no episode is running.
            SandboxError: If the sandbox failed. As after any exception, the episode is lost.
            GradingError: If the grader failed.
        """
        episode = self._running()
        self._claim()
        began = time.monotonic()
        try:
            parsed = read_action(action)
            counted_before = episode.counted
            outcome = await self._do(parsed, episode)
            name = parsed.name if isinstance(parsed, Action) else None
            if outcome.execution is not None:
                episode.seconds += outcome.execution.wall_s
            if outcome.grade is not None:
                episode.count(outcome.grade)
            reward = self.reward(
                Transition(
                    action=name,
                    status=outcome.status,
                    execution=outcome.execution,
                    grade=outcome.grade,
                    counted_before=counted_before,
                    counted_after=episode.counted,
                    counts_whole_test=self.score_visibility is ScoreVisibility.DOJO,
                )
            )
            self._last = self._observe(name, outcome, episode)
            episode.history.append(self._last)
            episode.terminated = self._is_final(parsed) or self._is_at_the_top(episode)
            info = self._info(episode, outcome, time.monotonic() - began)
            return self._last, reward, episode.terminated, episode.truncated, info
        except BaseException:
            self._episode = None  # half a step is on no record: only a reset can go on from here
            raise
        finally:
            self._busy = False

    async def aclose(self) -> None:
        """End the episode and drop its working directory; safe to call again."""
        self._last = None
        await self._end_session()

    def episode_result(self) -> dict[str, Any]:
        """Return what has become of the episode, as JSON can hold it: see `EpisodeResult`.

        Private scores and ranks are in it: for records and evaluation, never for the agent.

        Raises:
            ResetNeeded: If there is no episode.
        """
        if self._episode is None:
            raise ResetNeeded("There is no episode to report on; call reset() first.")
        return self._episode.result_dict()

    # the five actions

    async def _do(self, action: Action | MalformedAction, episode: Episode) -> _Outcome:
        if isinstance(action, MalformedAction):
            return _Outcome(StepStatus.MALFORMED, error_message=action.problem)
        match action.name:
            case ActionName.REQUEST_INFO:
                return await self._request_info(action.argument.strip())
            case ActionName.VALIDATE_CODE:
                return await self._validate(action.argument, episode)
            case ActionName.EXECUTE_CODE:
                return await self._execute(action.argument, episode)
            case ActionName.GET_HISTORY:
                return self._get_history(action.argument.strip(), episode)
            case ActionName.RESET:
                await asyncio.to_thread(self._open_session().clear)
                note = "The working directory is empty. Steps and submissions stay as they are."
                return _Outcome(StepStatus.OK, note)

    async def _request_info(self, topic: str) -> _Outcome:
        if topic not in topics.TOPICS:
            hint = did_you_mean(topic, topics.TOPICS)
            message = f"unknown topic {topic[:40]!r}; expected one of {', '.join(topics.TOPICS)}.{hint}"
            return _Outcome(StepStatus.FAILED, error_message=message)
        return _Outcome(StepStatus.OK, await asyncio.to_thread(topics.tell, self.task, topic))

    async def _validate(self, code: str, episode: Episode) -> _Outcome:
        """Run code on the sample; the submission it may have written is looked for, then dropped."""
        result = await self._run(code, self.task.sample_dir, self.task.limits.validate_timeout_s, episode)
        await asyncio.to_thread(self._open_session().remove, SUBMISSION)
        if not result.ok:
            return _failure(result)
        wrote = SUBMISSION in result.files
        note = "wrote submission.csv (a trial, not graded)" if wrote else "wrote no submission.csv"
        return _Outcome(StepStatus.OK, f"{note}\n{result.stdout}", execution=result)

    async def _execute(self, code: str, episode: Episode) -> _Outcome:
        """Run code in full and grade the submission if this very run wrote it and did not fail."""
        result = await self._run(code, self.task.public_dir, self.execute_timeout_s, episode)
        if not result.ok:
            return _failure(result)
        try:
            read = self._open_session().read
            grade = await self._grade(await asyncio.to_thread(read, SUBMISSION, self._max_submission_bytes()))
        except FileNotFoundError:
            problem = "the script ran but wrote no submission.csv to the working directory."
        except InvalidSubmission as error:
            problem = str(error)
        else:
            done = _Outcome(StepStatus.OK, result.stdout, execution=result)
            return replace(done, grade=grade, submission_valid=True)
        failed = _Outcome(StepStatus.INVALID, result.stdout, "InvalidSubmission", problem, execution=result)
        return replace(failed, submission_valid=False)

    def _get_history(self, last: str, episode: Episode) -> _Outcome:
        if last and not (last.isascii() and last.isdigit() and len(last) < 9):
            message = f"get_history takes a number of steps, found {last[:40]!r}."
            return _Outcome(StepStatus.FAILED, error_message=message)
        return _Outcome(StepStatus.OK, episode.summary(int(last) if last else None))

    # parts of a step

    async def _run(self, code: str, data: Path, timeout_s: float, episode: Episode) -> ExecutionResult:
        """Run code; a submission of an earlier run is removed first, so that none is ever graded twice."""
        session = self._open_session()
        await asyncio.to_thread(session.remove, SUBMISSION)
        limits = Limits(timeout_s=min(timeout_s, episode.seconds_left), memory_mb=self.task.limits.memory_mb)
        return await session.run(code, data, limits, seed=episode.seed)

    async def _grade(self, data: bytes) -> Grade:
        if self._grader is None:
            from mledojo_env.grading import shared_grader

            self._grader = shared_grader()
        return await self._grader.grade(self.task, data)

    def _max_submission_bytes(self) -> int:
        """Return the size beyond which a file is no submission: eight times the sample's, at least 16 MB."""
        sample = self.task.public_dir / "sample_submission.csv"
        return max(16_000_000, 8 * sample.stat().st_size if sample.exists() else 0)

    def _observe(self, name: ActionName | None, outcome: _Outcome, episode: Episode) -> Observation:
        """Show the agent what it may see of an outcome; `episode` has not yet recorded this step."""
        visible, execution = self.score_visibility, outcome.execution
        is_step = outcome.status is StepStatus.MALFORMED or name is not None
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
            steps_left=episode.steps_left - is_step,
            seconds_left=round(episode.seconds_left, 1),
            seconds_are_short=episode.seconds_left < self.execute_timeout_s,
            files=dict(execution.files) if execution else {},
        )

    def _is_final(self, action: Action | MalformedAction) -> bool:
        return isinstance(action, Action) and action.final and action.name is ActionName.EXECUTE_CODE

    def _is_at_the_top(self, episode: Episode) -> bool:
        """Whether nobody is ahead on the board on which submissions are compared.

        On Kaggle's terms that is the public one: ending on the private one would tell the agent about it.
        """
        return episode.counted is not None and self.score_visibility.compared_rank(episode.counted) == 1.0

    def _info(self, episode: Episode, outcome: _Outcome, wall_s: float) -> dict[str, Any]:
        execution = outcome.execution
        private: dict[str, Any] = {"grade": outcome.grade}
        if episode.over:
            private["result"] = episode.result_dict()
        return {
            "step": episode.step,
            "wall_s": wall_s,
            "exec": {}
            if execution is None
            else {
                "status": str(execution.status),
                "exit_code": execution.exit_code,
                "wall_s": execution.wall_s,
                "cpu_s": execution.cpu_s,
                "peak_memory_mb": execution.peak_memory_mb,
            },
            "private": private,
        }

    # the episode's hold on the environment

    def _running(self) -> Episode:
        if self._episode is None:
            raise ResetNeeded("No episode is running; call reset() first.")
        if self._episode.over:
            raise ResetNeeded("The episode is over; call reset() to start another.")
        return self._episode

    def _claim(self) -> None:
        if self._busy:
            raise RuntimeError(
                "This environment is in the middle of a step. Await it first; concurrent episodes need an "
                "environment each (they may share a sandbox)."
            )
        self._busy = True

    def _open_session(self) -> Session:
        if self._session is None:
            raise ResetNeeded("The environment was closed; call reset() first.")
        return self._session

    async def _end_session(self) -> None:
        session, self._session = self._session, None
        if session is not None:
            await session.close()


def make(task: str | Task, *, tasks_path: Sequence[Path] = (), **options: Any) -> MLEDojoEnv:
    """Return an environment for a task or its id; `options` are those of `MLEDojoEnv`.

    Raises:
        TaskNotFound: If no task has this id; names the nearest.
        ConfigError: If an option does not fit.
    """
    if isinstance(task, str):
        from mledojo_env.catalog import load_task

        task = load_task(task, tasks_path=tasks_path)
    return MLEDojoEnv(task, **options)


def _failure(result: ExecutionResult) -> _Outcome:
    """Tell of a run that did not end well; output of stderr only where there is no traceback to show."""
    feedback = result.stdout
    if not result.traceback and result.stderr.strip():
        feedback = f"{feedback}\n{result.stderr}".strip()
    if SUBMISSION in result.files:
        feedback = f"{feedback}\nsubmission.csv of a failed run is not graded".strip()
    message = result.error_message if result.status is Status.ERROR else result.message
    return _Outcome(
        StepStatus.FAILED,
        feedback,
        result.error_class if result.status is Status.ERROR else str(result.status),
        message or result.message or None,
        execution=result,
    )


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
