"""What grading a submission of a million rows takes, for each metric of numbers, probabilities and labels.

    python benchmarks/metrics.py [NAME ...]

Prints a table: megabytes of the file, seconds to read it, to find and check its rows, and to score all rows
and either part, then the whole of `grade_bytes`. "As text" is the same with every cell made a text first, as
it is for a file that is out of the ordinary, and the last column is how many times faster the file in order
is. All are CPU seconds, the median of three rounds, or as text a single one. The bar is two seconds.

Ids are whole numbers, in another order than the answers. Boards of Life have 625 cells, so there are 20,000.
"""

from __future__ import annotations

import io
import statistics
import sys
import time
from collections.abc import Callable
from functools import lru_cache
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd

from mledojo_env.grading import grade_bytes, grade_frame
from mledojo_env.ids import Ids
from mledojo_env.metrics import get_metric
from mledojo_env.submission import read_submission
from mledojo_env.task import SubmissionFormat
from mledojo_env.validation import align, numeric_targets

ROWS, BOARDS, ROUNDS = 1_000_000, 20_000, 3
RANDOM = np.random.default_rng(0)

# What targets hold, answers and predictions, each (rows,) or (rows, targets), further columns of the answers.
Case = tuple[str, np.ndarray, np.ndarray, dict[str, np.ndarray]]


def numbers(targets: int = 1, **columns: np.ndarray) -> Case:
    truth = RANDOM.gamma(2, 10, (ROWS, targets)).round(4)
    return "number", truth, np.abs(truth + RANDOM.normal(0, 5, truth.shape)), columns


def directions(**columns: np.ndarray) -> Case:
    truth = RANDOM.uniform(0, 3, (ROWS, 2))
    return "number", truth, truth + RANDOM.normal(0, 0.1, truth.shape), columns


def chances(**columns: np.ndarray) -> Case:
    truth = (RANDOM.random(ROWS) < 0.2).astype(int)
    return "probability", truth, np.clip(0.3 * truth + 0.7 * RANDOM.random(ROWS), 0, 1), columns


def classes(count: int) -> Case:
    truth = np.eye(count, dtype=int)[RANDOM.integers(0, count, ROWS)]
    found = RANDOM.dirichlet(np.ones(count), ROWS) + truth
    return "probability", truth, found / 2, {}


def indicators(count: int) -> Case:
    truth = (RANDOM.random((ROWS, count)) < 0.3).astype(int)
    return "probability", truth, RANDOM.random(truth.shape), {}


def labels(count: int, *, words: bool = False, **columns: np.ndarray) -> Case:
    truth = RANDOM.integers(0, count, ROWS)
    found = np.where(RANDOM.random(ROWS) < 0.7, truth, RANDOM.integers(0, count, ROWS))
    names = np.array([f"class {number}" for number in range(count)]) if words else np.arange(count)
    return "label", names[truth], names[found], columns


def texts() -> Case:
    names = np.array([f"the {number} words of a token" for number in range(200_000)])
    truth = RANDOM.integers(0, len(names), ROWS)
    found = np.where(RANDOM.random(ROWS) < 0.9, truth, 0)
    return "text", names[truth], names[found], {}


def boards() -> Case:
    truth, found = RANDOM.integers(0, 2, (2, BOARDS, 625))
    return "number", truth, found, {"delta": RANDOM.integers(1, 6, BOARDS)}


def groups(count: int) -> np.ndarray:
    return np.array([f"group {number}" for number in range(count)])[RANDOM.integers(0, count, ROWS)]


GROUP = {"group_column": "g"}
NINE = [f"i{number}" for number in range(9)]
CASES: dict[str, tuple[dict[str, Any], Callable[[], Case]]] = {
    **dict.fromkeys(("mse", "rmse", "mae", "median_ae", "smape", "mape", "r2", "rmsle"), ({}, numbers)),
    **dict.fromkeys(("rmspe", "pearson", "spearman", "gini_normalized"), ({}, numbers)),
    "wmae": ({"weight_column": "w"}, lambda: numbers(w=RANDOM.random(ROWS))),
    "mcrmse": ({"mask_column": "m"}, lambda: numbers(3, m=RANDOM.integers(0, 2, ROWS))),
    **dict.fromkeys(("mean_columnwise_rmsle", "mean_columnwise_spearman"), ({}, lambda: numbers(2))),
    "group_mean_log_mae": (GROUP, lambda: numbers(g=groups(8))),
    "laplace_log_likelihood": ({}, lambda: numbers(2)),
    "mean_angular_error": ({}, directions),
    "haversine_p50_p95_mean": (GROUP, lambda: directions(g=groups(100))),
    **dict.fromkeys(("roc_auc", "weighted_roc_auc", "log_loss", "gini", "average_precision"), ({}, chances)),
    "jigsaw_bias_auc": (
        {"identity_columns": NINE},
        lambda: chances(**{name: RANDOM.random(ROWS) ** 4 for name in NINE}),
    ),
    **dict.fromkeys(("multiclass_log_loss", "balanced_log_loss", "kl_divergence"), ({}, lambda: classes(3))),
    **dict.fromkeys(("mean_columnwise_roc_auc", "lwlrap"), ({}, lambda: indicators(3))),
    **dict.fromkeys(("accuracy", "error_rate", "balanced_accuracy"), ({}, lambda: labels(1000))),
    "matthews_corrcoef": ({}, lambda: labels(2)),
    "cohen_kappa": ({"weights": "quadratic"}, lambda: labels(8)),
    "f1": ({"average": "macro"}, lambda: labels(1000, words=True)),
    "recall_macro_weighted_components": (
        {"component_column": "g"},
        lambda: labels(100, g=groups(3)),
    ),
    "exact_match_accuracy": ({}, texts),
    "life_forward_mae": ({"delta_column": "delta"}, boards),
}


@lru_cache(maxsize=1)
def prepare(make: Callable[[], Case]) -> tuple[SubmissionFormat, pd.DataFrame, bytes]:
    """Return the format of submissions, answers, and a submission. Neighbours in `CASES` share them."""
    value, truth, found, columns = make()
    rows = len(truth)
    targets = [f"t{number}" for number in range(truth.reshape(rows, -1).shape[1])]
    ids = np.arange(rows)
    answers = pd.DataFrame(truth.reshape(rows, -1), columns=targets).assign(id=ids.astype(str), **columns)
    answers["part"] = np.where(RANDOM.random(rows) < 0.3, "public", "private")
    submission = pd.DataFrame(found.reshape(rows, -1), columns=targets)
    submission.insert(0, "id", ids)
    stream = io.BytesIO()
    submission.iloc[RANDOM.permutation(rows)].to_csv(stream, index=False)
    return SubmissionFormat(id=["id"], targets=targets, value=value), answers, stream.getvalue()


def seconds(function: Callable[[], Any]) -> float:
    began = time.process_time()
    function()
    return time.process_time() - began


def measure(name: str) -> tuple[float, ...]:
    """Return megabytes, and the seconds of reading, of aligning, of the whole, and of the whole as text."""
    params, make = CASES[name]
    form, answers, data = prepare(make)
    metric = get_metric(name, params)
    # all that grading asks of a task
    task: Any = SimpleNamespace(
        id=name, submission=form, metric=metric, leaderboard=None, answers=answers.copy
    )
    expected = [*form.id, *form.targets]
    hints: Any = {"numbers": numeric_targets(answers, form, metric), "widths": Ids(answers, form.id).widths}

    def read() -> pd.DataFrame:
        return read_submission(data, expected, **hints)

    table = read()
    rounds = [
        (
            seconds(read),
            seconds(lambda: align(table, task.answers(), form, metric)),
            seconds(lambda: grade_bytes(task, data)),
        )
        for _ in range(ROUNDS)
    ]
    medians = (statistics.median(times) for times in zip(*rounds, strict=True))
    return len(data) / 1e6, *medians, seconds(lambda: grade_frame(task, read_submission(data, expected)))


def main(names: list[str]) -> None:
    """Measure the metrics of these names, or all, and print the table."""
    print(f"{'metric':34}{'MB':>5}{'read':>7}{'align':>7}{'score':>7}{'whole':>7}{'as text':>9}{'times':>7}")
    for name in names or CASES:
        size_mb, read, align_s, whole, text = measure(name)
        score = max(whole - read - align_s, 0)
        print(
            f"{name:34}{size_mb:5.0f}{read:7.2f}{align_s:7.2f}{score:7.2f}{whole:7.2f}"
            f"{text:9.2f}{text / whole:7.1f}",
            flush=True,
        )


if __name__ == "__main__":
    main(sys.argv[1:])
