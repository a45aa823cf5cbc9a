from __future__ import annotations

import json
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from mledojo_env.errors import ConfigError
from mledojo_train.config import EvalRun, parse_command_line
from mledojo_train.evaluate import evaluate
from mledojo_train.presets import PRESETS
from mledojo_train.results import FILE, missing_episodes, read_results, row
from mledojo_train.trajectory import Step, Trajectory, read_trajectories

TASK = "offline/scorecard-earnings"


def line(
    policy: str = "p", task: str = "a", seed: int = 0, rank: float = 0.5, error: str | None = None
) -> Any:
    step = Step("", "execute_code", "", {"status": "failed", "error_class": "KeyError"}, "", 0.0, 0.0, 0.0)
    made = Trajectory(task, "scripted:x", seed, [], [step], result={"rank": rank, "valid": True}, error=error)
    return row(policy, "tabular", "reference", made)


def write(folder: Path, *rows: Any, tail: str = "") -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / FILE).write_text("".join(json.dumps(r) + "\n" for r in rows) + tail)
    return folder


def test_an_error_is_told_with_its_phase() -> None:
    assert line()["errors"] == {"execute: KeyError": 1}


def test_a_cut_line_is_left_out_and_said(tmp_path: Path) -> None:
    whole = json.dumps(line(seed=1))
    results = read_results(write(tmp_path, line(), tail=whole[:60]))
    assert len(results.rows) == 1
    assert "1 line cut" in results.notes[0]


def test_a_broken_episode_gives_way_to_the_one_played_again_and_repeats_are_said(tmp_path: Path) -> None:
    rows = [line(error="SandboxError: x"), line(rank=0.7), line(rank=0.9)]
    results = read_results(write(tmp_path, *rows))
    assert [r["rank"] for r in results.rows] == [0.7]
    assert results.notes == ["1 repeated episode left out"]


@pytest.mark.parametrize("bad", ["{}", "[]", "7", '{"policy": "x"}', "nonsense"])
def test_a_line_of_something_else_is_named(tmp_path: Path, bad: str) -> None:
    with pytest.raises(ConfigError, match="line 2"):
        read_results(write(tmp_path, line(), tail=bad + "\n"))


def test_missing_episodes_are_counted() -> None:
    assert missing_episodes([line(), line(seed=1, error="x")], ["p", "q"], ["a"], 2) == 3


def config(folder: Path, **changes: Any) -> EvalRun:
    run = parse_command_line(
        EvalRun,
        ["--output_dir", str(folder), "--tasks", f"[{TASK}]", "--episodes", "1", "--episode.max_steps", "1"],
    )
    return replace(run, **{"policies": {"dummy": "scripted:dummy"}} | changes)


def test_a_run_goes_on_where_it_was_and_refuses_another_protocol(tmp_path: Path) -> None:
    assert len(evaluate(config(tmp_path)).rows) == 1
    before = (tmp_path / FILE).read_bytes()
    evaluate(config(tmp_path))
    assert (tmp_path / FILE).read_bytes() == before  # nothing was played again

    (tmp_path / FILE).write_bytes(before[: len(before) // 2])  # killed while it wrote
    assert len(evaluate(config(tmp_path, episodes=2)).rows) == 2
    ids = {trajectory.id for trajectory in read_trajectories(tmp_path / "trajectories.jsonl")}
    assert ids == {r["id"] for r in read_results(tmp_path).rows}

    other = config(tmp_path, episode=replace(config(tmp_path).episode, max_steps=2))
    with pytest.raises(ConfigError, match="max_steps is 1 in one and 2 in the other"):
        evaluate(other)
    with pytest.raises(ConfigError, match="scripted:dummy there and scripted:forest here"):
        evaluate(config(tmp_path, policies={"dummy": "scripted:forest"}))


def test_presets_parse_and_give_way_to_what_is_set() -> None:
    for name in PRESETS:
        run = parse_command_line(EvalRun, ["--output_dir", "x", "--preset", name, "--episode.max_steps", "7"])
        assert (run.preset, run.episode.max_steps) == (name, 7)
        assert run.episodes == PRESETS[name]["episodes"]
    with pytest.raises(ConfigError, match="dojo"):
        parse_command_line(EvalRun, ["--output_dir", "x", "--preset", "dojjo"])


@pytest.mark.slow
def test_a_run_that_is_killed_loses_the_episodes_in_flight_and_no_more(tmp_path: Path) -> None:
    words = ["--policy", "mixed=scripted:mixed", "--split", TASK, "--episodes", "6"]
    words += ["--output-dir", str(tmp_path / "run")]
    command = [sys.executable, "-c", "from mledojo_train.cli import main; main()", "eval", *words]
    results = tmp_path / "run" / FILE
    first = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 120
    while not (results.exists() and results.read_bytes().count(b"\n") >= 2):
        assert first.poll() is None and time.monotonic() < deadline
        time.sleep(0.02)
    first.kill()
    first.wait()
    kept = [r["id"] for r in read_results(tmp_path / "run").rows]
    assert len(kept) >= 2
    second = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)
    assert (
        f"{len(kept)} episodes are there already; {6 - len(kept)} to play" in second.stdout or len(kept) == 6
    )
    found = read_results(tmp_path / "run")
    assert [r["id"] for r in found.rows][: len(kept)] == kept and len(found.rows) == 6
    assert not any("repeated" in note for note in found.notes)
