"""Windows of eleven frames over utterances of ten frames, as arrays."""

from __future__ import annotations

from pathlib import Path

import numpy as np

FRAME = 39
UTTERANCES = 16
LENGTH = 10


def fabricate(folder: Path, random: np.random.Generator) -> None:
    """Write raw files into a folder."""
    place = folder / "timit_11" / "timit_11"
    place.mkdir(parents=True)
    windows = np.concatenate([_windows(random) for _ in range(UTTERANCES)])
    np.save(place / "train_11.npy", windows)
    np.save(place / "train_label_11.npy", random.integers(0, 39, len(windows)).astype(str))
    np.save(place / "test_11.npy", _windows(random))
    (folder / "sampleSubmission.csv").write_text("Id,ClassId\n0,0\n")


def _windows(random: np.random.Generator) -> np.ndarray:
    """Return a window around each frame of an utterance; its first and last frames are repeated outside."""
    frames = random.normal(size=(LENGTH, FRAME)).astype(np.float32)
    places = np.clip(np.arange(LENGTH)[:, None] + np.arange(-5, 6), 0, LENGTH - 1)
    return frames[places].reshape(LENGTH, -1)
