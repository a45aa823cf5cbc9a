"""Messages between the host, the launcher and the fork-server: JSON headers with file descriptors.

The sockets are SOCK_SEQPACKET, so a message is never split or joined. Anything large (source text, output)
travels as the descriptor of a memory file.
"""

from __future__ import annotations

import json
import os
import socket
from collections.abc import Sequence
from typing import Any

MAX_HEADER = 64 * 1024
MAX_FDS = 32


def send(channel: socket.socket, header: dict[str, Any], fds: Sequence[int] = ()) -> None:
    """Send one message. The descriptors are duplicated: the sender still owns and closes its own."""
    socket.send_fds(channel, [json.dumps(header).encode()], list(fds))


def receive(channel: socket.socket) -> tuple[dict[str, Any] | None, list[int]]:
    """Return the next message and its descriptors (close-on-exec), or (None, []) at the end."""
    try:
        data, fds, _, _ = socket.recv_fds(channel, MAX_HEADER, MAX_FDS, socket.MSG_CMSG_CLOEXEC)
    except ConnectionResetError:  # it died with a message of ours unread
        return None, []
    if not data:
        close_all(fds)
        return None, []
    return json.loads(data), list(fds)


def memory_file(content: bytes) -> int:
    """Return the descriptor of a memory file that holds `content`, positioned at its start."""
    fd = os.memfd_create("mledojo", os.MFD_CLOEXEC)
    with open(fd, "wb", closefd=False) as file:
        file.write(content)
    os.lseek(fd, 0, os.SEEK_SET)
    return fd


def read_file(fd: int) -> bytes:
    """Return everything a memory file holds and close it."""
    with open(fd, "rb") as file:
        return file.read()


def close_all(fds: Sequence[int]) -> None:
    """Close descriptors."""
    for fd in fds:
        os.close(fd)
