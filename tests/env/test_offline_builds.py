"""The build scripts' shared code, and what must hold of every folder that they wrote."""

from __future__ import annotations

import hashlib
import os
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import LogisticRegression, Ridge

OFFLINE = Path(__file__).parents[2] / "tasks" / "offline"
FOLDERS = sorted(path.parent for path in OFFLINE.glob("*/task.yaml"))

sys.path.insert(0, str(OFFLINE))
import build_board as board  # noqa: E402
import build_common as common  # noqa: E402


@pytest.fixture
def table() -> pd.DataFrame:
    generator = np.random.default_rng(0)
    columns = {"size": generator.normal(size=120).round(3), "kind": generator.choice(["a", "b"], 120)}
    return pd.DataFrame(columns).assign(price=lambda rows: rows["size"] * 2 + (rows["kind"] == "a"))


def build(folder: Path, table: pd.DataFrame, **options: object) -> None:
    common.write_table_task(folder, table[:80], table[80:], target="price", sample_value=0, seed=1, **options)


# --------------------------------------------------------------------------- files


def test_the_same_table_and_arrays_give_the_same_bytes(tmp_path: Path, table: pd.DataFrame) -> None:
    images = np.arange(60, dtype=np.uint8).reshape(3, 4, 5)
    for run in ("first", "second"):
        common.write_csv_xz(tmp_path / run / "t.csv.xz", table)
        common.write_npz(tmp_path / run / "t.npz", images=images)
    for name in ("t.csv.xz", "t.npz"):
        assert (tmp_path / "first" / name).read_bytes() == (tmp_path / "second" / name).read_bytes()
    pd.testing.assert_frame_equal(
        common.read_csv_xz(tmp_path / "first" / "t.csv.xz"), table, check_dtype=False
    )
    np.testing.assert_array_equal(np.load(tmp_path / "first" / "t.npz")["images"], images)


def test_a_wrong_checksum_names_both_and_the_file(tmp_path: Path) -> None:
    path = tmp_path / "source.whl"
    path.write_bytes(b"something else")
    found = hashlib.sha256(b"something else").hexdigest()
    with pytest.raises(
        common.BuildError, match=f"some-package has sha256 {found}, expected 0000.*source.whl"
    ):
        common.check_sha256(path, "0000", "some-package")


# --------------------------------------------------------------------------- the split


def test_near_duplicates_are_kept_once() -> None:
    rows = pd.DataFrame({"name": ["Big  House", "big house", "barn"], "size": [1.0, 1.0000000001, 1.0]})
    assert common.drop_near_duplicates(rows, ["name", "size"])["name"].tolist() == ["Big  House", "barn"]


def test_parts_keep_groups_whole_and_about_three_tenths_public() -> None:
    groups = pd.Series(np.repeat(np.arange(100), 10))
    parts = pd.Series(common.choose_parts(groups.to_frame(), seed=3, groups=groups))
    assert parts.groupby(groups.to_numpy()).nunique().max() == 1
    assert 0.25 <= (parts == "public").mean() <= 0.31


def test_a_task_folder_has_the_columns_in_order_and_new_ids(tmp_path: Path, table: pd.DataFrame) -> None:
    build(tmp_path, table[["price", "size", "kind"]])
    train, test, sample = (
        common.read_csv_xz(tmp_path / "public" / f"{name}.csv.xz")
        for name in ("train", "test", "sample_submission")
    )
    answers = common.read_csv_xz(tmp_path / "private" / "answers.csv.xz")
    assert list(train) == ["id", "size", "kind", "price"]
    assert list(test) == ["id", "size", "kind"]
    assert list(sample) == ["id", "price"] and list(answers) == ["id", "price", "part"]
    assert train["id"].tolist() == list(range(80)) and test["id"].tolist() == list(range(80, 120))
    known = table.set_index("size")["price"]
    np.testing.assert_allclose(answers["price"], known[test["size"]])


def test_a_test_row_that_equals_a_train_row_is_refused(tmp_path: Path, table: pd.DataFrame) -> None:
    table.loc[100, ["size", "kind"]] = table.loc[5, ["size", "kind"]]
    with pytest.raises(common.BuildError, match="1 test rows equal a train row"):
        build(tmp_path, table)


def test_a_missing_target_is_refused(tmp_path: Path, table: pd.DataFrame) -> None:
    table.loc[90, "price"] = np.nan
    with pytest.raises(common.BuildError, match="price has missing values"):
        build(tmp_path, table)


# --------------------------------------------------------------------------- the board


@pytest.fixture
def data(tmp_path: Path, table: pd.DataFrame) -> board.Data:
    return board.Data(
        table.loc[:79, ["size", "kind"]],
        table.loc[:79, "price"].to_numpy(),
        table.loc[80:, ["size", "kind"]],
        cache=tmp_path / "cache",
    )


def test_an_entry_is_fitted_once_and_again_when_a_parameter_changes(data: board.Data) -> None:
    first = data.predict(board.Fit(board.onehot, Ridge(1.0)))
    np.testing.assert_array_equal(data.predict(board.Fit(board.onehot, Ridge(1.0))), first)
    assert len(list(data.cache.iterdir())) == 1
    assert not np.allclose(data.predict(board.Fit(board.onehot, Ridge(50.0))), first)
    assert len(list(data.cache.iterdir())) == 2


def test_a_blend_is_the_mean_of_its_members(data: board.Data) -> None:
    members = tuple(board.Fit(board.numbers, Ridge(alpha)) for alpha in (1.0, 100.0))
    expected = np.mean([data.predict(member) for member in members], axis=0)
    np.testing.assert_allclose(data.predict(board.Blend(members)), expected)


def test_a_vote_returns_labels(data: board.Data) -> None:
    kinds = board.Data(
        data.x_train[["size"]],
        np.where(data.y_train > 0, "up", "down"),
        data.x_test[["size"]],
        cache=data.cache,
    )
    member = board.Fit(board.numbers, LogisticRegression(), "probabilities")
    votes = kinds.predict(board.Blend((member, member), output="label"))
    assert set(votes) == {"up", "down"} and len(votes) == 40


@pytest.fixture
def task_folder(tmp_path: Path, table: pd.DataFrame, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(board, "MIN_TEAMS", 3)
    build(tmp_path / "task", table)
    return tmp_path / "task"


def test_the_number_of_jobs_changes_who_fits_and_no_byte_of_the_board(
    task_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fitted_by = tmp_path / "pids"
    fitted_by.mkdir()

    def closure(data: board.Data) -> np.ndarray:  # cannot be pickled
        (fitted_by / str(os.getpid())).touch()
        return data.x_test["size"].to_numpy()

    members = tuple(board.Fit(board.onehot, Ridge(alpha)) for alpha in (1.0, 9.0))
    entries = {"blend": board.Blend(members), "ridge": members[0], "closure": closure}
    boards = []
    for jobs in ("1", "2"):
        monkeypatch.setenv("MLEDOJO_BUILD_JOBS", jobs)
        monkeypatch.setenv("MLEDOJO_BUILD_CACHE", str(tmp_path / f"cache {jobs}"))
        board.build_leaderboard(task_folder, entries, metric="rmse", target="price")
        boards.append((task_folder / "private" / "leaderboard.csv").read_bytes())
    assert boards[0] == boards[1]
    caches = [sorted(path.name for path in (tmp_path / f"cache {jobs}").rglob("*")) for jobs in ("1", "2")]
    assert caches[0] == caches[1] and len(caches[0]) == 1 + 4  # the folder and four predictions
    pids = {int(path.name) for path in fitted_by.iterdir()}
    assert os.getpid() in pids and len(pids) == 2


@pytest.mark.parametrize("jobs", ["1", "2"])
def test_an_entry_that_fails_stops_the_board(
    task_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, jobs: str
) -> None:
    def broken(data: board.Data) -> np.ndarray:
        raise FloatingPointError("it diverged")

    monkeypatch.setenv("MLEDOJO_BUILD_JOBS", jobs)
    monkeypatch.setenv("MLEDOJO_BUILD_CACHE", str(tmp_path / "cache"))
    with pytest.raises(FloatingPointError, match="it diverged") as caught:
        board.build_leaderboard(task_folder, {"broken": broken}, metric="rmse", target="price")
    assert jobs == "1" or caught.value.__notes__ == ["This was the entry of 'broken'."]


@pytest.mark.parametrize("jobs", ["0", "two", "-1"])
def test_a_number_of_jobs_that_is_none_is_refused(monkeypatch: pytest.MonkeyPatch, jobs: str) -> None:
    monkeypatch.setenv("MLEDOJO_BUILD_JOBS", jobs)
    with pytest.raises(common.BuildError, match=f"MLEDOJO_BUILD_JOBS is '{jobs}'"):
        board.build_jobs()


# --------------------------------------------------------------------------- what is committed


def test_there_are_offline_tasks() -> None:
    assert len(FOLDERS) >= 42


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda path: path.name)
def test_checksums_cover_every_file(folder: Path) -> None:
    lines = (folder / "SHA256SUMS").read_text().splitlines()
    listed = {name: digest for digest, name in (line.split("  ", 1) for line in lines)}
    files = {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for part in ("public", "private")
        for path in (folder / part).iterdir()
    }
    assert listed == files
    assert sum(path.stat().st_size for path in folder.rglob("*") if path.is_file()) < 1_000_000


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda path: path.name)
def test_the_board_runs_from_dummy_to_strong(folder: Path) -> None:
    teams = pd.read_csv(folder / "private" / "leaderboard.csv")
    assert list(teams) == ["team", "public_score", "private_score"]
    assert len(teams) >= board.MIN_TEAMS and teams["team"].is_unique
    scores = teams[["public_score", "private_score"]].to_numpy()
    assert np.isfinite(scores).all()
    best, middle, worst = (scores[row, 1] for row in (0, len(teams) // 2, -1))
    assert abs(best - middle) > 0.02 * abs(best - worst), "the upper half is all the same"
    assert teams["private_score"].nunique() >= 0.5 * len(teams)
    assert np.corrcoef(teams["public_score"].rank(), teams["private_score"].rank())[0, 1] > 0.5


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda path: path.name)
def test_train_test_and_answers_fit_together(folder: Path) -> None:
    train, test, sample = (
        common.read_csv_xz(folder / "public" / f"{name}.csv.xz")
        for name in ("train", "test", "sample_submission")
    )
    answers = common.read_csv_xz(folder / "private" / "answers.csv.xz")
    key, target = sample.columns[0], sample.columns[-1]
    assert [column for column in train if column != target] == list(test)
    assert target not in test and test[key].is_unique
    assert test[key].tolist() == sample[key].tolist() == answers[key].tolist()
    assert not set(train[key]) & set(test[key])
    assert 0.2 <= (answers["part"] == "public").mean() <= 0.4
