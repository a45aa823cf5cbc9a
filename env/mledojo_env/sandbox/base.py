"""The sandbox contract: what every backend takes and gives back."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from types import TracebackType
from typing import Protocol, Self


class Status(StrEnum):
    """How an execution ended, decided by the sandbox and never by the code it ran."""

    OK = "ok"
    ERROR = "error"
    TIMEOUT = "timeout"
    OUT_OF_MEMORY = "out_of_memory"
    OUT_OF_DISK = "out_of_disk"
    TOO_MANY_PROCESSES = "too_many_processes"
    OUTPUT_TRUNCATED = "output_truncated"  # a flood: killed for printing beyond the limit
    KILLED = "killed"
    REFUSED = "refused"  # never run: not text, NUL bytes, too long


@dataclass(frozen=True)
class Limits:
    """What one execution may use."""

    timeout_s: float = 60.0  # wall clock
    cpu_s: float | None = None  # CPU seconds over all its processes; None: twice the wall clock
    memory_mb: int = 2048  # all processes together, with what they keep in /work, /tmp and /dev/shm
    processes: int = 64  # processes and threads together
    disk_mb: int = 512  # working directory
    file_mb: int = 256  # one file
    open_files: int = 512
    output_kb: int = 1024  # each of stdout and stderr
    threads: int = 1  # BLAS / OpenMP threads, and the cores that its processes share

    def __post_init__(self) -> None:
        for name, value in self.__dict__.items():
            if value is not None and not value > 0:  # NaN too
                raise ValueError(f"Limits.{name} is {value}; expected more than 0.")


@dataclass(frozen=True)
class ExecutionResult:
    """What one execution did. Text fields are decoded with replacement and already bounded.

    `stderr` is what the code itself printed there; an uncaught exception is in `traceback` instead.
    """

    status: Status
    message: str = ""  # one line that explains a status other than ok to the agent
    stdout: str = ""
    stderr: str = ""
    error_class: str | None = None  # e.g. "KeyError", of the uncaught exception
    error_message: str | None = None
    traceback: str = ""  # the agent's own frames only
    stdout_cut: int = 0  # bytes missing in the middle of stdout, where a line says so
    stderr_cut: int = 0
    exit_code: int | None = None
    wall_s: float = 0.0
    cpu_s: float = 0.0
    peak_memory_mb: float = 0.0
    bytes_written: int = 0  # by write calls of all its processes, but for stdout and stderr
    files_created: int = 0  # files and directories that the working directory has more than before
    files: Mapping[str, int] = field(default_factory=dict)  # working directory: name -> bytes

    @property
    def ok(self) -> bool:
        """Whether the code ran to its end without an error."""
        return self.status is Status.OK


class Session(Protocol):
    """One episode's place in the sandbox: a working directory that lives until `close`."""

    async def run(self, code: str, data: Path, limits: Limits, *, seed: int = 0) -> ExecutionResult:
        """Run `code` as `__main__` of a fresh interpreter and return what it did.

        The code sees `/work` (its working directory, kept between runs) and `/data` (`data`, read-only).
        Cancelling the awaiting task kills the execution within a second.

        Raises:
            SandboxError: If the sandbox failed, not the code.
        """
        ...

    def read(self, name: str, max_bytes: int) -> bytes:
        """Return a regular file of the working directory; never follows a link, never blocks.

        Raises:
            FileNotFoundError: If there is no such file.
            InvalidSubmission: If it is a link, FIFO, device or directory, or larger than `max_bytes`.
        """
        ...

    def remove(self, name: str) -> None:
        """Remove a file, link or whole directory of the working directory, if it is there."""
        ...

    def clear(self) -> None:
        """Empty the working directory."""
        ...

    async def close(self) -> None:
        """Kill what runs and drop the working directory; safe to call again."""
        ...


class Sandbox(Protocol):
    """A backend. One object serves many sessions at once; safe to use from several event loops."""

    name: str

    @property
    def fingerprint(self) -> str:
        """Names what code runs on: interpreter, packages, processor. Equal ones run equal code alike."""
        ...

    async def session(self, *data: Path) -> Session:
        """Open a session.

        Args:
            data: Folders that its runs will read, where known: lets a backend prepare them meanwhile.

        Raises:
            SandboxUnavailable: If this machine cannot isolate code; the text says what to enable.
        """
        ...

    def close(self) -> None:
        """End every session and process; safe to call again."""
        ...

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...
