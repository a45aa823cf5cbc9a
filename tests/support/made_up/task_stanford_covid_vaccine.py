"""Short molecules of RNA, measured up to their seventh base; some with too much noise."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

MOLECULES = 90
LENGTH, SCORED = 10, 7
TARGETS = ("reactivity", "deg_Mg_pH10", "deg_pH10", "deg_Mg_50C", "deg_50C")


def fabricate(folder: Path, random: np.random.Generator) -> None:
    """Write raw files into a folder."""
    (folder / "bpps").mkdir()
    train = []
    for number in range(MOLECULES):
        molecule = {
            "index": number,
            "id": f"id_{number:09x}",
            "sequence": "".join(random.choice(list("AGUC"), LENGTH)),
            "structure": ".((....)).",
            "predicted_loop_type": "ESSHHHHSSE",
            "signal_to_noise": float(random.normal(5, 2)),
            "SN_filter": int(number % 3 > 0),
            "seq_length": LENGTH,
            "seq_scored": SCORED,
        }
        for name in TARGETS:
            error = "reactivity_error" if name == "reactivity" else name.replace("deg_", "deg_error_")
            molecule[error] = random.random(SCORED).round(4).tolist()
        for name in TARGETS:
            molecule[name] = random.normal(size=SCORED).round(4).tolist()
        train.append(molecule)
        np.save(folder / "bpps" / f"{molecule['id']}.npy", random.random((LENGTH, LENGTH)))
    (folder / "train.json").write_text("".join(json.dumps(molecule) + "\n" for molecule in train))
    test = {key: train[0][key] for key in ("index", "id", "sequence", "structure", "predicted_loop_type")}
    (folder / "test.json").write_text(json.dumps(test | {"id": "id_of_kaggle"}) + "\n")
