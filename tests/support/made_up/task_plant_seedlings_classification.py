"""Images in a folder for each species, and no table."""

from __future__ import annotations

from pathlib import Path

import numpy as np

SPECIES = ("Black-grass", "Loose Silky-bent", "Maize", "Shepherds Purse", "Small-flowered Cranesbill")


def fabricate(folder: Path, random: np.random.Generator) -> None:
    """Write raw files into a folder."""
    for species in SPECIES:
        for _ in range(40):
            _image(folder / "train" / species, random)
    for _ in range(5):
        _image(folder / "test", random)
    (folder / "sample_submission.csv").write_text("file,species\n")


def _image(folder: Path, random: np.random.Generator) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{random.bytes(5).hex()}.png").write_bytes(random.bytes(16))
