"""Billion word imputation: sentences that lack one word."""

from __future__ import annotations

import numpy as np

from mledojo_env.errors import TaskDataError
from mledojo_env.prepare.functions import preparation
from mledojo_env.prepare.output import Output
from mledojo_env.prepare.raw import RawFiles

TEST_SHARE = 0.01  # about 300,000 of 30 million sentences; Kaggle's test set has as many


@preparation
def word_gaps(raw: RawFiles, out: Output, micro: int | None) -> None:
    """Test on a hundredth of the sentences, each without one of its words, never the first or last.

    The text is read as a stream; of a small variant, only as far as needed.

    Raises:
        TaskDataError: If the file is missing, is no UTF-8 or has hardly any sentences.
    """
    import pandas as pd

    random = np.random.default_rng(out.seed)
    sentences: list[str] = []
    gapped: list[str] = []
    trained = 0
    path = raw.path("train_v2.txt")
    try:
        with (
            path.open(encoding="utf-8", newline="\n") as source,
            out.public("train.txt").open("w", encoding="utf-8", newline="\n") as train,
        ):
            for line in source:
                words = line.rstrip("\r\n").split(" ")
                if random.random() < TEST_SHARE and len(words) > 2:
                    if micro is None or len(sentences) < micro:
                        gap = int(random.integers(1, len(words) - 1))
                        sentences.append(" ".join(words))
                        gapped.append(" ".join(words[:gap] + words[gap + 1 :]))
                elif micro is None or trained < micro:
                    train.write(line)
                    trained += 1
                if micro is not None and len(sentences) == micro == trained:
                    break
    except UnicodeDecodeError as error:
        raise TaskDataError(f"Cannot read {path}: {error}. Delete it, and download it again.") from error
    ids = pd.Series(range(len(sentences)))
    with out.table("test.csv") as writer:
        writer.write(pd.DataFrame({"id": ids, "incomplete": gapped}))
    out.answers(pd.DataFrame({"id": ids, "sentence": sentences}), sample={"sentence": "."})
