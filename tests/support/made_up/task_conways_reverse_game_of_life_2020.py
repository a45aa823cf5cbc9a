"""Boards of the Game of Life on a torus, before and after one to five steps."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

GAMES, SIDE = 120, 25


def fabricate(folder: Path, random: np.random.Generator) -> None:
    """Write train.csv and test.csv."""
    start = (random.random((GAMES, SIDE, SIDE)) < random.random((GAMES, 1, 1))).astype(np.uint8)
    for _ in range(5):
        start = _step(start)
    deltas = random.integers(1, 6, GAMES)
    stop = start.copy()
    for step in range(5):
        stop = np.where((deltas > step)[:, None, None], _step(stop), stop)
    stops = pd.DataFrame(stop.reshape(GAMES, -1), columns=[f"stop_{cell}" for cell in range(SIDE**2)])
    starts = pd.DataFrame(start.reshape(GAMES, -1), columns=[f"start_{cell}" for cell in range(SIDE**2)])
    ids = pd.DataFrame({"id": range(GAMES), "delta": deltas})
    pd.concat([ids, starts, stops], axis="columns").to_csv(folder / "train.csv", index=False)
    pd.concat([ids, stops], axis="columns").head(20).to_csv(folder / "test.csv", index=False)


def _step(boards: np.ndarray) -> np.ndarray:
    around = sum(
        np.roll(boards, (down, right), axis=(1, 2))
        for down in (-1, 0, 1)
        for right in (-1, 0, 1)
        if down or right
    )
    return ((around == 3) | ((boards == 1) & (around == 2))).astype(np.uint8)
