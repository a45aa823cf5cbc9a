"""Drives with two phones each, a few positions long."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

DAYS = 30
PHONES = ("GooglePixel4", "XiaomiMi8")
MOMENTS = 12


def fabricate(folder: Path, random: np.random.Generator) -> None:
    """Write raw files into a folder."""
    for day in range(DAYS):
        for phone in PHONES:
            trip = folder / "train" / f"2021-{1 + day // 28:02d}-{1 + day % 28:02d}-US-MTV-1" / phone
            _write_trip(trip, random)
            moments = 1_610_000_000_000 + day * 86_400_000 + 1000 * np.arange(MOMENTS)
            truth = pd.DataFrame(
                {
                    "MessageType": "Fix",
                    "Provider": "GT",
                    "LatitudeDegrees": 37.4 + random.normal(0, 0.01, MOMENTS).cumsum(),
                    "LongitudeDegrees": -122.1 + random.normal(0, 0.01, MOMENTS).cumsum(),
                    "AltitudeMeters": 30.0,
                    "UnixTimeMillis": moments,
                }
            )
            truth.to_csv(trip / "ground_truth.csv", index=False)
            (trip / "supplemental" / "reference_course.nmea").write_text("where it really was")
    _write_trip(folder / "test" / "2022-09-01-US-MTV-1" / "GooglePixel5", random)
    (folder / "metadata").mkdir()
    (folder / "metadata" / "constellation_type_mapping.csv").write_text("constellationType,name\n1,GPS\n")


def _write_trip(trip: Path, random: np.random.Generator) -> None:
    (trip / "supplemental").mkdir(parents=True)
    for name in ("device_gnss.csv", "device_imu.csv"):
        (trip / name).write_text(f"MessageType,utcTimeMillis\nRaw,{random.integers(10**9)}\n")
    (trip / "supplemental" / "gnss_log.txt").write_text("Raw")
