"""Bounded capture of what an execution prints."""

from __future__ import annotations

import os


class Capture:
    """Reads a pipe and keeps its head and tail within a limit.

    Args:
        fd: Read end of the pipe; owned by this object from now on.
        limit: Bytes to keep, half of them from the start.
    """

    def __init__(self, fd: int, limit: int) -> None:
        self.fd = fd
        self.total = 0
        self.is_open = True
        self._limit = limit
        self._head = bytearray()
        self._tail = bytearray()
        os.set_blocking(fd, False)

    @property
    def is_over(self) -> bool:
        """Whether more came than the limit."""
        return self.total > self._limit

    @property
    def dropped(self) -> int:
        """Bytes that were not kept."""
        return self.total - len(self._head) - len(self._tail)

    def pull(self) -> None:
        """Read what is there; at the end of the stream, close it."""
        try:
            data = os.read(self.fd, 65536)
        except BlockingIOError:
            return
        if not data:
            self.close()
            return
        self.total += len(data)
        room = self._limit // 2 - len(self._head)
        self._head += data[: max(room, 0)]
        self._tail += data[max(room, 0) :]
        excess = len(self._tail) - (self._limit - self._limit // 2)
        if excess > 0:
            del self._tail[:excess]

    def drain(self) -> None:
        """Read what is left in the pipe once nobody writes to it any more, and close it."""
        while self.is_open:
            before = self.total
            self.pull()
            if self.total == before:
                break
        self.close()

    def parts(self) -> tuple[bytes, bytes]:
        """Return the kept head and tail; `dropped` bytes lie between them."""
        return bytes(self._head), bytes(self._tail)

    def close(self) -> None:
        """Close the pipe; safe to call again."""
        if self.is_open:
            self.is_open = False
            os.close(self.fd)
