"""What scoring ranked lists, text, boxes and masks takes at the size of a large competition's test set.

    python benchmarks/metrics_structured.py [NAME ...]

Prints a JSON object: for each metric how large the case is, and the median CPU seconds of a score, reading
the cells included. A grader scores a submission on all rows and on either part, within a minute of CPU time.
"""

from __future__ import annotations

import json
import statistics
import sys
import time
from collections.abc import Callable
from typing import Any

import numpy as np

from mledojo_env.metrics import get_metric

ROUNDS = 3

# Answers, predictions, further columns of the answers.
Case = tuple[list[Any], list[Any], dict[str, Any]]


def lists(rows: int, entries: int, classes: int) -> Case:
    """Return single answers and ranked lists that hold most of them."""
    random = np.random.default_rng(0)
    found = random.integers(0, classes, (rows, entries))
    truth = np.where(random.random(rows) < 0.8, found[:, random.integers(entries)], 0)
    return [str(label) for label in truth], [" ".join(map(str, row)) for row in found], {}


def tuples(rows: int, entries: int) -> Case:
    random = np.random.default_rng(0)
    found = [tuple(f"c{label}" for label in random.permutation(12)[:entries]) for _ in range(rows)]
    return [(row[place],) for row, place in zip(found, random.integers(0, 5, rows), strict=True)], found, {}


def orders(rows: int, entries: int) -> Case:
    random = np.random.default_rng(0)
    truth = [[f"{number:08x}" for number in random.integers(0, 2**32, entries)] for _ in range(rows)]
    found = [
        [row[place] for place in np.argsort(np.arange(entries) + random.normal(0, 4, entries))]
        for row in truth
    ]
    return [" ".join(row) for row in truth], [" ".join(row) for row in found], {}


def sentences(rows: int, words: int) -> Case:
    random = np.random.default_rng(0)
    known = np.array([f"word{number}" for number in range(5000)])
    truth = known[random.integers(0, 5000, (rows, words))]
    found = np.where(random.random(truth.shape) < 0.1, "other", truth)
    return [" ".join(row) for row in truth], [" ".join(row) for row in found], {}


def numbers(rows: int, entries: int) -> Case:
    random = np.random.default_rng(0)
    truth, found = random.integers(1, 21, (2, rows, entries))
    found = np.where(random.random(found.shape) < 0.1, found, truth)
    return [" ".join(map(str, row)) for row in truth], [" ".join(map(str, row)) for row in found], {}


def permutations(rows: int, entries: int) -> Case:
    random = np.random.default_rng(0)
    truth, found = random.permuted(np.tile(np.arange(entries), (2, rows, 1)), axis=2)
    return [" ".join(map(str, row)) for row in truth], [" ".join(map(str, row)) for row in found], {}


def spans(rows: int, each: int) -> Case:
    random = np.random.default_rng(0)
    ends = np.cumsum(random.integers(5, 60, (rows, 2 * each)), axis=1)
    moved = ends + random.integers(-2, 3, ends.shape)

    def cell(row: np.ndarray) -> str:
        return ";".join(f"{start} {end}" for start, end in row.reshape(-1, 2))

    return list(map(cell, ends)), list(map(cell, moved)), {}


def boxes(images: int, each: int, layout: str) -> Case:
    """Return boxes of three classes and slightly moved ones with a confidence, as a layout says."""
    random = np.random.default_rng(0)
    truth, found, kept = [], [], []
    for _ in range(images):
        box = np.column_stack([random.integers(0, 900, (each, 2)), random.integers(40, 120, (each, 2))])
        label = random.integers(0, 3, each).tolist()
        moved = box + random.integers(-8, 9, box.shape)
        confidence = random.random(each).round(4).tolist()
        if layout == "corners":
            ends = [np.hstack([side[:, :2], side[:, :2] + side[:, 2:]]).tolist() for side in (box, moved)]
            truth.append(
                " ".join(f"{k} 1 {a} {b} {c} {d}" for k, (a, b, c, d) in zip(label, ends[0], strict=True))
            )
            rows = zip(label, confidence, ends[1], strict=True)
            found.append(" ".join(f"{k} {s} {a} {b} {c} {d}" for k, s, (a, b, c, d) in rows))
        elif layout == "points":
            kept.append(
                " ".join(f"{k} {x} {y} {w} {h}" for k, (x, y, w, h) in zip(label, box.tolist(), strict=True))
            )
            rows = zip(label, (moved[:, :2] + 20).tolist(), strict=True)
            found.append(" ".join(f"{k} {x} {y}" for k, (x, y) in rows))
        else:
            truth.append(" ".join(f"1 {x} {y} {w} {h}" for x, y, w, h in box.tolist()))
            rows = zip(confidence, moved.tolist(), strict=True)
            found.append(" ".join(f"{s} {x} {y} {w} {h}" for s, (x, y, w, h) in rows))
    return truth or found, found, {"boxes": kept} if kept else {}


def disc(side: int, x: float, y: float, radius: float) -> str:
    """Return the runs of a disc in an image of side x side pixels, numbered down the columns."""
    columns = np.arange(max(0, int(x - radius)), min(side, int(x + radius) + 1))
    half = np.sqrt(np.maximum(radius**2 - (columns - x) ** 2, 0))
    starts = np.clip(y - half, 0, side).astype(int)
    ends = np.clip(y + half, 0, side).astype(int)
    some = ends > starts
    found = np.column_stack([columns * side + starts + 1, ends - starts])[some]
    return " ".join(map(str, found.ravel().tolist()))


def masks(images: int, side: int) -> Case:
    random = np.random.default_rng(0)
    truth, found = [], []
    for _ in range(images):
        x, y = random.uniform(0.2, 0.8, 2) * side
        truth.append(disc(side, x, y, side / 5))
        found.append(disc(side, x + 3, y - 2, side / 5 + random.integers(-9, 9)))
    return truth, found, {}


def ships(images: int, side: int, each: int) -> Case:
    """Return masks side by side, `each` for an image."""
    random = np.random.default_rng(0)
    step = side // each
    truth, found = [], []
    for _ in range(images):
        places = [(step * (number + 0.5), random.uniform(50, side - 50)) for number in range(each)]
        truth.append(tuple(disc(side, x, y, step / 4) for x, y in places))
        found.append(tuple(disc(side, x + 1, y, step / 4) for x, y in places[1:]))
    return truth, found, {}


def scans(count: int, slices: int, side: int, *, all_of_it: bool = False) -> Case:
    """Return three organs in scans, and slightly moved ones; or predictions that cover everything."""
    random = np.random.default_rng(0)
    truth, found, columns = [], [], {"scan": [], "organ": [], "slice": []}
    for scan in range(count):
        for organ in "abc":
            x, y = random.uniform(0.3, 0.7, 2) * side
            for level in range(slices):
                # An organ is in half of the slices.
                wide = max(0.0, 1 - abs(level / slices - 0.5) * 4) * side / 6
                truth.append(disc(side, x, y, wide))
                found.append(f"1 {side * side}" if all_of_it else disc(side, x + 4, y - 3, wide * 0.95))
                columns["scan"].append(f"scan{scan}")
                columns["organ"].append(organ)
                columns["slice"].append(level)
    size = [side] * len(truth)
    return truth, found, {**columns, "height": size, "width": size}


BOXES = {"boxes_column": "boxes"}
SCAN = {"size_columns": ["height", "width"], "volume_columns": ["scan", "organ"], "slice_column": "slice"}

# metric (and variant): its parameters, what is scored, and the case
CASES: dict[str, tuple[dict[str, Any], str, Callable[[], Case]]] = {
    "map_at_k": ({"k": 12}, "100,000 lists of 12", lambda: lists(100_000, 12, 500)),
    "top_k_error": ({}, "100,000 lists of 5", lambda: lists(100_000, 5, 1000)),
    "set_f1": ({}, "100,000 sets of 5 words", lambda: sentences(100_000, 5)),
    "ndcg_at_k": ({"k": 5}, "60,000 ids of 5 rows", lambda: tuples(60_000, 5)),
    "kendall_tau_ordering": ({}, "20,000 orders of 46", lambda: orders(20_000, 46)),
    "mean_rowwise_spearman": ({}, "100,000 rows of 5", lambda: permutations(100_000, 5)),
    "levenshtein_mean": ({}, "100,000 sentences of 200 letters", lambda: sentences(100_000, 25)),
    "levenshtein_normalized": ({}, "20,000 sequences of 20", lambda: numbers(20_000, 20)),
    "word_jaccard": ({}, "100,000 sentences of 25 words", lambda: sentences(100_000, 25)),
    "span_f1": ({}, "50,000 rows of 3 spans", lambda: spans(50_000, 3)),
    "map_detection_iou": ({}, "10,000 images of 20 boxes", lambda: boxes(10_000, 20, "sides")),
    "voc_map": ({}, "10,000 images of 20 boxes", lambda: boxes(10_000, 20, "corners")),
    "point_in_box_f1": (BOXES, "400 pages of 600 boxes", lambda: boxes(400, 600, "points")),
    "dice_rle": ({}, "5,000 masks of 768 x 768", lambda: masks(5_000, 768)),
    "fbeta_rle": ({}, "5,000 masks of 768 x 768", lambda: masks(5_000, 768)),
    "iou_map_segmentation": ({}, "5,000 masks of 768 x 768", lambda: masks(5_000, 768)),
    "iou_f2_detection": ({}, "5,000 images of 4 masks", lambda: ships(5_000, 768, 4)),
    "dice_hausdorff": (SCAN, "20 scans of 3 organs, 144 x 320 x 320", lambda: scans(20, 144, 320)),
    "dice_hausdorff, everything predicted": (
        SCAN,
        "2 scans of 3 organs, 144 x 320 x 320",
        lambda: scans(2, 144, 320, all_of_it=True),
    ),
}


def main(names: list[str]) -> None:
    """Measure the metrics of these names, or all, and print the figures."""
    figures = {}
    for label in names or CASES:
        params, size, make = CASES[label]
        metric = get_metric(label.split(",")[0], params)
        truth, predicted, columns = make()
        one, other = (np.fromiter(side, dtype=object, count=len(side)) for side in (truth, predicted))
        seconds = []
        for _ in range(ROUNDS):
            began = time.process_time()
            metric(one, other, **{key: np.array(column, dtype=object) for key, column in columns.items()})
            seconds.append(time.process_time() - began)
        figures[label] = {"case": size, "cpu_s": round(statistics.median(seconds), 3)}
    print(json.dumps(figures, indent=2))


if __name__ == "__main__":
    main(sys.argv[1:])
