"""Equal HTTP servers, any number: the least busy healthy one is asked, a failure costs a retry elsewhere."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

import httpx2 as httpx

from mledojo_env.errors import GenerationError

_FIRST_PAUSE_S = 0.5  # after a failure; twice as long after each further one
_LONGEST_PAUSE_S = 15.0
_HEALTH_TIMEOUT_S = 5.0
_LOOK_S = 0.05  # between looks, while all are down
_ASIDE = (404, 408, 409, 425, 429)  # statuses that another try, or another server, may not give
_SHOWN = 300  # characters of what a server said


@dataclass
class Server:
    """One server, and what is known of it."""

    url: str
    busy: int = 0  # requests under way
    is_up: bool = True
    failures: int = 0  # since it last answered
    probe: asyncio.Task[None] | None = None  # a look whether it is up again
    rests_until: float = 0.0  # by the event loop's clock
    problem: str = ""  # what went wrong last
    state: Any = None  # the owner's: what the server has been told; None after a failure


class Servers:
    """Sends requests to servers that are healthy.

    Args:
        urls: Where they are, e.g. http://127.0.0.1:8000.
        timeout_s: How long one request may take.
        patience_s: How long a request is tried before it fails for good.
        prepare: Called with a server before each request to it; brings it up to date where it is not.
    """

    def __init__(
        self,
        urls: list[str],
        *,
        timeout_s: float,
        patience_s: float,
        prepare: Callable[[Server], Awaitable[None]] | None = None,
    ) -> None:
        self.servers = [Server(url.rstrip("/")) for url in urls]
        self._timeout_s, self._patience_s, self._prepare = timeout_s, patience_s, prepare
        self._client: httpx.AsyncClient | None = None
        self.retries = 0

    async def post(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        """Send a request to one of the servers and return what it answered, as JSON.

        Raises:
            GenerationError: If the request is refused as wrong, or none has answered within the patience.
        """
        loop = asyncio.get_running_loop()
        give_up = loop.time() + self._patience_s
        while True:
            server = await self._pick(give_up)
            server.busy += 1
            try:
                if self._prepare is not None:
                    await self._prepare(server)
                answer = await self.ask(server, path, body)
                server.failures, server.problem = 0, ""
                return answer
            except _Aside as problem:
                self.set_aside(server, str(problem))
            finally:
                server.busy -= 1

    async def ask(
        self, server: Server, path: str, body: dict[str, Any] | None, *, as_json: bool = True
    ) -> Any:
        """Send a request to this very server (GET without a body) and return its answer.

        Raises:
            GenerationError: If it says that the request is wrong.
        """
        url = f"{server.url}{path}"
        try:
            if body is None:
                response = await self._open().get(url, timeout=_HEALTH_TIMEOUT_S)
            else:
                response = await self._open().post(url, json=body, timeout=self._timeout_s)
        except httpx.HTTPError as error:
            raise _Aside(f"{type(error).__name__} {error}".strip()) from error
        if response.status_code >= 500 or response.status_code in _ASIDE:
            raise _Aside(f"{response.status_code}: {response.text[:_SHOWN]}")
        if response.status_code >= 400:
            raise GenerationError(f"{url} answered {response.status_code}: {response.text[:_SHOWN]}")
        if not as_json:
            return response.text
        try:
            return response.json()
        except ValueError as error:
            raise _Aside(f"an answer that is not JSON: {response.text[:_SHOWN]!r}") from error

    async def is_healthy(self, server: Server) -> bool:
        """Return whether a server answers at /health."""
        try:
            await self.ask(server, "/health", None, as_json=False)
        except (_Aside, GenerationError) as problem:
            server.problem = str(problem)
            return False
        return True

    async def close(self) -> None:
        """Close connections; safe to call again."""
        for server in self.servers:
            if server.probe is not None:
                server.probe.cancel()
        if self._client is not None:
            await self._client.aclose()
            self._client = None

    async def _pick(self, give_up: float) -> Server:
        """Return the least busy server that is up; those that rested long enough are looked at meanwhile."""
        loop = asyncio.get_running_loop()
        while True:
            for server in self.servers:
                if not server.is_up and server.probe is None and server.rests_until <= loop.time():
                    server.probe = loop.create_task(self._probe(server))
            up = [server for server in self.servers if server.is_up]
            if up:
                return min(up, key=lambda server: server.busy)
            if loop.time() >= give_up:
                said = "; ".join(f"{server.url}: {server.problem}" for server in self.servers)
                raise GenerationError(
                    f"No server has answered for {self._patience_s:.0f} s. {said}. Start them again, or "
                    "raise vllm.patience_s."
                )
            await asyncio.sleep(_LOOK_S)

    async def _probe(self, server: Server) -> None:
        try:
            if await self.is_healthy(server):
                server.is_up = True
            else:
                self._rest(server)
        finally:
            server.probe = None

    def set_aside(self, server: Server, problem: str) -> None:
        """Ask a server nothing more until it is healthy again; it is told its state anew then."""
        self.retries += 1
        server.problem, server.state = problem, None
        if server.is_up:  # others that were under way say nothing new
            server.is_up = False
            self._rest(server)

    def _rest(self, server: Server) -> None:
        server.failures += 1
        pause = min(_LONGEST_PAUSE_S, _FIRST_PAUSE_S * 2 ** (server.failures - 1))
        server.rests_until = asyncio.get_running_loop().time() + pause

    def _open(self) -> httpx.AsyncClient:
        if self._client is None:
            limits = httpx.Limits(max_connections=None, max_keepalive_connections=64)
            self._client = httpx.AsyncClient(limits=limits)
        return self._client


class _Aside(Exception):
    """A server did not do its part: ask another, and this one later."""
