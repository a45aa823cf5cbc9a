import json
from pathlib import Path

import numpy as np

SPECIES, IMAGES = 25, 4


def fabricate(folder: Path, random: np.random.Generator) -> None:
    """Specimens below nybg2020/, with names of plants in Latin-1; one species has a single image."""
    numbers = iter(random.permutation(1000))
    images, annotations = [], []
    for species in range(SPECIES):
        for _ in range(IMAGES if species else 1):
            number = int(next(numbers))
            name = f"images/000/{species:02d}/{number}.jpg"
            images.append({"file_name": name, "height": 1000, "id": number, "license": 1, "width": 660})
            region = int(random.integers(1, 5))
            annotations.append(
                {"category_id": species, "id": number, "image_id": number, "region_id": region}
            )
    categories = [
        {"family": "Isoëtaceae", "genus": "Isoëtes", "id": species, "name": f"Isoëtes {species}"}
        for species in range(SPECIES)
    ]
    regions = [{"id": number, "name": f"Region {number}"} for number in range(1, 5)]
    root = folder / "nybg2020"
    _write(root / "train", images, annotations=annotations, categories=categories, regions=regions)
    _write(
        root / "test", [{"file_name": "images/000/0.jpg", "height": 1000, "id": 0, "license": 1, "width": 6}]
    )
    (folder / "sample_submission.csv").write_text("Id,Predicted\n0,0\n")


def _write(folder: Path, images: list[dict[str, object]], **lists: list[dict[str, object]]) -> None:
    for image in images:
        path = folder / str(image["file_name"])
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(path.name.encode())
    content = {**lists, "images": images, "info": {"year": 2020}, "licenses": [{"id": 1, "name": "unknown"}]}
    (folder / "metadata.json").write_text(json.dumps(content, ensure_ascii=False), encoding="latin-1")
