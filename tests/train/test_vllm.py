"""Real vLLM servers on this machine's processor: `.ci/vllm make test PYTEST_ARGS='-m vllm'`."""

import asyncio
import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from mledojo_env.errors import ConfigError
from mledojo_train.codec import FencedCodec
from mledojo_train.config import EvalRun, parse_command_line
from mledojo_train.evaluate import evaluate
from mledojo_train.generation import Completion, Sampling, StopRule
from mledojo_train.generation.vllm import VLLMGenerator, VLLMOptions, save_adapter
from mledojo_train.nano import NanoConfig, make_nano
from mledojo_train.policy.scripts import Plan, write
from mledojo_train.trajectory import read_trajectories

PYTHON = os.environ.get("MLEDOJO_VLLM_PYTHON")
pytestmark = [
    pytest.mark.vllm,
    pytest.mark.skipif(PYTHON is None, reason="MLEDOJO_VLLM_PYTHON is not set; run through .ci/vllm"),
]
ROOT = Path(__file__).parents[2]
START_S = 240
PROMPTS = [[5, 9, 11], [7] * 40, [40, 41, 42, 43, 44] * 5]


class VLLM:
    """A vLLM server in a process of its own."""

    def __init__(self, model: Path, log: Path, port: int | None = None) -> None:
        if port is None:
            with socket.create_server(("127.0.0.1", 0)) as probe:
                port = probe.getsockname()[1]
        self.port, self.url, self._log = port, f"http://127.0.0.1:{port}", log
        settings = {
            "VLLM_ALLOW_RUNTIME_LORA_UPDATING": "True",
            "VLLM_CPU_KVCACHE_SPACE": "1",
            "VLLM_NO_USAGE_STATS": "1",
            "HF_HUB_OFFLINE": "1",
        }
        with log.open("ab") as file:
            self._process = subprocess.Popen(
                [
                    *(str(PYTHON), "-m", "vllm.entrypoints.openai.api_server", "--model", str(model)),
                    *("--host", "127.0.0.1", "--port", str(port), "--dtype", "float32", "--enforce-eager"),
                    *("--max-model-len", "1024", "--max-num-seqs", "8", "--seed", "0"),
                    *("--enable-lora", "--max-lora-rank", "8", "--logprobs-mode", "processed_logprobs"),
                ],
                env={**os.environ, **settings},
                stdout=file,
                stderr=file,
                start_new_session=True,
            )

    def wait(self) -> None:
        deadline = time.monotonic() + START_S
        while True:
            try:
                urllib.request.urlopen(f"{self.url}/health", timeout=5).close()
                return
            except OSError:
                died = self._process.poll() is not None
                if died or time.monotonic() > deadline:
                    pytest.fail(f"vLLM did not start:\n{self._log.read_text()[-3000:]}")
                time.sleep(0.5)

    def models(self) -> list[Any]:
        with urllib.request.urlopen(f"{self.url}/v1/models") as answer:
            return list(json.load(answer)["data"])

    def kill(self) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()


@pytest.fixture(scope="module")
def model_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("served")
    texts = [write(Plan("tabular", "number", "codes", "forest")), FencedCodec().instructions()]
    # Heads of 32: what vLLM's kernels take.
    config = NanoConfig(vocab_size=600, hidden_size=64, intermediate_size=128, layers=2, heads=2)
    make_nano(texts, folder, config)
    return folder


@pytest.fixture(scope="module")
def servers(model_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[VLLM]]:
    logs = tmp_path_factory.mktemp("logs")
    started = [VLLM(model_folder, logs / f"{place}.log") for place in range(2)]
    try:
        for server in started:
            server.wait()
        yield started
    finally:
        for server in started:
            server.kill()


@pytest.fixture(scope="module")
def loaded(model_folder: Path) -> tuple[Any, Any]:
    from mledojo_train.policy.local import load_model

    return load_model(str(model_folder))


@pytest.fixture(scope="module")
def adapters(model_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[int, tuple[Path, Any]]:
    """Two adapters with weights large enough to change what is likely, and the models that have them."""
    from peft import LoraConfig, get_peft_model

    from mledojo_train.policy.local import load_model

    folder, made = tmp_path_factory.mktemp("adapters"), {}
    for version in (1, 2):
        torch.manual_seed(version)
        model = get_peft_model(load_model(str(model_folder))[0], LoraConfig(r=4, target_modules="all-linear"))
        for name, weights in model.named_parameters():
            if "lora_" in name:
                weights.data.normal_(std=0.3)
        made[version] = (save_adapter(model, folder, version), model.eval())
    return made


def generator(
    servers: list[VLLM], model: Path, tokenizer: Any, temperature: float = 0.8, **options: Any
) -> VLLMGenerator:
    given = VLLMOptions(tuple(server.url for server in servers), **({"patience_s": 60.0} | options))
    return VLLMGenerator(given, str(model), tokenizer, Sampling(temperature=temperature))


def check_logprobs(model: Any, prompt: list[int], found: Completion, temperature: float = 0.8) -> None:
    with torch.no_grad():
        logits = model(torch.tensor([prompt + found.token_ids])).logits[0, len(prompt) - 1 : -1] / temperature
    expected = logits.log_softmax(-1)[range(len(found.token_ids)), found.token_ids]
    assert torch.allclose(torch.tensor(found.logprobs), expected, atol=1e-3)


async def ask(made: VLLMGenerator, prompts: list[list[int]] = PROMPTS, limit: int = 24) -> list[Completion]:
    return await asyncio.gather(*(made.generate(prompt, limit) for prompt in prompts))


async def test_logprobs_equal_a_teacher_forced_pass_also_after_each_swap(
    servers: list[VLLM], model_folder: Path, loaded: tuple[Any, Any], adapters: Any
) -> None:
    """The same prompts each time: what a server cached of earlier weights must not be used again."""
    made = generator(servers, model_folder, loaded[1])
    await made.check(lora=True)
    for prompt, found in zip(PROMPTS, await ask(made), strict=True):
        assert 0 < len(found.token_ids) <= 24 and found.version == 0
        check_logprobs(loaded[0], prompt, found)
    for version in (1, 2, 1):
        folder, model = adapters[version]
        await made.update(folder, version)
        for _ in range(2):
            for prompt, found in zip(PROMPTS, await ask(made), strict=True):
                assert found.version == version
                check_logprobs(model, prompt, found)
    assert len(servers[0].models()) == 2, "the base model and the current adapter"
    await made.aclose()


async def test_a_turn_ends_with_its_token_or_its_action(
    servers: list[VLLM], model_folder: Path, loaded: tuple[Any, Any]
) -> None:
    tokenizer, codec = loaded[1], FencedCodec()
    made = generator(servers, model_folder, tokenizer, temperature=1.0)
    stop = StopRule(codec.endings, codec.is_over)
    turns = await asyncio.gather(*(made.generate([5, 9, place], 200, stop) for place in range(24)))
    for turn in turns:
        text = tokenizer.decode(turn.token_ids, skip_special_tokens=True)
        ended = turn.token_ids[-1] == tokenizer.eos_token_id
        assert ended or codec.is_over(text) or len(turn.token_ids) == 200
        assert tokenizer.eos_token_id not in turn.token_ids[:-1]
        assert len(turn.token_ids) == len(turn.logprobs)
    assert any(turn.token_ids[-1] == tokenizer.eos_token_id for turn in turns), "none ended by itself"
    await made.aclose()


async def test_a_server_of_another_model_is_refused(
    servers: list[VLLM], loaded: tuple[Any, Any], tmp_path: Path
) -> None:
    made = generator(servers, tmp_path, loaded[1])
    with pytest.raises(ConfigError, match=str(tmp_path)):
        await made.check(lora=True)
    await made.aclose()


def test_grpo_samples_from_the_servers_what_it_trains(
    servers: list[VLLM], model_folder: Path, tmp_path: Path
) -> None:
    """Two rollouts, an update between: what the servers say they sampled is what the trainer computes."""
    words = {
        "model_name_or_path": str(model_folder),
        "output_dir": "out",
        "tasks": "[offline/concrete-strength]",
        "episode.max_steps": "2",
        "episode.prompt_style": "brief",
        "sampling.temperature": "0.9",
        "sampling.max_new_tokens": "24",
        "max_tokens": "300",
        "generator": "vllm",
        "vllm.urls": str([server.url for server in servers]),
        "vllm.patience_s": str(START_S),
        "lora.r": "8",
        "trainer.max_steps": "2",
        "trainer.num_generations": "4",
        "trainer.per_device_train_batch_size": "4",
        "trainer.learning_rate": "0.01",
        "trainer.report_to": "none",
        "trainer.save_strategy": "no",
        "trainer.use_cpu": "true",
        "trainer.bf16": "false",
        "trainer.gradient_checkpointing": "false",
        "trainer.logging_steps": "1",
    }
    done = subprocess.run(
        [
            sys.executable,
            str(ROOT / "recipes/grpo.py"),
            *(w for k, v in words.items() for w in (f"--{k}", v)),
        ],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=START_S,
    )
    assert done.returncode == 0, done.stderr
    log = [json.loads(line) for line in (tmp_path / "out" / "log.jsonl").read_text().splitlines()]
    differences = [line["sampling/sampling_logp_difference/max"] for line in log if "reward" in line]
    assert len(differences) == 2 and max(differences) < 1e-3
    episodes = list(read_trajectories(tmp_path / "out" / "rollouts-0.jsonl"))
    assert {step.policy_version for episode in episodes for step in episode.steps} == {0, 1}
    assert sorted(path.name for path in (tmp_path / "out" / "adapters").iterdir()) == ["0", "1"]


async def test_a_server_that_is_killed_costs_retries_and_gets_its_adapter_when_it_is_back(
    servers: list[VLLM], model_folder: Path, loaded: tuple[Any, Any], adapters: Any, tmp_path: Path
) -> None:
    made = generator(servers, model_folder, loaded[1], patience_s=float(START_S))
    folder, model = adapters[2]
    await made.update(folder, 5)
    prompts = [[5, 9, place] for place in range(24)]
    rollout = asyncio.create_task(ask(made, prompts, 200))
    await asyncio.sleep(0.5)
    servers[0].kill()
    for prompt, found in zip(prompts, await rollout, strict=True):
        assert found.version == 5
        check_logprobs(model, prompt, found)
    assert made.servers.retries > 0
    servers[0] = VLLM(model_folder, tmp_path / "again.log", servers[0].port)
    await asyncio.to_thread(servers[0].wait)
    servers[1].kill()
    for prompt, found in zip(prompts, await ask(made, prompts, 24), strict=True):
        check_logprobs(model, prompt, found)
    await made.aclose()


def test_a_served_model_plays_an_evaluation(servers: list[VLLM], model_folder: Path, tmp_path: Path) -> None:
    words = ["--output_dir", str(tmp_path), "--tasks", "[offline/scorecard-earnings]", "--episodes", "2"]
    words += ["--policies.served", f"openai:{model_folder}", "--endpoint.base_url", f"{servers[0].url}/v1"]
    words += [
        "--episode.max_steps",
        "2",
        "--episode.prompt_style",
        "brief",
        "--sampling.max_new_tokens",
        "24",
    ]
    words += ["--episode.max_feedback_chars", "100", "--max_tokens", "900"]
    results = evaluate(parse_command_line(EvalRun, words))
    assert [row["broken"] for row in results.rows] == [False, False]
    episodes = list(read_trajectories(tmp_path / "trajectories.jsonl"))
    assert all(
        step.prompt_tokens > 0 and 0 < step.completion_tokens <= 24 for e in episodes for step in e.steps
    )
    assert all(len(episode.steps) == 2 for episode in episodes)
