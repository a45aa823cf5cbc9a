"""Rollouts through this engine beside TRL's own tool loop: same policy, tasks, seeds and steps, in one run.

    python benchmarks/rollouts.py [--quick] [--out benchmarks/results.md] [--log LOG]

a) this project's engine, as `recipes/grpo.py` uses it; (b) TRL's stock `environment_factory` loop with our
environment; (c) the stock loop with `python script.py` as its sandbox, without isolation or grading. All run
inside TRL's trainer with a model that plays a script (scripted_model.py), so that what differs is the loop.
Timed is a rollout: from the environments' resets to the last token. Scripts import pandas and scikit-learn,
as nearly all do, and then fit a random forest to the task, or compute for a second of CPU time, or wait for
two seconds. The cache is on in training; here all episodes of a task play the same scripts, the best case
for it. LOG is a GRPO run's log.jsonl, the quickstart's by default.
"""

from __future__ import annotations

import argparse
import asyncio
import datetime
import json
import logging
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import psutil

os.environ.setdefault("TRL_EXPERIMENTAL_SILENCE", "1")
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")

from trl import GRPOConfig, GRPOTrainer

from mledojo_env import Action, ActionName, Observation, load_task
from mledojo_env.execution_cache import ExecutionCache
from mledojo_env.sandbox.local import LocalSandbox
from mledojo_train import grpo
from mledojo_train.adapters.trl import tool_dataset, tool_env_factory
from mledojo_train.codec import FencedCodec, ToolCallCodec
from mledojo_train.config import GRPORun
from mledojo_train.gate import GateSettings
from mledojo_train.generation import Sampling
from mledojo_train.nano import NanoConfig, make_nano
from mledojo_train.policy.base import Reply
from mledojo_train.policy.scripts import Plan, write
from mledojo_train.rollout import EpisodeOptions, RolloutEngine, spread
from scripted_model import load_with_tools, play, tool_call

TASKS = ["offline/concrete-strength", "offline/hotel-rates"]
HEAD = "import time\nimport pandas as pd\nimport sklearn.ensemble\n"
SCRIPTS = {
    "fits a forest": write(Plan("tabular", "number", "codes", "forest")),  # a second and a half, with imports
    "computes for a second": HEAD
    + "began = time.process_time()\nwhile time.process_time() - began < 1: pass\n",
    "waits for two seconds": HEAD + "time.sleep(2)\n",
}
MOST_TOKENS = 20_000
WAYS = {
    "a": "(a) this engine",
    "a+cache": "(a) with its execution cache",
    "b": "(b) TRL's loop, our environment",
    "c": "(c) TRL's loop, `python script.py`",
}


class TimedTrainer(GRPOTrainer):  # type: ignore[misc]
    """A `GRPOTrainer` that knows how long its last rollout took."""

    rollout_s = 0.0

    def _generate_and_score_completions(self, inputs: Any) -> Any:
        self._began = time.perf_counter()
        return super()._generate_and_score_completions(inputs)

    def _generate(self, *given: Any, **named: Any) -> Any:
        output = super()._generate(*given, **named)
        self.rollout_s = time.perf_counter() - self._began
        return output


class PlainEnv:
    """What a first attempt looks like: a tool that runs `python script.py` in a folder."""

    def reset(self, *, task: str, **_: Any) -> None:
        """Start in an empty folder."""
        self._folder = tempfile.TemporaryDirectory()
        self._data = load_task(task).public_dir

    def execute_code(self, code: str) -> str:
        """
        Run a script.

        Args:
            code: A complete Python script.
        """
        script = Path(self._folder.name) / "script.py"
        script.write_text(code.replace("/data/", f"{self._data}/"))
        done = subprocess.run(
            [sys.executable, "script.py"], cwd=self._folder.name, capture_output=True, text=True, timeout=60
        )
        return done.stdout + done.stderr

    def get_reward(self) -> float:
        """Return nothing: this one does not grade."""
        return 0.0


class Bench:
    """The parts that all runs share."""

    def __init__(self, folder: Path, sandbox: LocalSandbox) -> None:
        self.folder, self.sandbox = folder, sandbox
        texts = [*SCRIPTS.values(), FencedCodec().instructions()]
        config = NanoConfig(vocab_size=1000, hidden_size=32, layers=1, heads=2, max_positions=32_768)
        make_nano(texts, folder / "nano", config)

    def rollout(self, way: str, script: str, episodes: int, steps: int) -> float:
        """Return the seconds of one rollout of `episodes` episodes with `steps` executions each."""
        turns = [tool_call("execute_code", code=f"# step {step}\n{script}") for step in range(steps)]
        arguments = GRPOConfig(
            output_dir=str(self.folder / "out"),
            max_steps=1,
            per_device_train_batch_size=episodes,
            num_generations=episodes // len(TASKS),
            max_completion_length=MOST_TOKENS,
            max_tool_calling_iterations=steps,
            learning_rate=0.0,
            report_to="none",
            save_strategy="no",
            use_cpu=True,
            bf16=False,
            gradient_checkpointing=False,
            disable_tqdm=True,
            logging_strategy="no",
        )
        model, tokenizer = load_with_tools(str(self.folder / "nano"))
        play(model, tokenizer, turns)
        options = EpisodeOptions(max_steps=steps)
        common: dict[str, Any] = {
            "model": model,
            "args": arguments,
            "train_dataset": tool_dataset(TASKS, options),
            "processing_class": tokenizer,
        }
        if way.startswith("a"):
            return self._ours(common, steps, cached=way == "a+cache")
        factory = PlainEnv if way == "c" else tool_env_factory(options, sandbox=self.sandbox)
        trainer = TimedTrainer(**common, environment_factory=factory)
        trainer.train()
        return trainer.rollout_s

    def _ours(self, common: dict[str, Any], steps: int, *, cached: bool) -> float:
        config = GRPORun(
            output_dir=str(self.folder / "out"),
            model_name_or_path="scripted",
            action_format="tools",
            episode=EpisodeOptions(max_steps=steps),
            sampling=Sampling(max_new_tokens=2048),
            max_tokens=MOST_TOKENS,
        )
        with tempfile.TemporaryDirectory() as place:
            cache = ExecutionCache(Path(place)) if cached else None
            engine = RolloutEngine(self.sandbox, ToolCallCodec(), config.episode, cache=cache)
            rollouts = grpo.OnlineRollouts(config, engine)
            common |= {
                "train_dataset": grpo.make_dataset(config, engine, TASKS),
                "reward_funcs": grpo.episode_reward,
                "rollout_func": rollouts,
            }
            trainer = TimedTrainer(**common)
            trainer.train()
            rollouts.close()
            if cache:
                cache.close()
        return trainer.rollout_s


def compare(bench: Bench, counts: list[int]) -> list[str]:
    """Return the table of all ways, episodes a minute, and how many times those of (b) and (c) ours are."""
    lines = ["| scripts | episodes | steps | " + " | ".join(WAYS.values()) + " | a / b | a / c |"]
    lines.append("|---" * (len(WAYS) + 5) + "|")
    for name, script in SCRIPTS.items():
        for count in counts:
            steps = 1 if count > 16 else 2
            rates = {way: 60 * count / bench.rollout(way, script, count, steps) for way in WAYS}
            cells = [f"{rate:.1f}" for rate in rates.values()]
            ratios = [f"**{rates['a'] / rates[other]:.1f}**" for other in ("b", "c")]
            lines.append(f"| {name} | {count} | {steps} | " + " | ".join(cells + ratios) + " |")
            print(lines[-1], file=sys.stderr, flush=True)
    return lines


class Fixed:
    """A policy without a model: takes one action again and again."""

    name = "fixed"

    def __init__(self, action: Action) -> None:
        self._reply = Reply({"role": "assistant", "content": ""}, action)

    def start(self, *_: Any) -> Fixed:
        """Return itself: it remembers nothing."""
        return self

    async def act(self, observation: Observation) -> Reply:
        """Take the action."""
        return self._reply

    def tokens(self) -> None:
        """Return None: there is no model."""


def play_fixed(
    sandbox: LocalSandbox, action: Action, episodes: int, steps: int, ceiling: int | None = None
) -> Any:
    """Return the engine's figures and the trajectories of episodes without a model."""
    gate = (
        GateSettings.for_machine() if ceiling is None else replace(GateSettings.for_machine(), always=ceiling)
    )
    engine = RolloutEngine(sandbox, FencedCodec(), EpisodeOptions(max_steps=steps), gate=gate)
    trajectories = asyncio.run(engine.run(Fixed(action), spread(TASKS, max(1, episodes // len(TASKS)), 0)))
    return engine.figures, trajectories


def overhead(sandbox: LocalSandbox) -> list[str]:
    """Return what a step costs that is neither model nor script: no model, and a script that does nothing."""
    lines = [
        "| episodes | steps | asks for information, ms a step | runs an empty script, ms a step |",
        "|---|---|---|---|",
    ]
    ask, empty = Action(ActionName.REQUEST_INFO, "metric"), Action(ActionName.EXECUTE_CODE, "pass")
    for episodes, steps in ((2, 4), (16, 4), (64, 4), (64, 16), (64, 64)):
        cells = []
        for action in (ask, empty):
            figures, played = play_fixed(sandbox, action, episodes, steps)
            count = sum(len(one.steps) for one in played)
            script_s = sum(step.run_s for one in played for step in one.steps)
            cells.append((figures["seconds"] * 1000 / count, script_s * 1000 / count))
        note = f"{cells[1][0]:.1f} (the sandbox says the script took {cells[1][1]:.1f})"
        lines.append(f"| {episodes} | {steps} | {cells[0][0]:.1f} | {note} |")
        print(lines[-1], file=sys.stderr, flush=True)
    return lines


@contextmanager
def memory_watch() -> Iterator[list[float]]:
    """Yield a list that grows by the MB that this process and its children hold (PSS) in the block."""
    seen: list[float] = []
    over = threading.Event()

    def look() -> None:
        while not over.wait(0.25):
            total = 0.0
            for process in (psutil.Process(), *psutil.Process().children(recursive=True)):
                try:
                    total += process.memory_full_info().pss / 2**20
                except (psutil.Error, OSError):
                    continue
            seen.append(total)

    thread = threading.Thread(target=look, daemon=True)
    thread.start()
    try:
        yield seen
    finally:
        over.set()
        thread.join()


def scaling(sandbox: LocalSandbox) -> list[str]:
    """Return rate and memory of episodes that all run at once: their scripts wait for two seconds."""
    lines = [
        "| episodes at once | episodes/min | memory, MB | a further episode and its script, MB |",
        "|---|---|---|---|",
    ]
    action = Action(ActionName.EXECUTE_CODE, SCRIPTS["waits for two seconds"])
    first = 0.0
    for episodes in (2, 4, 8, 16, 32, 64):
        with memory_watch() as seen:
            figures, _ = play_fixed(sandbox, action, episodes, 2, ceiling=64)
        first = first or max(seen)
        more = (max(seen) - first) / (episodes - 2) if episodes > 2 else 0.0
        rate = figures["episodes_per_min"]
        lines.append(f"| {episodes} | {rate:.0f} | {max(seen):.0f} | {more:.1f} |")
        print(lines[-1], file=sys.stderr, flush=True)
    return lines


def split(log: Path) -> list[str]:
    """Return where the time of the GRPO steps of a run went, from its log."""
    steps = [json.loads(line) for line in log.read_text().splitlines()]
    rollouts = [step for step in steps if "rollout/seconds" in step]
    total = sum(step.get("step_time", 0.0) for step in steps)
    seconds = sum(step["rollout/seconds"] for step in rollouts)

    def share(name: str) -> float:
        return sum(step[f"rollout/{name}"] * step["rollout/seconds"] for step in rollouts) / total

    parts = {
        "generates and executes": share("overlap"),
        "only generates": share("generator_busy") - share("overlap"),
        "only executes": share("sandbox_busy") - share("overlap"),
        "neither, in a rollout": seconds / total
        - share("generator_busy")
        - share("sandbox_busy")
        + share("overlap"),
        "trains, and the rest": 1 - seconds / total,
    }
    hits = statistics.fmean(step.get("rollout/cache_hit_rate", 0.0) for step in rollouts)
    lines = [f"{len(steps)} steps, {len(rollouts)} rollouts, {total:.0f} s; cache hits {hits:.0%}.", ""]
    lines += ["| " + " | ".join(parts) + " |", "|---" * len(parts) + "|"]
    lines.append("| " + " | ".join(f"{value:.0%}" for value in parts.values()) + " |")
    return lines


def main() -> None:
    """Measure, write the page."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="4 episodes only; to see that it works")
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "results.md")
    parser.add_argument("--log", type=Path, default=Path("runs/quickstart/grpo/log.jsonl"))
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    logging.disable(logging.WARNING)
    for task in TASKS:
        load_task(task).public_dir  # noqa: B018 - prepares it
    with tempfile.TemporaryDirectory() as folder, LocalSandbox(max_concurrent=64) as sandbox:
        sandbox.start()
        bench = Bench(Path(folder), sandbox)
        for way in ("a", "b"):
            bench.rollout(way, "pass", 4, 1)  # imports and first uses are not what is measured
        page = [
            "# Rollouts",
            "",
            *where(),
            "",
            "## Episodes a minute",
            "",
            *(__doc__ or "").split("\n\n")[2:],
            "",
        ]
        page += compare(bench, [4] if options.quick else [4, 16, 64])
        page += ["", "## What a step costs that is neither model nor script", ""]
        page += ["Wall clock a step, all episodes together, with no model at all.", "", *overhead(sandbox)]
        page += [
            "",
            "## Episodes at once",
            "",
            "Memory is that of the engine, the sandbox and all scripts (PSS).",
            "",
        ]
        page += scaling(sandbox)
    if options.log.exists():
        page += [
            "",
            "## Where the time of GRPO goes",
            "",
            f"Of `{options.log}`, the quickstart's: ",
            "",
            *split(options.log),
        ]
    options.out.write_text("\n".join(page) + "\n")
    print(options.out)


def where() -> list[str]:
    """Return when and on what this was measured."""
    return [
        f"{datetime.date.today()}, Python {platform.python_version()}, {os.cpu_count()} cores. Made by "
        "`python benchmarks/rollouts.py`; all figures of a table are of one run."
    ]


if __name__ == "__main__":
    main()
