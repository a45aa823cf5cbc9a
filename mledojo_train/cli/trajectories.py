"""`mledojo-train trajectories`: to Parquet or the hub, and back."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mledojo_env.errors import ConfigError

if TYPE_CHECKING:
    from mledojo_train.trajectory import Trajectory

app = typer.Typer(no_args_is_help=True, help="Export trajectories to Parquet or the hub, and import them.")


@app.command("export")
def export(
    runs: Annotated[list[Path], typer.Argument(help="Folders of runs, or JSONL files.")],
    output: Annotated[Path | None, typer.Option("-o", "--output", help="A Parquet file.")] = None,
    push_to_hub: Annotated[str | None, typer.Option(help="owner/name of a dataset; needs a token.")] = None,
    min_rank: Annotated[float, typer.Option(help="Leave out episodes that ended below.")] = 0.0,
    tokens: Annotated[
        bool, typer.Option("--tokens/--no-tokens", help="With token ids and log-probs.")
    ] = True,
) -> None:
    """Export trajectories, one row an episode."""
    from mledojo_train.trajectory_dataset import push, write_parquet

    if (output is None) == (push_to_hub is None):
        raise ConfigError("Say where to: -o FILE.parquet, or --push-to-hub owner/name.")
    episodes = [one for run in runs for one in _read(run) if one.rank >= min_rank]
    if not episodes:
        raise ConfigError(f"No episode to export: none has a rank of at least {min_rank}.")
    if output is not None:
        typer.echo(f"{output}: {write_parquet(episodes, output, tokens=tokens)} episodes")
    else:
        push(episodes, str(push_to_hub), tokens=tokens)
        typer.echo(f"{push_to_hub}: {len(episodes)} episodes")


@app.command("import")
def import_(
    source: Annotated[str, typer.Argument(help="A Parquet file, or owner/name of a dataset on the hub.")],
    output: Annotated[Path, typer.Option("-o", "--output", help="A JSONL file; is appended to.")],
) -> None:
    """Import trajectories into a JSONL file, as SFT and the report read it."""
    from mledojo_train.trajectory import TrajectoryWriter
    from mledojo_train.trajectory_dataset import from_dataset, read_parquet

    if Path(source).exists() or source.endswith(".parquet"):
        found = read_parquet(Path(source))
    else:
        from datasets import load_dataset

        try:
            found = from_dataset(load_dataset(source, split="train"), source)
        except (OSError, ValueError) as error:
            raise ConfigError(
                f"{source!r} is neither a file nor a dataset that can be loaded: {error}"
            ) from error
    episodes = list(found)  # whole, before a line is written
    with TrajectoryWriter(output) as writer:
        for episode in episodes:
            writer.write(episode)
    typer.echo(f"{output}: {len(episodes)} episodes")


def _read(run: Path) -> Iterator[Trajectory]:
    from mledojo_train.trajectory import read_trajectories

    if not run.is_dir():
        yield from read_trajectories(run)
        return
    files = sorted([*run.glob("trajectories.jsonl"), *run.glob("rollouts-*.jsonl")])
    if not files:
        raise ConfigError(
            f"{run} holds neither trajectories.jsonl nor rollouts-*.jsonl. Name a run's output_dir."
        )
    for path in files:
        yield from read_trajectories(path)
