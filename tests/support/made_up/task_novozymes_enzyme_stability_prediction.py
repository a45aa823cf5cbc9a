"""Variants of proteins with their melting points, and corrections of some rows."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

FAMILIES = 60
VARIANTS = 5
RESIDUES = list("ACDEFGHIKLMNPQRSTVWY")


def fabricate(folder: Path, random: np.random.Generator) -> None:
    """Write raw files into a folder."""
    rows = []
    for _ in range(FAMILIES):
        protein = random.choice(RESIDUES, 120)
        for _ in range(VARIANTS):
            variant = protein.copy()
            variant[random.integers(120)] = random.choice(RESIDUES)
            rows.append(
                {
                    "seq_id": len(rows),
                    "protein_sequence": "".join(variant),
                    "pH": 7.0,
                    "data_source": "doi.org/10.1038/s41592-020-0801-4",
                    "tm": round(float(random.normal(50, 10)), 1),
                }
            )
    table = pd.DataFrame(rows)
    table.to_csv(folder / "train.csv", index=False)
    updates = table.iloc[[3, 7, 50, 51]].astype(object)
    updates.loc[[3, 7], ["protein_sequence", "pH", "data_source", "tm"]] = ""
    updates.loc[[50, 51], "tm"] = 48.4
    updates.to_csv(folder / "train_updates_20220929.csv", index=False)
    table.drop(columns="tm").head(5).to_csv(folder / "test.csv", index=False)
    table[["seq_id", "tm"]].head(5).to_csv(folder / "sample_submission.csv", index=False)
    (folder / "wildtype_structure_prediction_af2.pdb").write_text("ATOM\n")
