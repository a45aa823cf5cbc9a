"""What a running job has done so far, read from the files that it writes; the job knows nothing of it."""

from __future__ import annotations

import json
import time
from collections import Counter, deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mledojo_env.errors import ConfigError
from mledojo_train.protocol import read_protocol
from mledojo_train.results import FILE

if TYPE_CHECKING:
    from rich.console import Group

_WINDOW_S = 300.0  # over which throughput is taken


@dataclass
class Tally:
    """The episodes of one policy."""

    done: int = 0
    broken: int = 0
    valid: int = 0
    rank: float = 0.0
    steps: int = 0
    failed: int = 0

    def add(self, found: dict[str, Any]) -> None:
        """Count an episode."""
        self.done += 1
        self.broken += found["broken"]
        if not found["broken"]:
            self.valid += found["valid"]
            self.rank += found["rank"]
            self.steps += found["steps"]
            self.failed += found["failed"]


class _Tail:
    """The whole lines that a file has grown by, each read once."""

    def __init__(self, path: Path) -> None:
        self._path, self._place = path, 0

    def lines(self) -> Iterator[dict[str, Any]]:
        try:
            with self._path.open("rb") as file:
                file.seek(self._place)
                data = file.read()
        except OSError:
            return
        whole = data[: data.rfind(b"\n") + 1]
        self._place += len(whole)
        for line in whole.splitlines():
            try:
                found = json.loads(line)
            except ValueError:
                continue  # cut by a crash; the job says so itself
            if isinstance(found, dict):
                yield found


@dataclass
class Watch:
    """A job's folder, looked at again and again.

    Raises:
        ConfigError: If the folder is none of a job's.
    """

    folder: Path
    clock: Callable[[], float] = time.monotonic
    tallies: dict[str, Tally] = field(default_factory=dict)
    last: dict[str, Any] = field(default_factory=dict)  # the newest figures of a trainer

    def __post_init__(self) -> None:
        known = (FILE, "protocol.json", "log.jsonl", "trajectories.jsonl", "rollouts-0.jsonl", "config.yaml")
        if not any((self.folder / name).exists() for name in known):
            raise ConfigError(
                f"{self.folder} holds no run: found none of {', '.join(known)}. Name its output_dir."
            )
        self._results = _Tail(self.folder / FILE)
        self._log = _Tail(self.folder / "log.jsonl")
        self._rollouts: dict[Path, _Tail] = {}
        self._seen: deque[tuple[float, int]] = deque()

    def look(self) -> None:
        """Read what is new."""
        for row in self._results.lines():
            self._count(row.get("policy", "?"), {**row, "failed": sum(row.get("failures", {}).values())})
        if not (self.folder / FILE).exists():
            for path in sorted([*self.folder.glob("rollouts-*.jsonl"), self.folder / "trajectories.jsonl"]):
                for record in self._rollouts.setdefault(path, _Tail(path)).lines():
                    self._count(_policy(record), _outcome(record))
        for figures in self._log.lines():
            self.last |= figures
        self._seen.append((self.clock(), self.done))
        while len(self._seen) > 2 and self._seen[0][0] < self._seen[-1][0] - _WINDOW_S:
            self._seen.popleft()

    def _count(self, policy: str, outcome: dict[str, Any]) -> None:
        self.tallies.setdefault(policy, Tally()).add(outcome)

    @property
    def done(self) -> int:
        """How many episodes have ended."""
        return sum(tally.done for tally in self.tallies.values())

    @property
    def planned(self) -> int | None:
        """How many are to be played; None where the job did not say."""
        protocol = read_protocol(self.folder)
        if protocol is None:
            return None
        return len(protocol.policies) * len(protocol.tasks) * protocol.episodes

    @property
    def per_minute(self) -> float | None:
        """Episodes a minute of late; None before two looks."""
        if len(self._seen) < 2 or self._seen[-1][0] <= self._seen[0][0]:
            return None
        (began, before), (now, after) = self._seen[0], self._seen[-1]
        return 60 * (after - before) / (now - began)

    @property
    def seconds_left(self) -> float | None:
        """How long it will take at this pace; None where that is not known."""
        pace = self.per_minute
        if self.planned is not None:
            return 60 * max(0, self.planned - self.done) / pace if pace else None
        step, most = self.last.get("step"), self.last.get("max_steps")
        seconds = self.last.get("step_time")
        return seconds * max(0, most - step) if step is not None and most and seconds else None

    @property
    def over(self) -> bool:
        """Whether nothing is left to be done."""
        if self.planned is not None:
            return self.done - sum(tally.broken for tally in self.tallies.values()) >= self.planned
        return "train_runtime" in self.last

    def show(self) -> Group:
        """Return what there is to see."""
        from rich.console import Group
        from rich.markup import escape
        from rich.table import Table
        from rich.text import Text

        planned = f" of {self.planned}" if self.planned is not None else ""
        parts = [f"{self.done}{planned} episodes"]
        if "step" in self.last:
            parts.append(f"step {self.last['step']}/{self.last.get('max_steps', '?')}")
        if "reward" in self.last:
            parts.append(f"reward {float(self.last['reward']):.3f}")
        if self.per_minute is not None:
            parts.append(f"{self.per_minute:.1f} episodes/min")
        if self.over:
            parts.append("done")
        elif self.seconds_left is not None:
            minutes, seconds = divmod(int(self.seconds_left), 60)
            parts.append(f"{minutes}:{seconds:02d} left")
        shown = Table()
        for heading in ("policy", "episodes", "rank so far", "valid", "steps that failed", "broken by us"):
            shown.add_column(heading, justify="left" if heading == "policy" else "right")
        for name, tally in self.tallies.items():
            fine = tally.done - tally.broken
            cells = ("-", "-") if not fine else (f"{tally.rank / fine:.3f}", f"{tally.valid / fine:.0%}")
            failed = f"{tally.failed / tally.steps:.0%}" if tally.steps else "-"
            shown.add_row(escape(name), str(tally.done), *cells, failed, str(tally.broken))
        return Group(Text(f"{self.folder}: {', '.join(parts)}"), shown)


def _policy(record: dict[str, Any]) -> str:
    """Return a policy's name; that of a trainer changes with each step."""
    name = str(record.get("policy", "?"))
    return "grpo" if name.startswith("grpo-step-") else name


def _outcome(record: dict[str, Any]) -> dict[str, Any]:
    result, steps = record.get("result") or {}, record.get("steps") or []
    statuses = Counter(step.get("observation", {}).get("status") for step in steps)
    return {
        "broken": record.get("error") is not None,
        "valid": bool(result.get("valid")),
        "rank": float(result.get("rank") or 0.0),
        "steps": len(steps),
        "failed": len(steps) - statuses["ok"],
    }
