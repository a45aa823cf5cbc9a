"""Days of trading: a file of outputs and inputs each, and the outputs at the close for some."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

OUTPUTS = [f"O{number}" for number in range(1, 199)]
INPUTS = [f"I{number}" for number in range(1, 245)]


def fabricate(folder: Path, random: np.random.Generator) -> None:
    """Write trainLabels.csv, sampleSubmission.csv and data/."""
    (folder / "data").mkdir()
    header = ",".join([*OUTPUTS, *INPUTS])
    for day in range(1, 131):
        lines = [",".join(map(str, cells)) for cells in random.integers(-9, 9, (2, 442))]
        (folder / f"data/{day}.csv").write_text("\n".join([header, *lines]) + "\n")
    labels = pd.DataFrame(random.normal(size=(110, 198)).round(3), columns=OUTPUTS)
    labels.insert(0, "FileId", range(1, 111))
    labels.to_csv(folder / "trainLabels.csv", index=False)
    sample = pd.DataFrame(0, index=range(20), columns=OUTPUTS)
    sample.insert(0, "FileId", range(111, 131))
    sample.to_csv(folder / "sampleSubmission.csv", index=False)
