"""From raw files to a prepared task: `mledojo-train tasks prepare`."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast, get_args

from pydantic import ValidationError

from mledojo_env.errors import ConfigError, TaskDataError, did_you_mean
from mledojo_env.leaderboard import Leaderboard
from mledojo_env.prepare.output import Output
from mledojo_env.prepare.pages import keep_pages
from mledojo_env.prepare.raw import RawFiles
from mledojo_env.prepare.recipe import Strategy, TableRecipe
from mledojo_env.prepare.sample import write_sample
from mledojo_env.prepare.store import Manifest, Prepared, building, digests, prepared_place
from mledojo_env.prepare.table_split import TableSplit

if TYPE_CHECKING:
    from pandas import DataFrame

    from mledojo_env.task import TaskFacts

MIN_MICRO = 20


def variant_of(micro: int | None) -> str:
    """Return the name of a task's small variant, e.g. "micro=200"; "" for the whole task."""
    return "" if micro is None else f"micro={micro}"


def prepare_raw(
    facts: TaskFacts,
    raw: Path,
    *,
    leaderboard: Path | None = None,
    pages: Path | None = None,
    micro: int | None = None,
) -> Prepared:
    """Prepare a task from its raw files, archives unpacked. What was prepared before is replaced.

    Args:
        facts: The task's task.yaml.
        raw: Folder of the raw files; it is read, and files are linked from it, nothing in it changes.
        leaderboard: Its leaderboard, if there is one.
        pages: Folder of the competition's pages, if they are there; see `pages`.
        micro: Rows to keep on each side, for a small variant.

    Raises:
        TaskDataError: If raw files are missing or not as expected, or the disk is full; nothing that looks
            prepared is left then.
        ConfigError: If the task's `prepare` is wrong.
    """
    check_recipe(facts)
    if micro is not None and micro < MIN_MICRO:
        raise ConfigError(f"--micro is {micro}; expected at least {MIN_MICRO} rows.")
    place = prepared_place(facts.id, variant_of(micro))
    with building(place, facts.id, replace=True) as folder:
        assert folder is not None  # as it replaces
        out = Output(folder, facts.submission, facts.prepare.seed)
        files = RawFiles(raw, facts.id.split("/", 1)[-1])
        _run(facts, files, out, micro)
        if leaderboard is not None:
            shutil.copyfile(leaderboard, out.private("leaderboard.csv"))
            Leaderboard.from_csv(leaderboard, higher_is_better=True)  # finite numbers, whichever way is up
        if pages is not None:
            keep_pages(pages, folder)
        write_sample(folder / "public", folder / "sample", facts.submission.id)
        origin = {**facts.prepare.model_dump(mode="json"), "micro": micro}
        Manifest(facts.id, origin, digests(folder)).write(folder)
    return Prepared.at(place)


def check_recipe(facts: TaskFacts) -> None:
    """Check the parameters of a task's preparation.

    Raises:
        ConfigError: If one is unknown or wrong, or there is no such function; names it.
    """
    prepare = facts.prepare
    if prepare.strategy == "function":
        from mledojo_env.prepare.functions import names

        name = prepare.params.get("name")
        if name not in names() or prepare.params.keys() != {"name"}:
            hint = did_you_mean(str(name), names())
            raise ConfigError(f"{facts.id}: there is no preparation function {name!r}.{hint}")
    elif prepare.strategy in get_args(Strategy):
        _recipe(facts)


@dataclass(frozen=True)
class Leaks:
    """What a task's preparation keeps from public view, for data that was prepared elsewhere.

    Attributes:
        columns: What no public table must have of the test rows.
        files: Public files that must not be there.
    """

    columns: tuple[str, ...] = ()
    files: tuple[str, ...] = ()


def known_leaks(facts: TaskFacts) -> Leaks:
    """Return what must not be public of a task, as far as its task.yaml says."""
    always = (*facts.submission.targets, *facts.prepare.hides)
    if facts.prepare.strategy not in get_args(Strategy):
        return Leaks(always)
    recipe = _recipe(facts)
    columns = dict.fromkeys((*recipe.labels, *always, *recipe.hide, *recipe.drop))
    sides = tuple(f"test/{side.train}" for side in recipe.side_tables if side.train and not side.test)
    return Leaks(tuple(columns), sides)


def known_labels(facts: TaskFacts) -> tuple[str, ...]:
    """Return the names of columns that hold answers, in submissions and, where a recipe says it, raw."""
    raw = _recipe(facts).labels if facts.prepare.strategy in get_args(Strategy) else ()
    return tuple(dict.fromkeys((*raw, *facts.submission.targets)))


def sample_constants(facts: TaskFacts, answers: DataFrame) -> dict[str, Any]:
    """Return the constant of each target column in the sample submission, where no recipe says it."""
    if facts.prepare.strategy in get_args(Strategy):
        return _recipe(facts).constants(facts.submission)
    value = {"probability": 0.5, "number": 0.0, "text": ""}.get(facts.submission.value)
    return {
        name: value if value is not None else sorted(answers[name].astype(str))[0]
        for name in facts.submission.targets
    }


def _run(facts: TaskFacts, files: RawFiles, out: Output, micro: int | None) -> None:
    strategy = facts.prepare.strategy
    if strategy == "function":
        from mledojo_env.prepare.functions import get

        get(facts.prepare.params["name"])(files, out, micro)
    elif strategy in get_args(Strategy):
        TableSplit(_recipe(facts), cast(Strategy, strategy), files, out, micro).run()
    else:
        raise TaskDataError(f"{facts.id} needs no preparation: it is {strategy}.")


def _recipe(facts: TaskFacts) -> TableRecipe:
    try:
        return TableRecipe(**_params(facts))
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"])) or "params"
        raise ConfigError(f"{facts.id}: prepare.params: {where}: {first['msg']}.") from error


def _params(facts: TaskFacts) -> dict[str, Any]:
    """Return the parameters of a recipe with what it need not say filled in.

    A table's name stands for the table; targets, and columns that the metric needs, come from the raw columns
    of the same names.
    """
    from mledojo_env.metrics import get_metric

    params = dict(facts.prepare.params)
    if isinstance(params.get("table"), str):
        params["table"] = {"file": params["table"]}
    if not params.keys() & {"targets", "one_hot", "melt"}:
        params["targets"] = {name: name for name in facts.submission.targets}
    melt = params.get("melt") or {}
    there = {*facts.submission.targets, *facts.submission.id, *melt.get("answers", ()), melt.get("name")}
    needed = get_metric(facts.metric.name, facts.metric.params).needed_columns
    params["answers"] = {
        **{name: {"column": name} for name in needed if name not in there},
        **(params.get("answers") or {}),
    }
    return params
