"""Drives with several phones aboard, whose true course was recorded along with what the phones received."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from mledojo_env.errors import TaskDataError
from mledojo_env.prepare import split
from mledojo_env.prepare.functions import preparation
from mledojo_env.prepare.output import Output
from mledojo_env.prepare.raw import RawFiles
from mledojo_env.prepare.tables import Table

TEST_SHARE = 0.1

_TRUTH = "ground_truth.csv"
_TIME, _PLACE = "UnixTimeMillis", ["LatitudeDegrees", "LongitudeDegrees"]
_SAMPLE = (37.4, -122.1)  # degrees: the region where most drives are


@preparation
def smartphone_decimeter_2022(raw: RawFiles, out: Output, micro: int | None) -> None:
    """Hold out all trips of some days: phones of one drive, and drives of one day, share roads and sky.

    Test trips keep only the kinds of files that Kaggle's own test trips have. A small variant has a few whole
    trips, of which it asks for the first positions.
    """
    import pandas as pd

    trips = sorted(
        {(cell["drive"], cell["phone"]) for cell in _trip_files(raw, "train") if cell["file"] == _TRUTH}
    )
    if not trips:
        raise TaskDataError(f"The raw files of {raw.slug} lack train/<drive>/<phone>/{_TRUTH}.")
    given = {cell["file"] for cell in _trip_files(raw, "test")} - {_TRUTH}
    days = np.unique([drive[:10] for drive, _ in trips], return_inverse=True)[1]
    random = np.random.default_rng(out.seed)
    sides = split.whole_groups(days, TEST_SHARE, random)
    if micro is not None:
        sides = split.thin(sides, days, 2, random)
    answers = []
    for (drive, phone), side in zip(trips, sides, strict=True):
        folder = f"{drive}/{phone}"
        if side == split.TRAIN:
            out.link_folder(raw.folder_path(f"train/{folder}"), f"train/{folder}")
        elif side == split.TEST:
            for name in sorted(given):
                if (raw.folder / f"train/{folder}/{name}").is_file():
                    out.link(raw.path(f"train/{folder}/{name}"), f"test/{folder}/{name}")
            truth = pd.concat(Table(file=f"train/{folder}/{_TRUTH}").read(raw, [_TIME, *_PLACE]))
            answers.append(truth.head(micro or len(truth)).assign(tripId=f"{drive}-{phone}"))
    out.link_folder(raw.folder_path("metadata"), "metadata")
    table = pd.concat(answers, ignore_index=True)[["tripId", _TIME, *_PLACE]]
    out.answers(table, sample=dict(zip(_PLACE, _SAMPLE, strict=True)), part_by=["tripId"])


def _trip_files(raw: RawFiles, part: str) -> Iterator[dict[str, str]]:
    """Yield drive, phone and name of every file of a trip."""
    for _, groups in raw.match(rf"{part}/(?P<drive>[^/]+)/(?P<phone>[^/]+)/(?P<file>.+)"):
        yield groups
