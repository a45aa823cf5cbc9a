"""Raw files of vinbigdata-chest-xray-abnormalities-detection: boxes of three radiologists an image."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

_NAMES = ("Aortic enlargement", "Atelectasis", "Calcification", "Cardiomegaly", "Consolidation", "ILD")


def fabricate(folder: Path, random: np.random.Generator) -> None:
    """Write 220 images; half show nothing, the others one or two findings that each radiologist outlines."""
    (folder / "train").mkdir()
    rows: list[tuple[object, ...]] = []
    for number in random.permutation(10**6)[:220]:
        name = f"{number:032x}"
        (folder / "train" / f"{name}.dicom").write_bytes(random.bytes(24))
        findings = [
            (
                int(random.integers(len(_NAMES))),
                *random.integers((100, 100, 700, 700), (600, 600, 1200, 1200)),
            )
            for _ in range(int(random.integers(0, 3)))
        ]
        for radiologist in ("R8", "R9", "R10"):
            if not findings:
                rows.append((name, "No finding", 14, radiologist, "", "", "", ""))
            for label, *box in findings:
                edges = [float(edge + random.integers(-9, 10)) for edge in box]
                rows.append((name, _NAMES[label], label, radiologist, *edges))
    columns = ["image_id", "class_name", "class_id", "rad_id", "x_min", "y_min", "x_max", "y_max"]
    pd.DataFrame(rows, columns=columns).to_csv(folder / "train.csv", index=False)
    (folder / "test").mkdir()
    (folder / "test" / "f0.dicom").write_bytes(random.bytes(24))
    (folder / "sample_submission.csv").write_text("image_id,PredictionString\nf0,14 1 0 0 1 1\n")
