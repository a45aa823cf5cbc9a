"""Unpack a bundled task, whose files lie compressed beside its task.yaml, into the cache."""

from __future__ import annotations

import hashlib
import lzma
import shutil
from collections.abc import Sequence
from pathlib import Path

from mledojo_env.errors import TaskDataError
from mledojo_env.prepare.sample import write_sample
from mledojo_env.prepare.store import Prepared, building, cache_root

CHECKSUMS = "SHA256SUMS"

_LAYOUT = 1  # changes when what is written to the cache changes


def prepare_bundled(folder: Path, task_id: str, data_hash: str, id_columns: Sequence[str]) -> Prepared:
    """Return the prepared folders of a bundled task, made now if they are not in the cache.

    Raises:
        TaskDataError: If files are missing or differ from their checksums, or the cache cannot be written.
    """
    place = cache_root() / "tasks" / task_id / f"{data_hash}-{_LAYOUT}"
    if not place.is_dir():
        verify_checksums(folder)
        with building(place, task_id) as new:
            if new is not None:
                _unpack(folder / "public", new / "public")
                _unpack(folder / "private", new / "private")
                write_sample(new / "public", new / "sample", id_columns)
    return Prepared.at(place)


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
