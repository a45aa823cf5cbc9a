"""Thousands of executions with random faults, and then a count of what is left.

    make soak-sandbox

Workers run honest and hostile scripts in sessions of both backends while executions are cancelled, sessions
closed under them, fork-servers, launchers and containers killed outright, and whole owners with all they had.
Every outcome is checked: a fault of the script's must come back as its result, a fault of ours as
SandboxError, and whoever had no fault must be right. In the end no process, mount, control group, namespace,
container, volume, descriptor or file may be left, and memory must not have grown. Exits with 1 otherwise.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mledojo_env import LocalSandbox
from mledojo_env.errors import SandboxError
from mledojo_env.sandbox import DockerSandbox, DockerSettings, ExecutionResult, Limits, Session, engine
from mledojo_env.sandbox import Status as S

HANG_S = 60.0  # longer than anything here may take
MAX_GROWTH_MB = 20.0


@dataclass(frozen=True)
class Script:
    """What is run, and how it may end."""

    name: str
    code: str
    ends: frozenset[S]
    weight: float
    limits: dict[str, Any] = field(default_factory=dict)


def _script(name: str, code: str, *ends: S, weight: float = 1.0, **limits: Any) -> Script:
    return Script(name, code, frozenset(ends), weight, limits)


HONEST = _script(
    "honest",
    """
import os, numpy as np
count = int(open("kept").read()) + 1 if os.path.exists("kept") else 1
open("kept", "w").write(str(count))
print(count, len(open("/data/train.csv").read()), int(np.ones(1000).sum()))
""",
    S.OK,
    weight=12.0,
)
SCRIPTS = (
    HONEST,
    _script("error", "x = {}['absent']", S.ERROR, weight=3.0),
    _script("timeout", "while True: pass", S.TIMEOUT, weight=2.0, timeout_s=0.3),
    _script("cpu", "import os\nos.fork()\nwhile True: pass", S.TIMEOUT, cpu_s=0.3, threads=2),
    _script("memory", "x = []\nwhile True: x.append(bytearray(2**24))", S.OUT_OF_MEMORY, memory_mb=128),
    _script(
        "memory of many",
        "import os, time\nos.fork(); os.fork(); os.fork()\nx = b'x' * 2**25\ntime.sleep(0.5)\nos._exit(1)",
        *(S.OUT_OF_MEMORY, S.ERROR),
        memory_mb=128,
    ),
    _script("segfault", "import ctypes; ctypes.string_at(0)", S.KILLED),
    _script("kill itself", "import os; os.kill(os.getpid(), 9); os.abort()", S.KILLED),
    _script(
        "fork bomb",
        "import os\nwhile True:\n    try: os.fork()\n    except OSError: pass",
        *(S.TIMEOUT, S.TOO_MANY_PROCESSES),
        timeout_s=0.4,
    ),
    _script("disk", "for i in range(99): open(f'{i}', 'wb').write(bytes(2**20))", S.OUT_OF_DISK, disk_mb=16),
    _script("files", "for i in range(30_000): open(f'{i}', 'w').close()", S.OUT_OF_DISK, weight=0.3),
    _script("flood", "while True: print('x' * 1000)", S.OUTPUT_TRUNCATED),
    _script(
        "daemon",
        "import os, time\nif not os.fork():\n    os.setsid()\n    if not os.fork(): time.sleep(600)",
        S.OK,
    ),
    _script(
        "threads", "import threading, time\nthreading.Thread(target=time.sleep, args=(0.1,)).start()", S.OK
    ),
    _script("refused", "print(1)\0", S.REFUSED),
)
SLEEP = "import time; time.sleep(300)"


@dataclass
class Tally:
    """What happened, and what should not have."""

    executions: int = 0
    faults: Counter[str] = field(default_factory=Counter)
    statuses: Counter[str] = field(default_factory=Counter)
    wrong: list[str] = field(default_factory=list)
    kills: int = 0  # of what several sessions share


class Soak:
    """One backend under random faults.

    Args:
        sandbox: The backend.
        data: A folder to read.
        seed: Of what happens.
    """

    def __init__(self, sandbox: LocalSandbox | DockerSandbox, data: Path, seed: int) -> None:
        self._sandbox = sandbox
        self._data = data
        self._random = random.Random(seed)
        self.tally = Tally()

    async def run(self, executions: int, workers: int) -> None:
        """Run so many executions, several at a time."""

        async def work() -> None:
            while self.tally.executions < executions:
                session = await self._open()
                try:
                    await self._episode(session, self._random.randrange(1, 20), executions)
                finally:
                    await asyncio.wait_for(session.close(), HANG_S)

        await asyncio.gather(*(work() for _ in range(workers)))

    async def _open(self) -> Session:
        while True:
            try:
                return await asyncio.wait_for(self._sandbox.session(self._data), HANG_S)
            except SandboxError as error:
                self.tally.wrong.append(f"a session could not be opened: {error}")

    async def _episode(self, session: Session, steps: int, executions: int) -> None:
        honest, kills = 0, self.tally.kills
        for _ in range(steps):
            if self.tally.executions >= executions:
                return
            self.tally.executions += 1
            kind = self._random.choices(
                ("script", "cancel", "close", "kill"), (93, 4, 1.5, 1.5 if honest else 0)
            )[0]
            if kind == "cancel":
                await self._cancel(session)
                continue
            if kind != "script":
                await (self._close(session, kills) if kind == "close" else self._kill(session))
                return
            script = self._random.choices(SCRIPTS, [script.weight for script in SCRIPTS])[0]
            result = await self._execute(session, script, kills)
            if result is None:
                return
            if script is HONEST and result.ok:
                honest += 1
                if result.stdout != f"{honest} 18 1000\n":
                    self.tally.wrong.append(f"an honest script printed {result.stdout!r}, expected {honest}")
            if result.status is S.OUT_OF_DISK:
                await asyncio.to_thread(session.clear)
                honest = 0

    async def _execute(self, session: Session, script: Script, kills: int) -> ExecutionResult | None:
        """Run a script and check how it ended; return None where that was our own fault.

        Args:
            session: Where to run it.
            script: What to run.
            kills: How many there had been when the session was opened: a later one may have ended it.
        """
        self.tally.faults[script.name] += 1
        limits = Limits(**{"timeout_s": 30.0, "memory_mb": 512, **script.limits})
        try:
            result = await asyncio.wait_for(session.run(script.code, self._data, limits), HANG_S)
        except SandboxError as error:
            self.tally.statuses["SandboxError"] += 1
            if kills == self.tally.kills:
                self.tally.wrong.append(f"{script.name}: {error}")
            return None
        except TimeoutError:
            self.tally.wrong.append(f"{script.name} hung for {HANG_S:g} s")
            return None
        self.tally.statuses[str(result.status)] += 1
        if result.status not in script.ends:
            self.tally.wrong.append(
                f"{script.name} ended as {result.status}: {result.message} {result.stderr}"
            )
        return result

    async def _cancel(self, session: Session) -> None:
        self.tally.faults["cancelled"] += 1
        running = asyncio.create_task(session.run(SLEEP, self._data, Limits()))
        await asyncio.sleep(self._random.random() * 0.1)
        running.cancel()
        began = time.monotonic()
        with contextlib.suppress(asyncio.CancelledError, SandboxError):
            await asyncio.wait_for(running, HANG_S)
        if time.monotonic() - began > 5:  # a second, and what a loaded machine adds
            self.tally.wrong.append(f"cancelling took {time.monotonic() - began:.1f} s")

    async def _close(self, session: Session, kills: int) -> None:
        self.tally.faults["closed while running"] += 1
        running = asyncio.create_task(session.run(SLEEP, self._data, Limits()))
        await asyncio.sleep(self._random.random() * 0.1)
        await asyncio.wait_for(session.close(), HANG_S)
        try:
            result = await asyncio.wait_for(running, HANG_S)
        except SandboxError as error:
            if kills == self.tally.kills:
                self.tally.wrong.append(f"closed while running: {error}")
        else:
            if result.status is not S.KILLED:
                self.tally.wrong.append(f"closed while running: ended as {result.status}")

    async def _kill(self, session: Session) -> None:
        """Kill what the session's execution lives in, under it; only SandboxError may tell of that."""
        running = asyncio.create_task(session.run(SLEEP, self._data, Limits()))
        await asyncio.sleep(0.2)
        if isinstance(self._sandbox, LocalSandbox):
            self.tally.kills += 1
            self._kill_local(self._sandbox)
        else:
            self.tally.faults["container killed"] += 1
            name = session._coming.result().id  # type: ignore[attr-defined]
            await asyncio.to_thread(self._sandbox._pool._client.api.kill, name)  # type: ignore[union-attr]
        try:
            result = await asyncio.wait_for(running, HANG_S)
        except SandboxError:
            self.tally.statuses["SandboxError"] += 1
        else:
            self.tally.wrong.append(f"killed from outside, an execution ended as {result.status}")

    def _kill_local(self, sandbox: LocalSandbox) -> None:
        connection = sandbox._connection
        if connection is None or not connection.is_alive:
            return
        servers = below(connection.pid)[1:2]
        if self._random.random() < 0.5 and servers:
            self.tally.faults["fork-server killed"] += 1
            os.kill(servers[0], signal.SIGKILL)
        else:
            self.tally.faults["launcher killed"] += 1
            os.kill(connection.pid, signal.SIGKILL)


def below(pid: int) -> list[int]:
    """Return a process and its descendants, parents first."""
    found, waiting = [], [pid]
    while waiting:
        found.append(waiting.pop(0))
        with contextlib.suppress(OSError):
            for thread in Path(f"/proc/{found[-1]}/task").iterdir():
                waiting += map(int, (thread / "children").read_text().split())
    return found


def kill_an_owner(data: Path, *, with_docker: bool) -> None:
    """Kill a process outright that has sandboxes of both kinds with executions in them."""
    command = [sys.executable, __file__, "--owner", str(data), "--docker", str(int(with_docker))]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as owner:
        assert owner.stdout is not None
        if owner.stdout.readline() != b"running\n":
            raise RuntimeError("the owner to be killed did not start")
        owner.send_signal(signal.SIGKILL)


async def be_an_owner(data: Path, *, with_docker: bool) -> None:
    """Run something in each backend, say so, and wait to be killed."""
    sandboxes: list[LocalSandbox | DockerSandbox] = [LocalSandbox(preload=["numpy"])]
    if with_docker:
        sandboxes.append(DockerSandbox(DockerSettings(pool_size=1), preload=["numpy"]))
    running = []
    for sandbox in sandboxes:
        session = await sandbox.session(data)
        await session.run("", data, Limits())
        running.append(asyncio.create_task(session.run(SLEEP, data, Limits(timeout_s=300))))
    await asyncio.sleep(0.2)
    print("running", flush=True)
    await asyncio.gather(*running)


def footprint(*, with_docker: bool) -> dict[str, set[str]]:
    """Return what there is on this machine that a sandbox could have left, by kind."""
    found: dict[str, set[str]] = {
        "processes": {str(pid) for pid in below(os.getpid())[1:]},
        "mounts": set(Path("/proc/self/mountinfo").read_text().splitlines()),
        "control groups": {
            f"{top}/{name}"
            for top, names, _ in os.walk("/sys/fs/cgroup")
            for name in names
            if name.startswith("mledojo-")
        },
        "namespaces": set(),
        "descriptors": set(),
        "files": {f"{folder}/{name}" for folder in ("/tmp", "/dev/shm") for name in os.listdir(folder)},
    }
    for fd in os.listdir("/proc/self/fd"):
        with contextlib.suppress(OSError):
            found["descriptors"].add(f"{fd} {os.readlink(f'/proc/self/fd/{fd}')}")
    for kind in ("pid", "mnt", "net", "ipc", "user", "uts"):
        for process in filter(str.isdigit, os.listdir("/proc")):
            with contextlib.suppress(OSError):
                if "docker" in Path(f"/proc/{process}/cgroup").read_text():
                    continue  # a container, which is counted below
                found["namespaces"].add(os.readlink(f"/proc/{process}/ns/{kind}"))
    if with_docker:
        client = engine.connect()
        engine.reap(client, engine.Owner.of_this_process())  # as the next run's start would
        label = {"label": "mledojo.sandbox"}
        found["containers"] = {item["Id"] for item in client.api.containers(all=True, filters=label)}
        found["volumes"] = {item["Name"] for item in client.api.volumes(filters=label)["Volumes"] or ()}
        client.close()
    return found


def left_over(
    before: dict[str, set[str]], *, with_docker: bool, within_s: float = 20.0
) -> dict[str, list[str]]:
    """Return what is there now and was not before, after a while for the kernel to tidy up."""
    deadline = time.monotonic() + within_s
    while True:
        now = footprint(with_docker=with_docker)
        new = {kind: sorted(names - before.get(kind, set())) for kind, names in now.items()}
        # The numbers of descriptors may differ: only more of them are a leak.
        more = len(now["descriptors"]) - len(before["descriptors"])
        new["descriptors"] = new["descriptors"] if more > 0 else []
        if not any(new.values()) or time.monotonic() > deadline:
            return new
        time.sleep(0.5)


def resident_mb(pid: int) -> float:
    """Return a process's resident size, 0 if it is gone."""
    with contextlib.suppress(OSError):
        for line in Path(f"/proc/{pid}/status").read_text().splitlines():
            if line.startswith("VmRSS:"):
                return int(line.split()[1]) / 1024
    return 0.0


async def soak(data: Path, options: argparse.Namespace) -> tuple[dict[str, Tally], dict[str, list[float]]]:
    """Run both backends under faults; return what happened and how memory went, tenth by tenth."""
    tallies: dict[str, Tally] = {}
    memory: dict[str, list[float]] = {}
    plan = (("local", options.local, 4), ("docker", options.docker, 3))
    for name, executions, workers in plan:
        if not executions:
            continue
        sandbox: LocalSandbox | DockerSandbox
        if name == "local":
            sandbox = LocalSandbox(preload=["numpy"])
        else:
            sandbox = DockerSandbox(DockerSettings(pool_size=2), preload=["numpy"])
        with sandbox:
            one = Soak(sandbox, data, options.seed)
            tallies[name], memory[name] = one.tally, []
            for tenth in range(1, 11):
                await one.run(executions * tenth // 10, workers)
                memory[name].append(resident_mb(os.getpid()))
                await asyncio.to_thread(kill_an_owner, data, with_docker=bool(options.docker))
                print(
                    f"{name}: {one.tally.executions} of {executions}, {len(one.tally.wrong)} wrong",
                    flush=True,
                )
    return tallies, memory


def report(
    tallies: dict[str, Tally], memory: dict[str, list[float]], new: dict[str, list[str]], minutes: float
) -> tuple[str, bool]:
    """Return the report as Markdown, and whether all is well."""
    lines = [f"# Soak of the sandbox, {time.strftime('%Y-%m-%d')}, {minutes:.0f} minutes", ""]
    lines += ["Made by `make soak-sandbox`; what is done and checked is said in `benchmarks/soak.py`.", ""]
    good = not any(new.values())
    for name, tally in tallies.items():
        growth = memory[name][-1] - memory[name][1]
        good = good and not tally.wrong and growth < MAX_GROWTH_MB
        lines += [f"## {name}: {tally.executions} executions, {len(tally.wrong)} wrong outcomes", ""]
        lines += ["| what was done | times |", "|---|---|"]
        lines += [f"| {fault} | {count} |" for fault, count in sorted(tally.faults.items())]
        lines += ["", "| how it ended | times |", "|---|---|"]
        lines += [f"| {status} | {count} |" for status, count in sorted(tally.statuses.items())]
        sizes = ", ".join(f"{size:.0f}" for size in memory[name])
        lines += ["", f"Memory of the owner after each tenth, MB: {sizes}.", ""]
        lines += [f"- wrong: {text}"[:600] for text in tally.wrong[:20]]
    lines += ["## Left over", "", "| kind | left |", "|---|---|"]
    lines += [
        f"| {kind} | {len(names)}{': ' if names else ''}{' '.join(names)[:300]} |"
        for kind, names in new.items()
    ]
    return "\n".join([*lines, "", "All is well." if good else "Something is wrong."]) + "\n", good


def main(arguments: Sequence[str] | None = None) -> None:
    """Run, report, and exit with 1 if anything was wrong or is left."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--local", type=int, default=8000, help="executions on the local backend [8000]")
    parser.add_argument("--docker", type=int, default=2000, help="executions on the Docker backend [2000]")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--output", type=Path, default=Path(__file__).parent / "results" / "soak.md")
    parser.add_argument("--owner", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    if options.owner is not None:
        asyncio.run(be_an_owner(options.owner, with_docker=options.docker > 0))
        return
    with tempfile.TemporaryDirectory() as name:
        data = Path(name)
        data.chmod(0o755)
        (data / "train.csv").write_text("id,target\n1,0\n2,1\n")
        with_docker = options.docker > 0
        before, began = footprint(with_docker=with_docker), time.monotonic()
        tallies, memory = asyncio.run(soak(data, options))
        new = left_over(before, with_docker=with_docker)
    text, good = report(tallies, memory, new, (time.monotonic() - began) / 60)
    options.output.parent.mkdir(parents=True, exist_ok=True)
    options.output.write_text(text)
    print(text, end="")
    raise SystemExit(0 if good else 1)


if __name__ == "__main__":
    main()
