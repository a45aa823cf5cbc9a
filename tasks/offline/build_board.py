"""Reference leaderboards: many honestly fitted pipelines, from dummy to strong, scored like any agent.

Every entry sees train.csv with its target and test.csv without, exactly what an agent sees, and predicts
the test rows; the hidden answers only score it. Entries are fitted on one core each with fixed seeds, in
`$MLEDOJO_BUILD_JOBS` processes (by default one for each core); how many changes no byte. Predictions are
cached, so that running a build script again is cheap. Scores come from the environment's own metrics
(`pip install -e .` in the checkout, or `PYTHONPATH=env`).

    entries = cross({"numbers": numbers}, regression_models())
    build_leaderboard(folder, entries, metric="rmse", target="strength")
"""

from __future__ import annotations

import functools
import hashlib
import inspect
import json
import multiprocessing
import os
import sys
import warnings
from collections.abc import Callable, Mapping
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field, fields, is_dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import sklearn
from build_common import BuildError, cache_dir, read_csv_xz
from joblib import cpu_count
from sklearn.base import BaseEstimator, clone
from sklearn.preprocessing import OneHotEncoder, OrdinalEncoder
from threadpoolctl import threadpool_limits
from tqdm import tqdm

from mledojo_env.metrics import Prediction, get_metric

MIN_TEAMS = 100

FeatureMaker = Callable[[pd.DataFrame, pd.DataFrame], tuple[Any, Any]]
"""(train features, test features) -> the same two, ready for a model. Sees no target."""

Entry = Callable[["Data"], np.ndarray]
"""One team of the board: data -> predictions for the test rows, in their order."""


@dataclass(frozen=True)
class Data:
    """What an agent gets, plus a memory of what earlier entries predicted."""

    x_train: pd.DataFrame
    y_train: np.ndarray
    x_test: pd.DataFrame
    arrays: Mapping[str, np.ndarray] = field(default_factory=dict)
    """Extra public arrays by name, such as the images of a vision task."""
    cache: Path = field(default_factory=lambda: cache_dir() / "predictions")
    fingerprint: str = ""

    def predict(self, entry: Entry) -> np.ndarray:
        """Return an entry's predictions for the test rows, from the cache where it was fitted before."""
        key = hashlib.sha256(
            f"{self.fingerprint}|{sklearn.__version__}|{describe(entry)}".encode()
        ).hexdigest()
        path = self.cache / f"{key[:32]}.npy"
        if path.is_file():
            return np.load(path, allow_pickle=False)
        with threadpool_limits(1), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            predictions = np.asarray(entry(self))
        if predictions.dtype == object:
            predictions = predictions.astype(str)
        self.cache.mkdir(parents=True, exist_ok=True)
        partial = path.with_suffix(f".{os.getpid()}.npy")
        np.save(partial, predictions, allow_pickle=False)
        partial.replace(path)  # whole or not at all, whoever else fits the same
        return predictions


def describe(thing: Any) -> str:
    """Return a text that changes whenever what an entry computes could change: parameters and source."""
    if isinstance(thing, BaseEstimator):
        return f"{type(thing).__name__}({describe(thing.get_params(deep=False))})"
    if is_dataclass(thing) and not isinstance(thing, type):
        parts = {item.name: getattr(thing, item.name) for item in fields(thing)}
        return f"{type(thing).__name__}({describe(parts)}){inspect.getsource(type(thing))}"
    if isinstance(thing, functools.partial):
        return f"partial({describe(thing.func)}, {describe(thing.args)}, {describe(thing.keywords)})"
    if isinstance(thing, Mapping):
        return "{" + ", ".join(f"{key}: {describe(value)}" for key, value in thing.items()) + "}"
    if isinstance(thing, list | tuple):
        return "[" + ", ".join(describe(value) for value in thing) + "]"
    if inspect.isfunction(thing):
        return inspect.getsource(thing)
    if callable(thing):
        return getattr(thing, "__name__", type(thing).__name__)
    return repr(thing)


# --------------------------------------------------------------------------- features of a table


def numbers(train: pd.DataFrame, test: pd.DataFrame) -> tuple[np.ndarray, np.ndarray]:
    """Only the numeric columns, missing values filled with the training median."""
    columns = list(train.select_dtypes(["number", "bool"]).columns)
    median = train[columns].median()
    filled = [table[columns].fillna(median).to_numpy(float) for table in (train, test)]
    return filled[0], filled[1]


def first_columns(train: pd.DataFrame, test: pd.DataFrame, *, columns: tuple[str, ...]) -> tuple[Any, Any]:
    """A few chosen numeric columns."""
    return numbers(train[list(columns)], test[list(columns)])


def codes(train: pd.DataFrame, test: pd.DataFrame) -> tuple[np.ndarray, np.ndarray]:
    """Numbers as they are, categories as arbitrary integers (unknown ones -1)."""
    columns = _categories(train)
    if not columns:
        return numbers(train, test)
    encoder = OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=-1)
    coded = encoder.fit_transform(_as_text(train, columns)), encoder.transform(_as_text(test, columns))
    plain = numbers(train, test)
    return np.hstack([plain[0], coded[0]]), np.hstack([plain[1], coded[1]])


def onehot(train: pd.DataFrame, test: pd.DataFrame, *, min_count: int = 5) -> tuple[np.ndarray, np.ndarray]:
    """Numbers as they are, one column for each category seen at least `min_count` times."""
    columns = _categories(train)
    if not columns:
        return numbers(train, test)
    encoder = OneHotEncoder(
        handle_unknown="infrequent_if_exist", min_frequency=min_count, sparse_output=False
    )
    coded = encoder.fit_transform(_as_text(train, columns)), encoder.transform(_as_text(test, columns))
    plain = numbers(train, test)
    return np.hstack([plain[0], coded[0]]), np.hstack([plain[1], coded[1]])


@dataclass(frozen=True)
class Chain:
    """Hand-made columns first, then an encoding of the result."""

    make: FeatureMaker
    encode: FeatureMaker

    def __call__(self, train: pd.DataFrame, test: pd.DataFrame) -> tuple[Any, Any]:
        return self.encode(*self.make(train, test))


def _categories(table: pd.DataFrame) -> list[str]:
    return [column for column in table if not pd.api.types.is_numeric_dtype(table[column])]


def _as_text(table: pd.DataFrame, columns: list[str]) -> np.ndarray:
    return table[columns].astype(object).where(table[columns].notna(), "missing").astype(str).to_numpy(object)


# --------------------------------------------------------------------------- entries


@dataclass(frozen=True)
class Fit:
    """Features, then one scikit-learn model.

    `output` is what the task submits: "value" (a number), "label", "probability" (of the larger of two
    classes), or "probabilities" (a matrix, for a `Blend` that votes). `log_target` fits log(1 + y).
    """

    features: FeatureMaker
    model: BaseEstimator
    output: str = "value"
    log_target: bool = False

    def __call__(self, data: Data) -> np.ndarray:
        x_train, x_test = self.features(data.x_train, data.x_test)
        y_train = np.log1p(data.y_train) if self.log_target else data.y_train
        model = clone(self.model).fit(x_train, y_train)
        if self.output == "probability":
            return model.predict_proba(x_test)[:, 1]
        if self.output == "probabilities":
            return model.predict_proba(x_test)
        predictions = model.predict(x_test)
        return np.expm1(predictions) if self.log_target else predictions


@dataclass(frozen=True)
class Blend:
    """The weighted mean of other entries' values or probabilities; with `output` "label", their vote."""

    members: tuple[Entry, ...]
    weights: tuple[float, ...] = ()
    output: str = "value"

    def __call__(self, data: Data) -> np.ndarray:
        predictions = np.array([data.predict(member) for member in self.members], dtype=float)
        mean = np.average(predictions, axis=0, weights=self.weights or None)
        return np.unique(data.y_train)[mean.argmax(axis=1)] if self.output == "label" else mean


def cross(
    feature_sets: Mapping[str, FeatureMaker],
    models: Mapping[str, BaseEstimator],
    *,
    output: str = "value",
    log_target: bool = False,
) -> dict[str, Entry]:
    """Return one `Fit` for each pair of feature set and model, named "<features> <model>"."""
    suffix = " log-target" if log_target else ""
    return {
        f"{features} {model}{suffix}": Fit(make, estimator, output, log_target)
        for features, make in feature_sets.items()
        for model, estimator in models.items()
    }


# --------------------------------------------------------------------------- the board


def build_jobs() -> int:
    """Return how many processes fit entries: `MLEDOJO_BUILD_JOBS`, or one for each core."""
    text = os.environ.get("MLEDOJO_BUILD_JOBS") or str(cpu_count())
    if not text.isdecimal() or int(text) < 1:
        raise BuildError(f"MLEDOJO_BUILD_JOBS is {text!r}, expected a number of processes from 1.")
    return int(text)


def fit_entries(data: Data, entries: Mapping[str, Entry], jobs: int) -> None:
    """Put the predictions of entries, and of the members of blends, into the cache, in `jobs` processes.

    Blends themselves are left to the caller: a mean of what is cached by then. Processes are forked, because
    an entry may be a closure or a function of a build script, which cannot be pickled.
    """
    parts = {
        describe(part): (team, part)
        for team, entry in entries.items()
        for part in (entry.members if isinstance(entry, Blend) else (entry,))
    }
    work = list(parts.values())
    fork = multiprocessing.get_context("fork")
    with ProcessPoolExecutor(jobs, fork, _take_work, (data, work)) as pool:
        fitted = pool.map(_fit, range(len(work)))
        for _ in tqdm(fitted, desc="fitting", total=len(work), unit="team", file=sys.stderr):
            pass


_work: tuple[Data, list[tuple[str, Entry]]]  # of a forked process


def _take_work(data: Data, work: list[tuple[str, Entry]]) -> None:
    global _work
    _work = data, work


def _fit(index: int) -> None:
    data, work = _work
    team, entry = work[index]
    try:
        data.predict(entry)
    except Exception as error:
        error.add_note(f"This was the entry of {team!r}.")
        raise


def load_data(folder: Path, target: str, *, id_columns: tuple[str, ...] = ("id",)) -> Data:
    """Return a built task's public data, as an entry of its board gets it."""
    public = folder / "public"
    train, test = read_csv_xz(public / "train.csv.xz"), read_csv_xz(public / "test.csv.xz")
    arrays = {name.stem: np.load(name)["images"] for name in sorted(public.glob("*.npz"))}
    digest = hashlib.sha256(b"".join(path.read_bytes() for path in sorted(public.iterdir()))).hexdigest()
    return Data(
        x_train=train.drop(columns=[*id_columns, target]),
        y_train=train[target].to_numpy(),
        x_test=test.drop(columns=list(id_columns)),
        arrays=arrays,
        fingerprint=digest,
    )


def build_leaderboard(
    folder: Path,
    entries: Mapping[str, Entry],
    *,
    metric: str,
    target: str | tuple[str, ...],
    params: Mapping[str, Any] | None = None,
    data: Data | None = None,
) -> pd.DataFrame:
    """Fit every entry, score it on both parts and write `private/leaderboard.csv`, best first.

    Entries that predict exactly what an earlier one did (a feature choice that ends at the same column, a
    search that ends at the default) are one team, not two.

    Args:
        folder: The task's folder, with its data built.
        entries: Team name -> entry; at least `MIN_TEAMS`.
        metric: Name in the metric registry.
        target: The target column; several are predicted as a matrix, and need `data`.
        params: Parameters of the metric.
        data: What the entries get; by default train.csv and test.csv (and the npz arrays).

    Raises:
        BuildError: If there are too few teams, or one predicts something that is not finite.
    """
    data = data or load_data(folder, str(target))
    if (jobs := build_jobs()) > 1:
        fit_entries(data, entries, jobs)
    answers = read_csv_xz(folder / "private" / "answers.csv.xz")
    score = get_metric(metric, dict(params or {}))
    if score.prediction is Prediction.TEXT:
        answers = answers.fillna({target: ""})  # a blank is an answer, such as an empty mask
    names = target if isinstance(target, str) else list(target)
    truth, is_public = answers[names].to_numpy(), (answers["part"] == "public").to_numpy()
    rows, seen = [], set()
    for team, entry in (bar := tqdm(entries.items(), desc=folder.name, unit="team", file=sys.stderr)):
        bar.set_postfix_str(team)
        predictions = data.predict(entry)
        if predictions.dtype.kind == "f" and not np.isfinite(predictions).all():
            raise BuildError(f"{team} predicts values that are not finite.")
        if score.prediction is Prediction.NON_NEGATIVE:
            predictions = np.maximum(predictions, 0)
        if predictions.tobytes() in seen:
            continue
        seen.add(predictions.tobytes())
        public, private = (score(truth[rows_], predictions[rows_]) for rows_ in (is_public, ~is_public))
        rows.append((team, round(public, 6), round(private, 6)))
    if len(rows) < MIN_TEAMS:
        raise BuildError(f"{folder.name} has {len(rows)} different teams, expected at least {MIN_TEAMS}.")
    board = pd.DataFrame(rows, columns=["team", "public_score", "private_score"])
    board = board.sort_values(["private_score", "team"], ascending=[not score.higher_is_better, True])
    board.to_csv(folder / "private" / "leaderboard.csv", index=False, lineterminator="\n")
    best, middle, worst = (board["private_score"].iloc[row] for row in (0, len(board) // 2, -1))
    print(json.dumps({"teams": len(board), "best": best, "median": middle, "worst": worst}), file=sys.stderr)
    return board
