"""From the bundled files to the cache: verified, whole, private where it must be, and once."""

from __future__ import annotations

import io
import lzma
import os
import stat
import subprocess
import sys
import textwrap
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from mledojo_env.errors import TaskDataError
from mledojo_env.task import Task


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def entries(task_cache: Path) -> list[str]:
    return sorted(path.name for path in task_cache.iterdir() if path.name != ".lock")


def test_files_are_unpacked_and_private_ones_kept_apart(tiny: Task):
    place = tiny.public_dir.parent
    assert sorted(path.name for path in tiny.public_dir.iterdir()) == [
        "sample_submission.csv",
        "test.csv",
        "train.csv",
    ]
    assert sorted(path.name for path in (place / "private").iterdir()) == ["answers.csv", "leaderboard.csv"]
    assert tiny.sample_dir == place / "sample"
    assert (mode(place / "private"), mode(tiny.public_dir), mode(tiny.sample_dir)) == (0o700, 0o755, 0o755)
    assert list(tiny.answers().columns) == ["id", "y", "part"]
    assert len(tiny.sample_submission()) == 10


def test_the_umask_does_not_reach_into_the_cache(write_task: Any):
    task = Task.from_folder(write_task())
    before = os.umask(0o077)
    try:
        assert mode(task.public_dir) == 0o755
        assert mode(task.public_dir / "train.csv") == 0o644
    finally:
        os.umask(before)


def test_a_table_that_is_returned_can_be_changed(tiny: Task):
    table = tiny.answers()
    table["y"] = 0
    assert tiny.answers()["y"].sum() == 45


def test_ids_and_labels_are_read_to_the_letter(write_task: Any):
    answers = "id,y,part\n007,NA,public\n7,None,private\n"
    sample = "id,y\n007,NA\n7,NA\n"
    task = Task.from_folder(
        write_task(
            {"value: number": "value: label", "name: rmse": "name: accuracy"},
            {"private/answers.csv": answers, "public/sample_submission.csv": sample},
        )
    )
    assert task.answers().to_numpy().tolist() == [["007", "NA", "public"], ["7", "None", "private"]]
    assert task.score(task.sample_submission(), task.answers()) == 0.5


def test_other_data_is_another_place(write_task: Any):
    first = Task.from_folder(write_task())
    old = first.public_dir
    second = Task.from_folder(write_task(files={"public/train.csv": "id,x,y\n0,1,2\n"}))
    assert second.data_hash != first.data_hash
    assert second.public_dir != old
    assert len(pd.read_csv(second.public_dir / "train.csv")) == 1
    assert len(pd.read_csv(old / "train.csv")) == 20


def test_a_wrong_checksum_names_file_and_digests(write_task: Any):
    folder = write_task()
    path = folder / "public" / "train.csv.xz"
    path.write_bytes(lzma.compress(b"id,x,y\n"))
    with pytest.raises(TaskDataError) as error:
        _ = Task.from_folder(folder).public_dir
    text = str(error.value)
    assert str(path) in text
    listed = (folder / "SHA256SUMS").read_text()
    expected = next(line for line in listed.splitlines() if line.endswith("public/train.csv.xz"))[:12]
    assert f"expected {expected}" in text
    assert "found " in text
    assert "build.py" in text


def test_missing_and_unlisted_files_are_named(write_task: Any):
    folder = write_task()
    (folder / "public" / "extra.csv").write_text("a\n1\n")
    with pytest.raises(TaskDataError, match=r"extra\.csv is not in SHA256SUMS"):
        _ = Task.from_folder(folder).public_dir
    (folder / "public" / "extra.csv").unlink()
    (folder / "private" / "answers.csv.xz").unlink()
    with pytest.raises(TaskDataError, match=r"answers\.csv\.xz is missing"):
        _ = Task.from_folder(folder).public_dir
    (folder / "SHA256SUMS").write_text("nonsense\n")
    with pytest.raises(
        TaskDataError, match=r"SHA256SUMS, line 1: expected '<sha256>  <file>', found 'nonsense'"
    ):
        _ = Task.from_folder(folder).public_dir


def test_a_truncated_archive_leaves_nothing_behind(write_task: Any, tmp_path: Path):
    from hashlib import sha256

    folder = write_task()
    path = folder / "public" / "train.csv.xz"
    old = path.read_bytes()
    path.write_bytes(old[:-20])
    sums = folder / "SHA256SUMS"
    sums.write_text(sums.read_text().replace(sha256(old).hexdigest(), sha256(old[:-20]).hexdigest()))
    with pytest.raises(TaskDataError, match=r"train\.csv\.xz is not a whole \.xz file"):
        _ = Task.from_folder(folder).public_dir
    assert entries(tmp_path / "cache" / "tasks" / "offline" / "tiny") == []


def test_a_cache_that_cannot_be_written_is_named(
    write_task: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    folder = write_task()
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("MLEDOJO_CACHE", str(tmp_path / "file"))
    with pytest.raises(TaskDataError, match="set MLEDOJO_CACHE") as error:
        _ = Task.from_folder(folder).public_dir
    assert str(tmp_path / "file") in str(error.value)


def test_what_vanished_from_the_cache_is_named(tiny: Task):
    (tiny.public_dir.parent / "private" / "answers.csv").unlink()
    with pytest.raises(TaskDataError, match="prepared again"):
        tiny.answers()


PREPARE = """
    import sys
    from pathlib import Path
    from mledojo_env.task import Task
    task = Task.from_folder(Path(sys.argv[1]))
    print(len(task.answers()), len(list(task.public_dir.iterdir())), len(list(task.sample_dir.iterdir())))
"""


def test_several_processes_at_once_get_it_whole(write_task: Any, tmp_path: Path):
    folder = write_task()
    left_over = tmp_path / "cache" / "tasks" / "offline" / "tiny" / ".building-killed"
    (left_over / "public").mkdir(parents=True)
    command = [sys.executable, "-c", textwrap.dedent(PREPARE), str(folder)]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}

    def run(_: int) -> str:
        return subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout

    with ThreadPoolExecutor(3) as threads:
        assert set(threads.map(run, range(3))) == {"10 3 3\n"}
    names = entries(tmp_path / "cache" / "tasks" / "offline" / "tiny")
    assert len(names) == 1
    assert not names[0].startswith(".building")


# --------------------------------------------------------------------------- the sample


def npz(**arrays: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    np.savez(buffer, **arrays)
    return buffer.getvalue()


@pytest.fixture
def large(write_task: Any) -> Task:
    """Return a task of 1,000 train and 300 test rows with an image each, and a table without ids."""
    test_ids = [5000 + i for i in range(300)]
    images = np.arange(1000, dtype=np.uint16)[:, None, None].repeat(2, 1)
    yaml = "  sample_submission.csv: a constant\n"
    more = "  train_images.npz: images\n  test_images.npz: images\n  stores.csv: stores\n  notes.txt: notes\n"
    files = {
        "public/train.csv": "id,text,y\n" + "".join(f'{i},"a, ""{i}""",{i}\n' for i in range(1000)),
        "public/test.csv": "id,text\n" + "".join(f"{i},NA\n" for i in reversed(test_ids)),
        "public/sample_submission.csv": "id,y\n" + "".join(f"{i},0\n" for i in test_ids),
        "private/answers.csv": "id,y,part\n"
        + "".join(f"{i},{i},{'public' if i % 3 else 'private'}\n" for i in test_ids),
        "public/train_images.npz": npz(images=images),
        "public/test_images.npz": npz(images=images[:300]),
        "public/stores.csv": "store,size\n" + "".join(f"{i},0{i}\n" for i in range(500)),
        "public/notes.txt": "hello\n",
    }
    return Task.from_folder(write_task({yaml: yaml + more}, files))


def test_the_sample_keeps_the_first_hundred_ids_and_evenly_spaced_rows(large: Task):
    tables = {
        path.name: pd.read_csv(path, dtype=str, keep_default_na=False)
        for path in large.sample_dir.glob("*.csv")
    }
    assert tables["sample_submission.csv"]["id"].tolist() == [str(5000 + i) for i in range(100)]
    assert tables["test.csv"]["id"].tolist() == [str(5000 + i) for i in reversed(range(100))]
    train = tables["train.csv"]["id"].astype(int)
    assert (len(train), train.iloc[0], train.iloc[-1]) == (400, 0, 999)
    assert set(train.diff().dropna()) <= {2, 3}
    assert len(tables["stores.csv"]) == 400
    assert (large.sample_dir / "notes.txt").read_text() == "hello\n"


def test_the_sample_changes_no_cell(large: Task):
    for name in ("train.csv", "test.csv", "stores.csv"):
        whole, part = (
            pd.read_csv(folder / name, dtype=str, keep_default_na=False)
            for folder in (large.public_dir, large.sample_dir)
        )
        merged = part.merge(whole, how="left", indicator=True)
        assert (merged["_merge"] == "both").all()


def test_images_follow_their_rows(large: Task):
    for part, offset in (("train", 0), ("test", 0)):
        images = np.load(large.sample_dir / f"{part}_images.npz")["images"]
        ids = pd.read_csv(large.sample_dir / f"{part}.csv")["id"]
        whole = pd.read_csv(large.public_dir / f"{part}.csv")["id"].tolist()
        assert images[:, 0, 0].tolist() == [whole.index(i) + offset for i in ids]
        assert images.shape[1:] == (2, 1)


def test_the_sample_of_a_small_task_is_the_task(tiny: Task):
    for path in tiny.public_dir.iterdir():
        assert (tiny.sample_dir / path.name).read_text() == path.read_text()
