import json
from pathlib import Path

import numpy as np

INSTITUTIONS = ("NY", "BPBM", "NL", "BRI", "AK")


def fabricate(folder: Path, random: np.random.Generator) -> None:
    """Specimens below train/, three or five of a species, in folders that tell it."""
    images, annotations = [], []
    for number in range(120):
        species = number % 24 if number < 72 else number % 12
        path = folder / f"train/images/000/{species:02d}/{number}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(random.bytes(24))
        name = path.relative_to(folder / "train").as_posix()
        images.append({"id": number, "width": 671, "height": 1000, "file_name": name, "license": 0})
        institution = int(random.integers(len(INSTITUTIONS)))
        annotations.append(
            {"id": number, "image_id": number, "category_id": species, "institution_id": institution}
        )
    content = {
        "annotations": annotations,
        "categories": [
            {"id": number, "name": f"Ocimum no. {number}", "family": "Lamiaceae", "order": "Lamiales"}
            for number in range(24)
        ],
        "images": images,
        "info": {"year": 2021, "version": "1.0"},
        "licenses": [{"id": 0, "name": "CC BY-NC", "url": ""}],
        "institutions": [{"id": number, "name": name} for number, name in enumerate(INSTITUTIONS)],
    }
    (folder / "train/metadata.json").write_text(json.dumps(content))
    (folder / "test/images/000").mkdir(parents=True)
    (folder / "test/images/000/0.jpg").write_bytes(random.bytes(24))
    test = {"id": 0, "width": 671, "height": 1000, "file_name": "images/000/0.jpg", "license": 0}
    (folder / "test/metadata.json").write_text(json.dumps({"images": [test], "info": content["info"]}))
    (folder / "sample_submission.csv").write_text("Id,Predicted\n0,0\n")
