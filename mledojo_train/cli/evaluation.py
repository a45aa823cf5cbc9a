"""`mledojo-train eval`, `report` and `watch`: play policies, and look at what comes of it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from mledojo_env.errors import ConfigError


def eval_(
    policy: Annotated[
        list[str] | None,
        typer.Option(help="[name=]scripted:<skill>, local:<path>[+adapter] or openai:<model>."),
    ] = None,
    split: Annotated[list[str] | None, typer.Option(help="Splits or task ids; may be repeated.")] = None,
    episodes: Annotated[int | None, typer.Option(help="Episodes of each policy on each task.", min=1)] = None,
    seed: Annotated[int | None, typer.Option(help="Of the episodes.")] = None,
    preset: Annotated[str | None, typer.Option(help="A protocol by name: dojo, quick or mle-lite.")] = None,
    output_dir: Annotated[
        Path | None, typer.Option(help="Where results are kept; goes on with those there.")
    ] = None,
    config: Annotated[Path | None, typer.Option(help="A YAML file as of recipes/eval.py.")] = None,
) -> None:
    """Play policies on a split and print a table with intervals. The same call again plays what is left."""
    from mledojo_env.typed_yaml import parse_mapping, read_mapping
    from mledojo_train.config import EvalRun
    from mledojo_train.presets import with_preset
    from mledojo_train.run import recipe

    given: dict[str, Any] = {
        "policies": _named(policy) if policy else None,
        "tasks": split,
        "episodes": episodes,
        "seed": seed,
        "preset": preset,
        "output_dir": None if output_dir is None else str(output_dir),
    }
    mapping: dict[str, Any] = {"output_dir": "runs/eval"} | (read_mapping(config) if config else {})
    mapping |= {key: value for key, value in given.items() if value is not None}
    run = parse_mapping(with_preset(mapping), EvalRun, str(config or "the command line"))

    @recipe
    def play() -> None:
        from mledojo_train.evaluate import evaluate
        from mledojo_train.report import print_results

        print_results(evaluate(run), run.output_dir)

    play()


def _named(policies: list[str]) -> dict[str, str]:
    """Return name -> spec; a spec without a name is its own."""
    found: dict[str, str] = {}
    for text in policies:
        name, equals, spec = text.partition("=")
        if not equals or ":" in name:
            name, spec = text, text
        if name in found:
            raise ConfigError(f"Two policies are named {name!r}; give names: --policy first={spec}")
        found[name] = spec
    return found


def report(
    runs: Annotated[list[Path], typer.Argument(help="Folders of evaluations.")],
    output: Annotated[
        Path | None,
        typer.Option("-o", "--output", help="The page; report.html in the first folder by default."),
    ] = None,
    force: Annotated[
        bool, typer.Option("--force", help="Put results of different protocols side by side, with a banner.")
    ] = False,
    published: Annotated[
        bool, typer.Option("--published/--no-published", help="Show MLE-Dojo's published table below ours.")
    ] = True,
    episodes: Annotated[
        bool, typer.Option("--episodes/--no-episodes", help="Have every episode in the page, step by step.")
    ] = True,
) -> None:
    """Write one page to look at, with the episodes in it, and the same figures as JSON, Markdown and CSV."""
    from mledojo_train.report import load, write_tables
    from mledojo_train.report.page import write_page
    from mledojo_train.summary import summarise

    page = output or runs[0] / "report.html"
    if page.suffix not in (".html", ".htm"):
        raise ConfigError(f"The page is {page}; expected a name that ends in .html.")
    source = load(runs, force=force)
    summary = summarise(source.rows)
    try:
        page.parent.mkdir(parents=True, exist_ok=True)
        write_page(source, summary, page, published=published, episodes=episodes)
        tables = write_tables(source, summary, page, published=published)
    except OSError as error:
        raise ConfigError(f"Cannot write {page}: {error.strerror}.") from error
    for note in [*source.clashes, *source.notes]:
        typer.echo(f"note: {note}", err=True)
    typer.echo(f"{page} ({page.stat().st_size / 1e6:.1f} MB), {', '.join(path.name for path in tables)}")


def watch(
    run: Annotated[Path, typer.Argument(help="The output_dir of a run: collect, GRPO or evaluation.")],
    once: Annotated[bool, typer.Option("--once", help="Show it once, and end.")] = False,
    every: Annotated[float, typer.Option(help="Seconds between two looks.", min=0.1)] = 2.0,
) -> None:
    """Show a running job: episodes, rank so far, failures, throughput, time left. Ends with the job."""
    import time

    from rich.console import Console
    from rich.live import Live

    from mledojo_train.watch import Watch

    watched = Watch(run)
    watched.look()
    console = Console()
    if once or watched.over:
        console.print(watched.show())
        return
    with Live(watched.show(), console=console, auto_refresh=False) as live:
        while not watched.over:
            time.sleep(every)
            watched.look()
            live.update(watched.show(), refresh=True)
