"""Studies of chest X-rays, some with a second image."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

STUDIES = 220
CLASSES = (
    "Negative for Pneumonia",
    "Typical Appearance",
    "Indeterminate Appearance",
    "Atypical Appearance",
)


def fabricate(folder: Path, random: np.random.Generator) -> None:
    """Write raw files into a folder."""
    studies, images = [], []
    for number in range(STUDIES):
        study, place = f"{number:012x}", int(random.integers(len(CLASSES)))
        studies.append({"id": f"{study}_study"} | {name: int(i == place) for i, name in enumerate(CLASSES)})
        for copy in range(1 + (number % 9 == 0)):
            image = f"{number * 10 + copy + 7000:012x}"
            path = folder / "train" / study / f"{number:06x}" / f"{image}.dcm"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(random.bytes(8).hex().encode())
            images.append({"id": f"{image}_image", **_boxes(place, random), "StudyInstanceUID": study})
    pd.DataFrame(studies).to_csv(folder / "train_study_level.csv", index=False)
    pd.DataFrame(images).to_csv(folder / "train_image_level.csv", index=False)
    sample = pd.DataFrame({"id": ["ff_study", "ff_image"], "PredictionString": "none 1 0 0 1 1"})
    sample.to_csv(folder / "sample_submission.csv", index=False)


def _boxes(place: int, random: np.random.Generator) -> dict[str, str]:
    if place == 0:
        return {"boxes": "", "label": "none 1 0 0 1 1"}
    corners = [[float(value) for value in random.integers(0, 900, 2)] for _ in range(random.integers(1, 3))]
    return {
        "boxes": str([{"x": x, "y": y, "width": 310.5, "height": 420.25} for x, y in corners]),
        "label": " ".join(f"opacity 1 {x} {y} {x + 310.5} {y + 420.25}" for x, y in corners),
    }
