"""Every command of the README: run here, run by CI through the Makefile, or marked as needing something."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from mledojo_train.config import CollectRun, EvalRun, GRPORun, SFTRun, parse_command_line

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text()
RUNS = {"collect": CollectRun, "sft": SFTRun, "grpo": GRPORun, "eval": EvalRun}
CLI = ".venv/bin/mledojo-train"


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", README, re.DOTALL | re.MULTILINE)


def commands(*needs: str) -> list[str]:
    """Return the lines of shell in blocks that say they need this; that need neither, without an argument."""
    return [
        line.split("#")[0].strip()
        for block in blocks("bash")
        if [need for need in ("a GPU", "a Kaggle account") if f"needs {need}" in block] == list(needs)
        for line in block.splitlines()
        if not line.startswith("#")
    ]


COMMANDS = commands()
GPU_COMMANDS = commands("a GPU")
KAGGLE_COMMANDS = commands("a Kaggle account")


def make_prints(target: str) -> str:
    done = subprocess.run(
        ["make", "-n", target, "VENV=.venv"], cwd=ROOT, capture_output=True, text=True, check=True, timeout=30
    )
    return done.stdout


def test_there_are_commands_of_every_kind() -> None:
    assert len(COMMANDS) > 12
    assert len(GPU_COMMANDS) >= 4
    assert len(KAGGLE_COMMANDS) >= 4
    known = (
        "make ",
        ".ci/run",
        ".venv/bin/python recipes/",
        ".venv/bin/python env/docker/build.py",
        ".venv/bin/accelerate launch ",
        CLI,
        "mkdir ",
        "sed ",
    )
    assert [command for command in COMMANDS if not command.startswith(known)] == []


@pytest.mark.parametrize("command", [c for c in COMMANDS if c.startswith("make ")])
def test_make_knows_the_target(command: str) -> None:
    assert make_prints(command.split()[1])


def test_ci_run_is_there() -> None:
    assert os.access(ROOT / ".ci" / "run", os.X_OK)


@pytest.mark.parametrize("command", [c for c in COMMANDS if "recipes/" in c])
def test_the_recipes_are_started_as_make_starts_them(command: str) -> None:
    assert command in make_prints("quickstart")
    assert command.replace("quickstart", "ci") in make_prints("quickstart-ci")


@pytest.mark.parametrize("command", GPU_COMMANDS)
def test_commands_for_a_gpu_name_what_exists(command: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    words = shlex.split(command)
    recipe = next(place for place, word in enumerate(words) if word.startswith("recipes/"))
    assert words[:recipe] in (
        ["python"],
        ["accelerate", "launch", "--config_file", "configs/accelerate/single_gpu.yaml"],
    )
    assert (ROOT / words[recipe]).is_file()
    config = parse_command_line(RUNS[Path(words[recipe]).stem], words[recipe + 1 :])
    assert config.output_dir.startswith("runs/")


@pytest.mark.parametrize("command", KAGGLE_COMMANDS)
def test_commands_for_kaggle_get_as_far_as_the_account(
    command: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in [name for name in os.environ if name.startswith("KAGGLE_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("MLEDOJO_CACHE", str(tmp_path / "cache"))
    if " prepare " not in command:
        assert run(command, tmp_path)
        return
    done = shell(command, tmp_path)
    assert done.returncode == 1 and done.stderr.startswith("error: No Kaggle credentials"), done.stderr


def test_what_it_says_of_a_script_and_of_a_task_runs(tmp_path: Path) -> None:
    """The README's lines from the first script on, in their order and in one folder, as a reader would."""
    script, environment, _ = blocks("python")
    (tmp_path / "solution.py").write_text(script)
    (tmp_path / "tasks").symlink_to(ROOT / "tasks")
    shutil.copy(sample_submission(), tmp_path / "submission.csv")
    for command in COMMANDS:
        if command.startswith((CLI, "mkdir ", "sed ")):
            run(command, tmp_path)
    assert "rank" in run(f"{CLI} run concrete-strength --code solution.py", tmp_path)
    (tmp_path / "environment.py").write_text(environment)
    done = subprocess.run(
        [sys.executable, "environment.py"], cwd=tmp_path, capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr
    assert float(done.stdout.split()[-1]) > 0.2  # the reward of a forest


def test_what_it_says_of_other_trainers_runs() -> None:
    _, _, adapter = blocks("python")
    made: dict[str, Any] = {}
    exec(adapter, made)  # our own README
    assert made["dataset"].num_rows == 2
    assert made["environment_factory"]().get_reward() is None


def sample_submission() -> Path:
    from mledojo_env import load_task

    return load_task("concrete-strength").public_dir / "sample_submission.csv"


def run(command: str, folder: Path) -> str:
    """Run a line of shell; return what it printed."""
    done = shell(command, folder)
    # `doctor` exits with 1 on a machine that lacks something
    assert done.returncode == 0 or (" doctor" in command and done.stdout), f"{command}\n{done.stderr}"
    return done.stdout


def shell(command: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """Run a line of shell with `mledojo-train` as this interpreter's."""
    ours = f"{shlex.quote(sys.executable)} -c 'from mledojo_train.cli import main; main()'"
    return subprocess.run(
        ["bash", "-c", command.replace(CLI, ours)], cwd=folder, capture_output=True, text=True, timeout=120
    )
