"""The parts that need no sandbox to be wrong: the filter's verdicts, statuses, counters, captured output."""

from __future__ import annotations

import errno
import os
import struct
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from mledojo_env.sandbox import cgroups, preload, seccomp, watchdog
from mledojo_env.sandbox.base import Limits, Status
from mledojo_env.sandbox.capture import Capture
from mledojo_env.sandbox.outcome import Evidence, Report, join_ends, judge

ALLOW, KILL = 0x7FFF0000, 0x80000000
REFUSE = 0x00050000
X86, ARM = ("x86_64", 0xC000003E), ("aarch64", 0xC00000B7)


def verdict(machine: str, architecture: int, number: int, argument: int = 0) -> int:
    """What the kernel's interpreter would return for a call, by a plain reading of the BPF manual."""
    program = seccomp.build_filter(machine)
    call = struct.pack("=IIQQ", number, architecture, 0, argument) + bytes(40)
    accumulator, position = 0, 0
    while True:
        code, if_true, if_false, operand = struct.unpack_from("=HBBI", program, position * 8)
        position += 1
        if code == 0x20:
            (accumulator,) = struct.unpack_from("=I", call, operand)
        elif code == 0x06:
            return operand
        else:
            holds = {
                0x15: accumulator == operand,
                0x25: accumulator > operand,
                0x45: bool(accumulator & operand),
            }[code]
            position += if_true if holds else if_false


@pytest.mark.parametrize(
    ("machine", "number", "argument", "expected"),
    [
        (X86, 0, 0, ALLOW),  # read
        (X86, 59, 0, ALLOW),  # execve
        (X86, 101, 0, REFUSE | errno.EPERM),  # ptrace
        (X86, 165, 0, REFUSE | errno.EPERM),  # mount
        (X86, 41, 1, ALLOW),  # socket(AF_UNIX)
        (X86, 41, 2, REFUSE | errno.EAFNOSUPPORT),  # socket(AF_INET)
        (X86, 53, 1, ALLOW),  # socketpair(AF_UNIX)
        (X86, 56, 0x01200011, ALLOW),  # fork
        (X86, 56, 0x003D0F00, ALLOW),  # a thread
        (X86, 56, 0x10000011, REFUSE | errno.EPERM),  # CLONE_NEWUSER
        (X86, 435, 0, REFUSE | errno.ENOSYS),  # clone3
        (X86, 457, 0, REFUSE | errno.ENOSYS),  # not known when this was written
        (X86, 0x40000000, 0, REFUSE | errno.ENOSYS),  # x32
        (ARM, 63, 0, ALLOW),  # read
        (ARM, 117, 0, REFUSE | errno.EPERM),  # ptrace
        (ARM, 198, 1, ALLOW),  # socket(AF_UNIX)
        (ARM, 198, 16, REFUSE | errno.EAFNOSUPPORT),  # socket(AF_NETLINK)
        (ARM, 220, 0x01200011, ALLOW),  # fork
        (ARM, 220, 0x20000011, REFUSE | errno.EPERM),  # CLONE_NEWPID
        (ARM, 101, 0, ALLOW),  # nanosleep, the number of x86's ptrace
        (("x86_64", ARM[1]), 0, 0, KILL),  # another architecture's calls
        (("x86_64", 0x40000003), 0, 0, KILL),  # 32-bit calls by int 0x80
    ],
)
def test_the_filter(machine: tuple[str, int], number: int, argument: int, expected: int):
    assert verdict(*machine, number, argument) == expected


def test_the_table_agrees_with_the_kernel_headers():
    headers = {0: "/usr/include/x86_64-linux-gnu/asm/unistd_64.h", 1: "/usr/include/asm-generic/unistd.h"}
    seen = 0
    for column, header in headers.items():
        if not Path(header).exists():
            continue
        for line in Path(header).read_text().splitlines():
            words = line.split()
            if len(words) >= 3 and words[0] == "#define" and words[1].startswith("__NR_"):
                name = words[1].removeprefix("__NR_")
                if name in seccomp.DENIED and words[2].isdigit():
                    assert seccomp.DENIED[name][column] == int(words[2]), name
                    seen += 1
    if not seen:
        pytest.skip("no kernel headers on this machine")


def exited(code: int) -> int:
    return code << 8


LIMITS = Limits(timeout_s=10, cpu_s=5, memory_mb=100, disk_mb=8)


@pytest.mark.parametrize(
    ("evidence", "status"),
    [
        (Evidence(exited(0)), Status.OK),
        (Evidence(exited(0), out_of_memory_kills=1), Status.OK),  # it lived through the loss of a worker
        (Evidence(exited(0), disk_is_full=True), Status.OK),
        (Evidence(exited(1)), Status.ERROR),
        (Evidence(9, out_of_memory_kills=1), Status.OUT_OF_MEMORY),
        (Evidence(9, cpu_s=5.2), Status.TIMEOUT),
        (Evidence(9, cpu_s=1), Status.KILLED),
        (Evidence(11), Status.KILLED),
        (Evidence(exited(1), processes_denied=3), Status.TOO_MANY_PROCESSES),
        (Evidence(exited(1), disk_is_full=True), Status.OUT_OF_DISK),
        (Evidence(exited(1), report=Report("OSError", "x", errno.ENOSPC)), Status.OUT_OF_DISK),
        (Evidence(exited(1), report=Report("OSError", "x", errno.EDQUOT)), Status.OUT_OF_DISK),
        (Evidence(exited(1), report=Report("OSError", "x", errno.EFBIG)), Status.OUT_OF_DISK),
        (Evidence(exited(1), report=Report("MemoryError", "")), Status.OUT_OF_MEMORY),
        (
            Evidence(exited(1), report=Report("RuntimeError", "can't start new thread")),
            Status.TOO_MANY_PROCESSES,
        ),
        (Evidence(9, reason="timeout", out_of_memory_kills=1), Status.TIMEOUT),
        (Evidence(9, reason="output", report=Report("OSError", "x", errno.ENOSPC)), Status.OUTPUT_TRUNCATED),
        (Evidence(9, reason="memory"), Status.OUT_OF_MEMORY),
        (Evidence(9, reason="cancelled"), Status.KILLED),
        (Evidence(exited(0), reason="timeout"), Status.TIMEOUT),  # it ended as it was being killed
    ],
)
def test_statuses(evidence: Evidence, status: Status):
    found, message = judge(evidence, LIMITS)
    assert found is status
    assert ("\n" not in message) and bool(message) == (status is not Status.OK)


@pytest.mark.parametrize(
    "data", [b"", b"x", b"\xff\0\xff", b"a\0b\0c", b"E\0m\0" + b"9" * 5000 + b"\0t", b"\0\0\0\0\0"]
)
def test_a_malformed_report_is_an_empty_or_harmless_one(data: bytes):
    report = Report.parse(data)
    assert report.number is None and len(report.traceback) < 40_000
    assert judge(Evidence(exited(1), report=report), LIMITS)[0] is Status.ERROR


def test_capture_keeps_both_ends_of_what_it_reads():
    reading, writing = os.pipe()
    capture = Capture(reading, 10)
    for i in range(100):
        os.write(writing, b"%02d" % i)
        capture.pull()
    os.close(writing)
    capture.drain()
    assert capture.parts() == (b"00010", b"79899") and capture.dropped == 190
    assert join_ends(*capture.parts(), capture.dropped) == "00010\n[... 190 bytes cut ...]\n79899"
    assert not capture.is_open


def test_capture_below_its_limit_loses_nothing():
    reading, writing = os.pipe()
    capture = Capture(reading, 10)
    os.write(writing, b"0123456789")
    os.close(writing)
    capture.drain()
    assert b"".join(capture.parts()) == b"0123456789" and capture.dropped == 0 and not capture.is_over


def write_files(folder: Path, **texts: str) -> cgroups.Group:
    for name, text in texts.items():
        (folder / name.replace("__", ".")).write_text(text)
    return cgroups.Group(dict.fromkeys(("memory", "pids", "cpu", "cpuacct"), folder))


def test_usage_of_a_version_2_group(tmp_path: Path):
    group = write_files(
        tmp_path,
        memory__peak=str(50 * 2**20),
        memory__events="low 0\nhigh 0\nmax 7\noom 1\noom_kill 2\noom_group_kill 0\n",
        pids__events="max 3\n",
        cpu__stat="usage_usec 1500000\nuser_usec 1000000\nsystem_usec 500000\n",
    )
    usage = cgroups.Version2({}).usage(group)
    assert usage == cgroups.Usage(peak_mb=50, cpu_s=1.5, out_of_memory_kills=2, processes_denied=3)


def test_a_version_2_group_gets_its_limits(tmp_path: Path):
    hierarchy = cgroups.Version2(dict.fromkeys(("memory", "pids", "cpu"), tmp_path))
    hierarchy.create("1", memory_mb=100, processes=7, cores=2)
    written = {path.name: path.read_text() for path in (tmp_path / "1").iterdir()}
    assert written == {
        "memory.max": str(100 * 2**20),
        "memory.swap.max": "0",
        "memory.oom.group": "1",
        "pids.max": "7",
        "cpu.max": "200000 100000",
    }


def test_usage_of_a_version_1_group(tmp_path: Path):
    group = write_files(
        tmp_path,
        memory__max_usage_in_bytes=str(2**20),
        memory__oom_control="oom_kill_disable 0\nunder_oom 0\noom_kill 1\n",
        cpuacct__usage="2500000000",
    )
    usage = cgroups.Version1({}).usage(group)
    assert usage == cgroups.Usage(peak_mb=1, cpu_s=2.5, out_of_memory_kills=1, processes_denied=0)


def test_the_watchdog_sees_memory_and_children():
    code = "block = b'x' * (60 * 2**20); print(flush=True); input()"
    program = [sys.executable, "-c", code]
    with subprocess.Popen(program, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as child:
        assert child.stdout is not None and child.stdout.readline()
        pidfd = os.pidfd_open(child.pid)
        assert watchdog.process_of(pidfd) == child.pid
        os.close(pidfd)
        assert child.pid in watchdog.processes_below(os.getpid())
        exact = watchdog.sample(child.pid, memory_limit_mb=1).memory_mb
        generous = watchdog.sample(child.pid, memory_limit_mb=10**6).memory_mb
        assert 60 <= exact <= generous + 1
        child.communicate(b"\n")


def test_threads_are_counted():
    before = len(preload.thread_names())
    gate = threading.Event()
    thread = threading.Thread(target=gate.wait)
    thread.start()
    assert len(preload.thread_names()) == before + 1
    gate.set()
    thread.join()
