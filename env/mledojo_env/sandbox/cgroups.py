"""Memory, process and CPU limits of whole executions, where this process may make control groups.

Groups live below the launcher's own group, so that whatever limits the trainer limits its sandboxes too:

    <own group>/mledojo-<pid namespace>-<launcher pid>-<its start time>/<execution>

The launcher removes them; the name lets the next one remove what a killed launcher left.
"""

from __future__ import annotations

import contextlib
import os
import re
import signal
import time
from dataclasses import dataclass
from pathlib import Path

_PERIOD_US = 100_000
_CONTROLLERS = ("memory", "pids", "cpu", "cpuacct")  # version 1; version 2 accounts CPU time in `cpu`
_NAME = re.compile(r"mledojo-(\d+)-(\d+)-(\d+)")


@dataclass(frozen=True)
class Usage:
    """What a group counted."""

    peak_mb: float | None = None
    cpu_s: float | None = None
    out_of_memory_kills: int = 0
    processes_denied: int = 0


class Group:
    """The group of one execution: a directory in each hierarchy."""

    def __init__(self, directories: dict[str, Path]) -> None:
        self._directories = directories  # controller -> directory; may repeat a directory

    def _distinct(self) -> list[Path]:
        return sorted(set(self._directories.values()))

    def open_procs(self) -> list[int]:
        """Return descriptors that move their writer into this group."""
        return [
            os.open(directory / "cgroup.procs", os.O_WRONLY | os.O_CLOEXEC) for directory in self._distinct()
        ]

    def write(self, controller: str, name: str, value: object, *, required: bool = True) -> None:
        """Set one of the group's files; an absent or refused one is an error only if it is required."""
        try:
            (self._directories[controller] / name).write_text(str(value))
        except OSError:
            if required:
                raise

    def read(self, controller: str, name: str) -> str:
        """Return the text of one of the group's files, empty if there is none."""
        try:
            return (self._directories[controller] / name).read_text()
        except (OSError, KeyError):
            return ""

    def remove(self) -> bool:
        """Remove the group; its processes are dead. Return whether it is gone."""
        gone = [_remove_directory(directory) for directory in self._distinct()]
        return all(gone)


class Hierarchy:
    """Where groups can be made; `find_hierarchy` returns the one for this machine."""

    version: int

    def __init__(self, bases: dict[str, Path]) -> None:
        self._bases = bases  # controller -> this launcher's directory

    def create(self, name: str, *, memory_mb: int, processes: int, cores: int) -> Group:
        """Make a group with limits.

        Raises:
            OSError: If the kernel refuses.
        """
        directories = {controller: base / name for controller, base in self._bases.items()}
        for directory in sorted(set(directories.values())):
            directory.mkdir()
        group = Group(directories)
        try:
            self._limit(group, memory_mb * 2**20, processes, cores * _PERIOD_US)
        except OSError:
            group.remove()
            raise
        return group

    def _limit(self, group: Group, memory: int, processes: int, quota_us: int) -> None:
        raise NotImplementedError

    def usage(self, group: Group) -> Usage:
        """Return what the group counted so far."""
        raise NotImplementedError

    def release_cpu(self, group: Group) -> None:
        """Lift the CPU limit: killed processes need CPU time to die, and a throttled group has little."""
        raise NotImplementedError

    def remove(self) -> None:
        """Remove this launcher's groups."""
        for base in sorted(set(self._bases.values())):
            _remove_tree(base)


class Version1(Hierarchy):
    """One hierarchy a controller."""

    version = 1

    def _limit(self, group: Group, memory: int, processes: int, quota_us: int) -> None:
        group.write("memory", "memory.limit_in_bytes", memory)
        group.write("memory", "memory.memsw.limit_in_bytes", memory, required=False)  # swap accounting
        group.write("pids", "pids.max", processes)
        group.write("cpu", "cpu.cfs_period_us", _PERIOD_US)
        group.write("cpu", "cpu.cfs_quota_us", quota_us)

    def release_cpu(self, group: Group) -> None:
        """Lift the CPU limit."""
        group.write("cpu", "cpu.cfs_quota_us", -1, required=False)

    def usage(self, group: Group) -> Usage:
        """Return what the group counted so far."""
        peak = group.read("memory", "memory.max_usage_in_bytes")
        cpu_ns = group.read("cpuacct", "cpuacct.usage")
        return Usage(
            peak_mb=int(peak) / 2**20 if peak else None,
            cpu_s=int(cpu_ns) / 1e9 if cpu_ns else None,
            out_of_memory_kills=_counter(group.read("memory", "memory.oom_control"), "oom_kill"),
            processes_denied=_counter(group.read("pids", "pids.events"), "max"),
        )


class Version2(Hierarchy):
    """One hierarchy for all controllers."""

    version = 2

    def _limit(self, group: Group, memory: int, processes: int, quota_us: int) -> None:
        group.write("memory", "memory.max", memory)
        group.write("memory", "memory.swap.max", 0, required=False)
        group.write("memory", "memory.oom.group", 1, required=False)
        group.write("pids", "pids.max", processes)
        group.write("cpu", "cpu.max", f"{quota_us} {_PERIOD_US}", required=False)

    def release_cpu(self, group: Group) -> None:
        """Lift the CPU limit."""
        group.write("cpu", "cpu.max", "max", required=False)

    def usage(self, group: Group) -> Usage:
        """Return what the group counted so far."""
        peak = group.read("memory", "memory.peak")  # Linux 5.19
        cpu_us = _counter(group.read("cpu", "cpu.stat"), "usage_usec")
        return Usage(
            peak_mb=int(peak) / 2**20 if peak else None,
            cpu_s=cpu_us / 1e6,
            out_of_memory_kills=_counter(group.read("memory", "memory.events"), "oom_kill"),
            processes_denied=_counter(group.read("pids", "pids.events"), "max"),
        )


def find_hierarchy() -> Hierarchy | None:
    """Return a hierarchy of this process's own, swept of what dead launchers left; None if there is none."""
    for kind, parents in ((Version2, _parents_version_2()), (Version1, _parents_version_1())):
        if not parents:
            continue
        name = _own_name()
        made: list[Path] = []
        try:
            for parent in sorted(set(parents.values())):
                _sweep(parent)
                (parent / name).mkdir()
                made.append(parent / name)
                if kind is Version2:
                    _enable_controllers(parent / name)
            hierarchy = kind({controller: parent / name for controller, parent in parents.items()})
            hierarchy.create("probe", memory_mb=64, processes=8, cores=1).remove()
        except OSError:
            for directory in made:
                _remove_tree(directory)
            continue
        return hierarchy
    return None


def _own_paths() -> dict[str, str]:
    """Return this process's group in each hierarchy, by controllers; version 2 under an empty name."""
    paths = {}
    with contextlib.suppress(OSError):
        for line in Path("/proc/self/cgroup").read_text().splitlines():
            _, controllers, path = line.split(":", 2)
            for controller in controllers.split(","):
                paths[controller] = path
    return paths


def _mounted(kind: str) -> list[tuple[Path, str, set[str]]]:
    """Return (mount point, root within the hierarchy, options) of the cgroup mounts of a kind."""
    found = []
    with contextlib.suppress(OSError):
        for line in Path("/proc/self/mountinfo").read_text().splitlines():
            left, _, right = line.partition(" - ")
            fields, tail = left.split(), right.split()
            if tail[0] == kind:
                found.append((Path(fields[4]), fields[3], set(tail[2].split(","))))
    return found


def _directory(mount: Path, root: str, path: str) -> Path:
    inside = os.path.relpath(path, root) if root != "/" else path.lstrip("/")
    return mount / inside if not inside.startswith("..") else mount


def _parents_version_1() -> dict[str, Path]:
    """Return the own group's directory for each controller, or nothing unless all of them are there."""
    own = _own_paths()
    parents: dict[str, Path] = {}
    for mount, root, options in _mounted("cgroup"):
        for controller in _CONTROLLERS:
            if controller in options and controller in own:
                parents.setdefault(controller, _directory(mount, root, own[controller]))
    return parents if set(parents) == set(_CONTROLLERS) else {}


def _parents_version_2() -> dict[str, Path]:
    """Return a directory whose children can have controllers: the own group's or its parent's.

    A version 2 group that holds processes cannot hand controllers down, so it is usually the parent.
    """
    own = _own_paths().get("")
    for mount, root, _ in _mounted("cgroup2"):
        if own is None:
            continue
        here = _directory(mount, root, own)
        for candidate in (here, here.parent) if here != mount else (here,):
            with contextlib.suppress(OSError):
                _enable_controllers(candidate)
                return dict.fromkeys(("memory", "pids", "cpu"), candidate)
    return {}


def _enable_controllers(directory: Path) -> None:
    """Hand the controllers down to a version 2 group's children.

    Raises:
        OSError: If memory or pids cannot be had there.
    """
    control = directory / "cgroup.subtree_control"
    missing = {"memory", "pids"} - set(control.read_text().split())
    if missing:
        control.write_text(" ".join(f"+{name}" for name in sorted(missing)))
    with contextlib.suppress(OSError):
        control.write_text("+cpu")


def _counter(text: str, name: str) -> int:
    for line in text.splitlines():
        key, _, value = line.partition(" ")
        if key == name:
            return int(value)
    return 0


def _own_name() -> str:
    return f"mledojo-{os.stat('/proc/self/ns/pid').st_ino}-{os.getpid()}-{_start_time(os.getpid())}"


def _start_time(pid: int) -> str:
    """Return a process's start time in ticks since boot, empty if there is no such process."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return ""
    return text.rpartition(")")[2].split()[19]


def _sweep(parent: Path) -> None:
    """Remove the groups of launchers of this PID namespace that are no more."""
    namespace = str(os.stat("/proc/self/ns/pid").st_ino)
    for directory in parent.glob("mledojo-*"):
        match = _NAME.fullmatch(directory.name)
        if match and match.group(1) == namespace and _start_time(int(match.group(2))) != match.group(3):
            _remove_tree(directory)


def _remove_tree(directory: Path) -> None:
    """Kill what is left in a launcher's group and remove it."""
    with contextlib.suppress(OSError):
        for child in directory.iterdir():
            if child.is_dir():
                for pid in (child / "cgroup.procs").read_text().split():
                    with contextlib.suppress(OSError):
                        if int(pid):  # 0 is a process of a namespace out of sight
                            os.kill(int(pid), signal.SIGKILL)
                _remove_directory(child)
    _remove_directory(directory)


def _remove_directory(directory: Path) -> bool:
    """Remove a group's directory, which the kernel may call busy for a moment after its last process."""
    for _ in range(50):
        try:
            directory.rmdir()
        except FileNotFoundError:
            return True
        except OSError:
            time.sleep(0.002)
        else:
            return True
    return False
