"""The cache of generated tasks: whole or not at all, bounded, remade byte for byte, clear when it cannot."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

from mledojo_env.catalog import load_task
from mledojo_env.errors import ConfigError, TaskDataError
from mledojo_env.grading import grade_frame
from mledojo_env.synth import cache as synth_cache
from mledojo_env.synth import generate, parse_id
from mledojo_env.synth.cache import SAFE_S, place_of
from mledojo_env.synth.draft import Setting
from mledojo_env.synth.families import get_family

pytestmark = pytest.mark.usefixtures("own_cache")


def kept() -> set[str]:
    return {path.name for path in synth_cache.synth_root().glob("[0-9][0-9]/[!.]*")}


def unused_for(task_id: str, seconds: float) -> None:
    moment = time.time() - seconds
    os.utime(place_of(parse_id(task_id)), (moment, moment))


AT_ONCE = """
import sys, time
from mledojo_env.catalog import load_task
while time.time() < float(sys.argv[1]):
    pass
task = load_task(sys.argv[2])
print(len(task.answers()), task.data_hash, task.leaderboard.teams(), len(task.description))
task.verify()
"""


def test_processes_at_once_all_get_it_whole():
    begin = str(time.time() + 2)
    command = [sys.executable, "-c", AT_ONCE, begin, "synth/tabular/77"]
    running = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(3)]
    told = {process.communicate(timeout=90)[0] for process in running}
    assert [process.returncode for process in running] == [0, 0, 0]
    assert len(told) == 1
    assert kept() == {"tabular-77-0.5"}


def test_an_interrupted_task_is_made_again(monkeypatch: pytest.MonkeyPatch):
    def interrupted(setting: Setting) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr("mledojo_env.synth.write.make_board", lambda *_: interrupted(_[0]))
        with pytest.raises(KeyboardInterrupt):
            generate("synth/tabular/5")
    assert kept() == set()
    load_task("synth/tabular/5").verify()


def test_the_oldest_unused_go_first(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("MLEDOJO_SYNTH_CACHE", "3")
    ids = [f"synth/tabular/{seed}" for seed in range(3)]
    for age, task_id in enumerate(ids):
        generate(task_id)
        unused_for(task_id, (2 + age) * SAFE_S)
    generate(ids[2])  # used again, so the second is now the oldest
    generate("synth/tabular/3")
    assert kept() == {"tabular-0-0.5", "tabular-2-0.5", "tabular-3-0.5"}


def test_what_was_used_in_the_last_hour_stays(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("MLEDOJO_SYNTH_CACHE", "1")
    for seed in range(3):
        generate(f"synth/tabular/{seed}")
    assert len(kept()) == 3
    for seed in range(3):
        unused_for(f"synth/tabular/{seed}", SAFE_S + 60)
    generate("synth/tabular/3")
    assert kept() == {"tabular-3-0.5"}
    assert list(synth_cache.synth_root().glob("*/.building-*")) == []


def test_one_that_is_used_while_it_is_dropped_stays(monkeypatch: pytest.MonkeyPatch):
    place = generate("synth/tabular/0")
    synth_cache._drop(place, before=time.time() - SAFE_S)
    assert (place / "task.yaml").is_file()
    unused_for("synth/tabular/0", SAFE_S + 60)
    synth_cache._drop(place, before=time.time() - SAFE_S)
    assert not place.exists()


def test_a_task_that_was_dropped_is_the_same_again():
    task = load_task("synth/tabular/8")
    again = load_task("synth/tabular/8")
    hashed = task.data_hash
    shutil.rmtree(task.folder)
    assert (task.public_dir / "sample_submission.csv").is_file()
    assert task.sample_dir.is_dir()
    shutil.rmtree(task.folder)
    assert "sample_submission.csv" in again.description
    shutil.rmtree(task.folder)
    assert again.leaderboard is not None
    assert again.data_hash == hashed
    assert grade_frame(again, again.sample_submission()).rank is not None
    again.verify()


def test_using_a_task_marks_it_as_used():
    task = load_task("synth/tabular/8")
    unused_for("synth/tabular/8", 2 * SAFE_S)
    assert task.public_dir.is_dir()
    assert time.time() - task.folder.stat().st_mtime < 60


def test_a_copy_elsewhere_is_left_alone(tmp_path: Path):
    from mledojo_env.task import Task

    folder = shutil.copytree(generate("synth/tabular/8"), tmp_path / "copy")
    shutil.rmtree(place_of(parse_id("synth/tabular/8")))
    task = Task.from_folder(folder)
    assert task.public_dir == folder / "public"
    task.verify()
    assert kept() == set()


def test_a_changed_file_is_told():
    task = load_task("synth/tabular/8")
    with (task.folder / "private" / "answers.csv").open("a") as file:
        file.write("x\n")
    with pytest.raises(TaskDataError, match=r"answers\.csv is changed"):
        task.verify()


def test_an_unwritable_cache_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    blocked = tmp_path / "a file"
    blocked.write_text("")
    monkeypatch.setenv("MLEDOJO_CACHE", str(blocked))
    with pytest.raises(TaskDataError) as raised:
        load_task("synth/tabular/8")
    assert str(blocked) in str(raised.value)
    assert "MLEDOJO_CACHE" in str(raised.value)


@pytest.mark.parametrize("given", ["0", "-1", "many", "1e3", "٣"])
def test_a_bad_limit_is_named(given: str, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("MLEDOJO_SYNTH_CACHE", given)
    with pytest.raises(ConfigError, match="MLEDOJO_SYNTH_CACHE"):
        generate("synth/tabular/8")


def test_a_family_that_breaks_its_contract_is_told(monkeypatch: pytest.MonkeyPatch):
    draft = get_family("tabular").make(Setting("tabular", 8, 0.5))
    object.__setattr__(draft, "ladder", draft.ladder[:3])
    monkeypatch.setattr("mledojo_env.synth.write.get_family", lambda _: _Broken(draft))
    with pytest.raises(TaskDataError, match=r"synth/tabular/8: the ladder has 3 rungs"):
        generate("synth/tabular/8")
    assert kept() == set()


class _Broken:
    def __init__(self, draft: object) -> None:
        self.make = lambda _: draft
