"""Raw files as of the iMaterialist Challenge (Furniture): addresses of images and their classes."""

import json
from pathlib import Path

import numpy as np


def fabricate(folder: Path, random: np.random.Generator) -> None:
    """Write 420 images of 4 classes, some for validation, and test images without a class."""
    for name, count in (("train", 420), ("validation", 12), ("test", 8)):
        images = [{"image_id": i + 1, "url": [f"https://example.org/{name}/{i}.jpg"]} for i in range(count)]
        content = {"images": images}
        if name != "test":
            labels = random.integers(1, 5, count).tolist()
            content["annotations"] = [
                {"image_id": image["image_id"], "label_id": label}
                for image, label in zip(images, labels, strict=True)
            ]
        (folder / f"{name}.json").write_text(json.dumps(content))
    (folder / "sample_submission_randomlabel.csv").write_text("id,predicted\n1,12\n2,4\n")
