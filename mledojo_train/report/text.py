"""The report without a browser: Markdown for a model card, CSV and JSON for other tools."""

from __future__ import annotations

import csv
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mledojo_train.published import published_markdown
from mledojo_train.report.sources import Source
from mledojo_train.summary import MEDALS, comparison_lines, show

_COLUMNS = (
    "run", "policy", "spec", "task", "domain", "board", "seed", "broken", "error", "stop_reason", "valid",
    "rank", "score", "medal", "reward", "first_valid_step", "steps", "policy_tokens", "prompt_tokens", "cost",
    "generate_s", "execute_s", "run_s", "wall_s",
)  # fmt: skip


def markdown(source: Source, summary: Mapping[str, Any], *, published: bool = False) -> str:
    """Return the report as Markdown: headline, domains, comparisons, protocol, notes."""
    parts = [
        *(f"> **Not comparable**: {_cell(text)}" for text in source.clashes),
        _headline(summary),
        _domains(summary),
    ]
    lines = comparison_lines(summary)
    if lines:
        parts.append("Paired comparisons (difference in rank, 95 % interval, permutation test):\n")
        parts[-1] += "\n".join(f"\n- {_cell(line)}" for line in lines)
    for name, protocol in source.protocols.items():
        if protocol:
            facts = "; ".join(f"{key}: {_cell(value)}" for key, value in protocol.lines())
            parts.append(f"Protocol of {_cell(name)}: {facts}.")
    parts += [f"Note: {_cell(note)}." for note in source.notes]
    if published:
        parts.append(published_markdown())
    return "\n\n".join(part for part in parts if part) + "\n"


def _headline(summary: Mapping[str, Any]) -> str:
    head = [
        "policy", "episodes", f"{summary['rank_name']} [95 %, over tasks]", "first attempt", "best of k",
        "valid", "medals g/s/b", "Elo", "AUP", "tokens", "seconds", "cost, USD",
    ]  # fmt: skip
    return _grid(
        head, [headline_cells(name, figures["all"]) for name, figures in summary["policies"].items()]
    )


def headline_cells(name: str, figures: Mapping[str, Any]) -> list[str]:
    """Return a policy's line of the headline table."""
    best = figures["best_of"]
    most = max(best, key=int, default=None)
    elo = figures["elo"]
    interval = "" if elo["low"] is None else f" [{elo['low']:.0f}, {elo['high']:.0f}]"
    return [
        name,
        str(figures["episodes"]),
        show(figures["rank_tasks"]),
        show(figures["first_attempt"]),
        "-" if most is None else f"{best[most]['mean']:.3f} (k = {most})",
        show(figures["valid_rate"]),
        "/".join(str(figures["medals"][medal]) for medal in MEDALS),
        elo["reason"] or "-" if elo["elo"] is None else f"{elo['elo']:.0f}{interval}",
        _number(figures["aup"], "{:.3f}"),
        _number(figures["policy_tokens"] or None, "{:.0f}"),
        _number(figures["seconds"], "{:.1f}"),
        _number(figures["cost"], "{:.4f}"),
    ]


def _domains(summary: Mapping[str, Any]) -> str:
    head = ["domain", *summary["policies"]]
    rows = [
        [domain, *(show(figures[domain]["rank"]) if domain in figures else "-" for figures in
                   summary["policies"].values())]
        for domain in summary["domains"]
    ]  # fmt: skip
    return _grid(head, rows)


def _number(value: float | None, form: str) -> str:
    return "-" if value is None else form.format(value)


def _grid(head: list[str], rows: list[list[str]]) -> str:
    lines = ["| " + " | ".join(map(_cell, cells)) + " |" for cells in (head, *rows)]
    return "\n".join([lines[0], "|---" * len(head) + "|", *lines[1:]])


def _cell(text: str) -> str:
    """Return text that stays within its cell and is no markup."""
    text = " ".join(text.split()).replace("\\", "\\\\")
    for mark in "|<>`*":
        text = text.replace(mark, f"\\{mark}")
    return text


def write_tables(
    source: Source, summary: Mapping[str, Any], page: Path, *, published: bool = False
) -> list[Path]:
    """Write report.json, report.md, report.csv and report-tasks.csv beside the page; return their paths."""
    protocols = {name: protocol and dict(protocol.lines()) for name, protocol in source.protocols.items()}
    data = {"summary": summary, "protocols": protocols, "notes": source.notes, "clashes": source.clashes}
    made = [page.with_suffix(".json"), page.with_suffix(".md"), page.with_suffix(".csv")]
    made.append(page.with_name(f"{page.stem}-tasks.csv"))
    made[0].write_text(json.dumps(data, indent=2, allow_nan=False) + "\n")
    made[1].write_text(markdown(source, summary, published=published), encoding="utf-8", errors="replace")
    with made[2].open("w", newline="", encoding="utf-8", errors="replace") as file:
        writer = csv.writer(file)
        writer.writerow(_COLUMNS)
        writer.writerows([_inert(row.get(column)) for column in _COLUMNS] for row in source.rows)
    with made[3].open("w", newline="", encoding="utf-8", errors="replace") as file:
        writer = csv.writer(file)
        lines = task_lines(source, summary)
        writer.writerow(lines[0] if lines else ())
        writer.writerows([_inert(value) for value in line.values()] for line in lines)
    return made


def task_lines(source: Source, summary: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return a line a task: its domain and each policy's mean rank, None where it was not played."""
    ranks: dict[str, dict[str, list[float]]] = {}
    domains: dict[str, str] = {}
    for row in source.rows:
        if not row["broken"]:
            ranks.setdefault(row["task"], {}).setdefault(row["policy"], []).append(row["rank"])
            domains[row["task"]] = row["domain"]
    return [
        {"task": task, "domain": domains[task]}
        | {
            policy: sum(mine[policy]) / len(mine[policy]) if policy in mine else None
            for policy in summary["policies"]
        }
        for task, mine in sorted(ranks.items())
    ]


def _inert(value: Any) -> Any:
    """Return a cell that a spreadsheet takes for no formula."""
    return f"'{value}" if isinstance(value, str) and value[:1] in ("=", "+", "-", "@", "\t", "\r") else value
