"""The warm interpreter that every execution is forked from: pid 1 of the sandbox's own namespaces.

It runs no agent code, holds no secret and knows no path of the host. It is the only process inside that has
privileges (within its namespaces), and nothing an execution does reaches it: a child has its own PID
namespace, and no descriptor of this process survives in it.
"""

from __future__ import annotations

import atexit
import errno
import gc
import json
import os
import select
import signal
import socket
import sys
from typing import Any

from mledojo_env.sandbox import jail, preload, protocol, root, script, syscalls, written

WORK_FILES = 20_000  # files and directories a working directory may hold
_SETUP_FAILED = 125


class ForkServer:
    """Forks executions on the launcher's word and tells it how they ended."""

    def __init__(self, channel: socket.socket, fences: jail.Fences) -> None:
        self._channel = channel
        self._fences = fences
        self._poll = select.poll()
        self._poll.register(channel, select.POLLIN)
        self._pid_of: dict[int, int] = {}  # execution -> pid
        self._counters_of: dict[int, int | None] = {}  # execution -> descriptor
        self._execution_of: dict[int, int] = {}  # pidfd -> execution
        self._disk_of: dict[int, int] = {}  # session -> MB
        self._own_pid_namespace = os.open("/proc/self/ns/pid", os.O_RDONLY | os.O_CLOEXEC)
        self._baseline_bytes = _status_kb("VmData:") * 1024  # what RLIMIT_DATA already counts of this process
        self._copied_kb = _status_kb("RssAnon:")

    def serve(self) -> None:
        """Answer until the launcher hangs up; then this process ends, and with it all in its namespace."""
        while True:
            for fd, _ in self._poll.poll():
                if fd != self._channel.fileno():
                    self._reap(fd)
                    continue
                header, fds = protocol.receive(self._channel)
                if header is None:
                    return
                self._handle(header, fds)

    def _handle(self, header: dict[str, Any], fds: list[int]) -> None:
        operation = header["op"]
        if operation == "run":
            self._start(jail.parse_job(header), jail.Descriptors.of(fds))
            protocol.close_all(fds)
        elif operation == "kill":
            pid = self._pid_of.get(header["id"])
            if pid is not None:  # not reaped yet, so the number is still its own
                os.kill(pid, signal.SIGKILL)
        elif operation == "session":
            self._answer_session(header)

    def _start(self, job: jail.Job, fds: jail.Descriptors) -> None:
        look = written.Look()
        try:
            self._resize(job.session, job.disk_mb)
            syscalls.unshare(syscalls.CLONE_NEWPID)
            try:
                pid = os.fork()
                if pid == 0:
                    look.wait_in_child()
                    self._run_child(job, fds)
            finally:
                syscalls.setns(self._own_pid_namespace, syscalls.CLONE_NEWPID)
        except OSError as error:
            look.close()
            os.write(fds.setup, syscalls.describe(error).encode())
            protocol.send(self._channel, {"op": "exit", "id": job.id, "status": _SETUP_FAILED << 8})
            return
        self._pid_of[job.id] = pid
        self._counters_of[job.id] = look.open_in_parent(pid)
        pidfd = os.pidfd_open(pid)
        protocol.send(self._channel, {"op": "started", "id": job.id}, [pidfd])
        self._execution_of[pidfd] = job.id
        self._poll.register(pidfd, select.POLLIN)

    def _run_child(self, job: jail.Job, fds: jail.Descriptors) -> None:
        """Become the execution. Never returns: whatever happens ends this process."""
        code = _SETUP_FAILED
        try:
            source = protocol.read_file(fds.source)
            try:
                jail.enter(job, fds, self._fences, self._baseline_bytes)
            except BaseException as error:
                os.write(fds.setup, f"{type(error).__name__}: {error}".encode())
                return
            code = script.run(source, jail.REPORT_FD, threads=job.threads, seed=job.seed)
        finally:
            os._exit(code)

    def _reap(self, pidfd: int) -> None:
        """Report an execution whose first process has ended; the kernel has ended the others by then."""
        execution = self._execution_of.pop(pidfd)
        self._poll.unregister(pidfd)
        os.close(pidfd)
        bytes_written = written.count(self._counters_of.pop(execution))  # before it is waited for
        _, status, usage = os.wait4(self._pid_of.pop(execution), 0)
        protocol.send(
            self._channel,
            {
                "op": "exit",
                "id": execution,
                "status": status,
                "cpu_s": usage.ru_utime + usage.ru_stime,
                # It began as a copy of this process.
                "peak_kb": max(0, usage.ru_maxrss - self._copied_kb),
                "bytes_written": bytes_written,
            },
        )

    def _answer_session(self, header: dict[str, Any]) -> None:
        """Mount, renew or drop a session's working directory and answer with its descriptor."""
        session, action = header["session"], header["action"]
        path = f"{root.SESSIONS}/{session}"
        fds: list[int] = []
        problem = ""
        try:
            if action in ("drop", "renew") and session in self._disk_of:
                syscalls.detach(path)
                if action == "drop":
                    del self._disk_of[session]
                    os.rmdir(path)
            if action in ("open", "renew"):
                os.makedirs(path, exist_ok=True)
                disk_mb = self._disk_of.get(session, header["disk_mb"])
                owner = 0 if self._fences.rootless else header["user"]
                options = f"{_size(disk_mb)},mode=700,uid={owner},gid={owner}"
                syscalls.mount("tmpfs", path, "tmpfs", syscalls.MS_NOSUID | syscalls.MS_NODEV, options)
                self._disk_of[session] = disk_mb
                fds.append(os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC))
        except OSError as error:
            problem = syscalls.describe(error)
        protocol.send(self._channel, {"op": "session", "id": header["id"], "problem": problem}, fds)
        protocol.close_all(fds)

    def _resize(self, session: int, disk_mb: int) -> None:
        if self._disk_of[session] == disk_mb:
            return
        options = syscalls.MS_REMOUNT | syscalls.MS_NOSUID | syscalls.MS_NODEV
        try:
            syscalls.mount(None, f"{root.SESSIONS}/{session}", None, options, _size(disk_mb))
        except OSError as error:
            if error.errno != errno.EINVAL:  # it already holds more than the new size: stays as it was
                raise
            return
        self._disk_of[session] = disk_mb


def _size(disk_mb: int) -> str:
    return f"size={disk_mb}m,nr_inodes={WORK_FILES}"


def _status_kb(name: str) -> int:
    """Return one of the sizes that the kernel tells of this process."""
    with open("/proc/self/status") as file:
        for line in file:
            if line.startswith(name):
                return int(line.split()[1])
    return 0


def main(arguments: list[str]) -> None:
    """Preload and serve. Arguments: the channel's descriptor and the configuration as JSON."""
    channel = socket.socket(fileno=int(arguments[0]))
    channel.set_inheritable(False)
    config = json.loads(arguments[1])
    syscalls.prctl(syscalls.PR_SET_PDEATHSIG, signal.SIGKILL)
    syscalls.prctl(syscalls.PR_SET_DUMPABLE, 0)
    try:
        loaded = preload.load(config["modules"])
        if config["warm_up"]:
            preload.warm_up()
        threads = preload.thread_names()
        if len(threads) != 1:
            raise RuntimeError(f"preloading left threads behind: {', '.join(threads)}; expected one")
    except Exception as error:
        problem = f"{type(error).__name__}: {error}"
        protocol.send(channel, {"op": "failed", "problem": problem, "by_kernel": False})
        return
    syscalls.detach(root.RUNTIME)
    # Handlers of libraries that serve the fork-server's end, not a script's; one that scripts rely on stays.
    atexit._clear()
    multiprocessing_util = sys.modules.get("multiprocessing.util")
    if multiprocessing_util is not None:
        atexit.register(multiprocessing_util._exit_function)
    fences = jail.Fences(
        rootless=config["rootless"],
        landlock_abi=config["landlock_abi"],
        seccomp=bytes.fromhex(config["seccomp"]),
    )
    server = ForkServer(channel, fences)
    gc.collect()
    gc.disable()
    gc.freeze()  # a collection in a child would copy every page it marks
    protocol.send(channel, {"op": "ready", "loaded": loaded})
    server.serve()
