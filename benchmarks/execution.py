"""What a script waits before it runs, and what running scripts side by side is worth.

    python benchmarks/execution.py

Prints a JSON object: medians in seconds and their ratios, all of one run, alternating, so that a machine's
noise meets both sides alike. The warm sandbox is measured beside a fresh interpreter without any isolation,
which is what a `subprocess` or a new container costs at the least.
"""

from __future__ import annotations

import asyncio
import json
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from mledojo_env import LocalSandbox, load_task
from mledojo_env.sandbox import Limits
from mledojo_train.policy.scripts import Plan, write

ROUNDS = 15
EPISODES = 16
LIMITS = Limits(timeout_s=60)


async def latency(sandbox: LocalSandbox, code: str, data: Path) -> dict[str, float]:
    """Return the median seconds of a script, warm and cold, and how many times faster warm is."""
    session = await sandbox.session()
    await session.run(code, data, LIMITS)  # the server starts and imports
    warm, cold = [], []
    with tempfile.TemporaryDirectory() as folder:
        plain = code.replace("/data/", f"{data}/")
        for _ in range(ROUNDS):
            began = time.perf_counter()
            result = await session.run(code, data, LIMITS)
            warm.append(time.perf_counter() - began)
            assert result.ok, result.traceback
            began = time.perf_counter()
            await asyncio.to_thread(_fresh_interpreter, plain, folder)
            cold.append(time.perf_counter() - began)
    await session.close()
    return _compare("warm_s", warm, "cold_s", cold)


def _fresh_interpreter(code: str, folder: str) -> None:
    subprocess.run([sys.executable, "-c", code], cwd=folder, check=True, stdout=subprocess.DEVNULL)


async def throughput(sandbox: LocalSandbox, code: str, data: Path) -> dict[str, float]:
    """Return the seconds of a batch of episodes, all at once and one after another, and their ratio."""

    async def episode() -> None:
        session = await sandbox.session()
        for _ in range(2):
            assert (await session.run(code, data, LIMITS)).ok
        await session.close()

    together, serial = [], []
    for _ in range(3):
        began = time.perf_counter()
        await asyncio.gather(*(episode() for _ in range(EPISODES)))
        together.append(time.perf_counter() - began)
        began = time.perf_counter()
        for _ in range(EPISODES):
            await episode()
        serial.append(time.perf_counter() - began)
    return _compare("together_s", together, "serial_s", serial)


def _compare(ours: str, our_times: list[float], other: str, other_times: list[float]) -> dict[str, float]:
    fast, slow = statistics.median(our_times), statistics.median(other_times)
    return {ours: round(fast, 3), other: round(slow, 3), "times_faster": round(slow / fast, 2)}


async def main() -> None:
    """Measure both and print them."""
    task = load_task("concrete-strength")
    code = write(Plan(task.domain, str(task.submission.value), "numeric", "linear"))
    with LocalSandbox() as sandbox:
        figures = {
            "one_script": await latency(sandbox, code, task.public_dir),
            "batch": await throughput(sandbox, code, task.public_dir),
        }
    print(json.dumps(figures, indent=2))


if __name__ == "__main__":
    asyncio.run(main())
