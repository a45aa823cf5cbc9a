from pathlib import Path

import numpy as np
import pandas as pd

SOURCES = ("arvalis_1", "arvalis_2", "ethz_1", "inrae_1", "rres_1", "usask_1")


def fabricate(folder: Path, random: np.random.Generator) -> None:
    """Photographs of wheat with one to four boxes each; the last three have none, and no row."""
    rows = []
    for number in range(150):
        name = f"{number:04x}{random.integers(16**5):05x}"
        _photograph(folder / f"train/{name}.jpg", random)
        if number < 147:
            for x, y, width, height in random.integers(1, 500, (int(random.integers(1, 5)), 4)).astype(float):
                box = f"[{x}, {y}, {width}, {height}]"
                rows.append((name, 1024, 1024, box, SOURCES[number % len(SOURCES)]))
    boxes = pd.DataFrame(rows, columns=["image_id", "width", "height", "bbox", "source"])
    boxes.to_csv(folder / "train.csv", index=False)
    _photograph(folder / "test/2fd875eaa.jpg", random)
    (folder / "sample_submission.csv").write_text("image_id,PredictionString\n2fd875eaa,1.0 0 0 50 50\n")


def _photograph(path: Path, random: np.random.Generator) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(random.bytes(24))
