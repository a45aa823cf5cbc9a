"""Hostile code looks for what it must not read: answers, other episodes, the host, secrets."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from mledojo_env.errors import InvalidSubmission
from mledojo_env.sandbox import Limits

# What hostile code is told, so that it need not even guess.
READ = """
import os
def read(path):
    try: fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    except OSError: return
    try: text = os.read(fd, 10_000)
    except OSError: text = b""
    os.close(fd)
    if bytes.fromhex({secret!r}) in text: print("BROKE", path)
"""
SEARCH = """
for top in {tops!r}:
    for folder, folders, files in os.walk(top):
        folders[:] = [d for d in folders if not (folder == "/" and d in ("proc", "opt", "usr"))]
        for name in files: read(os.path.join(folder, name))
print("searched")
"""


def reading(task, code: str) -> str:
    """A script that looks for the task's secret."""
    return READ.format(secret=task.secret.encode().hex()) + code


@pytest.mark.parametrize(
    "path",
    [
        "{answers}",
        "/data/../private/answers.csv",
        "/data/../../../../../../..{answers}",
        "/proc/self/root{answers}",
        "/proc/self/cwd/../private/answers.csv",
        "/proc/self/cwd/../../..{answers}",
        "/data/./.././private//answers.csv",
        "/dev/fd/../../..{answers}",
        "/tmp/../..{answers}",
        "/work/../private/answers.csv",
        "//{answers}",
    ],
    ids=[
        "absolute",
        "dot dot",
        "many dots",
        "own root",
        "own cwd",
        "cwd up",
        "dots",
        "fd",
        "tmp",
        "work",
        "//",
    ],
)
async def test_answers_by_path(attack, task, path: str):
    result = await attack(reading(task, f"read({path.format(answers=task.answers)!r})"))
    assert result.ok


async def test_answers_through_every_process(attack, task):
    """Root, working directory, memory maps and descriptors of every process there is to see."""
    code = """
import glob
for place in ("root", "cwd"):
    for link in glob.glob(f"/proc/*/{place}") + glob.glob(f"/proc/*/task/*/{place}"):
        read(link + {answers!r}); read(link + "/../private/answers.csv")
for link in glob.glob("/proc/*/fd/*") + glob.glob("/proc/*/map_files/*") + glob.glob("/proc/*/cwd/*"):
    read(link)
print("searched")
""".replace("{answers!r}", repr(str(task.answers)))
    result = await attack(reading(task, code))
    assert result.stdout == "searched\n", result


async def test_answers_by_search(attack, task):
    result = await attack(reading(task, SEARCH.format(tops=["/"])), timeout_s=30)
    assert result.stdout == "searched\n", result


@pytest.mark.parametrize("link", ["symlink", "link"])
async def test_answers_by_a_link_to_them(run, session, task, link: str):
    """A link into the host made inside leads nowhere inside, and nobody outside follows it."""
    code = f"import os\ntry: os.{link}({str(task.answers)!r}, 'submission.csv')\nexcept OSError: pass"
    assert (await run(reading(task, code + "\nread('submission.csv')"))).stdout == ""
    with pytest.raises((FileNotFoundError, InvalidSubmission)):
        session.read("submission.csv", 10_000)


async def test_other_episodes(attack, neighbour, task):
    await neighbour.run(f"open('notes', 'w').write({task.secret!r})", task.public, Limits())
    code = SEARCH.format(tops=["/sessions", "/work", "/tmp", "/dev/shm", "/run", "/public"])
    result = await attack(reading(task, code))
    assert result.stdout == "searched\n", result
    assert neighbour.read("notes", 1000) == task.secret.encode()


async def test_other_processes_are_not_to_be_seen(attack, sandbox):
    """Only the script itself; in a container also its fork-server, which tells nothing."""
    code = """
import os
for pid in filter(str.isdigit, os.listdir("/proc")):
    if int(pid) in (os.getpid(), os.getppid()): continue
    print("BROKE", pid, open(f"/proc/{pid}/cmdline").read())
for name in ("environ", "maps", "mem", "auxv", "stack", "syscall", "io"):
    if os.getppid():
        try: print("BROKE", open(f"/proc/{os.getppid()}/{name}", "rb").read(100))
        except OSError: pass
"""
    assert (await attack(code)).ok


async def test_the_hosts_home_and_sockets(attack, sandbox, tmp_path: Path):
    paths = ["/root", "/home", "/var/run/docker.sock", "/run/docker.sock", "/run/containerd", "/boot", "/mnt"]
    paths += ["/etc/shadow", "/etc/ssh", "/etc/machine-id", "/var/lib/docker", "/var/lib/kubelet", "/media"]
    paths += [str(Path.home()), str(tmp_path), str(Path(__file__))]
    result = await attack(f"import os\nfor p in {paths!r}:\n    if os.path.exists(p): print('BROKE', p)")
    assert result.ok


@pytest.mark.parametrize(
    "device", ["mem", "kmem", "kmsg", "port", "sda", "vda", "fuse", "kvm", "tty", "ptmx", "loop0"]
)
async def test_devices(run, device: str):
    code = f"open('/dev/{device}', 'rb').read(1); print('BROKE')"
    assert (await run(code)).error_class in ("FileNotFoundError", "PermissionError", "OSError")


@pytest.mark.parametrize(
    "path",
    ["/proc/kcore", "/proc/kallsyms", "/proc/sys/kernel/core_pattern", "/proc/keys", "/proc/sched_debug"],
)
async def test_facts_about_the_kernel(run, path: str):
    """Absent, refused, or blanked as the engine does."""
    result = await run(f"print(open({path!r}).read(4096))")
    addresses = {line.partition(" ")[0] for line in result.stdout.splitlines()}
    assert not result.ok or "core_pattern" in path or addresses <= {"", "0" * 16}, result


async def test_secrets_in_the_environment(run, monkeypatch):
    """Every environment there is to see, and the memory that the fork-server once had its own in."""
    monkeypatch.setenv("HF_TOKEN", "hf_4d5e6f")
    code = """
import glob, os
needle = bytes.fromhex("68665f") + b"4d5e6f"
found = [k for k in os.environ if "TOKEN" in k or "KEY" in k or "SECRET" in k or "PROXY" in k.upper()]
for path in glob.glob("/proc/*/environ"):
    try: found += [path] * (needle in open(path, "rb").read())
    except OSError: pass
print(found)
"""
    assert (await run(code)).stdout == "[]\n"


async def test_the_fork_servers_memory_names_no_path_of_the_host(run, task):
    """A child is a copy of the fork-server: what that knew would be the script's to find."""
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


async def test_no_open_descriptor_leads_out(attack):
    code = """
import os, stat
for fd in map(int, os.listdir("/proc/self/fd")):
    try: mode, name = os.fstat(fd).st_mode, os.readlink(f"/proc/self/fd/{fd}")
    except OSError: continue
    if fd > 3 and not name.startswith("/proc/"): print("BROKE", fd, name)
    if stat.S_ISSOCK(mode) or stat.S_ISDIR(mode) and not name.startswith("/proc/"): print("BROKE", fd, name)
"""
    assert (await attack(code)).ok


async def test_nothing_of_ours_can_be_imported_or_found(attack):
    code = """
import importlib, os, sys
for name in ("mledojo_env", "mledojo_env.catalog", "mledojo_train", "pydantic", "pytest", "docker"):
    try: importlib.import_module(name); print("BROKE", name)
    except ImportError: pass
site = next(p for p in sys.path if p.endswith("site-packages"))
for name in os.listdir(site):
    if "mledojo" in name or name.endswith(".pth"): print("BROKE", name)
for folder, _, files in os.walk("/run"):
    if files: print("BROKE", folder, files)
"""
    assert (await attack(code)).ok


async def test_a_crash_leaves_no_core(attack):
    result = await attack("import ctypes, os\nopen('x', 'w')\nctypes.string_at(0)")
    assert list(result.files) == ["x"]


async def test_files_kept_by_name_of_handle(attack):
    """open_by_handle_at opens any inode of a mounted file system, wherever that is mounted."""
    code = """
import ctypes, os, struct
libc = ctypes.CDLL(None, use_errno=True)
name, opens = (303, 304) if os.uname().machine == "x86_64" else (264, 265)
handle = ctypes.create_string_buffer(struct.pack("Ii", 8, 1) + struct.pack("II", 2, 0) + bytes(120))
for folder in (b"/", b"/data", b"/work", b"/opt/env"):
    fd = os.open(folder, os.O_RDONLY)
    got = libc.syscall(opens, fd, handle, os.O_RDONLY)
    if got >= 0: print("BROKE", folder, os.listdir(got))
"""
    assert (await attack(code)).ok


async def test_the_working_directory_of_the_tests(run):
    result = await run(f"import os; print(os.path.exists({os.getcwd()!r}))")
    assert result.stdout == ("True\n" if os.getcwd() == "/" else "False\n")
