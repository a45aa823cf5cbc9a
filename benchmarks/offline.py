"""A table of the bundled tasks: what is in them, and what a dummy, a plain strong script and the board reach.

    python benchmarks/offline.py [--out benchmarks/results/offline.md]

The scripts are those of `scripted:dummy` and `scripted:forest`, played in the local sandbox; their scores and
the board's are those of the private part. Seconds are the wall clock of the strong script itself.
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

SKILLS = ("dummy", "forest")
STEPS = 3  # of the strong script, whose best counts


def main() -> None:
    """Play, write the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "results" / "offline.md")
    options = parser.parse_args()
    tasks = [entry.id for entry in list_tasks() if entry.source == "offline" and entry.ready]
    with LocalSandbox() as sandbox:
        episodes = [play(sandbox, tasks, skill) for skill in SKILLS]
    lines = [
        line(load_task(task), *(episodes[skill][place] for skill in SKILLS))
        for place, task in enumerate(tasks)
    ]
    options.out.write_text(report(sorted(lines)))
    print(options.out)


def play(sandbox: LocalSandbox, tasks: list[str], skill: str) -> list[Trajectory]:
    """Return an episode of a scripted agent on each task."""
    codec = FencedCodec()
    engine = RolloutEngine(sandbox, codec, EpisodeOptions(max_steps=1 if skill == "dummy" else STEPS))
    return asyncio.run(engine.run(load_policy(f"scripted:{skill}", codec), spread(tasks, 1, 0)))


def line(task: Task, dummy: Trajectory, strong: Trajectory) -> tuple[str, ...]:
    """Return the cells of one task."""
    board = task.leaderboard
    assert board is not None
    train = task.public_dir / "train.csv"
    seconds = max((step.run_s for step in strong.steps if step.action == "execute_code"), default=0.0)
    return (
        task.domain,
        task.kind,
        task.id,
        task.split,
        f"{len(pd.read_csv(train)) if train.exists() else '-'} / {len(task.answers())}",
        f"{task.metric.name} ({'higher' if task.metric.higher_is_better else 'lower'})",
        score(dummy),
        score(strong),
        f"{board.private_scores[0]:.4g} of {board.teams()}",
        f"{strong.rank:.2f}",
        f"{seconds:.1f}",
    )


def score(episode: Trajectory) -> str:
    """Return the private score of the submission that counts."""
    found = episode.result.get("score_private")
    return "none" if found is None else f"{found:.4g}"


def report(lines: list[tuple[str, ...]]) -> str:
    """Return the page."""
    heads = (
        "domain", "kind", "task", "split", "rows: train / test", "metric", "dummy", "strong script",
        "best of the board", "rank of the strong script", "its seconds",
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
