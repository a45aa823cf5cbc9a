"""Raw files of the-winton-stock-market-challenge: windows of five days, with some of the past."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd


def fabricate(folder: Path, random: np.random.Generator) -> None:
    """Write the files; some features and early returns are missing."""
    rows = 60
    shown = [f"Feature_{number}" for number in range(1, 6)]
    shown += ["Ret_MinusTwo", "Ret_MinusOne", *(f"Ret_{minute}" for minute in range(102, 121))]
    hidden = [*(f"Ret_{minute}" for minute in range(121, 181)), "Ret_PlusOne", "Ret_PlusTwo"]
    past = random.normal(scale=1e-3, size=(rows, len(shown)))
    past[random.random(past.shape) < 0.05] = np.nan
    table = pd.DataFrame(past, columns=shown)
    table.insert(0, "Id", np.arange(1, rows + 1))
    future = pd.DataFrame(random.normal(scale=1e-3, size=(rows, len(hidden))), columns=hidden)
    weights = pd.DataFrame({"Weight_Intraday": random.uniform(1e6, 3e6, rows)})
    weights["Weight_Daily"] = weights["Weight_Intraday"] * 1.25
    pd.concat([table, future, weights], axis=1).to_csv(folder / "train.csv", index=False)
    table.to_csv(folder / "test_2.csv", index=False)
    ids = [f"{window}_{number}" for window in table["Id"] for number in range(1, 63)]
    sample = pd.DataFrame({"Id": ids, "Predicted": 0})
    sample.to_csv(folder / "sample_submission_2.csv", index=False)
