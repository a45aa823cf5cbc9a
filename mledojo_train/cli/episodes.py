"""`mledojo-train run`, `play` and `grade`: one script, one episode, one submission."""

from __future__ import annotations

import asyncio
import os
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mledojo_env.errors import ConfigError, InvalidSubmission
from mledojo_train.cli.options import JsonOption, TaskArgument, TasksPathOption, print_json, read_bytes

if TYPE_CHECKING:
    from pandas import DataFrame

    from mledojo_env.task import Task
    from mledojo_train.trajectory import Step

MAX_CODE_BYTES = 1_000_000
MAX_SUBMISSION_BYTES = 1_000_000_000


def run(
    task: TaskArgument,
    code: Annotated[Path, typer.Option(help="The script.")],
    validate: Annotated[
        bool, typer.Option("--validate", help="Run on the small sample; no grading.")
    ] = False,
    as_json: JsonOption = False,
    tasks_path: TasksPathOption = None,
) -> None:
    """Run one script on a task in the sandbox and grade what it wrote. Exits with 1 if it fails."""
    from mledojo_env import Action, ActionName, make

    source = read_bytes(code, "script", MAX_CODE_BYTES).decode("utf-8", "surrogateescape")
    env = make(task, tasks_path=tasks_path or (), max_steps=1, max_feedback_chars=10_000)

    async def once() -> tuple[Any, dict[str, Any]]:
        try:
            await env.areset(seed=0)
            name = ActionName.VALIDATE_CODE if validate else ActionName.EXECUTE_CODE
            observation, _, _, _, info = await env.astep(Action(name, source))
            return observation, info
        finally:
            await env.aclose()

    observation, info = asyncio.run(once())
    if as_json:
        grade = info["private"]["grade"]
        print_json(
            {
                "task": env.task.id,
                "status": str(observation.status),
                "score": grade and grade.public_score,
                "rank": grade and grade.public_rank,
                "private_score": grade and grade.private_score,
                "private_rank": grade and grade.private_rank,
                "medal": grade and grade.medal and str(grade.medal),
                "error": observation.error_message,
                "observation": observation.to_dict(),
                "execution": info["exec"],
            }
        )
    else:
        typer.echo(observation.to_text())
    if not observation.ok:
        raise typer.Exit(1)


def play(
    task: TaskArgument,
    policy: Annotated[str, typer.Option(help="scripted:<skill>, local:<path>[+adapter] or openai:<model>.")],
    steps: Annotated[int, typer.Option(help="Steps of the episode.", min=1)] = 6,
    seed: Annotated[int, typer.Option(help="Seed of the episode.")] = 0,
    prompt: Annotated[str, typer.Option(help="full or brief (what nano was trained on).")] = "full",
    action_format: Annotated[str, typer.Option(help="fenced or tools.")] = "fenced",
    as_json: JsonOption = False,
    tasks_path: TasksPathOption = None,
) -> None:
    """Play one episode and print it step by step."""
    from mledojo_env.catalog import load_task
    from mledojo_env.typed_yaml import parse_mapping
    from mledojo_train.codec import make_codec
    from mledojo_train.config import SandboxOptions
    from mledojo_train.policy import load_policy
    from mledojo_train.rollout import EpisodeOptions, EpisodeSpec, RolloutEngine
    from mledojo_train.run import open_sandbox, play_all

    options = parse_mapping({"max_steps": steps, "prompt_style": prompt}, EpisodeOptions, "the command line")
    task = load_task(task, tasks_path=tasks_path or ()).id
    if tasks_path:  # the engine looks tasks up by id, where every process of ours looks
        places = [*map(str, tasks_path), os.environ.get("MLEDOJO_TASKS_PATH", "")]
        os.environ["MLEDOJO_TASKS_PATH"] = os.pathsep.join(filter(None, places))
    codec = make_codec(action_format)
    actor = load_policy(policy, codec)
    with open_sandbox(SandboxOptions()) as sandbox:
        engine = RolloutEngine(sandbox, codec, options)
        episode = play_all(engine, actor, [EpisodeSpec(task, seed)])[0]
    if as_json:
        typer.echo(episode.to_json())
        return
    typer.echo(f"{task}, {policy}, seed {seed}")
    for number, step in enumerate(episode.steps, 1):
        _print_step(number, step)
    result = episode.result
    rank = "none" if result.get("rank") is None else f"{result['rank']:.3f}"
    typer.echo(
        f"\n{episode.stop_reason} after {len(episode.steps)} steps: reward {episode.reward:.3f}, rank {rank}"
    )


def _print_step(number: int, step: Step) -> None:
    seconds = f"{step.generate_s:.1f} s thinking, {step.execute_s:.1f} s acting"
    typer.secho(f"\n-- step {number}: {step.action or 'malformed'} ({seconds})", bold=True)
    typer.echo(step.reply.strip())
    typer.secho(step.observation_text, fg=typer.colors.BLUE)


def grade(
    task: TaskArgument,
    submission: Annotated[Path, typer.Argument(help="A CSV file.")],
    answers: Annotated[
        Path | None, typer.Option(help="Other answers than the task's own: one score, no rank.")
    ] = None,
    as_json: JsonOption = False,
    tasks_path: TasksPathOption = None,
) -> None:
    """Score a submission. Exits with 1 and says which column or id is wrong if it cannot be scored."""
    from mledojo_env.catalog import load_task
    from mledojo_env.grading import grade_bytes
    from mledojo_env.submission import read_submission

    found = load_task(task, tasks_path=tasks_path or ())
    data = read_bytes(submission, "submission", MAX_SUBMISSION_BYTES)
    truth = _read_answers(found, answers) if answers else None
    try:
        if truth is None:
            result: dict[str, Any] = asdict(grade_bytes(found, data))
        else:
            frame = read_submission(data, _columns(found))
            result = {"score": found.score(frame, truth)}
    except InvalidSubmission as error:
        if as_json:
            print_json({"task": found.id, "valid": False, "error": str(error)})
        else:
            typer.echo(f"invalid: {error}")
        raise typer.Exit(1) from None
    result = {"task": found.id, "metric": found.metric.name, "valid": True, **result}
    if as_json:
        print_json({key: str(value) if key == "medal" and value else value for key, value in result.items()})
        return
    for key, value in result.items():
        typer.echo(f"{key}: {value:.6g}" if isinstance(value, float) else f"{key}: {value}")


def _columns(task: Task) -> list[str]:
    return [*task.submission.id, *task.submission.targets]


def _read_answers(task: Task, path: Path) -> DataFrame:
    """Return another file's answers; what is wrong with them is never put down to the submission."""
    from mledojo_env.submission import check_columns, read_submission

    try:
        table = read_submission(read_bytes(path, "answers file", MAX_SUBMISSION_BYTES))
        table = table.drop(columns="part", errors="ignore")
        check_columns(list(table.columns), _columns(task))
    except InvalidSubmission as error:
        raise ConfigError(f"The answers file {path}: {str(error).replace('submission.csv', 'it')}") from None
    return table
