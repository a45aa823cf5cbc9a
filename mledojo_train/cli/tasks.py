"""`mledojo-train tasks`: which there are, what one is, and whether it is sound."""

from __future__ import annotations

import sys
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, cast

import typer

from mledojo_env.errors import ConfigError
from mledojo_train.cli.options import (
    JsonOption,
    TaskArgument,
    TasksPathOption,
    download_progress,
    parse_size,
    print_json,
    show_size,
)

app = typer.Typer(no_args_is_help=True, help="List, show, prepare and check tasks.")


SplitOption = Annotated[str | None, typer.Option(help="train or benchmark.")]
GroupOption = Annotated[str | None, typer.Option(help="mle-lite, tabular, nlp, cv or mle-bench.")]


@app.command("list")
def list_(
    source: Annotated[str | None, typer.Option(help="offline, kaggle or synth.")] = None,
    split: SplitOption = None,
    domain: Annotated[str | None, typer.Option(help="tabular, vision, nlp, time-series ...")] = None,
    group: GroupOption = None,
    ready: Annotated[
        bool | None,
        typer.Option("--ready/--not-ready", help="Only those that can be played, or that cannot."),
    ] = None,
    as_json: JsonOption = False,
    tasks_path: TasksPathOption = None,
) -> None:
    """List tasks: id, domain, kind, metric, split, size, and whether each is ready to be played."""
    from mledojo_env.catalog import list_tasks

    if source == "synth":
        _list_families(as_json)
        return
    entries = list_tasks(source, split, domain, group, ready, tasks_path=tasks_path or ())
    rows = [{key: value for key, value in asdict(entry).items() if key != "folder"} for entry in entries]
    if as_json:
        print_json(rows)
        return
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    table = Table(box=None, pad_edge=False)
    for heading in ("id", "domain", "kind", "metric", "split", "group", "size"):
        table.add_column(heading, no_wrap=True, justify="right" if heading == "size" else "left")
    table.add_column("ready", overflow="fold")  # or why not, in a sentence
    for row in rows:
        ready_cell = "yes" if row["ready"] else (row["quarantine"] or "no")
        groups = " ".join(row["groups"])
        cells = (row["id"], row["domain"], row["kind"], row["metric"], row["split"], groups)
        table.add_row(*(escape(str(cell)) for cell in (*cells, show_size(row["size_bytes"]), ready_cell)))
    Console(width=None if sys.stdout.isatty() else 220).print(table)
    typer.echo(f"{len(rows)} tasks")


def _list_families(as_json: bool) -> None:
    """List the families of generated tasks: there is no end of tasks to list."""
    from mledojo_env.synth import BENCHMARK_SEED, family_names, get_family

    families = [get_family(name) for name in family_names()]
    if as_json:
        print_json(
            [
                {
                    "id": family.pattern,
                    "source": "synth",
                    "domain": family.domain,
                    "summary": family.summary,
                }
                for family in families
            ]
        )
        return
    for family in families:
        typer.echo(f"{family.pattern}\n    {family.domain}: {family.summary}")
    typer.echo(
        f"{len(families)} families. Each seed is another task, made when it is asked for; those from "
        f"{BENCHMARK_SEED} on are for evaluation. Configurations take ranges: synth/tabular/0..99"
    )


@app.command()
def prepare(
    tasks: Annotated[list[str] | None, typer.Argument(help="Kaggle competitions to prepare.")] = None,
    raw: Annotated[
        Path | None, typer.Option(help="Folder of the raw files of the one task named; downloaded otherwise.")
    ] = None,
    micro: Annotated[
        int | None, typer.Option(help="Make a small variant with so many rows on each side.", min=1)
    ] = None,
    everything: Annotated[bool, typer.Option("--all", help="Prepare every Kaggle task.")] = False,
    split: SplitOption = None,
    group: GroupOption = None,
    max_size: Annotated[
        str | None, typer.Option(help="Leave out what is larger to download, or of unknown size; e.g. 5GB.")
    ] = None,
    again: Annotated[bool, typer.Option("--again", help="Also what is prepared already.")] = False,
    tasks_path: TasksPathOption = None,
) -> None:
    """Download Kaggle competitions, if need be, and prepare them: public files, hidden answers, leaderboard.

    Files are kept, so that what is interrupted goes on where it stopped. Exits with 1 if a task failed.
    """
    from mledojo_env.catalog import list_tasks, load_task
    from mledojo_env.errors import CredentialsError, MLEDojoError
    from mledojo_env.prepare.kaggle import prepare_kaggle
    from mledojo_env.prepare.run import variant_of

    if bool(tasks) == (everything or split is not None or group is not None):
        raise ConfigError("Name the tasks to prepare, or give --all, --split or --group.")
    if raw is not None and len(tasks or ()) != 1:
        raise ConfigError(f"--raw is the folder of one task; {len(tasks or ())} are named.")
    paths = tasks_path or ()
    most = parse_size(max_size)
    names = tasks or [
        entry.id
        for entry in list_tasks("kaggle", split, None, group, tasks_path=paths)
        if entry.quarantine is None and (most is None or (entry.size_bytes or most + 1) <= most)
    ]
    if not names:
        raise ConfigError("No Kaggle task is left by --split, --group and --max-size.")
    failed = 0
    for name in names:
        task = load_task(name, tasks_path=paths)
        if task.id.split("/")[0] != "kaggle":
            raise ConfigError(f"{task.id} needs no preparation: its data rides in the package.")
        wanted = load_task(f"{task.id}?{variant_of(micro)}" if micro else task.id, tasks_path=paths)
        if wanted.is_ready and not again and raw is None:
            typer.echo(f"{wanted.id}: prepared already")
            continue
        try:
            with download_progress() as progress:
                prepared = prepare_kaggle(task.facts, raw=raw, micro=micro, progress=progress)
        except MLEDojoError as error:
            if len(names) == 1 or isinstance(error, CredentialsError):  # the next one would fail alike
                raise
            failed += 1
            typer.echo(f"{wanted.id}: failed: {error}", err=True)
            continue
        wanted = load_task(wanted.id, tasks_path=paths)
        board = wanted.leaderboard
        ranked = f"{board.teams()} teams on its board" if board else "no leaderboard, so no rank"
        typer.echo(
            f"{wanted.id}: prepared in {prepared.public.parent}, {len(wanted.answers())} answers, {ranked}"
        )
    if failed:
        typer.echo(f"{failed} of {len(names)} failed.", err=True)
        raise typer.Exit(1)


@app.command("import")
def import_(
    task: TaskArgument,
    folder: Annotated[
        Path, typer.Argument(help="What was prepared: public/ and private/, or folders of that.")
    ],
    origin: Annotated[str, typer.Option("--from", help="mle-dojo or mle-bench.")],
    tasks_path: TasksPathOption = None,
) -> None:
    """Take over a Kaggle task that MLE-Dojo or MLE-bench prepared, and check it. Exits with 1 if unsound."""
    from mledojo_env.catalog import load_task
    from mledojo_env.checks import check_task
    from mledojo_env.prepare.imported import Origin, import_tree

    if origin not in ("mle-dojo", "mle-bench"):
        raise ConfigError(f"--from is {origin!r}; expected mle-dojo or mle-bench.")
    found = load_task(task, tasks_path=tasks_path or ())
    if found.id.split("/")[0] != "kaggle":
        raise ConfigError(f"{found.id} is no Kaggle task; only those are imported.")
    prepared = import_tree(found.facts, found.metric, folder, cast(Origin, origin))
    typer.echo(f"{found.id}: imported into {prepared.public.parent}")
    findings = [asdict(finding) for finding in check_task(load_task(found.id, tasks_path=tasks_path or ()))]
    _print_findings(found.id, findings, as_json=False)
    if not all(finding["ok"] for finding in findings):
        raise typer.Exit(1)


@app.command()
def show(task: TaskArgument, as_json: JsonOption = False, tasks_path: TasksPathOption = None) -> None:
    """Show one task: facts, files, description."""
    from mledojo_env.catalog import load_task

    found = load_task(task, tasks_path=tasks_path or ())
    facts = found.facts.model_dump(mode="json")
    if as_json:
        there = found.has_data
        print_json(
            facts
            | {
                "description": found.description,
                "data_hash": found.data_hash if there else None,
                "public_dir": str(found.public_dir) if there else None,
            }
        )
        return
    from rich.console import Console
    from rich.markdown import Markdown
    from rich.markup import escape

    console = Console(highlight=False)
    direction = "higher" if found.metric.higher_is_better else "lower"
    board = found.leaderboard if found.has_data else None
    console.print(f"[bold]{escape(found.title)}[/bold]  {found.id}")
    console.print(f"{found.domain}, {found.kind}, {found.split} split")
    console.print(f"metric: {found.metric.name}, {direction} is better")
    console.print(escape(f"source: {found.source.name} ({found.source.licence})"))
    if board:
        console.print(f"leaderboard: {len(board.private_scores)} {board.kind} entries")
    if found.has_data:
        console.print(f"data, as scripts see it: {found.public_dir}", soft_wrap=True)
    else:
        size = f", {show_size(found.facts.size_bytes)} to download" if found.facts.size_bytes else ""
        console.print(
            f"data: not here yet{size}. Run: mledojo-train tasks prepare {found.id}", soft_wrap=True
        )
    if found.facts.quarantine:
        console.print(escape(f"quarantined: {found.facts.quarantine}"), soft_wrap=True)
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
