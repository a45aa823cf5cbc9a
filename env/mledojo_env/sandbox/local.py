"""The embedded sandbox: a warm fork-server in namespaces of its own, no daemon, no container engine."""

from __future__ import annotations

import asyncio
import atexit
import itertools
import os
import threading
import weakref
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from functools import cached_property
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from mledojo_env.errors import SandboxError
from mledojo_env.sandbox import outcome, packages, preload, protocol, request, workdir
from mledojo_env.sandbox.base import ExecutionResult, Limits
from mledojo_env.sandbox.connection import Answer, Connection
from mledojo_env.sandbox.root import plan_root

_FILES_LISTED = 200
_ANSWER_TIMEOUT_S = 30.0
_CANCEL_WAIT_S = 1.0
_KILLED = 9  # as a wait status
# Far from the ids of people, services and containers; 256 for each launcher.
_FIRST_USER = 2**31
_USERS_EACH = 256


class LocalSandbox:
    """Runs code in namespaces on this machine, forked from an interpreter that has its imports done.

    Nothing is started before the first session. The object can be used from several threads and event loops;
    a forked copy of the process starts its own.

    Args:
        packages: Distributions that code may import, with all they depend on; those not installed are left
            out.
        preload: Modules to import before the first execution: True for the usual ones, False for none.
        max_concurrent: Executions at a time, the others wait; the machine's cores by default.
    """

    name = "local"

    def __init__(
        self,
        packages: Sequence[str] = packages.DEFAULT_PACKAGES,
        preload: bool | Sequence[str] = True,
        max_concurrent: int | None = None,
    ) -> None:
        self._packages = tuple(packages)
        self._preload = preload
        self.max_concurrent = max_concurrent or len(os.sched_getaffinity(0))
        self._is_closed = False
        self._session_numbers = itertools.count(1)
        self.start_afresh()
        _open_sandboxes.add(self)

    def start_afresh(self) -> None:
        """Forget what runs, without ending it: what a forked copy of the process must do, nobody else."""
        self._lock = threading.RLock()
        self._connection: Connection | None = None
        self._queue: deque[_Run] = deque()
        self._running: set[_Run] = set()

    async def session(self, *data: Path) -> LocalSession:
        """Open a session; the first one starts the fork-server, which takes seconds.

        Args:
            data: Folders that its runs will read; nothing has to be prepared for them here.

        Raises:
            SandboxUnavailable: If this machine cannot isolate code; the text says what to enable.
            SandboxError: If the fork-server cannot be started, or the sandbox is closed.
        """
        while True:
            connection = await asyncio.to_thread(self._connect)
            session = LocalSession(self, connection, next(self._session_numbers))
            try:
                await asyncio.to_thread(session.open)
            except SandboxError:
                # One that died a moment ago is news only now: nothing is lost, and another is started.
                if connection.is_alive or self._is_closed:
                    raise
            else:
                return session

    @cached_property
    def fingerprint(self) -> str:
        """Names what code runs on; see `Sandbox.fingerprint`."""
        return f"local {packages.fingerprint(self._packages)} {self._preload}"

    def protections(self) -> dict[str, Any]:
        """Return what isolates code here: rootless, landlock_abi, seccomp, cgroups (version, 0 for none)."""
        return dict(self._connect().protections)

    def start(self) -> None:
        """Start the fork-server, unless it runs.

        Raises:
            SandboxUnavailable: If this machine cannot isolate code; the text says what to enable.
            SandboxError: If the fork-server cannot be started, or the sandbox is closed.
        """
        self._connect()

    def _connect(self) -> Connection:
        with self._lock:
            if self._is_closed:
                raise SandboxError("The sandbox is closed.")
            if self._connection is not None and not self._connection.is_alive:
                self._connection.close()
                self._connection = None
            if self._connection is None:
                self._connection = Connection(self._config())
            return self._connection

    def _config(self) -> dict[str, Any]:
        modules: Sequence[str]
        if isinstance(self._preload, bool):
            modules = preload.DEFAULT_MODULES if self._preload else ()
        else:
            modules = self._preload
        plan = plan_root(self._packages)
        return {
            "plan": plan.to_json(),
            "modules": list(modules),
            "warm_up": self._preload is True,
            "cgroups": True,
        }

    def submit(self, run: _Run) -> None:
        """Start a run, or queue it while `max_concurrent` others are on."""
        with self._lock:
            self._queue.append(run)
        self._start_next()

    def _start_next(self) -> None:
        with self._lock:
            while self._queue and len(self._running) < self.max_concurrent:
                run = self._queue.popleft()
                self._running.add(run)
                run.start(self._on_end)

    def _on_end(self, run: _Run) -> None:
        with self._lock:
            self._running.discard(run)
        self._start_next()

    def withdraw(self, run: _Run) -> bool:
        """Take back a run that has not started; return whether it was still queued."""
        with self._lock:
            if run in self._queue:
                self._queue.remove(run)
                return True
            return False

    def close(self) -> None:
        """End every session and process; safe to call again."""
        with self._lock:
            self._is_closed = True
            connection, self._connection = self._connection, None
            queued, self._queue = list(self._queue), deque()
        for run in queued:
            run.future.set_exception(SandboxError("The sandbox is closed."))
        if connection is not None:
            connection.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


class _Withdrawn(Exception):
    """The session was closed before the execution's turn came."""


class _Run:
    """One execution on its way: its request, and the future of the launcher's answer."""

    def __init__(self, connection: Connection, header: dict[str, Any], source: bytes) -> None:
        self.future: Future[Answer] = Future()
        self.future.set_running_or_notify_cancel()
        self._connection = connection
        self._header = header
        self._source = source
        self._number: int | None = None

    def start(self, on_end: Callable[[_Run], None]) -> None:
        fd = protocol.memory_file(self._source)
        try:
            self._number, answer = self._connection.request(self._header, [fd])
        finally:
            os.close(fd)

        def finish(answered: Future[Answer]) -> None:
            error = answered.exception()
            if error is None:
                self.future.set_result(answered.result())
            else:
                self.future.set_exception(error)
            on_end(self)

        answer.add_done_callback(finish)

    def cancel(self) -> None:
        if self._number is not None:
            self._connection.cancel(self._number)


class LocalSession:
    """One working directory in a fork-server's memory; see `sandbox.base.Session`."""

    def __init__(self, sandbox: LocalSandbox, connection: Connection, number: int) -> None:
        self._sandbox = sandbox
        self._connection = connection
        self._number = number
        self._user = _FIRST_USER + (connection.pid % 2**22) * _USERS_EACH + number % _USERS_EACH
        self._directory = -1
        self._run: _Run | None = None
        self._is_closed = False

    def open(self) -> None:
        """Mount the working directory. Called by the sandbox."""
        self._change("open")

    async def run(self, code: str, data: Path, limits: Limits, *, seed: int = 0) -> ExecutionResult:
        """Run `code` as `__main__` of a fresh interpreter and return what it did; see `Session.run`."""
        refusal, source = request.encode(code)
        if refusal is not None:
            return refusal
        self._check_usable()
        folder = request.check_data(data, by_anyone=not self._connection.protections["rootless"])
        header = request.run_header(limits, seed, session=self._number, user=self._user)
        run = _Run(self._connection, {**header, "data": str(folder)}, source)
        inodes = workdir.inodes(self._directory)
        self._run = run
        self._sandbox.submit(run)
        waiter = asyncio.wrap_future(run.future)
        try:
            header, fds = await asyncio.shield(waiter)
        except _Withdrawn:
            return outcome.to_result(outcome.Evidence(_KILLED, reason="cancelled"), limits)
        except asyncio.CancelledError:
            await self._abandon(run, waiter)
            raise
        finally:
            self._run = None
        return self._conclude(header, fds, limits, inodes)

    async def _abandon(self, run: _Run, waiter: asyncio.Future[Answer]) -> None:
        """Kill an execution that nobody awaits any more and see its end."""
        if self._sandbox.withdraw(run):
            return
        run.future.add_done_callback(_discard)
        run.cancel()
        await asyncio.wait([waiter], timeout=_CANCEL_WAIT_S)

    def _conclude(
        self, header: dict[str, Any], fds: list[int], limits: Limits, inodes: int
    ) -> ExecutionResult:
        parts = [protocol.read_file(fd) for fd in fds]
        found: dict[str, Any] = {"disk_is_full": False, "files": {}, "files_created": 0}
        if not self._is_closed:
            workdir.make_accessible(self._directory)
            found["disk_is_full"] = workdir.is_full(self._directory)
            found["files"] = workdir.list_files(self._directory, _FILES_LISTED)
            found["files_created"] = max(0, workdir.inodes(self._directory) - inodes)
        return outcome.conclude({**header, **found}, parts, limits)

    def read(self, name: str, max_bytes: int) -> bytes:
        """Return a regular file of the working directory; see `Session.read`."""
        self._check_usable()
        owner = os.geteuid() if self._connection.protections["rootless"] else self._user
        return workdir.read_file(self._directory, name, max_bytes, owner)

    def remove(self, name: str) -> None:
        """Remove a file, link or whole directory of the working directory, if it is there."""
        self._check_usable()
        workdir.remove(self._directory, name)

    def clear(self) -> None:
        """Empty the working directory, in constant time: it is mounted anew."""
        self._check_usable()
        self._change("renew")

    async def close(self) -> None:
        """Kill what runs and drop the working directory; safe to call again."""
        if self._is_closed:
            return
        self._is_closed = True
        run = self._run
        if run is not None:
            if self._sandbox.withdraw(run):
                run.future.set_exception(_Withdrawn())
            else:
                run.cancel()
                await asyncio.wait([asyncio.wrap_future(run.future)], timeout=_CANCEL_WAIT_S)
        if self._directory >= 0:
            os.close(self._directory)
            self._directory = -1
        if self._connection.is_alive:
            await asyncio.to_thread(self._change, "drop")

    def _change(self, action: str) -> None:
        """Have the fork-server open, renew or drop the working directory."""
        request = {
            "op": "session",
            "action": action,
            "session": self._number,
            "user": self._user,
            "disk_mb": Limits().disk_mb,
        }
        _, answer = self._connection.request(request)
        try:
            header, fds = answer.result(_ANSWER_TIMEOUT_S)
        except SandboxError:
            if action == "drop":
                return  # gone with the fork-server
            raise
        if header["problem"]:
            protocol.close_all(fds)
            raise SandboxError(f"The working directory could not be mounted: {header['problem']}.")
        if fds:
            previous, self._directory = self._directory, fds[0]
            if previous >= 0:
                os.close(previous)

    def _check_usable(self) -> None:
        if self._is_closed:
            raise SandboxError("The session is closed.")
        if self._run is not None:
            raise RuntimeError("The session is running code; wait for it before you use it otherwise.")
        if not self._connection.is_alive:
            raise SandboxError("The fork-server died and the session's working directory with it.")


def _discard(answered: Future[Answer]) -> None:
    """Close the descriptors of an answer that nobody wants."""
    if answered.exception() is None:
        protocol.close_all(answered.result()[1])


_open_sandboxes: weakref.WeakSet[LocalSandbox] = weakref.WeakSet()
_shared_lock = threading.Lock()
_shared: list[LocalSandbox] = []


def shared_sandbox() -> LocalSandbox:
    """Return this process's own sandbox with default settings; it is closed at exit."""
    with _shared_lock:
        if not _shared:
            _shared.append(LocalSandbox())
        return _shared[0]


@atexit.register
def _close_all() -> None:
    for sandbox in list(_open_sandboxes):
        sandbox.close()


def _start_afresh() -> None:
    global _shared_lock
    _shared_lock = threading.Lock()
    for sandbox in list(_open_sandboxes):
        sandbox.start_afresh()


os.register_at_fork(after_in_child=_start_afresh)
