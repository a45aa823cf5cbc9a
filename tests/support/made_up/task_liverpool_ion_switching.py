"""Raw files as of University of Liverpool - Ion Switching: a signal, time written with four decimals."""

from pathlib import Path

import numpy as np
import pandas as pd


def fabricate(folder: Path, random: np.random.Generator) -> None:
    """Write 120 moments of training and 30 that follow."""
    times = [f"{step / 10_000:.4f}" for step in range(1, 151)]
    channels = random.integers(0, 4, 150)
    signal = (channels - 2.5 + random.normal(0, 0.1, 150)).round(4)
    table = pd.DataFrame({"time": times, "signal": signal, "open_channels": channels})
    table[:120].to_csv(folder / "train.csv", index=False)
    table[120:].drop(columns="open_channels").to_csv(folder / "test.csv", index=False)
    table[120:].drop(columns="signal").assign(open_channels=0).to_csv(
        folder / "sample_submission.csv", index=False
    )
