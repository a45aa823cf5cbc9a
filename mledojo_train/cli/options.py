"""Options and printing that several commands share."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mledojo_env.errors import ConfigError

if TYPE_CHECKING:
    from rich.progress import TaskID

TaskArgument = Annotated[str, typer.Argument(help="A task's id, or its bare name.")]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON and nothing else.")]
TasksPathOption = Annotated[
    list[Path] | None, typer.Option("--tasks-path", help="More folders with tasks; may be repeated.")
]


def print_json(value: Any) -> None:
    """Print a value as JSON; NaN is refused."""
    typer.echo(json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False))


_UNITS = {"": 1, "k": 10**3, "m": 10**6, "g": 10**9, "t": 10**12}


def parse_size(text: str | None) -> int | None:
    """Return a size such as 500MB or 5GB in bytes; None for None.

    Raises:
        ConfigError: If it is none.
    """
    if text is None:
        return None
    found = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([kmgt]?)b?\s*", text.lower())
    if not found:
        raise ConfigError(f"{text!r} is no size; expected e.g. 500MB or 5GB.")
    return int(float(found[1]) * _UNITS[found[2]])


def show_size(size: int | None) -> str:
    """Return a size in bytes as a person reads it; "" for None."""
    if size is None:
        return ""
    unit = next(
        unit for unit, most in (("kB", 10**6), ("MB", 10**9), ("GB", 10**12), ("TB", 10**18)) if size < most
    )
    value = size / _UNITS[unit[0].lower()]
    return f"{value:.1f} {unit}" if value < 10 else f"{value:.0f} {unit}"


@contextmanager
def download_progress() -> Iterator[Callable[[str, int, int], None]]:
    """Show a bar for each file that is downloaded, while the block runs, on stderr."""
    from rich.console import Console
    from rich.markup import escape
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TimeRemainingColumn())
    progress = Progress(*columns, console=Console(stderr=True))
    bars: dict[str, TaskID] = {}

    def show(name: str, done: int, total: int) -> None:
        if not bars:
            progress.start()  # not before there is a bar: it would draw an empty line
        if name not in bars:
            bars[name] = progress.add_task(escape(name), total=total)
        progress.update(bars[name], completed=done, total=total)

    try:
        yield show
    finally:
        if bars:
            progress.stop()


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
