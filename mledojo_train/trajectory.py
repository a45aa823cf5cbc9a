"""The record of an episode: append-only JSONL, one line an episode, readable after a crash."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from mledojo_env.errors import ConfigError
from mledojo_train.codec import Message
from mledojo_train.jsonl import end_cut_line, is_cut

SCHEMA_VERSION = 2
_READ = (1, 2)  # what version 2 added to 1 has defaults


@dataclass
class Step:
    """One action, what came back, and what it took."""

    reply: str
    action: str | None  # None: malformed
    argument: str
    observation: dict[str, Any]  # the structured observation
    observation_text: str  # as the policy read it
    reward: float
    generate_s: float  # wall clock from request to reply, waiting for a batch included
    execute_s: float  # wall clock of the environment's step, waiting for a place in the sandbox included
    run_s: float = 0.0  # wall clock of the script itself
    policy_version: int = 0  # weight updates that the policy had seen
    rank: float | None = None  # final rank of the submission that counts so far; None: none yet
    prompt_tokens: int = 0  # that the policy read for this turn
    completion_tokens: int = 0  # that it wrote, its reasoning included
    cost: float | None = None  # in US dollars; None: no price is known
    reasoning: str = ""  # what a model thought beside its reply


@dataclass
class Trajectory:
    """One episode.

    `reward` is the sum of the steps' rewards, or None for an episode that we broke (`error` says how).
    `prompt_ids`, `completion_ids`, `mask` (1 = the policy's token) and `logprobs` are the exact tokens, empty
    for a policy without tokens. `result` is what the environment's `episode_result()` gave.
    """

    task: str
    policy: str
    seed: int
    messages: list[Message]
    steps: list[Step] = field(default_factory=list)
    reward: float | None = None
    terminated: bool = False
    truncated: bool = False
    stop_reason: str = ""  # terminated | steps | seconds | tokens | deadline | error
    result: dict[str, Any] = field(default_factory=dict)
    error: str | None = None
    prompt_ids: list[int] = field(default_factory=list)
    completion_ids: list[int] = field(default_factory=list)
    mask: list[int] = field(default_factory=list)
    logprobs: list[float] = field(default_factory=list)
    data_hash: str = ""
    config_hash: str = ""
    wall_s: float = 0.0
    id: str = ""  # unique in its file, where the writer gives one
    schema_version: int = SCHEMA_VERSION

    @property
    def broken(self) -> bool:
        """Whether the episode failed on our side and says nothing about the policy."""
        return self.error is not None

    @property
    def rank(self) -> float:
        """Final rank in [0, 1] of the submission that counts; 0 without a valid one."""
        return float(self.result.get("rank") or 0.0)

    @property
    def valid(self) -> bool:
        """Whether the episode made at least one valid submission."""
        return bool(self.result.get("valid"))

    def to_json(self) -> str:
        """Return the episode as one line of JSON (log-probs to 5 decimals, NaN refused)."""
        record = asdict(self)
        record["logprobs"] = [round(value, 5) for value in self.logprobs]
        return json.dumps(record, ensure_ascii=False, allow_nan=False)

    @classmethod
    def from_json(cls, line: str) -> Self:
        """Read one line.

        Raises:
            ValueError: If it is not JSON or not a trajectory of this schema.
        """
        record = json.loads(line)
        if not isinstance(record, dict) or record.get("schema_version") not in _READ:
            found = record.get("schema_version") if isinstance(record, dict) else type(record).__name__
            raise ValueError(f"schema version {found}, expected {SCHEMA_VERSION}")
        try:
            record["steps"] = [Step(**step) for step in record["steps"]]
            record["schema_version"] = SCHEMA_VERSION
            return cls(**record)
        except (KeyError, TypeError) as error:
            raise ValueError(f"not a trajectory: {error}") from error


class TrajectoryWriter:
    """Appends episodes to a JSONL file; each line is flushed whole, so a crash loses none before it."""

    def __init__(self, path: Path) -> None:
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._file = path.open("a+b")
        except OSError as error:
            raise ConfigError(f"Cannot write {path}: {error.strerror}. Choose another output_dir.") from error
        end_cut_line(self._file)

    def write(self, trajectory: Trajectory) -> None:
        """Append one episode."""
        self._file.write(trajectory.to_json().encode("utf-8", "replace") + b"\n")
        self._file.flush()

    def close(self) -> None:
        """Close the file; safe to call again."""
        self._file.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def read_trajectories(path: Path) -> Iterator[Trajectory]:
    """Yield the episodes of a JSONL file; a last line that a crash cut off is left out.

    Raises:
        ConfigError: If the file is missing, or a line other than a cut one is broken (names the line).
    """
    try:
        lines = path.read_bytes().split(b"\n")
    except OSError as error:
        raise ConfigError(
            f"Cannot read {path}: {error.strerror}. Collect first: recipes/collect.py."
        ) from error
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            yield Trajectory.from_json(line.decode("utf-8"))
        except ValueError as error:
            if is_cut(line):
                continue
            raise ConfigError(f"{path}, line {number}: {error}.") from error


def to_conversations(trajectories: Iterable[Trajectory]) -> Iterator[dict[str, list[Message]]]:
    """Yield TRL conversational rows (`messages`), one an episode; broken and empty episodes are left out."""
    for trajectory in trajectories:
        if not trajectory.broken and trajectory.steps:
            yield {"messages": trajectory.messages}
