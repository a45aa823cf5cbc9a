"""Grades what an agent's code wrote, in a process that may crash without taking the trainer along."""

from __future__ import annotations

import asyncio
import atexit
import os
import threading
from concurrent.futures import Future, ThreadPoolExecutor
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from mledojo_env.errors import GradingError, InvalidSubmission, UngradableSubmission
from mledojo_env.grading_process import Worker, WorkerDied, WorkerLimits
from mledojo_env.leaderboard import Medal
from mledojo_env.prepare import cache_root
from mledojo_env.submission import max_submission_bytes

if TYPE_CHECKING:
    from mledojo_env.grading import Grade
    from mledojo_env.task import Task


class Grader:
    """Grades untrusted bytes in one warm worker process, started on first use and again if it dies.

    Safe to use from any thread and any event loop; submissions are graded one at a time. A process that was
    forked off gets a worker of its own.
    """

    def __init__(self, limits: WorkerLimits | None = None) -> None:
        self.limits = limits or WorkerLimits()
        self._lock = threading.Lock()
        self._closed = False
        self._worker: Worker | None = None
        self._begin()

    async def grade(self, task: Task, data: bytes) -> Grade:
        """Return the grade of a submission.

        Args:
            task: A task of this machine.
            data: The content of submission.csv.

        Raises:
            InvalidSubmission: If it cannot be scored, or is too large to be; one line for the agent.
            GradingError: If the grader failed; the next call starts a new worker.
            TaskDataError: If the task's data is missing or broken.
        """
        return await asyncio.wrap_future(self._submit(task, data))

    def grade_sync(self, task: Task, data: bytes) -> Grade:
        """Return the grade of a submission; `grade` without an event loop."""
        return self._submit(task, data).result()

    def close(self) -> None:
        """End the worker; safe to call again. A submission under way gets a GradingError."""
        with self._lock:
            self._closed = True
            if self._pid != os.getpid():
                return
            worker = self._worker
        if worker:
            worker.kill()
        self._thread.shutdown(wait=True, cancel_futures=True)
        if self._worker:
            self._worker.close()
            self._worker = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _begin(self) -> None:
        """Have no worker yet. A single thread starts and asks them all: they die with the thread that did."""
        self._pid = os.getpid()
        self._worker = None
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="grader")

    def _submit(self, task: Task, data: bytes) -> Future[Grade]:
        if self._pid != os.getpid():  # forked: neither the thread nor, perhaps, the lock came along
            self._lock = threading.Lock()
            self._begin()
        with self._lock:
            if self._closed:
                raise GradingError("This grader is closed.")
            return self._thread.submit(self._grade, task, bytes(data))

    def _grade(self, task: Task, data: bytes) -> Grade:
        from mledojo_env.grading import Grade

        sample = task.public_dir / "sample_submission.csv"
        limit = max_submission_bytes(sample.stat().st_size if sample.exists() else 0)
        if len(data) > limit:
            raise InvalidSubmission(
                f"submission.csv has {len(data)} bytes; at most {limit} are read for this task."
            )
        try:
            reply = self._ask_twice(task, data)
        except WorkerDied as death:
            if self._closed:
                raise GradingError("The grader was closed while it graded.") from death
            if death.overran_cpu:
                raise UngradableSubmission(f"Grading the submission took too long: {death}.") from death
            if death.crashed:
                raise UngradableSubmission(
                    f"The submission cannot be graded: the grader, {death}."
                ) from death
            raise GradingError(f"The grader failed on {task.id}: {death}. It will be restarted.") from death
        if "invalid" in reply:
            raise InvalidSubmission(reply["invalid"])
        if "failed" in reply:
            raise GradingError(f"Grading {task.id} failed: {reply['failed']}")
        fields: dict[str, Any] = reply["grade"]
        medal = fields["medal"] and Medal(fields["medal"])
        return Grade(**{**fields, "medal": medal})

    def _ask_twice(self, task: Task, data: bytes) -> dict[str, Any]:
        """Grade; after a crash once more in a new worker: if that crashes too, it is the submission."""
        try:
            return self._ask(task, data)
        except WorkerDied as death:
            if self._closed or not death.crashed:
                raise
            return self._ask(task, data)

    def _ask(self, task: Task, data: bytes) -> dict[str, Any]:
        worker = self._ready_worker()
        failure = self._load(worker, task)
        if failure:
            return failure
        reply = worker.ask({"op": "grade", "key": _key(task)}, data)
        if reply.get("spent"):
            worker.kill()
        return reply

    def _load(self, worker: Worker, task: Task) -> dict[str, Any] | None:
        """Have a worker read a task; return its reply if it cannot."""
        key = _key(task)
        if key in worker.loaded:
            return None
        request = {
            "op": "load",
            "key": key,
            "folder": str(task.folder),
            "variant": task.variant,
            "cache": str(cache_root()),
        }
        try:
            reply = worker.ask(request)
        except WorkerDied as death:  # before it saw the submission
            raise WorkerDied(f"reading the task, {death}") from death
        if "failed" in reply:
            return reply
        worker.loaded = (worker.loaded | {key}) - set(reply["dropped"])
        return None

    def _ready_worker(self) -> Worker:
        if self._worker and self._worker.is_alive():
            return self._worker
        if self._worker:
            self._worker.close()
        worker = Worker(self.limits)
        with self._lock:
            self._worker = worker
            if self._closed:  # meanwhile, by another thread
                worker.kill()
        return worker


def _key(task: Task) -> str:
    """Return what tells a task with its data from every other."""
    return f"{task.folder}|{task.data_hash}|{cache_root()}"


_shared: Grader | None = None
_shared_lock = threading.Lock()


def shared_grader() -> Grader:
    """Return the process-wide grader, closed when the process ends."""
    global _shared
    with _shared_lock:
        if _shared is None or _shared._closed:
            _shared = Grader()
            atexit.register(_shared.close)
        return _shared
