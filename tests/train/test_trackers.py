from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from mledojo_env.errors import ConfigError
from mledojo_train.config import EvalRun
from mledojo_train.trackers import trackers


def row(rank: float, **changes: Any) -> dict[str, Any]:
    return {"policy": "p", "broken": False, "rank": rank, "valid": True, "policy_tokens": 10} | changes


def test_means_so_far_reach_tensorboard(tmp_path: Path) -> None:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    with trackers(["tensorboard"], tmp_path, EvalRun(output_dir="x")) as tracked:
        tracked.add(row(0.2))
        tracked.add(row(0.9, broken=True))
        tracked.add(row(0.4))
    (events,) = tmp_path.rglob("mledojo-eval/events*")
    read = EventAccumulator(str(events))
    read.Reload()
    told = [(event.step, pytest.approx(event.value)) for event in read.Scalars("eval/p/rank")]
    assert told == [(1, 0.2), (3, 0.3)]


def test_an_unknown_tracker_is_named(tmp_path: Path) -> None:
    with (
        pytest.raises(ConfigError, match="Did you mean 'tensorboard'"),
        trackers(["tensorbord"], tmp_path, EvalRun(output_dir="x")),
    ):
        pass


def test_no_tracker_is_no_work(tmp_path: Path) -> None:
    with trackers([], tmp_path, EvalRun(output_dir="x")) as tracked:
        tracked.add(row(0.2))
    assert list(tmp_path.iterdir()) == []
