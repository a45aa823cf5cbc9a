"""`mledojo-train doctor`: what this machine can do, and the fix for what is missing."""

from __future__ import annotations

from dataclasses import asdict

import typer

from mledojo_train.cli.options import JsonOption, print_json


def doctor(as_json: JsonOption = False) -> None:
    """Say what this machine can do and how to fix what is missing. Exits with 1 if tasks cannot be played."""
    from mledojo_train.doctor import examine

    facts = examine()
    if as_json:
        print_json([asdict(fact) for fact in facts])
    else:
        for fact in facts:
            mark = "ok     " if fact.ok else ("MISSING" if fact.required else "-      ")
            typer.echo(f"{mark} {fact.name}: {fact.detail}")
            if fact.fix and not fact.ok:
                typer.echo(f"          fix: {fact.fix}")
    if any(fact.required and not fact.ok for fact in facts):
        raise typer.Exit(1)
