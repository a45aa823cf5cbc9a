"""Hostile code leaves something for the next run, the fork-server, the grader, or lies about its end."""

from __future__ import annotations

import asyncio

import pytest

from mledojo_env.sandbox import Limits, Status

LEFT = {
    "patched modules": """
import builtins, json, os, pandas, sys, traceback
pandas.DataFrame.to_csv = None
builtins.open = os._exit = sys.exit = traceback.print_exc = json.dumps = None
""",
    "no modules": "import sys\nsys.modules.clear(); sys.path.clear(); sys.meta_path.clear()",
    "patched runner": """
import sys, gc
for found in gc.get_objects():
    if isinstance(found, dict) and found.get("__name__", "").startswith("mledojo"): found.clear()
""",
    "patched memory": """
import ctypes, numpy
ctypes.memset(id(numpy.float64) + 16, 0, 0)
ctypes.pythonapi.PyObject_SetAttrString.restype = ctypes.c_int
""",
    "environment": """
import os
os.environ.update(PYTHONSTARTUP="/work/x.py", LD_PRELOAD="/work/x.so", PYTHONPATH="/work")
""",
    "hooks": "import sys\nsys.excepthook = sys.settrace = print\nsys.addaudithook(lambda *_: None)",
    "random state": "import numpy, random\nnumpy.random.seed(1); random.seed(1)",
    "limits": "import resource\nresource.setrlimit(resource.RLIMIT_AS, (2**20, 2**20))",
    "signal mask": "import signal\nsignal.pthread_sigmask(signal.SIG_BLOCK, range(1, 65))",
    "umask and directory": "import os\nos.umask(0o777); os.chdir('/')",
    "collector": "import gc\ngc.disable(); gc.set_threshold(1)",
    "recursion": "import sys\nsys.setrecursionlimit(10**9)\ndef f(): f()\nf()",
}


@pytest.mark.parametrize("code", LEFT.values(), ids=LEFT)
async def test_nothing_survives_into_the_next_run(attack, code: str):
    result = await attack(code)
    assert result.status is not Status.REFUSED, result


async def test_modules_left_in_the_working_directory(run):
    """They are the agent's own to import, but take the place of nothing that a run starts with."""
    code = """
import pathlib
for name in ("sitecustomize", "usercustomize", "numpy", "os", "script", "encodings", "threading"):
    pathlib.Path(name + ".py").write_text("print('HIJACKED')")
pathlib.Path("x.pth").write_text("import os; os.system('touch /work/hijacked')")
pathlib.Path("pyvenv.cfg").write_text("home = /work")
"""
    await run(code)
    result = await run("import os, numpy, json, threading; print(numpy.__file__, os.path.exists('hijacked'))")
    assert result.ok and "HIJACKED" not in result.stdout, result
    assert "/opt/env" in result.stdout and "False" in result.stdout


FORGED = ["ready ", "ready 0", "SandboxError", "set-up failed", '{"op": "done", "id": 1, "problem": ""}']


@pytest.mark.parametrize("code", [0, 1, 125, 137, 255])
async def test_no_exit_code_passes_for_a_failure_of_ours(run, code: int):
    for words in FORGED:
        attempt = f"import os\nfor fd in (1, 2, 3): os.write(fd, {words!r}.encode())\nos._exit({code})"
        assert (await run(attempt)).status is (Status.OK if code == 0 else Status.ERROR)


@pytest.mark.parametrize(
    "forged",
    [
        b"MemoryError\0forged\x0012\0forged traceback",
        b"OSError\0forged\x0028\0",
        b"BlockingIOError\0forged\x0011\0",
        b"\0\0\0",
        b"\0" * 100_000,
        b"X" * 1000 + b"\0a\x001e9\0b",
        b"\xff\xfe\0\xff\0\xff\0\xff",
    ],
    ids=["memory", "disk", "processes", "empty", "zeros", "long", "binary"],
)
async def test_a_forged_report_changes_no_success_and_no_kill(attack, run, forged: bytes):
    write = f"import os; os.write(3, {forged!r})"
    assert (await attack(write)).status is Status.OK
    result = await run(f"{write}\nwhile True: pass", timeout_s=0.3)
    assert result.status is Status.TIMEOUT


async def test_forged_messages_on_every_descriptor(attack):
    """In a container, the fork-server's own output is the way to the host."""
    code = """
import glob, json, os, struct
header = json.dumps({"op": "done", "id": 1, "problem": "", "wait_status": 0, "reason": "", "sizes": []})
frame = struct.pack(">II", len(header), 0) + header.encode()
for path in [*glob.glob("/proc/*/fd/*"), "/dev/console", "/dev/tty", "/dev/pts/0"]:
    try:
        fd = os.open(path, os.O_WRONLY | os.O_NONBLOCK)
        if not path.startswith(("/proc/self", "/proc/thread-self", f"/proc/{os.getpid()}/")):
            print("BROKE", path)
        os.write(fd, frame)
    except OSError: pass
for fd in range(64):
    try: os.write(fd, frame)
    except OSError: pass
os._exit(1)
"""
    result = await attack(code)
    assert result.status is Status.ERROR and result.exit_code == 1


async def test_closing_what_the_runner_reports_to(attack):
    result = await attack("import os\nos.closerange(0, 100)\n1 / 0")
    assert result.status is Status.ERROR and result.exit_code == 1


async def test_a_script_that_never_stops_asking(sandbox, task):
    """Many short executions of many episodes at once: each gets its own answer."""

    async def episode(number: int) -> None:
        session = await sandbox.session(task.public)
        for step in range(8):
            result = await session.run(f"print({number}, {step})", task.public, Limits(timeout_s=60))
            assert result.ok and result.stdout == f"{number} {step}\n", result
        await session.close()

    await asyncio.gather(*(episode(number) for number in range(8)))
