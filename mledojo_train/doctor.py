"""What this machine can do: the sandbox, Docker, accelerators, the hub, room to work."""

from __future__ import annotations

import os
import shutil
import sys
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version

from mledojo_env.catalog import list_tasks
from mledojo_env.errors import MLEDojoError
from mledojo_env.prepare import cache_root

MIN_FREE_GB = 5.0
HUB_TIMEOUT_S = 3.0


@dataclass(frozen=True)
class Fact:
    """One thing about this machine; `required` ones must be ok before a task can be played."""

    name: str
    ok: bool
    detail: str
    fix: str = ""
    required: bool = False


def examine() -> list[Fact]:
    """Return what was found, the most important first."""
    return [_python(), _tasks(), *_sandbox(), _cores(), _disk(), *_packages(), _gpu(), *_docker(), _hub()]


def _python() -> Fact:
    found = ".".join(map(str, sys.version_info[:3]))
    return Fact("python", True, f"{found} at {sys.executable}", required=True)


def _tasks() -> Fact:
    try:
        entries = list_tasks()
    except MLEDojoError as error:
        return Fact(
            "tasks", False, str(error), "Reinstall the package, or mend the file named.", required=True
        )
    ready = sum(entry.ready for entry in entries)
    return Fact("tasks", ready > 0, f"{ready} of {len(entries)} ready", required=True)


def _sandbox() -> list[Fact]:
    from mledojo_env.sandbox.probe import machine_facts

    return [
        Fact(f"sandbox {fact.name}", fact.ok, fact.detail, fact.fix, required=fact.name == "isolation")
        for fact in machine_facts()
    ]


def _cores() -> Fact:
    usable = len(os.sched_getaffinity(0))
    memory_gb = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9
    return Fact("cores and memory", True, f"{usable} cores, {memory_gb:.0f} GB")


def _disk() -> Fact:
    place = cache_root()
    while not place.exists() and place != place.parent:
        place = place.parent
    free_gb = shutil.disk_usage(place).free / 1e9
    writable = place.is_dir() and os.access(place, os.W_OK | os.X_OK)
    detail = f"{free_gb:.0f} GB free for the task cache {cache_root()}" + (
        "" if writable else ", not writable"
    )
    fix = "Set MLEDOJO_CACHE to a folder with room that you own."
    return Fact("disk", writable and free_gb >= MIN_FREE_GB, detail, fix, required=not writable)


def _packages() -> list[Fact]:
    facts = []
    for name in ("torch", "transformers", "trl", "peft", "accelerate"):
        try:
            facts.append(Fact(name, True, version(name)))
        except PackageNotFoundError:
            facts.append(Fact(name, False, "not installed", "pip install mledojo-train"))
    return facts


def _gpu() -> Fact:
    try:
        import torch
    except ImportError:
        return Fact("gpu", False, "torch is not installed", "pip install torch")
    if torch.cuda.is_available():
        names = [torch.cuda.get_device_name(place) for place in range(torch.cuda.device_count())]
        return Fact("gpu", True, ", ".join(names))
    why = "this torch is a CPU build" if torch.version.cuda is None else "no CUDA device is visible"
    return Fact(
        "gpu", False, f"none: {why}", "Not needed for the quickstart; for a GPU install a CUDA torch."
    )


def _docker() -> list[Fact]:
    from mledojo_env.sandbox import engine

    return [Fact(fact.name, fact.ok, fact.detail, fact.fix) for fact in engine.facts()]


def _hub() -> Fact:
    import socket
    from urllib.parse import urlparse

    fix = "Not needed for the quickstart; models then come from local folders."
    if os.environ.get("HF_HUB_OFFLINE") == "1":
        return Fact("model hub", False, "HF_HUB_OFFLINE=1", fix)
    host = urlparse(os.environ.get("HF_ENDPOINT", "https://huggingface.co")).hostname or ""
    try:
        socket.create_connection((host, 443), timeout=HUB_TIMEOUT_S).close()
    except OSError as error:
        return Fact("model hub", False, f"{host} cannot be reached: {error}", fix)
    return Fact("model hub", True, f"{host} answers")
