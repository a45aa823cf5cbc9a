"""Raw files of whale-categorization-playground: photos of whales, of which many are seen once."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd


def fabricate(folder: Path, random: np.random.Generator) -> None:
    """Write 40 whales with one photo each, 40 with two to four, and 20 photos of new ones."""
    whales = [f"w_{number:07x}" for number in random.permutation(16**5)[:80]]
    ids = whales[:40] + ["new_whale"] * 20
    for whale in whales[40:]:
        ids += [whale] * int(random.integers(2, 5))
    names = [f"{number:08x}.jpg" for number in random.permutation(16**5)[: len(ids)]]
    table = pd.DataFrame({"Image": names, "Id": random.permutation(ids)})
    table.to_csv(folder / "train.csv", index=False)
    (folder / "test").mkdir()
    (folder / "train").mkdir()
    for name in names:
        (folder / "train" / name).write_bytes(random.bytes(24))
    (folder / "test" / "f0000000.jpg").write_bytes(random.bytes(24))
    sample = "Image,Id\nf0000000.jpg,new_whale w_1287fbc w_98baff9 w_7554f44 w_1eafe46\n"
    (folder / "sample_submission.csv").write_text(sample)
