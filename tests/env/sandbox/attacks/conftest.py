"""How an attack is tried: beside a neighbour at work, and followed by an honest run in the same place.

Hostile code prints BROKE and what it got, should it ever get something. Whatever it does, the `attack`
fixture checks that it got nothing, that the result explains itself, that another episode's execution at the
same time is right, and that the next execution is as good as the first.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Coroutine
from typing import Any

import pytest

from mledojo_env.sandbox import ExecutionResult, Limits, Sandbox, Session, Status

Attack = Callable[..., Coroutine[Any, Any, ExecutionResult]]

# What an honest script does, in small: reads data, computes, forks, writes and prints.
HONEST = """
import os, subprocess, sys, threading
import numpy as np
rows = open("/data/train.csv").read().splitlines()
block = np.ones(2_000_000)
thread = threading.Thread(target=block.sum)
thread.start(); thread.join()
if os.fork() == 0:
    os._exit(7)
code = os.waitstatus_to_exitcode(os.wait()[1])
open("honest.csv", "w").write("id,p\\n1,0.5\\n")
open("/tmp/scratch", "w").write("x")
print(rows[0], int(block.sum()), code, open("honest.csv").read().split()[1])
"""
EXPECTED = "id,target 2000000 7 1,0.5\n"


async def assert_honest_work_succeeds(session: Session, task: Any) -> None:
    """An honest script runs as if nothing had ever happened."""
    result = await session.run(HONEST, task.public, Limits(timeout_s=20, memory_mb=512))
    assert result.ok and result.stdout == EXPECTED and result.stderr == "", result


def assert_explains_itself(result: ExecutionResult) -> None:
    """One printable line says what happened, and the whole result can be stored as text."""
    assert (result.message == "") == result.ok, result
    assert "\n" not in result.message and len(result.message) <= 300
    stored = json.dumps(_texts(result), ensure_ascii=False).encode()
    assert b"\x1b" not in stored and len(stored) < 5_000_000
    if result.status not in (Status.OK, Status.REFUSED):
        assert result.exit_code is not None


def _texts(result: ExecutionResult) -> list[str]:
    return [result.message, result.stdout, result.stderr, result.traceback, *result.files]


@pytest.fixture
async def neighbour(sandbox: Sandbox) -> AsyncIterator[Session]:
    """Another episode's session."""
    session = await sandbox.session()
    yield session
    await session.close()


@pytest.fixture
def attack(sandbox: Sandbox, session: Session, neighbour: Session, task: Any) -> Attack:
    """Run hostile code and check what holds for every attack; return its result for what is particular.

    Args:
        code: The hostile code.
        limits: Of its execution, by name; ten seconds by default.
    """

    async def attack(code: str, **limits: Any) -> ExecutionResult:
        await neighbour.run("", task.public, Limits())  # it is there before the attack begins
        allowed = Limits(**{"timeout_s": 10.0, "memory_mb": 512, **limits})
        attacking = asyncio.create_task(session.run(code, task.public, allowed))
        await asyncio.sleep(0.05)
        await assert_honest_work_succeeds(neighbour, task)
        result = await attacking
        assert "BROKE" not in result.stdout + result.stderr, result
        assert all(task.secret not in text for text in _texts(result)), result
        assert_explains_itself(result)
        session.clear()
        await assert_honest_work_succeeds(session, task)
        return result

    return attack
