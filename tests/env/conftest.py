"""A task small enough to grade by hand, written where a test wants it."""

from __future__ import annotations

import hashlib
import lzma
from collections.abc import Callable
from pathlib import Path

import pytest

from mledojo_env.task import Task

TASK_YAML = """\
id: offline/tiny
title: Tiny
domain: tabular
kind: regression
split: train
source:
  name: made up
  licence: CC0-1.0
metric: {name: rmse, params: {}}
submission: {id: [id], targets: [y], value: number}
public:
  train.csv: rows with y
  test.csv: rows without y
  sample_submission.csv: a constant
limits: {timeout_s: 30, validate_timeout_s: 10, memory_mb: 1024}
prepare: {strategy: bundled}
leaderboard: {kind: reference}
quarantine: null
"""

IDS = range(100, 110)
ANSWERS = "id,y,part\n" + "".join(f"{i},{i - 100},{'public' if i < 104 else 'private'}\n" for i in IDS)
FILES = {
    "public/train.csv": "id,x,y\n" + "".join(f"{i},{i * 7 % 11},{i % 5}\n" for i in range(20)),
    "public/test.csv": "id,x\n" + "".join(f"{i},{i * 3 % 13}\n" for i in IDS),
    "public/sample_submission.csv": "id,y\n" + "".join(f"{i},5\n" for i in IDS),
    "private/answers.csv": ANSWERS,
    # rmse, so lower is better; four teams, two of them tied on the private board
    "private/leaderboard.csv": "team,public_score,private_score\na,0.5,1\nb,1,2\nc,2,2\nd,3,4\n",
}


def write_checksums(folder: Path) -> None:
    """Write SHA256SUMS over what lies in public/ and private/."""
    paths = [path for part in ("private", "public") for path in sorted((folder / part).rglob("*"))]
    lines = [
        f"{hashlib.sha256(p.read_bytes()).hexdigest()}  {p.relative_to(folder).as_posix()}" for p in paths
    ]
    (folder / "SHA256SUMS").write_text("\n".join(lines) + "\n")


WriteTask = Callable[..., Path]


@pytest.fixture
def write_task(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> WriteTask:
    """Return a function that writes the tiny task; prepared tasks go to a cache of the test's own.

    It takes `yaml` (replacements in task.yaml), `files` (replaced or, where None, left out; .npz as bytes)
    and `root` (the folder that gets offline/tiny), and returns the task's folder.
    """
    monkeypatch.setenv("MLEDOJO_CACHE", str(tmp_path / "cache"))

    def write(
        yaml: dict[str, str] | None = None,
        files: dict[str, str | bytes | None] | None = None,
        root: Path | None = None,
    ) -> Path:
        folder = (root or tmp_path / "tasks") / "offline" / "tiny"
        text = TASK_YAML
        for old, new in (yaml or {}).items():
            assert old in text
            text = text.replace(old, new)
        contents: dict[str, str | bytes | None] = {**FILES, **(files or {})}
        for name, content in contents.items():
            if content is None:
                continue
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            data = content.encode() if isinstance(content, str) else content
            if path.suffix == ".csv" and path.name != "leaderboard.csv":
                path, data = path.with_name(path.name + ".xz"), lzma.compress(data, preset=0)
            path.write_bytes(data)
        (folder / "task.yaml").write_text(text)
        listed = "In `train.csv`, `test.csv` and `sample_submission.csv`.\n"
        (folder / "description.md").write_text("# Tiny\n\n" + "Predict y from x, ten rows. " * 8 + listed)
        write_checksums(folder)
        return folder

    return write


@pytest.fixture
def tiny(write_task: WriteTask) -> Task:
    """Return the tiny task: answers 0 to 9 for ids 100 to 109, the first four public."""
    return Task.from_folder(write_task())
