from pathlib import Path

import numpy as np


def fabricate(folder: Path, random: np.random.Generator) -> None:
    """Sets of five photographs, large and small, by day in train/ and in a random order in test/."""
    for first, part in ((1, "train"), (71, "test")):
        for number in range(first, first + (70 if part == "train" else 3)):
            for image in range(1, 6):
                for kind in (f"{part}/set{number}_{image}.tif", f"{part}_sm/set{number}_{image}.jpeg"):
                    path = folder / kind
                    path.parent.mkdir(parents=True, exist_ok=True)
                    path.write_bytes(random.bytes(16))
    (folder / "sample_submission.csv").write_text("setId,day\nset71,2 5 1 3 4\n")
