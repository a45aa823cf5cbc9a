"""Evaluation: policies -> episodes -> rows on disk. A run that was stopped goes on where it was.

What is not written is played; an episode counts once its row is a line of `results.jsonl`, so a run that is
killed loses the episodes in flight and nothing else.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import IO

from mledojo_env.errors import ConfigError
from mledojo_train.codec import make_codec
from mledojo_train.config import EvalRun, expand_tasks, save_resolved
from mledojo_train.jsonl import end_cut_line
from mledojo_train.policy import check_policy, load_policy
from mledojo_train.protocol import Protocol, protocol_of, read_protocol
from mledojo_train.results import FILE, Results, Row, episode_id, read_results, row
from mledojo_train.rollout import EpisodeSpec, RolloutEngine, spread
from mledojo_train.run import episode_progress, make_engine, open_sandbox, play_all, seed_everything
from mledojo_train.trackers import Tracked, trackers
from mledojo_train.trajectory import Trajectory, TrajectoryWriter


def evaluate(config: EvalRun) -> Results:
    """Play what is missing of an evaluation and return all of its rows.

    Raises:
        ConfigError: If a policy is unknown, no task can be played, or the folder holds another evaluation.
        SandboxUnavailable: If this machine cannot isolate code.
    """
    if not config.policies:
        raise ConfigError("No policies to evaluate. Name one: --policies.forest scripted:forest")
    for spec in config.policies.values():
        check_policy(spec)
    folder = Path(config.output_dir)
    specs = spread(expand_tasks(config.tasks), config.episodes, config.seed)
    with open_sandbox(config.sandbox) as sandbox:
        engine = make_engine(config, sandbox)
        tasks = {spec.task: engine.task(spec.task).data_hash for spec in specs}
        protocol = protocol_of(config, tasks)
        done = _go_on(folder, protocol)
        save_resolved(config, config.output_dir)
        protocol.save(folder)
        todo = {
            name: [s for s in specs if episode_id(name, engine.task(s.task).id, s.seed) not in done]
            for name in config.policies
        }
        left = sum(map(len, todo.values()))
        if done and left:
            print(f"{len(done)} episodes are there already; {left} to play")
        with (
            TrajectoryWriter(folder / "trajectories.jsonl") as writer,
            (folder / FILE).open("a+b") as results,
            trackers(config.report_to, folder, config) as tracked,
        ):
            end_cut_line(results)
            for name, missing in todo.items():
                if missing:
                    _play(config, engine, name, missing, writer, results, tracked)
    return read_results(folder)


def _go_on(folder: Path, protocol: Protocol) -> set[str]:
    """Return the ids of the episodes that need not be played again.

    Raises:
        ConfigError: If they were played by another protocol.
    """
    if not (folder / FILE).is_file():
        return set()
    before = read_protocol(folder)
    clashes = before.clashes(protocol) if before else ["it does not say how it was played"]
    if before:
        clashes += [
            f"{name} is {before.policies[name]} there and {spec} here"
            for name, spec in protocol.policies.items()
            if before.policies.get(name, spec) != spec
        ]
    if clashes:
        raise ConfigError(
            f"{folder} holds another evaluation: {'; '.join(clashes)}. "
            "Choose another output_dir, or remove it."
        )
    return {found["id"] for found in read_results(folder).rows if not found["broken"] and "id" in found}


def _play(
    config: EvalRun,
    engine: RolloutEngine,
    name: str,
    specs: list[EpisodeSpec],
    writer: TrajectoryWriter,
    results: IO[bytes],
    tracked: Tracked,
) -> None:
    codec = make_codec(config.action_format)
    policy = load_policy(
        config.policies[name],
        codec,
        config.sampling,
        max_tokens=config.max_tokens,
        endpoint=config.endpoint,
    )
    seed_everything(config.seed)

    def keep(trajectory: Trajectory) -> None:
        trajectory.id = episode_id(name, trajectory.task, trajectory.seed)
        task = engine.task(trajectory.task)
        writer.write(trajectory)
        board = task.leaderboard
        line: Row = row(name, task.domain, board.kind if board else None, trajectory)
        results.write(json.dumps(line, allow_nan=False).encode() + b"\n")
        results.flush()
        tracked.add(line)

    with episode_progress(f"eval {name}", len(specs), keep) as on_episode:
        play_all(engine, policy, specs, on_episode)
