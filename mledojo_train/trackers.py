"""An evaluation's figures in TensorBoard, W&B or Trackio, where training's go through `trainer.report_to`."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from mledojo_env.errors import ConfigError, did_you_mean
from mledojo_train.config import to_mapping
from mledojo_train.results import Row


class Tracked:
    """Means so far of each policy, told after each episode."""

    def __init__(self, accelerator: Any) -> None:
        self._accelerator = accelerator
        self._sums: dict[str, list[float]] = {}
        self._episodes = 0

    def add(self, row: Row) -> None:
        """Take note of an episode, and tell."""
        self._episodes += 1
        if row["broken"] or self._accelerator is None:
            return
        sums = self._sums.setdefault(row["policy"], [0.0] * 4)
        for place, value in enumerate((1.0, row["rank"], row["valid"], row["policy_tokens"])):
            sums[place] += value
        count, rank, valid, tokens = sums
        name = f"eval/{row['policy']}"
        figures = {"episodes": count, "rank": rank / count, "valid": valid / count, "tokens": tokens / count}
        self._accelerator.log({f"{name}/{key}": value for key, value in figures.items()}, step=self._episodes)


@contextmanager
def trackers(names: Sequence[str], folder: Path, config: Any) -> Iterator[Tracked]:
    """Yield what tells a run's figures to trackers by name, through accelerate; nothing for no names.

    Raises:
        ConfigError: If there is no such tracker, or it is not installed.
    """
    if not names:
        yield Tracked(None)
        return
    from accelerate import Accelerator
    from accelerate.tracking import LOGGER_TYPE_TO_CLASS, get_available_trackers

    available = [str(getattr(name, "value", name)) for name in get_available_trackers()]
    for name in names:
        if name not in LOGGER_TYPE_TO_CLASS:
            known = ", ".join(LOGGER_TYPE_TO_CLASS)
            hint = did_you_mean(name, LOGGER_TYPE_TO_CLASS)
            raise ConfigError(f"Unknown tracker {name!r} in report_to; expected {known}.{hint}")
        if name not in available:
            raise ConfigError(f"report_to names {name}, which is not installed: pip install {name}")
    accelerator = Accelerator(log_with=list(names), project_dir=str(folder))
    accelerator.init_trackers("mledojo-eval", config=_flat(to_mapping(config)))
    try:
        yield Tracked(accelerator)
    finally:
        accelerator.end_training()


def _flat(value: Any, prefix: str = "") -> dict[str, Any]:
    """Return a nested mapping as `a.b` -> value; what trackers cannot hold as text."""
    found: dict[str, Any] = {}
    for key, one in value.items():
        if isinstance(one, dict):
            found |= _flat(one, f"{prefix}{key}.")
        else:
            found[prefix + key] = one if isinstance(one, (bool, int, float, str)) else str(one)
    return found
