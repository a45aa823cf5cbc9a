"""The command line in a process of its own, as a user runs it: exit code and streams are what is tested."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

CLI = [sys.executable, "-c", "from mledojo_train.cli import main; main()"]


@dataclass(frozen=True)
class Result:
    """How a command ended."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """What it printed, all of it, as JSON."""
        return json.loads(self.out)


Command = Callable[..., Result]


def environment_with(cache: Path) -> dict[str, str]:
    """Return the environment of a command: this one, with a cache of its own and lines of a fixed width."""
    inherited = {name: value for name, value in os.environ.items() if name != "MLEDOJO_TASKS_PATH"}
    return inherited | {"MLEDOJO_CACHE": str(cache), "COLUMNS": "100", "NO_COLOR": "1"}


def command_in(folder: Path, environment: dict[str, str]) -> Command:
    """Return a function that runs one command in a folder and never sees a traceback."""

    def run(*arguments: str | Path, **variables: str) -> Result:
        process = subprocess.run(
            [*CLI, *map(str, arguments)],
            cwd=folder,
            env=environment | variables,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=120,
        )
        assert "Traceback" not in process.stderr, process.stderr
        return Result(process.returncode, process.stdout, process.stderr)

    return run


def refuses(result: Result, *words: str, code: int = 1) -> None:
    """Check that a command ended with an error on stderr that holds these words, and printed nothing."""
    assert (result.code, result.out) == (code, "")
    text = " ".join(result.err.replace("│", " ").split())  # the frame that Typer draws
    assert all(word in text for word in words), result.err
    if code == 1:
        assert result.err.startswith("error: ")
        assert result.err.count("\n") == 1
