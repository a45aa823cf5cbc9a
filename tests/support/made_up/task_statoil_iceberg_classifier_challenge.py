"""Radar pictures in two bands, 4 x 4 pixels instead of 75 x 75."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

PICTURES = 110
PIXELS = 16


def fabricate(folder: Path, random: np.random.Generator) -> None:
    """Write raw files into a folder."""
    pictures = [
        {
            "id": f"{number:08x}",
            "band_1": random.normal(-20, 5, PIXELS).round(6).tolist(),
            "band_2": random.normal(-25, 5, PIXELS).round(6).tolist(),
            "inc_angle": "na" if number % 12 == 0 else round(float(random.uniform(30, 45)), 4),
            "is_iceberg": int(random.integers(2)),
        }
        for number in range(PICTURES)
    ]
    # Each .7z of the competition holds the file below data/processed/.
    for name, content in (("train", pictures), ("test", pictures[:5])):
        path = folder / f"{name}.json" / "data" / "processed" / f"{name}.json"
        path.parent.mkdir(parents=True)
        path.write_text(json.dumps(content))
