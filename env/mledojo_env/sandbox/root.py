"""The file system an execution sees: planned on the host, built by the launcher's child.

Only what is listed here exists inside. Paths are the same on every machine:

    /opt/python   the interpreter and its standard library, relocated
    /opt/env      a virtual environment that holds the allowed distributions
    /usr /lib ..  the shared libraries of the system
    /data /work /tmp /dev/shm   mounted anew for each execution
"""

from __future__ import annotations

import os
import sys
import sysconfig
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from mledojo_env.sandbox import packages, syscalls
from mledojo_env.sandbox.syscalls import ATTR_NOEXEC, ATTR_NOSUID, ATTR_RDONLY, MS_NODEV, MS_NOEXEC, MS_NOSUID

PYTHON = "/opt/env/bin/python"
LIBRARY_PATH = "/opt/python/lib"
SESSIONS = "/sessions"  # the fork-server's own: an execution's namespace has it taken out
RUNTIME = "/run/mledojo_env/sandbox"  # this package, taken out once the fork-server has it

_VERSION = f"python{sys.version_info.major}.{sys.version_info.minor}"
_SITE = f"/opt/env/lib/{_VERSION}/site-packages"
_DEVICES = ("null", "zero", "full", "random", "urandom")
# The new root is assembled on top of a directory that every Linux has and nothing is bound from.
_ASSEMBLY = "/sys"
_USER = "agent"
USER_ID = 1000


@dataclass(frozen=True)
class RootPlan:
    """What the root holds: read-only binds, symbolic links and small files, by path inside."""

    binds: dict[str, str]  # target -> source on the host
    links: dict[str, str]
    files: dict[str, str]
    masks: list[str] = field(default_factory=list)  # directories inside binds that must appear empty

    def to_json(self) -> dict[str, Any]:
        """Return plain data for a message."""
        return asdict(self)


def plan_root(names: Iterable[str] = packages.DEFAULT_PACKAGES) -> RootPlan:
    """Plan a root for this interpreter with the installed distributions among `names`."""
    plan = RootPlan(binds={}, links={}, files=_etc_files())
    _plan_interpreter(plan)
    _plan_system_libraries(plan)
    for distribution in packages.resolve(names).values():
        for entry in packages.entries(distribution):
            plan.binds[f"{_SITE}/{entry.name}"] = str(entry.resolve())
    plan.binds[RUNTIME] = str(Path(__file__).resolve().parent)
    return plan


def _etc_files() -> dict[str, str]:
    return {
        "/etc/passwd": f"root:x:0:0::/:/sbin/nologin\n{_USER}:x:{USER_ID}:{USER_ID}::/work:/sbin/nologin\n",
        "/etc/group": f"root:x:0:\n{_USER}:x:{USER_ID}:\n",
        "/etc/hosts": "127.0.0.1 localhost\n",
        "/opt/env/pyvenv.cfg": "home = /opt/python/bin\ninclude-system-site-packages = false\n",
    }


def _plan_interpreter(plan: RootPlan) -> None:
    """Relocate the base interpreter to /opt/python and put a virtual environment in front of it.

    Python finds its standard library relative to its executable, so this works for pyenv, uv, conda,
    Debian's python3 and the official images alike; LD_LIBRARY_PATH covers a shared libpython. The virtual
    environment makes every flavour (Debian's dist-packages included) look into one site-packages.
    """
    stdlib = Path(sysconfig.get_path("stdlib"))
    plan.binds[f"/opt/python/bin/{_VERSION}"] = os.path.realpath(sys.executable)
    plan.binds[f"/opt/python/lib/{_VERSION}"] = str(stdlib.resolve())
    for name in ("site-packages", "dist-packages"):
        if (stdlib / name).is_dir():
            plan.masks.append(f"/opt/python/lib/{_VERSION}/{name}")
    plan.links["/opt/python/bin/python3"] = _VERSION
    plan.links["/opt/python/bin/python"] = _VERSION
    for name in ("python", "python3", _VERSION):
        plan.links[f"/opt/env/bin/{name}"] = f"/opt/python/bin/{_VERSION}"
    base = Path(sys.base_prefix)
    if base != Path("/usr"):  # there the libraries are the system's
        for library in sorted((base / "lib").glob("lib*.so*")):
            if library.is_symlink():
                plan.links[f"{LIBRARY_PATH}/{library.name}"] = os.path.basename(os.readlink(library))
            elif library.is_file():
                plan.binds[f"{LIBRARY_PATH}/{library.name}"] = str(library)


def _plan_system_libraries(plan: RootPlan) -> None:
    """Show the directories of shared libraries, and nothing else of /usr and /lib."""
    triplet = sysconfig.get_config_var("MULTIARCH") or f"{os.uname().machine}-linux-gnu"
    for top in ("/lib", "/lib64"):
        if os.path.islink(top):
            plan.links[top] = os.readlink(top)
    for name in (f"/usr/lib/{triplet}", f"/lib/{triplet}", "/usr/lib64", "/lib64"):
        directory = Path(name)
        if not directory.is_dir():
            continue
        real = directory.resolve()
        if not directory.is_symlink() and str(directory.parent.resolve() / directory.name) == name:
            plan.binds[name] = name
            # Some systems keep site-packages beside the libraries.
            plan.masks.extend(f"{name}/{found.name}" for found in directory.glob("python*") if found.is_dir())
        elif name not in plan.links and directory.is_symlink():
            plan.links[name] = os.path.relpath(real, directory.parent)
            if str(real) not in plan.binds:
                plan.binds[str(real)] = str(real)
                plan.masks.extend(str(found) for found in real.glob("python*") if found.is_dir())
    for name in ("/etc/ld.so.cache", "/etc/localtime"):
        if os.path.exists(name):
            plan.binds[name] = os.path.realpath(name)


def build_root(plan: RootPlan) -> None:
    """Assemble the planned root in this mount namespace, enter it and make it read-only.

    Raises:
        OSError: Naming the step the kernel refused.
    """
    syscalls.mount(None, "/", None, syscalls.MS_REC | syscalls.MS_PRIVATE)
    base = _ASSEMBLY
    syscalls.mount("tmpfs", base, "tmpfs", MS_NOSUID | MS_NODEV, "size=8m,mode=755")
    for path in ("/proc", "/data", "/work", "/tmp", "/run", "/dev/shm", SESSIONS):
        os.makedirs(base + path)
    for path, text in plan.files.items():
        os.makedirs(os.path.dirname(base + path), exist_ok=True)
        with open(base + path, "w") as file:
            file.write(text)
    for target, source in plan.binds.items():
        _make_mount_point(base + target, is_directory=os.path.isdir(source))
        syscalls.bind(source, base + target)
    for mask in plan.masks:
        syscalls.mount("tmpfs", base + mask, "tmpfs", MS_NOSUID | MS_NODEV, "size=4k,mode=755,ro")
    for path, text in plan.links.items():
        os.makedirs(os.path.dirname(base + path), exist_ok=True)
        if not os.path.lexists(base + path):
            os.symlink(text, base + path)
    _build_dev(base)
    syscalls.mount("proc", base + "/proc", "proc", MS_NOSUID | MS_NODEV | MS_NOEXEC)
    syscalls.enter_root(base)
    for path, options in (("/tmp", "size=64m"), ("/dev/shm", "size=64m"), (SESSIONS, "size=64k,mode=700")):
        syscalls.mount("tmpfs", path, "tmpfs", MS_NOSUID | MS_NODEV, options)
    fd = os.open("/", os.O_PATH | os.O_CLOEXEC)
    syscalls.set_mount_attributes(fd, ATTR_RDONLY, recursive=False)
    os.close(fd)


def _make_mount_point(path: str, *, is_directory: bool) -> None:
    if is_directory:
        os.makedirs(path, exist_ok=True)
        return
    os.makedirs(os.path.dirname(path), exist_ok=True)
    os.close(os.open(path, os.O_CREAT | os.O_WRONLY | os.O_CLOEXEC, 0o644))


def _build_dev(base: str) -> None:
    for name in _DEVICES:
        _make_mount_point(f"{base}/dev/{name}", is_directory=False)
        syscalls.bind(f"/dev/{name}", f"{base}/dev/{name}", ATTR_NOSUID | ATTR_NOEXEC)
    os.symlink("/proc/self/fd", f"{base}/dev/fd")
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        os.symlink(f"/proc/self/fd/{number}", f"{base}/dev/{name}")
