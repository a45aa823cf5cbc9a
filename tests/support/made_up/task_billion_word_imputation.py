"""Sentences of random words, a line each; some have two words only."""

from __future__ import annotations

from pathlib import Path

import numpy as np

WORDS = ["alder", "birch", "«cedar»", '"', "elm", ",", "naïve", "hazel", "\u2028", "ivy"]


def fabricate(folder: Path, random: np.random.Generator) -> None:
    """Write train_v2.txt and test_v2.txt."""
    words = random.choice(WORDS, (3600, 11)).tolist()
    lines = [" ".join(row[: number % 11 + 1]) + " .\n" for number, row in enumerate(words)]
    (folder / "train_v2.txt").write_text("".join(lines), encoding="utf-8", newline="\n")
    quoted = [f'{number},"alder elm ."\n' for number in range(1, 21)]
    (folder / "test_v2.txt").write_text("".join(['"id","sentence"\n', *quoted]))
