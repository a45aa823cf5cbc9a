"""Raw files of the-icml-2013-whale-challenge-right-whale-redux: clips of four days, labels in their names."""

from __future__ import annotations

from pathlib import Path

import numpy as np


def fabricate(folder: Path, random: np.random.Generator) -> None:
    """Write the files; 25 clips a day."""
    (folder / "train2").mkdir()
    (folder / "test2").mkdir()
    for number in range(100):
        day, second = 20090328 + number // 25, 2 * (number % 25)
        label = int(random.random() < 0.4)
        name = f"{day}_0000{second:02d}_{second:03d}s{number % 10}ms_TRAIN{number}_{label}.aif"
        (folder / "train2" / name).write_bytes(b"FORM" + random.bytes(24))
    lines = ["clip,probability"]
    for number in range(20):
        name = f"20090401_0000{number:02d}_{number:03d}s0ms_Test{number}.aif"
        (folder / "test2" / name).write_bytes(b"FORM" + random.bytes(24))
        lines.append(f"{name},0")
    (folder / "sampleSubmission.csv").write_text("\n".join(lines) + "\n")
