"""What a container's own control group counts, read from inside; limits are set from outside."""

from __future__ import annotations

import os
import resource
from pathlib import Path

from mledojo_env.sandbox import cgroups

_CGROUPS = "/sys/fs/cgroup"


class Meter:
    """Reads the container's own control group, which Docker shows inside, read-only."""

    def __init__(self) -> None:
        self._hierarchy: cgroups.Hierarchy | None = None
        if os.path.exists(f"{_CGROUPS}/memory/memory.usage_in_bytes"):
            self._hierarchy = cgroups.Version1({})
            places = {name: Path(_CGROUPS, name) for name in ("memory", "pids", "cpuacct")}
            self._current = f"{_CGROUPS}/memory/memory.usage_in_bytes"
        elif os.path.exists(f"{_CGROUPS}/memory.current"):
            self._hierarchy = cgroups.Version2({})
            places = dict.fromkeys(("memory", "pids", "cpu"), Path(_CGROUPS))
            self._current = f"{_CGROUPS}/memory.current"
        else:
            places = {}
            self._current = ""
        self._group = cgroups.Group(places)

    @property
    def is_there(self) -> bool:
        """Whether there is a control group to read."""
        return self._hierarchy is not None

    @property
    def version(self) -> int:
        """Version of the control groups, 0 for none."""
        return 0 if self._hierarchy is None else self._hierarchy.version

    def usage(self) -> cgroups.Usage:
        """Return what the container's group counted so far."""
        return cgroups.Usage() if self._hierarchy is None else self._hierarchy.usage(self._group)

    def memory_mb(self) -> float:
        """Return the memory in use, 0 where nothing counts it."""
        if self._hierarchy is None:
            return 0.0
        with open(self._current) as file:
            return int(file.read()) / 2**20


def own_memory() -> tuple[int, float]:
    """Return what RLIMIT_DATA counts of this process in bytes, and its resident size in MB."""
    page = resource.getpagesize()
    fields = Path("/proc/self/statm").read_text().split()
    return int(fields[5]) * page, int(fields[1]) * page / 2**20
