"""From evidence to a result: which status an execution gets, and how it is told to the agent.

The evidence is the kernel's and the launcher's. What the script itself reported (its uncaught exception) is
shown to the agent and may refine the *name* of a failure; it never turns a failure into a success or into a
failure of ours.
"""

from __future__ import annotations

import errno
import os
import signal
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from mledojo_env.errors import SandboxError
from mledojo_env.sandbox.base import ExecutionResult, Limits, Status

_DISK_ERRORS = {errno.ENOSPC, errno.EDQUOT}
# What steers a terminal, but for tabs and ends of lines: whoever shows a result shows what was printed.
_CONTROLS = {
    code: f"\\x{code:02x}" for code in (*range(0x20), *range(0x7F, 0xA0)) if chr(code) not in "\t\n\r"
}


@dataclass(frozen=True)
class Report:
    """What a script's runner wrote about its uncaught exception. Written by the untrusted side."""

    error_class: str | None = None
    message: str | None = None
    number: int | None = None  # errno of an OSError
    traceback: str = ""

    @classmethod
    def parse(cls, data: bytes) -> Report:
        """Read a report; anything malformed is an empty one."""
        fields = data.decode(errors="replace").split("\0", 3)
        if len(fields) != 4:
            return cls()
        error_class, message, number, traceback = map(printable, fields)
        return cls(
            error_class[:200] or None,
            message[:8_000],
            int(number) if number.isascii() and number.isdigit() and len(number) < 6 else None,
            traceback[:32_000],
        )


@dataclass(frozen=True)
class Evidence:
    """What is known about an execution once all its processes are dead."""

    wait_status: int
    reason: str = ""  # why the launcher killed it: timeout, cpu, memory, output, cancelled or nothing
    wall_s: float = 0.0
    cpu_s: float = 0.0
    peak_mb: float = 0.0
    out_of_memory_kills: int = 0
    processes_denied: int = 0
    disk_is_full: bool = False
    bytes_written: int = 0
    files_created: int = 0
    report: Report = field(default_factory=Report)


def judge(evidence: Evidence, limits: Limits) -> tuple[Status, str]:
    """Return the status of an execution and the line that explains it to the agent."""
    if evidence.reason:
        return _killed_by_us(evidence, limits)
    code = os.waitstatus_to_exitcode(evidence.wait_status)
    if code == 0:
        return Status.OK, ""
    report = evidence.report
    if evidence.out_of_memory_kills:
        return Status.OUT_OF_MEMORY, f"Out of memory: a process was killed. {_memory_limit(limits)}"
    if code > 0 and report.error_class in ("MemoryError", "_ArrayMemoryError"):
        return Status.OUT_OF_MEMORY, f"Out of memory: an allocation was refused. {_memory_limit(limits)}"
    if code == -signal.SIGKILL and limits.cpu_s is not None and evidence.cpu_s >= limits.cpu_s:
        return _cpu_timeout(evidence, limits)
    if evidence.processes_denied or _is_process_shortage(report):
        return (
            Status.TOO_MANY_PROCESSES,
            f"The limit of {limits.processes} processes and threads was reached.",
        )
    if report.number == errno.EFBIG:
        return Status.OUT_OF_DISK, f"A file grew beyond the limit of {limits.file_mb} MB."
    if evidence.disk_is_full or report.number in _DISK_ERRORS:
        return (
            Status.OUT_OF_DISK,
            f"No space left: the working directory is limited to {limits.disk_mb} MB, /tmp to 256 MB.",
        )
    if code < 0:
        return Status.KILLED, f"The process was killed by {_signal_name(-code)}."
    if report.error_class is None:
        return Status.ERROR, f"The script exited with code {code}."
    first_line = (report.message or "").strip().partition("\n")[0]
    return Status.ERROR, f"{report.error_class}: {first_line}"[:300]


def _killed_by_us(evidence: Evidence, limits: Limits) -> tuple[Status, str]:
    if evidence.reason == "timeout":
        return Status.TIMEOUT, f"Stopped at the time limit of {limits.timeout_s:g} s."
    if evidence.reason == "cpu":
        return _cpu_timeout(evidence, limits)
    if evidence.reason == "memory":
        return Status.OUT_OF_MEMORY, f"Out of memory: stopped. {_memory_limit(limits)}"
    if evidence.reason == "output":
        return (
            Status.OUTPUT_TRUNCATED,
            f"Stopped for printing more than {limits.output_kb} kB; the middle is cut out.",
        )
    return Status.KILLED, "Stopped on request before it ended."


def _memory_limit(limits: Limits) -> str:
    return f"The limit is {limits.memory_mb} MB for all processes and files of the sandbox together."


def _cpu_timeout(evidence: Evidence, limits: Limits) -> tuple[Status, str]:
    return (
        Status.TIMEOUT,
        f"Stopped after {evidence.cpu_s:.1f} s of CPU time; the limit is {cpu_limit(limits):g} s.",
    )


def _is_process_shortage(report: Report) -> bool:
    if report.error_class == "BlockingIOError" and report.number == errno.EAGAIN:
        return True
    return report.error_class == "RuntimeError" and "can't start new thread" in (report.message or "")


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"


def cpu_limit(limits: Limits) -> float:
    """Return the CPU seconds an execution may use over all its processes."""
    return 2 * limits.timeout_s if limits.cpu_s is None else limits.cpu_s


def printable(text: str) -> str:
    """Return a text with control characters and lone surrogates written as escapes."""
    return text.translate(_CONTROLS).encode(errors="backslashreplace").decode()


def join_ends(head: bytes, tail: bytes, dropped: int) -> str:
    """Return captured output as printable text, with a line that says how much is missing in the middle."""
    if not dropped:
        return printable((head + tail).decode(errors="replace"))
    gap = f"\n[... {dropped} bytes cut ...]\n"
    return printable(head.decode(errors="replace") + gap + tail.decode(errors="replace"))


def conclude(message: Mapping[str, Any], parts: Sequence[bytes], limits: Limits) -> ExecutionResult:
    """Return the result that a fork-server's last message about an execution amounts to.

    Args:
        message: What the kernel and the fork-server say.
        parts: Head and tail of stdout, of stderr, and of what the script's runner reported.
        limits: What the execution was allowed.

    Raises:
        SandboxError: If it never began, and that is our failure.
        KeyError, TypeError, ValueError, IndexError: If the message is malformed.
    """
    problem = message["problem"]
    if problem and not message.get("out_of_memory_kills") and not message.get("reason"):
        raise SandboxError(f"The sandbox could not be set up for an execution: {problem}.")
    evidence = Evidence(
        wait_status=message["wait_status"],
        reason=message["reason"],
        wall_s=message["wall_s"],
        cpu_s=message["cpu_s"],
        peak_mb=message["peak_mb"],
        out_of_memory_kills=message["out_of_memory_kills"],
        processes_denied=message["processes_denied"],
        disk_is_full=message["disk_is_full"],
        bytes_written=message["bytes_written"],
        files_created=message["files_created"],
        report=Report.parse(parts[4] + parts[5]),
    )
    out, err = message["dropped"]
    return to_result(
        evidence,
        limits,
        stdout=join_ends(parts[0], parts[1], out),
        stderr=join_ends(parts[2], parts[3], err),
        cut=(out, err),
        files={printable(name): size for name, size in message["files"].items()},
    )


def to_result(
    evidence: Evidence,
    limits: Limits,
    *,
    stdout: str = "",
    stderr: str = "",
    cut: tuple[int, int] = (0, 0),
    files: Mapping[str, int] | None = None,
) -> ExecutionResult:
    """Return the result that an execution's evidence amounts to."""
    status, message = judge(evidence, limits)
    failed = status is not Status.OK
    return ExecutionResult(
        status=status,
        message=message,
        stdout=stdout,
        stderr=stderr,
        error_class=evidence.report.error_class if failed else None,
        error_message=evidence.report.message if failed else None,
        traceback=evidence.report.traceback if failed else "",
        stdout_cut=cut[0],
        stderr_cut=cut[1],
        exit_code=os.waitstatus_to_exitcode(evidence.wait_status),
        wall_s=evidence.wall_s,
        cpu_s=evidence.cpu_s,
        peak_memory_mb=evidence.peak_mb,
        bytes_written=evidence.bytes_written,
        files_created=evidence.files_created,
        files=files or {},
    )
