"""What this machine offers to isolate code, told in words; `mledojo-train doctor` prints it."""

from __future__ import annotations

import asyncio
import os
import re
import tempfile
from dataclasses import dataclass
from pathlib import Path

from mledojo_env.errors import SandboxError
from mledojo_env.sandbox import landlock, seccomp

MINIMUM = (
    "The local sandbox needs, for each script, a mount, a PID and a network namespace and a root of its own; "
    "without them it does not start."
)
OLDEST_KERNEL = (5, 12)  # mount_setattr; openat2, pidfds and open_tree came before

_PROBE_SCRIPT = """
import os
status = dict(line.split(":\\t", 1) for line in open("/proc/self/status").read().splitlines())
assert os.getuid() != 0 and int(status["CapEff"], 16) == 0 and status["NoNewPrivs"] == "1"
assert os.listdir("/proc/self/task") == ["1"], "not alone"
"""


@dataclass(frozen=True)
class Fact:
    """One thing about this machine.

    Attributes:
        name: What it is about.
        ok: Whether it is as the sandbox wants it. Only `isolation` is required; the others add to it.
        detail: What was found.
        fix: What to do about it; empty if nothing is to be done.
    """

    name: str
    ok: bool
    detail: str
    fix: str = ""


def machine_facts() -> list[Fact]:
    """Return what this machine can do for the sandbox; starts one for a moment to see that it works."""
    isolation, cgroup_version = _isolation()
    return [_kernel(), isolation, _cgroups(cgroup_version), _landlock(), _seccomp()]


def _kernel() -> Fact:
    release = os.uname().release
    wanted = ".".join(map(str, OLDEST_KERNEL))
    if _kernel_version() >= OLDEST_KERNEL:
        return Fact("kernel", True, f"Linux {release}")
    return Fact("kernel", False, f"Linux {release}; expected {wanted} or newer", "Boot a newer kernel.")


def _kernel_version() -> tuple[int, int]:
    match = re.match(r"(\d+)\.(\d+)", os.uname().release)
    return (int(match.group(1)), int(match.group(2))) if match else (0, 0)


def _isolation() -> tuple[Fact, int]:
    """Start a bare sandbox, run a script in it, and return the outcome and the cgroup version in use."""
    from mledojo_env.sandbox.base import Limits
    from mledojo_env.sandbox.local import LocalSandbox

    async def run(sandbox: LocalSandbox, data: Path) -> str:
        session = await sandbox.session()
        result = await session.run(_PROBE_SCRIPT, data, Limits(timeout_s=20))
        return "" if result.ok else f"{result.message} {result.stderr}"

    name = "isolation"
    try:
        with tempfile.TemporaryDirectory() as folder, LocalSandbox(packages=(), preload=False) as sandbox:
            os.chmod(folder, 0o755)
            problem = asyncio.run(run(sandbox, Path(folder)))
            protections = sandbox.protections()
    except SandboxError as error:
        return Fact(name, False, f"{error}\n{MINIMUM}", "See the message; or use another machine."), 0
    if problem:
        return Fact(name, False, f"a test script was not isolated: {problem}", "Please report this."), 0
    how = "as an ordinary user, in a user namespace" if protections["rootless"] else "as root"
    return Fact(name, True, f"own namespaces and root for each execution, started {how}"), protections[
        "cgroups"
    ]


def _cgroups(version: int) -> Fact:
    if version:
        detail = f"version {version}: memory, processes and CPU of a whole execution are limited"
        return Fact("cgroups", True, detail)
    return Fact(
        "cgroups",
        False,
        "not writable: limits hold for each process and for the number of processes, not for their sum",
        "Run as root, or under `systemd-run --user --scope -p Delegate=yes`.",
    )


def _landlock() -> Fact:
    abi = landlock.abi_version()
    if abi:
        return Fact("landlock", True, f"ABI {abi}")
    return Fact(
        "landlock", False, "not in this kernel or not enabled", "Add landlock to the boot option lsm=."
    )


def _seccomp() -> Fact:
    if seccomp.is_supported():
        return Fact("seccomp", True, f"filter for {os.uname().machine}")
    return Fact("seccomp", False, f"no filter for {os.uname().machine} or none in this kernel")


def explain_refusal(problem: str) -> str:
    """Return why the sandbox cannot start here and what to enable.

    Args:
        problem: The step that the kernel refused, with its error.
    """
    hints = _hints() or ["Run as root, or on a machine that allows user namespaces to ordinary users."]
    hints.append(
        "or, at your own risk and only for code that you would run yourself: --sandbox.unsafe true, which "
        "keeps the limits, and the system call filter and Landlock where the kernel has them"
    )
    lines = "\n".join(f"  - {hint}" for hint in hints)
    summary = f"This machine does not let us isolate code ({problem}), and none is run without it."
    return f"{summary}\nTo enable it:\n{lines}"


def _hints() -> list[str]:
    hints = []
    if _kernel_version() < OLDEST_KERNEL:
        hints.append(_kernel().detail)
    if os.geteuid() != 0:
        for name, bad, fix in (
            ("kernel/unprivileged_userns_clone", "0", "sysctl -w kernel.unprivileged_userns_clone=1"),
            (
                "kernel/apparmor_restrict_unprivileged_userns",
                "1",
                "sysctl -w kernel.apparmor_restrict_unprivileged_userns=0",
            ),
            ("user/max_user_namespaces", "0", "sysctl -w user.max_user_namespaces=10000"),
        ):
            if _sysctl(name) == bad:
                hints.append(f"as root: {fix}")
    if os.path.exists("/.dockerenv") or os.path.exists("/run/.containerenv"):
        hints.append(
            "this is a container: start it with --cap-add SYS_ADMIN --security-opt seccomp=unconfined "
            "--security-opt apparmor=unconfined --security-opt systempaths=unconfined"
        )
    return hints


def _sysctl(name: str) -> str:
    try:
        return Path("/proc/sys", name).read_text().strip()
    except OSError:
        return ""
