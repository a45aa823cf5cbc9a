"""The ways to run a script that benchmarks/sandbox.py compares: each opens places, which run the script."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any

from mledojo_env.errors import SandboxUnavailable
from mledojo_env.sandbox import Limits, Sandbox, engine

SCRIPT = """
import pandas as pd
from sklearn.linear_model import LogisticRegression
table = pd.read_csv("{data}/train.csv")
X, y = table.drop(columns="y"), table["y"]
model = LogisticRegression(max_iter=200).fit(X, y)
pd.DataFrame({{"p": model.predict_proba(X)[:, 1]}}).to_csv("submission.csv", index=False)
"""
# Tells that the fit is done where every process can be seen: in its name, PR_SET_NAME being 15.
FITTED = "fitted"
SLEEPING = SCRIPT + f"import ctypes, time; ctypes.CDLL(None).prctl(15, b'{FITTED}'); time.sleep(600)"
LIMITS = Limits(timeout_s=300)
ONE_THREAD = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
BWRAP = ("bwrap", "--unshare-all", "--die-with-parent", "--new-session", "--cap-drop", "ALL")
BWRAP_VIEW = ("--ro-bind", "/", "/", "--dev", "/dev", "--proc", "/proc")
NOBODY = 65534
CONTAINER_PYTHON = "/opt/env/bin/python"

Run = Callable[[], Awaitable[None]]  # one execution; raises if it fails
Way = Callable[[], AbstractAsyncContextManager[Run]]  # opens a place to run in, which serves one at a time


@asynccontextmanager
async def interpreter(folder: Path, *, jailed: bool) -> AsyncIterator[Run]:
    """A fresh interpreter: bare, or in namespaces with a read-only view of the machine."""
    with tempfile.TemporaryDirectory(dir=folder) as work:
        command = [sys.executable, "-c", SCRIPT.format(data=folder / "data")]
        if jailed:
            require_bwrap()
            command = [*BWRAP, *BWRAP_VIEW, "--bind", work, work, "--chdir", work, *command]

        async def run() -> None:
            process = await asyncio.create_subprocess_exec(
                *command, cwd=work, env={**os.environ, **ONE_THREAD}, stderr=subprocess.PIPE
            )
            _, complaints = await process.communicate()
            if process.returncode:
                raise RuntimeError(f"{command[0]} exited with {process.returncode}: {complaints.decode()}")

        yield run


def require_bwrap() -> None:
    """Check that bubblewrap works here.

    Raises:
        SandboxUnavailable: If it is not installed, or the kernel refuses what it asks for.
    """
    if shutil.which("bwrap") is None:
        raise SandboxUnavailable("bwrap is not installed: apt-get install bubblewrap")
    trial = subprocess.run([*BWRAP, *BWRAP_VIEW, "true"], capture_output=True, text=True)
    if trial.returncode:
        raise SandboxUnavailable(f"bwrap does not work here: {trial.stderr.strip()}")


@contextlib.contextmanager
def hardened(folder: Path) -> Iterator[Callable[..., Any]]:
    """The SDK's `containers.run`, told what a careful user says about a script that nobody read."""
    client = engine.connect()
    engine.require_image(client, engine.DEFAULT_IMAGE)
    try:
        yield partial(
            client.containers.run,
            engine.DEFAULT_IMAGE,
            entrypoint=[],
            network_mode="none",
            cap_drop=["ALL"],
            security_opt=["no-new-privileges:true"],
            read_only=True,
            user=f"{NOBODY}:{NOBODY}",
            mem_limit="2g",
            pids_limit=64,
            tmpfs=dict.fromkeys(("/work", "/tmp"), f"size=512m,mode=700,uid={NOBODY},gid={NOBODY}"),
            working_dir="/work",
            volumes={str(folder / "data"): {"bind": "/data", "mode": "ro"}},
            environment=ONE_THREAD,
            # Should this be killed outright, the next sandbox to start removes what is left.
            labels=engine.Owner.of_this_process().labels("benchmark"),
        )
    finally:
        client.close()


@asynccontextmanager
async def new_container(folder: Path) -> AsyncIterator[Run]:
    """A container for each script."""
    with hardened(folder) as run_container:
        command = [CONTAINER_PYTHON, "-c", SCRIPT.format(data="/data")]

        async def run() -> None:
            await asyncio.to_thread(run_container, command, remove=True)  # raises if it fails

        yield run


@asynccontextmanager
async def running_container(folder: Path) -> AsyncIterator[Run]:
    """A container that is there already, and a fresh interpreter in it for each script."""
    with hardened(folder) as run_container:
        idle = [CONTAINER_PYTHON, "-c", "import time; time.sleep(1e6)"]
        container = await asyncio.to_thread(run_container, idle, detach=True)
        command = [CONTAINER_PYTHON, "-c", SCRIPT.format(data="/data")]

        async def run() -> None:
            exit_code, output = await asyncio.to_thread(container.exec_run, command)
            if exit_code:
                raise RuntimeError(f"docker exec exited with {exit_code}: {output.decode()}")

        try:
            yield run
        finally:
            await asyncio.to_thread(container.remove, force=True)


@asynccontextmanager
async def our_session(folder: Path, sandbox: Sandbox) -> AsyncIterator[Run]:
    """A session of one of our backends, ready to run, with every protection on."""
    data = folder / "data"
    session = await sandbox.session(data)

    async def run(code: str = SCRIPT.format(data="/data")) -> None:
        result = await session.run(code, data, LIMITS)
        if not result.ok:
            raise RuntimeError(f"The script failed in {sandbox.name}: {result}")

    try:
        await run("")
        yield run
    finally:
        await session.close()
