"""Notebooks as JSON files, two of each ancestor; code cells in order, then Markdown cells."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd


def fabricate(folder: Path, random: np.random.Generator) -> None:
    """Write train/, train_orders.csv and train_ancestors.csv."""
    (folder / "train").mkdir()
    orders, ancestors = [], []
    for number in range(170):
        notebook = f"{number * 7919:014x}"
        cells = [random.bytes(4).hex() for _ in range(6)]
        kinds = dict.fromkeys(cells[::2], "code") | dict.fromkeys(cells[1::2], "markdown")
        source = {cell: f"print({cell!r})" if kind == "code" else f"# {cell}" for cell, kind in kinds.items()}
        (folder / f"train/{notebook}.json").write_text(json.dumps({"cell_type": kinds, "source": source}))
        orders.append((notebook, " ".join(random.permutation(cells))))
        ancestors.append((notebook, f"{number // 2:08x}", orders[-2][0] if number % 2 else ""))
    pd.DataFrame(orders, columns=["id", "cell_order"]).to_csv(folder / "train_orders.csv", index=False)
    pd.DataFrame(ancestors, columns=["id", "ancestor_id", "parent_id"]).to_csv(
        folder / "train_ancestors.csv", index=False
    )
