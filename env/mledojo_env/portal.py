"""Runs coroutines from synchronous code, also where an event loop is already running (Jupyter)."""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import Coroutine
from typing import Any, TypeVar

T = TypeVar("T")

_CLEAN_UP_S = 5.0


class Portal:
    """An event loop on a daemon thread of its own, started at first use."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """Run `work` on the portal's loop and return its result.

        An interrupt (Ctrl-C) cancels the work, and travels on when the work has cleaned up behind itself.

        Raises:
            RuntimeError: If called from the portal's own thread, which would wait for itself.
        """
        loop = self._started()
        if threading.current_thread() is self._thread:
            work.close()
            raise RuntimeError(
                "step(), reset() and close() block; in a coroutine await astep() and the like."
            )
        ended = threading.Event()

        async def tracked() -> T:
            try:
                return await work
            finally:
                ended.set()

        future = asyncio.run_coroutine_threadsafe(tracked(), loop)
        try:
            return future.result()
        except BaseException:
            if future.cancel():  # False: it has finished, and what we see is its own exception
                ended.wait(_CLEAN_UP_S)
            raise

    def start_soon(self, work: Coroutine[Any, Any, object]) -> None:
        """Run `work` on the portal's loop, and do not wait for it: safe in any thread and in a finalizer."""
        # Without the lock where it can be: a finalizer may run while this very thread holds it.
        asyncio.run_coroutine_threadsafe(work, self._loop or self._started())

    def _started(self) -> asyncio.AbstractEventLoop:
        with self._lock:
            if self._loop is None:
                self._loop = asyncio.new_event_loop()
                self._thread = threading.Thread(
                    target=self._loop.run_forever, name="mledojo-portal", daemon=True
                )
                self._thread.start()
            return self._loop


_portal = Portal()


def shared_portal() -> Portal:
    """Return the process's portal."""
    return _portal


def _renew() -> None:
    """Give a forked child a portal of its own: threads do not survive a fork."""
    global _portal
    _portal = Portal()


os.register_at_fork(after_in_child=_renew)
