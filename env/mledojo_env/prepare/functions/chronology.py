"""Satellite image chronology: five photographs of a place, named in the order of their days."""

from __future__ import annotations

import numpy as np

from mledojo_env.prepare import split
from mledojo_env.prepare.functions import preparation
from mledojo_env.prepare.output import Output
from mledojo_env.prepare.raw import RawFiles

_DAYS = 5
_FRACTION = 0.4
_FOLDERS = {"train": ("test", "tif"), "train_sm": ("test_sm", "jpeg")}  # large and small, the same picture


@preparation
def image_chronology(raw: RawFiles, out: Output, micro: int | None) -> None:
    """Write sets of photographs in the order of their days, and others in a random order, to be told.

    Image k of a test set is of day `day[k]`, which is what a submission gives for it.
    """
    import pandas as pd

    rng = np.random.default_rng(out.seed)
    found = {names["set"] for _, names in raw.match(r"train_sm/(?P<set>set\d+)_1\.jpeg")}
    sets = sorted(found, key=lambda name: int(name.removeprefix("set")))
    sides = split.at_random(len(sets), _FRACTION, rng)
    if micro is not None:
        sides = split.thin(sides, None, micro, rng)
    days = np.array([rng.permutation(_DAYS) + 1 for _ in sets])
    for name, side, order in zip(sets, sides, days, strict=True):
        for folder, (test_folder, ending) in _FOLDERS.items():
            for number, day in enumerate(order, start=1):
                if side == split.TEST:
                    target = f"{test_folder}/{name}_{number}.{ending}"
                    out.link(raw.path(f"{folder}/{name}_{day}.{ending}"), target)
                elif side == split.TRAIN:
                    source = f"{folder}/{name}_{number}.{ending}"
                    out.link(raw.path(source), source)
    is_test = sides == split.TEST
    tested = pd.DataFrame({"setId": np.array(sets)[is_test]})
    with out.table("test.csv") as writer:
        writer.write(tested)
    answers = tested.assign(day=[" ".join(map(str, order)) for order in days[is_test]])
    out.answers(answers, sample={"day": " ".join(map(str, range(1, _DAYS + 1)))})
