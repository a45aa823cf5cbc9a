import json
from pathlib import Path
from typing import Any

import numpy as np


def fabricate(folder: Path, random: np.random.Generator) -> None:
    """Clips with an embedding a second, up to ten."""
    train = [{**_clip(row, random), "is_turkey": int(random.integers(2))} for row in range(80)]
    (folder / "train.json").write_text(json.dumps(train))
    test = [_clip(row, random) for row in range(80, 100)]
    (folder / "test.json").write_text(json.dumps(test))
    rows = "".join(f"{clip['vid_id']},0.5\n" for clip in test)
    (folder / "sample_submission.csv").write_text("vid_id,is_turkey\n" + rows)


def _clip(row: int, random: np.random.Generator) -> dict[str, Any]:
    start = int(random.integers(200))
    return {
        "audio_embedding": random.integers(0, 256, (int(random.integers(5, 11)), 8)).tolist(),
        "vid_id": f"v{row:03d}-_Xy",
        "start_time_seconds_youtube_clip": start,
        "end_time_seconds_youtube_clip": start + 10,
    }
