"""Containers: prepared, watched, replaced, and gone whoever dies."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from mledojo_env.errors import SandboxError, SandboxUnavailable
from mledojo_env.execution_cache import ExecutionCache
from mledojo_env.sandbox import DockerSandbox, DockerSettings, Limits, Status, engine, frames
from mledojo_env.sandbox.cached import CachedSession
from mledojo_env.sandbox.container import Container

PACKAGE_ROOT = str(Path(__file__).resolve().parents[3] / "env")
needs_engine = [pytest.mark.docker, pytest.mark.usefixtures("engine_with_image")]


@pytest.fixture
def client() -> Iterator[Any]:
    client = engine.connect()
    yield client
    client.close()


@pytest.fixture
def bare() -> Iterator[DockerSandbox]:
    """A sandbox whose containers start fast and none of which is made ahead."""
    with DockerSandbox(DockerSettings(pool_size=0), preload=False) as sandbox:
        yield sandbox


def containers_of(client: Any, sandbox: DockerSandbox) -> list[Any]:
    run = sandbox._labels["mledojo.sandbox"]
    # Without `ignore_removed`, one that goes while the SDK looks at each of them is an error.
    return client.containers.list(all=True, ignore_removed=True, filters={"label": f"mledojo.sandbox={run}"})


async def ask_twice(sandbox: DockerSandbox, task: Any) -> None:
    """Open two sessions, upon which the pool expects more of their kind."""
    for _ in range(2):
        await (await sandbox.session(task.public)).run("", task.public, Limits())


def open_descriptors(pid: int) -> int:
    return len(os.listdir(f"/proc/{pid}/fd"))


def resident_kb(pid: int) -> int:
    status = Path(f"/proc/{pid}/status").read_text()
    return int(status.partition("VmRSS:")[2].split()[0])


async def until(condition: Any, within_s: float = 15.0) -> None:
    deadline = time.monotonic() + within_s
    while not await asyncio.to_thread(condition):
        assert time.monotonic() < deadline, "it did not happen"
        await asyncio.sleep(0.05)


class TestWithAnEngine:
    pytestmark = needs_engine

    async def test_the_usual_stack_is_warm(self, task):
        code = "import sys\nprint('sklearn.linear_model' in sys.modules, 'pandas' in sys.modules)"
        with DockerSandbox(DockerSettings(pool_size=0)) as sandbox:
            session = await sandbox.session(task.public)
            result = await session.run(code, task.public, Limits())
            assert result.ok and result.stdout == "True True\n", result

    async def test_how_a_container_is_confined(self, bare: DockerSandbox, task, client):
        session = await bare.session(task.public)
        code = """
import os
status = dict(line.split(":\\t", 1) for line in open("/proc/self/status").read().splitlines())
print([status[name] for name in ("CapEff", "CapBnd", "NoNewPrivs", "Seccomp")], os.getuid() >= 2**30)
"""
        result = await session.run(code, task.public, Limits(memory_mb=300, processes=20))
        zero = "0" * 16
        assert result.stdout == f"{[zero, zero, '1', '2']} True\n", result
        (container,) = containers_of(client, bare)
        host = container.attrs["HostConfig"]
        assert host["ReadonlyRootfs"] and host["NetworkMode"] == "none" and host["CapDrop"] == ["ALL"]
        assert host["SecurityOpt"] == ["no-new-privileges:true"] and not host["Privileged"]
        assert 300 <= host["Memory"] / 2**20 < 600 and host["PidsLimit"] == 21
        mounts = [(mount["Source"], mount["RW"]) for mount in container.attrs["Mounts"]]
        assert mounts == [(str(task.public), False)]

    async def test_sessions_from_the_pool(self, task):
        with DockerSandbox(DockerSettings(pool_size=2), preload=False) as sandbox:
            await ask_twice(sandbox, task)
            await until(lambda: sandbox._pool.warm_count() == 2)
            warm = list(sandbox._pool._warm)
            session = await sandbox.session(task.public)
            assert (await session.run("print(1)", task.public, Limits())).ok
            assert session._present() in warm
            await until(lambda: sandbox._pool.warm_count() == 2)

    async def test_a_dead_container_in_the_pool_is_replaced(self, task, client):
        with DockerSandbox(DockerSettings(pool_size=1), preload=False) as sandbox:
            await ask_twice(sandbox, task)
            await until(lambda: sandbox._pool.warm_count() == 1)
            (warm,) = sandbox._pool._warm
            client.api.kill(warm.id)
            await until(lambda: not warm.is_alive)
            session = await sandbox.session(task.public)
            assert (await session.run("print(1)", task.public, Limits())).stdout == "1\n"

    async def test_a_paused_container_in_the_pool_is_replaced(self, task, client):
        with DockerSandbox(DockerSettings(pool_size=1), preload=False) as sandbox:
            await ask_twice(sandbox, task)
            await until(lambda: sandbox._pool.warm_count() == 1)
            client.api.pause(sandbox._pool._warm[0].id)
            session = await sandbox.session(task.public)
            assert (await session.run("print(1)", task.public, Limits())).stdout == "1\n"

    async def test_a_container_killed_under_a_run_is_ours(self, bare: DockerSandbox, task, client):
        session = await bare.session(task.public)
        await session.run("open('x', 'w')", task.public, Limits())
        running = asyncio.create_task(session.run("import time; time.sleep(60)", task.public, Limits()))
        await asyncio.sleep(0.3)
        (container,) = containers_of(client, bare)
        client.api.kill(container.id)
        with pytest.raises(SandboxError, match="died"):
            await running
        with pytest.raises(SandboxError):  # its files are gone: nobody may think that they are not
            await session.run("print(open('x'))", task.public, Limits())
        await session.close()
        fresh = await bare.session(task.public)
        assert (await fresh.run("print(1)", task.public, Limits())).ok

    async def test_closing_a_session_removes_its_container(self, bare: DockerSandbox, task, client):
        session = await bare.session(task.public)
        await session.run("", task.public, Limits())
        assert len(containers_of(client, bare)) == 1
        await session.close()
        await session.close()
        await until(lambda: containers_of(client, bare) == [])

    async def test_closing_the_sandbox_is_final(self, task, client):
        sandbox = DockerSandbox(DockerSettings(pool_size=1), preload=False)
        session = await sandbox.session(task.public)
        running = asyncio.create_task(session.run("while True: pass", task.public, Limits()))
        await until(lambda: session._request is not None)
        await asyncio.to_thread(sandbox.close)
        sandbox.close()
        with pytest.raises(SandboxError):
            await running
        with pytest.raises(SandboxError, match="closed"):
            await sandbox.session()
        assert containers_of(client, sandbox) == []

    async def test_a_run_with_other_data_keeps_the_files(self, bare: DockerSandbox, task, tmp_path: Path):
        os.chmod(tmp_path, 0o755)
        (tmp_path / "sample.csv").write_text("id\n7\n")
        session = await bare.session(task.public)
        write = "import os\nos.makedirs('d/e')\nopen('d/e/x', 'w').write('kept')\nos.symlink('d', 'l')"
        await session.run(write, task.public, Limits())
        code = "import os; print(os.listdir('/data'), open('l/e/x').read())"
        other = await session.run(code, tmp_path, Limits())
        assert other.stdout == "['sample.csv'] kept\n", other
        back = await session.run(code, task.public, Limits(disk_mb=8))
        assert back.stdout == "['train.csv'] kept\n", back
        full = await session.run("open('y', 'wb').write(bytes(9 * 2**20))", task.public, Limits(disk_mb=8))
        assert full.status is Status.OUT_OF_DISK

    async def test_an_engine_that_does_not_see_our_files_gets_copies(self, task, client):
        with DockerSandbox(DockerSettings(pool_size=0, copy_data=True), preload=False) as sandbox:
            session = await sandbox.session(task.public)
            result = await session.run("print(open('/data/train.csv').read())", task.public, Limits())
            assert result.stdout.startswith("id,target\n"), result
            result = await session.run("open('/data/x', 'w')", task.public, Limits())
            assert result.status is Status.ERROR
            (container,) = containers_of(client, sandbox)
            assert [mount["Type"] for mount in container.attrs["Mounts"]] == ["volume"]
            run = sandbox._labels["mledojo.sandbox"]
        assert client.volumes.list(filters={"label": f"mledojo.sandbox={run}"}) == []

    async def test_starving_the_fork_server_is_the_scripts_own_failure(self, bare: DockerSandbox, task):
        code = """
import os, resource
tries = [lambda: os.kill(1, 9), lambda: os.kill(1, 19), lambda: os.setpriority(os.PRIO_PROCESS, 1, 19)]
tries += [lambda: resource.prlimit(1, resource.RLIMIT_NOFILE, (0, 0))]
tries += [lambda: os.sched_setscheduler(1, os.SCHED_IDLE, os.sched_param(0))]
tries += [lambda: open("/proc/1/oom_score_adj", "w"), lambda: open("/proc/self/oom_score_adj", "w")]
tries += [lambda: os.listdir("/proc/1/fd"), lambda: open("/proc/1/mem"), lambda: open("/proc/1/maps").read()]
for number, attempt in enumerate(tries):
    try: attempt(); print("DID", number)
    except OSError: pass
"""
        session = await bare.session(task.public)
        assert (await session.run(code, task.public, Limits())).stdout in ("", "DID 0\nDID 1\n")
        assert (await session.run("print(1)", task.public, Limits())).stdout == "1\n"

    def test_what_a_killed_owner_left_is_reaped(self, task, client, tmp_path: Path):
        code = """
import asyncio, sys
from pathlib import Path
from mledojo_env.sandbox import DockerSandbox, DockerSettings, Limits
async def main():
    sandbox = DockerSandbox(DockerSettings(pool_size=1, copy_data=True), preload=False)
    session = await sandbox.session(Path(sys.argv[1]))
    await session.run("", Path(sys.argv[1]), Limits())
    print(sandbox._labels["mledojo.sandbox"], flush=True)
    await session.run("import time; time.sleep(60)", Path(sys.argv[1]), Limits())
asyncio.run(main())
"""
        environment = {**os.environ, "PYTHONPATH": PACKAGE_ROOT}
        command = [sys.executable, "-c", code, str(task.public)]
        with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True) as owner:
            assert owner.stdout is not None
            label = {"label": f"mledojo.sandbox={owner.stdout.readline().strip()}"}
            assert client.containers.list(ignore_removed=True, filters=label)
            assert engine.reap(client, engine.Owner.of_this_process()) == []  # it lives
            owner.send_signal(signal.SIGKILL)
        deadline = time.monotonic() + 10
        while client.containers.list(ignore_removed=True, filters=label) and time.monotonic() < deadline:
            time.sleep(0.05)
        assert client.containers.list(ignore_removed=True, filters=label) == []  # they end with their stream
        assert engine.reap(client, engine.Owner.of_this_process())
        assert client.containers.list(all=True, ignore_removed=True, filters=label) == []
        assert client.volumes.list(filters=label) == []

    async def test_nothing_grows_over_two_hundred_executions(self, bare: DockerSandbox, task, client):
        session = await bare.session(task.public)

        async def burst(count: int) -> None:
            for i in range(count):
                code = f"open('x', 'w').write('y' * 100_000)\nprint('z' * 100_000)\nassert {i} % 10"
                result = await session.run(code, task.public, Limits(timeout_s=5))
                assert result.status in (Status.OK, Status.ERROR), result

        await burst(20)
        (container,) = containers_of(client, bare)
        server = container.attrs["State"]["Pid"]
        if not engine.is_local(client):
            pytest.skip("the engine runs on another machine")
        pids = (os.getpid(), server)
        before = [(open_descriptors(pid), resident_kb(pid)) for pid in pids]
        await burst(180)
        for pid, (descriptors, memory_kb) in zip(pids, before, strict=True):
            assert open_descriptors(pid) == descriptors
            assert resident_kb(pid) - memory_kb < 1500

    async def test_sessions_leave_nothing_behind(self, task, client):
        threads = len(os.listdir("/proc/self/task"))
        with DockerSandbox(DockerSettings(pool_size=1), preload=False) as sandbox:
            for number in range(6):
                session = await sandbox.session(task.public)
                await session.run("", task.public, Limits())
                if number % 2:
                    client.api.kill(session._coming.result().id)
                await session.close()
            await until(lambda: len(containers_of(client, sandbox)) <= 1)
        assert containers_of(client, sandbox) == []
        await until(lambda: len(os.listdir("/proc/self/task")) <= threads + 6)  # asyncio keeps a few

    async def test_an_image_that_is_not_there(self):
        with (
            DockerSandbox(DockerSettings(image="absent:1")) as sandbox,
            pytest.raises(SandboxUnavailable, match=r"build\.py"),
        ):
            await sandbox.session()


@contextlib.contextmanager
def engine_that_can_hang(folder: Path) -> Iterator[tuple[str, threading.Event]]:
    """Pass connections on to the engine; once the event is set, accept them and answer nothing."""
    hangs = threading.Event()
    behind = os.environ.get("DOCKER_HOST", "unix:///var/run/docker.sock").removeprefix("unix://")

    def copy(source: socket.socket, target: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(2**16):
                if not hangs.is_set():
                    target.sendall(data)
            target.shutdown(socket.SHUT_WR)

    def serve() -> None:
        with contextlib.suppress(OSError), contextlib.ExitStack() as opened:
            while True:
                near = opened.enter_context(listener.accept()[0])
                far = opened.enter_context(socket.socket(socket.AF_UNIX))
                far.connect(behind)
                for pair in ((near, far), (far, near)):
                    threading.Thread(target=copy, args=pair, daemon=True).start()

    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(folder / "engine.sock"))
        listener.listen()
        threading.Thread(target=serve, daemon=True).start()
        yield f"unix://{folder}/engine.sock", hangs
        listener.shutdown(socket.SHUT_RDWR)


@pytest.mark.docker
@pytest.mark.docker
@pytest.mark.usefixtures("engine_with_image")
async def test_a_container_can_be_cached_by_its_image(bare: DockerSandbox, tmp_path: Path, task, client):
    """Files that were served from the cache are restored in a container as anywhere else."""
    assert client.images.get(bare.settings.image).id in bare.fingerprint
    cache = ExecutionCache(tmp_path)
    for place in range(2):
        session = CachedSession(
            lambda: bare.session(task.public), cache, bare.fingerprint, {task.public: "public"}
        )
        await session.run("import os\nos.makedirs('a')\nopen('a/b', 'w').write('c')", task.public, Limits())
        code = f"print(open('a/b').read())\n# {place}"  # the second time another script, which has to run
        assert (await session.run(code, task.public, Limits())).stdout == "c\n"
        await session.close()
    assert (cache.stats.hits, cache.stats.misses) == (1, 3)
    cache.close()


@pytest.mark.usefixtures("engine_with_image")
async def test_an_engine_that_stops_answering_is_explained(monkeypatch, tmp_path: Path, task, client):
    if not engine.is_local(client):
        pytest.skip("the engine runs on another machine")
    monkeypatch.setattr(engine, "_REQUEST_TIMEOUT_S", 3)
    with (
        engine_that_can_hang(tmp_path) as (url, hangs),
        DockerSandbox(DockerSettings(pool_size=0, base_url=url), preload=False) as sandbox,
    ):
        session = await sandbox.session(task.public)
        assert (await session.run("", task.public, Limits())).ok
        hangs.set()
        started = time.monotonic()
        with pytest.raises(SandboxError, match=r"could not set a container's limits: .*timed out"):
            await session.run("", task.public, Limits(memory_mb=300))
        with pytest.raises(SandboxError, match=r"could not make a container: .*timed out"):
            await (await sandbox.session()).run("", task.public, Limits())
        with pytest.raises(SandboxUnavailable, match=r"No Docker engine answers at .*timed out"):
            engine.connect(url)
        sandbox.close()
        assert time.monotonic() - started < 20
    for container in containers_of(client, sandbox):
        container.remove(force=True)


async def test_no_engine_is_explained(monkeypatch, tmp_path: Path):
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/absent.sock")
    with pytest.raises(SandboxUnavailable, match=r"at unix://.*absent\.sock: No such file or directory\."):
        await DockerSandbox().session()
    facts = engine.facts()
    assert [fact.ok for fact in facts] == [False] and facts[0].fix


def test_settings_that_make_no_sense():
    with pytest.raises(ValueError, match="pool_size"):
        DockerSettings(pool_size=-1)
    with pytest.raises(ValueError, match="gpus"):
        DockerSettings(gpus="some")


def test_whose_owner_is_dead():
    me = engine.Owner.of_this_process()
    mine = me.labels("x")
    assert not me.is_dead(mine)
    assert me.is_dead({**mine, "mledojo.started": "1"})
    assert me.is_dead({**mine, "mledojo.pid": "4194305"})
    assert me.is_dead({**mine, "mledojo.boot": "another"})
    assert not me.is_dead({**mine, "mledojo.boot": "another", "mledojo.host": "elsewhere"})
    assert not me.is_dead({**mine, "mledojo.pid": "4194305", "mledojo.namespace": "7"})


def test_frames_arrive_whole_in_whatever_pieces():
    sent = [({"op": "a"}, b""), ({"op": "b", "n": 1}, b"x" * 300), ({"op": "c"}, b"\0")]
    data = b"".join(frames.pack(*frame) for frame in sent)
    for size in (1, 3, 7, 1000):
        reader = frames.Reader(1000)
        found = [frame for at in range(0, len(data), size) for frame in reader.feed(data[at : at + size])]
        assert found == sent


@pytest.mark.parametrize(
    "data",
    [
        frames.pack({}, b"x" * 1001),
        b"\xff" * 8,
        frames.pack({})[:8] + b"[]",
        b"\0\0\0\2\0\0\0\0" + b"x}",
        json.dumps({"op": "ready"}).encode(),
    ],
)
def test_what_is_no_frame_breaks_the_stream(data: bytes):
    with pytest.raises(frames.BrokenStream):
        list(frames.Reader(1000).feed(data))


def test_a_container_is_told_from_its_copy():
    assert Container.__hash__ is object.__hash__  # pools keep them in sets, by identity
