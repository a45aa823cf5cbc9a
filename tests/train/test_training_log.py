import json
from pathlib import Path
from types import SimpleNamespace

import pytest

from mledojo_train.training_log import TrainingLog

LOGS = {"reward": 0.5, "episodes/valid_rate": 0.75, "entropy": 0.1234, "clip_ratio/low_min": 0.0}


def state(**changes: object) -> SimpleNamespace:
    return SimpleNamespace(**{"is_world_process_zero": True, "global_step": 3, "max_steps": 10} | changes)


def test_a_short_line_is_printed_and_every_figure_is_kept(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    log = TrainingLog(tmp_path / "log.jsonl")
    arguments = SimpleNamespace(disable_tqdm=True)
    log.on_train_begin(arguments, state(), None)
    log.on_step_end(arguments, state(), None)
    log.on_log(arguments, state(), None, logs=LOGS)
    log.on_log(arguments, state(global_step=4), None, logs={"train_runtime": 1.5})
    log.on_train_end(arguments, state(), None)
    assert capsys.readouterr().out == "step 3/10  reward 0.500  valid 75%  entropy 0.123\n"
    lines = [json.loads(line) for line in (tmp_path / "log.jsonl").read_text().splitlines()]
    assert lines == [{"step": 3, "max_steps": 10, **LOGS}, {"step": 4, "max_steps": 10, "train_runtime": 1.5}]


def test_other_processes_say_and_write_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    log = TrainingLog(tmp_path / "log.jsonl")
    log.on_log(SimpleNamespace(disable_tqdm=True), state(is_world_process_zero=False), None, logs=LOGS)
    assert capsys.readouterr().out == ""
    assert not (tmp_path / "log.jsonl").exists()
