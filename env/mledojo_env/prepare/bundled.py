"""Unpack a bundled task into the cache: verified, whole or not at all, once for all processes."""

from __future__ import annotations

import fcntl
import hashlib
import lzma
import os
import shutil
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from mledojo_env.errors import TaskDataError
from mledojo_env.prepare.sample import write_sample

CHECKSUMS = "SHA256SUMS"

_LAYOUT = 1  # changes when what is written to the cache changes


@dataclass(frozen=True)
class Prepared:
    """The folders of a prepared task. `private` is never mounted where an agent's code runs."""

    public: Path
    sample: Path
    private: Path


def cache_root() -> Path:
    """Return where prepared tasks are kept: `MLEDOJO_CACHE`, or the user's cache folder."""
    given = os.environ.get("MLEDOJO_CACHE")
    if given:
        return Path(given)
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "mledojo"


def prepare_bundled(folder: Path, task_id: str, data_hash: str, id_columns: Sequence[str]) -> Prepared:
    """Return the prepared folders of a bundled task, made now if they are not in the cache.

    They are built beside their place and renamed into it: an interrupted preparation leaves nothing that
    looks whole. Of several processes at once, one builds and the others wait.

    Raises:
        TaskDataError: If files are missing or differ from their checksums, or the cache cannot be written.
    """
    place = cache_root() / "tasks" / task_id / f"{data_hash}-{_LAYOUT}"
    prepared = Prepared(place / "public", place / "sample", place / "private")
    if place.is_dir():
        return prepared
    verify_checksums(folder)
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
        with (place.parent / ".lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)  # let go by the kernel, should this process be killed
            if not place.is_dir():
                _build(folder, place, id_columns)
    except OSError as error:
        raise TaskDataError(
            f"Cannot write {task_id} to the cache {place.parent}: {error.strerror or error}. "
            "Make room, or set MLEDOJO_CACHE to a folder you own."
        ) from error
    return prepared


def _build(folder: Path, place: Path, id_columns: Sequence[str]) -> None:
    """Unpack into a folder beside `place` and rename it; the caller holds the lock."""
    for left_over in place.parent.glob(".building-*"):  # of a process that was killed
        shutil.rmtree(left_over, ignore_errors=True)
    building = Path(tempfile.mkdtemp(prefix=".building-", dir=place.parent))
    try:
        _unpack(folder / "public", building / "public")
        _unpack(folder / "private", building / "private")
        write_sample(building / "public", building / "sample", id_columns)
        for path in building.rglob("*"):  # whatever the umask says
            path.chmod(0o755 if path.is_dir() else 0o644)
        building.chmod(0o755)
        (building / "private").chmod(0o700)
        building.rename(place)
    except BaseException:
        shutil.rmtree(building, ignore_errors=True)
        raise


def verify_checksums(folder: Path) -> None:
    """Compare every file of public/ and private/ with SHA256SUMS.

    Raises:
        TaskDataError: If one is missing, unlisted or different; names it and both digests.
    """
    expected = _read_checksums(folder / CHECKSUMS)
    found = {
        path.relative_to(folder).as_posix()
        for part in ("public", "private")
        for path in (folder / part).rglob("*")
        if path.is_file()
    }
    for name in sorted(expected.keys() | found):
        path = folder / name
        if name not in found:
            raise TaskDataError(f"{path} is missing; {CHECKSUMS} lists it. Restore it, or run build.py.")
        if name not in expected:
            raise TaskDataError(f"{path} is not in {CHECKSUMS}. Remove it, or run build.py.")
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
        if digest != expected[name]:
            raise TaskDataError(
                f"{path} has the wrong checksum: found {digest[:12]}, expected {expected[name][:12]}. "
                "Restore it (git checkout), or run build.py."
            )


def _read_checksums(path: Path) -> dict[str, str]:
    try:
        lines = path.read_text().splitlines()
    except OSError as error:
        raise TaskDataError(f"Cannot read {path}: {error.strerror}. Run the task's build.py.") from error
    expected = {}
    for number, line in enumerate(lines, 1):
        digest, _, name = line.partition("  ")
        if len(digest) != 64 or not name:
            raise TaskDataError(f"{path}, line {number}: expected '<sha256>  <file>', found {line[:60]!r}.")
        expected[name] = digest
    return expected


def _unpack(source: Path, target: Path) -> None:
    """Copy a folder's files; those that end in .xz are decompressed and lose the ending."""
    target.mkdir()
    for path in sorted(source.iterdir()):
        if path.suffix == ".xz":
            try:
                with lzma.open(path) as packed, (target / path.stem).open("wb") as file:
                    shutil.copyfileobj(packed, file)
            except (lzma.LZMAError, EOFError) as error:
                raise TaskDataError(
                    f"{path} is not a whole .xz file: {error}. Run the task's build.py."
                ) from error
        else:
            shutil.copyfile(path, target / path.name)
