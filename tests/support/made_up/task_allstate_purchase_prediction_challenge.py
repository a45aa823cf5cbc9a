"""Customers' quotes, one to seven each, and the purchase that ends them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

OPTIONS = "ABCDEFG"


def fabricate(folder: Path, random: np.random.Generator) -> None:
    """Write train.csv and test_v2.csv."""
    rows = []
    for customer in range(10000000, 10000090):
        quotes = int(random.integers(1, 8))
        for point in range(1, quotes + 2):
            options = dict(zip(OPTIONS, random.integers(0, 4, 7), strict=True))
            is_bought = int(point == quotes + 1)
            rows.append(
                {
                    "customer_ID": customer,
                    "shopping_pt": point,
                    "record_type": is_bought,
                    "day": point % 7,
                    "time": f"{8 + point:02d}:35",
                    "state": random.choice(["FL", "NY", "IN"]),
                    "location": 10001 + customer % 9,
                    "group_size": 1,
                    "homeowner": customer % 2,
                    "car_age": customer % 20,
                    "car_value": random.choice(["g", "e", ""]),
                    "risk_factor": random.choice(["3", "4", "NA"]),
                    "age_oldest": 46,
                    "age_youngest": 42,
                    "married_couple": 1,
                    "C_previous": 1,
                    "duration_previous": 2,
                    **options,
                    "cost": 600 + int(random.integers(100)),
                }
            )
    table = pd.DataFrame(rows)
    table.to_csv(folder / "train.csv", index=False)
    table[table["record_type"] == 0].head(20).to_csv(folder / "test_v2.csv", index=False)
