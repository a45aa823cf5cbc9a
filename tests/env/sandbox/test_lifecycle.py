"""Start, end and accidents: nothing is left behind, whoever dies, and nothing grows."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import subprocess
import sys
import textwrap
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from mledojo_env.errors import SandboxError, SandboxUnavailable
from mledojo_env.sandbox import Limits, LocalSandbox, Session, Status

pytestmark = pytest.mark.usefixtures("isolation")

PACKAGE_ROOT = str(Path(__file__).resolve().parents[3] / "env")


def children_of(pid: int) -> list[int]:
    threads = Path(f"/proc/{pid}/task").glob("*/children")
    return [int(child) for thread in threads for child in thread.read_text().split()]


def launcher_of(owner: int) -> int:
    return next(pid for pid in children_of(owner) if b"launcher" in Path(f"/proc/{pid}/cmdline").read_bytes())


def mounts() -> str:
    """What is mounted on this machine, but for the containers that another test may have."""
    lines = Path("/proc/self/mounts").read_text().splitlines()
    return "\n".join(line for line in lines if "docker" not in line)


@dataclass(frozen=True)
class Footprint:
    """What a process has on this machine: itself and those below it, their control groups, and all mounts."""

    processes: frozenset[int]
    groups: frozenset[Path]
    mounts: str

    @classmethod
    def of(cls, owner: int) -> Footprint:
        processes: list[int] = []
        waiting = [owner]
        while waiting:
            pid = waiting.pop()
            waiting += children_of(pid)
            processes.append(pid)
        groups = [
            group
            for top in Path("/sys/fs/cgroup").glob("*")
            for pid in processes
            for group in top.rglob(f"mledojo-*-{pid}-*")
        ]
        return cls(frozenset(processes), frozenset(groups), mounts())

    def remains(self) -> list[str]:
        """What of it is still there; empty once everything is gone."""
        found = [f"process {pid}" for pid in self.processes if _is_running(pid)]
        found += [str(group) for group in self.groups if group.exists()]
        return found + (["a mount"] if mounts() != self.mounts else [])

    def assert_gone(self, within_s: float = 3.0) -> None:
        deadline = time.monotonic() + within_s
        while self.remains() and time.monotonic() < deadline:
            time.sleep(0.02)
        assert self.remains() == []


def _is_running(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def start_owner(code: str, task: Any, **environment: str) -> subprocess.Popen[bytes]:
    """Start a process that owns a sandbox with two executions in it, and wait until they run."""
    owner = subprocess.Popen(
        [sys.executable, "-c", code, str(task.public)],
        env={**os.environ, "PYTHONPATH": PACKAGE_ROOT, **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    assert owner.stdout is not None and owner.stdout.readline() == b"running\n"
    return owner


OWNER = """
import asyncio, sys
from pathlib import Path
from mledojo_env.sandbox import Limits, LocalSandbox

async def main():
    sandbox = LocalSandbox(packages=(), preload=False)
    sessions = [await sandbox.session() for _ in range(2)]
    code = "import os, time\\nos.fork(); os.getpid() > 1 and os.setsid(); time.sleep(60)"
    runs = [asyncio.create_task(s.run(code, Path(sys.argv[1]), Limits())) for s in sessions]
    await asyncio.sleep(0.5)
    print("running", flush=True)
    while not runs[0].done():
        await asyncio.sleep(0.2)  # a Ctrl-C just before asyncio waits is seen when it wakes up
    await asyncio.gather(*runs)

asyncio.run(main())
"""


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT, signal.SIGTERM])
def test_nothing_is_left_of_an_owner_that_was_killed(task, tmp_path: Path, number: signal.Signals):
    with start_owner(OWNER, task, TMPDIR=str(tmp_path)) as owner:
        footprint = Footprint.of(owner.pid)
        assert len(footprint.processes) >= 7  # itself, launcher, fork-server, two executions of two processes
        os.killpg(owner.pid, number)  # as a terminal would
    footprint.assert_gone()
    assert list(tmp_path.iterdir()) == []


def test_a_forked_copy_of_the_owner_keeps_nothing_alive(task):
    code = OWNER.replace("await asyncio.sleep(0.5)", "os.fork() or (time.sleep(4), os._exit(0))")
    with start_owner(code.replace("import asyncio, sys", "import asyncio, os, sys, time"), task) as owner:
        footprint = Footprint.of(launcher_of(owner.pid))
        assert footprint.processes
        owner.kill()
        owner.wait()
        footprint.assert_gone()


async def test_the_next_launcher_sweeps_what_a_killed_one_left(has_cgroups: bool, task):
    if not has_cgroups:
        pytest.skip("needs control groups, which this user may not make")
    with LocalSandbox(packages=(), preload=False) as sandbox:
        session = await sandbox.session()
        running = asyncio.create_task(session.run("import time; time.sleep(60)", task.public, Limits()))
        await asyncio.sleep(0.3)
        footprint = Footprint.of(sandbox._connect().pid)
        os.kill(sandbox._connect().pid, signal.SIGKILL)
        with pytest.raises(SandboxError):
            await running
        assert footprint.groups and all(group.exists() for group in footprint.groups)
        again = await sandbox.session()  # a new launcher
        assert (await again.run("print(1)", task.public, Limits())).ok
        footprint.assert_gone()


async def test_a_dead_fork_server_is_ours_and_is_replaced(task):
    with LocalSandbox(packages=(), preload=False) as sandbox:
        session, idle = await sandbox.session(), await sandbox.session()
        await idle.run("open('x', 'w')", task.public, Limits())
        running = asyncio.create_task(session.run("import time; time.sleep(60)", task.public, Limits()))
        await asyncio.sleep(0.3)
        os.kill(children_of(sandbox._connect().pid)[0], signal.SIGKILL)
        with pytest.raises(SandboxError, match="fork-server died"):
            await running
        with pytest.raises(SandboxError):  # its files are gone: nobody may think that they are not
            await idle.run("print(open('x'))", task.public, Limits())
        await idle.close()
        fresh = await sandbox.session()
        assert (await fresh.run("print(1)", task.public, Limits())).ok


async def test_close_is_final_and_may_be_repeated(task):
    sandbox = LocalSandbox(packages=(), preload=False)
    session = await sandbox.session()
    running = asyncio.create_task(session.run("while True: pass", task.public, Limits()))
    await asyncio.sleep(0.2)
    footprint = Footprint.of(sandbox._connect().pid)
    await asyncio.to_thread(sandbox.close)
    sandbox.close()
    with pytest.raises(SandboxError):
        await running
    with pytest.raises(SandboxError, match="closed"):
        await sandbox.session()
    await session.close()
    footprint.assert_gone()


async def test_closing_a_sandbox_that_never_started_starts_nothing():
    before = children_of(os.getpid())
    LocalSandbox().close()
    assert children_of(os.getpid()) == before


def test_one_session_from_several_event_loops(task):
    with LocalSandbox(packages=(), preload=False) as sandbox:
        session = asyncio.run(sandbox.session())
        for i in range(3):
            result = asyncio.run(session.run(f"print({i})", task.public, Limits()))
            assert result.stdout == f"{i}\n"


async def test_executions_beyond_the_limit_wait_their_turn(task):
    with LocalSandbox(packages=(), preload=False, max_concurrent=2) as sandbox:
        sessions = [await sandbox.session() for _ in range(4)]
        started = time.monotonic()
        code = "import time; time.sleep(1)"
        # The time limit counts from an execution's start, not from when it began to wait.
        runs = [asyncio.create_task(s.run(code, task.public, Limits(timeout_s=1.8))) for s in sessions]
        results = await asyncio.gather(*runs)
        assert all(result.ok for result in results), results
        assert time.monotonic() - started >= 2


async def test_cancelling_what_waits(task):
    with LocalSandbox(packages=(), preload=False, max_concurrent=1) as sandbox:
        first, second = await sandbox.session(), await sandbox.session()
        running = asyncio.create_task(first.run("import time; time.sleep(0.5)", task.public, Limits()))
        waiting = asyncio.create_task(second.run("open('ran', 'w')", task.public, Limits()))
        await asyncio.sleep(0.1)
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        assert (await running).ok
        assert (await second.run("", task.public, Limits())).files == {}


def resident_kb(pid: int) -> int:
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1])
    return 0


def open_descriptors(pid: int) -> int:
    return len(os.listdir(f"/proc/{pid}/fd"))


async def test_nothing_grows_over_three_hundred_executions(task):
    with LocalSandbox(packages=(), preload=False) as sandbox:

        async def burst(count: int) -> None:
            session = await sandbox.session()
            for i in range(count):
                code = f"open('x', 'w').write('y' * 100_000)\nprint('z' * 100_000)\nassert {i} % 10"
                result = await session.run(code, task.public, Limits(timeout_s=5))
                assert result.status in (Status.OK, Status.ERROR)
            await session.close()

        launcher = sandbox._connect().pid
        (server,) = children_of(launcher)
        await burst(30)
        pids = (os.getpid(), launcher, server)
        memory = [resident_kb(pid) for pid in pids]
        descriptors = [open_descriptors(pid) for pid in pids]
        for _ in range(3):
            await burst(90)
        assert [open_descriptors(pid) for pid in pids] == descriptors
        growth = [resident_kb(pid) - kb for pid, kb in zip(pids, memory, strict=True)]
        assert all(kb < 1500 for kb in growth), growth


def test_a_kernel_that_refuses_is_told_from_a_failure():
    """Under a filter that forbids namespaces, the sandbox says what to enable and runs nothing."""
    code = """
        import asyncio
        from mledojo_env.errors import SandboxUnavailable
        from mledojo_env.sandbox import LocalSandbox, seccomp, syscalls
        syscalls.prctl(syscalls.PR_SET_NO_NEW_PRIVS, 1)
        seccomp.install(seccomp.build_filter())
        try: asyncio.run(LocalSandbox(packages=(), preload=False).session())
        except SandboxUnavailable as error: print(error)
    """
    environment = {**os.environ, "PYTHONPATH": PACKAGE_ROOT}
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)], env=environment, capture_output=True, text=True
    )
    assert "does not let us isolate code (unshare" in done.stdout, done.stderr
    assert "To enable it" in done.stdout


async def test_a_package_that_cannot_be_imported_is_a_failure_with_its_text():
    sandbox = LocalSandbox(packages=(), preload=["this", "antigravity.nothing"])
    with sandbox, pytest.raises(SandboxError, match="antigravity") as raised:
        await sandbox.session()
    assert not isinstance(raised.value, SandboxUnavailable)


async def test_sessions_share_their_server(task):
    with LocalSandbox(packages=(), preload=False) as sandbox:
        first: Session = await sandbox.session()
        pid = sandbox._connect().pid
        second = await sandbox.session()
        assert sandbox._connect().pid == pid
        await first.close()
        assert (await second.run("print(1)", task.public, Limits())).ok


async def test_sessions_open_right_after_a_launcher_was_killed(task):
    with LocalSandbox(packages=(), preload=False) as sandbox:
        for _ in range(5):
            await (await sandbox.session()).close()
            os.kill(launcher_of(os.getpid()), signal.SIGKILL)
            session = await sandbox.session()
            assert (await session.run("print(1)", task.public, Limits())).stdout == "1\n"


ON_A_FULL_DISK = """
import asyncio, sys
from pathlib import Path
from mledojo_env.sandbox import Limits, LocalSandbox

async def main():
    with LocalSandbox(packages=(), preload=False) as sandbox:
        session = await sandbox.session()
        code = "open('x', 'w').write('y' * 100_000); print(1)"
        result = await session.run(code, Path(sys.argv[1]), Limits())
        print(result.status, result.stdout, len(session.read("x", 10**6)))

asyncio.run(main())
"""


def test_a_full_disk_of_the_host_is_no_concern(task, tmp_path: Path):
    """What scripts read, write and print stays in memory that their limits count."""
    if os.geteuid() != 0 or shutil.which("unshare") is None:
        pytest.skip("needs root and unshare, to mount a small disk")
    prepare = 'mount -t tmpfs -o size=16k none "$1" && { head -c 20000 /dev/zero >"$1/full" 2>&-; cd "$1"; }'
    command = ["unshare", "-m", "sh", "-c", prepare + ' && shift && exec "$@"', "sh", str(tmp_path)]
    done = subprocess.run(
        [*command, sys.executable, "-c", ON_A_FULL_DISK, str(task.public)],
        env={**os.environ, "PYTHONPATH": PACKAGE_ROOT, "TMPDIR": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.stdout == "ok 1\n 100000\n", done.stderr
