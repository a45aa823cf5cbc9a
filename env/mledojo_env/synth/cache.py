"""Where generated tasks are kept on this machine: each whole or not at all, so many of them and no more.

A task that was dropped is made again, byte for byte, when somebody asks for it.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import time
import zlib
from pathlib import Path

from mledojo_env.errors import ConfigError
from mledojo_env.prepare.store import building, cache_root
from mledojo_env.synth.draft import GENERATOR
from mledojo_env.synth.ids import SynthId

VARIABLE = "MLEDOJO_SYNTH_CACHE"
DEFAULT_LIMIT = 2_000  # tasks
SAFE_S = 3600.0  # a task that was used so lately may be in use, and stays

_SHELVES = 16  # folders with a lock each, so that several processes make tasks at the same time


def limit() -> int:
    """Return how many generated tasks are kept: `MLEDOJO_SYNTH_CACHE`, or 2,000.

    Raises:
        ConfigError: If the variable is no number of at least 1.
    """
    given = os.environ.get(VARIABLE)
    if not given:
        return DEFAULT_LIMIT
    if not (given.isascii() and given.isdigit() and int(given[:12]) > 0):
        raise ConfigError(f"{VARIABLE} is {given!r}; expected how many generated tasks to keep, e.g. 2000.")
    return int(given)


def synth_root() -> Path:
    """Return the folder of all generated tasks of this generator's version."""
    return cache_root() / "synth" / f"v{GENERATOR}"


def place_of(task: SynthId) -> Path:
    """Return where a generated task lies, if it is there."""
    shelf = zlib.crc32(task.file_name.encode()) % _SHELVES
    return synth_root() / f"{shelf:02d}" / task.file_name


def keep(task: SynthId) -> Path:
    """Return the folder of a generated task, made now if it is not there, and marked as used now.

    Raises:
        TaskDataError: If the cache cannot be written; names the folder.
    """
    from mledojo_env.synth.write import write_task

    place = place_of(task)
    if _mark_used(place):
        return place
    with building(place, str(task)) as folder:
        if folder is not None:
            write_task(task, folder)
    _mark_used(place)
    _drop_the_oldest(limit())
    return place


def _mark_used(place: Path) -> bool:
    """Set a task's time of use, which is its folder's; return whether it is there."""
    try:
        os.utime(place)
    except FileNotFoundError:
        return False
    except OSError:  # a cache that others may only read
        return place.is_dir()
    return True


def _drop_the_oldest(most: int) -> None:
    """Drop tasks beyond so many, the ones unused for longest, but none that was used in the last hour."""
    found = []
    for path in synth_root().parent.glob("v*/[0-9][0-9]/[!.]*"):  # those of earlier generators too
        with contextlib.suppress(OSError):  # dropped by another process meanwhile
            found.append((path.stat().st_mtime, path))
    before = time.time() - SAFE_S
    for used, path in sorted(found)[: max(len(found) - most, 0)]:
        if used < before:
            _drop(path, before)


def _drop(place: Path, before: float) -> None:
    """Drop a task, unless somebody uses it at this very moment, or is making one on the same shelf."""
    gone = place.with_name(f".building-{place.name}.old")  # cleared away by `building`, should we be killed
    with contextlib.suppress(OSError), (place.parent / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        place.rename(gone)
        if gone.stat().st_mtime >= before:
            gone.rename(place)
        else:
            shutil.rmtree(gone, ignore_errors=True)
