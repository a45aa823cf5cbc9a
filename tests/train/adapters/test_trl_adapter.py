"""TRL's own loop drives the environment; the model recites, the rest is real."""

import copy
import gc
import inspect
import time
from pathlib import Path
from typing import Any

import pytest
from transformers.utils import get_json_schema

from mledojo_env.errors import SandboxError, TaskNotFound
from mledojo_env.sandbox.local import LocalSandbox
from mledojo_env.topics import TOPICS
from mledojo_train.adapters.trl import MLEDojoToolEnv, tool_dataset, tool_env_factory
from mledojo_train.nano import NanoConfig, make_nano
from mledojo_train.policy.scripts import Plan, write
from recital import RecitalModel, qwen_tokenizer, tool_call

TASK = "offline/concrete-strength"
FOREST = write(Plan("tabular", "number", "codes", "forest"))
TOOLS = {"request_info", "validate_code", "execute_code", "get_history", "clear_workdir"}


class Watched:
    """A sandbox that knows how many sessions are open."""

    def __init__(self, sandbox: LocalSandbox) -> None:
        self.sandbox, self.open, self.fault = sandbox, 0, False
        self.name = sandbox.name

    async def session(self, *data: Path) -> Any:
        if self.fault:
            raise SandboxError("gone")
        session: Any = await self.sandbox.session(*data)
        self.open += 1
        close = session.close

        async def closed() -> None:
            if not session._is_closed:
                self.open -= 1
            await close()

        session.close = closed
        return session


@pytest.fixture(scope="module")
def local() -> Any:
    with LocalSandbox() as made:
        yield made


@pytest.fixture
def sandbox(local: LocalSandbox) -> Any:
    return Watched(local)


@pytest.fixture
def env(sandbox: Any) -> MLEDojoToolEnv:
    made = tool_env_factory(sandbox, max_steps=4)()
    made.reset(task=TASK, seed=1, prompt="what else a row holds")
    return made


def test_tools_are_what_trl_takes_for_tools() -> None:
    public = {n for n, _ in inspect.getmembers(MLEDojoToolEnv, inspect.isfunction) if not n.startswith("_")}
    assert public == TOOLS | {"reset", "get_reward"}
    for name in TOOLS:
        schema = get_json_schema(getattr(MLEDojoToolEnv, name))["function"]
        assert schema["name"] == name and schema["description"]
        for argument in schema["parameters"]["properties"].values():
            assert argument["type"] and argument["description"]
    topics = get_json_schema(MLEDojoToolEnv.request_info)["function"]["parameters"]["properties"]["topic"]
    assert all(topic in topics["description"] for topic in TOPICS)


def test_an_episode_pays_what_its_steps_gain(env: MLEDojoToolEnv) -> None:
    assert env.get_reward() == 0.0
    assert "concrete" in env.request_info("overview").lower()
    assert "wrote submission.csv" in env.validate_code(FOREST)
    told = env.execute_code(FOREST)
    assert "score" in told
    assert (env.get_reward() or 0) > 0.1
    assert "execute_code" in env.get_history()
    assert "over" in env.execute_code(FOREST), "four steps were taken"


def test_the_final_script_ends_the_episode_and_its_session(env: MLEDojoToolEnv, sandbox: Any) -> None:
    assert sandbox.open == 1
    env.execute_code(FOREST, final=True)
    reward = env.get_reward()
    assert sandbox.open == 0
    assert "over" in env.request_info("overview")
    assert env.get_reward() == reward


@pytest.mark.parametrize("given", [None, 3, ["a"], {"code": 1}, "\ud800", "x" * 2_000_000])
def test_whatever_a_model_passes_is_an_observation(env: MLEDojoToolEnv, given: Any) -> None:
    for tool in (env.execute_code, env.request_info, env.get_history):
        assert isinstance(tool(given), str)
    assert env.get_reward() == 0.0


def test_tools_before_the_first_reset_say_so(sandbox: Any) -> None:
    assert "over" in MLEDojoToolEnv(sandbox).execute_code("1")


def test_sessions_end_with_a_reset_and_with_the_instance(sandbox: Any) -> None:
    factory = tool_env_factory(sandbox, max_steps=4)
    made = [factory() for _ in range(4)]
    for _ in range(3):
        for one in made:
            one.reset(task=TASK)
        assert sandbox.open == 4
    del made, one
    gc.collect()
    deadline = time.monotonic() + 10
    while sandbox.open and time.monotonic() < deadline:
        time.sleep(0.05)
    assert sandbox.open == 0


def test_an_episode_that_we_broke_has_no_reward(env: MLEDojoToolEnv, sandbox: Any) -> None:
    sandbox.fault = True
    env.reset(task=TASK)
    assert env.get_reward() is None
    assert "not your fault" in env.execute_code("1")


def test_an_unknown_task_is_named(env: MLEDojoToolEnv) -> None:
    with pytest.raises(TaskNotFound, match="concrete-strength"):
        env.reset(task="offline/concrete-strenght")


def test_trl_trains_on_it(sandbox: Any, tmp_path: Path) -> None:
    from trl import GRPOConfig, GRPOTrainer

    from mledojo_train.policy.local import load_model

    make_nano([FOREST], tmp_path / "nano", NanoConfig(vocab_size=600, hidden_size=32, layers=1, heads=2))
    tokenizer = qwen_tokenizer(load_model(str(tmp_path / "nano"))[1])
    turns = [
        tool_call("request_info", topic="metric"),
        tool_call("execute_code", code=FOREST),
        tool_call("execute_code", code="1 / 0", final=True),
        "Done.",
    ]
    trainer = GRPOTrainer(
        model=RecitalModel(copy.deepcopy(tokenizer), turns),
        args=GRPOConfig(
            output_dir=str(tmp_path / "out"),
            max_steps=1,
            per_device_train_batch_size=2,
            num_generations=2,
            max_completion_length=20_000,
            max_tool_calling_iterations=5,
            logging_steps=1,
            report_to="none",
            save_strategy="no",
            use_cpu=True,
            bf16=False,
            gradient_checkpointing=False,
        ),
        train_dataset=tool_dataset([TASK], max_steps=4),
        processing_class=tokenizer,
        environment_factory=tool_env_factory(sandbox, max_steps=4),
    )
    trainer.train()
    log = trainer.state.log_history[0]
    assert log["rewards/MLEDojoToolEnv/mean"] > 0.1
    assert log["tools/call_frequency"] == 3 and log["tools/failure_frequency"] == 0
    assert sandbox.open == 0, "the final script ended every session"
