"""SIIM COVID-19: a class for each study, boxes for each of its images, and one submission for both."""

from __future__ import annotations

import numpy as np

from mledojo_env.prepare import split
from mledojo_env.prepare.functions import preparation
from mledojo_env.prepare.output import Output
from mledojo_env.prepare.raw import RawFiles
from mledojo_env.prepare.tables import Table

TEST_SHARE = 0.1

_CLASSES = {
    "Negative for Pneumonia": "negative",
    "Typical Appearance": "typical",
    "Indeterminate Appearance": "indeterminate",
    "Atypical Appearance": "atypical",
}
_NO_BOX = "1 0 0 1 1"  # what a class of a whole study has for confidence and box


@preparation
def siim_covid19_detection(raw: RawFiles, out: Output, micro: int | None) -> None:
    """Hold out studies with all their images."""
    import pandas as pd

    read = Table(file="train_study_level.csv").read(raw, ["id", *_CLASSES])
    studies = pd.concat(list(read), ignore_index=True)
    read = Table(file="train_image_level.csv").read(raw, ["id", "boxes", "label", "StudyInstanceUID"])
    images = pd.concat(list(read), ignore_index=True)
    names = studies["id"].str.removesuffix("_study")
    random = np.random.default_rng(out.seed)
    sides = split.at_random(len(studies), TEST_SHARE, random)
    if micro is not None:
        sides = split.thin(sides, None, micro, random)
    for side, folder in ((split.TRAIN, "train"), (split.TEST, "test")):
        for name in names[sides == side]:
            out.link_folder(raw.folder_path(f"train/{name}"), f"{folder}/{name}")
    is_train = sides == split.TRAIN
    with out.table("train_study_level.csv") as writer:
        writer.write(studies[is_train])
    with out.table("train_image_level.csv") as writer:
        writer.write(images[images["StudyInstanceUID"].isin(names[is_train])])

    hidden = studies[sides == split.TEST]
    classes = hidden[list(_CLASSES)].astype(float).to_numpy().argmax(axis=1)
    of_studies = pd.DataFrame(
        {
            "id": hidden["id"],
            "PredictionString": [f"{list(_CLASSES.values())[place]} {_NO_BOX}" for place in classes],
            "study": names[hidden.index],
        }
    )
    boxed = images[images["StudyInstanceUID"].isin(of_studies["study"])]
    of_images = boxed[["id"]].assign(PredictionString=boxed["label"], study=boxed["StudyInstanceUID"])
    out.answers(
        pd.concat([of_studies, of_images], ignore_index=True),
        sample={"PredictionString": f"negative {_NO_BOX}"},
        part_by=["study"],
    )
