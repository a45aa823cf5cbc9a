"""What `request_info` tells about a task: facts an entrant of the competition could look up."""

from __future__ import annotations

import zipfile
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

from mledojo_env.actions import TOPICS

if TYPE_CHECKING:
    from pandas import Series

    from mledojo_env.task import Task

__all__ = ["TOPICS", "tell", "welcome"]

_MAX_COLUMNS = 30
_MAX_COUNTED_BYTES = 200_000_000


def tell(task: Task, topic: str) -> str:
    """Return what there is to know about one of `TOPICS`; reads files, so keep it off the event loop."""
    return {
        "overview": _overview,
        "data": _data,
        "metric": _metric,
        "leaderboard": _leaderboard,
        "sample_submission": _sample_submission,
    }[topic](task)


def welcome(task: Task, timeout_s: float) -> str:
    """Return the few facts that open an episode."""
    return (
        f"{task.title} ({task.domain}, {task.kind}). {_metric(task)}\n"
        f"Data in /data: {', '.join(sorted(task.public_files))}. "
        "Write submission.csv to the working directory.\n"
        f"Limits of a run: {timeout_s:g} s, {task.limits.memory_mb} MB."
    )


def _overview(task: Task) -> str:
    description = task.description.strip()
    text = description if description.startswith("# ") else f"{task.title}\n\n{description}"
    if not task.pages:
        return text
    return (
        f"{text}\n\n## The competition's own pages\nWhere they differ, the text above holds.\n\n{task.pages}"
    )


def _metric(task: Task) -> str:
    metric = task.metric
    direction = "higher" if metric.higher_is_better else "lower"
    params = ", ".join(f"{name} = {value}" for name, value in metric.params.items())
    return f"Metric: {metric.name}{f' ({params})' if params else ''}, {direction} is better."


def _leaderboard(task: Task) -> str:
    board = task.leaderboard
    if board is None:
        return "This task has no leaderboard."
    scores = sorted(board.public_scores, reverse=board.higher_is_better)
    who = "teams" if board.kind == "human" else "reference pipelines"
    places = {"best": 0.0, "top 10 %": 0.1, "top 25 %": 0.25, "median": 0.5, "top 75 %": 0.75, "last": 1.0}
    lines = [f"{name}: {scores[round(share * (len(scores) - 1))]:.4g}" for name, share in places.items()]
    return "\n".join([f"Public leaderboard: {len(scores)} {who}.", *lines])


def _sample_submission(task: Task) -> str:
    form = task.submission
    rows = len(task.sample_submission())
    with (task.public_dir / "sample_submission.csv").open(encoding="utf-8", errors="replace") as file:
        head = [file.readline().rstrip("\n")[:500] for _ in range(6)]
    return (
        f"submission.csv needs the columns {', '.join([*form.id, *form.targets])} and {rows} rows; "
        f"each target is a {form.value}.\n" + "\n".join(line for line in head if line)
    )


def _data(task: Task) -> str:
    return _describe(task.public_dir, tuple(sorted(task.public_files.items())))


@lru_cache(maxsize=64)
def _describe(folder: Path, files: tuple[tuple[str, str], ...]) -> str:
    """Return a paragraph a file: what it is, its size, columns and first rows. Public data never changes."""
    parts = []
    for name, purpose in files:
        path = folder / name
        if not path.is_file():
            parts.append(f"{name}: {purpose}")
            continue
        describe = _DESCRIBERS.get(path.suffix)
        details = describe(path) if describe else []
        parts.append("\n".join([f"{name} ({_size(path.stat().st_size)}): {purpose}", *details]))
    return "\n\n".join(parts)


def _describe_table(path: Path) -> list[str]:
    import pandas as pd

    head = pd.read_csv(path, nrows=200)
    columns = [f"{column} ({_kind(head[column])})" for column in head.columns[:_MAX_COLUMNS]]
    if len(head.columns) > _MAX_COLUMNS:
        columns.append(f"... {len(head.columns) - _MAX_COLUMNS} more")
    rows = f"{_count_rows(path)} rows, " if path.stat().st_size <= _MAX_COUNTED_BYTES else ""
    with path.open(encoding="utf-8", errors="replace") as file:
        first = [file.readline().rstrip("\n")[:300] for _ in range(4)]
    return [f"{rows}{len(head.columns)} columns: {', '.join(columns)}", *[line for line in first if line]]


def _kind(column: Series) -> str:
    from pandas.api import types

    if types.is_bool_dtype(column):
        return "bool"
    if types.is_integer_dtype(column):
        return "int"
    return "float" if types.is_numeric_dtype(column) else "text"


def _count_rows(path: Path) -> int:
    import csv

    with path.open(encoding="utf-8", errors="replace", newline="") as file:
        return max(sum(1 for row in csv.reader(file) if row) - 1, 0)


def _describe_arrays(path: Path) -> list[str]:
    """Return name, type and shape of each array of an .npz, from its headers alone."""
    from numpy.lib import format as npy

    lines = []
    with zipfile.ZipFile(path) as archive:
        for member in archive.namelist():
            with archive.open(member) as file:
                version = npy.read_magic(file)
                read = npy.read_array_header_1_0 if version == (1, 0) else npy.read_array_header_2_0
                shape, _, dtype = read(file)
            lines.append(f"array {member.removesuffix('.npy')}: {dtype}, shape {shape}")
    return lines


_DESCRIBERS = {".csv": _describe_table, ".npz": _describe_arrays}


def _size(size_bytes: int) -> str:
    return f"{size_bytes / 1000:.4g} kB" if size_bytes < 1_000_000 else f"{size_bytes / 1_000_000:.4g} MB"
