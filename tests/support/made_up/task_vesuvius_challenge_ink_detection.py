"""Raw files of vesuvius-challenge-ink-detection: three fragments with thin volumes and real PNG headers."""

from __future__ import annotations

import struct
import zlib
from pathlib import Path

import numpy as np

_WIDTH, _HEIGHT = 30, 40


def fabricate(folder: Path, random: np.random.Generator) -> None:
    """Write three labelled fragments, whose ink is on most rows, and the two of the visible test set."""
    for name in ("train/1", "train/2", "train/3", "test/a", "test/b"):
        volume = folder / name / "surface_volume"
        volume.mkdir(parents=True)
        for level in range(3):
            (volume / f"{level:02d}.tif").write_bytes(b"II*\0" + random.bytes(24))
        (folder / name / "mask.png").write_bytes(_png(np.full((_HEIGHT, _WIDTH), 255, np.uint8)))
        if name.startswith("test"):
            continue
        ink = np.zeros((_HEIGHT, _WIDTH), dtype=np.uint8)
        ink[2:-1, 5 : int(random.integers(15, 30))] = 255
        (folder / name / "inklabels.png").write_bytes(_png(ink))
        (folder / name / "ir.png").write_bytes(_png(255 - ink))
        cell = _runs(ink.ravel() > 0)
        (folder / name / "inklabels_rle.csv").write_text(f"Id,Predicted\n{name[-1]},{cell}\n")
    (folder / "sample_submission.csv").write_text("Id,Predicted\na,1 1 5 1\nb,1 1 5 1\n")


def _runs(marked: np.ndarray) -> str:
    """Return the places of what is marked as starts, from 1, and lengths."""
    edges = np.flatnonzero(np.diff(np.concatenate([[0], marked.astype(np.int8), [0]])))
    return " ".join(f"{start + 1} {end - start}" for start, end in zip(edges[::2], edges[1::2], strict=True))


def _png(pixels: np.ndarray) -> bytes:
    """Return a grey image of 8 bits as a PNG file."""
    height, width = pixels.shape
    rows = b"".join(b"\0" + row.tobytes() for row in pixels)
    chunks = (
        (b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)),
        (b"IDAT", zlib.compress(rows)),
        (b"IEND", b""),
    )
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        for kind, data in chunks
    )
