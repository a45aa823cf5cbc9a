"""Trajectories as a table: HF `datasets` and Parquet, without loss either way.

What has one shape for all episodes is a typed column; what an environment or a template may nest as it likes
(messages, observations, results) is JSON text. `docs/trajectories.md` describes the fields.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import asdict, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mledojo_env.errors import ConfigError
from mledojo_train.trajectory import SCHEMA_VERSION, Step, Trajectory

if TYPE_CHECKING:
    from datasets import Dataset, Features

_TYPES = {
    "task": "string", "policy": "string", "seed": "int64", "messages": "string", "steps": "string",
    "reward": "float64", "terminated": "bool", "truncated": "bool", "stop_reason": "string",
    "result": "string", "error": "string", "prompt_ids": ["int32"], "completion_ids": ["int32"],
    "mask": ["int8"],
    "logprobs": ["float64"], "data_hash": "string", "config_hash": "string", "wall_s": "float64",
    "id": "string", "schema_version": "int32",
}  # fmt: skip
_JSON = ("messages", "steps", "result")
_TOKENS = ("prompt_ids", "completion_ids", "mask", "logprobs")
_DERIVED = {"rank": "float64", "valid": "bool"}  # for those who filter; read back from `result`


def features() -> Features:
    """Return the columns and their types."""
    from datasets import Features, List, Value

    return Features({
        name: List(Value(kind[0])) if isinstance(kind, list) else Value(kind)
        for name, kind in (_TYPES | _DERIVED).items()
    })  # fmt: skip


def to_dataset(trajectories: Iterable[Trajectory], *, tokens: bool = True) -> Dataset:
    """Return a row an episode; without `tokens` the columns of token ids are there and empty."""
    from datasets import Dataset

    rows = [_row(trajectory, tokens=tokens) for trajectory in trajectories]
    columns = {name: [row[name] for row in rows] for name in _TYPES | _DERIVED}
    return Dataset.from_dict(columns, features=features())


def _row(trajectory: Trajectory, *, tokens: bool) -> dict[str, Any]:
    record = {item.name: getattr(trajectory, item.name) for item in fields(trajectory)}
    record["steps"] = [asdict(step) for step in trajectory.steps]
    for name in _JSON:
        record[name] = json.dumps(record[name], ensure_ascii=True, allow_nan=False)
    if not tokens:
        record |= {name: [] for name in _TOKENS}
    texts = {
        name: value.encode("utf-8", "replace").decode() for name, value in record.items() if _is_text(value)
    }
    return record | texts | {"rank": trajectory.rank, "valid": trajectory.valid}


def _is_text(value: Any) -> bool:
    return isinstance(value, str)


def from_dataset(dataset: Dataset, origin: str = "The dataset") -> Iterator[Trajectory]:
    """Yield the episodes of a dataset.

    Raises:
        ConfigError: If a column is missing or holds something else, or the schema is newer than ours.
    """
    missing = [name for name in _TYPES if name not in dataset.column_names]
    if missing:
        raise ConfigError(
            f"{origin} holds no trajectories: the column {missing[0]!r} is missing. Found: "
            f"{', '.join(dataset.column_names)}."
        )
    for number, row in enumerate(dataset):
        if not isinstance(row["schema_version"], int) or not 1 <= row["schema_version"] <= SCHEMA_VERSION:
            raise ConfigError(
                f"{origin}, row {number}: schema version {row['schema_version']}; this release reads 1 to "
                f"{SCHEMA_VERSION}. Update mledojo-train."
            )
        record = {name: row[name] for name in _TYPES}
        try:
            record |= {name: json.loads(record[name]) for name in _JSON}
            record["steps"] = [Step(**step) for step in record["steps"]]
            yield Trajectory(**{**record, "schema_version": SCHEMA_VERSION})
        except (ValueError, TypeError, RecursionError) as error:
            raise ConfigError(f"{origin}, row {number}: no trajectory: {error}") from error


def write_parquet(trajectories: Iterable[Trajectory], path: Path, *, tokens: bool = True) -> int:
    """Write a Parquet file and return how many episodes it holds."""
    dataset = to_dataset(trajectories, tokens=tokens)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        dataset.to_parquet(str(path))
    except OSError as error:
        raise ConfigError(f"Cannot write {path}: {error}.") from error
    return dataset.num_rows


def read_parquet(path: Path) -> Iterator[Trajectory]:
    """Yield the episodes of a Parquet file.

    Raises:
        ConfigError: If it is missing, no Parquet file, or holds something else.
    """
    import pyarrow
    import pyarrow.parquet
    from datasets import Dataset

    try:
        table = pyarrow.parquet.read_table(path)
    except (OSError, pyarrow.ArrowException) as error:
        raise ConfigError(f"Cannot read {path} as Parquet: {error}") from error
    yield from from_dataset(Dataset(table), str(path))


def push(trajectories: Iterable[Trajectory], name: str, *, tokens: bool = True) -> None:
    """Push a dataset to the hub, private at first.

    Raises:
        ConfigError: If there is no token, or the hub refuses.
    """
    from huggingface_hub import get_token
    from huggingface_hub.errors import HfHubHTTPError

    if get_token() is None:
        raise ConfigError(f"No token for pushing {name}: run `hf auth login`, or set HF_TOKEN.")
    try:
        to_dataset(trajectories, tokens=tokens).push_to_hub(name, private=True)
    except (HfHubHTTPError, OSError) as error:
        raise ConfigError(f"Cannot push {name}: {error}") from error
