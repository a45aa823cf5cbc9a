"""Trades of bonds in the order of time, each with the prices of the ten before it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

BONDS, TRADES = 13, 64


def fabricate(folder: Path, random: np.random.Generator) -> None:
    """Write train.csv and test.csv."""
    prices = (100 + random.normal(size=(BONDS, TRADES + 10)).cumsum(axis=1)).round(3)
    rows = BONDS * TRADES
    columns = {
        "id": np.arange(1, rows + 1),
        "bond_id": np.repeat(np.arange(1, BONDS + 1), TRADES),
        "trade_price": prices[:, 10:].ravel(),
        "weight": random.random(rows).round(6) * 2,
        "current_coupon": 5.3,
        "time_to_maturity": np.tile(9 - np.arange(TRADES) / 100, BONDS).round(6),
        "is_callable": random.integers(0, 2, rows),
        "reporting_delay": random.integers(0, 100, rows),
        "trade_size": random.integers(1, 100, rows) * 1000,
        "trade_type": random.integers(2, 5, rows),
        "curve_based_price": (prices[:, 10:] + 0.1).ravel().round(3),
    }
    for ago in range(1, 11):
        before = prices[:, 10 - ago : -ago].ravel()
        columns |= {
            f"received_time_diff_last{ago}": 60 * ago,
            f"trade_price_last{ago}": before,
            f"trade_size_last{ago}": 1000,
            f"trade_type_last{ago}": 2,
            f"curve_based_price_last{ago}": (before + 0.1).round(3),
        }
    table = pd.DataFrame(columns)
    table.to_csv(folder / "train.csv", index=False)
    table.drop(columns=["bond_id", "trade_price"]).head(20).to_csv(folder / "test.csv", index=False)
