"""Raw files as of iWildCam 2020: photographs of camera traps, and JSON about them."""

import json
from pathlib import Path

import numpy as np


def fabricate(folder: Path, random: np.random.Generator) -> None:
    """Write 200 photographs at 20 places, in sequences of 2; a few have two categories."""
    for part in ("train", "test"):
        (folder / part).mkdir()
    categories = [{"id": i, "name": name, "count": 9} for i, name in enumerate(("empty", "deer", "fox"))]
    images, annotations = [], []
    for number in range(200):
        name = f"{number:04d}-{random.bytes(4).hex()}"
        (folder / "train" / f"{name}.jpg").write_bytes(random.bytes(20))
        images.append(
            {
                "id": name,
                "file_name": f"{name}.jpg",
                "location": number // 10,
                "datetime": "2013-06-05 05:44:19.000",
                "seq_id": f"seq{number // 2}",
                "seq_num_frames": 2,
                "frame_num": number % 2,
                "width": 1024,
                "height": 747,
            }
        )
        for category in random.permutation(3)[: 1 + (number % 25 == 0)].tolist():
            annotations.append(
                {"id": f"a{len(annotations)}", "image_id": name, "category_id": category, "count": 1}
            )
    info = {"year": 2020, "version": "FGVC7"}
    train = {"images": images, "annotations": annotations, "categories": categories, "info": info}
    test = {"images": [], "categories": categories, "info": info}
    found = [
        {"id": image["id"], "max_detection_conf": 0.9, "detections": [{"category": "1", "conf": 0.9}]}
        for image in images
    ]
    (folder / "iwildcam2020_train_annotations.json").write_text(json.dumps(train))
    (folder / "iwildcam2020_test_information.json").write_text(json.dumps(test))
    (folder / "iwildcam2020_megadetector_results.json").write_text(json.dumps({"images": found}))
