"""Data that MLE-Dojo or MLE-bench prepared, taken over: checked, its leaks dropped, its parts cut again."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from mledojo_env.errors import TaskDataError
from mledojo_env.leaderboard import COLUMNS, Leaderboard
from mledojo_env.prepare.output import Output
from mledojo_env.prepare.raw import RawFiles
from mledojo_env.prepare.run import known_leaks, sample_constants
from mledojo_env.prepare.sample import write_sample
from mledojo_env.prepare.store import Manifest, Prepared, building, digests, prepared_place
from mledojo_env.prepare.tables import Table

if TYPE_CHECKING:
    from pandas import DataFrame, Index

    from mledojo_env.metrics import Metric
    from mledojo_env.task import TaskFacts

Origin = Literal["mle-dojo", "mle-bench"]

# What the answers are called, the first that is there.
_ANSWERS: dict[Origin, tuple[str, ...]] = {
    "mle-dojo": ("test_answer.csv", "answers.csv"),
    "mle-bench": ("answers.csv", "test.csv", "gold_submission.csv", "test_answer.csv"),
}
_SAMPLES = ("sample_submission.csv", "sampleSubmission.csv", "sample_submission_null.csv")
_PLACES = ("", "data", "prepared", "data/prepared")
_SCORES = ("score", "scorenullable", "scoreformatted", "private_score", "public_score")


@dataclass(frozen=True)
class Tree:
    """A folder of one competition that another project prepared."""

    public: Path
    private: Path
    answers: Path
    leaderboards: tuple[Path, ...]

    @classmethod
    def find(cls, folder: Path, slug: str, origin: Origin) -> Tree:
        """Return the tree in a folder: of the competition itself, or of several with one of its name.

        Raises:
            TaskDataError: If there is none; says what was looked for.
        """
        places = [folder / top / below for top in ("", slug) for below in _PLACES]
        base = next(
            (place for place in places if all((place / x).is_dir() for x in ("public", "private"))), None
        )
        if base is None:
            there = (
                ", ".join(sorted(path.name for path in folder.iterdir())[:12])
                if folder.is_dir()
                else "nothing"
            )
            raise TaskDataError(
                f"{folder} holds no data of {slug} prepared by {origin}: expected the folders public/ and "
                f"private/ in it, or in {slug}/; found {there}."
            )
        answers = next(
            (base / "private" / x for x in _ANSWERS[origin] if (base / "private" / x).is_file()), None
        )
        if answers is None:
            there = ", ".join(sorted(path.name for path in (base / "private").iterdir())[:12]) or "nothing"
            wanted = " or ".join(_ANSWERS[origin])
            raise TaskDataError(f"{base / 'private'} holds no answers: expected {wanted}; found {there}.")
        boards = [
            path for place in (base / "private", base, base.parent) for path in sorted(place.glob("*.csv"))
        ]
        return cls(
            base / "public",
            base / "private",
            answers,
            tuple(path for path in boards if "leaderboard" in path.name.lower()),
        )


def import_tree(facts: TaskFacts, metric: Metric, folder: Path, origin: Origin) -> Prepared:
    """Prepare a task from what another project prepared. What was prepared before is replaced.

    Files are linked where that is possible. Columns and files that are known to give answers away are left
    out, the sample submission is made anew, and the answers are cut into a public and a private part.

    Args:
        facts: The task's task.yaml.
        metric: Its metric, which says what columns the answers need besides.
        folder: Of the competition, or of several; see `Tree.find`.
        origin: Which project made it.

    Raises:
        TaskDataError: If files or columns are missing, or answers and sample submission have other ids.
    """
    slug = facts.id.split("/", 1)[-1]
    tree = Tree.find(folder, slug, origin)
    answers = _read(tree.answers, slug)
    _check_columns(
        answers, tree.answers, [*facts.submission.id, *facts.submission.targets, *metric.needed_columns]
    )
    _check_ids(answers, tree.public, facts.submission.id)
    with building(prepared_place(facts.id), facts.id, replace=True) as new:
        assert new is not None  # as it replaces
        out = Output(new, facts.submission, facts.prepare.seed)
        out.answers(answers, sample=sample_constants(facts, answers))
        leaks = known_leaks(facts)
        ids = _keys(answers, facts.submission.id)
        for path in sorted(tree.public.rglob("*")):
            name = path.relative_to(tree.public).as_posix()
            if path.is_file() and not path.is_symlink() and name not in _SAMPLES and name not in leaks.files:
                _take_over(path, name, out, ids, leaks.columns)
        board = _leaderboard(tree.leaderboards)
        if board:
            _write_board(board, out.private("leaderboard.csv"))
            Leaderboard.from_csv(out.private("leaderboard.csv"), higher_is_better=metric.higher_is_better)
        write_sample(new / "public", new / "sample", facts.submission.id)
        source = {"strategy": "import", "from": origin, "boards": [path.name for path in tree.leaderboards]}
        Manifest(facts.id, source, digests(new)).write(new)
    return Prepared.at(prepared_place(facts.id))


def _read(path: Path, slug: str) -> DataFrame:
    return Table(file=path.name).whole(RawFiles(path.parent, slug))


def _check_columns(table: DataFrame, path: Path, expected: Sequence[str]) -> None:
    missing = [name for name in expected if name not in table.columns]
    if missing:
        found = ", ".join(map(str, table.columns[:20]))
        raise TaskDataError(f"{path} has no column {missing[0]!r}, which the task needs; found {found}.")


def _check_ids(answers: DataFrame, public: Path, ids: Sequence[str]) -> None:
    """Compare the answers' ids with the sample submission's: of another split, every score would be wrong."""
    path = next((public / name for name in _SAMPLES if (public / name).is_file()), None)
    if path is None:
        raise TaskDataError(f"{public} has no sample submission; expected {_SAMPLES[0]}.")
    sample = _read(path, public.name)
    _check_columns(sample, path, ids)
    found = {tuple(row) for row in sample[list(ids)].astype(str).to_numpy()}
    expected = {tuple(row) for row in answers[list(ids)].astype(str).to_numpy()}
    if found != expected:
        some = next(iter(sorted(found ^ expected)))
        where = "the sample submission" if some in found else "the answers"
        raise TaskDataError(
            f"Answers and sample submission differ in {len(found ^ expected)} ids of {len(expected)}: "
            f"{'/'.join(some)} is only in {where}. Are public/ and private/ of one split?"
        )


def _take_over(path: Path, name: str, out: Output, test_ids: Index, secret: Sequence[str]) -> None:
    """Put a file among the public ones; a table without what it tells of test rows.

    A table of test rows loses the columns that tell, one of all rows (the labels of train and test) loses the
    test rows.
    """
    names = [str(name) for name in test_ids.names]
    table = Table(file=path.name)
    raw = RawFiles(path.parent, path.parent.name)
    is_plain = path.suffix != ".csv" or not _tells(path, names, secret)
    if is_plain:
        out.link(path, name)
        return
    of_test = [_keys(piece, names).isin(test_ids) for piece in table.read(raw, names)]
    if not any(mask.any() for mask in of_test):
        out.link(path, name)
        return
    is_test_table = all(mask.all() for mask in of_test)
    with out.table(name) as writer:
        for piece, mask in zip(table.read(raw), of_test, strict=True):
            if is_test_table:
                writer.write(piece.drop(columns=list(secret), errors="ignore"))
            else:
                writer.write(piece[~mask])


def _tells(path: Path, ids: Sequence[str], secret: Sequence[str]) -> bool:
    """Whether a CSV file has the columns of the id, and one of those that tell."""
    with path.open(encoding="utf-8-sig", errors="replace", newline="") as file:
        header = next(csv.reader(file), [])
    return set(ids) <= set(header) and not set(header).isdisjoint(secret)


def _keys(table: DataFrame, names: Sequence[str]) -> Index:
    """Return the ids of a table's rows, as text."""
    import pandas as pd

    return pd.MultiIndex.from_frame(table[list(names)].astype(str))


def _leaderboard(paths: Sequence[Path]) -> dict[str, list[str]] | None:
    """Return the scores of both parts, best known source first.

    Both projects keep a file for each part, or one for both; where there is one part only, its scores stand
    for the other, too: MLE-bench ranks by the private board alone.
    """
    scores: dict[str, list[str]] = {}
    for path in paths:
        with path.open(encoding="utf-8-sig", newline="") as file:
            rows = list(csv.DictReader(file))
        columns = {str(name).strip().lower(): name for name in (rows[0] if rows else ())}
        for part in COLUMNS:
            word = part.split("_")[0]
            names = [part] if part in columns else []
            if not names and (word in path.name.lower() or not _names_a_part(path)):
                names = [name for name in _SCORES[:3] if name in columns]
            if names and part not in scores:
                found = [str(row[columns[names[0]]]).strip() for row in rows]
                scores[part] = [text for text in found if text and text.lower() not in ("nan", "none")]
    present = next((scores[part] for part in reversed(COLUMNS) if scores.get(part)), None)
    return None if present is None else {part: scores.get(part) or present for part in COLUMNS}


def _names_a_part(path: Path) -> bool:
    return "public" in path.name.lower() or "private" in path.name.lower()


def _write_board(board: dict[str, list[str]], path: Path) -> None:
    def lines() -> Iterator[list[Any]]:
        for place in range(max(map(len, board.values()))):
            yield [place + 1, *(board[part][place] if place < len(board[part]) else "" for part in COLUMNS)]

    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["team", *COLUMNS])
        writer.writerows(lines())
