"""Airbus ship detection: images with and without ships, the masks of each image on one side."""

from __future__ import annotations

import numpy as np

from mledojo_env.errors import TaskDataError
from mledojo_env.prepare import split
from mledojo_env.prepare.functions import preparation
from mledojo_env.prepare.output import Output
from mledojo_env.prepare.raw import RawFiles
from mledojo_env.prepare.tables import Table

TEST_SHARE = 0.075  # 15,606 images beside 192,556
EMPTY_SHARE = 0.6  # of the test images; 0.52 of the public part on Kaggle, 0.77 of the private one


@preparation
def ship_masks(raw: RawFiles, out: Output, micro: int | None) -> None:
    """Test on images of which three in five have no ship.

    Nearly four in five training images have none. With so many in the test set, to find no ship at all would
    be ahead of Kaggle's whole public board.

    Raises:
        TaskDataError: If the table or an image is missing, or there are too few images of a kind.
    """
    import pandas as pd

    masks = pd.concat(
        list(Table(file="train_ship_segmentations_v2.csv").read(raw, ["ImageId", "EncodedPixels"])),
        ignore_index=True,
    )
    has_ship = (masks["EncodedPixels"] != "").groupby(masks["ImageId"]).any()
    images = has_ship.index.to_numpy()
    count = round(len(images) * TEST_SHARE)
    random = np.random.default_rng(out.seed)
    sides = np.full(len(images), split.TRAIN)
    for empty, wanted in ((True, round(count * EMPTY_SHARE)), (False, count - round(count * EMPTY_SHARE))):
        places = np.flatnonzero(has_ship.to_numpy() != empty)
        if not 0 < wanted < len(places):
            kind = "without" if empty else "with"
            raise TaskDataError(f"There are {len(places)} images {kind} ships; expected more than {wanted}.")
        sides[random.permutation(places)[:wanted]] = split.TEST
    if micro is not None:
        sides = split.thin_evenly(sides, has_ship.to_numpy().astype(int), micro, random)

    for side, folder in ((split.TRAIN, "train"), (split.TEST, "test")):
        for image in images[sides == side]:
            out.link(raw.path(f"train_v2/{image}"), f"{folder}/{image}")
    side_of = masks["ImageId"].map(dict(zip(images, sides, strict=True)))
    with out.table("train.csv") as writer:
        writer.write(masks[side_of == split.TRAIN])
    out.answers(masks[side_of == split.TEST].reset_index(drop=True), sample={"EncodedPixels": ""})
