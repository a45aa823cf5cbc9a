"""A cached session behaves as the one behind it, and does not run twice what it has seen."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest

from mledojo_env.errors import InvalidSubmission
from mledojo_env.execution_cache import ExecutionCache
from mledojo_env.sandbox.base import ExecutionResult, Limits, Session, Status
from mledojo_env.sandbox.cached import CachedSession
from mledojo_env.sandbox.local import LocalSandbox

WRITE = "open('model.txt', 'w').write('weights')\nopen('submission.csv', 'w').write('id,y\\n1,2\\n')"
READ = "print(open('model.txt').read())"


class Counted:
    """A sandbox whose real runs are counted."""

    def __init__(self, sandbox: LocalSandbox) -> None:
        self.sandbox, self.runs, self.sessions = sandbox, [], 0

    async def session(self) -> Session:
        self.sessions += 1
        session: Any = await self.sandbox.session()
        run = session.run

        async def counted(code: str, *given: Any, **named: Any) -> ExecutionResult:
            self.runs.append(code)
            return await run(code, *given, **named)

        session.run = counted
        return session


@pytest.fixture(scope="module")
def local() -> Any:
    with LocalSandbox() as made:
        yield made


@pytest.fixture
def sandbox(local: LocalSandbox) -> Counted:
    return Counted(local)


@pytest.fixture
def data(tmp_path: Path) -> Path:
    folder = tmp_path / "data"
    folder.mkdir()
    (folder / "train.csv").write_text("x\n1\n")
    return folder


@pytest.fixture
def cache(tmp_path: Path) -> Any:
    made = ExecutionCache(tmp_path / "cache")
    yield made
    made.close()


@pytest.fixture
async def opened(
    sandbox: Counted, cache: ExecutionCache, data: Path
) -> AsyncIterator[Callable[..., CachedSession]]:
    made: list[CachedSession] = []

    def open_one(content: str = "abc", fingerprint: str = "here") -> CachedSession:
        made.append(CachedSession(sandbox.session, cache, fingerprint, {data: content}))
        return made[-1]

    yield open_one
    for session in made:
        await session.close()


async def run(session: Session, code: str, data: Path, **named: Any) -> ExecutionResult:
    return await session.run(code, data, named.pop("limits", Limits()), **named)


async def test_equal_code_runs_once_and_says_the_same(opened, sandbox, data, cache):
    first = await run(opened(), "print('hello')", data)
    second = await run(opened(), "print('hello')", data)
    assert first == second
    assert first.stdout == "hello\n"
    assert (len(sandbox.runs), sandbox.sessions) == (1, 1), "the second opened no session"
    assert (cache.stats.hits, cache.stats.misses, cache.stats.saved_s) == (1, 1, first.wall_s)


async def test_equal_code_at_the_same_time_runs_once(opened, sandbox, data):
    code = "import time\ntime.sleep(0.5)\nprint(1)"
    results = await asyncio.gather(*(run(opened(), code, data) for _ in range(4)))
    assert {result.stdout for result in results} == {"1\n"}
    assert len(sandbox.runs) == 1


async def test_whatever_differs_is_run(opened, sandbox, data):
    code = "print(1)"
    await run(opened(), code, data)
    await run(opened(), f"{code} ", data)
    await run(opened(), code, data, seed=1)
    await run(opened(), code, data, limits=Limits(memory_mb=1000))
    await run(opened(content="other"), code, data)
    await run(opened(fingerprint="there"), code, data)
    assert len(sandbox.runs) == 6
    await run(opened(), code, data, limits=Limits(timeout_s=30))
    assert len(sandbox.runs) == 6, "it ended by itself, well within both limits"


async def test_files_of_a_served_run_are_there_for_one_that_runs(opened, sandbox, data):
    await run(opened(), WRITE, data)
    session = opened()
    served = await run(session, WRITE, data)
    assert set(served.files) == {"model.txt", "submission.csv"}
    assert session.read("submission.csv", 100) == b"id,y\n1,2\n"
    session.remove("submission.csv")
    read = await run(session, READ, data)
    assert (read.stdout, set(read.files)) == ("weights\n", {"model.txt"})
    assert sandbox.runs[0] == WRITE and sandbox.runs[-1] == READ
    assert len(sandbox.runs) == 3, "the one between restored the file"
    again = opened()
    await run(again, WRITE, data)
    again.remove("submission.csv")
    assert (await run(again, READ, data)).stdout == "weights\n"
    assert len(sandbox.runs) == 3


async def test_files_are_part_of_what_a_script_depends_on(opened, sandbox, data):
    for text in ("one", "two", "one"):
        session = opened()
        await run(session, f"open('model.txt', 'w').write('{text}')", data)
        assert (await run(session, READ, data)).stdout == f"{text}\n"
    assert len(sandbox.runs) == 4


async def test_large_files_and_folders_are_restored_in_pieces(opened, data):
    code = (
        "import os, random\nrandom.seed(0)\nos.makedirs('a/b')\n"
        "open('a/b/big', 'wb').write(random.randbytes(1_500_000))\nopen('empty', 'w')"
    )
    check = (
        "import hashlib, os\nprint(hashlib.md5(open('a/b/big', 'rb').read()).hexdigest())\n"
        "print(os.stat('empty').st_size)"
    )
    whole = opened()
    await run(whole, code, data)
    expected = (await run(whole, check + " ", data)).stdout
    served = opened()
    await run(served, code, data)
    assert (await run(served, check, data)).stdout == expected


async def test_errors_are_kept_with_their_traceback(opened, sandbox, data):
    first, second = [await run(opened(), "def f():\n    return 1 / 0\nf()", data) for _ in range(2)]
    assert first == second and first.status is Status.ERROR
    assert first.error_class == "ZeroDivisionError" and "return 1 / 0" in first.traceback
    assert len(sandbox.runs) == 1


@pytest.mark.parametrize(
    ("code", "limits", "status"),
    [
        ("while True: pass", Limits(timeout_s=0.3), Status.TIMEOUT),
        ("x = bytearray(2**31)", Limits(memory_mb=200), Status.OUT_OF_MEMORY),
    ],
)
async def test_what_may_end_otherwise_is_run_again(opened, sandbox, data, code, limits, status):
    for _ in range(2):
        assert (await run(opened(), code, data, limits=limits)).status is status
    assert len(sandbox.runs) == 2


async def test_a_result_that_took_longer_than_the_limit_allows_is_not_served(opened, sandbox, data):
    code = "import time\ntime.sleep(0.6)"
    await run(opened(), code, data)
    assert (await run(opened(), code, data, limits=Limits(timeout_s=0.3))).status is Status.TIMEOUT


@pytest.mark.parametrize(
    "hide",
    [
        "import os\nos.symlink('/etc/passwd', 'link')",
        "import os\nos.mkdir('empty')",
        "for i in range(150): open(f'f{i}', 'w')",
        "open('big', 'wb').write(bytes(9_000_000))",
    ],
)
async def test_a_directory_that_cannot_be_seen_whole_is_not_cached_until_it_is_cleared(
    opened, sandbox, data, hide
):
    session = opened()
    for _ in range(2):
        await run(session, hide, data)
        session.clear()
    assert len(sandbox.runs) == 2
    await run(session, hide, data)
    await run(session, "print(1)", data)
    await run(opened(), "print(1)", data)
    assert len(sandbox.runs) == 5
    session.clear()
    assert (await run(session, "print(1)", data)).stdout == "1\n"
    assert len(sandbox.runs) == 5


async def test_a_cancelled_run_leaves_the_directory_unknown(opened, sandbox, data):
    session = opened()
    running = asyncio.create_task(run(session, "open('x', 'w')\nimport time\ntime.sleep(60)", data))
    await asyncio.sleep(1)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert (await run(session, "import os\nprint(os.listdir('.'))", data)).stdout == "['x']\n"


async def test_a_waiting_run_goes_on_when_the_one_it_waits_for_is_cancelled(opened, sandbox, data):
    code = "import time\ntime.sleep(1)\nprint(1)"
    first = asyncio.create_task(run(opened(), code, data))
    await asyncio.sleep(0.2)
    second = asyncio.create_task(run(opened(), code, data))
    await asyncio.sleep(0.2)
    first.cancel()
    assert (await second).stdout == "1\n"


async def test_reading_and_removing_are_as_without_a_cache(opened, data):
    await run(opened(), WRITE + "\nimport os\nos.makedirs('d')\nopen('d/e', 'w')", data)
    session = opened()
    await run(session, WRITE + "\nimport os\nos.makedirs('d')\nopen('d/e', 'w')", data)
    with pytest.raises(FileNotFoundError):
        session.read("nothing", 100)
    with pytest.raises(InvalidSubmission, match="at most 3"):
        session.read("submission.csv", 3)
    with pytest.raises(InvalidSubmission, match="directory"):
        session.read("d", 100)
    session.remove("d")
    session.remove("nothing")
    with pytest.raises(FileNotFoundError):
        session.read("d/e", 100)
    session.clear()
    with pytest.raises(FileNotFoundError):
        session.read("submission.csv", 100)


async def test_a_refused_script_leaves_everything_as_it_is(opened, sandbox, data):
    session = opened()
    await run(session, WRITE, data)
    assert (await run(session, "\0", data)).status is Status.REFUSED
    assert session.read("model.txt", 100) == b"weights"
