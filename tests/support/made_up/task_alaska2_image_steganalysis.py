"""Four folders with the same file names: covers, and a version of each by three algorithms."""

from __future__ import annotations

from pathlib import Path

import numpy as np


def fabricate(folder: Path, random: np.random.Generator) -> None:
    """Write Cover/, JMiPOD/, JUNIWARD/ and UERD/."""
    for algorithm in ("Cover", "JMiPOD", "JUNIWARD", "UERD"):
        (folder / algorithm).mkdir()
        for number in range(1, 71):
            (folder / algorithm / f"{number:05d}.jpg").write_bytes(random.bytes(24))
