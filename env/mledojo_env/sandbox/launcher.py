"""The process between the trainer and the sandbox: enters namespaces, starts the fork-server, supervises.

It runs in a session of its own (a Ctrl-C at the terminal does not reach it), sees its owner end through the
channel and a pidfd, and then ends everything: killing pid 1 of the fork-server's PID namespace takes every
process below with it, and their mount namespaces take the working directories along.

It is started as a bare interpreter (`python -I -S`) without the packages of its owner.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import sys
from pathlib import Path
from typing import Any

from mledojo_env.sandbox import cgroups, landlock, preload, protocol, seccomp, syscalls
from mledojo_env.sandbox.root import LIBRARY_PATH, PYTHON, RUNTIME, RootPlan, build_root
from mledojo_env.sandbox.supervisor import Stop, Supervisor

# Makes this package importable without running `mledojo_env/__init__.py`, whose imports are not there.
_BOOTSTRAP = """
import sys, types
for name, path in (("mledojo_env", {parent!r}), ("mledojo_env.sandbox", {package!r})):
    module = types.ModuleType(name)
    module.__path__ = [path]
    sys.modules[name] = module
from mledojo_env.sandbox import {module}
{module}.main(sys.argv[1:])
"""


def bootstrap(module: str, package: str) -> str:
    """Return the `-c` program that runs `main` of a module of this package, found at `package`."""
    return _BOOTSTRAP.format(parent=str(Path(package).parent), package=package, module=module)


class Refused(Exception):
    """The fork-server could not be started; the text says which step failed.

    Args:
        problem: What happened.
        by_kernel: Whether the kernel refused to isolate, rather than, say, a package to be imported.
    """

    def __init__(self, problem: str, *, by_kernel: bool) -> None:
        super().__init__(problem)
        self.by_kernel = by_kernel


def main(arguments: list[str]) -> None:
    """Start and supervise a fork-server. Arguments: the channel's descriptor and the owner's process id."""
    host = socket.socket(fileno=int(arguments[0]))
    host.set_inheritable(False)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    owner = os.pidfd_open(int(arguments[1]))
    header, fds = protocol.receive(host)
    if header is None:
        return
    config = json.loads(protocol.read_file(fds[0]))
    hierarchy = cgroups.find_hierarchy() if config["cgroups"] else None
    server_pid = None
    try:
        protections = _protections(hierarchy)
        _enter_namespaces(rootless=protections["rootless"])
        server, server_pid = _start_server(config, protections)
        supervisor = Supervisor(host, server, owner, hierarchy)
        message, _ = protocol.receive(server)
        if message is None or message["op"] == "failed":
            if message is None:
                raise Refused("the fork-server died while it started", by_kernel=False)
            raise Refused(message["problem"], by_kernel=message["by_kernel"])
        shown = {key: value for key, value in protections.items() if key != "filter"}
        protocol.send(host, {**message, "protections": shown})
        supervisor.run()
    except Refused as refusal:
        _say(host, {"op": "failed", "problem": str(refusal), "by_kernel": refusal.by_kernel})
    except Stop as stop:
        _say(host, {"op": "stopped", "problem": str(stop)})
    finally:
        if server_pid is not None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(server_pid, signal.SIGKILL)
            os.waitpid(server_pid, 0)
        if hierarchy is not None:
            hierarchy.remove()


def _say(host: socket.socket, message: dict[str, Any]) -> None:
    with contextlib.suppress(OSError):  # there may be nobody left to tell
        protocol.send(host, message)


def _protections(hierarchy: cgroups.Hierarchy | None) -> dict[str, Any]:
    counted = hierarchy is not None
    program = seccomp.build_filter(memory_files=counted) if seccomp.is_supported() else b""
    return {
        "rootless": os.geteuid() != 0,
        "landlock_abi": landlock.abi_version(),
        "filter": program.hex(),
        "seccomp": seccomp.is_supported(),
        "cgroups": 0 if hierarchy is None else hierarchy.version,
    }


def _enter_namespaces(*, rootless: bool) -> None:
    """Move to where the fork-server can be started and host directories can still be handed to it.

    Raises:
        Refused: If the kernel does not allow it.
    """
    try:
        if rootless:
            user, group = os.geteuid(), os.getegid()
            syscalls.unshare(syscalls.CLONE_NEWUSER)
            syscalls.map_user(0, user, 0, group)
        # A mount namespace that belongs to us, so that directories can be cloned for executions later.
        syscalls.unshare(syscalls.CLONE_NEWNS)
        syscalls.mount(None, "/", None, syscalls.MS_REC | syscalls.MS_SLAVE)
        syscalls.unshare(syscalls.CLONE_NEWPID)
    except OSError as error:
        raise Refused(syscalls.describe(error), by_kernel=True) from error


def _start_server(config: dict[str, Any], protections: dict[str, Any]) -> tuple[socket.socket, int]:
    """Fork the first process of the new PID namespace and return its channel and process id."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    pid = os.fork()
    if pid == 0:
        try:
            ours.close()
            _become_server(config, protections, theirs)
        except OSError as error:
            _say(theirs, {"op": "failed", "problem": syscalls.describe(error), "by_kernel": True})
        finally:
            os._exit(1)
    theirs.close()
    return ours, pid


def _become_server(config: dict[str, Any], protections: dict[str, Any], channel: socket.socket) -> None:
    """Build the root, enter it and become the fork-server.

    Raises:
        OSError: Naming the step the kernel refused.
    """
    syscalls.prctl(syscalls.PR_SET_PDEATHSIG, signal.SIGKILL)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    os.setsid()
    syscalls.unshare(
        syscalls.CLONE_NEWNS
        | syscalls.CLONE_NEWNET
        | syscalls.CLONE_NEWIPC
        | syscalls.CLONE_NEWUTS
        | syscalls.CLONE_NEWCGROUP
    )
    build_root(RootPlan(**config["plan"]))
    settings = {
        "modules": config["modules"],
        "warm_up": config["warm_up"],
        "rootless": protections["rootless"],
        "landlock_abi": protections["landlock_abi"],
        "seccomp": protections["filter"],
    }
    channel.set_inheritable(True)
    program = [PYTHON, "-s", "-P", "-c", bootstrap("forkserver", RUNTIME)]
    os.execve(
        PYTHON,
        [*program, str(channel.fileno()), json.dumps(settings)],
        {
            "PATH": os.path.dirname(PYTHON),
            "HOME": "/tmp",
            "LANG": "C.UTF-8",
            "LD_LIBRARY_PATH": LIBRARY_PATH,
            "PYTHONHASHSEED": "0",
            "PYTHONDONTWRITEBYTECODE": "1",
            "PYTHONUTF8": "1",
            **preload.SERVER_ENVIRONMENT,
        },
    )
