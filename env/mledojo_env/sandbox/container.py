"""One container with a fork-server in it, as the host sees it: started, spoken to, removed.

Host and fork-server talk over the container's attached standard streams, which works with an engine anywhere
and which nothing inside but the fork-server can reach. The program itself is the first thing sent: the image
holds no code of this project, and both ends are always of one version.
"""

from __future__ import annotations

import contextlib
import itertools
import socket
import struct
import threading
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any

from mledojo_env.errors import SandboxError
from mledojo_env.sandbox import frames
from mledojo_env.sandbox.container_spec import CPU_SHARES, PERIOD_US, Fit, Spec, options, quota_us, shipment

READY_TIMEOUT_S = 120.0
_SEND_TIMEOUT_S = 30
_LOG_KEPT = 4000


class ContainerLost(SandboxError):
    """The container ended while something was asked of it.

    Attributes:
        out_of_memory: Whether the kernel had killed processes in it for want of memory.
    """

    out_of_memory = False


class Container:
    """A running container. Safe to use from several threads.

    Args:
        client: The `docker.DockerClient`.
        spec: What to start.
        fit: Limits to start with.
        yields: Whether it gets ready in the CPU time that others leave.

    Raises:
        SandboxError: If the engine cannot start it.
    """

    def __init__(self, client: Any, spec: Spec, fit: Fit, *, yields: bool = False) -> None:
        self.spec = spec
        self.is_alive = True
        self.ready: Future[dict[str, Any]] = Future()
        self.ready.set_running_or_notify_cancel()
        self._api = client.api
        self._lock = threading.Lock()
        self._sending = threading.Lock()
        self._numbers = itertools.count(1)
        self._waiting: dict[int, Future[frames.Frame]] = {}
        self._log = bytearray()
        self._had_out_of_memory = False
        self._frames = frames.Reader(2**20)
        self._socket: socket.socket | None = None
        self._fit: Fit | None = None
        self._baseline_mb = 0
        import docker

        try:
            self.id = client.containers.create(**options(spec, fit, yields=yields)).id
        except (docker.errors.DockerException, OSError) as error:
            raise SandboxError(f"The engine could not make a container: {error}.") from error
        try:
            # The SDK's wrapper is kept, as its end would be the socket's.
            self._wrapper = self._api.attach_socket(
                self.id, {"stdin": 1, "stdout": 1, "stderr": 1, "stream": 1}
            )
            self._socket = _raw_socket(self._wrapper)
            self._api.start(self.id)
            self._socket.sendall(shipment(spec))
        except (docker.errors.DockerException, OSError) as error:
            self.remove()
            raise SandboxError(f"The engine could not start a container: {error}.") from error
        threading.Thread(target=self._read, name="mledojo-container", daemon=True).start()

    def wait_ready(self, fit: Fit) -> None:
        """Wait until executions can start, and apply exact limits.

        Raises:
            SandboxError: If the fork-server does not start; the container is gone then.
        """
        try:
            header = self.ready.result(READY_TIMEOUT_S)
        except TimeoutError:
            self.remove()
            raise SandboxError(f"A container was not ready within {READY_TIMEOUT_S:g} s.") from None
        self._baseline_mb = int(header["baseline_mb"]) + 1
        self.fit(fit)

    def fits(self, fit: Fit) -> bool:
        """Return whether these are the limits that are set."""
        return fit == self._fit

    def fit(self, fit: Fit) -> None:
        """Set the control group's limits, if they are others.

        Raises:
            SandboxError: If the engine cannot.
        """
        if self.fits(fit):
            return
        memory = (fit.memory_mb + self._baseline_mb) * 2**20
        change = {
            "Memory": memory,
            "MemorySwap": memory,
            "PidsLimit": fit.processes + 1,  # and the fork-server
            "CpuShares": CPU_SHARES,
            "CpuPeriod": PERIOD_US,
            "CpuQuota": quota_us(fit.cores),
        }
        import docker

        # The SDK's own call cannot change the number of processes.
        url = f"{self._api.base_url}/v{self._api.api_version}/containers/{self.id}/update"
        try:
            answer = self._api.post(url, json=change, timeout=self._api.timeout)
            answer.raise_for_status()
        except (docker.errors.DockerException, OSError) as error:
            raise SandboxError(f"The engine could not set a container's limits: {error}.") from error
        self._fit = fit

    def request(self, header: dict[str, Any], body: bytes = b"", *, max_answer: int) -> _Request:
        """Send a request and return the future of its answer, which fails with `ContainerLost`.

        Args:
            header: With the operation.
            body: Bytes that go with it.
            max_answer: Largest body to accept in return; more is as good as a dead container.
        """
        future: Future[frames.Frame] = Future()
        future.set_running_or_notify_cancel()
        with self._lock:
            number = next(self._numbers)
            if not self.is_alive:
                future.set_exception(ContainerLost("The container is gone."))
                return _Request(number, future)
            self._frames.max_body = max(self._frames.max_body, max_answer)
            self._waiting[number] = future
        self._send({**header, "id": number}, body)
        return _Request(number, future)

    def cancel(self, number: int) -> None:
        """Ask for the end of an execution; its future completes as usual."""
        self._send({"op": "cancel", "id": 0, "run": number})

    def is_healthy(self, within_s: float = 2.0) -> bool:
        """Return whether the fork-server answers."""
        try:
            self.request({"op": "ping"}, max_answer=0).answer.result(within_s)
        except (SandboxError, TimeoutError):
            return False
        return True

    def _send(self, header: dict[str, Any], body: bytes = b"") -> None:
        assert self._socket is not None
        # If this fails, the reader sees the end and fails every future.
        with self._sending, contextlib.suppress(OSError):
            self._socket.sendall(frames.pack(header, body))

    def _read(self) -> None:
        reason = "its stream ended"
        assert self._socket is not None
        try:
            for stream, data in _demultiplex(self._socket):
                if stream == 1:
                    for header, body in self._frames.feed(data):
                        self._receive(header, body)
                else:
                    self._log += data
                    del self._log[:-_LOG_KEPT]
        except (OSError, frames.BrokenStream) as error:
            reason = str(error)
        finally:  # whatever it was: nobody may wait for ever
            self._lose(reason)
            self._close_stream()

    def _receive(self, header: dict[str, Any], body: bytes) -> None:
        if header.get("op") == "ready" and not self.ready.done():
            self.ready.set_result(header)
            return
        if header.get("out_of_memory_kills"):
            self._had_out_of_memory = True
        with self._lock:
            future = self._waiting.pop(header.get("id", -1), None)
        if future is not None:
            future.set_result((header, body))

    def _lose(self, reason: str) -> None:
        with self._lock:
            self.is_alive = False
            waiting, self._waiting = list(self._waiting.values()), {}
        state: dict[str, Any] = {}
        with contextlib.suppress(Exception):  # whatever the engine's trouble is, it is not the news
            state = self._api.inspect_container(self.id)["State"]
        words = bytes(self._log).decode(errors="replace").strip()
        text = f"A container died: {reason}, exit code {state.get('ExitCode', 'unknown')}."
        error = ContainerLost(text + (f" Its last words:\n{words}" if words else ""))
        # The engine's flag stays up, whoever was killed: after an earlier kill it says nothing of this one.
        error.out_of_memory = bool(state.get("OOMKilled")) and not self._had_out_of_memory
        if not self.ready.done():
            self.ready.set_exception(error)
        for future in waiting:
            future.set_exception(error)

    def forget(self) -> None:
        """Close this process's copy of the stream, and nothing else: for a forked copy of the owner."""
        if self._socket is not None:
            self._close_stream()

    def _close_stream(self) -> None:
        assert self._socket is not None
        for stream in (self._socket, self._wrapper):  # one of them is a file of the other, and keeps it open
            with contextlib.suppress(OSError):
                stream.close()

    def remove(self) -> None:
        """Kill and remove the container; safe to call again."""
        import docker

        self.is_alive = False
        with contextlib.suppress(docker.errors.DockerException, OSError):
            self._api.remove_container(self.id, force=True, v=True)
        self.hang_up()

    def hang_up(self) -> None:
        """End the stream, upon which the fork-server exits; safe to call again."""
        self.is_alive = False
        if self._socket is not None:
            with contextlib.suppress(OSError):
                self._socket.shutdown(socket.SHUT_RDWR)


@dataclass(frozen=True)
class _Request:
    number: int
    answer: Future[frames.Frame]


def _raw_socket(wrapper: Any) -> socket.socket:
    """Return the socket below what `attach_socket` gives: a SocketIO, an SSL socket or an SSH channel."""
    stream = getattr(wrapper, "_sock", wrapper)
    stream.settimeout(None)
    with contextlib.suppress(OSError, AttributeError):
        stream.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, struct.pack("ll", _SEND_TIMEOUT_S, 0))
    return stream


def _demultiplex(stream: socket.socket) -> Any:
    """Yield (1 for stdout or 2 for stderr, bytes) from an attached stream, until it ends.

    Each piece has a header of eight bytes: the stream, three zeros, the length in network order
    (Docker Engine API, "Attach to a container").
    """
    buffer = bytearray()
    while data := stream.recv(2**16):
        buffer += data
        while len(buffer) >= 8:
            kind, size = struct.unpack_from(">BxxxI", buffer)
            if len(buffer) < 8 + size:
                break
            yield kind, bytes(buffer[8 : 8 + size])
            del buffer[: 8 + size]
