"""What a child of the fork-server in a container does to itself before it runs a script.

The container is the fence: its namespaces, control group, read-only root, user id and Docker's own filter
hold for the fork-server and the script alike, and there is no privilege to drop. What is added here keeps the
script from the fork-server, which runs as the same user: pid 1 of the namespace takes no signal and, not
being dumpable, shows neither memory nor descriptors; Landlock and two filters cover the rest.
"""

from __future__ import annotations

import dataclasses
import glob
import os
from dataclasses import dataclass

from mledojo_env.sandbox import jail, landlock, seccomp, syscalls

_READ_ONLY = ("/opt", "/usr", "/lib", "/lib64", "/etc", "/proc", "/data")
# Where libraries look for the number of cores; the group is the container's own.
_FACTS = ("/sys/fs/cgroup", "/sys/devices/system/cpu")
_READ_WRITE = ("/work", "/tmp", "/dev/shm")
_DEVICES = ("/dev/null", "/dev/zero", "/dev/full", "/dev/random", "/dev/urandom")
_ACCELERATORS = ("/dev/nvidia*", "/dev/nvidia-caps/*", "/dev/kfd", "/dev/dri/*")
# The fork-server shares the script's control group, and must get a word in to stop it.
_NICENESS = 10


@dataclass(frozen=True)
class Fences:
    """What the kernel inside the container offers."""

    landlock_abi: int  # 0: none
    filters: tuple[bytes, ...]  # seccomp; empty: Docker's alone
    has_cgroup: bool


def find_fences(*, has_cgroup: bool) -> Fences:
    """Return what can be put up here."""
    filters: tuple[bytes, ...] = ()
    if seccomp.is_supported():
        filters = (seccomp.build_filter(memory_files=has_cgroup), seccomp.build_self_only_filter())
    return Fences(landlock.abi_version(), filters, has_cgroup)


def enter(job: jail.Job, fds: jail.Descriptors, fences: Fences, baseline_bytes: int) -> None:
    """Turn this process into the sandbox of one execution.

    Args:
        job: Limits and identity.
        fds: Consumed: stdin, stdout, stderr and the report remain.
        fences: What to apply.
        baseline_bytes: Writable private memory the fork-server had, which the limit does not count.

    Raises:
        OSError: If the kernel refuses a step.
    """
    os.setsid()
    os.umask(0o022)
    os.chdir("/work")
    os.nice(_NICENESS)
    with open("/proc/self/oom_score_adj", "w") as file:
        file.write("1000")  # before the fork-server, and before the trainer
    # The fork-server counts too, as its user is the script's.
    shared = dataclasses.replace(job, processes=job.processes + 1)
    jail.set_limits(shared, baseline_bytes, in_cgroup=fences.has_cgroup)
    syscalls.prctl(syscalls.PR_SET_NO_NEW_PRIVS, 1)
    if fences.landlock_abi:
        devices = [*_DEVICES, *(path for pattern in _ACCELERATORS for path in glob.glob(pattern))]
        present = [path for path in (*_READ_ONLY, *_FACTS) if os.path.isdir(path)]
        landlock.restrict(present, _READ_WRITE, devices, fences.landlock_abi)
    for program in fences.filters:
        seccomp.install(program)
    jail.reset_signals()
    jail.arrange_descriptors(fds, job.open_files)
