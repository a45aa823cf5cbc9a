"""Evaluation: episodes -> rows -> figures with intervals, before and after side by side."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mledojo_env.actions import ActionName
from mledojo_train.statistics import Estimate, difference, stratified_mean
from mledojo_train.trajectory import Trajectory

if TYPE_CHECKING:
    from rich.table import Table

Row = dict[str, Any]

MALFORMED = "malformed"


def row(name: str, domain: str, trajectory: Trajectory) -> Row:
    """Return what a table needs of one episode."""
    return {
        "policy": name,
        "spec": trajectory.policy,
        "task": trajectory.task,
        "domain": domain,
        "seed": trajectory.seed,
        "broken": trajectory.broken,
        "error": trajectory.error,
        "valid": trajectory.valid,
        "rank": trajectory.rank,
        "reward": trajectory.reward,
        "result": trajectory.result,
        "actions": dict(Counter(step.action or MALFORMED for step in trajectory.steps)),
        "failures": dict(
            Counter(step.action or MALFORMED for step in trajectory.steps if _failed(step.observation))
        ),
        "steps": len(trajectory.steps),
        "policy_tokens": sum(trajectory.mask),
        "generate_s": sum(step.generate_s for step in trajectory.steps),
        "execute_s": sum(step.execute_s for step in trajectory.steps),
        "run_s": sum(step.run_s for step in trajectory.steps),
        "wall_s": trajectory.wall_s,
    }


def summarise(rows: Sequence[Row]) -> dict[str, Any]:
    """Return per policy and domain (and over `all`): rank, valid rate, failure rates, action mix.

    Every estimate is a dict of mean, low, high (95 %) and n, or None where nothing was observed. Episodes
    that we broke are counted and left out. `compared` holds each later policy minus the first.
    """
    policies = list(dict.fromkeys(row["policy"] for row in rows))
    summary: dict[str, Any] = {"policies": {}, "compared": {}}
    for policy in policies:
        mine = [row for row in rows if row["policy"] == policy]
        domains = sorted({row["domain"] for row in mine})
        summary["policies"][policy] = {
            "spec": mine[0]["spec"],
            "broken": sum(row["broken"] for row in mine),
            "all": _figures(mine),
            **{domain: _figures([row for row in mine if row["domain"] == domain]) for domain in domains},
        }
        if policy != policies[0]:
            first = [row for row in rows if row["policy"] == policies[0]]
            change = difference(_by_task(mine, _rank), _by_task(first, _rank))
            summary["compared"][f"{policy} - {policies[0]}"] = _plain(change)
    return summary


def _figures(rows: Sequence[Row]) -> dict[str, Any]:
    actions: Counter[str] = Counter()
    for item in rows:
        if not item["broken"]:
            actions.update(item["actions"])
    total = sum(actions.values())
    return {
        "episodes": sum(not item["broken"] for item in rows),
        "rank": _plain(stratified_mean(_by_task(rows, _rank))),
        "valid_rate": _plain(stratified_mean(_by_task(rows, lambda item: [float(item["valid"])]))),
        "validate_failure_rate": _plain(_failure_rate(rows, ActionName.VALIDATE_CODE)),
        "execute_failure_rate": _plain(_failure_rate(rows, ActionName.EXECUTE_CODE)),
        "action_mix": {name: count / total for name, count in actions.most_common()} if total else {},
    }


def _failure_rate(rows: Sequence[Row], action: str) -> Estimate | None:
    def outcomes(item: Row) -> list[float]:
        failed = item["failures"].get(action, 0)
        return [1.0] * failed + [0.0] * (item["actions"].get(action, 0) - failed)

    return stratified_mean(_by_task(rows, outcomes))


def _by_task(rows: Sequence[Row], values: Callable[[Row], list[float]]) -> dict[str, list[float]]:
    groups: dict[str, list[float]] = defaultdict(list)
    for item in rows:
        if not item["broken"]:
            groups[item["task"]] += values(item)
    return groups


def _rank(item: Row) -> list[float]:
    return [float(item["rank"])]


def _failed(observation: Mapping[str, Any]) -> bool:
    return observation.get("status") != "ok"


def _plain(estimate: Estimate | None) -> dict[str, float] | None:
    return asdict(estimate) if estimate else None


def table(summary: Mapping[str, Any]) -> Table:
    """Return the summary as a table: policies of a domain one below the other, before and after."""
    from rich.table import Table

    printed = Table(title="Reference rank and failures, mean [95 % bootstrap interval]", title_justify="left")
    for heading in ("domain", "policy", "n", "rank", "valid", "validate fails", "execute fails", "actions"):
        printed.add_column(heading, justify="right" if heading == "n" else "left", overflow="fold")
    policies = summary["policies"]
    domains = sorted(
        {domain for figures in policies.values() for domain in figures} - {"all", "spec", "broken"}
    )
    for domain in [*domains, "all"]:
        for name, figures in policies.items():
            if domain in figures:
                printed.add_row(domain, name, *_cells(figures[domain]))
        printed.add_section()
    return printed


def _cells(figures: Mapping[str, Any]) -> list[str]:
    rates = [_text(figures[key]) for key in ("valid_rate", "validate_failure_rate", "execute_failure_rate")]
    mix = " ".join(f"{name.split('_')[0]} {share:.0%}" for name, share in figures["action_mix"].items())
    return [str(figures["episodes"]), _text(figures["rank"]), *rates, mix]


def _text(estimate: Mapping[str, float] | None) -> str:
    if estimate is None:
        return "-"
    return f"{estimate['mean']:.3f} [{estimate['low']:.3f}, {estimate['high']:.3f}]"


def write_summary(summary: Mapping[str, Any], folder: Path) -> Path:
    """Write summary.json and return its path."""
    path = folder / "summary.json"
    path.write_text(json.dumps(summary, indent=2, allow_nan=False) + "\n")
    return path
