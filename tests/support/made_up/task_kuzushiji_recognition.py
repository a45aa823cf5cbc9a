"""Raw files as of Kuzushiji Recognition: pages, and a box around each character."""

from pathlib import Path

import numpy as np
import pandas as pd


def fabricate(folder: Path, random: np.random.Generator) -> None:
    """Write 210 pages, every ninth of them empty."""
    pages = [f"umgy{number:03d}-{number % 7:03d}" for number in range(210)]
    labels = [_boxes(random) if row % 9 else "" for row in range(len(pages))]
    pd.DataFrame({"image_id": pages, "labels": labels}).to_csv(folder / "train.csv", index=False)
    names = pd.DataFrame({"Unicode": ["U+306F", "U+304C"], "char": ["\u306f", "\u304c"]})
    names.to_csv(folder / "unicode_translation.csv", index=False)
    (folder / "train_images").mkdir()
    for page in pages:
        (folder / "train_images" / f"{page}.jpg").write_bytes(random.bytes(20))


def _boxes(random: np.random.Generator) -> str:
    sides = random.integers(10, 900, (4, 4))
    return " ".join(f"{('U+306F', 'U+304C')[i % 2]} {x} {y} {w} {h}" for i, (x, y, w, h) in enumerate(sides))
