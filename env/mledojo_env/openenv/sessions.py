"""Ends WebSocket sessions whose client has gone or fallen silent, whatever application serves them.

OpenEnv 0.10 reaps idle sessions, but counts a long step as idleness, and does not notice that a client left
while a step runs. An ASGI application asks for the next message when it has nothing else to do: so the time
that it waits there is the idle time, and reading ahead meanwhile tells when the client leaves.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, MutableMapping
from contextvars import ContextVar
from typing import Any, TypeVar

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Application = Callable[[MutableMapping[str, Any], Receive, Send], Awaitable[None]]

T = TypeVar("T")

_AHEAD = 16  # messages read before they are asked for; a client that sends more waits
_GOING_AWAY = 1001  # WebSocket close code

_gone: ContextVar[asyncio.Event | None] = ContextVar("gone", default=None)


class ClientGone(ConnectionError):
    """The session's client left in the middle of a step."""


class SessionGuard:
    """An ASGI application around another: closes a WebSocket that is silent for `idle_s` seconds."""

    def __init__(self, app: Application, idle_s: float) -> None:
        self._app, self._idle_s = app, idle_s

    async def __call__(self, scope: MutableMapping[str, Any], receive: Receive, send: Send) -> None:
        """Serve one connection."""
        if scope["type"] != "websocket":
            await self._app(scope, receive, send)
            return
        inbox: asyncio.Queue[Message] = asyncio.Queue(_AHEAD)
        gone = asyncio.Event()
        _gone.set(gone)

        async def listen() -> None:
            while not gone.is_set():
                message = await receive()
                if message["type"] == "websocket.disconnect":
                    gone.set()
                await inbox.put(message)

        async def next_message() -> Message:
            try:
                async with asyncio.timeout(self._idle_s):
                    return await inbox.get()
            except TimeoutError:
                reason = f"idle for {self._idle_s:g} s"
                await send({"type": "websocket.close", "code": _GOING_AWAY, "reason": reason})
                gone.set()
                return {"type": "websocket.disconnect", "code": _GOING_AWAY, "reason": reason}

        async def answer(message: Message) -> None:
            if not gone.is_set():
                await send(message)

        listener = asyncio.create_task(listen())
        try:
            await self._app(scope, next_message, answer)
        finally:
            listener.cancel()


async def while_connected(work: Awaitable[T]) -> T:
    """Await `work`, and cancel it when the client of the session leaves.

    Raises:
        ClientGone: If it left; the work has ended by then.
    """
    gone = _gone.get()
    if gone is None:
        return await work
    running, leaving = asyncio.ensure_future(work), asyncio.ensure_future(gone.wait())
    try:
        await asyncio.wait({running, leaving}, return_when=asyncio.FIRST_COMPLETED)
        if running.done():
            return running.result()
        raise ClientGone("The client left in the middle of a step.")
    finally:
        leaving.cancel()
        if not running.done():
            running.cancel()
            await asyncio.wait({running})
