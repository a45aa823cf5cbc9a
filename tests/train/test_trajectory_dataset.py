from __future__ import annotations

import math
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest
from datasets import Dataset
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner

from mledojo_env.errors import ConfigError
from mledojo_train.cli.main import app
from mledojo_train.trajectory import Step, Trajectory, TrajectoryWriter, read_trajectories
from mledojo_train.trajectory_dataset import (
    from_dataset,
    push,
    read_parquet,
    to_dataset,
    write_parquet,
)

DOCS = Path(__file__).parents[2] / "docs" / "trajectories.md"
text = st.text(max_size=20)
floats = st.floats(allow_nan=False, allow_infinity=False)
json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | floats | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)
objects = st.dictionaries(st.text(max_size=5), json_values, max_size=3)
steps = st.builds(
    Step, reply=text, action=st.none() | text, argument=text, observation=objects, observation_text=text,
    reward=floats, generate_s=floats, execute_s=floats, run_s=floats, policy_version=st.integers(0, 99),
    rank=st.none() | floats, prompt_tokens=st.integers(0, 9), completion_tokens=st.integers(0, 9),
    cost=st.none() | floats, reasoning=text,
)  # fmt: skip
ids = st.lists(st.integers(0, 2**31 - 1), max_size=4)
episodes = st.builds(
    Trajectory, task=text, policy=text, seed=st.integers(0, 2**40), messages=st.lists(objects, max_size=3),
    steps=st.lists(steps, max_size=2), reward=st.none() | floats, terminated=st.booleans(),
    truncated=st.booleans(), stop_reason=text, result=objects.map(lambda found: {**found, "rank": None}),
    error=st.none() | text,
    prompt_ids=ids, completion_ids=ids, mask=st.lists(st.integers(0, 1), max_size=4),
    logprobs=st.lists(floats, max_size=4), data_hash=text, config_hash=text, wall_s=floats, id=text,
)  # fmt: skip


def episode(**changes: Any) -> Trajectory:
    call = {"type": "function", "function": {"name": "reset", "arguments": {"x": [1, {"y": None}]}}}
    made = Trajectory(
        "offline/x", "scripted:mixed", 3, [{"role": "user", "content": "é"}, {"tool_calls": [call]}]
    )
    made.steps, made.result = (
        [Step("r", None, "", {"status": "ok"}, "ok", 0.5, 0.1, 0.2)],
        {"rank": 0.5, "valid": True},
    )
    for name, value in changes.items():
        setattr(made, name, value)
    return made


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(episodes, max_size=3))
def test_a_dataset_holds_every_episode_whole(made: list[Trajectory]) -> None:
    assert list(from_dataset(to_dataset(made))) == made


def test_parquet_and_back(tmp_path: Path) -> None:
    made = [
        episode(),
        episode(reward=None, error="SandboxError: x", completion_ids=[1], mask=[1], logprobs=[-0.5]),
    ]
    assert write_parquet(made, tmp_path / "deep" / "t.parquet") == 2
    assert list(read_parquet(tmp_path / "deep" / "t.parquet")) == made
    write_parquet(made, tmp_path / "t.parquet", tokens=False)
    assert [one.mask for one in read_parquet(tmp_path / "t.parquet")] == [[], []]


def test_columns_to_filter_by() -> None:
    row = to_dataset([episode()])[0]
    assert (row["rank"], row["valid"], row["task"]) == (0.5, True, "offline/x")


def test_lone_surrogates_are_replaced_and_nan_is_refused() -> None:
    found = next(from_dataset(to_dataset([episode(policy="\ud800", error="\udfff")])))
    assert (found.policy, found.error) == ("?", "?")
    with pytest.raises(ValueError, match="JSON"):
        to_dataset([episode(result={"rank": math.nan})])


@pytest.mark.parametrize(
    ("columns", "found"),
    [
        ({"x": [1]}, "column 'task' is missing"),
        ({"schema_version": [99]}, "schema version 99; this release reads 1 to 2"),
        ({"schema_version": [None]}, "schema version None"),
        ({"steps": ["[{}]"]}, "row 0"),
        ({"messages": ["{"]}, "row 0"),
    ],
)
def test_something_else_is_named(tmp_path: Path, columns: dict[str, list[Any]], found: str) -> None:
    rows = {name: [value] for name, value in to_dataset([episode()])[0].items()}
    Dataset.from_dict(columns if "x" in columns else rows | columns).to_parquet(str(tmp_path / "t.parquet"))
    with pytest.raises(ConfigError, match=found):
        list(read_parquet(tmp_path / "t.parquet"))


def test_no_parquet_is_said(tmp_path: Path) -> None:
    (tmp_path / "t.parquet").write_text("x")
    for name in ("t.parquet", "none.parquet"):
        with pytest.raises(ConfigError, match="as Parquet"):
            list(read_parquet(tmp_path / name))


def test_nothing_is_pushed_without_a_token(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("huggingface_hub.get_token", lambda: None)
    with pytest.raises(ConfigError, match="HF_TOKEN"):
        push([episode()], "me/mine")


def test_the_command_line_there_and_back(tmp_path: Path) -> None:
    run = tmp_path / "run"
    with TrajectoryWriter(run / "rollouts-0.jsonl") as writer:
        writer.write(episode(seed=1))
        writer.write(episode(seed=2, result={"rank": 0.1}))

    def call(*words: object) -> Any:
        return CliRunner().invoke(app, ["trajectories", *map(str, words)])

    assert "1 episodes" in call("export", run, "-o", tmp_path / "t.parquet", "--min-rank", "0.3").output
    assert "1 episodes" in call("import", tmp_path / "t.parquet", "-o", tmp_path / "back.jsonl").output
    assert [one.seed for one in read_trajectories(tmp_path / "back.jsonl")] == [1]
    for words in (("export", run), ("export", tmp_path, "-o", tmp_path / "t.parquet")):
        assert isinstance(call(*words).exception, ConfigError)


@pytest.mark.parametrize("kind", [Trajectory, Step])
def test_the_page_of_the_schema_names_every_field(kind: type[Any]) -> None:
    page = DOCS.read_text().partition("## Step")[0 if kind is Trajectory else 2]
    assert [item.name for item in fields(kind) if f"| `{item.name}` |" not in page] == []
