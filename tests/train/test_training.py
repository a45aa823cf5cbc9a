"""SFT and GRPO for real: TRL's trainers, the sandbox, a nano model, through the recipes that users run."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from mledojo_train.grpo import TASK_KEY, _columns, _task_of, _without
from mledojo_train.trajectory import Trajectory, read_trajectories

ROOT = Path(__file__).parents[2]
TASKS = "[offline/concrete-strength, offline/hotel-rates]"
BRIEF = ["--episode.max_steps", "2", "--episode.prompt_style", "brief", "--episode.max_feedback_chars", "200"]
TINY = ["--trainer.report_to", "none", "--trainer.save_strategy", "no", "--trainer.use_cpu", "true"]
GRPO = [
    *(BRIEF + TINY),
    *("--tasks", TASKS),
    *("--sampling.max_new_tokens", "80"),
    *("--max_tokens", "600"),
    *("--lora.r", "4"),
    *("--trainer.max_steps", "2"),
    *("--trainer.num_generations", "4"),
    *("--trainer.per_device_train_batch_size", "4"),
    *("--trainer.logging_steps", "1"),
]


def recipe(name: str, folder: Path, *words: str, launcher: tuple[str, ...] = (sys.executable,)) -> str:
    done = subprocess.run(
        [*launcher, str(ROOT / "recipes" / f"{name}.py"), *words],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=300,
        env=os.environ | {"HF_HUB_OFFLINE": "1"},
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout


@pytest.fixture(scope="module")
def workshop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with collected trajectories and an SFT checkpoint."""
    folder = tmp_path_factory.mktemp("workshop")
    recipe("collect", folder, "--output_dir", "collect", "--tasks", TASKS, "--episodes", "6", *BRIEF)
    recipe(
        *("sft", folder, "--output_dir", "sft", "--data", "[collect/trajectories.jsonl]", *TINY),
        *("--nano.hidden_size", "64", "--nano.layers", "2", "--trainer.max_steps", "60"),
        *("--trainer.learning_rate", "5.0e-3", "--trainer.per_device_train_batch_size", "8"),
    )
    return folder


def test_collect_writes_whole_episodes_and_resumes(workshop: Path) -> None:
    path = workshop / "collect" / "trajectories.jsonl"
    before = path.read_bytes()
    episodes = list(read_trajectories(path))
    assert len(episodes) == 12
    assert {e.task for e in episodes} == {"offline/concrete-strength", "offline/hotel-rates"}
    assert sum(e.valid for e in episodes) >= 8
    assert (workshop / "collect" / "config.yaml").is_file()
    path.write_bytes(b"\n".join(before.splitlines()[:-1]) + b"\n")
    recipe("collect", workshop, "--output_dir", "collect", "--tasks", TASKS, "--episodes", "6", *BRIEF)
    again = list(read_trajectories(path))
    assert sorted((e.task, e.seed) for e in again) == sorted((e.task, e.seed) for e in episodes)
    assert path.read_bytes().startswith(before[: len(before) // 2])


def test_sft_leaves_an_ordinary_checkpoint_that_learned(workshop: Path) -> None:
    from mledojo_train.policy.local import load_model

    model, tokenizer = load_model(str(workshop / "sft"))
    assert tokenizer.chat_template
    rendered = tokenizer.apply_chat_template(
        next(read_trajectories(workshop / "collect" / "trajectories.jsonl")).messages,
        return_tensors="pt",
        return_dict=True,
        return_assistant_tokens_mask=True,
    )
    mask = rendered.pop("assistant_masks")  # SFT taught the assistant's tokens, and only those
    loss = model(**rendered, labels=rendered["input_ids"].where(mask.bool(), -100)).loss.item()
    assert loss < 3.0  # an untrained one is at ln(2048) = 7.6


def test_grpo_trains_an_adapter_from_online_rollouts(workshop: Path) -> None:
    recipe("grpo", workshop, "--model_name_or_path", "sft", "--output_dir", "grpo", *GRPO)
    episodes = list(read_trajectories(workshop / "grpo" / "rollouts-0.jsonl"))
    assert len(episodes) == 8
    assert all(e.completion_ids and len(e.mask) == len(e.logprobs) for e in episodes)
    assert len({e.seed for e in episodes}) == len({e.task for e in episodes}), "a seed a task"
    assert {step.policy_version for e in episodes[:4] for step in e.steps} == {0}
    adapter = json.loads((workshop / "grpo" / "adapter_config.json").read_text())
    assert (adapter["r"], adapter["base_model_name_or_path"]) == (4, "sft")
    assert (workshop / "grpo" / "config.yaml").is_file()
    log = [json.loads(line) for line in (workshop / "grpo" / "log.jsonl").read_text().splitlines()]
    assert [line["step"] for line in log[:2]] == [1, 2]
    assert {"reward", "entropy", "episodes/rank", "episodes/valid_rate"} <= log[0].keys()
    figures = "seconds episodes_per_min steps_per_min tokens_per_s generator_busy sandbox_busy overlap"
    figures += " queue_p50_s queue_p95_s stragglers broken cache_hits cache_hit_rate"
    assert {f"rollout/{name}" for name in figures.split()} <= log[0].keys()


def test_grpo_on_two_processes_gives_each_its_own_episodes(workshop: Path) -> None:
    torchrun = (
        *(sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node", "2"),
        *("--log_dir", str(workshop / "logs")),  # else it leaves a folder in /tmp
    )
    words = ["--model_name_or_path", "sft", "--output_dir", "grpo2", "--seed_each", "episode", *GRPO]
    recipe("grpo", workshop, *words, launcher=torchrun)
    first, second = (list(read_trajectories(workshop / "grpo2" / f"rollouts-{i}.jsonl")) for i in (0, 1))
    assert len(first) == len(second) == 8
    assert not {e.seed for e in first} & {e.seed for e in second}


def test_evaluation_compares_both(workshop: Path) -> None:
    out = recipe(
        *("eval", workshop, "--output_dir", "eval", "--tasks", TASKS, "--episodes", "2", *BRIEF),
        *("--policies.forest", "scripted:forest", "--policies.sft", "local:sft"),
        *("--sampling.max_new_tokens", "80", "--max_tokens", "600"),
    )
    rows = [json.loads(line) for line in (workshop / "eval" / "results.jsonl").read_text().splitlines()]
    assert len(rows) == 8
    summary = json.loads((workshop / "eval" / "summary.json").read_text())
    assert summary["policies"]["forest"]["all"]["rank"]["mean"] > 0.2
    assert "sft - forest" in summary["compared"]
    assert "forest" in out and "tabular" in out


@pytest.mark.parametrize(
    ("words", "found"),
    [
        (["--model_name_or_path", "runs/nowhere"], "does not exist"),
        (["--model_name_or_path", "sft", "--trainer.lerning_rate", "1"], "learning_rate"),
        (["--model_name_or_path", "sft", "--tasks", "[offline/concrete]"], "concrete-strength"),
        (["--model_name_or_path", "sft", "--output_dir", "sft/config.json/x"], "another output_dir"),
        (["--model_name_or_path", "sft", "--sandbox.backend", "vm"], "'local'"),
    ],
)
def test_bad_input_is_one_clear_line(workshop: Path, words: list[str], found: str) -> None:
    if "--output_dir" not in words:
        words = [*words, "--output_dir", "bad"]
    done = subprocess.run(
        [sys.executable, str(ROOT / "recipes/grpo.py"), *words, *TINY],
        cwd=workshop,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 1
    assert found in done.stderr
    assert "Traceback" not in done.stderr


def _descendants(pid: int) -> set[int]:
    found, todo = set(), [pid]
    while todo:
        parent = todo.pop()
        for task in Path(f"/proc/{parent}/task").glob("*/children"):
            children = {int(child) for child in task.read_text().split()}
            todo += children - found
            found |= children
    return found


def _alive(pids: set[int]) -> set[int]:
    """Return those that run; to wait for an orphan that ended is the business of the machine's init."""

    def runs(pid: int) -> bool:
        try:
            return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
        except OSError:
            return False

    return {pid for pid in pids if runs(pid)}


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGKILL])
def test_a_run_that_is_stopped_leaves_no_process_and_a_readable_file(
    tmp_path: Path, how: signal.Signals
) -> None:
    running = subprocess.Popen(
        [
            sys.executable,
            str(ROOT / "recipes/collect.py"),
            "--output_dir",
            "out",
            "--episodes",
            "200",
            *BRIEF,
        ],
        cwd=tmp_path,
        stderr=subprocess.PIPE,
        text=True,
    )
    path = tmp_path / "out" / "trajectories.jsonl"
    deadline = time.monotonic() + 60
    while not (path.exists() and path.stat().st_size > 0) and time.monotonic() < deadline:
        time.sleep(0.1)
    family = _descendants(running.pid)
    assert family, "the sandbox runs in processes of its own"
    running.send_signal(how)
    _, stderr = running.communicate(timeout=20)
    assert running.returncode == (130 if how == signal.SIGINT else -9)
    assert how == signal.SIGKILL or "interrupted" in stderr
    deadline = time.monotonic() + 10
    while _alive(family) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert not _alive(family)
    assert len(list(read_trajectories(path))) >= 1


def test_workers_end_with_a_launcher_that_is_killed(workshop: Path) -> None:
    launcher = subprocess.Popen(
        [
            *(sys.executable, "-m", "accelerate.commands.launch"),
            *("--config_file", str(ROOT / "configs/accelerate/cpu.yaml"), str(ROOT / "recipes/grpo.py")),
            *("--model_name_or_path", "sft", "--output_dir", "killed", *GRPO, "--trainer.max_steps", "100"),
        ],
        cwd=workshop,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    rollouts = workshop / "killed" / "rollouts-0.jsonl"
    deadline = time.monotonic() + 120
    while not (rollouts.exists() and rollouts.stat().st_size > 0) and time.monotonic() < deadline:
        time.sleep(0.1)
    family = _descendants(launcher.pid)
    assert len(family) > 1, "the recipe, and the sandbox's processes"
    launcher.kill()
    launcher.wait()
    deadline = time.monotonic() + 10
    while _alive(family) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert not _alive(family)
    assert len(list(read_trajectories(rollouts))) >= 1


def test_ctrl_c_in_a_rollout_ends_every_child_within_two_seconds(workshop: Path) -> None:
    """While scripts run for a minute and the model is asked for a thousand tokens a turn."""
    options = [*GRPO, "--trainer.max_steps", "100", "--episode.max_steps", "50", "--max_tokens", "4000"]
    running = subprocess.Popen(
        [
            *(sys.executable, str(ROOT / "recipes/grpo.py"), "--model_name_or_path", "sft"),
            *("--output_dir", "stopped", *options, "--sampling.max_new_tokens", "1000"),
        ],
        cwd=workshop,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    deadline = time.monotonic() + 60
    while len(_descendants(running.pid)) < 3 and time.monotonic() < deadline:
        time.sleep(0.1)
    time.sleep(2)  # into the rollout
    family = _descendants(running.pid)
    assert len(family) >= 3, "the sandbox's processes, the grader's"
    running.send_signal(signal.SIGINT)
    pressed = time.monotonic()
    while _alive(family) and time.monotonic() < pressed + 10:
        time.sleep(0.02)
    took = time.monotonic() - pressed
    _, stderr = running.communicate(timeout=20)
    assert took < 2, took
    assert running.returncode == 130 and "interrupted" in stderr


def test_late_episodes_are_left_out_of_the_loss_and_the_baseline() -> None:
    late = Trajectory(
        *("t", "p", 0, []), reward=0.7, stop_reason="deadline", prompt_ids=[4], completion_ids=[5], mask=[1]
    )
    late.logprobs = [-0.1]
    columns = _columns([_without(late)], eos=2)
    assert (columns["env_mask"], columns["episode_reward"]) == ([[0]], [None])
    assert (late.mask, late.reward) == ([1], 0.7), "what is written down stays as it was"


def test_an_episode_without_tokens_becomes_one_masked_token() -> None:
    episode = Trajectory("t", "p", 0, [], reward=None, error="SandboxError: gone", prompt_ids=[4])
    columns = _columns([episode], eos=2)
    assert columns["completion_ids"] == [[2]]
    assert columns["env_mask"] == [[0]]
    assert columns["episode_reward"] == [None]


def test_a_prompt_without_its_task_is_refused() -> None:
    from mledojo_env.errors import ConfigError

    assert _task_of([{"role": "user", "content": "x", TASK_KEY: "offline/a"}]) == "offline/a"
    with pytest.raises(ConfigError, match=TASK_KEY):
        _task_of([{"role": "user", "content": "x"}])
