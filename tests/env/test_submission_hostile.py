"""Files written to waste the grader's time or to slip past the checks, and honest ones of a million rows."""

from __future__ import annotations

import os
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from mledojo_env.errors import InvalidSubmission
from mledojo_env.grading import Grader, read_submission, score_frame
from mledojo_env.grading_process import WorkerLimits
from mledojo_env.metrics import get_metric
from mledojo_env.prepare import cache_root
from mledojo_env.submission import check_columns
from mledojo_env.task import SubmissionFormat, Task

FORM = SubmissionFormat(id=["id"], targets=["y"], value="number")
RMSE = get_metric("rmse")
ROWS = 1_000_000


def answers(*ids: str) -> pd.DataFrame:
    return pd.DataFrame({"id": ids, "y": np.arange(len(ids), dtype=float)})


def refused(data: bytes, truth: pd.DataFrame) -> str:
    with pytest.raises(InvalidSubmission) as error:
        score_frame(read_submission(data, ["id", "y"]), truth, FORM, RMSE)
    return str(error.value)


@pytest.mark.parametrize("expected", [["c" * 55], ["x" * 40 + f"{i:015}" for i in range(600)]])
def test_thousands_of_long_names_are_refused_at_once(expected: list[str]):
    """Comparing each with each letter by letter took minutes."""
    found = ["c" * 50 + f"{i:05}" for i in range(10_000)]
    start = time.process_time()
    with pytest.raises(InvalidSubmission):
        check_columns(found, expected)
    assert time.process_time() - start < 2


def test_a_flood_of_rows_is_counted_not_read():
    start = time.process_time()
    text = refused(b"id,y\n" + b",\n" * 2_000_000, answers("1", "2"))
    assert text == "The submission has 2000000 rows; expected 2."
    assert time.process_time() - start < 10


@pytest.mark.parametrize("cell", [b"1\x1fjunk", b"1.0\x1f2", b"1\x1f\x1f2"])
def test_an_id_with_the_separator_of_ids_in_it_is_another_id(cell: bytes):
    assert "is not in the test set" in refused(b"id,y\n" + cell + b",0\n2,1\n", answers("1", "2"))


def test_ids_that_lost_their_zeros_are_told_how():
    text = refused(b"id,y\n7,0\n12,1\n", answers("007", "012"))
    assert text.startswith(
        "Id 7 is not in the test set (2 rows such). The test set has 007: read ids as text"
    )
    assert "read ids as text" not in refused(b"id,y\n8,0\n12,1\n", answers("007", "012"))


@pytest.mark.parametrize("first", [b"1,0.5", b"1,1", b"nan,2"])
def test_a_file_without_a_header_is_told_so(first: bytes):
    assert "is no header; expected the columns id, y" in refused(first + b"\n2,1\n", answers("1", "2"))


def test_nested_column_names_are_refused():
    nested = pd.DataFrame([[1, 0], [2, 1]], columns=pd.MultiIndex.from_product([["a"], ["id", "y"]]))
    with pytest.raises(InvalidSubmission, match="'id' is missing"):
        score_frame(nested, answers("1", "2"), FORM, RMSE)


def test_a_million_rows_take_seconds():
    order = np.random.default_rng(0).permutation(ROWS)
    truth = answers(*map(str, range(ROWS)))
    data = pd.DataFrame({"y": order + 0.25, "id": order}).to_csv(index=False).encode()
    start = time.process_time()
    assert score_frame(read_submission(data, ["id", "y"]), truth, FORM, RMSE) == 0.25
    assert time.process_time() - start < 20


def test_reading_tasks_is_not_charged_to_the_last_submission(tiny: Task):
    assert tiny.public_dir.is_dir()
    with Grader(WorkerLimits(cpu_s=0.01)) as grader:
        with pytest.raises(InvalidSubmission, match="is missing"):
            grader.grade_sync(tiny, b"id,y\n100,0\n")
        worker = grader._worker
        assert worker is not None
        request = {"op": "load", "folder": str(tiny.folder), "variant": "", "cache": str(cache_root())}
        end = cpu_seconds(worker.pid) + 2  # the kernel counts whole seconds
        while cpu_seconds(worker.pid) < end:
            assert "failed" not in worker.ask({**request, "key": "again"})


def cpu_seconds(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
