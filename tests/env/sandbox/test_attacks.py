"""What hostile code tries. After each attempt the secret is unread and the sandbox still serves others."""

from __future__ import annotations

import asyncio
import os
import time
from pathlib import Path

import pytest

from mledojo_env.errors import InvalidSubmission
from mledojo_env.sandbox import Limits, Sandbox, Session, Status

SEARCH = """
import os
seen = set()
for top in {tops!r}:
    for folder, folders, files in os.walk(top, followlinks=False):
        folders[:] = [d for d in folders if not (folder == "/" and d in ("proc", "opt", "usr"))]
        for name in files:
            path = os.path.join(folder, name)
            try:
                if os.path.isfile(path) and bytes.fromhex({secret!r}) in open(path, "rb").read():
                    print("FOUND", path)
            except OSError:
                pass
print("searched")
"""


async def assert_unharmed(sandbox: Sandbox, task) -> None:
    """The next execution, in another session, works as if nothing had happened."""
    session = await sandbox.session()
    result = await session.run("print(open('/data/train.csv').read())", task.public, Limits(timeout_s=10))
    await session.close()
    assert result.ok and result.stdout.startswith("id,target"), result


# reading what must not be read


async def test_answers_by_path(run, task):
    parent = task.answers.parent.parent
    paths = [
        str(task.answers),
        "/data/../private/answers.csv",
        "/data/../../private/answers.csv",
        "/proc/self/root" + str(task.answers),
        "/proc/1/root" + str(task.answers),
        "/proc/self/cwd/../private/answers.csv",
        f"/../../..{task.answers}",
    ]
    code = f"""
import os
for path in {paths!r}:
    for follow in (path, path.upper()):
        try: print("READ", open(follow).read())
        except OSError: pass
os.symlink({str(task.answers)!r}, "link")
try: print("READ", open("link").read())
except OSError: pass
try:
    os.link({str(task.answers)!r}, "hard"); print("LINKED")
except OSError: pass
print(os.path.exists({str(parent)!r}))
"""
    result = await run(code)
    assert result.ok and result.stdout == "False\n", result


async def test_answers_by_search(run, task):
    result = await run(SEARCH.format(tops=["/"], secret=task.secret.encode().hex()), timeout_s=20)
    assert result.ok and result.stdout == "searched\n", result


async def test_nothing_of_ours_can_be_imported_or_found(run):
    code = """
import importlib, os, sys
for name in ("mledojo_env", "mledojo_env.catalog", "mledojo_train", "pydantic", "pytest", "docker"):
    try: importlib.import_module(name); print("IMPORTED", name)
    except ImportError: pass
site = next(p for p in sys.path if p.endswith("site-packages"))
print([n for n in os.listdir(site) if "mledojo" in n or n.endswith(".pth")])
print([f for _, _, fs in os.walk("/run") for f in fs])
"""
    result = await run(code)
    assert result.ok and result.stdout == "[]\n[]\n", result


async def test_places_of_the_host(run):
    paths = ["/root", "/home", "/var/run/docker.sock", "/run/docker.sock", "/sys/kernel", "/boot", "/mnt"]
    paths += ["/proc/sys", "/proc/mounts", "/proc/kcore", "/etc/shadow", "/etc/ssh", "/dev/mem", "/usr/bin"]
    paths += [str(Path.home()), os.getcwd()] if os.getcwd() != "/" else []
    result = await run(f"import os\nprint([p for p in {paths!r} if os.path.exists(p)])")
    assert result.stdout == "[]\n"


async def test_other_sessions_are_out_of_sight(run, sandbox: Sandbox, task):
    other = await sandbox.session()
    await other.run(f"open('notes', 'w').write({task.secret!r})", task.public, Limits())
    result = await run(SEARCH.format(tops=["/sessions", "/work"], secret=task.secret.encode().hex()))
    code = "import os; print([p for p in os.listdir('/proc') if p.isdigit()], os.listdir('/sessions'))"
    listing = await run(code)
    await other.close()
    assert result.stdout == "searched\n"
    assert listing.stdout == "['1'] []\n"


async def test_the_environment_holds_no_secret(run, monkeypatch):
    monkeypatch.setenv("HF_TOKEN", "hf_secret")
    code = """
import os
from pathlib import Path
print("hf_secret" in str(os.environ), b"hf_secret" in Path("/proc/self/environ").read_bytes())
print(sorted(k for k in os.environ if "TOKEN" in k or "KEY" in k or "SECRET" in k))
"""
    assert (await run(code)).stdout == "False False\n[]\n"


async def test_no_open_descriptor_leads_out(run):
    code = """
import os
for fd in sorted(map(int, os.listdir("/proc/self/fd"))):
    try: print(fd, os.readlink(f"/proc/self/fd/{fd}").split(":")[0])
    except OSError: pass
"""
    result = await run(code)
    lines = result.stdout.split("\n")
    assert lines[:4] == ["0 /dev/null", "1 pipe", "2 pipe", "3 pipe"]
    assert all("/proc/1/fd" in line or not line for line in lines[4:]), lines


async def test_the_fork_servers_memory_names_no_path_of_the_host(run, task):
    # A child is a copy of the fork-server: what that knew would be the script's to find.
    needle = str(task.public.parent).encode().hex()
    code = f"""
import re
needle = bytes.fromhex({needle!r})
hits = 0
for line in open("/proc/self/maps"):
    m = re.match(r"(\\w+)-(\\w+) rw-p .*(\\[heap\\]| 0 $)", line)
    if not m: continue
    start, end = int(m[1], 16), int(m[2], 16)
    with open("/proc/self/mem", "rb") as memory:
        try:
            memory.seek(start); hits += memory.read(min(end - start, 2**26)).count(needle)
        except OSError: pass
print(hits <= 1)  # the needle itself
"""
    result = await run(code)
    assert result.ok and result.stdout == "True\n", result


# reaching out


@pytest.mark.parametrize(
    "attempt",
    [
        "socket.create_connection(('1.1.1.1', 53), 2)",
        "socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b'x', ('1.1.1.1', 53))",
        "socket.socket(socket.AF_INET6, socket.SOCK_STREAM)",
        "socket.socket(socket.AF_NETLINK, socket.SOCK_RAW)",
        "socket.socket(socket.AF_PACKET, socket.SOCK_RAW)",
        "socket.socket(40, socket.SOCK_STREAM)",  # AF_VSOCK
        "socket.getaddrinfo('example.com', 80)",
        "socket.create_connection(('127.0.0.1', 22), 2)",
    ],
)
async def test_no_network(run, attempt: str):
    result = await run(f"import socket\n{attempt}\nprint('REACHED')")
    assert result.status is Status.ERROR and "REACHED" not in result.stdout
    assert result.error_class in ("OSError", "gaierror", "PermissionError"), result


async def test_abstract_sockets_of_the_host(run):
    import socket

    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind("\0mledojo-test")
        listening.listen()
        result = await run("import socket\nsocket.socket(socket.AF_UNIX).connect('\\0mledojo-test')")
    assert result.error_class in ("ConnectionRefusedError", "PermissionError"), result


async def test_unix_sockets_between_own_processes_work(run):
    code = "import socket\na, b = socket.socketpair()\na.send(b'x'); print(b.recv(1))"
    assert (await run(code)).stdout == "b'x'\n"


# using up


async def test_fork_bomb(run, sandbox: Sandbox, task):
    result = await run("import os\nwhile True:\n    try: os.fork()\n    except OSError: pass", timeout_s=1)
    assert result.status in (Status.TIMEOUT, Status.TOO_MANY_PROCESSES)
    await assert_unharmed(sandbox, task)


async def test_memory_bomb(run, sandbox: Sandbox, task):
    result = await run("x = []\nwhile True: x.append(bytearray(2**24))", memory_mb=256)
    assert result.status is Status.OUT_OF_MEMORY
    await assert_unharmed(sandbox, task)


async def test_memory_in_shared_mappings(run, sandbox: Sandbox, task):
    code = """
import mmap, time
block = mmap.mmap(-1, 2**29)
for i in range(0, 2**29, 2**20): block[i:i + 2**20] = b"x" * 2**20
time.sleep(1)
"""
    result = await run(code, memory_mb=200)
    assert result.status is Status.OUT_OF_MEMORY
    await assert_unharmed(sandbox, task)


@pytest.mark.parametrize("folder", ["/work", "/tmp", "/dev/shm"])
async def test_disk_fill(run, sandbox: Sandbox, task, folder: str):
    code = f"""
for i in range(2000):
    with open(f"{folder}/{{i}}", "wb") as file: file.write(bytes(2**20))
"""
    result = await run(code, disk_mb=64, memory_mb=1024)
    assert result.status is Status.OUT_OF_DISK, result
    await assert_unharmed(sandbox, task)


async def test_writing_anywhere_else(run):
    targets = [
        "/x",
        "/data/x",
        "/etc/x",
        "/opt/env/x",
        "/usr/lib/x",
        "/dev/x",
        "/proc/x",
        "/run/x",
        "/sessions/x",
    ]
    code = f"""
for path in {targets!r}:
    try: open(path, "w"); print("WROTE", path)
    except OSError: pass
"""
    assert (await run(code)).stdout == ""


async def test_output_flood_without_newlines_from_many_processes(run, sandbox: Sandbox, task):
    code = "import os\nos.fork(); os.fork()\nwhile True: os.write(1, b'x' * 65536); os.write(2, b'y' * 65536)"
    result = await run(code)
    assert result.status is Status.OUTPUT_TRUNCATED and len(result.stdout) < 1100 * 1024
    await assert_unharmed(sandbox, task)


async def test_flooding_the_report(run, sandbox: Sandbox, task):
    result = await run("import os\nfor i in range(100): os.write(3, b'x' * 2**20)\nraise SystemExit(1)")
    assert result.status is Status.ERROR and len(result.traceback) < 40_000
    await assert_unharmed(sandbox, task)


# outliving


async def test_ignoring_signals(run):
    code = """
import signal
for number in range(1, 65):
    try: signal.signal(number, signal.SIG_IGN)
    except (OSError, ValueError): pass
while True: pass
"""
    result = await run(code, timeout_s=1)
    assert result.status is Status.TIMEOUT and result.wall_s < 1.4


@pytest.mark.parametrize("leave", ["pass", "while True: pass"], ids=["parent ends", "parent stays"])
async def test_a_daemon_does_not_outlive(run, session: Session, leave: str):
    code = f"""
import os, time
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        for fd in range(10):
            try: os.close(fd)
            except OSError: pass
        while True:
            with open("heartbeat", "a") as file: file.write("x")
            time.sleep(0.01)
    os._exit(0)
time.sleep(0.3)
{leave}
"""
    result = await run(code, timeout_s=1)
    assert result.status is (Status.OK if leave == "pass" else Status.TIMEOUT)
    before = len(session.read("heartbeat", 10_000))
    await asyncio.sleep(0.2)
    assert before > 0 and len(session.read("heartbeat", 10_000)) == before


async def test_stopping_itself(run):
    code = "import os, signal\nos.kill(0, signal.SIGSTOP)\nos.kill(os.getpid(), signal.SIGKILL)"
    result = await run(code, timeout_s=1)
    assert result.status in (Status.OK, Status.TIMEOUT, Status.KILLED)


async def test_sleeping_children_do_not_add_up(run, sandbox: Sandbox, task):
    code = """
import os
for _ in range(5):
    if os.fork() == 0:
        os.setsid()
        os.execv("/opt/env/bin/python", ["python", "-c", "import time; time.sleep(60)"])
"""
    for _ in range(5):
        assert (await run(code, processes=10)).ok
    await assert_unharmed(sandbox, task)


# attacking others


async def test_signals_reach_nobody_else(run, sandbox: Sandbox, task):
    code = f"""
import os, signal
for pid in ({os.getpid()}, {os.getppid()}, 2, 3, -1):
    try: os.kill(pid, signal.SIGKILL)
    except OSError: pass
print(os.getppid())
"""
    result = await run(code)
    assert result.stdout == "0\n"
    await assert_unharmed(sandbox, task)


@pytest.mark.parametrize(
    ("name", "numbers"),
    [
        ("ptrace", (101, 117)),
        ("mount", (165, 40)),
        ("unshare", (272, 97)),
        ("setns", (308, 268)),
        ("bpf", (321, 280)),
        ("userfaultfd", (323, 282)),
        ("io_uring_setup", (425, 425)),
        ("keyctl", (250, 219)),
        ("perf_event_open", (298, 241)),
        ("open_by_handle_at", (304, 265)),
        ("process_vm_readv", (310, 270)),
        ("personality", (135, 92)),
        ("clone3", (435, 435)),
        ("unknown to us", (9999, 9999)),
    ],
)
async def test_dangerous_system_calls(run, name: str, numbers: tuple[int, int]):
    code = f"""
import ctypes, os
number = {numbers!r}[os.uname().machine != "x86_64"]
libc = ctypes.CDLL(None, use_errno=True)
print(libc.syscall(number, 0, 0, 0, 0, 0, 0), ctypes.get_errno() in (1, 38))
"""
    assert (await run(code)).stdout == "-1 True\n"


async def test_new_user_namespaces_by_clone(run):
    code = """
import ctypes, os
libc = ctypes.CDLL(None, use_errno=True)
clone = 56 if os.uname().machine == "x86_64" else 220
print(libc.syscall(clone, 0x10000000 | 17, 0, 0, 0, 0), ctypes.get_errno())
"""
    assert (await run(code)).stdout == "-1 1\n"


async def test_becoming_root(run):
    code = """
import os
attempts = (os.setuid, 0), (os.setgroups, [0]), (os.chroot, "/work"), (os.mknod, "device", 0o20666, 5)
for call, *arguments in attempts:
    try: call(*arguments); print("DONE", call)
    except OSError: pass
open("s", "w").close(); os.chmod("s", 0o6777)
status = dict(line.split(":\\t", 1) for line in open("/proc/self/status").read().splitlines())
print(os.getuid() != 0, int(status["CapEff"], 16), int(status["CapBnd"], 16))
"""
    result = await run(code)
    assert result.stdout == "True 0 0\n"


# lying


async def test_a_forged_report_changes_no_status(run):
    forged = "os.write(3, b'MemoryError\\0forged\\x0012\\0forged traceback')"
    assert (await run(f"import os\n{forged}")).status is Status.OK
    result = await run(f"import os\n{forged}\nwhile True: pass", timeout_s=0.5)
    assert result.status is Status.TIMEOUT


@pytest.mark.parametrize("code", [0, 1, 125, 137, 255])
async def test_no_exit_code_passes_for_a_failure_of_ours(run, code: int):
    for words in ("ready", "SandboxError", "set-up failed"):
        result = await run(
            f"import os\nfor fd in (1, 2, 3): os.write(fd, {words!r}.encode())\nos._exit({code})"
        )
        assert result.status is (Status.OK if code == 0 else Status.ERROR)


async def test_monkey_patches_do_not_survive(run):
    await run("""
import builtins, json, os, pandas, sys, traceback
pandas.DataFrame.to_csv = None
builtins.open = os._exit = sys.exit = traceback.print_exc = json.dumps = None
sys.modules.clear()
""")
    result = await run(
        "import pandas; pandas.DataFrame({'a': [1]}).to_csv('x.csv'); print(open('x.csv').read())"
    )
    assert result.ok and "0,1" in result.stdout


async def test_modules_left_for_the_next_run_do_not_replace_ours(run, sandbox: Sandbox, task):
    code = """
for name in ("sitecustomize.py", "usercustomize.py", "numpy.py", "os.py", "x.pth", "script.py"):
    open(name, "w").write("print('HIJACKED')")
"""
    await run(code)
    result = await run("import os, numpy, json; print(numpy.__file__)")
    assert result.ok and "HIJACKED" not in result.stdout and "/opt/env" in result.stdout
    await assert_unharmed(sandbox, task)


# submissions that are traps


@pytest.mark.parametrize(
    "make",
    [
        "os.symlink('/data/train.csv', 'submission.csv')",
        "os.symlink('/proc/self/root/data/train.csv', 'submission.csv')",
        "open('real.csv', 'w').write('x'); os.link('real.csv', 'submission.csv')",
        "os.mkfifo('submission.csv')",
        "os.mkdir('submission.csv')",
        "socket.socket(socket.AF_UNIX).bind('submission.csv')",
        "open('submission.csv', 'w').truncate(200 * 2**20)",
        "open('submission.csv', 'w').write('x' * 2000)",
    ],
    ids=["symlink", "magic link", "hard link", "fifo", "directory", "socket", "sparse", "too large"],
)
async def test_submissions_that_are_not_plain_files(run, session: Session, make: str):
    result = await run(f"import os, socket\n{make}")
    assert result.ok, result
    started = time.monotonic()
    with pytest.raises(InvalidSubmission, match=r"submission\.csv"):
        session.read("submission.csv", 1000)
    assert time.monotonic() - started < 1
    session.remove("submission.csv")
    with pytest.raises(FileNotFoundError):
        session.read("submission.csv", 1000)


@pytest.mark.parametrize("name", ["/etc/passwd", "../x", "d/../../x", "link/passwd", "/work/submission.csv"])
async def test_names_that_lead_out(run, session: Session, name: str):
    await run("import os; os.mkdir('d'); os.symlink('/etc', 'link')")
    with pytest.raises((InvalidSubmission, FileNotFoundError)):
        session.read(name, 1000)


async def test_an_unreadable_submission(run, session: Session):
    await run("import os; open('submission.csv', 'w').write('x'); os.chmod('submission.csv', 0)")
    if os.geteuid() == 0:  # who can read anything
        assert session.read("submission.csv", 10) == b"x"
    else:
        with pytest.raises(InvalidSubmission, match="Permission denied"):
            session.read("submission.csv", 10)


async def test_a_locked_working_directory(run, session: Session, sandbox: Sandbox, task):
    await run("import os; open('submission.csv', 'w').write('x'); os.chmod('/work', 0)")
    assert session.read("submission.csv", 10) == b"x"
    session.remove("submission.csv")
    assert (await run("open('x', 'w')")).ok


async def test_hostile_trees_are_removed(run, session: Session, sandbox: Sandbox, task):
    code = """
import os
os.makedirs("wide"); [open(f"wide/{i}", "w").close() for i in range(3000)]
os.mkdir("tree"); os.chdir("tree")
for i in range(3000):
    os.mkdir("d" * 200); os.chdir("d" * 200)
open("leaf", "w").close(); os.mkdir("locked"); os.chmod("locked", 0)
os.chdir("/work"); os.mkdir("submission.csv"); os.mkdir("submission.csv/x"); os.chmod("submission.csv", 0)
os.mkdir("odd\\n\\x1b[2J\\udcff")
"""
    result = await run(code)
    assert result.ok, result
    for name in ("submission.csv", "tree", "wide"):
        session.remove(name)
    left = (await run("import os; print(len(os.listdir()))")).stdout
    assert left == "1\n"
    session.clear()
    assert (await run("import os; print(os.listdir())")).stdout == "[]\n"
    await assert_unharmed(sandbox, task)


async def test_a_concurrent_neighbour_is_unharmed(sandbox: Sandbox, task):
    attacker, neighbour = await sandbox.session(), await sandbox.session()
    bomb = (
        "import os\nx = []\nwhile True:\n    try: os.fork()\n    except OSError: x.append(bytearray(2**20))"
    )
    attack = asyncio.create_task(attacker.run(bomb, task.public, Limits(timeout_s=1, memory_mb=256)))
    await asyncio.sleep(0.3)
    code = "import pandas as pd; print(len(pd.read_csv('/data/train.csv')))"
    result = await neighbour.run(code, task.public, Limits(timeout_s=10))
    assert result.ok and result.stdout == "2\n"
    assert not (await attack).ok
    await attacker.close()
    await neighbour.close()
