"""What a freshly forked child does to itself before it runs a script: from root to nobody in one function.

The child is pid 1 of a new PID namespace. Order matters: what needs privileges comes first, and each fence is
put up by the process it will hold. Whatever fails here is ours, not the script's: see `forkserver`.
"""

from __future__ import annotations

import fcntl
import os
import resource
import signal
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from mledojo_env.sandbox import landlock, root, seccomp, syscalls, written
from mledojo_env.sandbox.syscalls import MS_NODEV, MS_NOEXEC, MS_NOSUID

_READY = b"ready "
REPORT_FD = 3  # where the script's runner describes an uncaught exception
SCRATCH_MB = 256  # each of /tmp and /dev/shm
SCRATCH_FILES = 20_000

_MAX_FD = 4096  # the fork-server never holds more
_MAX_RLIMIT = 2**62
_DEVICES = ("/dev/null", "/dev/zero", "/dev/full", "/dev/random", "/dev/urandom")
_READ_ONLY = ("/opt", "/usr", "/lib", "/lib64", "/etc", "/proc", "/data")
_READ_WRITE = ("/work", "/tmp", "/dev/shm")


@dataclass(frozen=True)
class Fences:
    """What the kernel offers, found out once by the launcher."""

    rootless: bool
    landlock_abi: int  # 0: none
    seccomp: bytes  # the filter; empty: none


@dataclass(frozen=True)
class Job:
    """One execution as the fork-server hears of it; it never learns a path of the host."""

    id: int
    session: int
    user: int  # numeric user id it runs as (as root only)
    disk_mb: int
    memory_mb: int
    file_mb: int
    processes: int
    open_files: int
    cpu_s: float
    threads: int
    seed: int


@dataclass(frozen=True)
class Descriptors:
    """What the launcher hands over for one execution."""

    source: int
    stdout: int
    stderr: int
    report: int
    setup: int  # takes the word that `parse_ready` reads; any other, or none, is a failure of ours
    data: int  # a detached, read-only mount tree
    cgroups: Sequence[int] = ()  # cgroup.procs files to join

    @classmethod
    def of(cls, fds: Sequence[int]) -> Descriptors:
        """Name the descriptors of a message, in the order of the fields."""
        source, stdout, stderr, report, setup, data, *cgroups = fds
        return cls(source, stdout, stderr, report, setup, data, tuple(cgroups))


def enter(job: Job, fds: Descriptors, fences: Fences, baseline_bytes: int) -> None:
    """Turn this process into the sandbox of one execution.

    Args:
        job: Limits and identity.
        fds: Consumed: stdin, stdout, stderr and the report remain.
        fences: What to apply.
        baseline_bytes: Writable private memory the fork-server had, which the limit does not count.

    Raises:
        OSError: If the kernel refuses a step.
    """
    for cgroup in fds.cgroups:
        os.write(cgroup, b"0")
    syscalls.unshare(
        syscalls.CLONE_NEWNS
        | syscalls.CLONE_NEWNET
        | syscalls.CLONE_NEWIPC
        | syscalls.CLONE_NEWUTS
        | syscalls.CLONE_NEWCGROUP
    )
    _arrange_mounts(job, fds.data)
    syscalls.sethostname("sandbox")
    os.setsid()
    os.umask(0o022)
    with open("/proc/self/oom_score_adj", "w") as file:
        file.write("1000")  # should the whole machine run out of memory, this goes before the trainer
    _become_nobody(job.user, rootless=fences.rootless)
    # After the change of identity: a user namespace takes the limits of its creator for all its siblings.
    set_limits(job, baseline_bytes, in_cgroup=bool(fds.cgroups))
    syscalls.prctl(syscalls.PR_SET_NO_NEW_PRIVS, 1)
    # The fork-server is not dumpable; a script must be, or its own /proc/self belongs to root.
    syscalls.prctl(syscalls.PR_SET_DUMPABLE, 1)
    if fences.landlock_abi:
        landlock.restrict(
            [path for path in _READ_ONLY if os.path.isdir(path)], _READ_WRITE, _DEVICES, fences.landlock_abi
        )
    if fences.seccomp:
        seccomp.install(fences.seccomp)
    reset_signals()
    arrange_descriptors(fds, job.open_files)


def _arrange_mounts(job: Job, data: int) -> None:
    options = MS_NOSUID | MS_NODEV
    syscalls.bind(f"{root.SESSIONS}/{job.session}", "/work", syscalls.ATTR_NOSUID | syscalls.ATTR_NODEV)
    syscalls.detach(root.SESSIONS)  # with everyone else's working directory below it
    syscalls.attach_tree(data, "/data")
    scratch = f"size={SCRATCH_MB}m,nr_inodes={SCRATCH_FILES},mode=1777"
    syscalls.mount("tmpfs", "/tmp", "tmpfs", options, scratch)
    syscalls.mount("tmpfs", "/dev/shm", "tmpfs", options | MS_NOEXEC, scratch)
    # Only the processes of this namespace; none of the machine's facts and switches.
    syscalls.mount("proc", "/proc", "proc", options | MS_NOEXEC, "subset=pid")
    os.chdir("/work")


def set_limits(job: Job, baseline_bytes: int, *, in_cgroup: bool) -> None:
    """Set what the kernel enforces for each process by itself, whether or not there are cgroups.

    The data limit lies a little under the cgroup's, so that a script meets a MemoryError it can read before
    it meets the out-of-memory killer. The process limit lies a little over it, as only the cgroup counts how
    often it refused.
    """
    cpu_s = int(job.cpu_s) + 1
    limits = {
        resource.RLIMIT_CORE: 0,
        resource.RLIMIT_CPU: cpu_s,
        resource.RLIMIT_DATA: baseline_bytes + int(job.memory_mb * 2**20 * 0.95),
        resource.RLIMIT_FSIZE: job.file_mb * 2**20,
        resource.RLIMIT_NPROC: job.processes + in_cgroup,
        resource.RLIMIT_MEMLOCK: 2**16,
        resource.RLIMIT_MSGQUEUE: 0,
    }
    for kind, value in limits.items():
        _set_limit(kind, value)
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)  # a file too large is an error to read, not a death


def _set_limit(kind: int, value: int) -> None:
    _, ceiling = resource.getrlimit(kind)
    value = min(value, _MAX_RLIMIT if ceiling == resource.RLIM_INFINITY else ceiling)
    resource.setrlimit(kind, (value, value))


def _become_nobody(user: int, *, rootless: bool) -> None:
    if rootless:
        # A user namespace of its own: a user id that is not root inside, and a process count of its own.
        syscalls.prctl(syscalls.PR_SET_DUMPABLE, 1)
        outside, group_outside = os.getuid(), os.getgid()
        syscalls.unshare(syscalls.CLONE_NEWUSER)
        syscalls.map_user(root.USER_ID, outside, root.USER_ID, group_outside)
        syscalls.drop_capability_bounds()
    else:
        syscalls.drop_capability_bounds()
        os.setgroups([])
        os.setresgid(user, user, user)
        os.setresuid(user, user, user)
    syscalls.drop_capabilities()


def reset_signals() -> None:
    """Handle signals as a program that was just started does."""
    for number in (signal.SIGTERM, signal.SIGPIPE, signal.SIGCHLD, signal.SIGHUP):
        signal.signal(number, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.pthread_sigmask(signal.SIG_SETMASK, ())


def arrange_descriptors(fds: Descriptors, open_files: int) -> None:
    """Put the standard streams in place and close everything else but the report.

    The last word on `setup` is said and the descriptor gone before a line of the script runs, so that no
    script can pass its own failure off as ours.
    """
    null = os.open("/dev/null", os.O_RDONLY | os.O_CLOEXEC)
    # Above everything, so that no dup2 below lands on one still needed.
    moved = [_above(fd, 64) for fd in (null, fds.stdout, fds.stderr, fds.report)]
    for target, fd in enumerate(moved):
        os.dup2(fd, target, inheritable=target < REPORT_FD)
    setup = _above(fds.setup, 64)
    os.closerange(REPORT_FD + 1, setup)
    os.closerange(setup + 1, _MAX_FD)
    _set_limit(resource.RLIMIT_NOFILE, open_files)  # last: it counts numbers, and those above are high
    os.write(setup, _READY + str(written.count(written.OWN)).encode())
    os.close(setup)


def parse_ready(setup: bytes) -> tuple[str, int]:
    """Return why an execution could not be set up, or nothing, and the bytes written up to its first line."""
    word, count = setup[: len(_READY)], setup[len(_READY) :]
    if word != _READY or not count.isdigit():
        return setup.decode(errors="replace") or "it was cut short", 0
    return "", int(count) + len(setup)


def _above(fd: int, floor: int) -> int:
    return fcntl.fcntl(fd, fcntl.F_DUPFD_CLOEXEC, floor)


def parse_job(header: dict[str, Any]) -> Job:
    """Return the job a message describes."""
    return Job(**header["job"])
