"""A table of the bundled tasks: what is in them, and what the board and a plain script reach.

    python benchmarks/offline.py [--out benchmarks/results/offline.md]

A board spans from a dummy to the strongest pipeline of the task's build script; scores are those of the
private part. The script is the best of three by `scripted:forest`, which knows no task by name, played in the
local sandbox; "none" where the kind of task needs more than such a script. Seconds are its wall clock.
"""

from __future__ import annotations

import argparse
import asyncio
import datetime
import os
import platform
from pathlib import Path

import pandas as pd

from mledojo_env import Task, load_task
from mledojo_env.catalog import list_tasks
from mledojo_env.sandbox.local import LocalSandbox
from mledojo_train.codec import FencedCodec
from mledojo_train.policy import load_policy
from mledojo_train.rollout import EpisodeOptions, RolloutEngine, spread
from mledojo_train.trajectory import Trajectory

STEPS = 3


def main() -> None:
    """Play, write the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "results" / "offline.md")
    options = parser.parse_args()
    tasks = [entry.id for entry in list_tasks() if entry.source == "offline" and entry.ready]
    with LocalSandbox() as sandbox:
        episodes = play(sandbox, tasks)
    lines = [line(load_task(task), episode) for task, episode in zip(tasks, episodes, strict=True)]
    options.out.write_text(report(sorted(lines)))
    print(options.out)


def play(sandbox: LocalSandbox, tasks: list[str]) -> list[Trajectory]:
    """Return an episode of the scripted agent on each task."""
    codec = FencedCodec()
    engine = RolloutEngine(sandbox, codec, EpisodeOptions(max_steps=STEPS))
    return asyncio.run(engine.run(load_policy("scripted:forest", codec), spread(tasks, 1, 0)))


def line(task: Task, episode: Trajectory) -> tuple[str, ...]:
    """Return the cells of one task."""
    board = task.leaderboard
    assert board is not None
    train = task.public_dir / "train.csv"
    seconds = max((step.run_s for step in episode.steps if step.action == "execute_code"), default=0.0)
    return (
        task.domain,
        task.kind,
        task.id,
        task.split,
        f"{len(pd.read_csv(train)) if train.exists() else '-'} / {len(task.answers())}",
        f"{task.metric.name} ({'higher' if task.metric.higher_is_better else 'lower'})",
        str(board.teams()),
        f"{board.private_scores[-1]:.4g} to {board.private_scores[0]:.4g}",
        score(episode),
        f"{episode.rank:.2f}",
        f"{seconds:.1f}",
    )


def score(episode: Trajectory) -> str:
    """Return the private score of the submission that counts."""
    found = episode.result.get("score_private")
    return "none" if found is None else f"{found:.4g}"


def report(lines: list[tuple[str, ...]]) -> str:
    """Return the page."""
    heads = (
        "domain", "kind", "task", "split", "rows: train / test", "metric", "board", "its scores",
        "a script's score", "its rank", "its seconds",
    )  # fmt: skip
    rows = ["| " + " | ".join(cells) + " |" for cells in (heads, ("---",) * len(heads), *lines)]
    where = f"Python {platform.python_version()}, {os.cpu_count()} cores"
    today = datetime.date.today()
    return "\n".join(
        [
            f"# The {len(lines)} bundled tasks, {today}",
            "",
            f"Made by `python benchmarks/offline.py` ({where}); what is done is said there.",
            "",
            *rows,
            "",
        ]
    )


if __name__ == "__main__":
    main()
