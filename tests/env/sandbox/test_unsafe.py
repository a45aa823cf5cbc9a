"""What holds where code is run without isolation, at its user's word."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest

from mledojo_env.errors import InvalidSubmission, SandboxError
from mledojo_env.sandbox import ExecutionResult, Limits, Session, Status, UnsafeSandbox, landlock, seccomp
from mledojo_env.sandbox.unsafe import describe_protections

PACKAGE_ROOT = str(Path(__file__).resolve().parents[3] / "env")


@pytest.fixture(scope="module")
def unsafe() -> Iterator[UnsafeSandbox]:
    with UnsafeSandbox() as sandbox:
        yield sandbox


@pytest.fixture
async def session(unsafe: UnsafeSandbox) -> AsyncIterator[Session]:
    session = await unsafe.session()
    yield session
    await session.close()


@pytest.fixture
def run(session: Session, task: Any) -> Any:
    async def run(code: str, **limits: Any) -> ExecutionResult:
        return await session.run(code, task.public, Limits(**{"timeout_s": 20.0, **limits}), seed=1)

    return run


def folders() -> list[str]:
    return [
        name
        for name in os.listdir(tempfile.gettempdir())
        if name.startswith(f"mledojo-unsafe-{os.getpid()}-")
    ]


async def test_a_pipeline(run, session):
    code = """
import pandas as pd
from sklearn.linear_model import LogisticRegression
train = pd.read_csv("/data/train.csv")
model = LogisticRegression().fit(train[["id"]], train["target"])
pd.DataFrame({"id": train["id"], "p": 0.5}).to_csv("/work/submission.csv", index=False)
open("/tmp/x", "w").write("scratch")
print("done")
"""
    result = await run(code)
    assert result.ok and result.stdout == "done\n" and list(result.files) == ["submission.csv"], result
    assert session.read("submission.csv", 1000).startswith(b"id,p")
    assert (await run("import os; print(os.listdir('/work'), os.path.exists('/tmp/x'))")).stdout == (
        "['submission.csv'] False\n"
    )


async def test_what_the_agent_sees_names_no_path_of_the_machine(run):
    result = await run("import os\nprint(os.getcwd())\nopen('/data/absent')")
    assert result.stdout == "/work\n" and "mledojo-unsafe" not in str(result)
    assert result.error_class == "FileNotFoundError" and "'/data/absent'" in result.message


@pytest.mark.parametrize(
    ("code", "limits", "status"),
    [
        ("1 / 0", {}, Status.ERROR),
        ("print(1)\0", {}, Status.REFUSED),
        ("while True: pass", {"timeout_s": 0.5}, Status.TIMEOUT),
        ("import os\nos.fork()\nwhile True: pass", {"cpu_s": 0.5}, Status.TIMEOUT),
        ("x = bytearray(2**30)", {"memory_mb": 200}, Status.OUT_OF_MEMORY),
        (
            "import os, time\n[os.fork() for _ in range(3)]\nx = b'x' * 2**26\ntime.sleep(3)",
            {"memory_mb": 200},
            Status.OUT_OF_MEMORY,
        ),
        ("while True: print('x' * 999)", {"output_kb": 64}, Status.OUTPUT_TRUNCATED),
        ("open('x', 'wb').write(bytes(2**22))", {"file_mb": 2}, Status.OUT_OF_DISK),
        (
            "import time\nfor i in range(40): open(f'{i}', 'wb').write(bytes(2**20))\ntime.sleep(3)",
            {"disk_mb": 16},
            Status.OUT_OF_DISK,
        ),
        (
            "import threading as t, time\nfor _ in range(40): t.Thread(target=time.sleep, args=[3]).start()",
            {"processes": 10},
            Status.TOO_MANY_PROCESSES,
        ),
        ("import os; os.kill(os.getpid(), 9)", {}, Status.KILLED),
    ],
)
async def test_statuses(run, code: str, limits: dict[str, Any], status: Status):
    result = await run(code, **limits)
    assert result.status is status, result
    assert (result.message == "") == result.ok
    assert (await run("print(1)")).stdout == "1\n"


@pytest.mark.skipif(not landlock.abi_version(), reason="this kernel has no Landlock")
async def test_the_answers_are_out_of_reach(run, task):
    # Not as text, in which /tmp would be taken for the script's own.
    result = await run(f"print(open(bytes.fromhex({str(task.answers).encode().hex()!r})).read())")
    assert result.error_class == "PermissionError" and task.secret not in str(result)
    assert (await run("import mledojo_env")).error_class == "ModuleNotFoundError"
    assert (await run("open('/data/x', 'w')")).error_class == "PermissionError"


@pytest.mark.skipif(not seccomp.is_supported(), reason="this machine has no system call filter")
async def test_no_network_and_no_secret(run, monkeypatch):
    monkeypatch.setenv("HF_TOKEN", "hf_secret")
    assert (await run("import socket; socket.socket()")).error_class == "OSError"
    assert (await run("import os; print(any('hf_' in v for v in os.environ.values()))")).stdout == "False\n"


@pytest.mark.parametrize("ending", ["", "\nwhile True: pass"])
async def test_daemons_are_found_and_killed(run, ending: str):
    code = """
import os, time
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        open("pid", "w").write(str(os.getpid()))
        time.sleep(600)
    os._exit(0)
while not os.path.exists("pid") or not open("pid").read(): time.sleep(0.01)
print(open("pid").read())
"""
    result = await run(code + ending, timeout_s=2)
    assert result.stdout.strip().isdigit() and result.stdout.strip() not in os.listdir("/proc"), result


async def test_cancelling_and_closing(unsafe, task):
    session = await unsafe.session()
    running = asyncio.create_task(session.run("while True: pass", task.public, Limits()))
    await asyncio.sleep(0.3)
    started = time.monotonic()
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert time.monotonic() - started < 1
    assert (await session.run("print(1)", task.public, Limits())).ok
    running = asyncio.create_task(session.run("while True: pass", task.public, Limits()))
    await asyncio.sleep(0.3)
    await session.close()
    assert (await running).status is Status.KILLED
    with pytest.raises(SandboxError):
        await session.run("", task.public, Limits())


@pytest.mark.parametrize("after_s", [0.0, 0.01, 0.05])
async def test_closing_before_the_script_has_begun(unsafe, task, after_s: float):
    session = await unsafe.session()
    running = asyncio.create_task(session.run("open('/work/begun', 'w')", task.public, Limits()))
    await asyncio.sleep(after_s)
    await session.close()
    assert (await running).status is Status.KILLED


async def test_submissions_that_are_links(run, session):
    await run("import os; os.symlink('/etc/passwd', 'submission.csv')")
    with pytest.raises(InvalidSubmission):
        session.read("submission.csv", 10_000)


def test_nothing_is_left(task):
    async def use(sandbox: UnsafeSandbox) -> None:
        session = await sandbox.session()
        assert (await session.run("open('x', 'w')", task.public, Limits())).ok

    before = folders()
    with UnsafeSandbox() as sandbox:
        asyncio.run(use(sandbox))
        assert len(folders()) == len(before) + 1
    assert folders() == before


def test_a_killed_owner_leaves_no_process_and_the_next_one_sweeps(task, tmp_path: Path):
    code = """
import asyncio, sys
from pathlib import Path
from mledojo_env.sandbox import Limits, UnsafeSandbox
async def main():
    session = await UnsafeSandbox().session()
    script = "import os, time\\nopen('/work/pid', 'w').write(str(os.getpid()))\\ntime.sleep(600)"
    running = asyncio.create_task(session.run(script, Path(sys.argv[1]), Limits(timeout_s=600)))
    pid = session._work / "pid"
    while not pid.exists() or not pid.read_text(): await asyncio.sleep(0.01)
    print(pid.read_text(), session._folder.parent, flush=True)
    await running
asyncio.run(main())
"""
    command = [sys.executable, "-c", code, str(task.public)]
    with subprocess.Popen(
        command, env={**os.environ, "PYTHONPATH": PACKAGE_ROOT}, stdout=subprocess.PIPE, text=True
    ) as owner:
        assert owner.stdout is not None
        pid, folder = owner.stdout.readline().split()
        owner.send_signal(signal.SIGKILL)
    deadline = time.monotonic() + 5
    while os.path.exists(f"/proc/{pid}") and time.monotonic() < deadline:
        time.sleep(0.02)
    assert not os.path.exists(f"/proc/{pid}")
    with UnsafeSandbox() as sandbox:
        asyncio.run(sandbox.session())
        assert not os.path.exists(folder)


def test_what_is_missing_is_said():
    line = describe_protections()
    assert line.startswith("UNSAFE sandbox: no namespaces") and "\n" not in line
