"""Play checkpoints (or any policies) on the benchmark tasks and compare them.

python recipes/eval.py --config configs/eval/quickstart.yaml
"""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

from rich.console import Console

from mledojo_train import evaluate
from mledojo_train.codec import make_codec
from mledojo_train.config import EvalRun, expand_tasks, parse_command_line, save_resolved
from mledojo_train.policy import check_policy, load_policy
from mledojo_train.rollout import spread
from mledojo_train.run import (
    episode_progress,
    make_engine,
    open_sandbox,
    recipe,
    seed_everything,
)
from mledojo_train.trajectory import Trajectory, TrajectoryWriter


@recipe
def main() -> None:
    """Parse, play, summarise, print."""
    config = parse_command_line(EvalRun)
    for spec in config.policies.values():
        check_policy(spec)
    save_resolved(config, config.output_dir)
    folder = Path(config.output_dir)
    codec = make_codec(config.action_format)
    specs = spread(expand_tasks(config.tasks), config.episodes, config.seed)
    rows: list[evaluate.Row] = []
    with (
        open_sandbox(config.sandbox) as sandbox,
        TrajectoryWriter(folder / "trajectories.jsonl") as writer,
        (folder / "results.jsonl").open("w") as results,
    ):
        engine = make_engine(config, sandbox)
        for name, spec in config.policies.items():
            policy = load_policy(spec, codec, config.sampling, max_tokens=config.max_tokens)
            seed_everything(config.seed)

            def keep(trajectory: Trajectory, name: str = name) -> None:
                writer.write(trajectory)
                rows.append(evaluate.row(name, engine.task(trajectory.task).domain, trajectory))
                results.write(json.dumps(rows[-1], allow_nan=False) + "\n")
                results.flush()

            with episode_progress(f"eval {name}", len(specs), keep) as on_episode:
                asyncio.run(engine.run(policy, specs, on_episode))
    summary = evaluate.summarise(rows)
    path = evaluate.write_summary(summary, folder)
    Console(width=150).print(evaluate.table(summary))
    for pair, change in summary["compared"].items():
        if change:
            interval = f"[{change['low']:+.3f}, {change['high']:+.3f}]"
            print(f"{pair}: rank {change['mean']:+.3f} {interval}, n = {change['n']}")
    print(f"{path} and results.jsonl written")


if __name__ == "__main__":
    main()
