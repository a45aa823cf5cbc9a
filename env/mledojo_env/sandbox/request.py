"""What is asked of a fork-server, whichever backend it serves: source text, numbers, a folder to read."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from mledojo_env.errors import SandboxError
from mledojo_env.sandbox import outcome
from mledojo_env.sandbox.base import ExecutionResult, Limits, Status

MAX_SOURCE_BYTES = 1_000_000
# Limits beyond these are as good as none, and what the kernel takes as numbers.
FOREVER_S = 1e8
MOST_MB = 2**31
_MOST_PROCESSES = 2**22
_MOST_FILES = 2**20


def encode(code: str) -> tuple[ExecutionResult | None, bytes]:
    """Return a refusal, or none and the source text in UTF-8."""
    if not isinstance(code, str):
        return _refused(f"The code is {type(code).__name__}; expected text."), b""
    if len(code) > MAX_SOURCE_BYTES:  # at least so many bytes; not looked at any further
        return _refused_as_long(len(code), "characters"), b""
    if "\0" in code:
        return _refused("The code contains NUL bytes."), b""
    try:
        source = code.encode()
    except UnicodeEncodeError as error:
        return _refused(f"The code is not valid Unicode text: {error.reason} at {error.start}."), b""
    if len(source) > MAX_SOURCE_BYTES:
        return _refused_as_long(len(source), "bytes"), b""
    return None, source


def _refused_as_long(length: int, unit: str) -> ExecutionResult:
    return _refused(f"The code has {length} {unit}; at most {MAX_SOURCE_BYTES} bytes are accepted.")


def _refused(message: str) -> ExecutionResult:
    return ExecutionResult(status=Status.REFUSED, message=message)


def run_header(limits: Limits, seed: int, *, session: int = 0, user: int = 0) -> dict[str, Any]:
    """Return the message that starts an execution, less its number and its data.

    Args:
        limits: What the execution may use.
        seed: Of the random number generators.
        session: Number of the working directory, where the fork-server serves several.
        user: User id to run as, where that is the fork-server's to choose.
    """
    return {
        "op": "run",
        "timeout_s": min(limits.timeout_s, FOREVER_S),
        "output_bytes": limits.output_kb * 1024,
        "job": {
            "id": 0,
            "session": session,
            "user": user,
            "disk_mb": min(limits.disk_mb, MOST_MB),
            "memory_mb": min(limits.memory_mb, MOST_MB),
            "file_mb": min(limits.file_mb, MOST_MB),
            "processes": min(limits.processes, _MOST_PROCESSES),
            "open_files": min(limits.open_files, _MOST_FILES),
            "cpu_s": min(outcome.cpu_limit(limits), FOREVER_S),
            "threads": limits.threads,
            "seed": seed,
        },
    }


def check_data(data: Path, *, by_anyone: bool = True) -> Path:
    """Return a folder's real path.

    Args:
        data: What code is given to read.
        by_anyone: Whether code runs as somebody else, so that everybody must be able to read it.

    Raises:
        SandboxError: If code could not read it.
    """
    folder = data.resolve()
    if not folder.is_dir():
        raise SandboxError(f"The data directory {folder} does not exist or is not a directory.")
    if by_anyone:
        for path in (folder, *folder.iterdir()):
            wanted = 0o005 if path.is_dir() else 0o004
            if path.stat().st_mode & wanted != wanted:
                raise SandboxError(
                    f"{path} cannot be read by other users, and code runs as one. Run: chmod -R o+rX {folder}"
                )
    return folder
