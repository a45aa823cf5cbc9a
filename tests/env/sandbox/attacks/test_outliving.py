"""Hostile code wants to live on after its execution, or to reach the processes of others."""

from __future__ import annotations

import asyncio
import os

import pytest

from mledojo_env.sandbox import Status

# Writes for as long as it lives.
HEARTBEAT = """
import os, time
def live():
    for fd in range(3, 64):
        try: os.close(fd)
        except OSError: pass
    while True:
        with open("/work/heartbeat", "a") as file: file.write("x")
        time.sleep(0.005)
"""
WAYS = {
    "a child": "if os.fork() == 0: live()",
    "a double fork": "if os.fork() == 0:\n    os.setsid()\n    if os.fork() == 0: live()\n    os._exit(0)",
    "a session of its own": "if os.fork() == 0:\n    os.setsid(); live()",
    "streams closed": "if os.fork() == 0:\n    for fd in range(3): os.close(fd)\n    live()",
    "signals ignored": """
import signal
if os.fork() == 0:
    for number in range(1, 65):
        try: signal.signal(number, signal.SIG_IGN)
        except (OSError, ValueError): pass
    live()
""",
    "a thread": "import threading; threading.Thread(target=live, daemon=True).start()",
    "a subreaper": """
import ctypes
ctypes.CDLL(None).prctl(36, 1, 0, 0, 0)
if os.fork() == 0:
    if os.fork() == 0: live()
    os._exit(0)
""",
    "a sibling": """
import ctypes
clone = 56 if os.uname().machine == "x86_64" else 220
if ctypes.CDLL(None).syscall(clone, 0x8000 | 17, 0, 0, 0, 0) == 0: live()
elif os.fork() == 0: live()
""",
    "another program": """
import subprocess, sys
code = "import time\\nwhile True:\\n    open('/work/heartbeat', 'a').write('x'); time.sleep(0.005)"
subprocess.Popen([sys.executable, "-S", "-c", code], start_new_session=True)
""",
}


BEATS = "while not os.path.exists('/work/heartbeat'): time.sleep(0.01)\n"


@pytest.mark.parametrize("ending", ["time.sleep(0.1)", "time.sleep(0.1); os._exit(1)", "time.sleep(99)"])
@pytest.mark.parametrize("way", WAYS.values(), ids=WAYS)
async def test_nothing_outlives(run, session, way: str, ending: str):
    """However it ends: by itself, by failing, by the time limit."""
    limit = 2 if "99" in ending else 10
    result = await run(HEARTBEAT + way + "\n" + BEATS + ending, timeout_s=limit)
    assert result.status in (Status.OK, Status.ERROR, Status.TIMEOUT), result
    beats = len(session.read("heartbeat", 100_000))
    await asyncio.sleep(0.05)
    assert beats > 0 and len(session.read("heartbeat", 100_000)) == beats
    seen = await run("import os; print([p for p in os.listdir('/proc') if p.isdigit()])")
    assert len(eval(seen.stdout)) == (1 if session.__class__.__name__ == "LocalSession" else 2)


async def test_nothing_outlives_from_an_exit_handler(run, session):
    assert (await run(HEARTBEAT + "import atexit\natexit.register(lambda: os.fork() or live())")).ok
    before = len(session.read("heartbeat", 100_000)) if "heartbeat" in (await run("")).files else 0
    await asyncio.sleep(0.05)
    assert len((await run("")).files) == 0 or len(session.read("heartbeat", 100_000)) == before


async def test_sleepers_do_not_add_up(attack, run):
    code = """
import os
for _ in range(5):
    if os.fork() == 0:
        os.setsid()
        os.execv("/opt/env/bin/python", ["python", "-c", "import time; time.sleep(60)"])
"""
    for _ in range(5):
        assert (await run(code, processes=10)).ok
    assert (await attack(code, processes=10)).ok


SIGNALS = {
    "by number": "for pid in {pids!r}:\n    try: os.kill(pid, {signal})\n    except OSError: pass",
    "to all": """
if {signal} not in (9, 19): signal.signal({signal}, signal.SIG_IGN)
os.kill(-1, {signal})
""",
    "to the group": "try: os.killpg(1, {signal})\nexcept OSError: pass",
    "by pidfd": """
for pid in {pids!r}:
    try: signal.pidfd_send_signal(os.pidfd_open(pid), {signal})
    except OSError: pass
""",
    "to a thread": """
import ctypes
tgkill = 234 if os.uname().machine == "x86_64" else 131
for pid in {pids!r}: ctypes.CDLL(None).syscall(tgkill, pid, pid, {signal})
""",
}


@pytest.mark.parametrize("number", [9, 15, 19, 2])
@pytest.mark.parametrize("code", SIGNALS.values(), ids=SIGNALS)
async def test_signals_reach_nobody_else(attack, code: str, number: int):
    pids = [os.getpid(), os.getppid(), 1, 2, 3, 4, 5]
    await attack("import os, signal\n" + code.format(pids=pids, signal=number), timeout_s=1)


@pytest.mark.parametrize("number", [2, 6, 9, 11, 13, 15, 19])
async def test_ending_itself(attack, number: int):
    """As the first process of its namespace a script takes no signal it does not handle; that is no harm."""
    result = await attack(f"import os\nos.kill(os.getpid(), {number})", timeout_s=1)
    assert result.status in (Status.OK, Status.KILLED, Status.ERROR, Status.TIMEOUT), result
