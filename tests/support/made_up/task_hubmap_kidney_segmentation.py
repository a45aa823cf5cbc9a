"""Raw files as of HuBMAP - Hacking the Kidney: scans, masks as runs, outlines, patients."""

from pathlib import Path

import numpy as np
import pandas as pd


def fabricate(folder: Path, random: np.random.Generator) -> None:
    """Write 66 scans, two of each of 33 patients."""
    ids = [f"{number:09x}" for number in random.permutation(10**6)[:66]]
    runs = [
        " ".join(f"{50 * i + 1} {length}" for i, length in enumerate(random.integers(1, 40, 4))) for _ in ids
    ]
    pd.DataFrame({"id": ids, "encoding": runs}).to_csv(folder / "train.csv", index=False)
    information = pd.DataFrame(
        {
            "image_file": [f"{name}.tiff" for name in ids],
            "width_pixels": 1000,
            "height_pixels": 900,
            "anatomical_structures_segmention_file": [f"{name}-anatomical-structure.json" for name in ids],
            "glomerulus_segmentation_file": [f"{name}.json" for name in ids],
            "patient_number": 60000 + np.arange(66) % 33,
            "sex": "Male",
            "age": random.integers(20, 80, 66),
        }
    )
    information.to_csv(folder / "HuBMAP-20-dataset_information.csv", index=False)
    pd.DataFrame({"id": ["ff"], "predicted": ""}).to_csv(folder / "sample_submission.csv", index=False)
    for part, names in (("train", ids), ("test", ["ff"])):
        (folder / part).mkdir()
        for name in names:
            (folder / part / f"{name}.tiff").write_bytes(random.bytes(20))
            (folder / part / f"{name}-anatomical-structure.json").write_text("[]")
            if part == "train":
                (folder / part / f"{name}.json").write_text('[{"type": "Feature"}]')
