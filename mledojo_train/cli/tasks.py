"""`mledojo-train tasks`: which there are, what one is, and whether it is sound."""

from __future__ import annotations

import sys
from dataclasses import asdict
from typing import Annotated

import typer

from mledojo_env.errors import ConfigError
from mledojo_train.cli.options import JsonOption, TaskArgument, TasksPathOption, print_json

app = typer.Typer(no_args_is_help=True, help="List, show and check tasks.")


@app.command("list")
def list_(
    source: Annotated[str | None, typer.Option(help="offline, kaggle or synth.")] = None,
    split: Annotated[str | None, typer.Option(help="train or benchmark.")] = None,
    domain: Annotated[str | None, typer.Option(help="tabular, vision, nlp, time-series ...")] = None,
    as_json: JsonOption = False,
    tasks_path: TasksPathOption = None,
) -> None:
    """List tasks: id, source, domain, kind, metric, split, and whether each is ready to be played."""
    from mledojo_env.catalog import list_tasks

    entries = list_tasks(source, split, domain, tasks_path=tasks_path or ())
    rows = [{key: value for key, value in asdict(entry).items() if key != "folder"} for entry in entries]
    if as_json:
        print_json(rows)
        return
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    table = Table(box=None, pad_edge=False)
    for heading in ("id", "domain", "kind", "metric", "split", "ready"):
        table.add_column(heading, no_wrap=True)
    for row in rows:
        ready = "yes" if row["ready"] else (row["quarantine"] or "no")
        cells = (row["id"], row["domain"], row["kind"], row["metric"], row["split"], ready)
        table.add_row(*(escape(str(cell)) for cell in cells))
    Console(width=None if sys.stdout.isatty() else 160).print(table)
    typer.echo(f"{len(rows)} tasks")


@app.command()
def show(task: TaskArgument, as_json: JsonOption = False, tasks_path: TasksPathOption = None) -> None:
    """Show one task: facts, files, description."""
    from mledojo_env.catalog import load_task

    found = load_task(task, tasks_path=tasks_path or ())
    facts = found.facts.model_dump(mode="json")
    if as_json:
        print_json(
            facts
            | {
                "description": found.description,
                "data_hash": found.data_hash,
                "public_dir": str(found.public_dir),
            }
        )
        return
    from rich.console import Console
    from rich.markdown import Markdown
    from rich.markup import escape

    console = Console(highlight=False)
    direction = "higher" if found.metric.higher_is_better else "lower"
    board = found.leaderboard
    console.print(f"[bold]{escape(found.title)}[/bold]  {found.id}")
    console.print(f"{found.domain}, {found.kind}, {found.split} split")
    console.print(f"metric: {found.metric.name}, {direction} is better")
    console.print(escape(f"source: {found.source.name} ({found.source.licence})"))
    if board:
        console.print(f"leaderboard: {len(board.private_scores)} {board.kind} entries")
    console.print(f"data, as scripts see it: {found.public_dir}", soft_wrap=True)
    for name, line in found.public_files.items():
        console.print(escape(f"  {name}: {line}"))
    console.print(Markdown(found.description))


@app.command()
def check(
    tasks: Annotated[list[str] | None, typer.Argument(help="Tasks to check.")] = None,
    everything: Annotated[bool, typer.Option("--all", help="Check every task that is ready.")] = False,
    as_json: JsonOption = False,
    tasks_path: TasksPathOption = None,
) -> None:
    """Check that tasks are sound: gold scores best, no leaks, unique ids. Exits with 1 if one is not."""
    from mledojo_env.catalog import list_tasks, load_task
    from mledojo_env.checks import check_splits, check_task

    if bool(tasks) == everything:
        raise ConfigError("Name the tasks to check, or give --all.")
    paths = tasks_path or ()
    names = tasks or [entry.id for entry in list_tasks(tasks_path=paths) if entry.ready]
    report: dict[str, list[dict[str, object]]] = {}
    if everything:
        report["splits"] = [asdict(finding) for finding in check_splits()]
        _print_findings("splits", report["splits"], as_json)
    for name in names:
        task = load_task(name, tasks_path=paths)
        report[task.id] = [asdict(finding) for finding in check_task(task)]
        _print_findings(task.id, report[task.id], as_json)
    if as_json:
        print_json(report)
    if not all(finding["ok"] for findings in report.values() for finding in findings):
        raise typer.Exit(1)


def _print_findings(name: str, findings: list[dict[str, object]], as_json: bool) -> None:
    if as_json:
        return
    failed = [finding for finding in findings if not finding["ok"]]
    typer.echo(f"{'FAIL' if failed else 'ok  '} {name}: {len(findings) - len(failed)}/{len(findings)} checks")
    for finding in failed:
        typer.echo(f"     {finding['check']}: {finding['detail']}")
