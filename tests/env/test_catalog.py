"""Finding tasks: by id, by bare name, in folders of one's own; and what a wrong one is answered with."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest

from mledojo_env import catalog
from mledojo_env.catalog import list_tasks, load_task, read_split
from mledojo_env.errors import ConfigError, TaskDataError, TaskNotFound


def test_packaged_tasks_are_found_by_id_and_by_bare_name():
    task = load_task("offline/concrete-strength")
    assert (task.id, task.metric.name, task.split) == ("offline/concrete-strength", "rmse", "train")
    assert load_task("concrete-strength").folder == task.folder
    assert "strength" in task.description


def test_the_catalog_lists_and_filters():
    entries = list_tasks(source="offline")
    assert len(entries) >= 12
    assert [entry.id for entry in entries] == sorted(entry.id for entry in entries)
    for entry in entries:
        assert entry.ready
        assert entry.id == f"{entry.source}/{entry.folder.name}"
    benchmark = list_tasks(split="benchmark")
    assert {entry.domain for entry in benchmark} >= {"tabular", "vision", "nlp", "time-series"}
    assert {entry.split for entry in benchmark} == {"benchmark"}
    assert {entry.domain for entry in list_tasks(domain="vision")} == {"vision"}


@pytest.mark.parametrize(
    ("options", "found"),
    [
        ({"source": "ofline"}, "'offline'"),
        ({"split": "bench"}, "'benchmark'"),
        ({"domain": "visions"}, "'vision'"),
    ],
)
def test_unknown_filters_name_the_nearest(options: dict[str, str], found: str):
    with pytest.raises(ConfigError, match=f"Did you mean {found}"):
        list_tasks(**options)


def test_unknown_tasks_name_the_nearest_and_where_to_look():
    with pytest.raises(TaskNotFound) as error:
        load_task("offline/concrete-strenght")
    assert "Did you mean 'offline/concrete-strength'?" in str(error.value)
    assert "List them: mledojo-train tasks list" in str(error.value)
    for odd in ("", "/", "..", "offline/../offline/concrete-strength", "concrete-strength/"):
        with pytest.raises(TaskNotFound):
            load_task(odd)


def test_splits_hold_ids():
    assert "offline/concrete-strength" in read_split("train")
    assert not set(read_split("train")) & set(read_split("benchmark"))
    with pytest.raises(ConfigError, match="Did you mean 'train'"):
        read_split("trian")


def test_tasks_of_ones_own_are_found_in_a_tree_or_as_a_folder(
    write_task: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    folder = write_task()
    for place in (tmp_path / "tasks", tmp_path / "tasks" / "offline", folder):
        assert load_task("offline/tiny", tasks_path=[place]).folder == folder
        monkeypatch.setenv("MLEDOJO_TASKS_PATH", f"{place}:")
        assert load_task("tiny").folder == folder
        assert "offline/tiny" in [entry.id for entry in list_tasks()]
        monkeypatch.delenv("MLEDOJO_TASKS_PATH")
    monkeypatch.chdir(tmp_path / "tasks")
    assert load_task("tiny", tasks_path=[Path(".")]).folder == folder
    with pytest.raises(TaskNotFound):
        load_task("tiny")
    with pytest.raises(ConfigError, match="does not exist"):
        load_task("tiny", tasks_path=[tmp_path / "nowhere"])


def test_a_bare_name_that_stands_for_several_is_refused(write_task: Any, tmp_path: Path):
    folder = write_task()
    other = folder.parents[1] / "kaggle" / "tiny"
    shutil.copytree(folder, other)
    path = other / "task.yaml"
    path.write_text(path.read_text().replace("id: offline/tiny", "id: kaggle/tiny"))
    with pytest.raises(TaskNotFound, match="kaggle/tiny or offline/tiny"):
        load_task("tiny", tasks_path=[tmp_path / "tasks"])
    assert load_task("kaggle/tiny", tasks_path=[tmp_path / "tasks"]).folder == other


@pytest.mark.parametrize(
    ("old", "new", "found"),
    [
        ("metric:", "metrc:", "line 9: unknown key 'metrc'. Did you mean 'metric'?"),
        ("domain: tabular", "domain: tabuler", "line 3: domain 'tabuler' is not one of"),
        ("kind: regression", "kind: regresion", "Did you mean 'regression'?"),
        ("split: train", "split: test", "line 5: split: found 'test'"),
        ("value: number", "value: numbers", "line 10: value: found 'numbers'"),
        ("timeout_s: 30", "timeout_s: -1", "timeout_s: found -1"),
        ("id: [id]", "id: []", "line 10: id: found []"),
        ("strategy: bundled", "strategy: bundle", "strategy: found 'bundle'"),
        ("id: offline/tiny", "id: offline/other", "its folder says 'offline/tiny'"),
        ("title: Tiny\n", "", "the key 'title' is missing"),
        ("  licence: CC0-1.0\n", "", "the key 'licence' is missing"),
    ],
)
def test_a_wrong_task_yaml_is_named_with_the_line(
    write_task: Any, tmp_path: Path, old: str, new: str, found: str
):
    folder = write_task({old: new})
    for look in (load_task, lambda _, tasks_path: list_tasks(tasks_path=tasks_path)):
        with pytest.raises(ConfigError) as error:
            look("offline/tiny", tasks_path=[tmp_path / "tasks"])
        assert found in str(error.value)
        assert str(folder / "task.yaml") in str(error.value)


def test_a_metric_that_is_not_there_is_named_when_it_is_used(write_task: Any, tmp_path: Path):
    write_task({"name: rmse": "name: rmsee"})
    with pytest.raises(ConfigError, match="Did you mean 'rmse'"):
        _ = load_task("tiny", tasks_path=[tmp_path / "tasks"]).metric


def test_quarantined_tasks_and_those_without_data_are_not_ready(write_task: Any, tmp_path: Path):
    folder = write_task({"quarantine: null": "quarantine: labels leak"})
    entry = next(entry for entry in list_tasks(tasks_path=[tmp_path / "tasks"]) if entry.id == "offline/tiny")
    assert (entry.ready, entry.quarantine) == (False, "labels leak")
    write_task()
    (folder / "SHA256SUMS").unlink()
    entry = next(entry for entry in list_tasks(tasks_path=[tmp_path / "tasks"]) if entry.id == "offline/tiny")
    assert not entry.ready
    with pytest.raises(TaskDataError, match="SHA256SUMS"):
        _ = load_task("tiny", tasks_path=[tmp_path / "tasks"]).public_dir


def test_the_packaged_folder_comes_before_the_checkouts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    package = tmp_path / "site-packages" / "mledojo_env"
    checkout = tmp_path / "tasks"
    monkeypatch.setattr(catalog, "_PACKAGE", tmp_path / "env" / "mledojo_env")
    with pytest.raises(ConfigError, match="tasks folder is missing"):
        catalog.tasks_root()
    (checkout / "splits").mkdir(parents=True)
    assert catalog.tasks_root() == checkout
    (package / "tasks" / "splits").mkdir(parents=True)
    monkeypatch.setattr(catalog, "_PACKAGE", package)
    assert catalog.tasks_root() == package / "tasks"
