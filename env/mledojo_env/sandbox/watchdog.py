"""What a control group would count, estimated from /proc where no group can be made.

The kernel then limits each process by itself (see `jail`), but not their sum. Looking four times a second
cannot stop a burst as a group does; it ends what goes on for longer.
"""

from __future__ import annotations

import contextlib
import os
from dataclasses import dataclass
from pathlib import Path

_TICKS_PER_S = os.sysconf("SC_CLK_TCK")
_IN_MEMORY = ("/work", "/tmp", "/dev/shm")


@dataclass(frozen=True)
class Sample:
    """What the processes of one execution use at a moment."""

    cpu_s: float
    memory_mb: float  # never less than what they really use


def process_of(pidfd: int) -> int:
    """Return the process id, as seen from here, of the process that a pidfd refers to; 0 if it is gone."""
    with contextlib.suppress(OSError):
        for line in Path(f"/proc/self/fdinfo/{pidfd}").read_text().splitlines():
            if line.startswith("Pid:"):
                return max(0, int(line.split()[1]))
    return 0


def processes_below(first: int) -> list[int]:
    """Return a process and all its descendants. Orphans of a PID namespace are children of its first."""
    found = []
    waiting = [first]
    while waiting:
        pid = waiting.pop()
        found.append(pid)
        with contextlib.suppress(OSError):
            for thread in Path(f"/proc/{pid}/task").iterdir():
                waiting += map(int, (thread / "children").read_text().split())
    return found


def sample(first: int, memory_limit_mb: float) -> Sample:
    """Return what a process and its descendants use.

    Pages that they share, the fork-server's first of all, are counted once, but only if counting them in
    each process would exceed the limit: the exact figure is expensive.
    """
    return sample_processes(processes_below(first), memory_limit_mb, _files_mb(first))


def sample_processes(pids: list[int], memory_limit_mb: float, files_mb: float = 0.0) -> Sample:
    """Return what some processes use; see `sample`.

    Args:
        pids: Their numbers.
        memory_limit_mb: Up to where a rough figure will do.
        files_mb: What their files take of the memory.
    """
    memory = files_mb + sum(_resident_mb(pid) for pid in pids)
    if memory > memory_limit_mb:
        memory = files_mb + sum(_proportional_mb(pid) for pid in pids)
    return Sample(sum(_cpu_s(pid) for pid in pids), memory)


def _files_mb(pid: int) -> float:
    """Return what the files in a process's writable places take of the memory."""
    used = 0
    for path in _IN_MEMORY:
        with contextlib.suppress(OSError):
            space = os.statvfs(f"/proc/{pid}/root{path}")
            used += (space.f_blocks - space.f_bfree) * space.f_frsize
    return used / 2**20


def _cpu_s(pid: int) -> float:
    """Return the CPU time of a process and of its children that have ended."""
    with contextlib.suppress(OSError):
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        return sum(map(int, fields[11:15])) / _TICKS_PER_S
    return 0.0


def _resident_mb(pid: int) -> float:
    return _sum_mb(f"/proc/{pid}/status", ("RssAnon:", "RssShmem:"))


def _proportional_mb(pid: int) -> float:
    return _sum_mb(f"/proc/{pid}/smaps_rollup", ("Pss_Anon:", "Pss_Shmem:"))


def _sum_mb(path: str, names: tuple[str, ...]) -> float:
    total = 0
    with contextlib.suppress(OSError):
        for line in Path(path).read_text().splitlines():
            if line.startswith(names):
                total += int(line.split()[1])
    return total / 1024
