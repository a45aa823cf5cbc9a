"""A session of the Docker backend: one container, and what is asked of the fork-server in it."""

from __future__ import annotations

import asyncio
import os
from concurrent.futures import Future
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mledojo_env.errors import InvalidSubmission, SandboxError
from mledojo_env.sandbox import frames, outcome, request
from mledojo_env.sandbox.base import ExecutionResult, Limits
from mledojo_env.sandbox.container import Container, ContainerLost
from mledojo_env.sandbox.container_spec import Fit
from mledojo_env.sandbox.pool import Pool

if TYPE_CHECKING:
    from mledojo_env.sandbox.docker import DockerSandbox

_ANSWER_TIMEOUT_S = 30.0
_CANCEL_WAIT_S = 1.0
_OVERDUE_S = 12.0  # after the time limit, which is the fork-server's to keep
_REPORT_BYTES = 2**20


class DockerSession:
    """One container's working directory; see `sandbox.base.Session`.

    The size of the working directory and the folders to read belong to a container. A run that asks for
    others moves to a new one, with its files.
    """

    def __init__(self, sandbox: DockerSandbox, pool: Pool) -> None:
        self._sandbox = sandbox
        self._pool = pool
        self._folders: tuple[Path, ...] = ()
        self._disk_mb = Limits().disk_mb
        self._coming: Future[Container] | None = None  # of the container in use, too
        self._had_container = False
        self._is_running = False
        self._turn: Future[None] | None = None  # to execute, or to wait for that
        self._request: tuple[Container, int] | None = None
        self._answer: Future[frames.Frame] | None = None
        self._is_closed = False

    def prepare(self, data: tuple[Path, ...]) -> None:
        """Take or start a container for these folders, without waiting for it."""
        self._folders = tuple(Path(os.path.realpath(folder)) for folder in data)
        self._coming = self._pool.submit(self._take, self._folders, self._disk_mb, self._sandbox.usual_fit)

    def _take(self, folders: tuple[Path, ...], disk_mb: int, fit: Fit) -> Container:
        return self._pool.take(self._sandbox.spec(folders, disk_mb), fit)

    async def run(self, code: str, data: Path, limits: Limits, *, seed: int = 0) -> ExecutionResult:
        """Run `code` as `__main__` of a fresh interpreter and return what it did; see `Session.run`."""
        refusal, source = request.encode(code)
        if refusal is not None:
            return refusal
        self._check_usable()
        self._is_running = True
        try:
            folder = await asyncio.to_thread(request.check_data, data)
            container = await self._container(folder, limits)
            self._turn = self._sandbox.turns.take()
            await asyncio.shield(asyncio.wrap_future(self._turn))
            if self._is_closed:
                return outcome.to_result(outcome.Evidence(9, reason="cancelled"), limits)
            return await self._execute(container, source, folder, limits, seed)
        finally:
            self._is_running = False
            turn, self._turn = self._turn, None
            if turn is not None:
                self._sandbox.turns.give_back(turn)

    async def _container(self, folder: Path, limits: Limits) -> Container:
        """Return the session's container with the folder mounted and the limits set."""
        disk_mb = min(limits.disk_mb, request.MOST_MB)
        fit = self._sandbox.usual_fit = Fit.of(limits)
        previous = self._coming
        if previous is not None and previous.done() and previous.exception() and not self._had_container:
            previous = None  # what could not be started may be tried again: nothing is lost
        if previous is None or folder not in self._folders or disk_mb != self._disk_mb:
            if folder not in self._folders:
                self._folders = (*self._folders, folder)
            self._disk_mb = disk_mb
            self._coming = self._pool.submit(self._move, previous, self._folders, disk_mb, fit)
        assert self._coming is not None
        container = await asyncio.shield(asyncio.wrap_future(self._coming))
        self._had_container = True
        if self._is_closed:
            return container  # about to go
        if not container.is_alive:
            raise SandboxError("The container died and the session's working directory with it.")
        if not container.fits(fit):
            await asyncio.to_thread(container.fit, fit)
        return container

    def _move(
        self, previous: Future[Container] | None, folders: tuple[Path, ...], disk_mb: int, fit: Fit
    ) -> Container:
        """Return a new container with the files of the previous one, if there was one."""
        left = None if previous is None else previous.result()
        try:
            container = self._take(folders, disk_mb, fit)
            if left is not None:
                try:
                    room = 2 * left.spec.disk_mb * 2**20 + 64 * 2**20  # and what an archive adds
                    _, archive = _ask(left, {"op": "pack"}, max_answer=room)
                    _ask(container, {"op": "unpack"}, archive)
                except BaseException:
                    self._pool.discard(container)
                    raise
        finally:
            if left is not None:
                self._pool.discard(left)
        return container

    async def _execute(
        self, container: Container, source: bytes, folder: Path, limits: Limits, seed: int
    ) -> ExecutionResult:
        place = self._folders.index(folder)
        header = {**request.run_header(limits, seed), "place": place}
        most = 2 * header["output_bytes"] + _REPORT_BYTES
        asked = await asyncio.to_thread(container.request, header, source, max_answer=most)
        self._request, self._answer = (container, asked.number), asked.answer
        waiter = asyncio.wrap_future(asked.answer)
        overdue = header["timeout_s"] + _OVERDUE_S
        try:
            done, _ = await asyncio.wait([waiter], timeout=overdue)
            if not done:
                # The fork-server could not keep time. What hampers it in there can only be the script.
                self._pool.discard(container)
                await asyncio.wait([waiter])
                return _overdue(limits)
            answer, body = waiter.result()
        except asyncio.CancelledError:
            await asyncio.to_thread(container.cancel, asked.number)
            done, _ = await asyncio.wait([waiter], timeout=_CANCEL_WAIT_S)
            if not done:
                self._pool.discard(container)
            elif waiter.exception() is not None:
                pass  # it died, which the next run will say
            raise
        except ContainerLost as lost:
            if lost.out_of_memory:
                return _out_of_memory(limits)
            raise
        finally:
            self._request = self._answer = None
        try:
            return outcome.conclude(answer, _parts(answer.get("sizes", []), body), limits)
        except (KeyError, IndexError, TypeError, ValueError) as error:
            self._pool.discard(container)
            raise SandboxError(f"A container sent a malformed answer: {error!r}.") from error

    def read(self, name: str, max_bytes: int) -> bytes:
        """Return a regular file of the working directory; see `Session.read`."""
        self._check_usable()
        container = self._present()
        if container is None:
            raise FileNotFoundError(f"There is no file {name} in the working directory.")
        _, content = _ask(
            container, {"op": "read", "name": name, "max_bytes": max_bytes}, max_answer=max_bytes
        )
        if len(content) > max_bytes:
            raise SandboxError(f"The container sent {len(content)} bytes where {max_bytes} were asked for.")
        return content

    def remove(self, name: str) -> None:
        """Remove a file, link or whole directory of the working directory, if it is there."""
        self._check_usable()
        container = self._present()
        if container is not None:
            _ask(container, {"op": "remove", "name": name})

    def clear(self) -> None:
        """Empty the working directory."""
        self._check_usable()
        container = self._present()
        if container is not None:
            _ask(container, {"op": "clear"})

    def _present(self) -> Container | None:
        """Return the container, if any run has had one; a container on its way has no files."""
        if self._coming is None or not self._coming.done():
            return None
        container = self._coming.result()
        if not container.is_alive:
            raise SandboxError("The container died and the session's working directory with it.")
        return container

    async def close(self) -> None:
        """Kill what runs and remove the container; safe to call again."""
        if self._is_closed:
            return
        self._is_closed = True
        if self._turn is not None and self._sandbox.turns.withdraw(self._turn):
            self._turn = None
        if self._request is not None and self._answer is not None:
            container, number = self._request
            answer = asyncio.wrap_future(self._answer)
            await asyncio.to_thread(container.cancel, number)
            await asyncio.wait([answer], timeout=_CANCEL_WAIT_S)
        if self._coming is not None:
            self._coming.add_done_callback(self._drop)

    def _drop(self, coming: Future[Container]) -> None:
        if not coming.cancelled() and coming.exception() is None:
            self._pool.discard(coming.result())

    def _check_usable(self) -> None:
        if self._is_closed:
            raise SandboxError("The session is closed.")
        if self._is_running:
            raise RuntimeError("The session is running code; wait for it before you use it otherwise.")


def _ask(
    container: Container, header: dict[str, Any], body: bytes = b"", max_answer: int = 0
) -> frames.Frame:
    """Return the answer to a request about the working directory; raise what it says went wrong."""
    answer, content = container.request(header, body, max_answer=max_answer).answer.result(_ANSWER_TIMEOUT_S)
    if "missing" in answer:
        raise FileNotFoundError(str(answer["missing"]))
    if "invalid" in answer:
        raise InvalidSubmission(str(answer["invalid"]))
    if "bad_name" in answer:
        raise ValueError(str(answer["bad_name"]))
    if "problem" in answer:
        raise SandboxError(f"The working directory could not be changed: {answer['problem']}.")
    return answer, content


def _parts(sizes: list[int], body: bytes) -> list[bytes]:
    parts, start = [], 0
    for size in sizes:
        parts.append(body[start : start + size])
        start += size
    return parts


def _overdue(limits: Limits) -> ExecutionResult:
    evidence = outcome.Evidence(wait_status=9, reason="timeout", wall_s=limits.timeout_s + _OVERDUE_S)
    return outcome.to_result(evidence, limits)


def _out_of_memory(limits: Limits) -> ExecutionResult:
    evidence = outcome.Evidence(wait_status=9, out_of_memory_kills=1)
    return outcome.to_result(evidence, limits)
