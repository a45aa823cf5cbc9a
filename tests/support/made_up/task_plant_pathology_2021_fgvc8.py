"""Images named in train.csv with their ending, labels separated by spaces."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

LABELS = (
    "healthy",
    "scab",
    "rust",
    "complex",
    "scab frog_eye_leaf_spot",
    "powdery_mildew complex",
    "scab frog_eye_leaf_spot complex",
)


def fabricate(folder: Path, random: np.random.Generator) -> None:
    """Write raw files into a folder."""
    for name, rows in (("train", 110), ("test", 3)):
        (folder / f"{name}_images").mkdir()
        images = [f"{random.bytes(8).hex()}.jpg" for _ in range(rows)]
        for image in images:
            (folder / f"{name}_images" / image).write_bytes(random.bytes(16))
        table = pd.DataFrame({"image": images, "labels": random.choice(LABELS, rows)})
        table.to_csv(folder / ("train.csv" if name == "train" else "sample_submission.csv"), index=False)
