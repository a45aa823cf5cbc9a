"""Raw files as of IceCube - Neutrinos in Deep Ice: events in batches, and the pulses of each."""

from pathlib import Path

import numpy as np
import pandas as pd


def fabricate(folder: Path, random: np.random.Generator) -> None:
    """Write five batches of 40 events with 3 pulses each."""
    (folder / "train").mkdir()
    metas = []
    for batch in range(1, 6):
        events = 1000 * batch + np.sort(random.permutation(900)[:40])
        metas.append(
            pd.DataFrame(
                {
                    "batch_id": batch,
                    "event_id": events,
                    "first_pulse_index": 3 * np.arange(40),
                    "last_pulse_index": 3 * np.arange(40) + 2,
                    "azimuth": random.uniform(0, 2 * np.pi, 40),
                    "zenith": random.uniform(0, np.pi, 40),
                }
            )
        )
        pulses = pd.DataFrame(
            {
                "sensor_id": random.integers(0, 5160, 120).astype("int16"),
                "time": np.arange(120),
                "charge": random.uniform(0, 3, 120),
                "auxiliary": random.random(120) < 0.5,
            },
            index=pd.Index(np.repeat(events, 3), name="event_id"),
        )
        pulses.to_parquet(folder / "train" / f"batch_{batch}.parquet")
    pd.concat(metas).to_parquet(folder / "train_meta.parquet", index=False)
    sensors = pd.DataFrame({"sensor_id": range(4), "x": 0.5, "y": -1.5, "z": range(4)})
    sensors.to_csv(folder / "sensor_geometry.csv", index=False)
