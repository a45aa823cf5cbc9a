"""Visits of patients with their lung capacity, and a folder of scans for each."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

PATIENTS = 40
VISITS = 7


def fabricate(folder: Path, random: np.random.Generator) -> None:
    """Write raw files into a folder."""
    rows = []
    for number in range(PATIENTS):
        patient = f"ID{number:05d}637202177411956430"
        (folder / "train" / patient).mkdir(parents=True)
        for scan in range(1, 3):
            (folder / "train" / patient / f"{scan}.dcm").write_bytes(random.bytes(8))
        for week in np.sort(random.choice(np.arange(-5, 30), VISITS, replace=False)):
            rows.append(
                {
                    "Patient": patient,
                    "Weeks": int(week),
                    "FVC": int(random.normal(2700, 600)),
                    "Percent": round(float(random.normal(77, 10)), 6),
                    "Age": 60 + number % 20,
                    "Sex": ("Male", "Female")[number % 2],
                    "SmokingStatus": ("Ex-smoker", "Never smoked", "Currently smokes")[number % 3],
                }
            )
    table = pd.DataFrame([*rows, rows[0]])  # a visit is listed twice
    table.to_csv(folder / "train.csv", index=False)
    table.head(2).to_csv(folder / "test.csv", index=False)
    (folder / "sample_submission.csv").write_text("Patient_Week,FVC,Confidence\nID00419_-12,2000,100\n")
