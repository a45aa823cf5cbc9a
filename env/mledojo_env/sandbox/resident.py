"""The process that lives in a container: pid 1, a warm interpreter that every execution is forked from.

It serves one session over its standard input and output, which no execution can reach: they are closed in a
child, and this process is not dumpable. An execution's processes are ended from here, where one call reaches
all of them at once, whatever became of their families: everything in the namespace but this process. When
its input ends, it exits, and the container with it.
"""

from __future__ import annotations

import atexit
import contextlib
import errno
import gc
import io
import os
import select
import signal
import sys
import tarfile
import time
from dataclasses import dataclass
from typing import Any

from mledojo_env.errors import InvalidSubmission
from mledojo_env.sandbox import (
    cgroups,
    container_jail,
    frames,
    jail,
    preload,
    protocol,
    script,
    syscalls,
    watchdog,
    workdir,
    written,
)
from mledojo_env.sandbox.capture import Capture
from mledojo_env.sandbox.meter import Meter, own_memory

REPORT_LIMIT = 256 * 1024
MAX_REQUEST = 64 * 2**20
_FILES_LISTED = 200
_CHECK_S = 0.25
_KILL_GRACE_S = 10.0  # the host gives up a little later
_SETUP_FAILED = 125
_DATA = "/run/sandbox/data"
_SCRATCH = ("/tmp", "/dev/shm")


@dataclass
class Execution:
    """The running execution."""

    number: int
    job: jail.Job
    pid: int
    pidfd: int
    started: float
    deadline: float
    streams: dict[str, Capture]
    before: cgroups.Usage
    source_bytes: int
    inodes: int  # in the working directory when it began
    counters: int | None  # descriptor of its first process's /proc/<pid>/io
    reason: str = ""  # why it was killed
    killed_at: float | None = None
    cpu_s: float = 0.0  # of children that ended, or the last estimate
    highest_mb: float = 0.0  # memory in use, of the whole container
    first_mb: float = 0.0  # largest resident size of its first process


class Resident:
    """Answers the host's frames; see `container.Container` for the other end.

    Args:
        incoming: Descriptor to read frames from.
        outgoing: Descriptor to write frames to.
        meter: What counts for the container.
    """

    def __init__(self, incoming: int, outgoing: int, meter: Meter) -> None:
        self._incoming = incoming
        self._outgoing = outgoing
        self._meter = meter
        self._fences = container_jail.find_fences(has_cgroup=meter.is_there)
        self._reader = frames.Reader(MAX_REQUEST)
        self._work = os.open("/work", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        self._scratch = [os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC) for path in _SCRATCH]
        self._execution: Execution | None = None
        self._poll = select.poll()
        self._poll.register(incoming, select.POLLIN)
        self._baseline_bytes, self._resident_mb = own_memory()
        self._baseline_mb = meter.memory_mb() or self._resident_mb

    def announce(self, loaded: list[str]) -> None:
        """Tell the host that executions can start."""
        self._send(
            {
                "op": "ready",
                "loaded": loaded,
                "baseline_mb": self._baseline_mb,
                "landlock_abi": self._fences.landlock_abi,
                "seccomp": bool(self._fences.filters),
                "cgroups": self._meter.version,
            }
        )

    def serve(self) -> None:
        """Answer until the host hangs up."""
        while True:
            for fd, _ in self._poll.poll(self._patience_ms()):
                if fd == self._incoming:
                    data = os.read(fd, 2**16)
                    if not data:
                        return
                    for header, body in self._reader.feed(data):
                        self._handle(header, body)
                elif self._execution is not None:
                    self._on_event(self._execution, fd)
            if self._execution is not None:
                self._enforce(self._execution, time.monotonic())

    def _send(self, header: dict[str, Any], body: bytes = b"") -> None:
        data = memoryview(frames.pack(header, body))
        while data:
            data = data[os.write(self._outgoing, data) :]

    def _patience_ms(self) -> float | None:
        if self._execution is None:
            return None
        now = time.monotonic()
        return 1000 * max(0.0, min(self._execution.deadline - now, _CHECK_S))

    def _handle(self, header: dict[str, Any], body: bytes) -> None:
        number, operation = header["id"], header["op"]
        if operation == "run":
            self._start(number, header, body)
            return
        if operation == "cancel":
            if self._execution is not None and self._execution.number == header["run"]:
                self._kill(self._execution, "cancelled")
            return
        answer: dict[str, Any] = {"op": "answer", "id": number}
        content = b""
        try:
            if operation == "read":
                content = workdir.read_file(self._work, header["name"], header["max_bytes"], os.getuid())
            elif operation == "remove":
                workdir.remove(self._work, header["name"])
            elif operation == "clear":
                _empty(self._work)
            elif operation == "pack":
                content = _pack_work()
            elif operation == "unpack":
                _unpack_work(body)
        except FileNotFoundError as error:
            answer["missing"] = str(error)
        except InvalidSubmission as error:
            answer["invalid"] = str(error)
        except ValueError as error:
            answer["bad_name"] = str(error)
        except OSError as error:
            answer["problem"] = syscalls.describe(error)
        self._send(answer, content)

    def _start(self, number: int, header: dict[str, Any], source: bytes) -> None:
        job = jail.Job(**header["job"])
        _show_data(header["place"])
        streams, writing = {}, []
        for name, limit in (
            ("stdout", header["output_bytes"]),
            ("stderr", header["output_bytes"]),
            ("report", REPORT_LIMIT),
            ("setup", REPORT_LIMIT),
        ):
            ours, theirs = os.pipe2(os.O_CLOEXEC)
            streams[name] = Capture(ours, limit)
            writing.append(theirs)
        fds = jail.Descriptors.of([-1, *writing, -1])
        before, inodes = self._meter.usage(), workdir.inodes(self._work)
        look = written.Look()
        try:
            pid = os.fork()
        except OSError as error:
            look.close()
            for stream in streams.values():
                stream.close()
            protocol.close_all(writing)
            self._send({"op": "done", "id": number, "problem": syscalls.describe(error)})
            return
        if pid == 0:
            # As a script must be, or its own /proc/self belongs to root.
            syscalls.prctl(syscalls.PR_SET_DUMPABLE, 1)
            look.wait_in_child()
            self._run_child(job, fds, source)
        counters = look.open_in_parent(pid)
        protocol.close_all(writing)
        now = time.monotonic()
        pidfd = os.pidfd_open(pid)
        deadline = now + header["timeout_s"]
        self._execution = Execution(
            number, job, pid, pidfd, now, deadline, streams, before, len(source), inodes, counters
        )
        for fd in (pidfd, *(stream.fd for stream in streams.values())):
            self._poll.register(fd, select.POLLIN)

    def _run_child(self, job: jail.Job, fds: jail.Descriptors, source: bytes) -> None:
        """Become the execution. Never returns: whatever happens ends this process."""
        code = _SETUP_FAILED
        try:
            try:
                container_jail.enter(job, fds, self._fences, self._baseline_bytes)
            except BaseException as error:
                os.write(fds.setup, f"{type(error).__name__}: {error}".encode())
                return
            code = script.run(source, jail.REPORT_FD, threads=job.threads, seed=job.seed)
        finally:
            os._exit(code)

    def _on_event(self, execution: Execution, fd: int) -> None:
        if fd == execution.pidfd:
            self._finish(execution)
            return
        for name, stream in execution.streams.items():
            if stream.is_open and stream.fd == fd:
                stream.pull()
                if not stream.is_open:
                    self._poll.unregister(fd)
                elif stream.is_over and name in ("stdout", "stderr"):
                    self._kill(execution, "output")

    def _enforce(self, execution: Execution, now: float) -> None:
        """Kill an execution that has used up what the kernel does not limit by itself."""
        if execution.killed_at is not None:
            if now > execution.killed_at + _KILL_GRACE_S:
                os._exit(1)  # the container and all in it
            return
        if now >= execution.deadline:
            self._kill(execution, "timeout")
            return
        job = execution.job
        if self._meter.is_there:
            cpu_s = (self._meter.usage().cpu_s or 0.0) - (execution.before.cpu_s or 0.0)
            memory_mb = self._meter.memory_mb()
            execution.highest_mb = max(execution.highest_mb, memory_mb)
            memory_mb -= self._baseline_mb
        else:
            seen = watchdog.sample(execution.pid, job.memory_mb)
            cpu_s, memory_mb = seen.cpu_s, seen.memory_mb
            execution.cpu_s = max(execution.cpu_s, cpu_s)
        if cpu_s > job.cpu_s:
            self._kill(execution, "cpu")
        elif memory_mb > job.memory_mb:
            self._kill(execution, "memory")

    def _kill(self, execution: Execution, reason: str) -> None:
        if execution.killed_at is None:
            execution.reason = reason
            execution.killed_at = time.monotonic()
            _kill_all()

    def _finish(self, execution: Execution) -> None:
        """Tell the host what an execution did, once every process of it is dead."""
        wall_s = time.monotonic() - execution.started
        execution.highest_mb = max(execution.highest_mb, self._meter.memory_mb())
        bytes_written = written.count(execution.counters)  # before it is waited for
        status = self._end_all(execution)
        self._execution = None
        self._poll.unregister(execution.pidfd)
        os.close(execution.pidfd)
        for stream in execution.streams.values():
            if stream.is_open:
                self._poll.unregister(stream.fd)
            stream.drain()
        workdir.make_accessible(self._work)
        for directory in self._scratch:
            _empty(directory)
        problem, written_before = jail.parse_ready(b"".join(execution.streams["setup"].parts()))
        shown = sum(execution.streams[name].total for name in ("stdout", "stderr", "report"))
        bytes_written -= written_before + execution.source_bytes + shown
        parts = [part for name in ("stdout", "stderr", "report") for part in execution.streams[name].parts()]
        self._send(
            {
                "op": "done",
                "id": execution.number,
                "problem": problem,
                "wait_status": status,
                "reason": execution.reason,
                "wall_s": wall_s,
                "dropped": [execution.streams[name].dropped for name in ("stdout", "stderr")],
                "bytes_written": max(0, bytes_written),
                "files_created": max(0, workdir.inodes(self._work) - execution.inodes),
                "disk_is_full": workdir.is_full(self._work),
                "files": workdir.list_files(self._work, _FILES_LISTED),
                "sizes": [len(part) for part in parts],
                **self._spent(execution),
            },
            b"".join(parts),
        )

    def _end_all(self, execution: Execution) -> int:
        """Kill and reap all that is left in the namespace; return how the first process ended."""
        status = 0
        deadline = time.monotonic() + _KILL_GRACE_S
        while True:
            _kill_all()
            try:
                pid, ended, used = os.wait4(-1, os.WNOHANG)
            except ChildProcessError:
                return status  # nobody is left: whoever is in this namespace is a child of ours
            if pid == 0:
                if time.monotonic() > deadline:
                    os._exit(1)
                time.sleep(0.0005)
                continue
            if not self._meter.is_there:
                execution.cpu_s += used.ru_utime + used.ru_stime
            if pid == execution.pid:
                status = ended
                execution.first_mb = used.ru_maxrss / 1024

    def _spent(self, execution: Execution) -> dict[str, Any]:
        """Return what the kernel counted, for this execution alone."""
        before, after = execution.before, self._meter.usage()
        cpu_s = execution.cpu_s if after.cpu_s is None else after.cpu_s - (before.cpu_s or 0.0)
        peak_mb = execution.highest_mb
        if after.peak_mb is not None and after.peak_mb > (before.peak_mb or 0.0):
            peak_mb = after.peak_mb
        # What the first process had of its own, at least: it began as a copy of this one.
        own_mb = execution.first_mb - self._resident_mb
        return {
            "cpu_s": cpu_s,
            "peak_mb": max(peak_mb - self._baseline_mb, own_mb, 0.1),
            "out_of_memory_kills": after.out_of_memory_kills - before.out_of_memory_kills,
            "processes_denied": after.processes_denied - before.processes_denied,
        }


def _show_data(place: int) -> None:
    """Make /data, a link of the image, lead to one of the mounted folders."""
    temporary = f"{_DATA}.new"
    with contextlib.suppress(FileNotFoundError):
        os.unlink(temporary)
    os.symlink(f"/public/{place}", temporary)
    os.rename(temporary, _DATA)


def _pack_work() -> bytes:
    """Return an archive of the working directory, for a container that takes this one's place."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for name in os.listdir("/work"):
            archive.add(f"/work/{name}", arcname=name)
    return buffer.getvalue()


def _unpack_work(data: bytes) -> None:
    """Fill the working directory. It is the script's own content, unpacked with the script's own rights."""
    with tarfile.open(fileobj=io.BytesIO(data)) as archive:
        archive.extraction_filter = lambda member, _: member
        archive.extractall("/work")


def _kill_all() -> None:
    """Kill everything in this PID namespace but this process. The kernel lets no fork slip through."""
    with contextlib.suppress(ProcessLookupError):
        os.kill(-1, signal.SIGKILL)


def _empty(directory: int) -> None:
    """Remove everything below a directory; what a descriptor of it hides, a new look finds."""
    for name in os.listdir(directory):
        try:
            workdir.remove(directory, name)
        except OSError as error:
            if error.errno != errno.ENOENT:
                raise


def main(config: dict[str, Any]) -> None:
    """Preload and serve. The configuration names the modules to preload and says whether to warm up."""
    incoming, outgoing = os.dup(0), os.dup(1)
    null = os.open("/dev/null", os.O_RDWR | os.O_CLOEXEC)
    os.dup2(null, 0)
    os.dup2(2, 1)  # whatever a library prints goes to the log
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # without a handler, pid 1 does not take it from below
    syscalls.prctl(syscalls.PR_SET_DUMPABLE, 0)
    loaded = preload.load(config["modules"])
    if config["warm_up"]:
        preload.warm_up()
    threads = preload.thread_names()
    if len(threads) != 1:
        raise RuntimeError(f"preloading left threads behind: {', '.join(threads)}; expected one")
    atexit._clear()  # see `forkserver.main`
    multiprocessing_util = sys.modules.get("multiprocessing.util")
    if multiprocessing_util is not None:
        atexit.register(multiprocessing_util._exit_function)
    gc.collect()
    gc.disable()
    gc.freeze()  # a collection in a child would copy every page it marks
    resident = Resident(incoming, outgoing, Meter())
    resident.announce(loaded)
    resident.serve()
    os._exit(0)
