"""A real server in a process of its own, driven by OpenEnv's own client."""

from __future__ import annotations

import asyncio
import json
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("openenv")

from openenv.core.generic_client import GenericEnvClient

COMMAND = str(Path(sys.executable).with_name("mledojo-train"))
TASK = "offline/concrete-strength"
SUBMIT = """
import pandas as pd
sample = pd.read_csv('/data/sample_submission.csv')
sample.iloc[:, 1] = 35.0
sample.to_csv('submission.csv', index=False)
"""


class Server:
    def __init__(self, *options: str) -> None:
        with socket.create_server(("127.0.0.1", 0)) as probe:
            port = probe.getsockname()[1]
        self.url = f"http://127.0.0.1:{port}"
        self.process = subprocess.Popen(
            [COMMAND, "serve", "--port", str(port), "--steps", "4", *options],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        deadline = time.monotonic() + 60
        while True:
            try:
                urllib.request.urlopen(f"{self.url}/health", timeout=5).close()
                return
            except OSError:
                if self.process.poll() is not None or time.monotonic() > deadline:
                    self.process.kill()
                    pytest.fail(f"the server did not start: {self.process.communicate()[0]}")
                time.sleep(0.2)

    def children(self) -> set[str]:
        found = Path(f"/proc/{self.process.pid}/task").glob("*/children")
        return {child for file in found for child in file.read_text().split()}

    def end(self) -> int:
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(20)


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    made = Server("--max-sessions", "3")
    yield made
    children = made.children()
    assert children, "no sandbox was ever started"
    made.end()
    deadline = time.monotonic() + 10
    while any(Path(f"/proc/{child}/status").exists() for child in children) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert not any(Path(f"/proc/{child}/status").exists() for child in children), "the sandbox outlived it"


def client(server: Server) -> GenericEnvClient:
    return GenericEnvClient(base_url=server.url)


def step(action: str, argument: str = "", **more: Any) -> dict[str, Any]:
    return {"action": action, "argument": argument, **more}


async def test_an_episode_pays_and_ends(server: Server):
    async with client(server) as env:
        first = await env.reset(task=TASK, seed=3)
        assert not first.done and first.observation["details"]["steps_left"] == 4
        info = await env.step(step("request_info", "metric"))
        assert "rmse" in info.observation["text"].lower()
        graded = await env.step(step("execute_code", SUBMIT))
        assert graded.reward > 0 and graded.observation["details"]["submission_valid"]
        state = await env.state()
        assert (state["task"], state["step_count"], state["steps_left"]) == (TASK, 2, 2)
        last = await env.step(step("execute_code", "1 / 0", final=True))
        assert last.done and "ZeroDivisionError" in last.observation["text"]


async def test_private_grades_stay_on_the_server(server: Server):
    async with client(server) as env:
        await env.reset(task=TASK)
        graded = await env.step(step("execute_code", SUBMIT))
        said = json.dumps([graded.observation, graded.metadata, await env.state()])
        assert "private" not in said


async def test_what_an_agent_gets_wrong_is_an_observation(server: Server):
    async with client(server) as env:
        await env.reset(task=TASK)
        told = await env.step(step("exekute", "x"))
        assert told.observation["details"]["status"] == "malformed"
        assert "execute_code" in told.observation["text"]


async def test_sessions_are_apart_and_bounded(server: Server):
    async with client(server) as one, client(server) as two:
        await one.reset(task=TASK)
        await two.reset(task="offline/hotel-rates")
        await one.step(step("execute_code", "open('mine', 'w').write('1')"))
        other = await two.step(step("execute_code", "import os\nprint(os.listdir('.'))"))
        assert "mine" not in other.observation["text"]
        async with client(server) as three:
            await three.reset(task=TASK)
            with pytest.raises(Exception, match=r"(?i)capacity|sessions"):
                async with client(server) as four:
                    await four.reset(task=TASK)


@pytest.mark.parametrize(
    ("given", "said"), [({"task": "offline/concrete"}, "concrete-strength"), ({}, "Name a task")]
)
async def test_a_reset_that_is_wrong_says_why_and_the_session_goes_on(
    server: Server, given: dict[str, str], said: str
):
    async with client(server) as env:
        with pytest.raises(Exception, match=said):
            await env.reset(**given)
        assert not (await env.reset(task=TASK)).done


async def test_a_step_before_a_reset_says_so(server: Server):
    async with client(server) as env:
        with pytest.raises(Exception, match="call reset first"):
            await env.step(step("reset"))


async def test_an_idle_session_ends():
    server = Server("--idle", "1", "--task", TASK)
    try:
        async with client(server) as env:
            await env.reset()
            await asyncio.sleep(12)  # OpenEnv looks every five seconds
            with pytest.raises(Exception, match=r"(?i)session"):
                await env.step(step("get_history"))
    finally:
        server.end()


def test_a_wrong_task_is_refused_at_the_start():
    command = [COMMAND, "serve", "--task", "offline/concrete"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert done.returncode == 1 and "concrete-strength" in done.stderr
