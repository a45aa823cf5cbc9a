from pathlib import Path

import numpy as np
import pandas as pd

CORNERS = ("inner_corner", "outer_corner")
ENDS = ("inner_end", "outer_end")
POINTS = [
    *(f"{side}_eye_center" for side in ("left", "right")),
    *(f"{side}_eye_{corner}" for side in ("left", "right") for corner in CORNERS),
    *(f"{side}_eyebrow_{end}" for side in ("left", "right") for end in ENDS),
    "nose_tip",
    *(f"mouth_{side}_corner" for side in ("left", "right")),
    *(f"mouth_center_{lip}_lip" for lip in ("top", "bottom")),
]


def fabricate(folder: Path, random: np.random.Generator) -> None:
    """Faces of 16 pixels; only the first have all points, and the last repeat earlier images."""
    names = [f"{point}_{axis}" for point in POINTS for axis in "xy"]
    faces = pd.DataFrame(random.uniform(10, 90, (110, len(names))).round(4), columns=names)
    scarce = [name for name in names if "corner" in name or "eyebrow" in name]
    faces.loc[40:, scarce] = np.nan
    images = [" ".join(map(str, random.integers(0, 256, 16))) for _ in range(100)]
    faces["Image"] = images + images[:10]
    folder.joinpath("training").mkdir()
    faces.to_csv(folder / "training/training.csv", index=False)
    test = pd.DataFrame({"ImageId": [1, 2], "Image": images[:2]})
    test.to_csv(folder / "test.csv", index=False)
    lookup = pd.DataFrame({"RowId": [1, 2], "ImageId": 1, "FeatureName": names[:2], "Location": ""})
    lookup.to_csv(folder / "IdLookupTable.csv", index=False)
