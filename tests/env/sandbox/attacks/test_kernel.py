"""Hostile code asks the kernel for power: other processes, namespaces, mounts, identities, limits."""

from __future__ import annotations

import pytest

from mledojo_env.sandbox import Status

EPERM, ENOSYS = 1, 38

# name: numbers on x86-64 and on aarch64
CALLS = {
    "ptrace": (101, 117),
    "process_vm_readv": (310, 270),
    "process_vm_writev": (311, 271),
    "pidfd_getfd": (438, 438),
    "kcmp": (312, 272),
    "perf_event_open": (298, 241),
    "unshare": (272, 97),
    "setns": (308, 268),
    "mount": (165, 40),
    "umount2": (166, 39),
    "pivot_root": (155, 41),
    "chroot": (161, 51),
    "open_tree": (428, 428),
    "move_mount": (429, 429),
    "fsopen": (430, 430),
    "mount_setattr": (442, 442),
    "name_to_handle_at": (303, 264),
    "open_by_handle_at": (304, 265),
    "bpf": (321, 280),
    "userfaultfd": (323, 282),
    "io_uring_setup": (425, 425),
    "io_uring_register": (427, 427),
    "io_setup": (206, 0),
    "keyctl": (250, 219),
    "add_key": (248, 217),
    "request_key": (249, 218),
    "fanotify_init": (300, 262),
    "memfd_secret": (447, 447),
    "personality": (135, 92),
    "kexec_load": (246, 104),
    "init_module": (175, 105),
    "finit_module": (313, 273),
    "reboot": (169, 142),
    "swapon": (167, 224),
    "acct": (163, 89),
    "quotactl": (179, 60),
    "syslog": (103, 116),
    "sethostname": (170, 161),
    "settimeofday": (164, 170),
    "clock_settime": (227, 112),
    "shmget": (29, 194),
    "clone3": (435, 435),
    "one that is not known yet": (9999, 9999),
}


@pytest.fixture(scope="module")
def verdicts() -> dict[str, str]:
    """What each call answered, asked for all in one execution a backend."""
    return {}


@pytest.mark.parametrize("name", CALLS)
async def test_system_calls(run, sandbox, verdicts: dict[str, str], name: str):
    if sandbox.name not in verdicts:
        code = f"""
import ctypes, os
libc = ctypes.CDLL(None, use_errno=True)
for name, numbers in {CALLS!r}.items():
    ctypes.set_errno(0)
    got = libc.syscall(numbers[os.uname().machine != "x86_64"], 0, 0, 0, 0, 0, 0)
    print(name, got, ctypes.get_errno(), sep=": ")
"""
        result = await run(code)
        assert result.ok, result
        verdicts[sandbox.name] = result.stdout
    refused = [f"{name}: -1: {number}" for number in (EPERM, ENOSYS)]
    assert any(line in verdicts[sandbox.name].splitlines() for line in refused), verdicts[sandbox.name]


NAMESPACES = {
    "user": 0x10000000,
    "pid": 0x20000000,
    "mount": 0x20000,
    "net": 0x40000000,
    "cgroup": 0x02000000,
}


@pytest.mark.parametrize("flag", NAMESPACES.values(), ids=NAMESPACES)
async def test_namespaces_by_clone(attack, flag: int):
    code = f"""
import ctypes, os
libc = ctypes.CDLL(None, use_errno=True)
clone = 56 if os.uname().machine == "x86_64" else 220
if libc.syscall(clone, {flag} | 17, 0, 0, 0, 0) >= 0: print("BROKE")
"""
    assert (await attack(code)).ok


async def test_calls_of_another_architecture(attack):
    """32-bit entry points have other numbers, which a filter by number must not let through."""
    code = """
import ctypes, mmap, os
if os.uname().machine == "x86_64":
    page = mmap.mmap(-1, 4096, prot=7)
    page.write(bytes.fromhex("b814000000cd80c3"))  # mov eax, 20 (getpid); int 0x80; ret
    call = ctypes.CFUNCTYPE(ctypes.c_int)(ctypes.addressof(ctypes.c_char.from_buffer(page)))
    if call() == os.getpid(): print("BROKE")
"""
    result = await attack(code)
    assert result.ok or result.status is Status.KILLED, result


BECOMING = {
    "setuid": "os.setuid(0)",
    "setgid": "os.setgid(0)",
    "setresuid": "os.setresuid(0, 0, 0)",
    "setgroups": "os.setgroups([0])",
    "another user": "os.setuid(os.getuid() + 1)",
    "chown": "open('s', 'w'); os.chown('s', 0, 0)",
    "mknod": "os.mknod('device', 0o20666, os.makedev(1, 1))",
    "nice": "os.nice(-5 - os.nice(0))",
    "realtime": "os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(1))",
    "more open files": "resource.setrlimit(resource.RLIMIT_NOFILE, (10**6, 10**6))",
    "more processes": "resource.setrlimit(resource.RLIMIT_NPROC, (10**6, 10**6))",
    "larger files": "resource.setrlimit(resource.RLIMIT_FSIZE, (-1, -1))",
    "more data": "resource.setrlimit(resource.RLIMIT_DATA, (-1, -1))",
    "core files": "resource.setrlimit(resource.RLIMIT_CORE, (-1, -1))",
    "out-of-memory score": "open('/proc/self/oom_score_adj', 'w').write('-1000')",
    "a capability": "assert ctypes.CDLL(None).prctl(47, 2, 1, 0, 0) == 0, OSError()",
    "privileges again": "assert ctypes.CDLL(None).prctl(38, 0, 0, 0, 0) == 0, OSError()",
    "no filter": "assert ctypes.CDLL(None).prctl(22, 0, 0, 0, 0) == 0, OSError()",
    "immutable": "fcntl.ioctl(open('s', 'w'), 0x40086602, struct.pack('l', 0x10))",
    "locked memory": "assert ctypes.CDLL(None).mlockall(3) == 0, OSError()",
    "uid map": "open('/proc/self/uid_map', 'w').write('0 0 1')",
    "kernel settings": "open('/proc/sys/kernel/core_pattern', 'w').write('|/work/x')",
    "sysrq": "open('/proc/sysrq-trigger', 'w').write('b')",
    "cgroup": "open(glob.glob('/sys/fs/cgroup/*/cgroup.procs')[0], 'w').write('1')",
    "cgroup limit": "open(glob.glob('/sys/fs/cgroup/*/memory.limit_in_bytes')[0], 'w').write('-1')",
    "release agent": "open(glob.glob('/sys/fs/cgroup/*/release_agent')[0], 'w').write('/work/x')",
}


@pytest.mark.parametrize("attempt", BECOMING.values(), ids=BECOMING)
async def test_becoming_more(run, attempt: str):
    code = f"import ctypes, fcntl, glob, os, resource, struct\n{attempt}\nprint('BROKE')"
    result = await run(code)
    assert result.status is Status.ERROR and "BROKE" not in result.stdout, result
    refused = (
        "PermissionError",
        "OSError",
        "ValueError",
        "AssertionError",
        "FileNotFoundError",
        "IndexError",
    )
    assert result.error_class in refused, result


async def test_set_user_id_programs(attack):
    """A file may carry the bits; nothing comes of it, as there is no privilege to be had in there."""
    code = """
import os, shutil, subprocess, sys
shutil.copy(os.path.realpath(sys.executable), "p"); os.chmod("p", 0o6755)
subprocess.run(["./p", "-S", "-c", "import os\\nif os.geteuid() == 0: print('BROKE')"])
status = dict(line.split(":\\t", 1) for line in open("/proc/self/status").read().splitlines())
print(os.getuid() != 0, *(int(status[f"Cap{kind}"], 16) for kind in ("Eff", "Prm", "Inh", "Bnd", "Amb")))
print(status["NoNewPrivs"], status["Seccomp"])
"""
    result = await attack(code)
    assert result.stdout == "True 0 0 0 0 0\n1 2\n", result


@pytest.mark.parametrize(
    "path",
    [
        *(
            "/x",
            "/data/x",
            "/data/train.csv",
            "/etc/x",
            "/opt/env/x",
            "/opt/python/x",
            "/usr/lib/x",
            "/bin/x",
        ),
        *(
            "/dev/x",
            "/proc/x",
            "/run/x",
            "/sessions/x",
            "/public/x",
            "/sys/x",
            "/opt/env/lib/usercustomize.py",
        ),
    ],
)
async def test_writing_anywhere_else(run, path: str):
    result = await run(f"open({path!r}, 'a').write('x'); print('BROKE')")
    assert result.error_class in ("PermissionError", "OSError", "FileNotFoundError"), result


@pytest.mark.parametrize("call", ["unlink", "rmdir", "chmod", "rename", "truncate", "utime", "symlink"])
async def test_changing_the_data(run, call: str):
    arguments = {"chmod": ", 0o777", "rename": ", '/work/x'", "truncate": ", 0"}.get(call, "")
    attempt = (
        f"os.{call}('/data/train.csv'{arguments})" if call != "symlink" else "os.symlink('x', '/data/y')"
    )
    result = await run(f"import os\n{attempt}\nprint('BROKE')")
    assert result.error_class in ("PermissionError", "OSError", "NotADirectoryError"), result
