"""Handwritten graphemes: a table of their parts, and tiny images in four Parquet files."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

IMAGES = 300


def fabricate(folder: Path, random: np.random.Generator) -> None:
    """Write train.csv, train_image_data_0..3.parquet, class_map.csv and test.csv."""
    parts = {"grapheme_root": 5, "vowel_diacritic": 3, "consonant_diacritic": 2}
    ids = [f"Train_{number}" for number in range(IMAGES)]
    table = pd.DataFrame({"image_id": ids})
    for part, classes in parts.items():
        table[part] = random.integers(0, classes, IMAGES)
    table["grapheme"] = [chr(0x0995 + root) for root in table["grapheme_root"]]
    table.to_csv(folder / "train.csv", index=False)
    for quarter in range(4):
        pixels = random.integers(0, 256, (IMAGES // 4, 6), dtype=np.uint8)
        images = pd.DataFrame(pixels, columns=[str(pixel) for pixel in range(6)])
        images.insert(0, "image_id", ids[quarter * IMAGES // 4 : (quarter + 1) * IMAGES // 4])
        images.to_parquet(folder / f"train_image_data_{quarter}.parquet")
    names = [
        (part, label, chr(0x0995 + label)) for part, classes in parts.items() for label in range(classes)
    ]
    pd.DataFrame(names, columns=["component_type", "label", "component"]).to_csv(
        folder / "class_map.csv", index=False
    )
    rows = [(f"Test_{number}_{part}", f"Test_{number}", part) for number in range(3) for part in parts]
    pd.DataFrame(rows, columns=["row_id", "image_id", "component"]).to_csv(folder / "test.csv", index=False)
