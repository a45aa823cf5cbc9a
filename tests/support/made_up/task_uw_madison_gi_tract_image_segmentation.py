"""Raw files of uw-madison-gi-tract-image-segmentation: scans of patients on several days, and masks."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

_CLASSES = ("large_bowel", "small_bowel", "stomach")
_WIDTH, _HEIGHT = 32, 24
_SLICES = 4


def fabricate(folder: Path, random: np.random.Generator) -> None:
    """Write twelve patients with two to six days of four slices; the first slice of a scan shows nothing."""
    rows = []
    for case in range(2, 26, 2):
        for day in range(0, int(random.integers(2, 7)) * 3, 3):
            scan = f"case{case}_day{day}"
            images = folder / "train" / f"case{case}" / scan / "scans"
            images.mkdir(parents=True)
            for number in range(1, _SLICES + 1):
                name = f"slice_{number:04d}_{_WIDTH}_{_HEIGHT}_1.50_1.50.png"
                (images / name).write_bytes(random.bytes(24))
                for label in _CLASSES:
                    mask = _mask(random) if number > 1 else ""
                    rows.append((f"{scan}_slice_{number:04d}", label, mask))
    table = pd.DataFrame(rows, columns=["id", "class", "segmentation"])
    table.to_csv(folder / "train.csv", index=False)
    sample = pd.DataFrame(columns=["id", "class", "predicted"])
    sample.to_csv(folder / "sample_submission.csv", index=False)


def _mask(random: np.random.Generator) -> str:
    """Return a rectangle as runs along the rows."""
    left, top = int(random.integers(0, _WIDTH - 8)), int(random.integers(0, _HEIGHT - 6))
    wide, high = int(random.integers(2, 8)), int(random.integers(2, 6))
    return " ".join(f"{row * _WIDTH + left + 1} {wide}" for row in range(top, top + high))
