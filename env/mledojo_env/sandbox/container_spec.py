"""What a container is made of: the whole of its confinement, and the program sent into it."""

from __future__ import annotations

import json
import secrets
import zlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mledojo_env.sandbox import jail, preload
from mledojo_env.sandbox.base import Limits

WORK_FILES = 20_000
_PYTHON = "/opt/env/bin/python"
_FIRST_USER, _USERS = 2**30, 2**30  # Docker takes numbers below 2**31
PERIOD_US = 100_000
CPU_SHARES = 1024  # the engine's default weight
_YIELDING_SHARES = 32
_SPARE_MB = 1024  # above the limit until it is known what the fork-server itself takes
_MAX_PROCESSES = 2**22 - 2  # the kernel's most, less the fork-server
_MAX_MB = 2**24
_PACKAGE = Path(__file__).resolve().parent

# What runs inside, each after what it imports.
_MODULES = (
    "errors",
    "sandbox.syscalls",
    "sandbox.landlock",
    "sandbox.seccomp",
    "sandbox.packages",
    "sandbox.root",
    "sandbox.protocol",
    "sandbox.frames",
    "sandbox.cgroups",
    "sandbox.capture",
    "sandbox.preload",
    "sandbox.script",
    "sandbox.watchdog",
    "sandbox.workdir",
    "sandbox.written",
    "sandbox.jail",
    "sandbox.container_jail",
    "sandbox.meter",
    "sandbox.resident",
)

_BOOTSTRAP = """
import json, os, sys, types, zlib
def take(size):
    data = b""
    while len(data) < size:
        piece = os.read(0, size - len(data))
        if not piece:
            os._exit(0)
        data += piece
    return data
cargo = json.loads(zlib.decompress(take(int.from_bytes(take(8), "big"))))
for name in ("mledojo_env", "mledojo_env.sandbox"):
    sys.modules[name] = types.ModuleType(name)
    sys.modules[name].__path__ = []
sys.modules["mledojo_env"].sandbox = sys.modules["mledojo_env.sandbox"]
for name, source in cargo["modules"]:
    module = sys.modules[name] = types.ModuleType(name)
    parent, _, last = name.rpartition(".")
    setattr(sys.modules[parent], last, module)
    exec(compile(source, name, "exec", dont_inherit=True), module.__dict__)
config = cargo["config"]
del cargo, source
module.main(config)
"""


@dataclass(frozen=True)
class Spec:
    """What containers of a pool have in common.

    Attributes:
        image: Name of the image.
        data: Folders or volumes that executions read, mounted read-only; each sees one of them as /data.
        data_is_volume: Which of the two they are.
        disk_mb: Size of the working directory.
        runtime: Container runtime, e.g. "runsc"; None for the engine's default.
        gpus: "all", a number of GPUs or a list of device ids; None for none.
        modules: What the fork-server imports first.
        warm_up: Whether it fits a model once before it serves.
        labels: To be recognised by.
    """

    image: str
    data: tuple[str, ...]
    data_is_volume: bool
    disk_mb: int
    runtime: str | None = None
    gpus: str | int | tuple[str, ...] | None = None
    modules: Sequence[str] = preload.DEFAULT_MODULES
    warm_up: bool = True
    labels: dict[str, str] = field(default_factory=dict, hash=False, compare=False)


@dataclass(frozen=True)
class Fit:
    """The limits that a container's control group holds, and that an execution may change."""

    memory_mb: int
    processes: int
    cores: int

    @classmethod
    def of(cls, limits: Limits) -> Fit:
        """Return those of an execution's limits."""
        return cls(min(limits.memory_mb, _MAX_MB), min(limits.processes, _MAX_PROCESSES), limits.threads)


def quota_us(cores: int) -> int:
    """Return the CPU time of a period: the cores', and a little for the fork-server, which shares it."""
    return cores * PERIOD_US + PERIOD_US // 10


def options(spec: Spec, fit: Fit, *, yields: bool) -> dict[str, Any]:
    """Return what `containers.create` is told: the whole of a container's confinement."""
    from docker.types import DeviceRequest, LogConfig, Mount, Ulimit

    user = _FIRST_USER + secrets.randbelow(_USERS)  # shared with no other container
    kind = "volume" if spec.data_is_volume else "bind"
    scratch = f"size={jail.SCRATCH_MB}m,nr_inodes={jail.SCRATCH_FILES},mode=1777"
    memory = f"{fit.memory_mb + _SPARE_MB}m"
    devices = []
    if spec.gpus is not None:
        which: dict[str, Any] = {"count": -1 if spec.gpus == "all" else spec.gpus}
        if isinstance(spec.gpus, tuple):
            which = {"device_ids": list(spec.gpus)}
        devices.append(DeviceRequest(capabilities=[["gpu"]], **which))
    return {
        "image": spec.image,
        "command": [_PYTHON, "-s", "-P", "-c", _BOOTSTRAP],
        "entrypoint": [],
        "stdin_open": True,  # and closed when we are gone
        "user": f"{user}:{user}",
        "working_dir": "/work",
        "hostname": "sandbox",
        "environment": {
            "HOME": "/tmp",
            "LANG": "C.UTF-8",
            "PYTHONHASHSEED": "0",
            "PYTHONDONTWRITEBYTECODE": "1",
            "PYTHONUTF8": "1",
            **preload.SERVER_ENVIRONMENT,
        },
        "network_mode": "none",
        "ipc_mode": "private",
        "read_only": True,
        "cap_drop": ["ALL"],
        "security_opt": ["no-new-privileges:true"],
        "mem_limit": memory,
        "memswap_limit": memory,
        "pids_limit": fit.processes + 1,
        "cpu_shares": _YIELDING_SHARES if yields else CPU_SHARES,
        "cpu_period": PERIOD_US,
        "cpu_quota": quota_us(fit.cores),
        "ulimits": [Ulimit(name="core", soft=0, hard=0)],
        "tmpfs": {
            "/work": f"exec,size={spec.disk_mb}m,nr_inodes={WORK_FILES},mode=700,uid={user},gid={user}",
            "/run/sandbox": f"size=16k,nr_inodes=16,mode=755,uid={user},gid={user}",  # where /data leads to
            "/tmp": f"exec,{scratch}",
            "/dev/shm": scratch,
        },
        "mounts": [
            Mount(f"/public/{place}", source, type=kind, read_only=True)
            for place, source in enumerate(spec.data)
        ],
        "log_config": LogConfig(type="none"),  # the stream is ours; nothing of it goes to a disk
        "device_requests": devices,
        "runtime": spec.runtime,
        "labels": spec.labels,
    }


def shipment(spec: Spec) -> bytes:
    """Return the program and its configuration as the bootstrap expects them."""
    modules = []
    for name in _MODULES:
        path = _PACKAGE.parent / (name.replace(".", "/") + ".py")
        modules.append((f"mledojo_env.{name}", path.read_text()))
    config = {"modules": list(spec.modules), "warm_up": spec.warm_up}
    data = zlib.compress(json.dumps({"modules": modules, "config": config}).encode(), 1)
    return len(data).to_bytes(8, "big") + data
