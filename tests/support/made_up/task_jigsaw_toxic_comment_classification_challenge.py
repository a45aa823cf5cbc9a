"""Raw files as of the Toxic Comment Classification Challenge: half of the test set's labels are -1."""

from pathlib import Path

import numpy as np
import pandas as pd

LABELS = ["toxic", "severe_toxic", "obscene", "threat", "insult", "identity_hate"]


def fabricate(folder: Path, random: np.random.Generator) -> None:
    """Write 100 training comments and 200 others."""
    train, test = _comments(100, "a"), _comments(200, "b")
    train[LABELS] = random.integers(0, 2, (100, 6))
    labels = test[["id"]].copy()
    labels[LABELS] = np.where(random.random((200, 1)) < 0.5, random.integers(0, 2, (200, 6)), -1)
    for name, table in (("train", train), ("test", test), ("test_labels", labels)):
        table.to_csv(folder / f"{name}.csv", index=False)
    test[["id"]].assign(**dict.fromkeys(LABELS, 0.5)).to_csv(folder / "sample_submission.csv", index=False)


def _comments(count: int, letter: str) -> pd.DataFrame:
    ids = [f"{letter}{number:015x}" for number in range(count)]
    return pd.DataFrame({"id": ids, "comment_text": [f'You said\n"no", {name}' for name in ids]})
