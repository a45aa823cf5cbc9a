"""What our sandboxes cost beside what others start for each script: latency, throughput, start and memory.

    make bench-sandbox                       # about ten minutes; starts an engine where none answers
    python benchmarks/sandbox.py --quick     # under a minute: shows that it works, measures little

Every way runs the same script: import pandas and scikit-learn, read a table of 1000 rows and 10 columns, fit
a logistic regression, write a CSV. The ways take turns in every round, in an order drawn anew, so that a
machine's noise and what a neighbour leaves behind meet all alike. Each has one thread for linear algebra.
Containers have the interpreter and packages of the image, the others those of this process. A p95 is a sample
that was measured: of fewer than twenty, the worst.

- Latency: from asking for an execution until its result is there.
- Throughput: so many places that never pause. Our backends run as many at a time as there are cores, which is
  their default, and queue the others; the other ways run all at once.
- Session start: until an empty script has run in a new session.
- Memory: the proportional set size (PSS), in which a page that n processes share counts 1/n in each, so that
  sums count it once. "Server" is a backend without a session: launcher and fork-server, or nothing with
  Docker. "Idle" is (PSS with 8 open sessions - server) / 8. "Running" is (PSS while 8 scripts sleep after
  their fit - server) / 8, and so the whole of a sandbox in use. Counted are all descendants of this process,
  or of the containers' shims; not the engine itself. What containers share among themselves is in their
  figures, by parts. Reading other users' processes takes root.
- Pool: from the moment a data folder was asked for twice, which is when a pool begins to prepare, until all
  its containers are warm.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import dataclasses
import json
import os
import platform
import random
import shlex
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack
from functools import partial
from pathlib import Path
from typing import Any

from mledojo_env import LocalSandbox
from mledojo_env.errors import SandboxUnavailable
from mledojo_env.sandbox import DockerSandbox, DockerSettings, Sandbox, engine
from sandbox_memory import children, family, name_of, pss_mb, shims
from sandbox_page import render
from sandbox_ways import (
    FITTED,
    SLEEPING,
    Run,
    Way,
    interpreter,
    new_container,
    our_session,
    running_container,
)

FITTED_WITHIN_S = 120.0


@dataclasses.dataclass(frozen=True)
class Effort:
    """How much is measured."""

    rounds: int = 15  # of latency
    start_rounds: int = 8
    window_s: float = 6.0  # of a throughput
    windows: int = 2  # each throughput is measured so many times
    concurrent: tuple[int, ...] = (1, 2, 4, 8)
    sandboxes: int = 8  # over which memory is averaged, and what the pool holds


QUICK = Effort(rounds=1, start_rounds=1, window_s=0.5, windows=1, concurrent=(2,), sandboxes=2)


async def usable(ways: dict[str, Way]) -> tuple[dict[str, Way], dict[str, str]]:
    """Return the ways that exist here, each tried once, and why the others do not."""
    found, left_out = {}, {}
    for name, way in ways.items():
        try:
            async with way() as run:
                await run()
            found[name] = way
        except SandboxUnavailable as error:
            left_out[name] = str(error)
    return found, left_out


async def latency(places: dict[str, Run], rounds: int) -> dict[str, list[float]]:
    """Return the seconds of each execution, by way."""
    seconds: dict[str, list[float]] = {name: [] for name in places}
    order = list(places)
    for _ in range(rounds):
        random.shuffle(order)
        for name in order:
            began = time.perf_counter()
            await places[name]()
            seconds[name].append(time.perf_counter() - began)
    return seconds


async def throughput(places: dict[str, list[Run]], effort: Effort) -> dict[str, dict[str, list[float]]]:
    """Return executions a second in each window, by way and by how many places were busy."""
    rates: dict[str, dict[str, list[float]]] = {
        name: {str(count): [] for count in effort.concurrent} for name in places
    }
    order = list(places)
    for _ in range(effort.windows):
        for count in effort.concurrent:
            random.shuffle(order)
            for name in order:
                rates[name][str(count)].append(await rate(places[name][:count], effort.window_s))
    return rates


async def rate(runs: Sequence[Run], window_s: float) -> float:
    """Return executions a second in places that never pause; what began in the window is waited for."""
    began = time.perf_counter()

    async def work(run: Run) -> int:
        count = 0
        while time.perf_counter() - began < window_s:
            await run()
            count += 1
        return count

    done = sum(await asyncio.gather(*map(work, runs)))
    return done / (time.perf_counter() - began)


async def session_starts(folder: Path, names: Sequence[str], rounds: int) -> dict[str, list[float]]:
    """Return the seconds until a new session has run an empty script, by where it comes from."""

    async def seconds(sandbox: Sandbox) -> float:
        began = time.perf_counter()
        async with our_session(folder, sandbox):
            return time.perf_counter() - began

    found: dict[str, list[float]] = {}
    with contextlib.ExitStack() as stack:
        sources: dict[str, Sandbox] = {}
        if "local" in names:
            sources["local"] = stack.enter_context(LocalSandbox())
        if "docker" in names:
            sources["docker, new container"] = stack.enter_context(docker_sandbox(0))
            sources["docker, from the pool"] = stack.enter_context(docker_sandbox(1))
            await seconds(sources["docker, from the pool"])  # a pool prepares what was asked for twice
            await seconds(sources["docker, from the pool"])
        for source in sources.values():
            await seconds(source)
        for _ in range(rounds):
            if "local" in names:
                with LocalSandbox() as fresh:
                    found.setdefault("local, the first of all", []).append(await seconds(fresh))
            for name, source in sources.items():
                if isinstance(source, DockerSandbox):
                    await until_warm(source)
                found.setdefault(name, []).append(await seconds(source))
    return found


def docker_sandbox(pool_size: int, max_concurrent: int | None = None) -> DockerSandbox:
    """Return a Docker backend with this many containers prepared ahead."""
    return DockerSandbox(DockerSettings(pool_size=pool_size), max_concurrent=max_concurrent)


async def until_warm(sandbox: DockerSandbox) -> None:
    """Wait until the pool is full; nothing public tells."""
    while sandbox._pool is None or sandbox._pool.warm_count() < sandbox.settings.pool_size:  # noqa: ASYNC110
        await asyncio.sleep(0.01)


async def pool_start(folder: Path, size: int) -> float:
    """Return the seconds from when a pool begins to prepare containers until all are warm."""
    with docker_sandbox(size) as sandbox:
        async with our_session(folder, sandbox):
            pass
        async with our_session(folder, sandbox):
            began = time.perf_counter()
            await until_warm(sandbox)
            return time.perf_counter() - began


async def memory(folder: Path, sandbox: Sandbox, count: int) -> dict[str, float]:
    """Return the PSS in MB of a backend without sessions, and of one session, idle and running.

    Args:
        folder: Whose data is read.
        sandbox: One that runs `count` scripts at a time.
        count: Sessions to average over.
    """
    roots: Callable[[], list[int]] = shims
    if isinstance(sandbox, LocalSandbox):
        sandbox.protections()  # starts the server
        roots = partial(children, os.getpid())
    server = pss_mb(family(roots()))
    async with AsyncExitStack() as stack:
        opened = [stack.enter_async_context(our_session(folder, sandbox)) for _ in range(count)]
        runs: list[Any] = await asyncio.gather(*opened)
        idle = pss_mb(family(roots()))
        tasks = [asyncio.create_task(run(SLEEPING.format(data="/data"))) for run in runs]
        try:
            await until_fitted(roots, tasks)
            running = pss_mb(family(roots()))
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
    return {"server": server, "idle": (idle - server) / count, "running": (running - server) / count}


async def until_fitted(roots: Callable[[], list[int]], tasks: Sequence[asyncio.Task[None]]) -> None:
    """Wait until every script sleeps; raise what went wrong if one ended."""
    deadline = time.monotonic() + FITTED_WITHIN_S
    while sum(name_of(pid) == FITTED for pid in family(roots())) < len(tasks):
        for task in tasks:
            if task.done():
                raise RuntimeError("A script that was to sleep has ended.") from task.exception()
        if time.monotonic() > deadline:
            raise RuntimeError(f"Not every script had fitted its model after {FITTED_WITHIN_S:g} s.")
        await asyncio.sleep(0.2)


def machine() -> dict[str, str]:
    """Return what the figures depend on."""
    processors = Path("/proc/cpuinfo").read_text().splitlines()
    models = [line.partition(":")[2].strip() for line in processors if line.startswith("model name")]
    docker = engine.facts()[0]
    return {
        "machine": f"{len(os.sched_getaffinity(0))} cores, {models[0] if models else platform.machine()}",
        "kernel": platform.release(),
        "Python": platform.python_version(),
        "Docker": docker.detail if docker.ok else "none",
        "load average at the start": f"{os.getloadavg()[0]:.2f}",
        "date": time.strftime("%Y-%m-%d"),
        "command": shlex.join(["python", "benchmarks/sandbox.py", *sys.argv[1:]]),
    }


def write_table(folder: Path) -> None:
    """Write data/train.csv, which any user may read: 1000 rows, 10 columns and what to predict."""
    import numpy as np
    import pandas as pd

    folder.chmod(0o755)
    (folder / "data").mkdir(mode=0o755)
    generator = np.random.default_rng(0)
    table = pd.DataFrame(generator.normal(size=(1000, 10)), columns=[f"x{i}" for i in range(10)])
    table["y"] = (table.sum(axis=1) + generator.normal(size=1000) > 0).astype(int)
    table.to_csv(folder / "data" / "train.csv", index=False)


async def measure(folder: Path, effort: Effort) -> dict[str, Any]:
    """Return all figures."""
    # By default there are fewer threads than scripts at a time, and the SDK takes one for each.
    asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor(4 * max(effort.concurrent)))
    figures: dict[str, Any] = {"facts": machine()}
    with LocalSandbox() as local, docker_sandbox(0) as docker:
        ways, left_out = await usable(
            {
                "subprocess": partial(interpreter, folder, jailed=False),
                "bwrap": partial(interpreter, folder, jailed=True),
                "docker run": partial(new_container, folder),
                "docker exec": partial(running_container, folder),
                "local": partial(our_session, folder, local),
                "docker": partial(our_session, folder, docker),
            }
        )
        if "local" in ways:
            fences = ", ".join(f"{name} {value}" for name, value in local.protections().items())
            figures["facts"]["protections of local"] = fences
        async with AsyncExitStack() as stack:
            places = {
                name: [await stack.enter_async_context(way()) for _ in range(max(effort.concurrent))]
                for name, way in ways.items()
            }
            first = {name: runs[0] for name, runs in places.items()}
            figures["latency_s"] = await latency(first, effort.rounds)
            figures["throughput_per_s"] = await throughput(places, effort)
    figures["session_start_s"] = await session_starts(folder, list(ways), effort.start_rounds)
    figures["memory_mb"] = {}
    count = effort.sandboxes
    for sandbox in (LocalSandbox(max_concurrent=count), docker_sandbox(0, count)):
        with sandbox:
            if sandbox.name in ways:
                try:
                    figures["memory_mb"][sandbox.name] = await memory(folder, sandbox, count)
                except OSError as error:  # not root, or an engine whose processes are elsewhere
                    left_out[f"memory of {sandbox.name}"] = str(error)
    if "docker" in ways:
        figures["pool"] = {"size": count, "seconds": await pool_start(folder, count)}
    figures["left_out"] = left_out
    return figures


def main() -> None:
    """Measure, print the page and write it."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, help=f"executions of each way [{Effort.rounds}]")
    parser.add_argument("--quick", action="store_true", help="a trial in under a minute")
    default = Path(__file__).parent / "results" / "sandbox.md"
    parser.add_argument("--output", type=Path, default=default, help="[benchmarks/results/sandbox.md]")
    options = parser.parse_args()
    effort = QUICK if options.quick else Effort()
    if options.rounds is not None:
        if options.rounds < 1:
            parser.error(f"--rounds is {options.rounds}; expected 1 or more")
        effort = dataclasses.replace(effort, rounds=options.rounds)
    with tempfile.TemporaryDirectory() as name:
        write_table(Path(name))
        figures = asyncio.run(measure(Path(name), effort))
    page = render(figures)
    options.output.parent.mkdir(parents=True, exist_ok=True)
    options.output.write_text(page)
    options.output.with_suffix(".json").write_text(json.dumps(figures, indent=2) + "\n")
    print(page, end="")


if __name__ == "__main__":
    main()
