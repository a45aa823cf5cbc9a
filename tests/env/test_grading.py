"""Grades worked out by hand, and a grader whose worker is killed, starved and flooded."""

from __future__ import annotations

import asyncio
import math
import multiprocessing
import os
import shutil
import signal
import subprocess
import sys
import textwrap
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from mledojo_env import grading
from mledojo_env.errors import GradingError, InvalidSubmission, TaskDataError
from mledojo_env.grading import Grade, Grader, grade_bytes, grade_frame, score_frame, shared_grader
from mledojo_env.grading_process import WorkerLimits
from mledojo_env.leaderboard import Medal
from mledojo_env.metrics import BadCell, Metric, Prediction
from mledojo_env.task import SubmissionFormat, Task

PACKAGE = Path(grading.__file__).parent


def submission(public_error: float = 0.0, private_error: float = 0.0) -> bytes:
    """Return a submission that is off by so much on each row of a part, and so scores just that."""
    rows = [f"{i},{i - 100 + (public_error if i < 104 else private_error)}" for i in range(100, 110)]
    return "\n".join(["id,y", *rows]).encode()


GOLD = Grade(0.0, 0.0, 0.0, 1.0, 1.0, 1.0, Medal.GOLD, 1, 1, 4)


@pytest.mark.parametrize(
    ("public_error", "private_error", "grade"),
    [
        (0, 0, GOLD),
        # level with the two who share the second place on the private board
        (1.5, 2, Grade(math.sqrt(3.3), 1.5, 2.0, 0.5, 0.75, 0.625, None, 3, 2, 4)),
        (0.5, 5, Grade(math.sqrt(15.1), 0.5, 5.0, 1.0, 0.0, 0.5, None, 1, 5, 4)),
        (9, 9, Grade(9.0, 9.0, 9.0, 0.0, 0.0, 0.0, None, 5, 5, 4)),
    ],
)
def test_grades_worked_out_by_hand(tiny: Task, public_error: float, private_error: float, grade: Grade):
    found = grade_bytes(tiny, submission(public_error, private_error))
    assert found.score == pytest.approx(grade.score)
    assert found == Grade(**{**vars(grade), "score": found.score})


def test_a_task_without_a_board_has_no_rank(write_task: Any):
    task = Task.from_folder(
        write_task({"leaderboard: {kind: reference}": "leaderboard: null"}, {"private/leaderboard.csv": None})
    )
    grade = grade_bytes(task, submission(1, 2))
    assert (grade.public_score, grade.private_score) == (1, 2)
    assert {grade.rank, grade.public_rank, grade.medal, grade.private_position, grade.teams} == {None}


def test_score_ignores_parts(tiny: Task):
    answers = tiny.answers()
    assert tiny.score(tiny.sample_submission(), answers) == pytest.approx(math.sqrt(8.5))
    assert tiny.score(answers[["y", "id"]].iloc[::-1], answers.drop(columns="part")) == 0


@pytest.mark.parametrize("parts", ["public", "private", "both"])
def test_answers_need_both_parts(write_task: Any, parts: str):
    answers = "id,y,part\n" + "".join(f"{i},{i},{parts}\n" for i in range(100, 110))
    task = Task.from_folder(write_task(files={"private/answers.csv": answers}))
    with pytest.raises(GradingError, match="expected rows of both public and private"):
        grade_frame(task, task.sample_submission())


def test_a_part_that_leaves_the_metric_undefined_is_our_fault(write_task: Any):
    ones = "id,y,part\n" + "".join(
        f"{i},{int(i != 109)},{'public' if i < 104 else 'private'}\n" for i in range(100, 110)
    )
    task = Task.from_folder(write_task({"name: rmse": "name: roc_auc"}, {"private/answers.csv": ones}))
    with pytest.raises(GradingError, match="roc_auc is undefined"):
        grade_frame(task, task.sample_submission())


# --------------------------------------------------------------------------- the worker


@pytest.fixture(scope="module")
def grader() -> Any:
    with Grader() as grader:
        yield grader


def test_the_worker_grades_as_this_process_does(tiny: Task, grader: Grader):
    for errors in ((0, 0), (0.1, 2 / 3), (1.5, 2)):
        data = submission(*errors)
        assert grader.grade_sync(tiny, data) == grade_bytes(tiny, data)
    assert isinstance(grader.grade_sync(tiny, submission()).medal, Medal)


@pytest.mark.parametrize("data", [b"", b"\x00" * 100, b"id,y\n100,1\n", submission().replace(b"5", b"x")])
def test_the_worker_refuses_as_this_process_does(tiny: Task, grader: Grader, data: bytes):
    with pytest.raises(InvalidSubmission) as here:
        grade_bytes(tiny, data)
    with pytest.raises(InvalidSubmission) as there:
        grader.grade_sync(tiny, data)
    assert str(there.value) == str(here.value)


def test_a_huge_file_is_refused_unread(tiny: Task, grader: Grader):
    with pytest.raises(InvalidSubmission, match="has 1000001 bytes; at most 1000000 are read"):
        grader.grade_sync(tiny, b"x" * 1_000_001)


def test_several_loops_and_threads_share_a_worker(tiny: Task, grader: Grader):
    def many(error: int) -> list[float]:
        async def go() -> list[Grade]:
            return await asyncio.gather(*(grader.grade(tiny, submission(error, error)) for _ in range(5)))

        return [grade.score for grade in asyncio.run(go())]

    with ThreadPoolExecutor(4) as threads:
        found = list(threads.map(many, range(4)))
    assert found == [[float(error)] * 5 for error in range(4)]


def test_a_worker_that_was_killed_is_started_again(tiny: Task):
    with Grader() as grader:
        assert grader.grade_sync(tiny, submission()) == GOLD
        os.kill(worker_pid(grader), signal.SIGKILL)
        wait_until(lambda: not grader._worker.is_alive())
        assert grader.grade_sync(tiny, submission()) == GOLD


def test_a_worker_that_dies_at_work_is_told_of_and_started_again(tiny: Task):
    with Grader() as grader:
        grader.grade_sync(tiny, submission())
        pid = worker_pid(grader)
        os.kill(pid, signal.SIGSTOP)
        killer = threading.Timer(0.3, os.kill, (pid, signal.SIGKILL))
        killer.start()
        with pytest.raises(GradingError, match=r"offline/tiny: it died \(signal SIGKILL\).*restarted"):
            grader.grade_sync(tiny, submission())
        assert grader.grade_sync(tiny, submission()) == GOLD


def test_a_worker_that_hangs_is_our_fault(tiny: Task):
    with Grader() as warm:
        warm.grade_sync(tiny, submission())  # so that the task is prepared
    with Grader(WorkerLimits(wall_s=20)) as grader:
        grader.grade_sync(tiny, submission())
        grader._worker.limits = WorkerLimits(wall_s=0.3)
        os.kill(worker_pid(grader), signal.SIGSTOP)
        with pytest.raises(GradingError, match=r"no answer within 0\.3 s"):
            grader.grade_sync(tiny, submission())


@pytest.fixture
def roomy(write_task: Any) -> Task:
    """Return the tiny task with so long a sample submission that files of 18 MB are read."""
    rows = "".join(f"{i},0\n" for i in range(120_000))
    return Task.from_folder(write_task(files={"public/sample_submission.csv": "id,y\n" + rows}))


def long_submission(rows: int) -> bytes:
    return b"id,y\n" + b"".join(b"%d.,1\n" % i for i in range(rows))  # whole floats: the slowest ids to read


@pytest.fixture
def many(write_task: Any, tmp_path: Path) -> Task:
    """Return a task with 500,000 answers: a submission of as many rows is read to its end."""
    ids = range(500_000)
    answers = "id,y,part\n" + "".join(f"{i},1,{'public' if i % 3 else 'private'}\n" for i in ids)
    sample = "id,y\n" + "".join(f"{i},0\n" for i in ids)
    files = {"private/answers.csv": answers, "public/sample_submission.csv": sample}
    return Task.from_folder(write_task(root=tmp_path / "many", files=files))


def test_a_submission_that_takes_too_long_is_its_own_fault(many: Task, tiny: Task):
    assert many.public_dir.is_dir()  # prepared here, with no limit
    with Grader(WorkerLimits(cpu_s=0.05)) as grader:
        with pytest.raises(InvalidSubmission, match=r"took too long: it used 0\.05 s of CPU"):
            grader.grade_sync(many, long_submission(500_000))
        assert grader.grade_sync(tiny, submission()) == GOLD


def test_a_submission_that_takes_too_much_memory_is_its_own_fault(roomy: Task):
    with Grader() as grader:
        grader.grade_sync(roomy, submission())
        status = Path(f"/proc/{worker_pid(grader)}/status").read_text()
    mapped_mb = int(status.split("VmPeak:")[1].split()[0]) // 1024
    with Grader(WorkerLimits(memory_mb=mapped_mb + 60)) as grader:
        assert grader.grade_sync(roomy, submission()) == GOLD
        # pandas survives running out of memory on most lines of its code, not on all
        with pytest.raises(InvalidSubmission, match=f"more than {mapped_mb + 60} MB|cannot be graded"):
            grader.grade_sync(roomy, long_submission(1_200_000))
        assert grader.grade_sync(roomy, submission()) == GOLD


def test_a_task_that_cannot_be_loaded_is_our_fault(write_task: Any, tmp_path: Path, grader: Grader):
    task = Task.from_folder(write_task())
    (task.public_dir.parent / "private" / "answers.csv").unlink()
    with pytest.raises(GradingError, match=r"offline/tiny.*answers\.csv"):
        grader.grade_sync(task, submission())
    folder = write_task(root=tmp_path / "others", files={"public/train.csv": "id,x,y\n1,2,3\n"})
    (folder / "public" / "test.csv.xz").write_bytes(b"")
    with pytest.raises(TaskDataError, match="wrong checksum"):
        grader.grade_sync(Task.from_folder(folder), submission())


def test_a_closed_grader_refuses(tiny: Task):
    grader = Grader()
    grader.grade_sync(tiny, submission())
    pid = worker_pid(grader)
    grader.close()
    grader.close()
    assert not Path(f"/proc/{pid}").exists()
    with pytest.raises(GradingError, match="closed"):
        grader.grade_sync(tiny, submission())


def test_closing_interrupts_a_submission_under_way(tiny: Task):
    grader = Grader()
    grader.grade_sync(tiny, submission())
    os.kill(worker_pid(grader), signal.SIGSTOP)
    threading.Timer(0.3, grader.close).start()
    with pytest.raises(GradingError, match="closed"):
        grader.grade_sync(tiny, submission())


def _grade_in_child(tiny: Task, results: Any) -> None:
    results.put(shared_grader().grade_sync(tiny, submission()).score)


def test_a_forked_process_gets_its_own_worker(tiny: Task):
    shared_grader().grade_sync(tiny, submission())
    pid = worker_pid(shared_grader())
    fork = multiprocessing.get_context("fork")
    results = fork.Queue()
    child = fork.Process(target=_grade_in_child, args=(tiny, results))
    child.start()
    assert results.get(timeout=60) == 0
    child.join(60)
    assert child.exitcode == 0
    assert worker_pid(shared_grader()) == pid
    assert shared_grader().grade_sync(tiny, submission()) == GOLD
    shared_grader().close()
    assert shared_grader().grade_sync(tiny, submission()) == GOLD  # a new one
    shared_grader().close()


OWNER = """
    import sys, time
    from pathlib import Path
    from mledojo_env.grading import shared_grader
    from mledojo_env.task import Task
    grader = shared_grader()
    grade = grader.grade_sync(Task.from_folder(Path(sys.argv[1])), Path(sys.argv[2]).read_bytes())
    print(grader._worker.pid, grade.score, flush=True)
    if sys.argv[3] == "stay":
        time.sleep(60)
"""


def start_owner(task: Task, tmp_path: Path, package: Path, then: str, cwd: Path) -> subprocess.Popen[str]:
    (tmp_path / "submission.csv").write_bytes(submission())
    return subprocess.Popen(
        [
            sys.executable,
            "-c",
            textwrap.dedent(OWNER),
            str(task.folder),
            str(tmp_path / "submission.csv"),
            then,
        ],
        env={**os.environ, "PYTHONPATH": str(package.parent)},
        cwd=cwd,
        stdout=subprocess.PIPE,
        text=True,
    )


def test_the_worker_dies_with_an_owner_that_is_killed(tiny: Task, tmp_path: Path):
    owner = start_owner(tiny, tmp_path, PACKAGE, "stay", tmp_path)
    assert owner.stdout
    pid, _ = owner.stdout.readline().split()
    assert Path(f"/proc/{pid}").exists()
    owner.kill()
    owner.wait()
    wait_until(lambda: not is_running(int(pid)))


def test_the_worker_runs_the_copy_of_the_package_that_its_owner_runs(tiny: Task, tmp_path: Path):
    """As from a wheel: a package folder elsewhere, found through a path that `python -I` ignores."""
    copy = tmp_path / "elsewhere" / "mledojo_env"
    shutil.copytree(PACKAGE, copy, ignore=shutil.ignore_patterns("__pycache__"))
    lines = [
        "@metric(higher_is_better=False, best_value=0.0)",
        "def rmse(y_true, y_pred):",
        "    return 42.0",
    ]
    with (copy / "metrics" / "regression.py").open("a") as file:
        file.write("\n\n" + "\n".join(lines) + "\n")
    (tmp_path / "elsewhere" / "pandas.py").write_text(
        "raise SystemExit('imported from the working directory')\n"
    )
    assert tiny.public_dir.is_dir()  # prepared, so that the owner itself has no use for pandas
    owner = start_owner(tiny, tmp_path, copy, "go", tmp_path / "elsewhere")
    output, _ = owner.communicate(timeout=60)
    pid, score = output.split()
    assert float(score) == 42
    wait_until(lambda: not is_running(int(pid)))


def worker_pid(grader: Grader) -> int:
    assert grader._worker is not None
    return grader._worker.pid


def is_running(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False


def wait_until(holds: Any, timeout_s: float = 10) -> None:
    end = time.monotonic() + timeout_s
    while not holds():
        assert time.monotonic() < end
        time.sleep(0.02)


def _toy_metric() -> Metric:
    """Share of ids whose cells are right; reads no exclamation mark."""

    def function(y_true: np.ndarray, y_pred: np.ndarray, groups: np.ndarray) -> float:
        assert groups.shape == (len(y_true), 2)
        for row, cells in enumerate(y_pred):
            if "!" in cells:
                raise BadCell(row, "has a bang")
        return float(np.mean([truth == cells for truth, cells in zip(y_true, y_pred, strict=True)]))

    return Metric(
        "toy", True, 1.0, Prediction.TEXT, needs=(("a", "b"),), allows_blank=True, function=function
    )


def test_ids_of_several_rows_of_text():
    form = SubmissionFormat(id=["id"], targets=["t"], value="text", rows="several")
    answers = pd.DataFrame({"id": ["1", "2", "1", "3"], "t": ["x", "y", "z", ""], "a": list("ppqq")})
    answers["b"] = [0, 1, 0, 1]
    metric = _toy_metric()

    def score(ids: str, cells: list[str]) -> float:
        return score_frame(pd.DataFrame({"id": list(ids), "t": cells}), answers, form, metric)

    assert score("1213", ["x", "y", "z", ""]) == 1.0
    assert score("3112", ["", "x", "z", "y"]) == 1.0
    assert score("3112", ["", "z", "x", "y"]) == pytest.approx(2 / 3)  # the order within an id counts
    assert score("123", ["x", "y", ""]) == pytest.approx(2 / 3)
    with pytest.raises(InvalidSubmission, match="'t' has a bang: at id 2"):
        score("123", ["x", "!", ""])
    with pytest.raises(InvalidSubmission, match="Id 3 is missing"):
        score("12", ["x", "y"])
    with pytest.raises(InvalidSubmission, match="Id 4 is not in the test set"):
        score("1234", ["x", "y", "", "z"])
    with pytest.raises(InvalidSubmission, match="at most 100 for each of 3 ids"):
        score("1" * 1400, ["x"] * 1400)
