"""Each check on a task that it must refuse, and every packaged task through all of them."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from mledojo_env import checks
from mledojo_env.catalog import list_tasks, load_task
from mledojo_env.checks import Finding, check_splits, check_task
from mledojo_env.task import Task

ROWS, TRAIN = 300, 200


@pytest.mark.parametrize("task_id", [entry.id for entry in list_tasks() if entry.ready])
def test_packaged_tasks_are_sound(task_id: str):
    found = check_task(load_task(task_id))
    assert len(found) >= 12
    assert [finding for finding in found if not finding.ok] == []


def test_packaged_splits_are_sound():
    assert [finding for finding in check_splits() if not finding.ok] == []


# --------------------------------------------------------------------------- unsound tasks


def rows() -> pd.DataFrame:
    """Return a regression table: y from five columns, with noise."""
    random = np.random.default_rng(0)
    table = pd.DataFrame(random.normal(size=(ROWS, 4)).round(4), columns=list("abcd"))
    table["colour"] = random.choice(["red", "green", "blue"], ROWS)
    table["y"] = (
        table["a"] * 2 + table["b"] + (table["colour"] == "red") + random.normal(size=ROWS) / 2
    ).round(3)
    table.insert(0, "id", range(ROWS))
    return table


def csv(table: pd.DataFrame) -> str:
    buffer = io.StringIO()
    table.to_csv(buffer, index=False)
    return buffer.getvalue()


def files(train: pd.DataFrame, test: pd.DataFrame, sample: Any = 0.0) -> dict[str, str | bytes]:
    """Return the files of a task whose hidden part of `test` is y."""
    parts = np.where(np.arange(len(test)) % 3 == 0, "public", "private")
    spread = float(pd.to_numeric(test["y"], errors="coerce").std())
    board = [f"t{i},{spread * (0.3 + i / 143)},{spread * (0.3 + i / 142)}" for i in range(100)]
    return {
        "public/train.csv": csv(train),
        "public/test.csv": csv(test.drop(columns="y")),
        "public/sample_submission.csv": csv(test[["id"]].assign(y=sample)),
        "private/answers.csv": csv(test[["id", "y"]].assign(part=parts)),
        "private/leaderboard.csv": "team,public_score,private_score\n" + "\n".join(board) + "\n",
    }


@pytest.fixture
def check(write_task: Any) -> Any:
    """Return a function that writes a task and returns what each check found of it."""

    def run(
        changed: dict[str, Any] | None = None,
        yaml: dict[str, str] | None = None,
        table: pd.DataFrame | None = None,
    ) -> dict[str, Finding]:
        table = rows() if table is None else table
        folder = write_task(yaml, {**files(table[:TRAIN], table[TRAIN:]), **(changed or {})})
        return {finding.check: finding for finding in check_task(Task.from_folder(folder))}

    return run


def failed(found: dict[str, Finding]) -> list[str]:
    return [name for name, finding in found.items() if not finding.ok]


def test_a_sound_task_passes(check: Any):
    # made up here and so in no split; everything else holds
    assert failed(check()) == []


def test_a_copied_test_row_is_found(check: Any):
    table = rows()
    train = pd.concat([table[:TRAIN], table[250:251].assign(id=999)])
    found = check(files(train, table[TRAIN:]))
    assert failed(found) == ["no_test_row_in_train"]
    assert "1 equal and 1 near rows of 100" in found["no_test_row_in_train"].detail


def test_rows_that_differ_in_one_column_are_found(check: Any):
    table = rows()
    copies = table[TRAIN:].sample(20, random_state=0)
    copies = copies.assign(id=copies["id"] + 1000, d=copies["d"] + 1)
    found = check(files(pd.concat([table[:TRAIN], copies]), table[TRAIN:]))
    assert failed(found) == ["no_test_row_in_train"]
    assert "0 equal and 20 near rows of 100" in found["no_test_row_in_train"].detail


def test_near_texts_are_found(check: Any):
    random = np.random.default_rng(1)
    words = ["".join(random.choice(list("abcdefghijklmnop"), 6)) for _ in range(400)]
    table = rows()[["id", "y"]]
    table.insert(1, "text", [" ".join(random.choice(words, 12)) for _ in range(ROWS)])
    copies = table[TRAIN:][:30].assign(id=lambda t: t["id"] + 1000, text=lambda t: t["text"] + "!")
    found = check(files(pd.concat([table[:TRAIN], copies]), table[TRAIN:]))
    assert "no_test_row_in_train" in failed(found)
    assert " 30 near rows of 100" in found["no_test_row_in_train"].detail
    clean = check(table=table)
    assert "0 equal and 0 near" in clean["no_test_row_in_train"].detail


def test_copied_images_are_found(check: Any):
    images = np.random.default_rng(2).integers(0, 255, (ROWS, 8, 8), dtype=np.uint8)
    table = rows()[["id", "y"]]
    listed = "  sample_submission.csv: a constant\n"
    yaml = {listed: listed + "  train_images.npz: images\n  test_images.npz: images\n"}

    def arrays(train: np.ndarray) -> dict[str, bytes]:
        packed = {}
        for name, part in (("train", train), ("test", images[TRAIN:])):
            buffer = io.BytesIO()
            np.savez(buffer, images=part)
            packed[f"public/{name}_images.npz"] = buffer.getvalue()
        return packed

    clean = check(arrays(images[:TRAIN]), yaml, table)
    assert "0 equal and 0 near" in clean["no_test_row_in_train"].detail
    train = images[:TRAIN].copy()
    train[:10] = images[TRAIN : TRAIN + 10]
    train[10:20] = (images[TRAIN + 10 : TRAIN + 20] * 0.9).astype(np.uint8)  # a little darker
    copied = check(arrays(train), yaml, table)
    assert "20 near" in copied["no_test_row_in_train"].detail
    assert not copied["no_test_row_in_train"].ok


@pytest.mark.parametrize(
    "leak",
    [
        lambda table: table["y"] * 3 + 1,  # a number
        lambda table: table["y"].map("code {:.0f}".format),  # a category
    ],
)
def test_a_feature_that_gives_the_answer_away_is_found(check: Any, leak: Any):
    table = rows()
    table["y"] = table["y"].round().clip(-3, 3)
    table.insert(3, "leak", leak(table))
    found = check(table=table)
    assert "'leak' alone" in found["no_single_feature_tells"].detail
    assert "no_single_feature_tells" in failed(found)


def test_answers_in_the_order_of_rows_are_found(check: Any):
    table = rows()
    train, test = table[:TRAIN].copy(), table[TRAIN:].copy()
    train["y"], test["y"] = np.arange(TRAIN) / 10, np.arange(ROWS - TRAIN) / 10
    found = check(files(train, test))
    assert "'order of rows' alone" in found["no_single_feature_tells"].detail
    assert "no_single_feature_tells" in failed(found)


def test_noise_has_no_baseline(check: Any):
    table = rows()
    table["y"] = np.random.default_rng(3).normal(size=ROWS).round(3)
    found = check(files(table[:TRAIN], table[TRAIN:], sample=float(table["y"].mean())))
    assert "baseline_beats_sample" in failed(found)


def test_a_target_among_the_public_columns_is_found(check: Any):
    table = rows()
    found = check({"public/test.csv": csv(table[TRAIN:])})
    assert "no_target_in_test" in failed(found)
    assert "test.csv has the column 'y'" in found["no_target_in_test"].detail


@pytest.mark.parametrize(
    ("name", "change", "detail"),
    [
        ("public/test.csv", lambda t: t[TRAIN + 1 :].drop(columns="y"), "the ids of test.csv are not those"),
        ("public/train.csv", lambda t: t, "train.csv has ids of the test set"),
        ("public/sample_submission.csv", lambda t: t[TRAIN:][["id", "y"]].assign(id=1), "repeats 99 ids"),
    ],
)
def test_wrong_ids_are_found(check: Any, name: str, change: Any, detail: str):
    found = check({name: csv(change(rows()))})
    assert "ids_unique" in failed(found)
    assert detail in found["ids_unique"].detail


def test_a_sample_submission_that_is_hard_to_beat_is_found(check: Any):
    table = rows()
    found = check({"public/sample_submission.csv": csv(table[TRAIN:][["id", "y"]])})
    assert {"sample_ranks_low", "baseline_beats_sample"} <= set(failed(found))


def test_a_board_ahead_of_the_answers_is_found(check: Any):
    board = "team,public_score,private_score\n" + "".join(f"t{i},{i - 1},{i - 1}\n" for i in range(100))
    found = check({"private/leaderboard.csv": board})
    assert "gold_is_best" in failed(found)
    assert "position 2 on the private board" in found["gold_is_best"].detail
    short = "team,public_score,private_score\na,1,1\nb,9,9\n"
    assert "2 teams" in check({"private/leaderboard.csv": short})["leaderboard"].detail
    broken = check({"private/leaderboard.csv": "team,public_score,private_score\na,1,x\n"})
    assert "'x'" in broken["leaderboard"].detail
    assert "leaderboard" in failed(broken)


def test_uneven_parts_are_found(check: Any):
    answers = rows()[TRAIN:][["id", "y"]].assign(part=["public"] * 95 + ["private"] * 5)
    assert "parts" in failed(check({"private/answers.csv": csv(answers)}))


def test_files_that_are_not_listed_are_found(check: Any):
    found = check({"public/extra.csv": "a\n1\n"})
    assert failed(found) == ["public_files"]
    assert "extra.csv is there but not listed" in found["public_files"].detail


def test_a_metric_that_is_undefined_on_a_part_is_found(check: Any):
    table = rows()
    table["y"] = (np.arange(ROWS) % 2 == 0) | (np.arange(ROWS) < 250)
    table["y"] = table["y"].astype(int)
    table.loc[np.arange(ROWS) % 3 == TRAIN % 3, "y"] = 1  # the public part has one class
    found = check(yaml={"name: rmse": "name: roc_auc"}, table=table)
    assert "roc_auc is undefined" in found["gold_is_best"].detail


def test_damaged_files_are_found(write_task: Any):
    folder = write_task()
    with (folder / "private" / "leaderboard.csv").open("a") as file:
        file.write("e,9,9\n")
    found = {finding.check: finding for finding in check_task(Task.from_folder(folder))}
    assert not found["checksums"].ok
    assert "leaderboard.csv has the wrong checksum" in found["checksums"].detail


# --------------------------------------------------------------------------- splits


def split_findings(
    monkeypatch: pytest.MonkeyPatch, root: Path, train: list[str], benchmark: list[str]
) -> dict[str, Finding]:
    (root / "splits").mkdir(exist_ok=True)
    (root / "splits" / "train.txt").write_text("\n".join(train))
    (root / "splits" / "benchmark.txt").write_text("\n".join(benchmark))
    monkeypatch.setattr("mledojo_env.catalog.tasks_root", lambda: root)
    monkeypatch.setattr(checks, "tasks_root", lambda: root)
    return {finding.check: finding for finding in check_splits()}


def test_splits_that_overlap_or_disagree_are_found(
    write_task: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    import shutil

    folder = write_task()
    other = folder.with_name("other")
    shutil.copytree(folder, other)
    path = other / "task.yaml"
    path.write_text(
        path.read_text().replace("offline/tiny", "offline/other").replace("split: train", "split: benchmark")
    )
    root = tmp_path / "tasks"

    def find(train: list[str], benchmark: list[str]) -> list[str]:
        return failed(split_findings(monkeypatch, root, train, benchmark))

    tiny, second = "offline/tiny", "offline/other"
    assert find([tiny], [second]) == ["split_sources_disjoint"]  # both "made up"
    path.write_text(path.read_text().replace("name: made up", "name: another"))
    assert find([tiny], [second]) == []
    assert find([tiny, tiny], [second]) == ["split_ids_once"]
    assert find([tiny, second], [second]) == ["splits_disjoint"]
    assert find([tiny], [second, "offline/ghost"]) == ["split_ids_known"]
    assert find([tiny], []) == ["split_as_task_says"]
    assert find([second], [tiny]) == ["split_as_task_says"]
    task = load_task(tiny)
    assert not {finding.check: finding for finding in check_task(task)}["split_agrees"].ok
