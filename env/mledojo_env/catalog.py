"""Where tasks are found, and which there are."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from mledojo_env.errors import ConfigError, TaskNotFound, did_you_mean
from mledojo_env.synth.ids import PREFIX, is_synth
from mledojo_env.task import GROUPS, Task, TaskFacts, read_facts

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
    groups: tuple[str, ...]
    difficulty: str | None
    size_bytes: int | None  # of what is downloaded, where anything is
    verified: str  # what the preparation was tested on: data or synthetic
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
        task_id: E.g. `offline/concrete-strength` or `concrete-strength`; `kaggle/titanic?micro=200` is a
            small variant of a task; `synth/tabular/17?difficulty=0.3` is generated (see `mledojo_env.synth`).
        tasks_path: More folders to look in, before those of `MLEDOJO_TASKS_PATH` and the packaged ones.

    Raises:
        TaskNotFound: If there is no such task, or a bare name stands for several; names the nearest.
        ConfigError: If its task.yaml is wrong.
    """
    if is_synth(task_id):
        return _generated(task_id)
    task_id, variant = _split_variant(task_id)
    folder = _folder_of(task_id, tasks_path)
    if folder is not None:
        return _load(task_id, folder, variant)
    folders = dict(_folders(tasks_path))
    matches = [known for known in folders if known.split("/", 1)[-1] == task_id]
    if len(matches) > 1:
        raise TaskNotFound(f"Task {task_id!r} is not unique: it may be {' or '.join(sorted(matches))}.")
    if not matches and task_id.startswith(PREFIX):
        return _generated(task_id)
    if not matches:
        names = [name for known in folders for name in (known, known.split("/", 1)[-1])]
        hint = did_you_mean(task_id, names)
        raise TaskNotFound(f"Unknown task {task_id!r}.{hint} List them: mledojo-train tasks list")
    return _load(matches[0], folders[matches[0]], variant)


def _generated(task_id: str) -> Task:
    """Return a task of `mledojo_env.synth`, generated now if it is not in the cache."""
    from mledojo_env.synth import generate

    return Task.from_folder(generate(task_id))


def _load(task_id: str, folder: Path, variant: str) -> Task:
    task = Task.from_folder(folder, variant)
    _check_id(task.facts, task_id, task.folder)
    return task


def list_tasks(
    source: str | None = None,
    split: str | None = None,
    domain: str | None = None,
    group: str | None = None,
    ready: bool | None = None,
    *,
    tasks_path: Sequence[Path] = (),
) -> list[TaskEntry]:
    """Return the known tasks, sorted by id; reads their task.yaml and nothing else.

    Args:
        source: One of `SOURCES`.
        split: One of `SPLITS`.
        domain: E.g. tabular.
        group: One of `GROUPS`.
        ready: Whether the task can be played at once; None for both.
        tasks_path: More folders to look in.

    Raises:
        ConfigError: If a filter is unknown (names the nearest) or a task.yaml is wrong.
    """
    _check_filter("source", source, SOURCES)
    _check_filter("split", split, SPLITS)
    entries = [_entry(name, folder) for name, folder in sorted(_folders(tasks_path))]
    _check_filter("domain", domain, sorted({entry.domain for entry in entries}))
    _check_filter("group", group, GROUPS)
    return [
        entry
        for entry in entries
        if (source is None or entry.source == source)
        and (split is None or entry.split == split)
        and (domain is None or entry.domain == domain)
        and (group is None or group in entry.groups)
        and (ready is None or ready == entry.ready)
    ]


def split_names() -> list[str]:
    """Return the names of all splits: `SPLITS`, and parts of the benchmark such as mle-lite."""
    return sorted(path.stem for path in (tasks_root() / "splits").glob("*.txt"))


def read_split(name: str) -> list[str]:
    """Return the ids of a split, in the order of its file.

    Raises:
        ConfigError: If there is no such split; names the nearest.
    """
    folder = tasks_root() / "splits"
    known = split_names()
    if name not in known:
        raise ConfigError(
            f"Unknown split {name!r}; expected one of {', '.join(known)}.{did_you_mean(name, known)}"
        )
    lines = (folder / f"{name}.txt").read_text().splitlines()
    return [line.strip() for line in lines if line.strip() and not line.startswith("#")]


def _roots(tasks_path: Sequence[Path]) -> Iterator[Path]:
    """Yield the folders to look in, the first to win first."""
    extra = [Path(part) for part in os.environ.get("MLEDOJO_TASKS_PATH", "").split(":") if part]
    for root in [*tasks_path, *extra, tasks_root()]:
        root = root.resolve()  # a folder's name is part of its task's id, and "." has none
        if not root.is_dir():
            raise ConfigError(
                f"The tasks folder {root} does not exist. Check --tasks-path and MLEDOJO_TASKS_PATH."
            )
        yield root


def _folder_of(task_id: str, tasks_path: Sequence[Path]) -> Path | None:
    """Return the folder of a task by its whole id, without a look at all the others."""
    source, _, name = task_id.partition("/")
    if source not in SOURCES or not name or "/" in name or name in (".", ".."):
        return None
    for root in _roots(tasks_path):
        places = [root / source / name, *((root / name, root) if source == "offline" else ())]
        for folder in places:
            if _id_of(folder) == task_id and (folder / "task.yaml").is_file():
                return folder
    return None


def _folders(tasks_path: Sequence[Path]) -> Iterator[tuple[str, Path]]:
    """Yield (id, folder) of every task; of equal ids the first place wins."""
    seen: set[str] = set()
    for root in _roots(tasks_path):
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
        groups=tuple(facts.groups),
        difficulty=facts.difficulty,
        size_bytes=facts.size_bytes,
        verified=facts.verified,
        title=facts.title,
        ready=Task(folder, facts).is_ready,
        quarantine=facts.quarantine,
        folder=folder,
    )


def _check_id(facts: TaskFacts, name: str, folder: Path) -> None:
    if facts.id != name:
        raise ConfigError(f"{folder / 'task.yaml'}: id is {facts.id!r}, but its folder says {name!r}.")


def _split_variant(task_id: str) -> tuple[str, str]:
    """Return a task's id and the name of its variant.

    Raises:
        TaskNotFound: If there can be no such variant.
    """
    name, _, variant = task_id.partition("?")
    if variant and not re.fullmatch(r"micro=[1-9]\d*", variant):
        raise TaskNotFound(f"Unknown variant {variant!r} of {name}; expected e.g. {name}?micro=200.")
    return name, variant


def _check_filter(name: str, value: str | None, known: Sequence[str]) -> None:
    if value is not None and value not in known:
        hint = did_you_mean(value, known)
        raise ConfigError(f"Unknown {name} {value!r}; expected one of {', '.join(known)}.{hint}")
