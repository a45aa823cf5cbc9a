"""Notes, features of their case, and the places in a note where a feature is shown."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

NOTES = 30
FEATURES = 4
TEXT = "17yo M here for palpitations, no chest pain, mother has thyroid disease"


def fabricate(folder: Path, random: np.random.Generator) -> None:
    """Write raw files into a folder."""
    rows = []
    for note in range(NOTES):
        for feature in range(FEATURES):
            starts = np.sort(random.choice(50, int(random.integers(0, 3)), replace=False))
            places = [f"{start} {start + 12}" for start in starts]
            if len(places) == 2 and feature == 0:
                places = [";".join(places)]  # one annotation in two pieces
            rows.append(
                {
                    "id": f"{note:05d}_{feature:03d}",
                    "case_num": 0,
                    "pn_num": note,
                    "feature_num": feature,
                    "annotation": str([TEXT[start : start + 12] for start in starts]),
                    "location": str(places),
                }
            )
    table = pd.DataFrame(rows)
    table.to_csv(folder / "train.csv", index=False)
    test = ["id", "case_num", "pn_num", "feature_num"]
    table[test].head(5).to_csv(folder / "test.csv", index=False)
    texts = [f"Feature-{feature}" for feature in range(FEATURES)]
    features = pd.DataFrame({"feature_num": range(FEATURES), "case_num": 0, "feature_text": texts})
    features.to_csv(folder / "features.csv", index=False)
    notes = pd.DataFrame({"pn_num": range(NOTES + 10), "case_num": 0, "pn_history": TEXT})
    notes.to_csv(folder / "patient_notes.csv", index=False)
    table[["id", "location"]].head(5).assign(location="0 100").to_csv(
        folder / "sample_submission.csv", index=False
    )
