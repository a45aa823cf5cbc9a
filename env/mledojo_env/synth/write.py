"""From a draft to a task's folder: task.yaml, description.md, public/, sample/, private/."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import yaml

from mledojo_env.errors import TaskDataError
from mledojo_env.prepare.sample import TEST_ROWS, TRAIN_ROWS
from mledojo_env.prepare.store import Manifest, digests
from mledojo_env.synth.board import MIN_TEAMS, Entry, make_board, part_codes
from mledojo_env.synth.contest import Contest, suitable_contests
from mledojo_env.synth.draft import GENERATOR, Amount, Draft, Setting
from mledojo_env.synth.families import get_family
from mledojo_env.synth.ids import SynthId
from mledojo_env.synth.prose import describe

if TYPE_CHECKING:
    from pandas import DataFrame, Series
    from threadpoolctl import ThreadpoolController

SAMPLE = "sample_submission.csv"

_DUMPER = getattr(yaml, "CSafeDumper", yaml.SafeDumper)
_MEMORY_MB = 1024
_BOARD_COLUMNS = ("team", "public_score", "private_score")

Grid = tuple[list[str], list[list[Any]]]
"""A table as it is written: its header, and its columns."""


def write_task(task: SynthId, folder: Path) -> None:
    """Write a generated task into an empty folder. Equal ids give equal bytes.

    Raises:
        TaskDataError: If the family broke its contract; says which task and how.
    """
    # On one thread: sums come out alike everywhere, and threads of small products only wait for each other.
    with _threads().limit(limits=1, user_api="blas"):
        _write(Setting(task.family, task.seed, task.difficulty), task, folder)


@cache
def _threads() -> ThreadpoolController:
    """Return what holds the threads of NumPy's linear algebra; to find it takes a few milliseconds."""
    from threadpoolctl import ThreadpoolController

    return ThreadpoolController()


def _write(setting: Setting, task: SynthId, folder: Path) -> None:
    try:
        draft = get_family(task.family).make(setting)
        check_draft(draft)
        contest, is_public, board, rungs = _judge(setting, draft)
    except ValueError as error:
        raise TaskDataError(f"The generator failed on {task}: {error}.") from error
    for part in ("public", "sample", "private"):
        (folder / part).mkdir()
    _write_public(folder, draft, contest)
    _write_private(folder / "private", draft, contest, is_public, board, rungs)
    text = describe(draft, contest, setting.stream("prose"), teams=len(board))
    (folder / "description.md").write_text(text, encoding="utf-8", newline="\n")
    facts = yaml.dump(
        _facts(task, draft, contest), Dumper=_DUMPER, sort_keys=False, allow_unicode=True, width=110
    )
    (folder / "task.yaml").write_text(facts, encoding="utf-8", newline="\n")
    origin = {"generator": GENERATOR, "family": task.family, "seed": task.seed, "difficulty": task.difficulty}
    Manifest(str(task), origin, digests(folder)).write(folder)


def _judge(setting: Setting, draft: Draft) -> tuple[Contest, np.ndarray, list[Entry], list[Entry]]:
    """Return a contest with enough different scores, the public rows, the board, and the scores of rungs."""
    is_public = part_codes(draft, setting.stream("parts"))
    for contest in suitable_contests(draft, setting.stream("metric")):
        board, rungs = make_board(draft, contest, is_public, setting.stream("board"))
        if len(board) >= MIN_TEAMS:
            return contest, is_public, board, rungs
    raise ValueError(f"no metric has {MIN_TEAMS} different scores for it")


def check_draft(draft: Draft) -> None:
    """Check what a family promises of a draft.

    Raises:
        ValueError: If it does not hold; says what.
    """
    rows, goal = len(draft.goal.truth), draft.goal
    if len(draft.test_ids) != rows or len(set(draft.test_ids)) != rows:
        raise ValueError(f"{len(set(draft.test_ids))} different test ids for {rows} answers")
    if len(draft.ladder) < 5:
        raise ValueError(f"the ladder has {len(draft.ladder)} rungs; expected five or more")
    if len({rung.name for rung in draft.ladder}) < len(draft.ladder):
        raise ValueError("two rungs have the same name")
    shape = (rows,) if isinstance(goal, Amount) else (rows, len(goal.names))
    for rung in draft.ladder:
        if rung.belief.shape != shape or not np.isfinite(rung.belief).all():
            raise ValueError(f"{rung.name}: a belief of shape {rung.belief.shape}, or not finite")
        if not isinstance(goal, Amount):
            sums = rung.belief.sum(axis=1)
            if rung.belief.min() < 0 or np.abs(sums - 1).max() > 1e-6:
                raise ValueError(f"{rung.name}: probabilities that do not sum to 1")
    if not isinstance(goal, Amount) and len(np.unique(goal.truth)) < len(goal.names):
        raise ValueError("a class has no test row")
    for name, file in draft.files.items():
        if (file.table is None) == (file.arrays is None) or name == SAMPLE:
            raise ValueError(f"{name} is neither a table nor arrays")


def _write_public(folder: Path, draft: Draft, contest: Contest) -> None:
    """Write the public files and their small versions."""
    constants = [[value] * len(draft.test_ids) for value in contest.sample.values()]
    tables = {SAMPLE: ([draft.id, *contest.targets], [list(draft.test_ids), *constants])}
    tables |= {name: grid(file.table) for name, file in draft.files.items() if file.table is not None}
    kept = _sample_rows(draft, tables)
    for name, (header, columns) in tables.items():
        _write_csv(folder / "public" / name, header, columns)
        small = [[column[row] for row in kept[Path(name).stem]] for column in columns]
        _write_csv(folder / "sample" / name, header, small)
    for name, file in draft.files.items():
        if file.arrays is not None:
            stem = Path(name).stem.removesuffix("_images")
            rows = kept.get(stem, np.arange(0))
            some = {key: array[rows] if stem in kept else array for key, array in file.arrays.items()}
            for part, arrays in (("public", file.arrays), ("sample", some)):
                # Uncompressed: what a compressor makes of it depends on its version.
                np.savez(folder / part / name, allow_pickle=False, **arrays)


def _sample_rows(draft: Draft, tables: Mapping[str, Grid]) -> dict[str, np.ndarray]:
    """Return the rows of each table, by its stem, that are in its small version.

    As `prepare.sample.write_sample` has it: of tables with test ids the first hundred of those, of others 400
    rows evenly spaced. But a table with several rows an id keeps those of ids that are kept elsewhere.
    """
    first_ids = set(draft.test_ids[:TEST_ROWS])
    kept, ids_kept, several = {}, set(first_ids), {}
    for name, (header, columns) in tables.items():
        ids = columns[header.index(draft.id)] if draft.id in header else []
        if len(set(ids)) < len(ids):
            several[name] = ids
            continue
        rows = np.flatnonzero([row_id in first_ids for row_id in ids])
        if not len(rows):  # not of the test set
            count = len(columns[0])
            rows = np.linspace(0, count - 1, min(count, TRAIN_ROWS)).astype(int)
            ids_kept.update(ids[row] for row in rows if ids)
        kept[Path(name).stem] = rows
    for name, ids in several.items():
        kept[Path(name).stem] = np.flatnonzero([row_id in ids_kept for row_id in ids])
    return kept


def _write_private(
    folder: Path,
    draft: Draft,
    contest: Contest,
    is_public: np.ndarray,
    board: Sequence[Entry],
    rungs: Sequence[Entry],
) -> None:
    parts = ["public" if public else "private" for public in is_public.tolist()]
    columns: list[list[Any]] = [list(draft.test_ids), *map(list, contest.answers.values()), parts]
    _write_csv(folder / "answers.csv", [draft.id, *contest.answers, "part"], columns)
    for name, entries in (("leaderboard.csv", board), ("ladder.csv", rungs)):
        scored: list[list[Any]] = [[getattr(entry, column) for entry in entries] for column in _BOARD_COLUMNS]
        _write_csv(folder / name, _BOARD_COLUMNS, scored)


def grid(table: DataFrame) -> Grid:
    """Return a table's header and columns as they are written: short floats, blanks for what is missing."""
    return list(map(str, table.columns)), [_cells(table[name]) for name in table.columns]


def _cells(column: Series[Any]) -> list[Any]:
    """Return a column's cells as text, or as what the csv module writes right by itself."""
    values = column.tolist()
    if column.dtype.kind == "f":
        known = [value for value in values if value == value]
        if all(value.is_integer() for value in known):
            return ["" if value != value else int(value) for value in values]
        return ["" if value != value else repr(value) for value in values]
    if column.dtype.kind in "iub":
        return values
    return ["" if value is None or value != value else value for value in values]


def _write_csv(path: Path, header: Sequence[str], columns: Iterable[Sequence[Any]]) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(header)
        writer.writerows(zip(*columns, strict=True))


def _facts(task: SynthId, draft: Draft, contest: Contest) -> dict[str, Any]:
    """Return the content of task.yaml."""
    public = {name: file.purpose for name, file in draft.files.items()}
    public[SAMPLE] = "a valid submission with one constant"
    return {
        "id": str(task),
        "title": draft.title,
        "domain": draft.domain,
        "kind": contest.kind,
        "split": task.split,
        "source": {"name": f"generated, family {task.family}, seed {task.seed}", "licence": "CC0-1.0"},
        "metric": {"name": contest.metric.name, "params": _plain(contest.params)},
        "submission": {"id": [draft.id], "targets": list(contest.targets), "value": contest.value},
        "public": public,
        "limits": {
            "timeout_s": draft.timeout_s,
            "validate_timeout_s": draft.timeout_s / 2,
            "memory_mb": _MEMORY_MB,
        },
        "prepare": {
            "strategy": "generated",
            "params": {"family": task.family, "difficulty": task.difficulty, "generator": GENERATOR},
            "seed": task.seed,
        },
        "verified": "data",
        "leaderboard": {"kind": "reference"},
    }


def _plain(params: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value.item() if isinstance(value, np.generic) else value for name, value in params.items()}
