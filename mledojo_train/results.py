"""Rows of an evaluation: one an episode in `results.jsonl`, with what every table needs of it."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mledojo_env.errors import ConfigError
from mledojo_train.jsonl import is_cut
from mledojo_train.trajectory import Step, Trajectory

Row = dict[str, Any]

FILE = "results.jsonl"
MALFORMED = "malformed"
_PHASES = {"validate_code": "validate", "execute_code": "execute", None: MALFORMED}
_NEEDED = ("policy", "task", "domain", "seed", "broken", "rank", "valid", "actions", "failures")


def row(name: str, domain: str, board: str | None, trajectory: Trajectory) -> Row:
    """Return what tables need of one episode.

    Args:
        name: The policy's name in tables.
        domain: The task's.
        board: Who is on the task's leaderboard: `human`, `reference`, or None without one.
        trajectory: The episode.
    """
    steps, result = trajectory.steps, trajectory.result
    costs = [step.cost for step in steps]
    return {
        "id": episode_id(name, trajectory.task, trajectory.seed),
        "policy": name,
        "spec": trajectory.policy,
        "task": trajectory.task,
        "domain": domain,
        "board": board,
        "data_hash": trajectory.data_hash,
        "seed": trajectory.seed,
        "broken": trajectory.broken,
        "error": trajectory.error,
        "stop_reason": trajectory.stop_reason,
        "valid": trajectory.valid,
        "rank": trajectory.rank,
        "medal": result.get("medal"),
        "score": result.get("score"),
        "reward": trajectory.reward,
        "result": result,
        "first_valid_step": result.get("first_valid_step"),
        "curve": [step.rank or 0.0 for step in steps],
        "steps": len(steps),
        "actions": dict(Counter(step.action or MALFORMED for step in steps)),
        "failures": dict(Counter(step.action or MALFORMED for step in steps if _failed(step))),
        "errors": dict(Counter(_kind(step) for step in steps if _failed(step))),
        "policy_tokens": sum(trajectory.mask) or sum(step.completion_tokens for step in steps),
        "prompt_tokens": sum(step.prompt_tokens for step in steps),
        "cost": None if not steps or any(cost is None for cost in costs) else sum(filter(None, costs)),
        "generate_s": sum(step.generate_s for step in steps),
        "execute_s": sum(step.execute_s for step in steps),
        "run_s": sum(step.run_s for step in steps),
        "wall_s": trajectory.wall_s,
    }


def episode_id(name: str, task: str, seed: int) -> str:
    """Return what tells an episode from the others of an evaluation."""
    return f"{name}/{task}/{seed}"


def _failed(step: Step) -> bool:
    return step.observation.get("status") != "ok"


def _kind(step: Step) -> str:
    """Return how a step failed: its phase and the class of the error."""
    phase = _PHASES.get(step.action, step.action or MALFORMED)
    status = step.observation.get("status")
    if status == MALFORMED:
        return MALFORMED
    return f"{phase}: {step.observation.get('error_class') or status}"[:120]


@dataclass(frozen=True)
class Results:
    """The rows of a run, one an episode, and what was left out, in words."""

    rows: list[Row]
    notes: list[str] = field(default_factory=list)


def read_results(folder: Path) -> Results:
    """Return a run's rows: of an episode that broke and was played again, the one that counts.

    Raises:
        ConfigError: If there are no results, or a line that is not cut is broken (names the line).
    """
    path = folder / FILE
    try:
        lines = path.read_bytes().split(b"\n")
    except OSError as error:
        raise ConfigError(
            f"Cannot read {path}: {error.strerror}. Evaluate first: mledojo-train eval --help"
        ) from error
    kept: dict[tuple[str, str, int], Row] = {}
    cut = again = 0
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            found = json.loads(line)
        except ValueError as error:
            if is_cut(line):
                cut += 1
                continue
            raise ConfigError(f"{path}, line {number}: {error}.") from error
        missing = [key for key in _NEEDED if not isinstance(found, dict) or key not in found]
        if missing:
            raise ConfigError(f"{path}, line {number}: no row of an evaluation, {missing[0]!r} is missing.")
        key = (found["policy"], found["task"], found["seed"])
        if key in kept and not kept[key]["broken"]:
            again += 1
        else:
            kept[key] = found
    return Results(list(kept.values()), _notes(cut, again))


def _notes(cut: int, again: int) -> list[str]:
    notes = []
    if cut:
        notes.append(f"{_count(cut, 'line')} cut by a crash left out; run the evaluation again to fill in")
    if again:
        notes.append(f"{_count(again, 'repeated episode')} left out")
    return notes


def _count(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"


def missing_episodes(
    rows: Sequence[Row], policies: Sequence[str], tasks: Sequence[str], episodes: int
) -> int:
    """Return how many episodes of the plan have no row that counts."""
    played = Counter((row["policy"], row["task"]) for row in rows if not row["broken"])
    return sum(max(0, episodes - played[policy, task]) for policy in policies for task in tasks)
