"""The environment in TRL's own tool loop: its tools by hand, its trainer for real, and what it leaves."""

from __future__ import annotations

import asyncio
import gc
import json
import math
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from transformers.utils import get_json_schema

from mledojo_env.errors import ConfigError, SandboxError, TaskNotFound
from mledojo_env.sandbox.local import LocalSandbox
from mledojo_train.adapters.trl import MLEDojoToolEnv, tool_dataset, tool_env_factory
from mledojo_train.codec import ToolCallCodec
from mledojo_train.generation import Sampling
from mledojo_train.generation.in_process import TransformersGenerator
from mledojo_train.nano import NanoConfig, make_nano
from mledojo_train.policy.local import ModelPolicy
from mledojo_train.policy.scripts import Plan, write
from mledojo_train.rollout import EpisodeOptions, EpisodeSpec, RolloutEngine
from scripted_model import load_with_tools, play, tool_call

TASK = "offline/concrete-strength"
FOREST = write(Plan("tabular", "number", "codes", "forest"))
LINEAR = write(Plan("tabular", "number", "codes", "linear"))
OPTIONS = EpisodeOptions(max_steps=4, prompt_style="brief", max_feedback_chars=300)
TOOLS = ["execute_code", "get_history", "request_info", "reset_workdir", "validate_code"]


@pytest.fixture(scope="module")
def sandbox() -> Any:
    with LocalSandbox() as made:
        yield made


@pytest.fixture
def env(sandbox: Any) -> MLEDojoToolEnv:
    made = tool_env_factory(OPTIONS, sandbox=sandbox)()
    made.reset(task=TASK, prompt=[], another_column=1)
    return made


def working_directories(sandbox: LocalSandbox) -> int:
    """Return how many sessions the sandbox keeps mounted."""
    launcher = Path(f"/proc/{sandbox._connect().pid}/task")
    (server,) = [child for task in launcher.glob("*/children") for child in task.read_text().split()]
    return Path(f"/proc/{server}/mounts").read_text().count(" /sessions/")


def eventually(claim: Callable[[], bool]) -> bool:
    """Return whether a claim comes true within five seconds."""
    deadline = time.monotonic() + 5
    while not claim():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True


def test_every_tool_has_a_schema_that_a_template_can_render(env: MLEDojoToolEnv) -> None:
    schemas = {name: get_json_schema(getattr(env, name))["function"] for name in TOOLS}
    code = schemas["execute_code"]["parameters"]
    assert code["required"] == ["code"]
    assert {name: kind["type"] for name, kind in code["properties"].items()} == {
        "code": "string",
        "final": "boolean",
    }
    topic = schemas["request_info"]["parameters"]["properties"]["topic"]
    expected = next(
        tool for tool in ToolCallCodec().tools or [] if tool["function"]["name"] == "request_info"
    )
    assert topic["enum"] == expected["function"]["parameters"]["properties"]["topic"]["enum"]
    assert schemas["get_history"]["parameters"]["properties"]["last"]["type"] == "integer"
    assert schemas["reset_workdir"]["parameters"]["properties"] == {}
    assert all("Args:" not in schema["description"] for schema in schemas.values())


def test_an_episode_by_hand(env: MLEDojoToolEnv) -> None:
    assert "Metric: rmse" in env.request_info("metric")
    assert env.get_reward() == 0
    assert "a trial, not graded" in env.validate_code(FOREST)
    answer = env.execute_code(code=LINEAR)
    assert "score" in answer and "steps left 1" in answer
    first = env.get_reward()
    answer = env.execute_code(code=FOREST, final=True)
    assert answer.endswith("The episode is over. Reply without calling a tool.")
    assert (env.get_reward() or 0) > (first or 0) > 0
    for again in (env.execute_code(code=FOREST), env.get_history(), env.reset_workdir()):
        assert again == "The episode is over. Reply without calling a tool."


def test_the_steps_run_out(env: MLEDojoToolEnv) -> None:
    answers = [env.get_history(last=1) for _ in range(5)]
    assert ["over" in answer for answer in answers] == [False, False, False, True, True]


def test_resetting_the_directory_costs_a_step_and_nothing_else(env: MLEDojoToolEnv) -> None:
    env.execute_code(code=f"open('kept', 'w').write('x')\n{FOREST}")
    before = env.get_reward()
    assert "working directory is empty" in env.reset_workdir()
    assert "FileNotFoundError" in env.execute_code(code="open('kept')")
    assert env.get_reward() == before > 0  # type: ignore[operator]
    env.reset(task=TASK)
    assert env.get_reward() == 0
    assert "no steps to show" in env.get_history()


@pytest.mark.parametrize(
    ("tool", "arguments", "told"),
    [
        ("execute_code", {}, "missing a required argument: 'code'"),
        ("execute_code", {"code": "1", "timeout": 3}, "unexpected keyword argument 'timeout'"),
        ("execute_code", {"code": ["print()"]}, "code is of type list; expected text"),
        ("execute_code", {"code": None}, "code is of type NoneType; expected text"),
        ("execute_code", {"code": "1", "final": "yes"}, "final is of type str; expected true or false"),
        ("execute_code", {"code": "  \n"}, "execute_code has no code"),
        ("validate_code", {"code": 7}, "code is of type int; expected text"),
        ("get_history", {"last": "two"}, "last is of type str; expected a whole number"),
        ("get_history", {"last": True}, "last is of type bool; expected a whole number"),
        ("get_history", {"last": -1}, "takes a number of steps"),
        ("request_info", {"topic": "metrc"}, "Did you mean 'metric'?"),
        ("request_info", {"topic": 1}, "topic is of type int; expected text"),
        ("reset_workdir", {"hard": True}, "unexpected keyword argument 'hard'"),
        ("validate_code", {"code": "\ud800\x00"}, "steps left 3"),
    ],
)
def test_a_wrong_call_is_an_observation_that_costs_a_step(
    env: MLEDojoToolEnv, tool: str, arguments: dict[str, Any], told: str
) -> None:
    answer = getattr(env, tool)(**arguments)
    assert told in answer
    assert "steps left 3" in answer
    assert env.get_reward() == 0


def test_a_row_without_a_task_or_with_an_unknown_one_stops_the_run(env: MLEDojoToolEnv) -> None:
    with pytest.raises(ConfigError, match="no column 'task', only prompt, difficulty"):
        env.reset(prompt=[], difficulty=1)
    with pytest.raises(TaskNotFound, match="Did you mean 'offline/concrete-strength'"):
        env.reset(task="offline/concrete-strenght")


def test_an_episode_that_we_broke_has_no_reward_and_too_many_stop_the_run() -> None:
    with LocalSandbox() as sandbox:
        make = tool_env_factory(OPTIONS, sandbox=sandbox)
        lucky, unlucky = make(), make()
        for env in (lucky, unlucky):
            env.reset(task=TASK)
        lucky.execute_code(code=FOREST, final=True)
    assert "does not count" in unlucky.execute_code(code=FOREST)  # the sandbox is closed
    assert "does not count" in unlucky.get_history()
    assert (lucky.get_reward() or 0) > 0
    assert unlucky.get_reward() is None
    assert unlucky.get_reward() is None  # asked twice, counted once
    lucky.reset(task=TASK)
    with pytest.raises(SandboxError, match=r"2 episodes in a row broke on our side; the last: SandboxError:"):
        lucky.get_reward()


def test_before_its_first_reset_an_environment_has_no_reward(sandbox: Any) -> None:
    env = tool_env_factory(OPTIONS, sandbox=sandbox)()
    assert env.get_reward() is None
    assert env.get_history() == "No episode is running."


def test_sessions_are_given_back_at_the_end_at_the_next_reset_and_as_garbage(sandbox: Any) -> None:
    before = working_directories(sandbox)
    make = tool_env_factory(OPTIONS, sandbox=sandbox)
    crowd = [make() for _ in range(12)]
    for _ in range(3):
        for env in crowd:
            env.reset(task=TASK)
    assert working_directories(sandbox) == before + 12
    assert crowd[0].execute_code(code="pass", final=True)
    assert working_directories(sandbox) == before + 11
    del crowd, env
    gc.collect()  # gives back without waiting
    assert eventually(lambda: working_directories(sandbox) == before)


def test_an_interpreter_that_exits_leaves_nothing_and_says_nothing(tmp_path: Path) -> None:
    code = f"""
from mledojo_env.sandbox.local import shared_sandbox
from mledojo_train.adapters.trl import tool_env_factory

make = tool_env_factory()
envs = [make() for _ in range(4)]
for env in envs:
    env.reset(task={TASK!r})
print(shared_sandbox()._connect().pid)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stderr) == (0, "")
    assert eventually(lambda: not Path(f"/proc/{int(done.stdout)}").exists())


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A nano checkpoint whose tokenizer has seen tool calls and the scripts."""
    texts = [json.dumps(ToolCallCodec().tools), tool_call("execute_code", code=FOREST, final=True), LINEAR]
    made = tmp_path_factory.mktemp("nano")
    size = NanoConfig(vocab_size=900, hidden_size=32, intermediate_size=64, layers=2, heads=2)
    make_nano(texts, made, replace(size, max_positions=8192))
    return made


def script(conversation: str, turn: int) -> str:
    """Play well on one task, and badly on the other."""
    if "predict: number" not in conversation:
        return "I would rather not."
    good = tool_call("execute_code", code=FOREST, final=True)
    turns = [tool_call("request_info", topic="metric"), tool_call("execute_code", cod=LINEAR), good]
    return turns[turn] if turn < len(turns) else "I am done."


def test_grpo_steps_through_the_tool_loop_of_trl(
    folder: Path, sandbox: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from trl import GRPOConfig, GRPOTrainer

    monkeypatch.setenv("TRL_EXPERIMENTAL_SILENCE", "1")
    model, tokenizer = load_with_tools(str(folder))
    play(model, tokenizer, script)
    before = working_directories(sandbox)
    arguments = GRPOConfig(
        output_dir=str(tmp_path),
        per_device_train_batch_size=4,
        num_generations=2,
        max_completion_length=2000,
        max_steps=2,
        logging_steps=1,
        report_to="none",
        save_strategy="no",
        use_cpu=True,
        bf16=False,
        chat_template_kwargs={"enable_thinking": False},
        shuffle_dataset=False,
    )
    trainer = GRPOTrainer(
        model=model,
        args=arguments,
        train_dataset=tool_dataset([TASK, "offline/vowel-speakers"], OPTIONS),
        processing_class=tokenizer,
        environment_factory=tool_env_factory(OPTIONS, sandbox=sandbox),
    )
    trainer.train()
    rewards = [env.get_reward() for env in trainer.environments]
    assert len({id(env) for env in trainer.environments}) == 4
    assert min(rewards[:2]) > 0.1 and rewards[2:] == [0, 0]
    assert len(set(rewards[:2])) == 2  # seeds of their own, as episodes of a group must have
    first, last = trainer.state.log_history[:2]
    assert last["reward"] == last["rewards/MLEDojoToolEnv/mean"] == pytest.approx(sum(rewards) / 4)
    assert first["reward"] != last["reward"]
    assert first["tools/call_frequency"] == 1.5  # three calls in two of four episodes
    assert first["tools/failure_frequency"] == 0  # a wrong argument is the environment's to answer
    assert first["completions/clipped_ratio"] == 0
    assert working_directories(sandbox) == before + 2  # of the episodes that have not ended


def test_the_scripted_model_plays_the_same_turns_in_our_engine(folder: Path, sandbox: Any) -> None:
    model, tokenizer = load_with_tools(str(folder))
    play(model, tokenizer, script)
    generator = TransformersGenerator(model, tokenizer, Sampling(max_new_tokens=400))
    codec = ToolCallCodec()
    policy = ModelPolicy("script", generator, tokenizer, codec, max_new_tokens=400, max_tokens=8000)
    engine = RolloutEngine(sandbox, codec, OPTIONS)
    specs = [EpisodeSpec(TASK, 1), EpisodeSpec("offline/vowel-speakers", 2)]
    try:
        played, other = asyncio.run(engine.run(policy, specs))
    finally:
        generator.close()
    assert [step.action for step in played.steps] == ["request_info", None, "execute_code"]
    assert (played.reward or 0) > 0.1 and played.terminated
    assert [step.reply for step in other.steps] == ["I would rather not."] * 4
    said = [value for value, mine in zip(played.logprobs, played.mask, strict=True) if mine]
    assert said == pytest.approx([-math.log(model.config.vocab_size)] * len(said), rel=1e-4)
