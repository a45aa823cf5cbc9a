"""Test rows that are in the training data already, or nearly: whoever looks them up need not learn.

Rows are compared by what they hold: tables cell by cell through hashes, texts and images by similarity. Costs
grow linearly with the rows of a table; of larger sets of texts and images a sample is compared.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from mledojo_env.baseline import is_number, is_text, predicts_classes

if TYPE_CHECKING:
    from pandas import Series

    from mledojo_env.baseline import Tables

_SAME_TEXT = 0.9  # cosine of counts of four letters in a row
_SAME_IMAGE = 0.98  # correlation of pixels
_SAME_NUMBER = 0.01  # in standard deviations
_MIN_COLUMNS = 5  # fewer, and rows that differ in one column have little in common
_MAX_LEFT_OUT = 60
_MAX_COMPARED = (2_000, 20_000)  # test and training rows
_CHUNK = 250


@dataclass(frozen=True)
class Duplicates:
    """How many test rows are found in train, and what looking them up would be worth."""

    rows: int  # test rows that were compared
    exact: int  # equal in every feature to a training row
    near: int  # nearly so
    gain: float  # share of test rows answered right by copying a near row's target, beyond chance


def find_duplicates(tables: Tables) -> Duplicates | None:
    """Return what of the test rows is in train; None without features to compare."""
    if tables.images is not None:
        shown, hidden = (_image_vectors(images) for images in tables.images)
        return _of_vectors(tables, shown, hidden, _SAME_IMAGE)
    texts = [name for name in tables.features if is_text(tables.train[name])]
    if texts:
        train, test = (
            part[texts].fillna("").astype(str).agg(" ".join, axis=1) for part in (tables.train, tables.test)
        )
        return _of_vectors(tables, *_text_vectors(train, test), _SAME_TEXT)
    return _of_columns(tables) if tables.features else None


def _of_columns(tables: Tables) -> Duplicates:
    """Exact: equal cells. Near: equal in all columns but one, numbers to a hundredth of their spread."""
    exact_train, exact_test = _row_hashes(tables, _exact_cells)
    exact = np.isin(exact_test.sum(axis=1), exact_train.sum(axis=1))
    if len(tables.features) < _MIN_COLUMNS:
        return Duplicates(len(exact), int(exact.sum()), int(exact.sum()), 0.0)
    train, test = _row_hashes(tables, _rounded_cells)
    whole_train, whole_test = train.sum(axis=1), test.sum(axis=1)
    near, right = exact.copy(), np.zeros(len(exact), dtype=bool)
    for left_out in np.array_split(np.arange(train.shape[1]), min(train.shape[1], _MAX_LEFT_OUT)):
        keys, first = np.unique(whole_train - train[:, left_out].sum(axis=1), return_index=True)
        wanted = whole_test - test[:, left_out].sum(axis=1)
        place = np.searchsorted(keys, wanted).clip(0, len(keys) - 1)
        found = keys[place] == wanted
        near |= found
        right[found] |= _agree(tables, first[place[found]], np.flatnonzero(found))
    return Duplicates(len(exact), int(exact.sum()), int(near.sum()), _gain(tables, near, right))


def _row_hashes(tables: Tables, cells: Any) -> tuple[np.ndarray, np.ndarray]:
    """Return a hash of each cell, shape (rows, features), made so that those of a row can be added up."""
    import pandas as pd

    hashes: list[list[np.ndarray]] = [[], []]
    for index, name in enumerate(tables.features):
        key = f"{index:016d}"  # the same value in another column is another cell
        for part, column in zip(hashes, cells(tables.train[name], tables.test[name]), strict=True):
            part.append(pd.util.hash_array(column.to_numpy(object), hash_key=key))
    return np.column_stack(hashes[0]), np.column_stack(hashes[1])


def _exact_cells(train: Series, test: Series) -> tuple[Series, Series]:
    if is_number(train) and is_number(test):
        return train.astype(float).astype(str), test.astype(float).astype(str)
    return train.astype(str), test.astype(str)


def _rounded_cells(train: Series, test: Series) -> tuple[Series, Series]:
    if not (is_number(train) and is_number(test)):
        return train.astype(str), test.astype(str)
    spread = float(train.std())
    step = _SAME_NUMBER * (spread if np.isfinite(spread) and spread > 0 else 1.0)
    rounded = [(column.astype(float) / step).round().astype(str) for column in (train, test)]
    return rounded[0], rounded[1]


def _text_vectors(train: Series, test: Series) -> tuple[Any, Any]:
    from sklearn.feature_extraction.text import HashingVectorizer

    letters = HashingVectorizer(
        analyzer="char_wb", ngram_range=(4, 4), n_features=2**18, alternate_sign=False
    )
    return letters.transform(train), letters.transform(test)


def _image_vectors(images: np.ndarray) -> np.ndarray:
    """Return each image as a row of length 1 and mean 0, so that a product is a correlation."""
    flat = images.reshape(len(images), -1).astype(np.float32)
    flat = flat - flat.mean(axis=1, keepdims=True)
    return flat / np.maximum(np.linalg.norm(flat, axis=1, keepdims=True), 1e-6)


def _of_vectors(tables: Tables, train: Any, test: Any, threshold: float) -> Duplicates:
    """Compare rows of unit length by their products, a chunk of test rows at a time."""
    train_rows, test_rows = (
        np.linspace(0, count - 1, min(count, most)).astype(int)
        for count, most in ((train.shape[0], _MAX_COMPARED[1]), (test.shape[0], _MAX_COMPARED[0]))
    )
    best, nearest = np.empty(len(test_rows)), np.empty(len(test_rows), dtype=int)
    for rows in _chunks(len(test_rows)):
        product = test[test_rows[rows]] @ train[train_rows].T
        product = product.toarray() if hasattr(product, "toarray") else product
        best[rows], nearest[rows] = product.max(axis=1), train_rows[product.argmax(axis=1)]
    near = np.zeros(len(tables.test), dtype=bool)
    near[test_rows[best >= threshold]] = True
    right = np.zeros(len(tables.test), dtype=bool)
    matched = best >= threshold
    right[test_rows[matched]] = _agree(tables, nearest[matched], test_rows[matched])
    exact = int((best >= 1 - 1e-6).sum())
    return Duplicates(len(test_rows), exact, int(near.sum()), _gain(tables, near, right, len(test_rows)))


def _chunks(count: int) -> Iterator[slice]:
    for start in range(0, count, _CHUNK):
        yield slice(start, start + _CHUNK)


def _agree(tables: Tables, train_rows: np.ndarray, test_rows: np.ndarray) -> np.ndarray:
    """Whether these training rows have (nearly) the target of these test rows."""
    known = tables.train[tables.target].to_numpy()[train_rows]
    hidden = tables.answers.to_numpy()[test_rows]
    if predicts_classes(tables.task):
        return np.asarray(known.astype(str) == hidden.astype(str))
    spread = float(np.std(tables.train[tables.target].to_numpy(float)))
    return np.asarray(np.abs(known.astype(float) - hidden.astype(float)) <= _SAME_NUMBER * spread)


def _gain(tables: Tables, near: np.ndarray, right: np.ndarray, compared: int | None = None) -> float:
    """Return the share of test rows that copying answers right, less those that any training row would."""
    random = np.random.default_rng(0)
    rows = random.integers(len(tables.train), size=len(near))
    chance = float(_agree(tables, rows, np.arange(len(near))).mean())
    return max(float(right.sum() - chance * near.sum()), 0.0) / (compared or len(near))
