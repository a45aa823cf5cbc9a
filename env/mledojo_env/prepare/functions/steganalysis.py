"""ALASKA2: which images hide a message, made from covers and their altered copies."""

from __future__ import annotations

import shutil

import numpy as np

from mledojo_env.errors import TaskDataError
from mledojo_env.prepare.functions import preparation
from mledojo_env.prepare.output import Output
from mledojo_env.prepare.raw import RawFiles

TEST_SHARE = 1 / 15  # 5,000 of 75,000 covers
FEWEST = 20  # test images, whatever the share
ALGORITHMS = ("JMiPOD", "JUNIWARD", "UERD")


@preparation
def steganalysis(raw: RawFiles, out: Output, micro: int | None) -> None:
    """Show half of the test covers as they are, the other half with a message by one of three algorithms.

    An image that is tested on is in none of the training folders, in no version.

    Raises:
        TaskDataError: If a folder or an image's version is missing.
    """
    import pandas as pd

    covers = [groups["name"] for _, groups in raw.match(r"Cover/(?P<name>[^/]+\.jpe?g)")]
    count = max(round(len(covers) * TEST_SHARE), FEWEST)
    if len(covers) < 2 * FEWEST:
        raise TaskDataError(f"Cover/ has {len(covers)} images; expected {2 * FEWEST} at least.")
    random = np.random.default_rng(out.seed)
    order = random.permutation(covers)
    tested, trained = order[:count][:micro], order[count:][:micro]
    for name in sorted(trained):
        for folder in ("Cover", *ALGORITHMS):
            out.link(raw.path(f"{folder}/{name}"), f"{folder}/{name}")

    labels = random.permutation(np.arange(len(tested)) % 2)
    algorithms = random.choice(ALGORITHMS, len(tested))
    ids = [f"{number:04d}.jpg" for number in range(1, len(tested) + 1)]
    for name, label, algorithm, number in zip(tested, labels, algorithms, ids, strict=True):
        folder = algorithm if label else "Cover"
        # A copy: a link would keep the file's number and time of writing, which tell its folder.
        shutil.copyfile(raw.path(f"{folder}/{name}"), out.public(f"Test/{number}"))
    out.answers(pd.DataFrame({"Id": ids, "Label": labels}), sample={"Label": 0.5})
