"""The commands and how their errors end: one line on stderr and an exit code, never a traceback."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from mledojo_env.errors import MLEDojoError
from mledojo_train.cli import episodes, evaluation, machine, serve, tasks, trajectories

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="Tasks, scripts, episodes and grading of mledojo-train. Training: see recipes/ and --help of each.",
)
app.add_typer(tasks.app, name="tasks")
app.add_typer(trajectories.app, name="trajectories")
app.command()(episodes.run)
app.command()(episodes.play)
app.command()(episodes.grade)
app.command("eval")(evaluation.eval_)
app.command()(evaluation.report)
app.command()(evaluation.watch)
app.command()(machine.doctor)
app.command()(serve.serve)


def _print_version(wanted: bool) -> None:
    if wanted:
        from mledojo_env import __version__

        typer.echo(f"mledojo-train {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    pass


def main() -> None:
    """Run a command; exit 1 for our errors, 2 for a wrong call, 130 for Ctrl-C."""
    try:
        app(standalone_mode=True)
    except MLEDojoError as error:
        print(f"error: {error}", file=sys.stderr)
        raise SystemExit(1) from None
    except KeyboardInterrupt:
        raise SystemExit(130) from None
    except BrokenPipeError:  # `mledojo-train tasks list | head`
        sys.stderr.close()
        raise SystemExit(0) from None
