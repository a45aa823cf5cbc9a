"""Who may execute next: places, memory, and fairness between groups of episodes.

A sandbox runs what it is given. Here is decided when: one execution a core at any time; more, up to a
ceiling, only while cores are idle, because scripts wait (for a disk, a lock, a `sleep`) as well as compute.
Memory is promised before it is used. Among groups that wait, the one with the least running goes first, so
that a task with long scripts cannot keep the others out.
"""

from __future__ import annotations

import asyncio
import os
from collections import Counter, deque
from collections.abc import AsyncIterator, Hashable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import psutil

_LOOK_S = 0.1  # how long the cores are watched before one more execution is let in
_CEILING = 16  # executions a core, however idle it is
_MEMORY_SHARE = 0.7  # of what is available
_LEAST_MEMORY_MB = 256  # that an execution is taken to need
_HEADROOM = 1.5  # times the most that a task's executions were seen to use
_IDLE_CORES = 0.75  # that must be idle for one more


@dataclass
class _Waiting:
    group: Hashable
    task: Hashable
    limit_mb: float
    admitted: asyncio.Future[None]
    promised_mb: float = 0.0


@dataclass(frozen=True)
class GateSettings:
    """How much may run at once.

    `always` executions run whatever the cores do, more only on idle cores and never beyond `ceiling`.
    """

    always: int
    ceiling: int
    memory_mb: float

    @classmethod
    def for_machine(cls, max_concurrent: int | None = None, processes: int = 1) -> GateSettings:
        """Return what suits this machine, shared by `processes` that each have a gate.

        Args:
            max_concurrent: Executions at a time, exactly; None: as many as cores and memory allow.
            processes: How many processes share the machine.
        """
        cores = max(1, len(os.sched_getaffinity(0)) // processes)
        memory = psutil.virtual_memory().available / 2**20 * _MEMORY_SHARE / processes
        if max_concurrent is not None:
            return cls(max_concurrent, max_concurrent, memory)
        return cls(cores, cores * _CEILING, memory)


@dataclass
class ExecutionGate:
    """Admits executions; belongs to one event loop at a time. `waits` are seconds in the queue, in order."""

    settings: GateSettings
    seen_mb: dict[Hashable, float] = field(default_factory=dict)  # the most that executions of a task used
    waits: list[float] = field(default_factory=list)
    most_running: int = 0

    def __post_init__(self) -> None:
        self._queues: dict[Hashable, deque[_Waiting]] = {}
        self._running: Counter[Hashable] = Counter()
        self._promised_mb = 0.0
        self._watcher: asyncio.Task[None] | None = None

    @asynccontextmanager
    async def place(self, group: Hashable, task: Hashable, limit_mb: float) -> AsyncIterator[None]:
        """Hold a place in the `async with` block.

        Args:
            group: Whose turn it takes.
            task: Whose executions tell how much memory this one needs.
            limit_mb: Its memory limit: what it is taken to need before any has been seen.
        """
        loop = asyncio.get_running_loop()
        began = loop.time()
        waiting = _Waiting(group, task, limit_mb, loop.create_future())
        self._queues.setdefault(group, deque()).append(waiting)
        self._admit()
        try:
            await waiting.admitted
        except asyncio.CancelledError:
            self._withdraw(waiting)
            raise
        self.waits.append(loop.time() - began)
        try:
            yield
        finally:
            self._leave(waiting)

    def used(self, task: Hashable, memory_mb: float) -> None:
        """Tell what an execution of a task has needed at most."""
        self.seen_mb[task] = max(memory_mb, self.seen_mb.get(task, 0.0))

    def _admit(self, cores_are_idle: bool = False) -> None:
        """Let in who has a place; one more than that, if cores are idle."""
        while (following := self._next()) is not None:
            running = self._running.total()
            if running and self._promised_mb + self._need_mb(following) > self.settings.memory_mb:
                break
            if running >= self.settings.ceiling:
                break
            if running >= self.settings.always:
                if not cores_are_idle:
                    break
                cores_are_idle = False
            self._enter(following)
        if self._queues and self._running.total() < self.settings.ceiling:
            self._watch()

    def _next(self) -> _Waiting | None:
        """Return who is next: of the groups with the least running, the one that came first."""
        if not self._queues:
            return None
        return self._queues[min(self._queues, key=self._running.__getitem__)][0]

    def _need_mb(self, waiting: _Waiting) -> float:
        """Return what an execution is taken to need: its limit, or what others of its task used and more."""
        seen = self.seen_mb.get(waiting.task)
        if seen is None:
            return waiting.limit_mb
        return min(waiting.limit_mb, max(_LEAST_MEMORY_MB, _HEADROOM * seen))

    def _enter(self, waiting: _Waiting) -> None:
        self._unqueue(waiting)
        self._running[waiting.group] += 1
        waiting.promised_mb = self._need_mb(waiting)
        self._promised_mb += waiting.promised_mb
        self.most_running = max(self.most_running, self._running.total())
        waiting.admitted.set_result(None)

    def _unqueue(self, waiting: _Waiting) -> None:
        queue = self._queues.pop(waiting.group)
        queue.remove(waiting)
        if queue:
            self._queues[waiting.group] = queue  # behind the other groups

    def _withdraw(self, waiting: _Waiting) -> None:
        if waiting.admitted.done() and not waiting.admitted.cancelled():
            self._leave(waiting)
        else:
            self._unqueue(waiting)

    def _leave(self, waiting: _Waiting) -> None:
        self._running[waiting.group] -= 1
        if not self._running[waiting.group]:
            del self._running[waiting.group]
        self._promised_mb -= waiting.promised_mb
        self._admit()

    def _watch(self) -> None:
        if self.settings.ceiling > self.settings.always and (self._watcher is None or self._watcher.done()):
            self._watcher = asyncio.get_running_loop().create_task(self._admit_onto_idle_cores())

    async def _admit_onto_idle_cores(self) -> None:
        """While somebody waits, let one more in for every idle core."""
        while self._queues and self._running.total() < self.settings.ceiling:
            before = psutil.cpu_times()
            await asyncio.sleep(_LOOK_S)
            after = psutil.cpu_times()
            idle = (after.idle + after.iowait - before.idle - before.iowait) / _LOOK_S
            for _ in range(max(1, int(idle / _IDLE_CORES))):
                if idle >= _IDLE_CORES:
                    self._admit(cores_are_idle=True)
