"""Raw files of text-normalization-challenge-russian-language: Cyrillic tokens of sentences."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pandas as pd

_TOKENS = (
    ("PLAIN", "в", "в"),
    ("PLAIN", "NA", "NA"),
    ("PUNCT", ",", ","),
    ("PUNCT", '"', '"'),
    ("DATE", "2006", "две тысячи шестого"),
    ("CARDINAL", "42", "сорок два"),
    ("LETTERS", "ООН", "о о н"),
    ("PLAIN", "Fox", "ф_trans о_trans к_trans с_trans"),
)


def fabricate(folder: Path, random: np.random.Generator) -> None:
    """Write the files; 60 sentences of three to six tokens."""
    rows = []
    for sentence in range(60):
        for token in range(random.integers(3, 7)):
            rows.append((sentence, token, *_TOKENS[random.integers(len(_TOKENS))]))
    table = pd.DataFrame(rows, columns=["sentence_id", "token_id", "class", "before", "after"])
    table.to_csv(folder / "ru_train.csv", index=False, quoting=csv.QUOTE_NONNUMERIC)
    test = table[["sentence_id", "token_id", "before"]].head(20)
    test.to_csv(folder / "ru_test_2.csv", index=False, quoting=csv.QUOTE_NONNUMERIC)
    ids = test["sentence_id"].astype(str) + "_" + test["token_id"].astype(str)
    sample = pd.DataFrame({"id": ids, "after": test["before"]})
    sample.to_csv(folder / "ru_sample_submission_2.csv", index=False, quoting=csv.QUOTE_NONNUMERIC)
