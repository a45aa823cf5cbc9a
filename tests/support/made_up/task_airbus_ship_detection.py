"""Images, a quarter of them without ships, and a row for each ship of the others."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd


def fabricate(folder: Path, random: np.random.Generator) -> None:
    """Write train_v2/, train_ship_segmentations_v2.csv and sample_submission_v2.csv."""
    (folder / "train_v2").mkdir()
    rows = []
    for number in range(270):
        image = f"{random.bytes(4).hex()}{number % 10}.jpg"
        (folder / "train_v2" / image).write_bytes(random.bytes(12))
        ships = [f"{1 + 2000 * ship} 5 {769 + 2000 * ship} 5" for ship in range(number % 4)]
        rows += [(image, mask) for mask in (ships or [""])]
    columns = ["ImageId", "EncodedPixels"]
    pd.DataFrame(rows, columns=columns).to_csv(folder / "train_ship_segmentations_v2.csv", index=False)
    pd.DataFrame([("00002bd58.jpg", "")], columns=columns).to_csv(
        folder / "sample_submission_v2.csv", index=False
    )
