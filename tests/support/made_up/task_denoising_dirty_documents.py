from pathlib import Path

import numpy as np
from PIL import Image

PAGES, KINDS_OF_DIRT = 14, 2


def fabricate(folder: Path, random: np.random.Generator) -> None:
    """Tiny pages, each soiled in two ways, beside their clean scans."""
    for page in range(PAGES):
        clean = np.where(random.random((6, 9)) < 0.2, 30, 255)
        for kind in range(KINDS_OF_DIRT):
            number = 2 + 3 * (page + PAGES * kind)
            _save(clean, folder / f"train_cleaned/{number}.png")
            _save(clean - random.integers(0, 30, clean.shape), folder / f"train/{number}.png")
    for number in (1, 4):
        _save(random.integers(0, 256, (6, 9)), folder / f"test/{number}.png")
    (folder / "sampleSubmission.csv").write_text("id,value\n1_1_1,1\n1_2_1,1\n")


def _save(pixels: np.ndarray, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels.astype(np.uint8)).save(path)
