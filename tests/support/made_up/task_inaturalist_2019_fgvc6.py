"""Raw files as of iNaturalist 2019: photographs in folders of species, and JSON about them."""

import json
from pathlib import Path

import numpy as np


def fabricate(folder: Path, random: np.random.Generator) -> None:
    """Write 240 photographs of 6 species for training, 12 for validation."""
    categories = [{"id": i, "name": str(i), "supercategory": ("Plants", "Birds")[i % 2]} for i in range(6)]
    first = 0
    for name, count in (("train", 240), ("val", 12)):
        images, annotations = [], []
        for number in range(first, first + count):
            species = int(random.integers(6))
            path = (
                f"train_val2019/{categories[species]['supercategory']}/{species}/{random.bytes(8).hex()}.jpg"
            )
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            (folder / path).write_bytes(random.bytes(20))
            images.append(
                {
                    "id": number,
                    "file_name": path,
                    "width": 800,
                    "height": 600,
                    "license": 1,
                    "rights_holder": "A. Nonymous",
                }
            )
            annotations.append({"id": number, "image_id": number, "category_id": species})
        content = {
            "info": {"year": 2019},
            "licenses": [{"id": 1, "name": "CC BY-NC"}],
            "categories": categories,
            "images": images,
            "annotations": annotations,
        }
        (folder / f"{name}2019.json").write_text(json.dumps(content))
        first += count
    (folder / "test2019.json").write_text(json.dumps({"info": {}, "licenses": [], "images": []}))
    (folder / "kaggle_sample_submission.csv").write_text("id,predicted\n268243,71\n")
