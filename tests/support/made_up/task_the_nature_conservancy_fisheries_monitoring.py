"""Raw files of the-nature-conservancy-fisheries-monitoring: photos in a folder for each class."""

from __future__ import annotations

from pathlib import Path

import numpy as np

_CLASSES = ("ALB", "BET", "DOL", "LAG", "NoF", "OTHER", "SHARK", "YFT")


def fabricate(folder: Path, random: np.random.Generator) -> None:
    """Write the files; 15 photos of each class, and some of the first stage's test set."""
    names = [f"img_{number:05d}.jpg" for number in random.permutation(len(_CLASSES) * 15 + 20)]
    for place, name in enumerate(names[:-20]):
        path = folder / "train" / _CLASSES[place % len(_CLASSES)] / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(random.bytes(24))
    (folder / "test_stg1").mkdir()
    lines = [",".join(["image", *_CLASSES])]
    for name in names[-20:]:
        (folder / "test_stg1" / name).write_bytes(random.bytes(24))
        lines.append(name + ",0.125" * len(_CLASSES))
    (folder / "sample_submission_stg1.csv").write_text("\n".join(lines) + "\n")
