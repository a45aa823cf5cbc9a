"""The launcher's event loop: watches executions from outside of their namespaces.

Time limits are kept here, not in the trainer, whose interpreter may be busy for seconds at a time. What an
execution is said to have done comes from the kernel (exit status, clocks, counters of its control group) and
from this process; what the execution itself wrote is passed on as bytes.
"""

from __future__ import annotations

import contextlib
import os
import selectors
import socket
import time
from dataclasses import dataclass
from typing import Any

from mledojo_env.sandbox import cgroups, jail, protocol, syscalls, watchdog
from mledojo_env.sandbox.capture import Capture

REPORT_LIMIT = 256 * 1024
_READ_ONLY_DATA = syscalls.ATTR_RDONLY | syscalls.ATTR_NOSUID | syscalls.ATTR_NODEV | syscalls.ATTR_NOEXEC
_CHECK_S = 0.25  # how often what only we can see is looked at
_KILL_GRACE_S = 30.0  # a killed namespace that is not gone by then means a broken machine


class Stop(Exception):
    """The loop has to end; its text says why."""


@dataclass
class Execution:
    """One running execution."""

    id: int
    started: float
    deadline: float
    job: jail.Job
    source_bytes: int
    streams: dict[str, Capture]  # stdout, stderr, report, setup
    group: cgroups.Group | None
    next_check: float
    process: int = 0  # the first one, as seen from here
    reason: str = ""  # why we killed it
    killed_at: float | None = None
    cpu_s: float = 0.0  # the last estimate, where there is no group to ask


class Supervisor:
    """Relays between the host and the fork-server, and enforces what needs an eye outside.

    Args:
        host: Channel to the trainer's process.
        server: Channel to the fork-server.
        owner: pidfd of the trainer's process: its end is ours, even if a forked copy of it holds the channel.
        hierarchy: Where to make control groups, if anywhere.
    """

    def __init__(
        self, host: socket.socket, server: socket.socket, owner: int, hierarchy: cgroups.Hierarchy | None
    ) -> None:
        self._host = host
        self._server = server
        self._owner = owner
        self._hierarchy = hierarchy
        self._running: dict[int, Execution] = {}
        self._selector = selectors.DefaultSelector()
        for source in (host, server, owner):
            self._selector.register(source, selectors.EVENT_READ)

    def run(self) -> None:
        """Serve until the owner or the fork-server is gone.

        Raises:
            Stop: Always, with the reason.
        """
        while True:
            for key, _ in self._selector.select(self._patience()):
                self._on_readable(key)
            self._enforce(time.monotonic())

    def _patience(self) -> float | None:
        """Return the seconds until something has to be looked at without being asked."""
        now = time.monotonic()
        moments = []
        for execution in self._running.values():
            if execution.killed_at is not None:
                moments.append(execution.killed_at + _KILL_GRACE_S)
            else:
                moments.append(min(execution.deadline, execution.next_check))
        return max(0.0, min(moments) - now) if moments else None

    def _on_readable(self, key: selectors.SelectorKey) -> None:
        if key.fileobj is self._host:
            self._on_host_message()
        elif key.fileobj is self._server:
            self._on_server_message()
        elif key.fileobj == self._owner:
            raise Stop("the owner is gone")
        else:
            self._on_output(*key.data)

    def _on_host_message(self) -> None:
        header, fds = protocol.receive(self._host)
        if header is None:
            raise Stop("the owner hung up")
        try:
            if header["op"] == "run":
                self._start(header, fds[0])
            elif header["op"] == "cancel":
                execution = self._running.get(header["id"])
                if execution is not None:
                    self._kill(execution, "cancelled")
            else:
                self._tell_server(header)
        finally:
            protocol.close_all(fds)

    def _on_server_message(self) -> None:
        header, fds = protocol.receive(self._server)
        if header is None:
            raise Stop("the fork-server died")
        if header["op"] == "exit":
            self._finish(self._running.pop(header["id"]), header)
        elif header["op"] == "started":
            self._running[header["id"]].process = watchdog.process_of(fds[0])
        else:
            self._tell_host(header, fds)
        protocol.close_all(fds)

    def _tell_host(self, header: dict[str, Any], fds: list[int]) -> None:
        try:
            protocol.send(self._host, header, fds)
        except OSError as error:
            raise Stop("the owner hung up") from error

    def _tell_server(self, header: dict[str, Any], fds: list[int] | None = None) -> None:
        try:
            protocol.send(self._server, header, fds or [])
        except OSError as error:
            raise Stop("the fork-server died") from error

    def _start(self, header: dict[str, Any], source: int) -> None:
        job = jail.parse_job(header)
        opened: list[int] = []  # what the fork-server gets; closed here in any case
        streams: dict[str, Capture] = {}
        group: cgroups.Group | None = None
        try:
            for name, limit in (
                ("stdout", header["output_bytes"]),
                ("stderr", header["output_bytes"]),
                ("report", REPORT_LIMIT),
                ("setup", REPORT_LIMIT),
            ):
                reading, writing = os.pipe2(os.O_CLOEXEC)
                streams[name] = Capture(reading, limit)
                opened.append(writing)
            opened.append(syscalls.clone_tree(header["data"], _READ_ONLY_DATA))
            if self._hierarchy is not None:
                group = self._hierarchy.create(
                    str(job.id), memory_mb=job.memory_mb, processes=job.processes, cores=job.threads
                )
                opened.extend(group.open_procs())
            self._tell_server({"op": "run", "job": header["job"]}, [source, *opened])
        except OSError as error:
            for stream in streams.values():
                stream.close()
            if group is not None:
                group.remove()
            self._tell_host({"op": "done", "id": job.id, "problem": syscalls.describe(error)}, [])
            return
        finally:
            protocol.close_all(opened)
        now = time.monotonic()
        deadline = now + header["timeout_s"]
        size = os.fstat(source).st_size
        execution = Execution(job.id, now, deadline, job, size, streams, group, now + _CHECK_S)
        self._running[job.id] = execution
        for stream in streams.values():
            self._selector.register(stream.fd, selectors.EVENT_READ, (execution, stream))

    def _on_output(self, execution: Execution, stream: Capture) -> None:
        if not stream.is_open:  # finished earlier in this round
            return
        fd = stream.fd
        stream.pull()
        if not stream.is_open:
            self._selector.unregister(fd)
        elif stream.is_over and stream in (execution.streams["stdout"], execution.streams["stderr"]):
            self._kill(execution, "output")

    def _enforce(self, now: float) -> None:
        for execution in list(self._running.values()):
            if execution.killed_at is not None:
                if now > execution.killed_at + _KILL_GRACE_S:
                    raise Stop("a killed execution did not end")
            elif now >= execution.deadline:
                self._kill(execution, "timeout")
            elif now >= execution.next_check:
                execution.next_check = now + _CHECK_S
                self._check(execution)

    def _check(self, execution: Execution) -> None:
        """Kill an execution that has used up what the kernel does not limit by itself."""
        job = execution.job
        if execution.group is not None:
            used = self._usage(execution).cpu_s or 0.0
            memory_mb = 0.0  # the group's own business
        elif execution.process:
            seen = watchdog.sample(execution.process, job.memory_mb)
            used, memory_mb = seen.cpu_s, seen.memory_mb
            execution.cpu_s = max(execution.cpu_s, used)
        else:
            return
        if used > job.cpu_s:
            self._kill(execution, "cpu")
        elif memory_mb > job.memory_mb:
            self._kill(execution, "memory")

    def _kill(self, execution: Execution, reason: str) -> None:
        if execution.killed_at is None:
            execution.reason = reason
            execution.killed_at = time.monotonic()
            if self._hierarchy is not None and execution.group is not None:
                self._hierarchy.release_cpu(execution.group)
            self._tell_server({"op": "kill", "id": execution.id})

    def _usage(self, execution: Execution) -> cgroups.Usage:
        if self._hierarchy is None or execution.group is None:
            return cgroups.Usage()
        return self._hierarchy.usage(execution.group)

    def _finish(self, execution: Execution, header: dict[str, Any]) -> None:
        """Tell the host what an execution did, once every process of it is dead."""
        wall_s = time.monotonic() - execution.started
        for stream in execution.streams.values():
            if stream.is_open:
                self._selector.unregister(stream.fd)
            stream.drain()
        usage = self._usage(execution)
        if execution.group is not None:
            execution.group.remove()
        problem, before = jail.parse_ready(b"".join(execution.streams["setup"].parts()))
        shown = sum(execution.streams[name].total for name in ("stdout", "stderr", "report"))
        written = header.get("bytes_written", 0) - before - execution.source_bytes - shown
        fds = []
        for name in ("stdout", "stderr", "report"):
            fds += [protocol.memory_file(part) for part in execution.streams[name].parts()]
        message = {
            "op": "done",
            "id": execution.id,
            "problem": problem,
            "wait_status": header["status"],
            "reason": execution.reason,
            "wall_s": wall_s,
            "cpu_s": max(header.get("cpu_s", 0.0), execution.cpu_s) if usage.cpu_s is None else usage.cpu_s,
            "peak_mb": usage.peak_mb if usage.peak_mb is not None else header.get("peak_kb", 0) / 1024,
            "out_of_memory_kills": usage.out_of_memory_kills,
            "processes_denied": usage.processes_denied,
            "bytes_written": max(0, written),
            "dropped": [execution.streams[name].dropped for name in ("stdout", "stderr")],
        }
        try:
            self._tell_host(message, fds)
        finally:
            protocol.close_all(fds)

    def close(self) -> None:
        """Close what executions left open and remove the control groups."""
        for execution in self._running.values():
            for stream in execution.streams.values():
                stream.close()
        if self._hierarchy is not None:
            with contextlib.suppress(OSError):
                self._hierarchy.remove()
