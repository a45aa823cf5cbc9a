"""Raw files of tabular-playground-series-feb-2022: some of the 286 columns, and rows that are there twice."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

_BACTERIA = (
    "Bacteroides_fragilis",
    "Campylobacter_jejuni",
    "Enterococcus_hirae",
    "Escherichia_coli",
    "Escherichia_fergusonii",
    "Klebsiella_pneumoniae",
    "Salmonella_enterica",
    "Staphylococcus_aureus",
    "Streptococcus_pneumoniae",
    "Streptococcus_pyogenes",
)


def fabricate(folder: Path, random: np.random.Generator) -> None:
    """Write the files; every tenth row of train.csv is a copy of the one before."""
    columns = [
        f"A{a}T{t}G{g}C{10 - a - t - g}"
        for a in range(1, 4)
        for t in range(1, 4)
        for g in range(1, 4)
        if 10 - a - t - g <= 3
    ]
    spectra = random.normal(scale=1e-4, size=(110, len(columns))).round(9)
    labels = random.choice(_BACTERIA, len(spectra))
    spectra[10::10], labels[10::10] = spectra[9:-1:10], labels[9:-1:10]
    table = pd.DataFrame(spectra, columns=columns)
    table.insert(0, "row_id", np.arange(len(table)))
    table.assign(target=labels).to_csv(folder / "train.csv", index=False)
    table.iloc[:20].assign(row_id=np.arange(200_000, 200_020)).to_csv(folder / "test.csv", index=False)
    sample = pd.DataFrame({"row_id": np.arange(200_000, 200_020), "target": _BACTERIA[-1]})
    sample.to_csv(folder / "sample_submission.csv", index=False)
