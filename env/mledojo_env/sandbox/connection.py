"""The host's end of a launcher: starts it, sends it requests, completes futures from one reader thread."""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import socket
import subprocess
import sys
import threading
from concurrent.futures import Future
from pathlib import Path
from typing import Any

from mledojo_env.errors import SandboxError, SandboxUnavailable
from mledojo_env.sandbox import launcher, probe, protocol

_START_TIMEOUT_S = 120.0
_STOP_TIMEOUT_S = 5.0

Answer = tuple[dict[str, Any], list[int]]  # header and descriptors, which the receiver owns


class Connection:
    """One running launcher with its fork-server. Safe to use from several threads.

    Args:
        config: What the launcher needs to know, as plain data.

    Raises:
        SandboxUnavailable: If this machine cannot isolate code.
        SandboxError: If the fork-server could not be started for another reason.
    """

    def __init__(self, config: dict[str, Any]) -> None:
        self._lock = threading.Lock()
        self._numbers = itertools.count(1)
        self._waiting: dict[int, Future[Answer]] = {}
        self._lost = ""  # why no more requests are taken
        # A file without a name: what the launcher and the fork-server complain about, kept for error texts.
        self._log = os.memfd_create("mledojo-sandbox-log", os.MFD_CLOEXEC)
        self._channel, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        package = str(Path(__file__).resolve().parent)
        with theirs:
            self._process = subprocess.Popen(
                [
                    *(sys.executable, "-I", "-S", "-c", launcher.bootstrap("launcher", package)),
                    *(str(theirs.fileno()), str(os.getpid())),
                ],
                pass_fds=[theirs.fileno()],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=self._log,
                env={"PYTHONDONTWRITEBYTECODE": "1", **_library_path()},
                cwd="/",
                start_new_session=True,
            )
        self.pid = self._process.pid
        try:
            self.protections = self._shake_hands(config)
        except BaseException:
            self.close()
            raise
        self._reader = threading.Thread(target=self._read, name="mledojo-sandbox", daemon=True)
        self._reader.start()

    def _shake_hands(self, config: dict[str, Any]) -> dict[str, Any]:
        fd = protocol.memory_file(json.dumps(config).encode())
        try:
            protocol.send(self._channel, {"op": "start"}, [fd])
        finally:
            os.close(fd)
        self._channel.settimeout(_START_TIMEOUT_S)
        try:
            header, _ = protocol.receive(self._channel)
        except TimeoutError:
            raise SandboxError(f"The sandbox did not start within {_START_TIMEOUT_S:g} s.") from None
        self._channel.settimeout(None)
        if header is None:
            raise SandboxError(f"The sandbox's launcher died while it started.{self._log_tail()}")
        if header["op"] == "failed":
            if header["by_kernel"]:
                raise SandboxUnavailable(probe.explain_refusal(header["problem"]))
            raise SandboxError(f"The fork-server did not start: {header['problem']}.{self._log_tail()}")
        return header["protections"]

    @property
    def is_alive(self) -> bool:
        """Whether requests are still taken."""
        return not self._lost

    def request(self, header: dict[str, Any], fds: list[int] | None = None) -> tuple[int, Future[Answer]]:
        """Send a request and return its number and the future of its answer.

        The future fails with `SandboxError` if the launcher or the fork-server dies first.
        """
        future: Future[Answer] = Future()
        future.set_running_or_notify_cancel()  # nobody can cancel it by cancelling who waits for it
        with self._lock:
            number = next(self._numbers)
            if self._lost:
                future.set_exception(SandboxError(self._lost))
                return number, future
            self._waiting[number] = future
            if "job" in header:
                header = {**header, "job": {**header["job"], "id": number}}
            # If this fails, the reader is about to see the end and to fail every future.
            with contextlib.suppress(OSError):
                protocol.send(self._channel, {**header, "id": number}, fds or [])
        return number, future

    def cancel(self, number: int) -> None:
        """Ask for the end of an execution; its future completes as usual."""
        with self._lock, contextlib.suppress(OSError):
            protocol.send(self._channel, {"op": "cancel", "id": number})

    def _read(self) -> None:
        reason = "hung up"
        while True:
            try:
                header, fds = protocol.receive(self._channel)
            except OSError:
                break
            if header is None:
                break
            if header["op"] == "stopped":
                reason = header["problem"]
                continue
            with self._lock:
                future = self._waiting.pop(header["id"], None)
            if future is None:
                protocol.close_all(fds)
            else:
                future.set_result((header, fds))
        self._lose(f"The sandbox stopped: {reason}.{self._log_tail()}")

    def _lose(self, reason: str) -> None:
        with self._lock:
            self._lost = self._lost or reason
            waiting, self._waiting = list(self._waiting.values()), {}
        for future in waiting:
            future.set_exception(SandboxError(self._lost))

    def _log_tail(self) -> str:
        with contextlib.suppress(OSError):
            size = os.fstat(self._log).st_size
            text = os.pread(self._log, 2000, max(0, size - 2000)).decode(errors="replace").strip()
            return f" Its last words:\n{text}" if text else ""
        return ""

    def close(self) -> None:
        """Hang up and wait for the launcher to clean up; safe to call again."""
        self._lost = self._lost or "The sandbox is closed."
        with contextlib.suppress(OSError):
            self._channel.shutdown(socket.SHUT_RDWR)
        try:
            self._process.wait(_STOP_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        reader = getattr(self, "_reader", None)
        if reader is not None and reader is not threading.current_thread():
            reader.join(_STOP_TIMEOUT_S)
        self._channel.close()
        if self._log >= 0:
            os.close(self._log)
            self._log = -1


def _library_path() -> dict[str, str]:
    """Return what an interpreter with a shared libpython in an unusual place needs to start."""
    value = os.environ.get("LD_LIBRARY_PATH")
    return {"LD_LIBRARY_PATH": value} if value else {}
