"""Passengers of a spaceship, in parties of one to four."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

PARTIES = 160


def fabricate(folder: Path, random: np.random.Generator) -> None:
    """Write raw files into a folder."""
    ids = [
        f"{party:04d}_{number:02d}"
        for party in range(1, PARTIES + 1)
        for number in range(1, random.integers(1, 5) + 1)
    ]
    passengers = pd.DataFrame(
        {
            "PassengerId": ids,
            "HomePlanet": random.choice(["Earth", "Europa", "Mars", ""], len(ids)),
            "CryoSleep": random.choice(["True", "False", ""], len(ids)),
            "Cabin": [f"F/{number}/P" for number in range(len(ids))],
            "Destination": random.choice(["TRAPPIST-1e", "55 Cancri e"], len(ids)),
            "Age": random.integers(0, 80, len(ids)).astype(float),
            "VIP": random.choice(["True", "False"], len(ids)),
            "RoomService": random.integers(0, 900, len(ids)).astype(float),
            "FoodCourt": random.integers(0, 900, len(ids)).astype(float),
            "ShoppingMall": random.integers(0, 900, len(ids)).astype(float),
            "Spa": random.integers(0, 900, len(ids)).astype(float),
            "VRDeck": random.integers(0, 900, len(ids)).astype(float),
            "Name": [f"Passenger {number}" for number in range(len(ids))],
            "Transported": random.choice(["True", "False"], len(ids)),
        }
    )
    passengers.to_csv(folder / "train.csv", index=False)
    passengers.drop(columns="Transported").head(20).to_csv(folder / "test.csv", index=False)
    sample = passengers[["PassengerId"]].head(20).assign(Transported="False")
    sample.to_csv(folder / "sample_submission.csv", index=False)
