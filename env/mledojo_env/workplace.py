"""What the five actions do: an episode's session in the sandbox, with the grader beside it."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from mledojo_env import topics
from mledojo_env.actions import Action, ActionName, MalformedAction
from mledojo_env.cached_grading import cached_grade
from mledojo_env.episode import Episode
from mledojo_env.errors import InvalidSubmission, did_you_mean
from mledojo_env.observation import StepStatus
from mledojo_env.sandbox.base import ExecutionResult, Limits, Session, Status

if TYPE_CHECKING:
    from mledojo_env.execution_cache import ExecutionCache
    from mledojo_env.grading import Grade, Grader
    from mledojo_env.task import Task

SUBMISSION = "submission.csv"


@dataclass(frozen=True)
class Outcome:
    """What an action did: everything we know, before the agent is told its part."""

    status: StepStatus
    feedback: str = ""  # unbounded
    error_class: str | None = None
    error_message: str | None = None
    execution: ExecutionResult | None = None  # of a code action
    grade: Grade | None = None
    submission_valid: bool | None = None  # None: nothing was submitted


class Workplace:
    """Carries out an episode's actions on a task. The agent's failures are outcomes, ours are exceptions."""

    def __init__(
        self,
        task: Task,
        session: Session,
        grader: Grader,
        execute_timeout_s: float,
        cache: ExecutionCache | None = None,
    ) -> None:
        self._task, self._session, self._grader = task, session, grader
        self._execute_timeout_s, self._cache = execute_timeout_s, cache

    async def act(self, action: Action | MalformedAction, episode: Episode) -> Outcome:
        """Carry out an action and return its outcome; puts nothing on the episode's record.

        Raises:
            SandboxError: If the sandbox failed, not the code.
            GradingError: If the grader failed.
        """
        if isinstance(action, MalformedAction):
            return Outcome(StepStatus.MALFORMED, error_message=action.problem)
        match action.name:
            case ActionName.REQUEST_INFO:
                return await self._request_info(action.argument.strip())
            case ActionName.VALIDATE_CODE:
                return await self._validate(action.argument, episode)
            case ActionName.EXECUTE_CODE:
                return await self._execute(action.argument, episode)
            case ActionName.GET_HISTORY:
                return _get_history(action.argument.strip(), episode)
            case ActionName.RESET:
                await asyncio.to_thread(self._session.clear)
                note = "The working directory is empty. Steps and submissions stay as they are."
                return Outcome(StepStatus.OK, note)

    async def close(self) -> None:
        """Kill what runs and drop the working directory; safe to call again."""
        await self._session.close()

    async def _request_info(self, topic: str) -> Outcome:
        if topic not in topics.TOPICS:
            hint = did_you_mean(topic, topics.TOPICS)
            message = f"unknown topic {topic[:40]!r}; expected one of {', '.join(topics.TOPICS)}.{hint}"
            return Outcome(StepStatus.FAILED, error_message=message)
        return Outcome(StepStatus.OK, await asyncio.to_thread(topics.tell, self._task, topic))

    async def _validate(self, code: str, episode: Episode) -> Outcome:
        """Run code on the sample; a submission that it writes is told of and dropped."""
        result = await self._run(code, self._task.sample_dir, self._task.limits.validate_timeout_s, episode)
        await asyncio.to_thread(self._session.remove, SUBMISSION)
        wrote = SUBMISSION in result.files
        kept = {name: size for name, size in result.files.items() if name != SUBMISSION}
        result = replace(result, files=kept)
        if not result.ok:
            return _failure(result)
        note = "wrote submission.csv (a trial, not graded)" if wrote else "wrote no submission.csv"
        return Outcome(StepStatus.OK, f"{note}\n{result.stdout}", execution=result)

    async def _execute(self, code: str, episode: Episode) -> Outcome:
        """Run code in full, and grade the submission if this very run wrote it and did not fail."""
        result = await self._run(code, self._task.public_dir, self._execute_timeout_s, episode)
        if not result.ok:
            return _failure(result)
        try:
            data = await asyncio.to_thread(self._session.read, SUBMISSION, self._max_submission_bytes())
            grade = await self._grade(data)
        except FileNotFoundError:
            problem = "the script ran but wrote no submission.csv to the working directory."
        except InvalidSubmission as error:
            problem = str(error)
        else:
            return Outcome(StepStatus.OK, result.stdout, execution=result, grade=grade, submission_valid=True)
        return Outcome(
            StepStatus.INVALID,
            result.stdout,
            error_class="InvalidSubmission",
            error_message=problem,
            execution=result,
            submission_valid=False,
        )

    async def _grade(self, data: bytes) -> Grade:
        """Grade a submission, once for equal ones where there is a cache."""
        if self._cache is None:
            return await self._grader.grade(self._task, data)
        return await cached_grade(self._cache, self._grader, self._task, data)

    async def _run(self, code: str, data: Path, timeout_s: float, episode: Episode) -> ExecutionResult:
        """Run code; an earlier submission is removed first, so that only this run's can be graded.

        Syntax is checked in the sandbox too: compiling hostile text can exhaust the process that does it.
        """
        await asyncio.to_thread(self._session.remove, SUBMISSION)
        limits = Limits(timeout_s=min(timeout_s, episode.seconds_left), memory_mb=self._task.limits.memory_mb)
        return await self._session.run(code, data, limits, seed=episode.seed)

    def _max_submission_bytes(self) -> int:
        """Return the size beyond which a file is no submission: eight times the sample's, at least 16 MB."""
        sample = self._task.public_dir / "sample_submission.csv"
        return max(16_000_000, 8 * sample.stat().st_size if sample.exists() else 0)


def _get_history(last: str, episode: Episode) -> Outcome:
    if last and not (last.isascii() and last.isdigit() and len(last) < 9):
        message = f"get_history takes a number of steps, found {last[:40]!r}."
        return Outcome(StepStatus.FAILED, error_message=message)
    return Outcome(StepStatus.OK, episode.summary(int(last) if last else None))


def _failure(result: ExecutionResult) -> Outcome:
    """Return the outcome of a run that did not end well; stderr only where there is no traceback to show."""
    raised = result.status is Status.ERROR and result.error_class
    parts = [result.stdout, "" if result.traceback else result.stderr]
    if SUBMISSION in result.files:
        parts.append("submission.csv of a failed run is not graded")
    return Outcome(
        StepStatus.FAILED,
        "\n".join(part.strip("\n") for part in parts if part.strip()),
        error_class=result.error_class if raised else str(result.status),
        error_message=(result.error_message if raised else result.message) or None,
        execution=result,
    )
