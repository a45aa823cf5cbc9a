"""Recordings of five files each in four archives, whose MAT files hold skeletons and labels."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np

SAMPLES = 100
ENDINGS = ("audio.wav", "color.mp4", "depth.mp4", "user.mp4")


def fabricate(folder: Path, random: np.random.Generator) -> None:
    """Write raw files into a folder."""
    data = _data(random)
    lines = ["Id,Sequence"]
    for number in range(1, SAMPLES + 1):
        archive = 1 + 4 * (number - 1) // SAMPLES
        place = folder / f"training{archive}" / f"Sample{number:05d}"
        place.mkdir(parents=True)
        for ending in ENDINGS:
            (place / f"Sample{number:05d}_{ending}").write_bytes(random.bytes(8))
        (place / f"Sample{number:05d}_data.mat").write_bytes(data)
        shown = random.permutation(np.arange(1, 21))[: int(random.integers(8, 21))]
        lines.append(f"{number:04d},{' '.join(map(str, shown))}")
    (folder / "training.csv").write_text("\n".join(lines) + "\n")
    (folder / "test.csv").write_text("Id\n0701\n")
    (folder / "randomPrediction.csv").write_text("Id,Sequence\n0701,1 2 3\n")


def _data(random: np.random.Generator) -> bytes:
    """Return a MAT file of two frames and two labels."""
    from scipy.io import savemat

    frames = np.empty((1, 2), dtype=[("Skeleton", object)])
    labels = np.empty((1, 2), dtype=[("Name", object), ("Begin", object), ("End", object)])
    for k in range(2):
        frames[0, k]["Skeleton"] = {"WorldPosition": random.normal(size=(2, 3)), "JointType": "Head"}
        labels[0, k] = ("vattene", 10 * k, 10 * k + 9)
    video = {"NumFrames": 100, "FrameRate": 20, "Frames": frames, "MaxDepth": 3000, "Labels": labels}
    content = io.BytesIO()
    savemat(content, {"Video": video}, do_compression=True)
    return content.getvalue()
