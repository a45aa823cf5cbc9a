"""`mledojo-train serve`: the environment for trainers elsewhere, as an OpenEnv server."""

from __future__ import annotations

import asyncio
import sys
from typing import Annotated

import typer

from mledojo_env.errors import ConfigError
from mledojo_train.cli.options import TasksPathOption


def serve(
    host: Annotated[str, typer.Option(help="Address to listen at.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="Port; 0 for any that is free.", min=0, max=65535)] = 8000,
    max_sessions: Annotated[int, typer.Option(help="Sessions at a time.", min=1)] = 64,
    idle_s: Annotated[float, typer.Option(help="Seconds after which a silent session is closed.")] = 900.0,
    max_steps: Annotated[int, typer.Option(help="Steps of an episode.", min=1)] = 15,
    reward: Annotated[str, typer.Option(help="Name of the reward.")] = "rank_gain",
    score_visibility: Annotated[str, typer.Option(help="kaggle, dojo or none.")] = "kaggle",
    backend: Annotated[str, typer.Option(help="Sandbox: local or docker.")] = "local",
    tasks_path: TasksPathOption = None,
) -> None:
    """Serve the environment to OpenEnv clients, until Ctrl-C. There is no authentication."""
    from mledojo_train.config import SandboxOptions
    from mledojo_train.run import open_sandbox

    try:
        from mledojo_env.openenv import server
    except ImportError as error:
        raise ConfigError(
            f"The server needs {error.name}, which is not installed: pip install 'mledojo-train[openenv]'"
        ) from error
    if not server.is_loopback(host):
        print(
            f"warning: listening at {host}, where others may reach it: whoever can connect can run code in "
            "the sandbox, for there is no authentication. Prefer 127.0.0.1 and a tunnel.",
            file=sys.stderr,
        )
    with server.listen(host, port) as listening, open_sandbox(SandboxOptions(backend=backend)) as sandbox:
        app = server.create_app(
            sandbox,
            max_sessions=max_sessions,
            idle_s=idle_s,
            tasks_path=tuple(tasks_path or ()),
            max_steps=max_steps,
            reward=reward,
            score_visibility=score_visibility,
        )

        async def warm_up() -> None:  # what keeps the sandbox from working is better told now than at a reset
            await (await sandbox.session()).close()

        asyncio.run(warm_up())
        host, port = listening.getsockname()[:2]
        typer.echo(f"serving at http://{f'[{host}]' if ':' in host else host}:{port}", err=True)
        server.run(app, listening)
