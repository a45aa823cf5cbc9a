"""The process that runs one script where no namespace can be had, and sees to it that nothing of it remains.

It is the parent of the script, and the new parent of whatever that leaves behind (a "subreaper"), so that all
of it can be found and killed. Limits are the kernel's for each process, and this loop's for their sum. The
script runs as the same user: what it may touch is up to Landlock and the system call filter, where there are.
"""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import select
import signal
import sys
import time
from typing import Any

from mledojo_env.sandbox import (
    frames,
    jail,
    landlock,
    protocol,
    script,
    seccomp,
    syscalls,
    watchdog,
    workdir,
    written,
)
from mledojo_env.sandbox.capture import Capture

_PR_SET_CHILD_SUBREAPER = 36
_REPORT_LIMIT = 256 * 1024
_CHECK_S = 0.1
_KILL_GRACE_S = 5.0
_FILES_LISTED = 200
_DEVICES = ("/dev/null", "/dev/zero", "/dev/full", "/dev/random", "/dev/urandom")
_SETUP_FAILED = 125


class Guardian:
    """Runs and watches one script.

    Args:
        config: The request as `request.run_header` makes it, with `source`, `work`, `temporary`, `readable`,
            `listable` and `path`.
    """

    def __init__(self, config: dict[str, Any]) -> None:
        self._config = config
        self._job = jail.Job(**config["job"])
        self._places = script.Places(config["work"], config["temporary"], config["variables"])
        self._work = os.open(config["work"], os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        self._streams: dict[str, Capture] = {}
        self._reason = ""
        self._cpu_s = 0.0
        self._peak_mb = 0.0
        self._disk_is_full = False
        self._status = 0

    def run(self) -> tuple[dict[str, Any], list[bytes]]:
        """Return what happened, as `outcome.conclude` takes it."""
        inodes = len(_files_below(self._config["work"]))
        started = time.monotonic()
        look = written.Look()
        writing = self._open_streams()
        pid = os.fork()
        if pid == 0:
            look.wait_in_child()
            self._become_script(jail.Descriptors.of([-1, *writing, -1]))
        counters = look.open_in_parent(pid)
        protocol.close_all(writing)
        self._watch(pid, started + self._config["timeout_s"])
        bytes_written = written.count(counters)
        self._end_all(pid)
        for stream in self._streams.values():
            stream.drain()
        problem, before = jail.parse_ready(b"".join(self._streams["setup"].parts()))
        shown = sum(self._streams[name].total for name in ("stdout", "stderr", "report"))
        bytes_written -= before + len(self._config["source"].encode()) + shown
        parts = [part for name in ("stdout", "stderr", "report") for part in self._streams[name].parts()]
        message = {
            "problem": problem,
            "wait_status": self._status,
            "reason": self._reason,
            "wall_s": time.monotonic() - started,
            "cpu_s": self._cpu_s,
            "peak_mb": self._peak_mb,
            "out_of_memory_kills": 0,
            "processes_denied": int(self._reason == "processes"),
            "disk_is_full": self._disk_is_full,
            "bytes_written": max(0, bytes_written),
            "files_created": max(0, len(_files_below(self._config["work"])) - inodes),
            "files": workdir.list_files(self._work, _FILES_LISTED),
            "dropped": [self._streams[name].dropped for name in ("stdout", "stderr")],
        }
        if self._reason in ("disk", "processes"):  # the evidence says which
            message["reason"] = ""
        return message, parts

    def _open_streams(self) -> list[int]:
        writing = []
        output = self._config["output_bytes"]
        for name, limit in (
            ("stdout", output),
            ("stderr", output),
            ("report", _REPORT_LIMIT),
            ("setup", 4096),
        ):
            ours, theirs = os.pipe2(os.O_CLOEXEC)
            self._streams[name] = Capture(ours, limit)
            writing.append(theirs)
        return writing

    def _become_script(self, fds: jail.Descriptors) -> None:
        """Put up what fences there are, and run the script. Never returns."""
        code = _SETUP_FAILED
        try:
            try:
                self._enter(fds)
            except BaseException as error:
                os.write(fds.setup, f"{type(error).__name__}: {error}".encode())
                return
            source = self._config["source"].encode()
            job = self._job
            code = script.run(source, jail.REPORT_FD, threads=job.threads, seed=job.seed, places=self._places)
        finally:
            os._exit(code)

    def _enter(self, fds: jail.Descriptors) -> None:
        config = self._config
        os.setsid()
        os.umask(0o022)
        os.chdir(config["work"])
        sys.path[:] = config["path"]
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        with contextlib.suppress(OSError):  # where the container already took them
            syscalls.drop_capability_bounds()
            syscalls.drop_capabilities()
        jail.set_limits(self._job, watchdog_baseline(), in_cgroup=False)
        syscalls.prctl(syscalls.PR_SET_NO_NEW_PRIVS, 1)
        abi = landlock.abi_version()
        if abi:
            readable = [path for path in config["readable"] if os.path.exists(path)]
            writable = (config["work"], config["temporary"], "/dev/shm")
            landlock.restrict(readable, writable, _DEVICES, abi, config["listable"])
        if seccomp.is_supported():
            seccomp.install(seccomp.build_filter(memory_files=False))
        jail.reset_signals()
        jail.arrange_descriptors(fds, self._job.open_files)

    def _watch(self, pid: int, deadline: float) -> None:
        """Return once the script's first process has ended or has to."""
        poll = select.poll()
        pidfd = os.pidfd_open(pid)
        names = {stream.fd: name for name, stream in self._streams.items()}
        for fd in (pidfd, *names):
            poll.register(fd, select.POLLIN)
        next_check = time.monotonic() + _CHECK_S
        while not self._reason:
            now = time.monotonic()
            for fd, _ in poll.poll(1000 * max(0.0, min(deadline, next_check) - now)):
                if fd == pidfd:
                    os.close(pidfd)
                    return
                stream = self._streams[names[fd]]
                stream.pull()
                if not stream.is_open:
                    poll.unregister(fd)
                elif stream.is_over and names[fd] in ("stdout", "stderr"):
                    self._reason = "output"
            now = time.monotonic()
            if now >= deadline:
                self._reason = self._reason or "timeout"
            elif now >= next_check:
                next_check = now + _CHECK_S
                self._check()
        os.close(pidfd)

    def _check(self) -> None:
        """Look at what the kernel does not limit by itself."""
        job = self._job
        pids = watchdog.processes_below(os.getpid())[1:]
        seen = watchdog.sample_processes(pids, job.memory_mb)
        self._cpu_s, self._peak_mb = max(self._cpu_s, seen.cpu_s), max(self._peak_mb, seen.memory_mb)
        if seen.cpu_s > job.cpu_s:
            self._reason = "cpu"
        elif seen.memory_mb > job.memory_mb:
            self._reason = "memory"
        elif sum(_threads(pid) for pid in pids) > job.processes:
            self._reason = "processes"
        else:
            sizes = _files_below(self._config["work"]) + _files_below(self._config["temporary"])
            if sum(sizes) > job.disk_mb * 2**20 or len(sizes) > jail.SCRATCH_FILES:
                self._reason, self._disk_is_full = "disk", True

    def _end_all(self, first: int) -> None:
        """Kill and reap all that is below this process."""
        deadline = time.monotonic() + _KILL_GRACE_S
        while time.monotonic() < deadline:
            left = watchdog.processes_below(os.getpid())[1:]
            for number in (signal.SIGSTOP, signal.SIGKILL):  # stopped, none can start another meanwhile
                for pid in left:
                    with contextlib.suppress(ProcessLookupError, PermissionError):
                        os.kill(pid, number)
            while True:
                try:
                    pid, status, used = os.wait4(-1, os.WNOHANG)
                except ChildProcessError:
                    return
                if pid == 0:
                    break
                self._cpu_s = max(self._cpu_s, used.ru_utime + used.ru_stime)
                if pid == first:
                    self._status = status
                    self._peak_mb = max(self._peak_mb, used.ru_maxrss / 1024)
            time.sleep(0.001)


def watchdog_baseline() -> int:
    """Return what RLIMIT_DATA already counts of this process, in bytes."""
    with open("/proc/self/status") as file:
        return next((int(line.split()[1]) * 1024 for line in file if line.startswith("VmData:")), 0)


def _threads(pid: int) -> int:
    with contextlib.suppress(OSError):
        return len(os.listdir(f"/proc/{pid}/task"))
    return 0


def _files_below(folder: str) -> list[int]:
    """Return the sizes of what lies below a folder, in the blocks that it takes; links are not followed."""
    sizes = []
    for top, folders, names in os.walk(folder):
        for name in (*folders, *names):
            with contextlib.suppress(OSError):
                sizes.append(512 * os.lstat(os.path.join(top, name)).st_blocks)
    return sizes


def main(arguments: list[str]) -> None:
    """Run what the configuration says. Arguments: descriptors of the configuration and for the answer."""
    config = json.loads(protocol.read_file(int(arguments[0])))
    answer = int(arguments[1])
    os.set_inheritable(answer, False)
    syscalls.prctl(syscalls.PR_SET_PDEATHSIG, signal.SIGTERM)
    ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    guardian = Guardian(config)

    def stop(*_: object) -> None:
        guardian._reason = "cancelled"

    signal.signal(signal.SIGTERM, stop)
    if os.getppid() != config["owner"]:
        return
    message, parts = guardian.run()
    data = memoryview(frames.pack({**message, "sizes": [len(part) for part in parts]}, b"".join(parts)))
    while data:
        data = data[os.write(answer, data) :]
