"""Every Kaggle task, prepared from made-up raw files in the documented schema, and what must hold then.

The files are made up, so what depends on real values (a baseline beats the sample, no test row is in train)
is not looked at here; `tasks check` does, once a task is prepared from Kaggle's files.
"""

from __future__ import annotations

import json
from pathlib import Path

import pandas as pd
import pytest
from raw_files import fabricate, fabricated_tasks

from mledojo_env.catalog import list_tasks, load_task, read_split
from mledojo_env.checks import check_task
from mledojo_env.errors import TaskDataError
from mledojo_env.prepare.run import known_labels, prepare_raw
from mledojo_env.task import Task

KAGGLE = {entry.id.split("/")[1]: entry for entry in list_tasks("kaggle")}
PREPARED = [slug for slug in KAGGLE if load_task(f"kaggle/{slug}").facts.prepare.strategy != "import"]

MICRO = 20

# What holds whatever the values are.
CHECKS = (
    "checksums",
    "public_files",
    "no_target_in_test",
    "ids_unique",
    "parts",
    "gold_is_best",
    "sample_ranks_low",
)


def test_there_are_202_of_them_as_mle_dojo_splits_them():
    assert len(KAGGLE) == 202
    assert sum(entry.split == "train" for entry in KAGGLE.values()) == 151
    assert sum(entry.split == "benchmark" for entry in KAGGLE.values()) == 51
    sizes = {
        name: len(read_split(name)) for name in ("mle-lite", "kaggle-tabular", "kaggle-nlp", "kaggle-cv")
    }
    assert sizes == {"mle-lite": 21, "kaggle-tabular": 10, "kaggle-nlp": 10, "kaggle-cv": 10}
    for name in sizes:
        group = name.removeprefix("kaggle-")
        members = {
            entry.id for entry in KAGGLE.values() if group in entry.groups and entry.split == "benchmark"
        }
        assert members == set(read_split(name))


@pytest.mark.parametrize("slug", KAGGLE)
def test_facts_are_sound(slug: str):
    findings = check_task(load_task(f"kaggle/{slug}"))
    assert [finding for finding in findings if not finding.ok] == []


def test_raw_files_are_made_up_for_every_task_that_is_prepared_here():
    assert sorted(fabricated_tasks()) == sorted(PREPARED)


@pytest.mark.parametrize("slug", PREPARED)
def test_prepared_tasks_are_sound(slug: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("MLEDOJO_CACHE", str(tmp_path / "cache"))
    raw = tmp_path / "raw"
    fabricate(slug, raw)
    before = _listing(raw)
    facts = load_task(f"kaggle/{slug}").facts
    if facts.quarantine:
        facts = facts.model_copy(update={"quarantine": None})
    prepare_raw(facts, raw)
    task = load_task(f"kaggle/{slug}")
    assert [finding for finding in check_task(task, CHECKS) if not finding.ok] == []
    _assert_sample_is_constant(task)
    _assert_labels_are_hidden(task)
    first = task.data_hash
    prepare_raw(facts, raw)
    assert load_task(task.id).data_hash == first, "the same raw files gave another task"
    assert _listing(raw) == before, "the raw files changed"

    prepare_raw(facts, raw, micro=MICRO)
    small = load_task(f"kaggle/{slug}?micro={MICRO}")
    assert [finding for finding in check_task(small, CHECKS) if not finding.ok] == []
    assert len(small.answers()) <= len(task.answers())


@pytest.mark.parametrize("slug", PREPARED)
def test_a_missing_raw_file_is_named_and_nothing_is_left(
    slug: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("MLEDOJO_CACHE", str(tmp_path / "cache"))
    (tmp_path / "raw").mkdir()
    with pytest.raises(TaskDataError, match=r"lack|hold nothing"):
        prepare_raw(load_task(f"kaggle/{slug}").facts, tmp_path / "raw")
    assert not load_task(f"kaggle/{slug}").has_data
    assert [path.name for path in (tmp_path / "cache/tasks/kaggle" / slug).iterdir()] == [".lock"]


def _listing(folder: Path) -> dict[str, tuple[int, int]]:
    return {
        path.relative_to(folder).as_posix(): (path.stat().st_size, path.stat().st_mtime_ns)
        for path in folder.rglob("*")
        if path.is_file()
    }


def _assert_sample_is_constant(task: Task) -> None:
    sample = pd.read_csv(task.public_dir / "sample_submission.csv", dtype=str, keep_default_na=False)
    assert list(sample.columns) == [*task.submission.id, *task.submission.targets]
    for name in task.submission.targets:
        if task.metric.name not in ("kendall_tau_ordering", "levenshtein_mean"):
            assert sample[name].nunique() == 1, f"the sample's {name} is no constant"


def _assert_labels_are_hidden(task: Task) -> None:
    """No public table of the test rows has a column of labels, whatever it is called there."""
    labels = known_labels(task.facts)
    for path in sorted(task.public_dir.rglob("*")):
        if (
            path.name in ("sample_submission.csv",)
            or "test" not in path.relative_to(task.public_dir).parts[0]
        ):
            continue
        columns: list[str] = []
        if path.suffix in (".csv", ".tsv"):
            columns = list(pd.read_csv(path, sep="\t" if path.suffix == ".tsv" else ",", nrows=1, dtype=str))
        elif path.suffix == ".jsonl":
            columns = list(json.loads(path.read_text().splitlines()[0]))
        assert not set(columns) & set(labels), f"{path.name} has a column of answers"
