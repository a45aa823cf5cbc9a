"""The command line on Kaggle tasks: listed without data, prepared, imported, checked, played."""

from __future__ import annotations

import io
import json
import shutil
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from command_line import Command, command_in, environment_with, refuses
from fake_kaggle import TOKEN, FakeKaggle, error
from raw_files import fabricate

from mledojo_env.sandbox.probe import machine_facts

TASK = "kaggle/titanic"
BOARD = "team,public_score,private_score\nants,0.9,0.8\nbees,0.7,\n"
SCRIPT = """
import pandas as pd
train = pd.read_csv("/data/train.csv")
submission = pd.read_csv("/data/sample_submission.csv")
submission["Survived"] = train["Survived"].mode()[0]
submission.to_csv("submission.csv", index=False)
"""


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    return tmp_path / "cache"


@pytest.fixture
def cli(tmp_path: Path, cache: Path) -> Command:
    variables = environment_with(cache) | {"HOME": str(tmp_path)}
    clean = {name: value for name, value in variables.items() if not name.startswith("KAGGLE_")}
    return command_in(tmp_path, clean)


@pytest.fixture
def raw(tmp_path: Path) -> Path:
    fabricate("titanic", tmp_path / "raw")
    (tmp_path / "raw/leaderboard.csv").write_text(BOARD)
    return tmp_path / "raw"


@pytest.fixture
def kaggle(raw: Path) -> Iterator[FakeKaggle]:
    pytest.importorskip("kagglesdk", reason="kagglesdk is not installed: pip install 'mledojo-train[kaggle]'")
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as file:
        file.write(raw / "train.csv", "train.csv")
    with FakeKaggle("titanic") as server:
        server.files = {"train.csv.zip": packed.getvalue()}
        server.private, server.public = [(1, "ants", "0.9")], [(1, "ants", "0.7")]
        yield server


def test_all_competitions_are_listed_without_data(cli: Command):
    rows = cli("tasks", "list", "--source", "kaggle", "--json").json
    assert len(rows) == 202 and not any(row["ready"] for row in rows)
    splits = [row["split"] for row in rows]
    assert (splits.count("train"), splits.count("benchmark")) == (151, 51)
    lite = cli("tasks", "list", "--group", "mle-lite", "--json").json
    assert len(lite) == 21 and {row["split"] for row in lite} == {"benchmark"}
    assert cli("tasks", "list", "--source", "kaggle", "--ready").out.endswith("0 tasks\n")
    table = cli("tasks", "list", "--source", "kaggle", "--domain", "audio").out
    assert "kaggle/mlsp-2013-birds" in table and "GB" in table


def test_a_task_is_shown_before_it_is_prepared(cli: Command):
    shown = cli("tasks", "show", "titanic")
    assert shown.code == 0 and "tasks prepare kaggle/titanic" in shown.out and "Survived" in shown.out
    assert cli("tasks", "show", "titanic", "--json").json["public_dir"] is None
    assert "checks" in cli("tasks", "check", "titanic").out
    refuses(cli("grade", "titanic", "x.csv"), "x.csv does not exist")


def test_given_files_are_prepared_and_played(cli: Command, raw: Path, tmp_path: Path):
    done = cli("tasks", "prepare", "titanic", "--raw", raw)
    assert done.code == 0 and "18 answers, 1 teams on its board" in done.out
    assert cli("tasks", "list", "--source", "kaggle", "--ready", "--json").json[0]["id"] == TASK
    assert "/data" not in done.out and "leaderboard: 1 human entries" in cli("tasks", "show", "titanic").out
    fact = {fact.name: fact for fact in machine_facts()}["isolation"]
    if not fact.ok:
        pytest.skip(fact.detail)
    (tmp_path / "solution.py").write_text(SCRIPT)
    result = cli("run", "titanic", "--code", "solution.py", "--json").json
    assert result["status"] == "ok" and 0 < result["score"] < 1 and result["rank"] in (0, 0.5, 1)


def test_a_small_variant_is_a_task_of_its_own(cli: Command, raw: Path):
    done = cli("tasks", "prepare", "titanic", "--raw", raw, "--micro", "20")
    assert done.code == 0 and "kaggle/titanic?micro=20: prepared" in done.out
    assert cli("tasks", "check", "titanic?micro=20").out.split()[1] == "kaggle/titanic?micro=20:"
    refuses(cli("grade", "titanic", raw / "gender_submission.csv"), "tasks prepare kaggle/titanic")
    refuses(cli("tasks", "show", "titanic?small=1"), "'small=1'", "titanic?micro=200")


def test_a_competition_is_downloaded_and_kept(cli: Command, kaggle: FakeKaggle, cache: Path):
    variables = {"KAGGLE_API_TOKEN": TOKEN, "MLEDOJO_KAGGLE_URL": kaggle.url}
    done = cli("tasks", "prepare", "titanic", **variables)
    assert done.code == 0 and "1 teams on its board" in done.out and TOKEN not in done.out + done.err
    asked = len(kaggle.requests)
    assert "prepared already" in cli("tasks", "prepare", "titanic", **variables).out
    assert "prepared in" in cli("tasks", "prepare", "titanic", "--again", **variables).out
    assert len(kaggle.requests) == asked
    assert (cache / "raw/titanic/data/train.csv.zip").is_file()


def test_rules_that_are_not_accepted_are_explained(cli: Command, kaggle: FakeKaggle):
    kaggle.answers["ListDataFiles"].append(error(403, "You must accept this competition's rules"))
    variables = {"KAGGLE_API_TOKEN": TOKEN, "MLEDOJO_KAGGLE_URL": kaggle.url}
    refuses(cli("tasks", "prepare", "titanic", **variables), "/competitions/titanic/rules")


def test_of_several_one_that_fails_does_not_stop_the_others(cli: Command, kaggle: FakeKaggle):
    variables = {"KAGGLE_API_TOKEN": TOKEN, "MLEDOJO_KAGGLE_URL": kaggle.url}
    done = cli("tasks", "prepare", "spaceship-titanic", "titanic", **variables)
    assert done.code == 1
    assert "kaggle/titanic: prepared" in done.out
    assert "kaggle/spaceship-titanic: failed:" in done.err and "1 of 2 failed." in done.err


def test_a_tree_of_another_project_is_imported_and_checked(cli: Command, raw: Path, tmp_path: Path):
    assert cli("tasks", "prepare", "titanic", "--raw", raw).code == 0
    prepared = tmp_path / "cache/tasks/kaggle/titanic/full"
    tree = tmp_path / "dojo/titanic/data"
    shutil.copytree(prepared / "public", tree / "public")
    (tree / "private").mkdir()
    shutil.copy(prepared / "private/answers.csv", tree / "private/test_answer.csv")
    done = cli("tasks", "import", "titanic", tmp_path / "dojo", "--from", "mle-dojo")
    assert "kaggle/titanic: imported into" in done.out and "checks" in done.out
    manifest = json.loads((prepared / "manifest.json").read_text())
    assert manifest["origin"]["from"] == "mle-dojo"


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["prepare"], ["Name the tasks", "--all"]),
        (["prepare", "titanic", "--all"], ["Name the tasks"]),
        (["prepare", "titanc"], ["'titanic'"]),
        (["prepare", "titanic"], ["KAGGLE_API_TOKEN"]),
        (["prepare", "titanic", "--raw", "nowhere"], ["nowhere is no folder"]),
        (["prepare", "titanic", "avazu-ctr-prediction", "--raw", "x"], ["folder of one task"]),
        (["prepare", "concrete-strength"], ["rides in the package"]),
        (["prepare", "--all", "--max-size", "big"], ["'big' is no size", "5GB"]),
        (["prepare", "--all", "--max-size", "1kB"], ["No Kaggle task is left"]),
        (["prepare", "--group", "mle-light"], ["'mle-lite'"]),
        (["import", "titanic", "x", "--from", "mle"], ["mle-dojo or mle-bench"]),
        (["import", "titanic", "x", "--from", "mle-dojo"], ["public/ and private/"]),
        (["import", "concrete-strength", "x", "--from", "mle-dojo"], ["no Kaggle task"]),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else None,
)
def test_a_wrong_call_is_answered_in_a_line(cli: Command, arguments: list[str], words: list[str]):
    refuses(cli("tasks", *arguments), *words)
