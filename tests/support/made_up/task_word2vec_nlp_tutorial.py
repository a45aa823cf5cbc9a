"""Raw files of word2vec-nlp-tutorial: every text in quotes, and a backslash before each quote inside."""

from __future__ import annotations

from pathlib import Path

import numpy as np

_REVIEWS = (
    'With all this stuff going on, I watched \\"The Wiz\\" again.<br /><br />It holds up',
    '\\"The Classic War of the Worlds\\" is a very entertaining film',
    "A dull, dull, dull film - don't bother",
)


def fabricate(folder: Path, random: np.random.Generator) -> None:
    """Write the files; ids are a number and a rating, whose high values are the positive reviews."""
    labelled, unlabelled, test = ["id\tsentiment\treview"], ["id\treview"], ["id\treview"]
    for number in range(100):
        rating = int(random.choice((1, 2, 3, 4, 7, 8, 9, 10)))
        text = f"{_REVIEWS[random.integers(len(_REVIEWS))]}, number {number}."
        labelled.append(f'"{number}_{rating}"\t{int(rating > 5)}\t"{text}"')
        unlabelled.append(f'"{number + 1000}_0"\t"{text}"')
        test.append(f'"{number + 2000}_{rating}"\t"{text}"')
    (folder / "labeledTrainData.tsv").write_text("\n".join(labelled) + "\n")
    (folder / "unlabeledTrainData.tsv").write_text("\n".join(unlabelled) + "\n")
    (folder / "testData.tsv").write_text("\n".join(test) + "\n")
    sample = ["id,sentiment", *(line.split("\t")[0] + ",0" for line in test[1:])]
    (folder / "sampleSubmission.csv").write_text("\n".join(sample) + "\n")
