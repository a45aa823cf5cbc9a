"""A number of turns that are taken and given back, first come first served, from any thread or event loop."""

from __future__ import annotations

import threading
from collections import deque
from concurrent.futures import Future


class Turns:
    """Hands out turns.

    Args:
        count: How many can be had at a time.
    """

    def __init__(self, count: int) -> None:
        self._free = count
        self._lock = threading.Lock()
        self._queue: deque[Future[None]] = deque()

    def take(self) -> Future[None]:
        """Return a future that completes when it is the caller's turn."""
        turn: Future[None] = Future()
        turn.set_running_or_notify_cancel()
        with self._lock:
            if not self._free:
                self._queue.append(turn)
                return turn
            self._free -= 1
        turn.set_result(None)
        return turn

    def withdraw(self, turn: Future[None]) -> bool:
        """Complete a turn that has not come yet without taking it; return whether that was so."""
        with self._lock:
            if turn not in self._queue:
                return False
            self._queue.remove(turn)
        turn.set_result(None)
        return True

    def give_back(self, turn: Future[None]) -> None:
        """End a turn, or stop waiting for it."""
        with self._lock:
            if turn in self._queue:
                self._queue.remove(turn)
                return
            if not self._queue:
                self._free += 1
                return
            following = self._queue.popleft()
        following.set_result(None)

    def refuse_all(self, error: Exception) -> None:
        """Fail everybody who waits."""
        with self._lock:
            queue, self._queue = list(self._queue), deque()
        for turn in queue:
            turn.set_exception(error)
