"""Options and printing that several commands share."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from mledojo_env.errors import ConfigError

TaskArgument = Annotated[str, typer.Argument(help="A task's id, or its bare name.")]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON and nothing else.")]
TasksPathOption = Annotated[
    list[Path] | None, typer.Option("--tasks-path", help="More folders with tasks; may be repeated.")
]


def print_json(value: Any) -> None:
    """Print a value as JSON; NaN is refused."""
    typer.echo(json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False))


def read_bytes(path: Path, what: str, max_bytes: int) -> bytes:
    """Return a file's content.

    Raises:
        ConfigError: If it is missing, not a regular file, too large or cannot be read.
    """
    if not path.exists():
        raise ConfigError(f"The {what} {path} does not exist.")
    if not path.is_file():
        raise ConfigError(f"The {what} {path} is not a regular file.")
    if path.stat().st_size > max_bytes:
        raise ConfigError(f"The {what} {path} has {path.stat().st_size} bytes; at most {max_bytes} are read.")
    try:
        return path.read_bytes()
    except OSError as error:
        raise ConfigError(f"Cannot read the {what} {path}: {error.strerror}.") from error
