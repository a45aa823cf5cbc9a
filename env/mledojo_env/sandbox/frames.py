"""Messages over a plain byte stream: a length, a JSON header, bytes. For containers, which may be far away.

`protocol` does the same over sockets that keep message boundaries and carry descriptors.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Iterator
from typing import Any

MAX_HEADER = 2**20
_LENGTHS = struct.Struct(">II")

Frame = tuple[dict[str, Any], bytes]


class BrokenStream(Exception):
    """What came is not a sequence of frames; the other end cannot be trusted any more."""


def pack(header: dict[str, Any], body: bytes = b"") -> bytes:
    """Return a frame as bytes."""
    text = json.dumps(header).encode()
    return _LENGTHS.pack(len(text), len(body)) + text + body


class Reader:
    """Puts frames together from whatever pieces they arrive in.

    Args:
        max_body: Largest body to accept, in bytes; can be changed between frames.
    """

    def __init__(self, max_body: int) -> None:
        self.max_body = max_body
        self._buffer = bytearray()

    def feed(self, data: bytes) -> Iterator[Frame]:
        """Take a piece and return the frames that it completes.

        Raises:
            BrokenStream: If a frame is too large or its header is no JSON object.
        """
        self._buffer += data
        while len(self._buffer) >= _LENGTHS.size:
            header_size, body_size = _LENGTHS.unpack_from(self._buffer)
            if header_size > MAX_HEADER or body_size > self.max_body:
                raise BrokenStream(f"a frame of {header_size} and {body_size} bytes")
            start = _LENGTHS.size + header_size
            if len(self._buffer) < start + body_size:
                return
            try:
                header = json.loads(self._buffer[_LENGTHS.size : start])
            except ValueError as error:
                raise BrokenStream(f"a header that is not JSON: {error}") from error
            if not isinstance(header, dict):
                raise BrokenStream("a header that is no object")
            body = bytes(self._buffer[start : start + body_size])
            del self._buffer[: start + body_size]
            yield header, body
