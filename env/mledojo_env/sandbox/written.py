"""How many bytes an execution wrote, by the kernel's own count, which only its parent can read at its end.

A process that has ended has its counters until it is waited for, but then only root may open them. So the
fork-server opens them while the child is alive and waits for it.
"""

from __future__ import annotations

import contextlib
import os
import socket

OWN = "/proc/self/io"


class Look:
    """Lets a parent open its child's counters before the child does anything."""

    def __init__(self) -> None:
        self._parent, self._child = socket.socketpair()

    def wait_in_child(self) -> None:
        """Wait until the parent has looked."""
        self._parent.close()
        with self._child:
            self._child.send(b".")
            self._child.recv(1)

    def open_in_parent(self, pid: int) -> int | None:
        """Return the descriptor of a child's counters, None if the child is gone."""
        self._child.close()
        with self._parent:
            try:
                self._parent.recv(1)
                fd = os.open(f"/proc/{pid}/io", os.O_RDONLY | os.O_CLOEXEC)
                self._parent.send(b".")
            except OSError:
                return None
            return fd

    def close(self) -> None:
        """Forget it: there is no child."""
        self._parent.close()
        self._child.close()


def count(counters: str | int | None) -> int:
    """Return what a process, and those it waited for, gave to write calls; 0 where that is not counted.

    Args:
        counters: `OWN`, or what `open_in_parent` returned, which is closed.
    """
    if counters is None:
        return 0
    with contextlib.suppress(OSError), open(counters) as file:
        for line in file:
            if line.startswith("wchar:"):
                return int(line.split()[1])
    return 0
