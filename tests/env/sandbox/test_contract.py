"""What every sandbox backend must do: each status at its edge, and what a session keeps."""

from __future__ import annotations

import asyncio
import time

import pytest

from mledojo_env.errors import InvalidSubmission, SandboxError
from mledojo_env.sandbox import Limits, Sandbox, Session, Status

PIPELINE = """
import pandas as pd
from sklearn.linear_model import LogisticRegression
train = pd.read_csv("/data/train.csv")
model = LogisticRegression().fit(train[["id"]], train["target"])
pd.DataFrame({"id": train["id"], "p": model.predict_proba(train[["id"]])[:, 1]}).to_csv("submission.csv")
"""


async def test_a_pipeline_reads_data_and_writes_a_submission(run, session: Session):
    result = await run(PIPELINE)
    assert result.ok and result.message == "" and result.exit_code == 0, result
    assert session.read("submission.csv", 10_000).startswith(b",id,p")
    assert list(result.files) == ["submission.csv"]
    assert 0 < result.cpu_s < 10 and 0 < result.wall_s < 10 and result.peak_memory_mb > 0


async def test_what_was_written_is_counted(run):
    assert (await run("print('x' * 1000)")).bytes_written == 0
    code = """
import os
os.makedirs("a/b")
open("a/b/c", "wb").write(bytes(300_000))
if os.fork() == 0:
    open("/tmp/d", "wb").write(bytes(2000))
    os._exit(0)
os.wait()
print("y" * 1000)
"""
    result = await run(code)
    assert result.ok and result.bytes_written == 302_000 and result.files_created == 3, result
    again = await run("import os; os.remove('a/b/c'); open('e', 'w')")
    assert again.files_created == 0 and again.bytes_written == 0  # one more and one less


async def test_an_error_shows_the_agents_own_frames_only(run):
    code = "import pandas as pd\ndef load():\n    return pd.read_csv('/data/absent.csv')\nload()\n"
    result = await run(code)
    assert result.status is Status.ERROR and result.exit_code == 1
    assert result.error_class == "FileNotFoundError" and "absent.csv" in result.message
    assert 'File "script.py", line 4' in result.traceback and 'File "script.py", line 3' in result.traceback
    assert "site-packages" not in result.traceback and "mledojo" not in result.traceback
    assert "return pd.read_csv('/data/absent.csv')" in result.traceback


async def test_a_chained_error_shows_both(run):
    result = await run("try:\n    1 / 0\nexcept ZeroDivisionError as e:\n    raise KeyError('x') from e\n")
    assert result.error_class == "KeyError" and "ZeroDivisionError" in result.traceback


async def test_a_syntax_error_names_the_line(run):
    result = await run("x = 1\ny = (2\n")
    assert result.error_class == "SyntaxError" and 'File "script.py", line 2' in result.traceback


async def test_an_exception_that_cannot_be_printed_is_still_an_error(run):
    result = await run("class Odd(Exception):\n    def __str__(self): raise ValueError\nraise Odd()")
    assert result.status is Status.ERROR and result.error_class == "Odd"


@pytest.mark.parametrize(
    ("code", "status", "exit_code"),
    [
        ("", Status.OK, 0),
        ("import sys; sys.exit()", Status.OK, 0),
        ("import sys; sys.exit(3)", Status.ERROR, 3),
        ("import os; os._exit(125)", Status.ERROR, 125),
        ("import sys; sys.exit('no data')", Status.ERROR, 1),
        ("import ctypes; ctypes.string_at(0)", Status.KILLED, -11),
    ],
)
async def test_exit_codes(run, code: str, status: Status, exit_code: int):
    result = await run(code)
    assert (result.status, result.exit_code) == (status, exit_code)
    assert bool(result.message) == (status is not Status.OK)


async def test_the_time_limit(run):
    result = await run("print('started')\nwhile True: pass", timeout_s=0.5)
    assert result.status is Status.TIMEOUT and "0.5 s" in result.message
    assert 0.5 <= result.wall_s < 4  # the machine may be busy
    assert result.stdout == "started\n"


async def test_code_that_ends_before_the_time_limit_is_not_stopped(run):
    assert (await run("import time; time.sleep(0.4)", timeout_s=1.0)).ok


async def test_cpu_time_is_limited_over_all_processes(run):
    code = "import os\nos.fork()\nwhile True: pass"
    result = await run(code, timeout_s=20.0, cpu_s=0.6, threads=2)
    assert result.status is Status.TIMEOUT and "CPU" in result.message
    assert 0.6 < result.cpu_s < 2


async def test_an_allocation_beyond_the_memory_limit(run):
    result = await run("import numpy as np\nx = np.ones(400 * 2**20, dtype='u1')", memory_mb=300)
    assert result.status is Status.OUT_OF_MEMORY and "300 MB" in result.message
    assert "MemoryError" in result.error_class


async def test_an_allocation_within_the_memory_limit(run):
    assert (await run("import numpy as np\nx = np.ones(200 * 2**20, dtype='u1')", memory_mb=300)).ok


async def test_cpu_time_within_the_limit(run):
    assert (await run("import time\nwhile time.process_time() < 0.3: pass", cpu_s=3.0)).ok


async def test_memory_of_several_processes_adds_up(run):
    code = """
import os, time
children = [os.fork() for _ in range(2)]
block = b"x" * (150 * 2**20)
time.sleep(1)
raise SystemExit(any(os.wait()[1] for _ in range(2)) if all(children) else 0)
"""
    result = await run(code, memory_mb=300)
    assert result.status is Status.OUT_OF_MEMORY


async def test_the_working_directory_is_limited(run):
    code = "for i in range(9):\n    open(str(i), 'wb').write(bytes(2**20))"
    result = await run(code, disk_mb=8)
    assert result.status is Status.OUT_OF_DISK and "8 MB" in result.message
    assert sum(result.files.values()) <= 8 * 2**20


async def test_the_working_directory_takes_what_it_is_allowed(run):
    assert (await run("open('x', 'wb').write(bytes(7 * 2**20))", disk_mb=8)).ok


async def test_the_number_of_files_is_limited(run):
    result = await run("for i in range(30_000):\n    open(str(i), 'w').close()", disk_mb=64)
    assert result.status is Status.OUT_OF_DISK


async def test_one_file_may_be_as_large_as_its_limit(run):
    result = await run("open('x', 'wb').write(bytes(4 * 2**20))", file_mb=4)
    assert result.ok and result.files == {"x": 4 * 2**20}, result


async def test_one_file_is_limited(run):
    result = await run("open('x', 'wb').write(bytes(5 * 2**20))", file_mb=4)
    assert result.status is Status.OUT_OF_DISK and "4 MB" in result.message


async def test_processes_are_limited(run):
    code = "import os, time\nfor _ in range(20):\n    if os.fork() == 0:\n        time.sleep(5); os._exit(0)"
    result = await run(code, processes=10)
    assert result.status is Status.TOO_MANY_PROCESSES and "10 processes" in result.message


async def test_threads_count_as_processes(run):
    code = (
        "import threading, time\nfor _ in range(20): threading.Thread(target=time.sleep, args=(1,)).start()"
    )
    result = await run(code, processes=10)
    assert result.status is Status.TOO_MANY_PROCESSES


async def test_processes_within_the_limit(run):
    code = "import os\nfor _ in range(8):\n    if os.fork() == 0:\n        os._exit(0)\nos.wait()"
    assert (await run(code, processes=10)).ok


async def test_as_many_open_files_as_allowed(run):
    assert (await run("kept = [open('/dev/null') for _ in range(45)]", open_files=50)).ok


async def test_open_files_are_limited(run):
    result = await run("kept = [open('/dev/null') for _ in range(100)]", open_files=50)
    assert result.status is Status.ERROR and "Too many open files" in result.message


@pytest.mark.parametrize("stream", ["stdout", "stderr"])
async def test_a_flood_is_stopped_and_keeps_both_ends(run, stream: str):
    code = f"import sys\nfor i in range(10**9): print(i, file=sys.{stream})"
    result = await run(code, output_kb=64)
    assert result.status is Status.OUTPUT_TRUNCATED and "64 kB" in result.message
    text = getattr(result, stream)
    assert text.startswith("0\n1\n") and "bytes cut" in text and len(text) < 64 * 1024 + 100
    assert result.wall_s < 8


async def test_what_was_cut_is_counted(run):
    code = "import os, sys\nsys.stdout.write('x' * 70_000)\nsys.stderr.write('y' * 10)\nsys.stdout.flush()"
    result = await run(code + "\nimport time; time.sleep(5)", output_kb=64)
    assert result.status is Status.OUTPUT_TRUNCATED
    assert result.stdout_cut == 70_000 - 64 * 1024 and result.stderr_cut == 0, result.stdout_cut
    assert f"[... {result.stdout_cut} bytes cut ...]" in result.stdout


async def test_output_within_the_limit_is_whole(run):
    result = await run("print('é' * 32_767)\nprint('x', end='')", output_kb=64)
    assert result.ok and result.stdout == "é" * 32_767 + "\nx" and result.stdout_cut == 0


async def test_output_that_is_not_text_is_decoded_with_replacement(run):
    result = await run("import sys; sys.stdout.buffer.write(b'\\xff\\xfeok')")
    assert result.ok and result.stdout.endswith("ok")


@pytest.mark.parametrize(
    ("code", "word"),
    [("print(1)\0", "NUL"), ("x = '\udcff'", "Unicode"), ("#" * 1_000_001, "bytes"), (b"x", "text")],
    ids=["nul", "surrogate", "too long", "bytes"],
)
async def test_what_is_refused(run, code, word: str):
    result = await run(code)
    assert result.status is Status.REFUSED and word in result.message and result.exit_code is None


async def test_fifty_megabytes_of_source_are_refused_at_once(run):
    code = "#" * 50_000_000
    started = time.monotonic()
    result = await run(code)
    assert result.status is Status.REFUSED and time.monotonic() - started < 2


async def test_a_megabyte_of_source_is_accepted(run):
    assert (await run("#" * 999_999)).ok


@pytest.mark.parametrize("name", ["timeout_s", "memory_mb", "processes", "disk_mb"])
@pytest.mark.parametrize("value", [0, -1, float("nan")])
def test_limits_must_be_positive(name: str, value: float):
    with pytest.raises(ValueError, match=name):
        Limits(**{name: value})


async def test_limits_beyond_the_machine_are_as_good_as_none(run):
    huge = 10**15
    result = await run(
        "print(1)", timeout_s=1e12, memory_mb=huge, disk_mb=huge, file_mb=huge, processes=huge, cpu_s=1e300
    )
    assert result.ok, result


async def test_a_missing_data_directory_is_ours(session: Session, tmp_path):
    with pytest.raises(SandboxError, match="absent"):
        await session.run("", tmp_path / "absent", Limits())


async def test_data_is_read_only(run):
    result = await run("open('/data/train.csv', 'a').write('x')")
    assert result.error_class in ("OSError", "PermissionError")


async def test_the_seed_decides_chance(run):
    code = "import random, numpy as np; print(random.random(), np.random.rand())"
    first, again, other = [(await run(code, seed=seed)).stdout for seed in (1, 1, 2)]
    assert first == again != other


async def test_hashes_are_stable(run):
    code = "print(hash('x'), list({'a', 'b', 'c'}))"
    assert (await run(code)).stdout == (await run(code)).stdout


async def test_files_stay_within_a_session_and_interpreters_do_not(run):
    await run(
        "import os, builtins; builtins.left = 1; os.environ['LEFT'] = '1'; open('kept', 'w').write('x')"
    )
    result = await run(
        "import os; print(open('kept').read(), 'LEFT' in os.environ, 'left' in dir(__builtins__))"
    )
    assert result.stdout == "x False False\n"


async def test_sessions_do_not_share_files(run, sandbox: Sandbox, task):
    await run("open('mine', 'w').write('x')")
    other = await sandbox.session()
    result = await other.run("import os; print(os.listdir())", task.public, Limits())
    await other.close()
    assert result.stdout == "[]\n"


async def test_scratch_space_is_not_kept(run):
    await run("open('/tmp/x', 'w'); open('/dev/shm/x', 'w')")
    result = await run("import os; print('x' in os.listdir('/tmp'), os.listdir('/dev/shm'))")
    assert result.stdout == "False []\n"


async def test_remove_and_clear(run, session: Session):
    await run(
        "import os; os.makedirs('a/b'); open('a/b/c', 'w'); open('d', 'w'); os.symlink('/data', 'link')"
    )
    for name in ("a", "link", "absent", "absent/too"):
        session.remove(name)
    assert list((await run("")).files) == ["d"]
    session.clear()
    assert (await run("import os; print(os.listdir())")).stdout == "[]\n"
    with pytest.raises(ValueError):
        session.remove("..")


async def test_read_finds_only_what_is_there(run, session: Session):
    await run("import os; os.mkdir('d'); open('d/x', 'w').write('12345')")
    assert session.read("d/x", 5) == b"12345"
    with pytest.raises(InvalidSubmission, match="5 bytes"):
        session.read("d/x", 4)
    with pytest.raises(InvalidSubmission, match="directory"):
        session.read("d", 100)
    with pytest.raises(FileNotFoundError):
        session.read("absent.csv", 100)


async def test_joblib_processes_and_threads(run):
    code = """
from joblib import Parallel, delayed
from sklearn.datasets import make_classification
from sklearn.ensemble import RandomForestClassifier
from sklearn.model_selection import cross_val_score
X, y = make_classification(200, random_state=0)
print(len(cross_val_score(RandomForestClassifier(5), X, y, cv=3, n_jobs=2)))
print(sum(Parallel(n_jobs=2, prefer="threads")(delayed(int)(i) for i in range(10))))
"""
    result = await run(code, threads=2, timeout_s=30)
    assert result.ok and result.stdout == "3\n45\n", result


async def test_multiprocessing(run):
    code = """
import multiprocessing as mp
def square(x): return x * x
if __name__ == "__main__":
    with mp.Pool(2) as pool: print(pool.map(square, range(4)))
    with mp.get_context("spawn").Pool(1) as pool: print(pool.map(square, range(4)))
"""
    result = await run(code, threads=2, timeout_s=30)
    assert result.ok and result.stdout == "[0, 1, 4, 9]\n" * 2, result


async def test_a_subprocess_of_the_interpreter(run):
    code = (
        "import subprocess as s, sys\nprint(s.check_output([sys.executable, '-c', 'import numpy; print(7)']))"
    )
    result = await run(code)
    assert result.ok and result.stdout == "b'7\\n'\n", result


async def test_gradient_boosting_and_neural_networks_do_not_hang_or_complain(run):
    code = """
from sklearn.datasets import make_classification
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.neural_network import MLPClassifier
X, y = make_classification(2000, random_state=0)
HistGradientBoostingClassifier(max_iter=5).fit(X, y)
MLPClassifier((8,), max_iter=3000).fit(X[:100], y[:100])
"""
    result = await run(code, timeout_s=20)
    assert result.ok and result.stderr == "", result


async def test_cancelling_kills_within_a_second(session: Session, task):
    running = asyncio.create_task(session.run("while True: pass", task.public, Limits()))
    await asyncio.sleep(0.3)
    started = time.monotonic()
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert time.monotonic() - started < 1
    assert (await session.run("print(1)", task.public, Limits())).ok  # it is free again


async def test_closing_kills_what_runs(sandbox: Sandbox, task):
    session = await sandbox.session()
    running = asyncio.create_task(session.run("while True: pass", task.public, Limits()))
    await asyncio.sleep(0.2)
    await session.close()
    await session.close()
    assert (await running).status is Status.KILLED
    with pytest.raises(SandboxError):
        await session.run("", task.public, Limits())


async def test_closing_ends_what_waits_for_its_turn(sandbox: Sandbox, task):
    busy = [await sandbox.session(task.public) for _ in range(8)]
    running = [asyncio.create_task(one.run("while True: pass", task.public, Limits())) for one in busy]
    await asyncio.sleep(0.5)
    for session in reversed(busy):
        await session.close()
    results = await asyncio.wait_for(asyncio.gather(*running), 10)
    assert [result.status for result in results] == [Status.KILLED] * 8


async def test_one_thing_at_a_time_in_a_session(session: Session, task):
    running = asyncio.create_task(session.run("import time; time.sleep(0.3)", task.public, Limits()))
    await asyncio.sleep(0.1)
    with pytest.raises(RuntimeError, match="running"):
        await session.run("", task.public, Limits())
    with pytest.raises(RuntimeError, match="running"):
        session.read("x", 1)
    assert (await running).ok
