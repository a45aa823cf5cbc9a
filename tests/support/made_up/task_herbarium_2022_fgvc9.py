import json
from pathlib import Path

import numpy as np

SPECIES, GENERA, IMAGES = 22, 6, 5


def fabricate(folder: Path, random: np.random.Generator) -> None:
    """Specimens in train_images/, with the metadata of both parts beside them."""
    images, annotations = [], []
    for species in range(SPECIES):
        for number in range(IMAGES):
            image, name = f"{species:05d}__{number:03d}", f"000/{species:02d}/{species:05d}__{number:03d}.jpg"
            _image(folder / "train_images" / name, random)
            images.append({"image_id": image, "file_name": name, "license": 0})
            annotations.append(
                {
                    "genus_id": species % GENERA,
                    "institution_id": int(random.integers(3)),
                    "category_id": species,
                    "image_id": image,
                }
            )
    content = {
        "annotations": annotations,
        "images": images,
        "categories": [
            {
                "category_id": species,
                "scientificName": f"Genus{species % GENERA} planta{species} Mill.",
                "family": "Pinaceae",
                "genus": f"Genus{species % GENERA}",
                "species": f"planta{species}",
                "authors": "Mill.",
            }
            for species in range(SPECIES)
        ],
        "genera": [{"genus_id": number, "genus": f"Genus{number}"} for number in range(GENERA)],
        "institutions": [{"institution_id": number, "collectionCode": "NY"} for number in range(3)],
        "distances": [
            {"genus_id_x": one, "genus_id_y": other, "distance": float(random.uniform(10, 400))}
            for one in range(GENERA)
            for other in range(one)
        ],
        "license": [{"license_id": 0, "license": "CC0", "url": ""}],
    }
    (folder / "train_metadata.json").write_text(json.dumps(content))
    test = {"image_id": "0", "file_name": "000/test-000000.jpg", "license": 0}
    _image(folder / "test_images" / test["file_name"], random)
    (folder / "test_metadata.json").write_text(json.dumps([test]))
    (folder / "sample_submission.csv").write_text("Id,Predicted\n0,42\n")


def _image(path: Path, random: np.random.Generator) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(random.bytes(24))
