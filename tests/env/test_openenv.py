"""The environment as an OpenEnv server: the real one in its own process, driven by OpenEnv's own client."""

from __future__ import annotations

import asyncio
import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("openenv", reason="needs the extra openenv: pip install 'mledojo-train[openenv]'")

from openenv.core import GenericEnvClient
from websockets.sync.client import connect

from mledojo_env.errors import ConfigError
from mledojo_env.openenv.models import MLEDojoAction, MLEDojoClient
from mledojo_env.openenv.server import MLEDojoEnvironment, create_app, is_loopback
from mledojo_env.sandbox.local import LocalSandbox

CLI = [sys.executable, "-c", "from mledojo_train.cli import main; main()", "serve"]
CONSTANT = """
rows = open("/data/test.csv").read().splitlines()[1:]
open("submission.csv", "w").write("id,y\\n" + "".join(row.split(",")[0] + ",5\\n" for row in rows))
"""


@dataclass
class Server:
    process: subprocess.Popen[str]
    url: str
    first_lines: str

    def descendants(self) -> set[int]:
        found, todo = set(), [self.process.pid]
        while todo:
            for task in Path(f"/proc/{todo.pop()}/task").glob("*/children"):
                children = {int(child) for child in task.read_text().split()} - found
                found |= children
                todo += children
        return found

    def stop(self) -> tuple[int, str]:
        """Send SIGTERM; return the exit code and what was still printed."""
        self.process.send_signal(signal.SIGTERM)
        _, printed = self.process.communicate(timeout=20)
        return self.process.returncode, printed


@contextmanager
def serving(place: Path, *words: str) -> Iterator[Server]:
    """Run a server; a test that fails must not leave it behind."""
    process = subprocess.Popen(
        [*CLI, "--port", "0", "--tasks-path", str(place / "tasks"), *words],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | {"MLEDOJO_CACHE": str(place / "cache")},
    )
    assert process.stderr
    try:
        lines = ""
        for line in process.stderr:
            lines += line
            found = re.search(r"serving at (http://\S+)", line)
            if found:
                yield Server(process, found[1], lines)
                return
        raise AssertionError(f"the server ended with {process.wait()}: {lines}")
    finally:
        process.terminate()
        process.communicate(timeout=20)


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("openenv")
    (made / "tasks").mkdir()
    return made


@pytest.fixture(scope="module")
def server(place: Path) -> Iterator[Server]:
    with serving(place, "--max-sessions", "3", "--max-steps", "5") as running:
        yield running


@pytest.fixture
def env(server: Server, place: Path, write_task: Callable[..., Path]) -> Iterator[Any]:
    """A client whose server knows the tiny task."""
    write_task(root=place / "tasks")
    with MLEDojoClient(base_url=server.url).sync() as client:
        yield client


def execute(code: str, *, final: bool = False) -> MLEDojoAction:
    return MLEDojoAction(name="execute_code", argument=code, final=final)


def eventually(claim: Callable[[], bool], seconds: float = 10) -> bool:
    deadline = time.monotonic() + seconds
    while not claim():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.05)
    return True


def test_an_episode_with_the_typed_client(env: Any) -> None:
    result = env.reset(task="tiny", seed=3, episode_id="mine")
    assert "Metric: rmse" in result.observation.text
    assert (result.reward, result.done) == (None, False)
    result = env.step(MLEDojoAction(name="request_info", argument="sample_submission"))
    assert "columns id, y" in result.observation.text
    result = env.step(execute(CONSTANT))
    assert result.observation.facts.submission_valid
    assert result.observation.facts.best_score == pytest.approx(13.5**0.5)  # of the public part
    assert result.reward == 0.25  # the last of four teams on the private board
    state = env.state()
    assert (state.episode_id, state.task, state.seed) == ("mine", "offline/tiny", 3)
    assert (state.step_count, state.reward, state.done) == (2, 0.25, False)
    result = env.step(execute("1 / 0", final=True))
    assert "ZeroDivisionError" in result.observation.text
    assert (result.reward, result.done, result.observation.terminated) == (0, True, True)
    with pytest.raises(RuntimeError, match="The episode is over"):
        env.step(execute(CONSTANT))
    assert not env.reset(task="tiny").done
    assert env.state().step_count == 0


def test_nothing_private_crosses_the_wire(server: Server, env: Any) -> None:
    with GenericEnvClient(base_url=server.url).sync() as raw:
        answers = [raw.reset(task="tiny"), raw.step({"name": "execute_code", "argument": CONSTANT})]
        text = json.dumps([answer.observation for answer in answers] + [raw.state()])
    assert "3.674" in text  # the score on the public part
    assert "2.27" not in text and "private" not in text  # on the private part


@pytest.mark.parametrize(
    ("action", "told"),
    [
        ({"name": "execute_cod", "argument": ""}, "Did you mean 'execute_code'?"),
        (
            {"name": "execute_code", "argument": ["print()"]},
            "argument of execute_code is list; expected text",
        ),
        ({"name": "get_history", "argument": "two"}, "takes a number of steps"),
        ({"name": "execute_code", "argument": "\x00"}, "steps left 4"),
    ],
)
def test_what_the_agent_does_wrong_is_an_observation(env: Any, action: dict[str, Any], told: str) -> None:
    env.reset(task="tiny")
    result = env.step(MLEDojoAction(**action))
    assert told in result.observation.text
    assert (result.reward, result.observation.facts.steps_left) == (0, 4)


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"task": "offline/tini"}, "Unknown task 'offline/tini'. Did you mean 'offline/tiny'?"),
        ({"task": "../../../etc"}, "Unknown task"),
        ({"task": 3}, "needs a task's id, found 3"),
        ({}, "needs a task's id, found None"),
        (
            {"tsak": "tiny"},
            "Unknown option 'tsak' of reset; expected seed, episode_id and task. Did you mean",
        ),
        ({"task": "tiny", "seed": -1}, "seed is -1; expected a whole number of at least 0"),
        ({"task": "tiny", "seed": "one"}, "seed is 'one'; expected a whole number"),
    ],
)
def test_what_the_trainer_does_wrong_is_an_error_and_the_session_goes_on(
    env: Any, options: dict[str, Any], told: str
) -> None:
    with pytest.raises(RuntimeError, match=re.escape(told)):
        env.reset(**options)
    assert env.reset(task="tiny").observation.facts.steps_left == 5


def test_a_step_before_the_first_reset_is_refused(env: Any) -> None:
    with pytest.raises(RuntimeError, match=r"No episode is running; call reset\(task=...\) first"):
        env.step(execute("pass"))


async def test_sessions_run_side_by_side_and_one_too_many_is_refused(
    server: Server, place: Path, write_task: Callable[..., Path]
) -> None:
    write_task(root=place / "tasks")
    async with MLEDojoClient(base_url=server.url) as slow, MLEDojoClient(base_url=server.url) as quick:
        for client in (slow, quick):
            await client.reset(task="tiny")
        waiting = asyncio.create_task(
            _step(slow, execute("import time; open('mine', 'w').write('x'); time.sleep(3)"))
        )
        await asyncio.sleep(0.5)
        seen = await quick.step(execute("import os; print('files', os.listdir('.'))"))
        assert not waiting.done()
        assert "files []" in seen.observation.text
        assert list((await waiting).observation.facts.files) == ["mine"]
        async with MLEDojoClient(base_url=server.url) as third:
            await third.reset(task="tiny")
            async with MLEDojoClient(base_url=server.url) as fourth:
                with pytest.raises(RuntimeError, match="CAPACITY_REACHED"):
                    await fourth.reset(task="tiny")


async def _step(client: MLEDojoClient, action: MLEDojoAction) -> Any:
    return await client.step(action)


def test_a_client_that_leaves_in_the_middle_of_a_step_leaves_nothing_running(
    server: Server, env: Any
) -> None:
    before = server.descendants()
    code = (
        "import asyncio, os, sys\n"
        "from mledojo_env.openenv.models import MLEDojoAction, MLEDojoClient\n"
        "async def main():\n"
        "    async with MLEDojoClient(base_url=sys.argv[1]) as client:\n"
        "        await client.reset(task='tiny')\n"
        "        print('started', flush=True)\n"
        "        await client.step(MLEDojoAction(name='execute_code', argument='while True: pass'))\n"
        "asyncio.run(main())"
    )
    client = subprocess.Popen([sys.executable, "-c", code, server.url], stdout=subprocess.PIPE, text=True)
    assert client.stdout and client.stdout.readline() == "started\n"
    assert eventually(lambda: server.descendants() > before)
    client.kill()
    client.communicate()
    assert eventually(lambda: server.descendants() <= before)
    env.reset(task="tiny")
    assert env.step(execute(CONSTANT)).reward == 0.25


def test_what_makes_no_sense_without_a_session_is_not_served(server: Server) -> None:
    for path in ("reset", "step", "mcp"):
        request = urllib.request.Request(f"{server.url}/{path}", data=b"{}", method="POST")
        with pytest.raises(urllib.error.HTTPError, match="404"):
            urllib.request.urlopen(request, timeout=10)
    with urllib.request.urlopen(f"{server.url}/health", timeout=10) as answer:
        assert json.load(answer) == {"status": "healthy"}
    with urllib.request.urlopen(f"{server.url}/schema", timeout=10) as answer:
        schema = json.load(answer)
    assert schema["action"]["properties"]["argument"]["type"] == "string"
    assert "best_score" in json.dumps(schema["observation"])


def test_an_idle_session_is_closed_a_busy_one_is_not_and_sigterm_leaves_nothing(
    place: Path, write_task: Callable[..., Path]
) -> None:
    write_task(root=place / "tasks")
    with serving(place, "--max-sessions", "1", "--idle-s", "1", "--host", "0.0.0.0") as server:
        assert "warning: listening at 0.0.0.0" in server.first_lines
        url = server.url.replace("0.0.0.0", "127.0.0.1")
        with MLEDojoClient(base_url=url).sync() as first, MLEDojoClient(base_url=url).sync() as second:
            first.reset(task="tiny")
            result = first.step(execute(f"import time; time.sleep(2.5)\n{CONSTANT}"))
            assert result.reward == 0.25  # longer than a session may idle
            time.sleep(2)
            assert second.reset(task="tiny").observation.facts.steps_left == 15  # in the first one's place
            time.sleep(2)
            with pytest.raises(RuntimeError, match="No episode is running"):
                first.step(execute("pass"))
        idle = server.descendants()
        with connect(url.replace("http", "ws") + "/ws") as busy:
            busy.send(json.dumps({"type": "reset", "data": {"task": "tiny"}}))
            busy.recv()
            endless = {"name": "execute_code", "argument": "while True: pass"}
            busy.send(json.dumps({"type": "step", "data": endless}))
            assert eventually(lambda: server.descendants() > idle)
            family = server.descendants()
            code, printed = server.stop()
    assert code == 128 + signal.SIGTERM
    assert "Traceback" not in printed
    assert eventually(lambda: not any(Path(f"/proc/{pid}").exists() for pid in family))


def test_a_port_that_is_taken_is_one_clear_line(place: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        done = subprocess.run([*CLI, "--port", port], capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stderr) == (
        1,
        f"error: Cannot listen at 127.0.0.1, port {port}: Address already in use.\n",
    )


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"reward": "rank_gian"}, "Did you mean 'rank_gain'?"),
        ({"score_visibility": "all"}, "Unknown score_visibility 'all'"),
        ({"max_steps": 0}, "max_steps is 0; expected more than 0."),
        ({"idle_s": 0.0}, "idle_s is 0.0; expected more than 0."),
        ({"max_sessions": 0}, "max_sessions is 0; expected more than 0."),
    ],
)
def test_a_wrong_option_is_told_at_the_start(options: dict[str, Any], told: str) -> None:
    with pytest.raises(ConfigError, match=re.escape(told)):
        create_app(LocalSandbox(), **options)


@pytest.mark.parametrize(
    ("host", "local"),
    [("127.0.0.1", True), ("::1", True), ("localhost", True), ("0.0.0.0", False), ("a", False)],
)
def test_loopback(host: str, local: bool) -> None:
    assert is_loopback(host) == local


async def test_an_episode_that_breaks_on_our_side_is_an_error_without_details(
    place: Path, write_task: Callable[..., Path], caplog: pytest.LogCaptureFixture
) -> None:
    write_task(root=place / "tasks")
    with LocalSandbox() as sandbox:
        session = MLEDojoEnvironment(sandbox, (place / "tasks",), {})
        await session.reset_async(task="tiny")
    with pytest.raises(RuntimeError, match=r"broke on the server's side \(SandboxError\)") as raised:
        await session.step_async(execute("pass"))
    assert "closed" not in str(raised.value)
    assert "an episode of offline/tiny broke: SandboxError: The" in caplog.text
    with pytest.raises(RuntimeError, match="SandboxError"):
        await session.reset_async(task="tiny")
    await asyncio.to_thread(session.close)
