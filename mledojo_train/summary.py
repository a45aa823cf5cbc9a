"""Rows of evaluations -> figures with intervals: what the table, the report and its files tell.

Every estimate is a dict of mean, low, high (95 %) and n, or None where nothing was observed. Episodes that we
broke are counted and left out of everything else.
"""

from __future__ import annotations

import json
import statistics as plain
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from mledojo_env.actions import ActionName
from mledojo_train.profiles import area, profile, ratios
from mledojo_train.ratings import Scores, elo_ratings
from mledojo_train.results import MALFORMED, Row
from mledojo_train.statistics import (
    Estimate,
    compare,
    episodes_needed,
    expected_best,
    stratified_mean,
    task_mean,
)

if TYPE_CHECKING:
    from rich.table import Table

MEDALS = ("gold", "silver", "bronze")
FACTORS = [round(10 ** (step / 20), 4) for step in range(21)]  # of performance profiles, 1 to 10
GAP = 0.05  # the difference in rank for which sample sizes are told
_MOST_ERRORS = 12


def summarise(rows: Sequence[Row]) -> dict[str, Any]:
    """Return per policy and domain (and over `all`) every figure, and each pair of policies compared.

    `rank` resamples episodes of these tasks; `rank_tasks` resamples tasks, too. `compared` holds each later
    policy minus each earlier one, on the tasks that both played.
    """
    policies = list(dict.fromkeys(row["policy"] for row in rows))
    domains = sorted({row["domain"] for row in rows})
    summary: dict[str, Any] = {
        "rank_name": rank_name(rows),
        "domains": domains,
        "policies": {},
        "compared": {},
    }
    for policy in policies:
        mine = [row for row in rows if row["policy"] == policy]
        summary["policies"][policy] = {
            "spec": mine[0].get("spec", ""),
            "broken": sum(row["broken"] for row in mine),
            "all": _figures(mine),
        } | {
            domain: _figures([row for row in mine if row["domain"] == domain])
            for domain in domains
            if any(row["domain"] == domain for row in mine)
        }
    for scope in ("all", *domains):
        _rate_together(summary, scope, [row for row in rows if scope in ("all", row["domain"])])
    ranks = {policy: _by_task([r for r in rows if r["policy"] == policy], _rank) for policy in policies}
    for place, later in enumerate(policies):
        for earlier in policies[:place]:
            summary["compared"][f"{later} - {earlier}"] = _comparison(ranks[later], ranks[earlier])
    return summary


def rank_name(rows: Sequence[Row]) -> str:
    """Return what to call the rank: HumanRank only where people alone are on the boards."""
    boards = {row.get("board") for row in rows}
    if boards == {"human"}:
        return "HumanRank"
    return "rank" if "human" in boards else "reference rank"


def _figures(rows: Sequence[Row]) -> dict[str, Any]:
    rows = [row for row in rows if not row["broken"]]
    actions: Counter[str] = Counter()
    errors: Counter[str] = Counter()
    for row in rows:
        actions.update(row["actions"])
        errors.update(row.get("errors", {}))
    total = sum(actions.values())
    ranks = _by_task(rows, _rank)
    most = min(map(len, ranks.values()), default=0)
    firsts = [row.get("first_valid_step") for row in rows]
    return {
        "episodes": len(rows),
        "tasks": len(ranks),
        "rank": _plain(stratified_mean(ranks)),
        "rank_tasks": _plain(task_mean(ranks)),
        "valid_rate": _plain(stratified_mean(_by_task(rows, lambda row: [float(row["valid"])]))),
        "medals": {name: sum(row.get("medal") == name for row in rows) for name in MEDALS},
        "medal_rate": _plain(stratified_mean(_by_task(rows, lambda row: [float(bool(row.get("medal")))]))),
        "first_attempt": _plain(task_mean(_by_task(_first_attempts(rows), _rank))),
        "best_of": {
            str(k): _plain(task_mean({task: [expected_best(values, k)] for task, values in ranks.items()}))
            for k in range(2, most + 1)
            if k in (2, 4, 8) or k == most
        },
        "validate_failure_rate": _plain(_failure_rate(rows, ActionName.VALIDATE_CODE)),
        "execute_failure_rate": _plain(_failure_rate(rows, ActionName.EXECUTE_CODE)),
        "malformed_rate": actions[MALFORMED] / total if total else None,
        "errors": dict(errors.most_common(_MOST_ERRORS)),
        "first_valid_step": plain.median(filter(None, firsts)) if any(firsts) else None,
        "never_valid": sum(not row["valid"] for row in rows),
        "curve": _curve(rows),
        "action_mix": {name: count / total for name, count in actions.most_common()} if total else {},
        "steps": total,
        "policy_tokens": _mean(rows, "policy_tokens"),
        "prompt_tokens": _mean(rows, "prompt_tokens"),
        "seconds": _mean(rows, "wall_s"),
        "cost": _mean(rows, "cost"),
        "episodes_needed": episodes_needed(ranks, GAP),
    }


def _rate_together(summary: dict[str, Any], scope: str, rows: Sequence[Row]) -> None:
    """Add what a policy is only in the company of others: Elo and performance profile."""
    scores: Scores = {
        policy: _by_task([row for row in rows if row["policy"] == policy], _rank)
        for policy, figures in summary["policies"].items()
        if scope in figures
    }
    if not scores:
        return
    elo = elo_ratings(scores)
    found = ratios(scores)
    for policy in scores:
        summary["policies"][policy][scope] |= {
            "elo": asdict(elo[policy]),
            "aup": area(found[policy]),
            "profile": profile(found[policy], FACTORS),
        }


def _comparison(later: dict[str, list[float]], earlier: dict[str, list[float]]) -> dict[str, Any] | None:
    found = compare(later, earlier)
    if found is None:
        return None
    return asdict(found.difference) | {"p_value": found.p_value, "tasks": found.tasks}


def _first_attempts(rows: Sequence[Row]) -> list[Row]:
    """Return each task's episode of the lowest seed."""
    first: dict[str, Row] = {}
    for row in sorted(rows, key=lambda row: row["seed"]):
        first.setdefault(row["task"], row)
    return list(first.values())


def _curve(rows: Sequence[Row]) -> list[float]:
    """Return the mean over tasks of the rank so far after 1, 2 ... steps; who ended keeps their rank."""
    longest = max((len(row.get("curve") or ()) for row in rows), default=0)
    by_task: dict[str, list[list[float]]] = defaultdict(list)
    for row in rows:
        curve = list(row.get("curve") or [])
        by_task[row["task"]].append(curve + [curve[-1] if curve else 0.0] * (longest - len(curve)))
    if not longest:
        return []
    means = [np.mean(curves, axis=0) for curves in by_task.values()]
    return [float(value) for value in np.mean(means, axis=0)]


def _failure_rate(rows: Sequence[Row], action: str) -> Estimate | None:
    def outcomes(row: Row) -> list[float]:
        failed = row["failures"].get(action, 0)
        return [1.0] * failed + [0.0] * (row["actions"].get(action, 0) - failed)

    return stratified_mean(_by_task(rows, outcomes))


def _by_task(rows: Sequence[Row], values: Callable[[Row], list[float]]) -> dict[str, list[float]]:
    groups: dict[str, list[float]] = defaultdict(list)
    for row in rows:
        if not row["broken"]:
            groups[row["task"]] += values(row)
    return dict(groups)


def _rank(row: Row) -> list[float]:
    return [float(row["rank"])]


def _mean(rows: Sequence[Row], key: str) -> float | None:
    """Return the mean over episodes; None where it is not known of each."""
    values = [row.get(key) for row in rows]
    known = [float(value) for value in values if value is not None]
    return plain.fmean(known) if values and len(known) == len(values) else None


def _plain(estimate: Estimate | None) -> dict[str, float] | None:
    return asdict(estimate) if estimate else None


def table(summary: Mapping[str, Any]) -> Table:
    """Return the summary as a table: policies of a domain one below the other, before and after."""
    from rich.table import Table

    title = f"{summary['rank_name'].capitalize()} and failures, mean [95 % bootstrap interval over episodes]"
    printed = Table(title=title, title_justify="left")
    headings = (
        "domain",
        "policy",
        "n",
        "rank",
        "Elo",
        "AUP",
        "valid",
        "validate fails",
        "execute fails",
        "actions",
    )
    for heading in headings:
        right = heading in ("n", "Elo", "AUP")
        printed.add_column(heading, justify="right" if right else "left", overflow="fold")
    policies = summary["policies"]
    for scope in [*summary["domains"], "all"]:
        for name, figures in policies.items():
            if scope in figures:
                printed.add_row(scope, name, *_cells(figures[scope]))
        printed.add_section()
    return printed


def _cells(figures: Mapping[str, Any]) -> list[str]:
    rates = [show(figures[key]) for key in ("valid_rate", "validate_failure_rate", "execute_failure_rate")]
    mix = " ".join(f"{name.split('_')[0]} {share:.0%}" for name, share in figures["action_mix"].items())
    elo, aup = figures["elo"]["elo"], figures["aup"]
    together = ["-" if elo is None else f"{elo:.0f}", "-" if aup is None else f"{aup:.2f}"]
    return [str(figures["episodes"]), show(figures["rank"]), *together, *rates, mix]


def show(estimate: Mapping[str, float] | None) -> str:
    """Return an estimate as `mean [low, high]`, or a dash."""
    if estimate is None:
        return "-"
    return f"{estimate['mean']:.3f} [{estimate['low']:.3f}, {estimate['high']:.3f}]"


def comparison_lines(summary: Mapping[str, Any]) -> list[str]:
    """Return a line a pair of policies that share tasks."""
    lines = []
    for pair, found in summary["compared"].items():
        if found:
            interval = f"[{found['low']:+.3f}, {found['high']:+.3f}]"
            played = f"{found['n']} episodes on {found['tasks']} tasks"
            lines.append(f"{pair}: {found['mean']:+.3f} {interval}, p = {found['p_value']:.4f}, {played}")
    return lines


def write_summary(summary: Mapping[str, Any], folder: Path) -> Path:
    """Write summary.json and return its path."""
    path = folder / "summary.json"
    path.write_text(json.dumps(summary, indent=2, allow_nan=False) + "\n")
    return path
