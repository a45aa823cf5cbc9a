"""Neutrino events in batches of 200,000: whole batches are held out, as there are 130 million events."""

from __future__ import annotations

import numpy as np

from mledojo_env.errors import TaskDataError
from mledojo_env.prepare.functions import preparation
from mledojo_env.prepare.output import Output
from mledojo_env.prepare.raw import RawFiles
from mledojo_env.prepare.tables import Table

_TEST_BATCHES = 5  # a million events, as on Kaggle; a tenth of all would be 13 million rows to submit
_META = ["batch_id", "event_id", "first_pulse_index", "last_pulse_index"]
_ANGLES = ["azimuth", "zenith"]


@preparation
def neutrino_directions(raw: RawFiles, out: Output, micro: int | None) -> None:
    """Hold out whole batches. A small variant has the first events of one batch on either side."""
    import pandas as pd

    names = raw.match(r"train/batch_(?P<batch>\d+)\.parquet")
    batches = np.array(sorted(int(groups["batch"]) for _, groups in names))
    if len(batches) < 2:
        raise TaskDataError(f"train/ has one batch, {batches[0]}; expected two at least.")
    order = np.random.default_rng(out.seed).permutation(batches)
    count = min(_TEST_BATCHES, len(batches) // 2)
    sides = {"test": order[:count], "train": order[count:]}
    if micro is not None:
        sides = {side: chosen[:1] for side, chosen in sides.items()}
    answers = []
    writers = {side: out.table(f"{side}_meta.parquet") for side in sides}
    pulses: dict[int, int] = {}  # of a batch, how many are kept
    events = dict.fromkeys(sides, 0)
    for piece in Table(file="train_meta.parquet").read(raw, [*_META, *_ANGLES]):
        for side, chosen in sides.items():
            rows = piece[piece["batch_id"].isin(chosen)]
            if micro is not None:
                rows = rows.iloc[: micro - events[side]]
            if not len(rows):
                continue
            events[side] += len(rows)
            ends = rows.groupby("batch_id")["last_pulse_index"].max() + 1
            for batch, end in zip(ends.index.tolist(), ends.tolist(), strict=True):
                pulses[batch] = max(pulses.get(batch, 0), end)
            writers[side].write(rows[_META] if side == "test" else rows)
            if side == "test":
                answers.append(rows[["event_id", *_ANGLES]])
        if micro is not None and min(events.values()) >= micro:
            break
    for writer in writers.values():
        writer.close()
    for side, chosen in sides.items():
        for batch in map(int, chosen):
            if batch not in pulses:
                raise TaskDataError(f"train_meta.parquet has no events of batch {batch}.")
            name = f"batch_{batch}.parquet"
            if micro is None:
                out.link(raw.path(f"train/{name}"), f"{side}/{name}")
            else:
                _write_head(raw, out, f"train/{name}", f"{side}/{name}", pulses[batch])
    out.link(raw.path("sensor_geometry.csv"), "sensor_geometry.csv")
    out.answers(pd.concat(answers, ignore_index=True), sample=dict.fromkeys(_ANGLES, 1))


def _write_head(raw: RawFiles, out: Output, source: str, name: str, rows: int) -> None:
    """Write the first rows of a Parquet file as a public one."""
    import pyarrow.parquet

    with (
        pyarrow.parquet.ParquetFile(raw.path(source)) as file,
        pyarrow.parquet.ParquetWriter(out.public(name), file.schema_arrow) as writer,
    ):
        for batch in file.iter_batches():
            writer.write_batch(batch.slice(0, rows))
            rows -= len(batch)
            if rows <= 0:
                break
