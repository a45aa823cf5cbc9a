"""The environment as Gymnasium sees it, with a real task, the real sandbox and the real grader."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import threading
import warnings
from collections.abc import Iterator
from typing import Any

import gymnasium
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env

import mledojo_env
from mledojo_env import ActionName, MLEDojoEnv
from mledojo_env.portal import Portal, shared_portal
from mledojo_env.spaces import MAX_ARGUMENT_CHARS, UnicodeText, action_space

TASK = "offline/concrete-strength"

MEAN_OF_TRAIN = """\
import pandas as pd
train, form = pd.read_csv("/data/train.csv"), pd.read_csv("/data/sample_submission.csv")
target = form.columns[-1]
form[target] = train[target].mean()
form.to_csv("submission.csv", index=False)
print("mean", round(train[target].mean(), 3))
"""


def act(name: ActionName, argument: str = "", final: int = 0) -> dict[str, Any]:
    return {"name": list(ActionName).index(name), "argument": argument, "final": final}


@pytest.fixture
def env() -> Iterator[gymnasium.Env[Any, Any]]:
    made = gymnasium.make("MLEDojo-v0", task=TASK)
    yield made
    made.close()


def test_gymnasiums_checker_finds_nothing(env: gymnasium.Env[Any, Any]) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        check_env(env.unwrapped)


def test_an_episode_through_gymnasium(env: gymnasium.Env[Any, Any]) -> None:
    first, info = env.reset(seed=3)
    assert first in env.observation_space and info == {"step": 0, "seed": 3}
    steps = [
        env.step(act(ActionName.REQUEST_INFO, "data")),
        env.step(act(ActionName.VALIDATE_CODE, MEAN_OF_TRAIN)),
        env.step(act(ActionName.EXECUTE_CODE, MEAN_OF_TRAIN)),
        env.step(act(ActionName.EXECUTE_CODE, "import pandas as pd\npd.read_csv('/data/tests.csv')")),
        env.step(act(ActionName.EXECUTE_CODE, "import os\nprint(os.listdir('/data'), os.listdir())", 1)),
    ]
    assert all(seen in env.observation_space for seen, *_ in steps)
    (told, *_), (tried, *_), (scored, reward, *_, graded), (failed, *_), (ended, _, terminated, *_) = steps
    assert "train.csv" in told["text"] and "columns" in told["text"]
    assert "not graded" in tried["text"] and not tried["has_score"]
    assert scored["has_score"] and scored["submission_valid"] and scored["score"] > 0
    assert reward == graded["private"]["rank"] == graded["private"]["grade"].private_rank
    assert "FileNotFoundError" in failed["text"] and "\nline 2: pd.read_csv" in failed["text"]
    assert "answers" not in ended["text"] and "private" not in ended["text"]
    assert terminated and ended["has_best"] and ended["best_score"] == scored["score"]


def test_the_same_seed_and_actions_give_the_same_answers(env: gymnasium.Env[Any, Any]) -> None:
    code = "import random, numpy\nprint(random.random(), numpy.random.rand(), hash('x'))\n" + MEAN_OF_TRAIN
    answers = []
    for seed in (7, 7, 8):
        env.reset(seed=seed)
        seen, reward, _, _, info = env.step(act(ActionName.EXECUTE_CODE, code))
        answers.append((seen, reward, info))
    assert answers[0] == answers[1]
    assert answers[0][0]["text"] != answers[2][0]["text"]


def test_rendering_gives_the_last_observation() -> None:
    with gymnasium.make("MLEDojo-v0", task=TASK, render_mode="ansi") as env:
        seen, _ = env.reset(seed=0)
        assert env.render() == seen["text"]


def test_it_is_vectorised() -> None:
    envs = gymnasium.make_vec("MLEDojo-v0", num_envs=2, task=TASK, vectorization_mode="sync")
    try:
        seen, _ = envs.reset(seed=1)
        assert len(seen["text"]) == 2
        envs.step(envs.action_space.sample())
    finally:
        envs.close()


async def test_synchronous_calls_work_inside_a_running_loop() -> None:
    env = mledojo_env.make(TASK)
    try:
        env.reset(seed=0)
        seen, *_ = env.step(act(ActionName.EXECUTE_CODE, MEAN_OF_TRAIN))
        assert seen["submission_valid"]
    finally:
        env.close()


async def test_episodes_share_a_sandbox_and_run_at_once() -> None:
    envs = [MLEDojoEnv(TASK, seed=seed) for seed in range(4)]

    async def episode(env: MLEDojoEnv) -> float:
        await env.areset()
        await env.astep(act(ActionName.EXECUTE_CODE, MEAN_OF_TRAIN))
        await env.aclose()
        return float(env.episode_result()["score_private"])

    scores = await asyncio.gather(*map(episode, envs))
    assert len(set(scores)) == 1


@pytest.mark.parametrize(
    "code", ["print('\ud800')", "\x00", "x" * 3_000_000, "-" * 90_000 + "1", "(" * 90_000]
)
async def test_hostile_code_is_an_observation(code: str) -> None:
    env = MLEDojoEnv(TASK)
    try:
        await env.areset()
        for name in (ActionName.VALIDATE_CODE, ActionName.EXECUTE_CODE):
            seen, reward, *_ = await env.astep(act(name, code))
            assert not seen.ok and reward == 0.0
            (seen.to_text() + str(seen.to_dict())).encode()
    finally:
        await env.aclose()


ENDINGS = f"""\
import os, signal, sys, threading, time
import mledojo_env
env = mledojo_env.make("{TASK}")
env.reset(seed=0)
run = lambda code: env.step({{"name": "execute_code", "argument": code}})[0]["text"]
"""


def ends(script: str, timeout_s: float = 30.0) -> subprocess.CompletedProcess[str]:
    """Run a script in a new interpreter and return how it ended."""
    command = [sys.executable, "-c", ENDINGS + script]
    return subprocess.run(command, capture_output=True, text=True, timeout=timeout_s)


def test_a_process_that_never_closes_ends_quietly() -> None:
    ended = ends("print(run('print(6 * 7)'))")
    assert (ended.returncode, ended.stderr) == (0, "") and "42" in ended.stdout


def test_an_interrupt_ends_a_step_within_two_seconds() -> None:
    ended = ends("""
threading.Timer(0.7, os.kill, (os.getpid(), signal.SIGINT)).start()
try:
    run("import time; time.sleep(20)")
except KeyboardInterrupt:
    began = time.monotonic()
    env.reset(seed=1)
    print(run("print('alive')"), time.monotonic() - began < 2)
""")
    assert ended.returncode == 0, ended.stderr
    assert "alive" in ended.stdout and "True" in ended.stdout


def test_unicode_text_takes_any_text_up_to_its_length() -> None:
    space = UnicodeText(5, seed=1)
    assert "añ\n世" in space and "" in space and "123456" not in space and 5 not in space
    assert all(space.sample() in space for _ in range(50))
    assert UnicodeText(5) == UnicodeText(5) != UnicodeText(6)
    assert action_space().contains({"name": np.int64(2), "argument": "x" * MAX_ARGUMENT_CHARS, "final": 1})


def test_the_portal_refuses_to_wait_for_itself() -> None:
    async def nested() -> None:
        async def inner() -> None: ...

        shared_portal().run(inner())

    with pytest.raises(RuntimeError, match="await astep"):
        shared_portal().run(nested())


def test_a_forked_child_gets_a_portal_of_its_own() -> None:
    async def answer() -> int:
        return 42

    assert shared_portal().run(answer()) == 42
    child = os.fork()
    if child == 0:
        os._exit(shared_portal().run(answer()))
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 42


def test_the_portal_serves_many_threads_and_hands_exceptions_on() -> None:
    portal, results = Portal(), []

    async def double(value: int) -> int:
        await asyncio.sleep(0.01)
        if value == 3:
            raise KeyError(value)
        return 2 * value

    def work(value: int) -> None:
        try:
            results.append(portal.run(double(value)))
        except KeyError:
            results.append(-1)

    threads = [threading.Thread(target=work, args=(value,)) for value in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(results) == [-1, 0, 2, 4, 8, 10]
