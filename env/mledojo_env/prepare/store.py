"""Where prepared tasks lie on this machine: made whole or not at all, once for all processes."""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from mledojo_env.errors import TaskDataError

MANIFEST = "manifest.json"


@dataclass(frozen=True)
class Prepared:
    """The folders of a prepared task. `private` is never mounted where an agent's code runs."""

    public: Path
    sample: Path
    private: Path

    @classmethod
    def at(cls, place: Path) -> Prepared:
        """Return the folders of the task that is prepared in `place`."""
        return cls(place / "public", place / "sample", place / "private")


@dataclass(frozen=True)
class Manifest:
    """What a prepared task was made of, and what came out.

    Attributes:
        task: Id of the task, with its variant.
        origin: How it was made: strategy, parameters and seed, or from which tree it was imported.
        files: Digest (SHA-256) of each file below public/ and private/, by its path.
    """

    task: str
    origin: dict[str, Any]
    files: dict[str, str] = field(default_factory=dict)

    @property
    def data_hash(self) -> str:
        """12 hex digits: equal files, equal hash."""
        listing = "".join(f"{digest}  {name}\n" for name, digest in sorted(self.files.items()))
        return hashlib.sha256(listing.encode()).hexdigest()[:12]

    def write(self, place: Path) -> None:
        """Write it into the folder of a prepared task."""
        (place / MANIFEST).write_text(json.dumps(asdict(self), indent=1, sort_keys=True) + "\n")

    @classmethod
    def read(cls, place: Path) -> Manifest:
        """Read the manifest of the task that is prepared in `place`.

        Raises:
            TaskDataError: If there is none, or it is broken.
        """
        path = place / MANIFEST
        try:
            return cls(**json.loads(path.read_text()))
        except (OSError, ValueError, TypeError) as error:
            raise TaskDataError(
                f"Cannot read {path}: {error}. Remove {place}, and prepare it again."
            ) from error


def cache_root() -> Path:
    """Return where prepared tasks are kept: `MLEDOJO_CACHE`, or the user's cache folder."""
    given = os.environ.get("MLEDOJO_CACHE")
    if given:
        return Path(given)
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "mledojo"


def raw_place(name: str) -> Path:
    """Return where the raw files of a Kaggle competition are downloaded to."""
    return cache_root() / "raw" / name


def prepared_place(task_id: str, variant: str = "") -> Path:
    """Return where a task that does not ride in the package lies once it is prepared."""
    return cache_root() / "tasks" / task_id / (variant or "full")


def is_prepared(task_id: str, variant: str = "") -> bool:
    """Return whether a task's data is here. What is half prepared never is."""
    return (prepared_place(task_id, variant) / MANIFEST).is_file()


@contextlib.contextmanager
def building(place: Path, task_id: str, *, replace: bool = False) -> Iterator[Path | None]:
    """Give a folder to build a prepared task in, which takes its place when the block ends without an error.

    Of several processes at once, one builds and the others wait: they are given None, as there is nothing
    left to do. An interrupted preparation leaves nothing that looks whole.

    Args:
        place: Where the task will lie.
        task_id: For messages.
        replace: Whether what is there already is to be replaced.

    Raises:
        TaskDataError: If the cache cannot be written, e.g. because the disk is full.
    """
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
        with (place.parent / ".lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)  # let go by the kernel, should this process be killed
            if place.is_dir() and not replace:
                yield None
                return
            for left_over in place.parent.glob(".building-*"):  # of a process that was killed
                shutil.rmtree(left_over, ignore_errors=True)
            folder = Path(tempfile.mkdtemp(prefix=".building-", dir=place.parent))
            try:
                yield folder
                _open_to_sandboxes(folder)
                if place.is_dir():
                    place.rename(folder.with_suffix(".old"))
                folder.rename(place)
                shutil.rmtree(folder.with_suffix(".old"), ignore_errors=True)
            except BaseException:
                shutil.rmtree(folder, ignore_errors=True)
                raise
    except OSError as error:
        raise TaskDataError(
            f"Cannot write {task_id} to the cache {place.parent}: {error.strerror or error}. "
            "Make room, or set MLEDOJO_CACHE to a folder you own."
        ) from error


def digests(place: Path) -> dict[str, str]:
    """Return the SHA-256 of each file below public/ and private/, by its path."""
    found = {}
    for part in ("public", "private"):
        for path in sorted((place / part).rglob("*")):
            if path.is_file():
                with path.open("rb") as file:
                    found[path.relative_to(place).as_posix()] = hashlib.file_digest(
                        file, "sha256"
                    ).hexdigest()
    return found


def verify_manifest(place: Path) -> None:
    """Compare every file of a prepared task with its manifest.

    Raises:
        TaskDataError: If one is missing, unlisted or different; names it.
    """
    expected, found = Manifest.read(place).files, digests(place)
    for name in sorted(expected.keys() | found.keys()):
        if expected.get(name) != found.get(name):
            problem = (
                "missing"
                if name not in found
                else "not in the manifest"
                if name not in expected
                else "changed"
            )
            raise TaskDataError(
                f"{place / name} is {problem}. Prepare the task again: tasks prepare --again."
            )


def _open_to_sandboxes(folder: Path) -> None:
    """Let any user read what is public, and only this one the rest, whatever the umask says."""
    for path in folder.rglob("*"):
        path.chmod(0o755 if path.is_dir() else 0o644)
    folder.chmod(0o755)
    (folder / "private").chmod(0o700)
