"""How an evaluation was played: saved beside its results, printed, and compared before results are."""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from importlib import metadata
from pathlib import Path
from typing import Any

from mledojo_env.errors import ConfigError
from mledojo_train.config import EvalRun

FILE = "protocol.json"
_RULES = ("max_steps", "max_seconds", "execute_timeout_s", "score_visibility", "max_feedback_chars")
_PACKAGES = ("mledojo-train", "scikit-learn", "pandas", "numpy", "torch", "transformers", "trl", "peft")


@dataclass(frozen=True)
class Protocol:
    """What an evaluation promised to play, and where.

    `rules` and the data of shared `tasks` must be equal for two results to be compared; the rest tells.
    """

    rules: dict[str, Any]  # budgets and what the agent sees
    tasks: dict[str, str]  # id -> hash of its data
    policies: dict[str, str]  # name -> spec
    episodes: int  # a task and policy
    seed: int
    preset: str | None = None
    prompt_style: str = "full"
    action_format: str = "fenced"
    sampling: dict[str, Any] = field(default_factory=dict)
    sandbox: str = "local"
    versions: dict[str, str] = field(default_factory=dict)
    hardware: dict[str, Any] = field(default_factory=dict)

    def clashes(self, other: Protocol) -> list[str]:
        """Return why results of the two are not to be compared, a sentence each."""
        found = [
            f"{name} is {self.rules.get(name)} in one and {other.rules.get(name)} in the other"
            for name in sorted(self.rules.keys() | other.rules.keys())
            if self.rules.get(name) != other.rules.get(name)
        ]
        changed = [t for t in self.tasks if self.tasks[t] != other.tasks.get(t, self.tasks[t])]
        return found + [f"the data of {task} is not the same" for task in changed]

    def lines(self) -> list[tuple[str, str]]:
        """Return the protocol as pairs of a name and a text, for people."""
        rules = self.rules
        timeout = rules.get("execute_timeout_s")
        return [
            ("preset", self.preset or "none"),
            ("tasks", str(len(self.tasks))),
            ("episodes a task and policy", f"{self.episodes}, from seed {self.seed}"),
            ("steps an episode", f"{rules.get('max_steps')}"),
            ("seconds an episode", f"{rules.get('max_seconds'):g}"),
            ("seconds a script", "the task's limit" if timeout is None else f"{timeout:g}"),
            ("tokens an episode", f"{rules.get('max_tokens')}"),
            ("scores shown", f"{rules.get('score_visibility')}"),
            ("prompt, actions", f"{self.prompt_style}, {self.action_format}"),
            ("sampling", ", ".join(f"{k} {v}" for k, v in self.sampling.items())),
            ("sandbox", self.sandbox),
            ("hardware", ", ".join(f"{v} {k}" for k, v in self.hardware.items())),
            ("versions", ", ".join(f"{k} {v}" for k, v in self.versions.items())),
        ]

    def save(self, folder: Path) -> None:
        """Write protocol.json."""
        (folder / FILE).write_text(json.dumps(asdict(self), indent=2) + "\n")


def protocol_of(config: EvalRun, tasks: Mapping[str, str]) -> Protocol:
    """Return the protocol of a configuration; `tasks` are ids with the hashes of their data."""
    sampling = config.sampling
    return Protocol(
        rules={name: getattr(config.episode, name) for name in _RULES} | {"max_tokens": config.max_tokens},
        tasks=dict(tasks),
        policies=dict(config.policies),
        episodes=config.episodes,
        seed=config.seed,
        preset=config.preset,
        prompt_style=config.episode.prompt_style,
        action_format=config.action_format,
        sampling={
            name: getattr(sampling, name) for name in ("temperature", "top_p", "top_k", "max_new_tokens")
        },
        sandbox=config.sandbox.backend,
        versions=_versions(),
        hardware=_hardware(),
    )


def read_protocol(folder: Path) -> Protocol | None:
    """Return the protocol of a run; None for one that never wrote it.

    Raises:
        ConfigError: If the file is broken.
    """
    path = folder / FILE
    if not path.is_file():
        return None
    try:
        return Protocol(**json.loads(path.read_text()))
    except (ValueError, TypeError) as error:
        raise ConfigError(f"{path} is no protocol of an evaluation: {error}.") from error


def _versions() -> dict[str, str]:
    found = {"python": platform.python_version()}
    for name in _PACKAGES:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found


def _hardware() -> dict[str, Any]:
    """Return cores, memory and accelerators; nothing that names the machine."""
    import psutil
    import torch

    found: dict[str, Any] = {
        "cores": os.cpu_count(),
        "GB of memory": round(psutil.virtual_memory().total / 1e9),
    }
    if torch.cuda.is_available():
        found[torch.cuda.get_device_name(0)] = torch.cuda.device_count()
    return found
