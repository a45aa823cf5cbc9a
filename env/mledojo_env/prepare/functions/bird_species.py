"""MLSP 2013: ten-second recordings with the bird species heard in them, and features of sound segments."""

from __future__ import annotations

import csv
from collections.abc import Iterable
from pathlib import Path

import numpy as np

from mledojo_env.errors import TaskDataError
from mledojo_env.prepare import split
from mledojo_env.prepare.functions import preparation
from mledojo_env.prepare.output import Output
from mledojo_env.prepare.raw import RawFiles

SPECIES = 19
TEST_SHARE = 0.2

_LABELS = "essential_data/rec_labels_test_hidden.txt"
_PICTURES = ("spectrograms", "filtered_spectrograms", "supervised_segmentation", "segmentation_examples")
_TABLES = ("histogram_of_segments.txt", "segment_features.txt", "segment_rectangles.txt")


@preparation
def bird_species(raw: RawFiles, out: Output, micro: int | None) -> None:
    """Hold out recordings that have labels; Kaggle's own test recordings, which have none, are left out.

    Raises:
        TaskDataError: If a file is missing or a line is not as expected.
    """
    import pandas as pd

    base = next(name for name, _ in raw.match(rf"(?:.*/)?{_LABELS}")).removesuffix(_LABELS)
    heard = _labels(raw.path(base + _LABELS))
    files = {name: cells[0] for name, *cells in _rows(raw.path(f"{base}essential_data/rec_id2filename.txt"))}
    unnamed = sorted(heard.keys() - files.keys())
    if unnamed:
        raise TaskDataError(f"rec_id2filename.txt has no line for the recording {unnamed[0]}.")
    random = np.random.default_rng(out.seed)
    sides = split.at_random(len(heard), TEST_SHARE, random)
    if micro is not None:
        sides = split.thin(sides, None, micro, random)
    chosen = {
        side: [name for name, code in zip(heard, sides, strict=True) if code == side]
        for side in (split.TRAIN, split.TEST)
    }
    shown = {"rec_id": heard.keys(), "filename": [files[name] for name in heard], "labels": heard.values()}
    table = pd.DataFrame(shown)
    table["labels"] = table["labels"].map(lambda found: " ".join(map(str, sorted(found))))
    for side, name in ((split.TRAIN, "train.csv"), (split.TEST, "test.csv")):
        with out.table(name) as writer:
            hidden = [] if side == split.TRAIN else ["labels"]
            writer.write(table[table["rec_id"].isin(chosen[side])].drop(columns=hidden))
    kept = [*chosen[split.TRAIN], *chosen[split.TEST]]
    _write_recordings(raw, out, base, {name: files[name] for name in kept})

    test = chosen[split.TEST]
    rows = [
        (int(name) * 100 + species, int(species in heard[name]), name)
        for name in test
        for species in range(SPECIES)
    ]
    answers = pd.DataFrame(rows, columns=["Id", "Probability", "rec_id"])
    out.answers(answers, sample={"Probability": 0.5}, part_by=["rec_id"])


def _write_recordings(raw: RawFiles, out: Output, base: str, files: dict[str, str]) -> None:
    """Write what there is of these recordings (rec_id -> file name): sound, pictures, rows of features."""
    out.link(raw.path(f"{base}essential_data/species_list.txt"), "species_list.txt")
    for file in files.values():
        out.link(raw.path(f"{base}essential_data/src_wavs/{file}.wav"), f"src_wavs/{file}.wav")
        for folder in _PICTURES:
            name = f"supplemental_data/{folder}/{file}.bmp"
            if (raw.folder / base / name).is_file():  # few have a hand-made segmentation
                out.link(raw.path(base + name), name)
    for name in _TABLES:
        text = raw.path(f"{base}supplemental_data/{name}").read_text(encoding="utf-8")
        header, *rest = text.splitlines(keepends=True) or [""]
        mine = [line for line in rest if line.partition(",")[0].strip() in files]
        out.public(f"supplemental_data/{name}").write_text(header + "".join(mine), encoding="utf-8")


def _labels(path: Path) -> dict[str, set[int]]:
    """Return the species heard in each recording, without those that a question mark hides."""
    heard = {}
    for name, *cells in _rows(path):
        cells = [cell for cell in cells if cell]
        if "?" in cells:
            continue
        if not all(cell.isascii() and cell.isdigit() and int(cell) < SPECIES for cell in cells):
            raise TaskDataError(
                f"{path} lists {cells} for recording {name}; expected species below {SPECIES}."
            )
        heard[name] = set(map(int, cells))
    if len(heard) < 2:
        raise TaskDataError(f"{path} has {len(heard)} recordings with labels; expected two at least.")
    return heard


def _rows(path: Path) -> Iterable[tuple[str, ...]]:
    """Yield the stripped cells of each line that begins with a number."""
    with path.open(encoding="utf-8", newline="") as file:
        for cells in csv.reader(file):
            row = tuple(cell.strip() for cell in cells)
            if row and row[0].isdigit():
                yield row
