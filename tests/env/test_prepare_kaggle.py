"""A Kaggle task from a competition's files, downloaded from a fake Kaggle or given: whole, or not at all."""

from __future__ import annotations

import errno
import io
import json
import os
import shutil
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pandas as pd
import pytest
from fake_kaggle import TOKEN, FakeKaggle
from raw_files import fabricate

from mledojo_env import topics
from mledojo_env.catalog import list_tasks, load_task
from mledojo_env.checks import check_task
from mledojo_env.errors import ArchiveError, ConfigError, DownloadError, TaskDataError
from mledojo_env.grading import grade_frame
from mledojo_env.prepare import prepared_place, raw_place
from mledojo_env.prepare.kaggle import prepare_kaggle

TASK = "kaggle/titanic"
BOARD = "team,public_score,private_score\nants,0.9,0.8\nbees,0.7,\ncows,0.5,0.6\n"


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a cache of the test's own, and a home without credentials."""
    for name in list(os.environ):
        if name.startswith("KAGGLE_") or name.lower().endswith("_proxy"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("MLEDOJO_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def raw(tmp_path: Path) -> Path:
    """Return raw files as Kaggle names them, with a leaderboard."""
    folder = tmp_path / "raw"
    fabricate("titanic", folder)
    (folder / "leaderboard.csv").write_text(BOARD)
    return folder


@pytest.fixture
def kaggle(raw: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeKaggle]:
    """Return a fake Kaggle with the competition, its training table packed."""
    pytest.importorskip("kagglesdk", reason="kagglesdk is not installed: pip install 'mledojo-train[kaggle]'")
    with FakeKaggle("titanic") as server:
        server.files = {
            "train.csv.zip": zipped("train.csv", (raw / "train.csv").read_bytes()),
            "test.csv": (raw / "test.csv").read_bytes(),
        }
        server.pages = [
            ("Description", "<h2>The sinking</h2><p>Who <b>survived</b>?</p><script>alert(1)</script>"),
            ("rules", "Be fair."),
        ]
        server.private = [(1, "ants", "0.9"), (2, "bees", "0.6")]
        server.public = [(2, "bees", "0.8"), (1, "ants", "0.7")]
        monkeypatch.setenv("KAGGLE_API_TOKEN", TOKEN)
        monkeypatch.setenv("MLEDOJO_KAGGLE_URL", server.url)
        yield server


def zipped(name: str, content: bytes) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as file:
        file.writestr(name, content)
    return buffer.getvalue()


def prepare(raw: Path | None = None, micro: int | None = None) -> None:
    prepare_kaggle(load_task(TASK).facts, raw=raw, micro=micro)


def nothing_is_ready(cache: Path) -> bool:
    left = [path for path in (cache / "tasks/kaggle/titanic").rglob("*") if path.name != ".lock"]
    return not load_task(TASK).has_data and left == []


def test_a_download_becomes_a_task_that_is_ready(kaggle: FakeKaggle, cache: Path):
    assert not load_task(TASK).is_ready
    with pytest.raises(TaskDataError, match="tasks prepare kaggle/titanic"):
        load_task(TASK).answers()
    seen: list[tuple[str, int, int]] = []
    prepare_kaggle(load_task(TASK).facts, progress=lambda *told: seen.append(told))
    task = load_task(TASK)
    assert task.is_ready
    assert [entry.ready for entry in list_tasks("kaggle") if entry.id == TASK] == [True]
    assert {name for name, _, _ in seen} == {"train.csv.zip", "test.csv"}
    assert task.leaderboard is not None and task.leaderboard.kind == "human"
    assert sorted(task.leaderboard.private_scores) == [0.6, 0.9]
    assert sorted(task.leaderboard.public_scores) == [0.7, 0.8]
    grade = grade_frame(task, task.answers()[["PassengerId", "Survived"]])
    assert (grade.score, grade.rank, grade.medal) == (1.0, 1.0, "gold")
    assert (cache / "raw/titanic/data/train.csv.zip").is_file(), "the download is kept"


def test_the_competitions_pages_are_shown_as_text(kaggle: FakeKaggle):
    prepare()
    overview = topics.tell(load_task(TASK), "overview")
    assert "The sinking" in overview and "Who survived?" in overview
    assert "alert" not in overview and "<b>" not in overview and "Be fair" not in overview
    assert not list(load_task(TASK).public_dir.rglob("*Description*"))


def test_nothing_is_asked_twice(kaggle: FakeKaggle):
    prepare()
    asked = len(kaggle.requests)
    prepare(micro=20)
    assert len(kaggle.requests) == asked
    assert len(load_task(f"{TASK}?micro=20").answers()) == 18, "a fifth of 90 rows is fewer than 20"
    assert load_task(f"{TASK}?micro=20").data_hash != load_task(TASK).data_hash


def test_without_credentials_it_says_how_to_get_them(kaggle: FakeKaggle, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.delenv("KAGGLE_API_TOKEN")
    with pytest.raises(DownloadError, match=r"KAGGLE_API_TOKEN"):
        prepare()
    assert kaggle.requests == []


def test_given_files_are_prepared_without_kaggle_and_stay_as_they_are(raw: Path):
    before = {path: (path.read_bytes(), path.stat().st_mtime_ns) for path in raw.iterdir()}
    prepare(raw)
    task = load_task(TASK)
    assert task.is_ready and task.leaderboard is not None
    assert task.leaderboard.teams("private") == 2 and task.leaderboard.teams("public") == 3
    assert {path: (path.read_bytes(), path.stat().st_mtime_ns) for path in raw.iterdir()} == before


def test_without_a_board_there_is_no_rank(raw: Path):
    (raw / "leaderboard.csv").unlink()
    prepare(raw)
    task = load_task(TASK)
    grade = grade_frame(task, task.sample_submission())
    assert grade.rank is None and grade.medal is None and grade.score >= 0
    assert "no leaderboard" in topics.tell(task, "leaderboard")


def test_given_archives_are_unpacked_and_kept(raw: Path):
    content = (raw / "train.csv").read_bytes()
    (raw / "train.csv").unlink()
    (raw / "train.csv.zip").write_bytes(zipped("train.csv", content))
    prepare(raw)
    assert load_task(TASK).is_ready
    assert (raw / "train.csv.zip").is_file() and not (raw / "train.csv").exists()


@pytest.mark.parametrize(
    ("name", "content", "error", "words"),
    [
        ("train.csv.zip", b"PK\x03\x04 cut", ArchiveError, r"train\.csv\.zip"),
        ("train.zip", zipped("../../evil.csv", b"x"), ArchiveError, "leads out"),
        ("Train2.csv", b"PassengerId\n1\n", TaskDataError, r"lack train\.csv.*Train2\.csv"),
        ("train.csv", b"Id,Survived\n1,0\n2,1\n", TaskDataError, "'PassengerId'"),
        ("train.csv", b"", TaskDataError, r"Cannot read .*train\.csv"),
        ("train.csv", b'PassengerId,Survived\n1,"0\n', TaskDataError, r"Cannot read .*train\.csv"),
        ("train.csv", b"PassengerId,Survived\n1,0\n", TaskDataError, "1 rows"),
    ],
)
def test_what_is_wrong_with_raw_files_is_named_and_nothing_is_left(
    raw: Path, cache: Path, name: str, content: bytes, error: type[Exception], words: str
):
    (raw / "train.csv").unlink()
    (raw / name).write_bytes(content)
    with pytest.raises(error, match=words):
        prepare(raw)
    assert nothing_is_ready(cache)
    assert not list(raw.parent.rglob("evil.csv"))


def test_a_board_that_is_not_numbers_is_named(raw: Path, cache: Path):
    (raw / "leaderboard.csv").write_text("team,public_score,private_score\nants,0.9,high\n")
    with pytest.raises(TaskDataError, match=r"leaderboard\.csv, line 2: private_score is 'high'"):
        prepare(raw)
    assert nothing_is_ready(cache)


def test_a_folder_that_is_not_there_is_named(tmp_path: Path):
    with pytest.raises(TaskDataError, match="nowhere is no folder"):
        prepare(tmp_path / "nowhere")


def test_a_disk_that_fills_midway_leaves_no_part_and_the_download_stays(
    kaggle: FakeKaggle, cache: Path, monkeypatch: pytest.MonkeyPatch
):
    written = pd.DataFrame.to_csv

    def full(self: pd.DataFrame, target: object = None, **options: object) -> object:
        if str(target).endswith("answers.csv"):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(target))
        return written(self, target, **options)  # type: ignore[call-overload]

    monkeypatch.setattr(pd.DataFrame, "to_csv", full)
    with pytest.raises(TaskDataError, match=r"No space left on device.*Make room"):
        prepare()
    assert nothing_is_ready(cache)
    monkeypatch.undo()
    monkeypatch.setenv("MLEDOJO_CACHE", str(cache))  # without credentials now: nothing is to be downloaded
    prepare()
    assert load_task(TASK).is_ready


def test_an_interrupted_preparation_is_begun_again(raw: Path, cache: Path):
    left_over = cache / "tasks/kaggle/titanic/.building-killed"
    (left_over / "public").mkdir(parents=True)
    (left_over / "public/train.csv").write_text("half")
    assert not load_task(TASK).is_ready
    prepare(raw)
    assert load_task(TASK).is_ready and not left_over.exists()


def test_a_preparation_that_fails_leaves_the_one_before(raw: Path):
    prepare(raw)
    before = load_task(TASK).data_hash
    (raw / "train.csv").write_text("PassengerId\n")
    shutil.rmtree(raw_place("titanic"))
    with pytest.raises(TaskDataError):
        prepare(raw)
    assert load_task(TASK).is_ready and load_task(TASK).data_hash == before


def test_the_manifest_tells_what_was_made_of_what(raw: Path):
    prepare(raw, micro=20)
    place = prepared_place(TASK, "micro=20")
    manifest = json.loads((place / "manifest.json").read_text())
    assert manifest["task"] == TASK
    assert manifest["origin"]["strategy"] == "random" and manifest["origin"]["micro"] == 20
    assert set(manifest["files"]) == {
        "private/answers.csv",
        "private/leaderboard.csv",
        "public/sample_submission.csv",
        "public/test.csv",
        "public/train.csv",
    }


def test_changed_files_are_found(raw: Path):
    prepare(raw)
    task = load_task(TASK)
    with (task.public_dir / "test.csv").open("a") as file:
        file.write("1,1\n")
    found = {finding.check: finding for finding in check_task(load_task(TASK))}
    assert not found["checksums"].ok and "test.csv is changed" in found["checksums"].detail


def test_a_small_variant_needs_twenty_rows(raw: Path):
    with pytest.raises(ConfigError, match="--micro is 19"):
        prepare(raw, micro=19)
