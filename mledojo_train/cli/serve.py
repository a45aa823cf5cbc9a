"""`mledojo-train serve`: the environment as an OpenEnv server."""

from __future__ import annotations

from typing import Annotated

import typer

from mledojo_env.errors import ConfigError

_LOCAL = ("127.0.0.1", "::1", "localhost")


def serve(
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="Port to listen on.")] = 8000,
    task: Annotated[str | None, typer.Option(help="Task of a reset that names none.")] = None,
    max_sessions: Annotated[int, typer.Option(help="Sessions at a time.")] = 8,
    idle: Annotated[float, typer.Option(help="Seconds after which an idle session ends.")] = 1800.0,
    steps: Annotated[int, typer.Option(help="Steps of an episode.")] = 15,
) -> None:
    """Serve the environment to OpenEnv clients, a session an episode, until Ctrl-C."""
    try:
        import uvicorn

        from mledojo_env.openenv_server import make_app
    except ImportError as error:
        raise ConfigError(
            f"OpenEnv is not installed ({error.name}): pip install 'mledojo-train[openenv]'"
        ) from None
    from mledojo_env import load_task
    from mledojo_train.config import SandboxOptions
    from mledojo_train.run import open_sandbox

    if task is not None:
        load_task(task)
    if host not in _LOCAL:
        typer.echo(
            f"warning: whoever reaches {host}:{port} can run code in the sandbox; no password is asked."
        )
    with open_sandbox(SandboxOptions()) as sandbox:
        app = make_app(sandbox, max_sessions=max_sessions, idle_s=idle, task=task, max_steps=steps)
        uvicorn.run(app, host=host, port=port, log_level="warning")
