"""Append-only JSON lines: what a crash leaves behind, and how to go on after it."""

from __future__ import annotations

import os
from typing import IO


def end_cut_line(file: IO[bytes]) -> None:
    """Keep a line that an earlier crash cut from swallowing the next record; the file is open as "a+b"."""
    if file.seek(0, os.SEEK_END):
        file.seek(-1, os.SEEK_END)
        if file.read(1) != b"\n":
            file.write(b"\n")


def is_cut(line: bytes) -> bool:
    """Whether a line is the beginning of a record and nothing else, as a crash leaves it."""
    return line.startswith(b'{"') and not line.rstrip().endswith(b"}")
