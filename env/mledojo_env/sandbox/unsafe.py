"""Where no namespace can be had, and `unsafe: true` was said: a process for each script, and what remains.

The minimum of the local sandbox is a mount, PID and network namespace and a root of its own for each script.
An unprivileged container, as rented machines often are, grants none of them. What remains there: limits on
time, memory, processes, files and output; a clean environment; the system call filter, and so no network;
and Landlock, where the kernel has it, which keeps the script to the public data and its working directory. It
runs as the user that started the run, sees the processes of that user, and without Landlock reads the files.

There is no /data, no /work and no /tmp of its own: these words in a script's text are replaced by the real
paths, and back in what the agent gets to see.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import sysconfig
import tempfile
import threading
from collections.abc import Sequence
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from mledojo_env.errors import SandboxError
from mledojo_env.sandbox import frames, landlock, outcome, packages, protocol, request, seccomp, workdir
from mledojo_env.sandbox.base import ExecutionResult, Limits
from mledojo_env.sandbox.launcher import bootstrap
from mledojo_env.sandbox.root import RUNTIME, plan_root
from mledojo_env.sandbox.turns import Turns

_PREFIX = "mledojo-unsafe-"
_OVERDUE_S = 10.0
_STOP_S = 1.0
_MOST_ANSWER = 2**30
# Its own processes, and where libraries look for the number of cores.
_FACTS = ("/proc/self", "/sys/fs/cgroup", "/sys/devices/system/cpu")


def describe_protections() -> str:
    """Return one line for the user: what is missing, and what is still there."""
    kept = ["limits", "a clean environment"]
    missing = ["no namespaces, no root of its own"]
    for there, name in (
        (seccomp.is_supported(), "system call filter (no network)"),
        (landlock.abi_version() > 0, "Landlock (public data and working directory only)"),
    ):
        (kept if there else missing).append(name if there else f"no {name}")
    return f"UNSAFE sandbox: {', '.join(missing)}. Still on: {', '.join(kept)}."


class UnsafeSandbox:
    """Runs each script in a process of its own, as the very user that runs this one.

    Args:
        packages: Distributions that code may import, where Landlock keeps it from others.
        max_concurrent: Executions at a time, the others wait; the machine's cores by default.
    """

    name = "unsafe"

    def __init__(
        self, packages: Sequence[str] = packages.DEFAULT_PACKAGES, max_concurrent: int | None = None
    ) -> None:
        self.turns = Turns(max_concurrent or len(os.sched_getaffinity(0)))
        self._packages = tuple(packages)
        self._sessions: set[UnsafeSession] = set()
        self._is_closed = False
        self._folder: Path | None = None
        self._lock = threading.Lock()

    @cached_property
    def fingerprint(self) -> str:
        """Names what code runs on; see `Sandbox.fingerprint`."""
        return f"unsafe {packages.fingerprint(self._packages)}"

    async def session(self, *data: Path) -> UnsafeSession:
        """Open a session.

        Args:
            data: Folders that its runs will read; nothing has to be prepared for them here.

        Raises:
            SandboxError: If the sandbox is closed.
        """
        if self._is_closed:
            raise SandboxError("The sandbox is closed.")
        with self._lock:
            if self._folder is None:
                _sweep()
                # The name tells whose it is, for the next one's sweep.
                self._folder = Path(tempfile.mkdtemp(prefix=f"{_PREFIX}{os.getpid()}-"))
                self._allowed = _allow(self._packages, self._folder / "site")
        session = UnsafeSession(self, self._folder, self._allowed)
        self._sessions.add(session)
        return session

    def forget(self, session: UnsafeSession) -> None:
        """Let go of a session that was closed."""
        self._sessions.discard(session)

    def close(self) -> None:
        """End every session and process; safe to call again."""
        self._is_closed = True
        self.turns.refuse_all(SandboxError("The sandbox is closed."))
        for session in list(self._sessions):
            session.end()
        if self._folder is not None:
            shutil.rmtree(self._folder, ignore_errors=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


class UnsafeSession:
    """One working directory, in the machine's folder for temporary files; see `sandbox.base.Session`."""

    def __init__(self, sandbox: UnsafeSandbox, folder: Path, allowed: dict[str, list[str]]) -> None:
        self._sandbox = sandbox
        self._allowed = allowed
        self._folder = Path(tempfile.mkdtemp(dir=folder))
        self._work, self._temporary = self._folder / "work", self._folder / "tmp"
        self._work.mkdir()
        self._temporary.mkdir()
        self._directory = os.open(self._work, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        self._guardian: subprocess.Popen[bytes] | None = None
        self._guardian_lock = threading.Lock()
        self._is_stopped = False  # what runs, or is about to
        self._is_running = False
        self._is_closed = False

    async def run(self, code: str, data: Path, limits: Limits, *, seed: int = 0) -> ExecutionResult:
        """Run `code` as `__main__` of a fresh interpreter and return what it did; see `Session.run`."""
        refusal, _ = request.encode(code)
        if refusal is not None:
            return refusal
        self._check_usable()
        folder = request.check_data(data, by_anyone=False)
        self._is_running = True
        self._is_stopped = False
        turn = self._sandbox.turns.take()
        try:
            await asyncio.shield(asyncio.wrap_future(turn))
            header = {**request.run_header(limits, seed), **self._places(code, folder)}
            waiting = asyncio.ensure_future(asyncio.to_thread(self._supervise, header, limits))
            try:
                return await asyncio.shield(waiting)
            except asyncio.CancelledError:
                self._stop()
                await asyncio.wait([waiting], timeout=_STOP_S)
                raise
        finally:
            self._is_running = False
            self._sandbox.turns.give_back(turn)

    def _places(self, code: str, folder: Path) -> dict[str, Any]:
        shown = {"/data": str(folder), "/work": str(self._work), "/tmp": str(self._temporary)}
        source = re.sub(r"(?<![\w./-])/(data|work|tmp)(?![\w-])", lambda found: shown[found.group()], code)
        return {
            "source": source,
            "owner": os.getpid(),
            "work": shown["/work"],
            "temporary": shown["/tmp"],
            "data": shown["/data"],
            "variables": {
                "PATH": os.path.dirname(sys.executable),
                "LD_LIBRARY_PATH": "",
                "PYTHONPATH": self._allowed["path"][-1],
            },
            **self._allowed,
            "readable": [*self._allowed["readable"], shown["/data"]],
        }

    def _supervise(self, header: dict[str, Any], limits: Limits) -> ExecutionResult:
        """Run a script under a guardian and return what that says of it."""
        config, answer = protocol.memory_file(json.dumps(header).encode()), protocol.memory_file(b"")
        program = bootstrap("guardian", str(Path(__file__).resolve().parent))
        # Not -I, which the script's own interpreters would inherit, and find nothing to import.
        command = [sys.executable, "-s", "-P", "-S", "-c", program, str(config), str(answer)]
        cancelled = outcome.to_result(outcome.Evidence(signal.SIGKILL, reason="cancelled"), limits)
        try:
            with self._guardian_lock:
                if self._is_stopped:
                    return cancelled
                guardian = self._guardian = subprocess.Popen(
                    command,
                    pass_fds=[config, answer],
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.DEVNULL,
                    stderr=subprocess.PIPE,
                    env={"PYTHONDONTWRITEBYTECODE": "1", "PYTHONHASHSEED": "0", "OMP_NUM_THREADS": "1"},
                    cwd="/",
                )
            try:
                _, words = guardian.communicate(timeout=header["timeout_s"] + _OVERDUE_S)
            except subprocess.TimeoutExpired:
                guardian.kill()
                guardian.communicate()
                return outcome.to_result(outcome.Evidence(signal.SIGKILL, reason="timeout"), limits)
            code = guardian.returncode
            if self._is_stopped and code == -signal.SIGTERM:  # before it was ready to tell, or had begun
                return cancelled
            os.lseek(answer, 0, os.SEEK_SET)
            return self._conclude(protocol.read_file(os.dup(answer)), words, code, header, limits)
        finally:
            self._guardian = None
            protocol.close_all([config, answer])
            shutil.rmtree(self._temporary, ignore_errors=True)
            with contextlib.suppress(OSError):
                self._temporary.mkdir()

    def _conclude(
        self, answer: bytes, words: bytes, code: int, header: dict[str, Any], limits: Limits
    ) -> ExecutionResult:
        found = list(frames.Reader(_MOST_ANSWER).feed(answer))
        if not found:
            told = words.decode(errors="replace").strip()[-500:]
            raise SandboxError(f"The process that watches a script died with {code}. {told}")
        message, body = found[0]
        parts, start = [], 0
        for size in message["sizes"]:
            parts.append(body[start : start + size])
            start += size
        return self._hide_paths(outcome.conclude(message, parts, limits), header)

    def _hide_paths(self, result: ExecutionResult, header: dict[str, Any]) -> ExecutionResult:
        """Put the words that the agent knows in the place of this machine's paths."""
        names = {header["data"]: "/data", header["work"]: "/work", header["temporary"]: "/tmp"}

        def hide(text: str) -> str:
            for path, name in names.items():
                text = text.replace(path, name)
            return text

        return replace(
            result,
            message=hide(result.message),
            stdout=hide(result.stdout),
            stderr=hide(result.stderr),
            error_message=result.error_message and hide(result.error_message),
            traceback=hide(result.traceback),
        )

    def read(self, name: str, max_bytes: int) -> bytes:
        """Return a regular file of the working directory; see `Session.read`."""
        self._check_usable()
        return workdir.read_file(self._directory, name, max_bytes, os.geteuid())

    def remove(self, name: str) -> None:
        """Remove a file, link or whole directory of the working directory, if it is there."""
        self._check_usable()
        workdir.remove(self._directory, name)

    def clear(self) -> None:
        """Empty the working directory."""
        self._check_usable()
        for name in os.listdir(self._directory):
            workdir.remove(self._directory, name)

    async def close(self) -> None:
        """Kill what runs and drop the working directory; safe to call again."""
        await asyncio.to_thread(self.end)

    def end(self) -> None:
        """As `close`, without an event loop."""
        if self._is_closed:
            return
        self._is_closed = True
        guardian = self._guardian
        self._stop()
        if guardian is not None:
            with contextlib.suppress(subprocess.TimeoutExpired):
                guardian.wait(_STOP_S)
        os.close(self._directory)
        shutil.rmtree(self._folder, ignore_errors=True)
        self._sandbox.forget(self)

    def _stop(self) -> None:
        with self._guardian_lock:
            self._is_stopped = True
            if self._guardian is not None:
                self._guardian.send_signal(signal.SIGTERM)

    def _check_usable(self) -> None:
        if self._is_closed:
            raise SandboxError("The session is closed.")
        if self._is_running:
            raise RuntimeError("The session is running code; wait for it before you use it otherwise.")


def _allow(names: Sequence[str], site: Path) -> dict[str, list[str]]:
    """Link what may be imported into a folder; return what a script may read, list and import from."""
    plan = plan_root(names)
    stdlib = sysconfig.get_path("stdlib")
    read = [os.path.dirname(sys.executable), f"{sys.prefix}/pyvenv.cfg", str(site), *plan.links, *_FACTS]
    site.mkdir()
    for target, source in plan.binds.items():
        if "/site-packages/" in target:
            (site / os.path.basename(target)).symlink_to(source)
        if target != RUNTIME:
            read.append(source)
    return {"readable": read, "listable": [], "path": [stdlib, f"{stdlib}/lib-dynload", str(site)]}


def _sweep() -> None:
    """Remove the folders of owners that are no more."""
    for folder in Path(tempfile.gettempdir()).glob(f"{_PREFIX}*"):
        owner = folder.name.removeprefix(_PREFIX).partition("-")[0]
        if owner.isdigit() and not os.path.exists(f"/proc/{owner}"):
            shutil.rmtree(folder, ignore_errors=True)
