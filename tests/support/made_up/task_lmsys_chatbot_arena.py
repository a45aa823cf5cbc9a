"""Raw files as of LMSYS - Chatbot Arena: two models' answers, and which one a person liked better."""

import json
from pathlib import Path

import numpy as np
import pandas as pd

WINNERS = ["winner_model_a", "winner_model_b", "winner_tie"]


def fabricate(folder: Path, random: np.random.Generator) -> None:
    """Write 120 conversations of one or two turns, and a few without a result."""
    rows = []
    for number in range(123):
        turns = 1 + number % 2
        models = random.choice(["gpt-4-0613", "vicuna-13b", "koala-13b"], 2, replace=False)
        texts = [
            json.dumps([f'{word} "{number}"\n{turn}' for turn in range(turns)]) for word in ("why", "a", "b")
        ]
        rows.append((30192 + 7 * number, *models, *texts))
    columns = ["id", "model_a", "model_b", "prompt", "response_a", "response_b"]
    table = pd.DataFrame(rows, columns=columns)
    table[WINNERS] = np.eye(3, dtype=int)[random.integers(0, 3, len(table))]
    table[:120].to_csv(folder / "train.csv", index=False)
    table[120:].drop(columns=["model_a", "model_b", *WINNERS]).to_csv(folder / "test.csv", index=False)
    table[120:][["id"]].assign(**dict.fromkeys(WINNERS, 1 / 3)).to_csv(
        folder / "sample_submission.csv", index=False
    )
