"""Where tasks are found, and which there are."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from mledojo_env.errors import ConfigError, TaskNotFound, did_you_mean
from mledojo_env.prepare import CHECKSUMS
from mledojo_env.task import Task, TaskFacts, read_facts

SOURCES = ("offline", "kaggle", "synth")
SPLITS = ("train", "benchmark")

_PACKAGE = Path(__file__).parent


@dataclass(frozen=True)
class TaskEntry:
    """One line of the catalog."""

    id: str
    source: str
    domain: str
    kind: str
    metric: str
    split: str
    title: str
    ready: bool  # its data is here and it is not quarantined
    quarantine: str | None
    folder: Path


def tasks_root() -> Path:
    """Return the folder of the packaged tasks: beside this module in a wheel, the checkout's `tasks` else.

    Raises:
        ConfigError: If neither is there.
    """
    for place in (_PACKAGE / "tasks", _PACKAGE.parents[1] / "tasks"):
        if (place / "splits").is_dir():
            return place
    raise ConfigError(
        f"The tasks folder is missing: found neither {_PACKAGE / 'tasks'} nor the checkout's tasks/."
    )


def load_task(task_id: str, *, tasks_path: Sequence[Path] = ()) -> Task:
    """Return a task by its id, or by its bare name where that is unique.

    Args:
        task_id: E.g. `offline/concrete-strength` or `concrete-strength`.
        tasks_path: More folders to look in, before those of `MLEDOJO_TASKS_PATH` and the packaged ones.

    Raises:
        TaskNotFound: If there is no such task, or a bare name stands for several; names the nearest.
        ConfigError: If its task.yaml is wrong.
    """
    folders = dict(_folders(tasks_path))
    matches = (
        [task_id]
        if task_id in folders
        else [known for known in folders if known.split("/", 1)[-1] == task_id]
    )
    if len(matches) > 1:
        raise TaskNotFound(f"Task {task_id!r} is not unique: it may be {' or '.join(sorted(matches))}.")
    if not matches:
        names = [name for known in folders for name in (known, known.split("/", 1)[-1])]
        hint = did_you_mean(task_id, names)
        raise TaskNotFound(f"Unknown task {task_id!r}.{hint} List them: mledojo-train tasks list")
    task = Task.from_folder(folders[matches[0]])
    _check_id(task.facts, matches[0], task.folder)
    return task


def list_tasks(
    source: str | None = None,
    split: str | None = None,
    domain: str | None = None,
    *,
    tasks_path: Sequence[Path] = (),
) -> list[TaskEntry]:
    """Return the known tasks, sorted by id; reads their task.yaml and nothing else.

    Raises:
        ConfigError: If a filter is unknown (names the nearest) or a task.yaml is wrong.
    """
    _check_filter("source", source, SOURCES)
    _check_filter("split", split, SPLITS)
    entries = [_entry(name, folder) for name, folder in sorted(_folders(tasks_path))]
    _check_filter("domain", domain, sorted({entry.domain for entry in entries}))
    return [
        entry
        for entry in entries
        if (source is None or entry.source == source)
        and (split is None or entry.split == split)
        and (domain is None or entry.domain == domain)
    ]


def read_split(name: str) -> list[str]:
    """Return the ids of a split, in the order of its file.

    Raises:
        ConfigError: If there is no such split; names the nearest.
    """
    folder = tasks_root() / "splits"
    known = sorted(path.stem for path in folder.glob("*.txt"))
    if name not in known:
        raise ConfigError(
            f"Unknown split {name!r}; expected one of {', '.join(known)}.{did_you_mean(name, known)}"
        )
    lines = (folder / f"{name}.txt").read_text().splitlines()
    return [line.strip() for line in lines if line.strip() and not line.startswith("#")]


def _folders(tasks_path: Sequence[Path]) -> Iterator[tuple[str, Path]]:
    """Yield (id, folder) of every task; of equal ids the first place wins."""
    seen: set[str] = set()
    extra = [Path(part) for part in os.environ.get("MLEDOJO_TASKS_PATH", "").split(":") if part]
    for root in [*tasks_path, *extra, tasks_root()]:
        root = root.resolve()  # a folder's name is part of its task's id, and "." has none
        if not root.is_dir():
            raise ConfigError(
                f"The tasks folder {root} does not exist. Check --tasks-path and MLEDOJO_TASKS_PATH."
            )
        for path in sorted([*root.glob("task.yaml"), *root.glob("*/task.yaml"), *root.glob("*/*/task.yaml")]):
            name = _id_of(path.parent)
            if name not in seen:
                seen.add(name)
                yield name, path.parent


def _id_of(folder: Path) -> str:
    """Return a task's id from its place: <source>/<name>; a folder outside such a tree counts as offline."""
    source = folder.parent.name
    return f"{source if source in SOURCES else 'offline'}/{folder.name}"


def _entry(name: str, folder: Path) -> TaskEntry:
    facts = read_facts(folder)
    _check_id(facts, name, folder)
    return TaskEntry(
        id=facts.id,
        source=name.split("/", 1)[0],
        domain=facts.domain,
        kind=facts.kind,
        metric=facts.metric.name,
        split=facts.split,
        title=facts.title,
        ready=_is_ready(facts, folder),
        quarantine=facts.quarantine,
        folder=folder,
    )


def _check_id(facts: TaskFacts, name: str, folder: Path) -> None:
    if facts.id != name:
        raise ConfigError(f"{folder / 'task.yaml'}: id is {facts.id!r}, but its folder says {name!r}.")


def _is_ready(facts: TaskFacts, folder: Path) -> bool:
    return facts.quarantine is None and (folder / CHECKSUMS).is_file() and (folder / "private").is_dir()


def _check_filter(name: str, value: str | None, known: Sequence[str]) -> None:
    if value is not None and value not in known:
        hint = did_you_mean(value, known)
        raise ConfigError(f"Unknown {name} {value!r}; expected one of {', '.join(known)}.{hint}")
