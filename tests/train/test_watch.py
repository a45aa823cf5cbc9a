from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from mledojo_env.errors import ConfigError
from mledojo_train.protocol import Protocol
from mledojo_train.results import FILE
from mledojo_train.watch import Watch


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def row(rank: float = 0.5, **changes: Any) -> str:
    found = {
        "policy": "p",
        "broken": False,
        "valid": True,
        "rank": rank,
        "steps": 4,
        "failures": {"execute_code": 1},
    }
    return json.dumps(found | changes) + "\n"


def shown(watch: Watch) -> str:
    console = Console(record=True, width=160)
    console.print(watch.show())
    return console.export_text()


def test_an_evaluation_under_way(tmp_path: Path) -> None:
    Protocol({}, {"a": "h", "b": "h"}, {"p": "scripted:x"}, 2, 0).save(tmp_path)
    clock = Clock()
    watch = Watch(tmp_path, clock)
    watch.look()
    assert (watch.done, watch.planned, watch.over, watch.seconds_left) == (0, 4, False, None)
    with (tmp_path / FILE).open("a") as file:
        file.write(row(0.2) + row(0.6) + row()[:20])  # the third is being written
    clock.now = 60.0
    watch.look()
    assert (watch.done, watch.per_minute, watch.seconds_left) == (2, 2.0, 60.0)
    text = shown(watch)
    assert "2 of 4 episodes" in text and "0.400" in text and "25%" in text and "1:00 left" in text
    with (tmp_path / FILE).open("a") as file:
        file.write(row()[20:] + row(broken=True) + row())
    watch.look()
    assert watch.done == 5 and watch.over  # one of them broke
    assert watch.tallies["p"].broken == 1


def test_a_training_run_under_way(tmp_path: Path) -> None:
    record = {"policy": "grpo-step-3", "error": None, "result": {"valid": True, "rank": 0.25}}
    steps = [{"observation": {"status": "failed"}}, {"observation": {"status": "ok"}}]
    (tmp_path / "rollouts-0.jsonl").write_text(json.dumps(record | {"steps": steps}) + "\n")
    (tmp_path / "log.jsonl").write_text(
        json.dumps({"step": 3, "max_steps": 10, "step_time": 2.0, "reward": 0.3}) + "\n"
    )
    watch = Watch(tmp_path)
    watch.look()
    assert (watch.planned, watch.over, watch.seconds_left) == (None, False, 14.0)
    text = shown(watch)
    assert "step 3/10" in text and "grpo" in text and "50%" in text
    with (tmp_path / "log.jsonl").open("a") as file:
        file.write(json.dumps({"step": 10, "train_runtime": 20.0}) + "\n")
    watch.look()
    assert watch.over


def test_a_folder_of_something_else_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="holds no run"):
        Watch(tmp_path)
