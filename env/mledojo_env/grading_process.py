"""The grader's worker process as its owner sees it: start it, exchange messages, learn why it died."""

from __future__ import annotations

import json
import os
import signal
import struct
import subprocess
import sys
import tempfile
import threading
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO, Any

from mledojo_env.errors import GradingError

_PACKAGE = Path(__file__).parent
_LENGTH = struct.Struct("!Q")


@dataclass(frozen=True)
class WorkerLimits:
    """What grading one submission may use."""

    memory_mb: int = 4096  # address space of the worker, libraries and answers included
    cpu_s: float = 60.0  # beyond it, the submission is to blame
    wall_s: float = 300.0  # beyond it, the machine is

    def __post_init__(self) -> None:
        for name, value in asdict(self).items():
            if value <= 0:
                raise ValueError(f"WorkerLimits.{name} is {value}; expected more than 0.")


_CRASHES = (signal.SIGSEGV, signal.SIGBUS, signal.SIGABRT, signal.SIGILL, signal.SIGFPE)


class WorkerDied(Exception):
    """The worker went away instead of answering.

    `overran_cpu` if it took too long for its limit; `crashed` if by a fault of its own, such as a library
    that does not survive running out of memory.
    """

    def __init__(self, reason: str, *, overran_cpu: bool = False, crashed: bool = False) -> None:
        super().__init__(reason)
        self.overran_cpu, self.crashed = overran_cpu, crashed


def send(stream: IO[bytes], *frames: bytes) -> None:
    """Write frames, each after its length in eight bytes."""
    for frame in frames:
        stream.write(_LENGTH.pack(len(frame)))
        stream.write(frame)
    stream.flush()


def receive(stream: IO[bytes]) -> bytes:
    """Read one frame.

    Raises:
        EOFError: If the other side is gone.
    """
    (length,) = _LENGTH.unpack(_read(stream, _LENGTH.size))
    return _read(stream, length)


def _read(stream: IO[bytes], size: int) -> bytes:
    data = stream.read(size)
    if len(data) < size:
        raise EOFError
    return data


class Worker:
    """One worker process. Not thread-safe, but `kill` may come from any thread.

    The kernel ends it with the thread that started it (PR_SET_PDEATHSIG), so that thread must stay.
    """

    def __init__(self, limits: WorkerLimits) -> None:
        self.limits = limits
        self.loaded: set[str] = set()  # keys of the tasks it holds; the owner's to keep
        self._stderr = tempfile.TemporaryFile()  # noqa: SIM115 (closed by `close`)
        options = {
            "owner": os.getpid(),
            "package": str(_PACKAGE),
            # -I leaves out PYTHONPATH and the working directory: name what may be imported besides the
            # interpreter's own folders, which keep their precedence.
            "path": [os.path.abspath(entry) for entry in sys.path if entry and os.path.exists(entry)],
            **asdict(limits),
        }
        quiet = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
        try:
            self._process = subprocess.Popen(
                [sys.executable, "-I", str(_PACKAGE / "grading_worker.py"), json.dumps(options)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=self._stderr,
                cwd="/",
                env={"PATH": os.defpath, "LANG": "C.UTF-8", **quiet},
                start_new_session=True,  # a Ctrl-C is for the owner, who ends the worker
            )
        except OSError as error:
            self._stderr.close()
            raise GradingError(f"Cannot start the grader ({sys.executable}): {error}.") from error

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._process.pid

    def is_alive(self) -> bool:
        """Whether the process still runs."""
        return self._process.poll() is None

    def ask(self, request: dict[str, Any], data: bytes = b"") -> dict[str, Any]:
        """Send a request and return the reply.

        Raises:
            WorkerDied: If it died or took longer than the wall-clock limit; it is gone then.
        """
        assert self._process.stdin and self._process.stdout
        overran = threading.Event()

        def end() -> None:
            overran.set()
            self._process.kill()

        alarm = threading.Timer(self.limits.wall_s, end)
        alarm.daemon = True
        alarm.start()
        try:
            send(self._process.stdin, json.dumps(request).encode(), data)
            reply: dict[str, Any] = json.loads(receive(self._process.stdout))
            return reply
        except (OSError, EOFError, ValueError) as error:
            self._see_it_end()
            if overran.is_set():
                raise WorkerDied(f"it gave no answer within {self.limits.wall_s:g} s") from error
            raise self._death() from error
        finally:
            alarm.cancel()

    def kill(self) -> None:
        """End the process and wait for its end; safe to call again."""
        self._process.kill()
        self._process.wait()

    def close(self) -> None:
        """End the process and close its pipes."""
        self.kill()
        for stream in (self._process.stdin, self._process.stdout, self._stderr):
            try:
                if stream:
                    stream.close()
            except OSError:  # what was buffered for a process that is gone
                continue

    def _see_it_end(self) -> None:
        """Wait for a process that hung up: killed at once, it could not tell what it died of."""
        try:
            self._process.wait(timeout=2)
        except subprocess.TimeoutExpired:
            self.kill()

    def _death(self) -> WorkerDied:
        code = self._process.returncode
        if code == -signal.SIGXCPU:
            return WorkerDied(f"it used {self.limits.cpu_s:g} s of CPU", overran_cpu=True)
        how = f"signal {signal.Signals(-code).name}" if code < 0 else f"exit code {code}"
        size = self._stderr.seek(0, os.SEEK_END)
        self._stderr.seek(max(size - 500, 0))
        tail = " ".join(self._stderr.read().decode(errors="replace").split())
        return WorkerDied(f"it died ({how}){': ' + tail if tail else ''}", crashed=-code in _CRASHES)
