import json
from pathlib import Path

import pytest

from mledojo_env.errors import ConfigError
from mledojo_train.trajectory import Step, Trajectory, TrajectoryWriter, read_trajectories, to_conversations


def episode(seed: int = 0, **changes: object) -> Trajectory:
    step = Step("```reset\n```", "reset", "", {"status": "ok"}, "ok", 0.25, 0.1, 0.2)
    messages = [{"role": "user", "content": "tâche"}, {"role": "assistant", "content": "```reset\n```"}]
    made = Trajectory("offline/x", "scripted:mixed", seed, messages, steps=[step], reward=0.25)
    for name, value in changes.items():
        setattr(made, name, value)
    return made


def test_what_is_written_is_read_back(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "t.jsonl"
    written = [
        episode(1, completion_ids=[3, 4], mask=[1, 0], logprobs=[-0.123456789, 0.0]),
        episode(2, reward=None),
    ]
    with TrajectoryWriter(path) as writer:
        for one in written:
            writer.write(one)
    read = list(read_trajectories(path))
    assert read[0].logprobs == [-0.12346, 0.0]
    read[0].logprobs = written[0].logprobs
    assert read == written


def test_a_line_cut_by_a_crash_costs_itself_only(tmp_path: Path) -> None:
    path = tmp_path / "t.jsonl"
    whole = episode(1).to_json()
    path.write_text(whole + "\n" + whole[: len(whole) // 2])
    assert [t.seed for t in read_trajectories(path)] == [1]
    with TrajectoryWriter(path) as writer:
        writer.write(episode(7))
    assert [t.seed for t in read_trajectories(path)] == [1, 7]


@pytest.mark.parametrize(
    "line", ['{"schema_version": 99, "steps": []}', "[]", '{"schema_version": 1, "steps": [{}]}']
)
def test_a_line_of_something_else_is_named(tmp_path: Path, line: str) -> None:
    path = tmp_path / "t.jsonl"
    path.write_text(episode().to_json() + "\n" + line + "\n")
    with pytest.raises(ConfigError, match="line 2"):
        list(read_trajectories(path))


def test_a_missing_file_says_how_to_get_one(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="collect"):
        list(read_trajectories(tmp_path / "none.jsonl"))


def test_an_output_that_cannot_be_written_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigError, match="another output_dir"):
        TrajectoryWriter(tmp_path / "file" / "t.jsonl")


def test_nan_never_reaches_a_record() -> None:
    with pytest.raises(ValueError, match="JSON"):
        episode(reward=float("nan")).to_json()


def test_lone_surrogates_in_model_output_do_not_break_the_record(tmp_path: Path) -> None:
    path = tmp_path / "t.jsonl"
    with TrajectoryWriter(path) as writer:
        writer.write(episode(messages=[{"role": "assistant", "content": "\ud800 \u2028 x"}]))
    assert len(list(read_trajectories(path))) == 1
    assert len(path.read_bytes().splitlines()) == 1
    assert json.loads(path.read_text())["schema_version"] == 2


def test_conversations_leave_out_what_we_broke() -> None:
    rows = list(to_conversations([episode(1), episode(2, error="SandboxError: x"), episode(3, steps=[])]))
    assert [row["messages"][0]["content"] for row in rows] == ["tâche"]


def test_a_record_of_the_first_schema_is_still_read() -> None:
    old = {
        "task": "offline/x", "policy": "scripted:mixed", "seed": 3, "messages": [], "reward": 0.5,
        "steps": [{
            "reply": "r", "action": "reset", "argument": "", "observation": {"status": "ok"},
            "observation_text": "ok", "reward": 0.5, "generate_s": 0.1, "execute_s": 0.2,
        }],
        "schema_version": 1,
    }  # fmt: skip
    read = Trajectory.from_json(json.dumps(old))
    assert (read.schema_version, read.id, read.steps[0].rank, read.steps[0].cost) == (2, "", None, None)
