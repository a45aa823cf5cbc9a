"""Hostile code uses up what there is: processes, memory, disk, output, time, and the kernel's own tables."""

from __future__ import annotations

import pytest

from mledojo_env.sandbox import Status

PROCESSES = {
    "fork bomb": "import os\nwhile True:\n    try: os.fork()\n    except OSError: pass",
    "quiet fork bomb": "import os\nwhile True: os.fork()",
    "fork bomb that execs": """
import os, sys
while True:
    try:
        if os.fork() == 0: os.execv(sys.executable, ["python", "-c", "import time; time.sleep(60)"])
    except OSError: pass
""",
    "thread bomb": """
import threading, time
while True: threading.Thread(target=time.sleep, args=(60,)).start()
""",
    "zombies": "import os\nwhile True:\n    if os.fork() == 0: os._exit(0)",
    "process pools": """
from concurrent.futures import ProcessPoolExecutor
import time
pools = [ProcessPoolExecutor(60) for _ in range(10)]
for pool in pools: [pool.submit(time.sleep, 60) for _ in range(60)]
""",
}


@pytest.mark.parametrize("code", PROCESSES.values(), ids=PROCESSES)
async def test_processes(attack, code: str):
    result = await attack(code, timeout_s=1.5)
    assert result.status in (Status.TIMEOUT, Status.TOO_MANY_PROCESSES), result
    assert result.wall_s < 6


MEMORY = {
    "heap": "x = []\nwhile True: x.append(bytearray(2**24))",
    "one allocation": "import numpy as np; x = np.ones(2**34, dtype='u1')",
    "small objects": "x = []\nwhile True: x.append([object() for _ in range(1000)])",
    "shared mapping": """
import mmap, time
block = mmap.mmap(-1, 2**29)
for i in range(0, 2**29, 2**20): block[i:i + 2**20] = b"x" * 2**20
time.sleep(2)
""",
    "many processes": """
import os, time
[os.fork() for _ in range(3)]
block = b"x" * (60 * 2**20)
time.sleep(2)
raise SystemExit(any(os.waitstatus_to_exitcode(os.wait()[1]) for _ in range(3)))
""",
    "memory files": """
import os, time
for i in range(64): os.write(os.memfd_create("x"), bytes(2**23))
time.sleep(2)
""",
    "dev shm": """
import time
for i in range(64): open(f"/dev/shm/{i}", "wb").write(bytes(2**22))
time.sleep(2)
""",
    "tmp": """
import time
for i in range(64): open(f"/tmp/{i}", "wb").write(bytes(2**22))
time.sleep(2)
""",
    "endless string": "x = 'x'\nwhile True: x += x",
    "regular expression": "import re\nre.compile('(?:' * 10**7)",
}


@pytest.mark.parametrize("code", MEMORY.values(), ids=MEMORY)
async def test_memory(attack, code: str, sandbox, has_cgroups: bool):
    result = await attack(code, memory_mb=200, disk_mb=512)
    expected = {Status.OUT_OF_MEMORY}
    if "re.compile" in code or ("memfd" in code and not has_cgroups):  # fails before, or is refused
        expected.add(Status.ERROR)
    assert result.status in expected, result
    # Without a control group it is looked at four times a second.
    assert result.peak_memory_mb < (260 if has_cgroups or sandbox.name == "docker" else 1000)


async def test_pipes_full_of_data(attack):
    """The kernel keeps what is in a pipe; a script may not have so many."""
    code = """
import fcntl, os
pipes = []
while True:
    reading, writing = os.pipe(); pipes.append(reading)
    try: fcntl.fcntl(writing, 1031, 2**20)
    except OSError: pass
    os.set_blocking(writing, False)
    try:
        while True: os.write(writing, bytes(2**16))
    except BlockingIOError: pass
"""
    result = await attack(code, memory_mb=200)
    assert result.status in (Status.ERROR, Status.OUT_OF_MEMORY), result


DISK = {
    "work": "for i in range(2000): open(f'/work/{i}', 'wb').write(bytes(2**20))",
    "tmp": "for i in range(2000): open(f'/tmp/{i}', 'wb').write(bytes(2**20))",
    "dev shm": "for i in range(2000): open(f'/dev/shm/{i}', 'wb').write(bytes(2**20))",
    "inodes": "for i in range(10**5): open(f'{i}', 'w').close()",
    "directories": "import os\nfor i in range(10**5): os.mkdir(f'{i}')",
    "links": "import os\nfor i in range(10**5): os.symlink('x', f'{i}')",
    "hard links": "import os\nopen('x', 'w')\nfor i in range(10**5): os.link('x', f'{i}')",
    "10 GB sparse": "import os\nos.truncate(os.open('x', os.O_CREAT | os.O_RDWR), 10 * 2**30)",
    "one large file": "f = open('x', 'wb')\nwhile True: f.write(bytes(2**20))",
    "fallocate": """
import os
for i in range(99): os.posix_fallocate(os.open(f"{i}", os.O_CREAT | os.O_RDWR), 0, 2**22)
""",
}


@pytest.mark.parametrize("code", DISK.values(), ids=DISK)
async def test_disk(attack, code: str):
    result = await attack(code, disk_mb=64, file_mb=100, memory_mb=1024, timeout_s=20)
    assert result.status is Status.OUT_OF_DISK, result
    assert len(result.files) <= 200


async def test_extended_attributes(attack):
    """A file's attributes hold data, too; the kernel's memory for them is the execution's."""
    code = """
import os
for i in range(10**5):
    name = f"f{i // 100}"
    open(name, "a").close()
    try: os.setxattr(name, f"user.{i}", bytes(60_000))
    except OSError: pass
"""
    assert (await attack(code, memory_mb=200, timeout_s=3)).peak_memory_mb < 260


FLOODS = {
    "lines": "for i in range(10**9): print(i)",
    "no newline": "import os\nwhile True: os.write(1, b'x' * 65536)",
    "stderr": "import os\nwhile True: os.write(2, b'x' * 65536)",
    "binary": "import os\nwhile True: os.write(1, os.urandom(65536))",
    "both by many": """
import os
os.fork(); os.fork()
while True: os.write(1, b"x" * 9999); os.write(2, b"y" * 9999)
""",
    "warnings": "import warnings\nfor i in range(10**8): warnings.warn(f'{i}')",
    "one line": "print('x' * 10**8)",
}


@pytest.mark.parametrize("code", FLOODS.values(), ids=FLOODS)
async def test_output(attack, code: str):
    result = await attack(code)
    assert result.status is Status.OUTPUT_TRUNCATED, result
    assert result.wall_s < 8
    assert max(len(result.stdout), len(result.stderr)) < 5 * 2**20  # of which an escape may take four
    assert result.stdout_cut + result.stderr_cut > 0


ERRORS = {
    "message": "raise ValueError('x' * 10**8)",
    "class name": "raise type('X' * 10**6, (Exception,), {})()",
    "chain": """
error = None
for i in range(2000):
    try:
        try: raise ValueError('x' * 100) from error
        except ValueError as e: error = e; raise
    except ValueError: pass
raise error
""",
    "groups": "e = ValueError()\nfor i in range(500): e = ExceptionGroup('x' * 100, [e, e])\nraise e",
    "recursion": "def f(): f()\nf()",
    "source line": "x = '" + "y" * 500_000 + "'; 1 / 0",
    "notes": "e = ValueError()\nfor i in range(10**5): e.add_note('x' * 100)\nraise e",
    "report": "import os\nfor i in range(100): os.write(3, b'x' * 2**20)\nraise SystemExit(1)",
    "huge exit": "raise SystemExit(10**100)",
    "unprintable": "class E(Exception):\n    def __str__(self): raise self\n    __repr__ = __str__\nraise E",
}


@pytest.mark.parametrize("code", ERRORS.values(), ids=ERRORS)
async def test_descriptions_of_errors(attack, code: str):
    """What a script makes of its exception is text of a bounded size, made within its own limits."""
    result = await attack(code, timeout_s=3)
    assert not result.ok and len(result.traceback) <= 140_000 and len(result.error_message or "") <= 40_000


async def test_terminal_escapes(attack):
    """Whoever prints a result to a terminal prints no more than text."""
    code = """
import sys
print("\\x1b]0;title\\x07\\x1b[2J\\x1b[31mred\\x9b1m\\x08\\x00tab\\there")
print("\\x1b[2J", file=sys.stderr)
raise type("\\x1b[1mName", (Exception,), {})("\\x1b[2Jtext")
"""
    result = await attack(code)
    shown = "".join((result.stdout, result.stderr, result.message, result.traceback))
    assert all(character.isprintable() or character in "\t\n\r\ufffd" for character in shown), shown
    assert result.stdout == "\\x1b]0;title\\x07\\x1b[2J\\x1b[31mred\\x9b1m\\x08\\x00tab\there\n"


TIME = {
    "loop": "while True: pass",
    "sleep": "import time; time.sleep(1000)",
    "reading stdin": "import sys\nwhile True: sys.stdin.read()",
    "at exit": "import atexit, time\natexit.register(time.sleep, 1000)",
    "a thread": "import threading, time\nthreading.Thread(target=time.sleep, args=(1000,)).start()",
    "a finalizer": "class X:\n    def __del__(self):\n        while True: pass\nX()",
    "a big power": "10 ** (10 ** 9)",
    "compilation": "while True: compile('[' + '0,' * 9999 + ']', '', 'eval')",
    "waiting for itself": "import os\nr, w = os.pipe()\nos.read(r, 1)",
    "stopped": "import os, signal\nos.kill(os.getpid(), signal.SIGSTOP)\nimport time; time.sleep(1000)",
    "all signals ignored": """
import signal
for number in range(1, 65):
    try: signal.signal(number, signal.SIG_IGN)
    except (OSError, ValueError): pass
while True: pass
""",
    "alarms cleared": """
import ctypes, signal
ctypes.CDLL(None).prctl(1, 0, 0, 0, 0)  # PR_SET_PDEATHSIG
signal.setitimer(signal.ITIMER_REAL, 0)
signal.pthread_sigmask(signal.SIG_BLOCK, range(1, 65))
while True: pass
""",
}


@pytest.mark.parametrize("code", TIME.values(), ids=TIME)
async def test_time(attack, code: str):
    result = await attack(code, timeout_s=1)
    assert result.status is Status.TIMEOUT, result
    assert result.wall_s < 5


TABLES = {
    "timers": """
import ctypes
libc = ctypes.CDLL(None)
event = (ctypes.c_long * 16)()
made = ctypes.c_long()
for i in range(10**5): libc.timer_create(0, None, ctypes.byref(made))
""",
    "inotify": """
import ctypes
libc = ctypes.CDLL(None)
for i in range(10**5): libc.inotify_add_watch(libc.inotify_init(), b"/work", 0xfff)
""",
    "queued signals": """
import ctypes, os, signal
signal.pthread_sigmask(signal.SIG_BLOCK, range(1, 65))
libc = ctypes.CDLL(None)
for i in range(10**5): libc.sigqueue(os.getpid(), 40, None)
""",
    "locks": """
import fcntl
f = open("x", "w")
for i in range(10**5):
    try: fcntl.lockf(f, fcntl.LOCK_EX, 1, 2 * i)
    except OSError: break
""",
    "epoll": """
import os, select
made = []
try:
    while True: made.append(select.epoll()); made.append(os.eventfd(0)); made[0].register(made[-1])
except OSError: pass
""",
    "sockets in flight": """
import socket
a, b = socket.socketpair()
a.setblocking(False)
try:
    while True:
        pair = socket.socketpair()
        socket.send_fds(a, [b"x"], [pair[0].fileno(), pair[1].fileno()])
except OSError: pass
""",
    "mappings": """
import mmap
kept = []
try:
    while True: kept.append(mmap.mmap(-1, 4096, prot=1 + len(kept) % 2 * 2))
except (OSError, MemoryError, ValueError): pass
""",
    "System V objects": """
import ctypes
libc = ctypes.CDLL(None, use_errno=True)
for i in range(1000):
    if libc.shmget(0, 2**20, 0o1666) >= 0: print("BROKE")
    if libc.semget(0, 250, 0o1666) >= 0: print("BROKE")
    if libc.msgget(0, 0o1666) >= 0: print("BROKE")
""",
}


@pytest.mark.parametrize("code", TABLES.values(), ids=TABLES)
async def test_tables_of_the_kernel(attack, code: str):
    """What such a loop fills is its own, or it is refused: the next execution finds everything free."""
    result = await attack(code, timeout_s=3)
    assert result.status in (Status.OK, Status.ERROR, Status.TIMEOUT, Status.OUT_OF_MEMORY), result
