from pathlib import Path

import numpy as np
import pandas as pd

LABELS = ("Bark", "Meow", "Run", "Bark,Meow", "Fill_(with_liquid),Gurgling", "Zipper_(clothing)")


def fabricate(folder: Path, random: np.random.Generator) -> None:
    """Curated and noisy clips with one or two labels each."""
    for part, count in (("curated", 120), ("noisy", 30)):
        names = [f"{number:08x}.wav" for number in random.choice(2**31, count, replace=False)]
        clips = pd.DataFrame({"fname": names, "labels": random.choice(LABELS, count)})
        clips.to_csv(folder / f"train_{part}.csv", index=False)
        _sounds(folder / f"train_{part}", names, random)
    _sounds(folder / "test", ["000ccb97.wav", "0012633b.wav"], random)
    (folder / "sample_submission.csv").write_text("fname,Bark,Meow\n000ccb97.wav,0,0\n0012633b.wav,0,0\n")


def _sounds(folder: Path, names: list[str], random: np.random.Generator) -> None:
    folder.mkdir()
    for name in names:
        (folder / name).write_bytes(random.bytes(24))
