"""What MLE-Dojo and MLE-bench prepared, taken over: checked, without its leaks, cut again."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from mledojo_env.catalog import load_task
from mledojo_env.errors import TaskDataError
from mledojo_env.grading import grade_frame
from mledojo_env.prepare import Manifest, prepared_place
from mledojo_env.prepare.imported import Origin, import_tree

TASK = "kaggle/titanic"


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("MLEDOJO_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """Return a tree as MLE-Dojo lays it out, with the leaks that its preparations are known for."""
    folder = tmp_path / "dojo" / "titanic" / "data"
    (folder / "public/notes").mkdir(parents=True)
    (folder / "private").mkdir()
    table = pd.DataFrame(
        {"PassengerId": range(100, 160), "Sex": ["male", "female", "male"] * 20, "Survived": [0, 1] * 30}
    )
    table[:30].to_csv(folder / "public/train.csv", index=False)
    table[30:].to_csv(folder / "public/test.csv", index=False)  # with the answers
    answers = table.loc[30:, ["PassengerId", "Survived"]]
    answers.to_csv(folder / "public/sample_submission.csv", index=False)  # the answers again
    (folder / "public/notes/read.me").write_text("hello")
    (folder / "public/out").symlink_to("/etc/passwd")
    answers.to_csv(folder / "private/test_answer.csv", index=False)
    (folder / "private/private_leaderboard.csv").write_text("rank,score\n1,0.9\n2,0.8\n3,\n")
    (folder / "private/public_leaderboard.csv").write_text("rank,score\n1,0.95\n2,0.7\n3,0.1\n")
    return tmp_path / "dojo"


def take(folder: Path, origin: Origin = "mle-dojo") -> Any:
    task = load_task(TASK)
    import_tree(task.facts, task.metric, folder, origin)
    return load_task(TASK)


@pytest.mark.parametrize("below", ["", "titanic", "titanic/data"])
def test_a_tree_is_found_and_taken_over(tree: Path, below: str):
    task = take(tree / below)
    assert task.is_ready
    assert sorted(path.name for path in task.public_dir.rglob("*") if path.is_file()) == [
        "read.me",
        "sample_submission.csv",
        "test.csv",
        "train.csv",
    ]
    answers = task.answers()
    assert answers.groupby(["part", "Survived"]).size().to_dict() == {
        ("private", 0): 11,
        ("private", 1): 11,
        ("public", 0): 4,
        ("public", 1): 4,
    }
    assert grade_frame(task, answers[["PassengerId", "Survived"]]).rank == 1.0
    assert Manifest.read(prepared_place(TASK)).origin["from"] == "mle-dojo"


def test_known_leaks_are_left_out(tree: Path):
    task = take(tree)
    assert list(pd.read_csv(task.public_dir / "test.csv")) == ["PassengerId", "Sex"]
    assert task.sample_submission()["Survived"].nunique() == 1
    assert not (task.public_dir / "out").exists()


def test_labels_of_all_rows_lose_those_of_the_test_rows(tree: Path):
    labels = pd.DataFrame({"PassengerId": range(100, 160), "Survived": [0, 1] * 30})
    labels.to_csv(tree / "titanic/data/public/notes/labels.csv", index=False)
    labels[["PassengerId"]].to_csv(tree / "titanic/data/public/all_ids.csv", index=False)
    task = take(tree)
    assert pd.read_csv(task.public_dir / "notes/labels.csv")["PassengerId"].tolist() == list(range(100, 130))
    assert len(pd.read_csv(task.public_dir / "all_ids.csv")) == 60
    assert len(pd.read_csv(task.public_dir / "train.csv")) == 30


def test_what_a_function_hides_is_left_out_too(tree: Path, monkeypatch: pytest.MonkeyPatch):
    task = load_task(TASK)
    prepare = task.facts.prepare.model_copy(update={"hides": ["Sex"]})
    facts = task.facts.model_copy(update={"prepare": prepare})
    import_tree(facts, task.metric, tree, "mle-dojo")
    assert list(pd.read_csv(load_task(TASK).public_dir / "test.csv")) == ["PassengerId"]


def test_boards_of_both_parts_are_kept_apart(tree: Path):
    board = take(tree).leaderboard
    assert sorted(board.private_scores) == [0.8, 0.9] and sorted(board.public_scores) == [0.1, 0.7, 0.95]


def test_mle_bench_has_other_names_and_one_board(tree: Path, tmp_path: Path):
    prepared = tmp_path / "bench" / "titanic" / "prepared"
    prepared.parent.mkdir(parents=True)
    (tree / "titanic/data").rename(prepared)
    (prepared / "private/test_answer.csv").rename(prepared / "private/answers.csv")
    for name in ("public", "private"):
        (prepared / "private" / f"{name}_leaderboard.csv").unlink()
    (prepared.parent / "leaderboard.csv").write_text("scoreNullable,teamId\n0.9,1\n0.5,2\n,3\n")
    board = take(tmp_path / "bench", "mle-bench").leaderboard
    assert sorted(board.private_scores) == sorted(board.public_scores) == [0.5, 0.9]


def test_without_a_board_there_is_none(tree: Path):
    for path in (tree / "titanic/data/private").glob("*leaderboard*"):
        path.unlink()
    assert take(tree).leaderboard is None


def test_the_tree_stays_as_it_is(tree: Path):
    files = {path: path.read_bytes() for path in sorted(tree.rglob("*")) if path.is_file()}
    take(tree)
    assert {path: path.read_bytes() for path in sorted(tree.rglob("*")) if path.is_file()} == files


def change(tree: Path, name: str, **columns: Any) -> None:
    path = tree / "titanic/data" / name
    pd.read_csv(path).assign(**columns).to_csv(path, index=False)


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (lambda tree: (tree / "titanic/data/private").rename(tree / "hidden"), "holds no data of titanic"),
        (lambda tree: (tree / "titanic/data/private/test_answer.csv").unlink(), "expected test_answer.csv"),
        (
            lambda tree: change(tree, "private/test_answer.csv", PassengerId=range(1, 31)),
            "differ in 60 ids of 30",
        ),
        (
            lambda tree: (tree / "titanic/data/private/test_answer.csv").write_text("PassengerId\n1\n"),
            "'Survived'",
        ),
        (
            lambda tree: (tree / "titanic/data/public/sample_submission.csv").unlink(),
            "no sample submission",
        ),
        (
            lambda tree: (tree / "titanic/data/private/private_leaderboard.csv").write_text(
                "rank,score\n1,good\n"
            ),
            "private_score is 'good'",
        ),
        (lambda tree: change(tree, "private/test_answer.csv", PassengerId=130), "twice|differ"),
    ],
)
def test_what_does_not_fit_is_named_and_nothing_is_ready(tree: Path, damage: Any, words: str):
    damage(tree)
    with pytest.raises(TaskDataError, match=words):
        take(tree)
    assert not load_task(TASK).has_data
