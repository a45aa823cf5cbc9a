"""How much memory families of processes take, each page counted once."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Sequence
from pathlib import Path

from mledojo_env.sandbox import engine


def shims() -> list[int]:
    """Return the parents of this process's containers: what the engine keeps for each."""
    client = engine.connect()
    mine = {"label": f"mledojo.pid={os.getpid()}"}
    found = [one.attrs["State"]["Pid"] for one in client.containers.list(filters=mine, ignore_removed=True)]
    client.close()
    return [int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1]) for pid in found]


def children(pid: int) -> list[int]:
    """Return a process's children; none if it is gone."""
    with contextlib.suppress(FileNotFoundError, ProcessLookupError):
        lists = [path.read_text() for path in Path(f"/proc/{pid}/task").glob("*/children")]
        return [int(child) for text in lists for child in text.split()]
    return []


def family(roots: Sequence[int]) -> list[int]:
    """Return processes and all their descendants."""
    found = list(roots)
    for pid in found:  # grows meanwhile
        found += children(pid)
    return found


def name_of(pid: int) -> str:
    """Return what the kernel calls a process; nothing if it is gone."""
    with contextlib.suppress(FileNotFoundError, ProcessLookupError):
        return Path(f"/proc/{pid}/comm").read_text().strip()
    return ""


def pss_mb(pids: Sequence[int]) -> float:
    """Return the proportional set size of processes together.

    Raises:
        PermissionError: If one is another user's and this is not root.
    """
    total_kb = 0
    for pid in pids:
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):  # ended meanwhile
            for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
                if line.startswith("Pss:"):
                    total_kb += int(line.split()[1])
    return total_kb / 1024
