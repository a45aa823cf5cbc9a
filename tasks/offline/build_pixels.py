"""Files and local features of the bundled tasks that answer with pixels, used by their build.py scripts only.

Such a task has one row for each picture. What is known of the training pictures lies beside them, as a
second array `targets` in `train_images.npz`, so that train.csv and test.csv hold ids alone.
"""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from build_board import Data
from build_common import BuildError, choose_parts, read_csv_xz, write_csv_xz, write_npz
from numpy.typing import NDArray
from scipy import ndimage
from sklearn.base import BaseEstimator, clone

Images = NDArray[np.generic]  # shape (n, height, width)
Maps = NDArray[np.float64]  # the same, one number for each pixel
Rows = NDArray[np.float64]  # shape (n * height * width, features)


# --------------------------------------------------------------------------- files


def cut(picture: NDArray, size: int) -> NDArray:
    """Return the tiles of a picture from left to right and top to bottom, shape (n, size, size)."""
    height, width = picture.shape
    if height % size or width % size:
        raise BuildError(f"A picture of {height} x {width} is not made of tiles of {size}.")
    tiles = picture.reshape(height // size, size, width // size, size).swapaxes(1, 2)
    return tiles.reshape(-1, size, size)


def to_runs(mask: NDArray[np.bool_]) -> str:
    """Return a mask as 'start length' repeated; pixels count from 1, down the columns."""
    flat = np.concatenate([[0], mask.T.ravel().astype(np.int8), [0]])
    starts, ends = np.flatnonzero(np.diff(flat) == 1) + 1, np.flatnonzero(np.diff(flat) == -1) + 1
    return " ".join(f"{start} {end - start}" for start, end in zip(starts, ends, strict=True))


def write_pixel_task(
    folder: Path,
    train: tuple[Images, Images],
    test: tuple[Images, pd.DataFrame],
    *,
    sample_value: object,
    seed: int,
    part_groups: pd.Series | None = None,
) -> None:
    """Write `public/` and `private/answers.csv.xz` of a task that answers with pixels, rows shuffled.

    Args:
        folder: The task's folder.
        train: Pictures and their targets, uint8, shape (n, height, width) each; sizes may differ.
        test: Pictures and what is asked of each: one column for each target of the submission.
        sample_value: What sample_submission.csv says everywhere.
        seed: Of the shuffles and of the public / private cut.
        part_groups: One value for each test picture; those that share it fall into the same part.

    Raises:
        BuildError: If two pictures are equal.
    """
    everything = np.concatenate([train[0], test[0]])
    if len({picture.tobytes() for picture in everything}) != len(everything):
        raise BuildError("Two pictures are equal; drop one of them.")
    generator = np.random.default_rng(seed)
    train_order, test_order = generator.permutation(len(train[0])), generator.permutation(len(test[0]))
    ids = pd.DataFrame({"id": np.arange(len(test[0])) + len(train[0])})
    asked = test[1].iloc[test_order].reset_index(drop=True)
    groups = None if part_groups is None else part_groups.iloc[test_order]
    answers = pd.concat([ids, asked], axis=1).assign(part=choose_parts(ids, seed=seed, groups=groups))

    public = folder / "public"
    write_csv_xz(public / "train.csv.xz", pd.DataFrame({"id": np.arange(len(train[0]))}))
    write_csv_xz(public / "test.csv.xz", ids)
    write_csv_xz(
        public / "sample_submission.csv.xz", ids.assign(**dict.fromkeys(test[1].columns, sample_value))
    )
    write_npz(public / "train_images.npz", images=train[0][train_order], targets=train[1][train_order])
    write_npz(public / "test_images.npz", images=test[0][test_order])
    write_csv_xz(folder / "private" / "answers.csv.xz", answers)


def load_pixel_data(folder: Path) -> Data:
    """Return a built task's public data, as an entry of its board gets it; `y_train` are the targets."""
    public = folder / "public"
    train, test = (np.load(public / f"{part}_images.npz") for part in ("train", "test"))
    digest = hashlib.sha256(b"".join(path.read_bytes() for path in sorted(public.iterdir()))).hexdigest()
    return Data(
        x_train=read_csv_xz(public / "train.csv.xz"),
        y_train=train["targets"],
        x_test=read_csv_xz(public / "test.csv.xz"),
        arrays={"train_images": train["images"], "test_images": test["images"]},
        fingerprint=digest,
    )


# --------------------------------------------------------------------------- features of pixels


def as_rows(*maps: Maps) -> Rows:
    """Return maps side by side, one row for each pixel."""
    return np.stack([each.ravel() for each in maps], axis=1)


def smooth(images: Images, sigma: float) -> Maps:
    """Return each picture blurred by a Gaussian; 0 leaves it as it is."""
    return ndimage.gaussian_filter(images.astype(float), (0, sigma, sigma)) if sigma else images.astype(float)


def median(images: Images, size: int) -> Maps:
    """Return the median of size x size pixels about each."""
    return ndimage.median_filter(images.astype(float), (1, size, size))


def self_only(images: Images) -> Rows:
    """Return the pixel alone, one feature."""
    return as_rows(images.astype(float))


def few_scales(images: Images) -> Rows:
    """Return the pixel and two blurs, three features."""
    return as_rows(*(smooth(images, sigma) for sigma in (0, 1, 2.5)))


def scales(images: Images) -> Rows:
    """Return blurs of five widths, differences between them and slopes, 13 features."""
    blurs = [smooth(images, sigma) for sigma in (0, 0.7, 1.2, 2, 3.5)]
    slopes = [np.hypot(ndimage.sobel(blur, 1), ndimage.sobel(blur, 2)) for blur in blurs[1:]]
    return as_rows(*blurs, *(a - b for a, b in itertools.pairwise(blurs)), *slopes)


def ranks(images: Images) -> Rows:
    """Return medians, least and greatest values about each pixel, 7 features."""
    grey = images.astype(float)
    extremes = [f(grey, (1, size, size)) for size in (3, 7) for f in (_least, _greatest)]
    return as_rows(*(median(images, size) for size in (3, 5, 9)), *extremes)


_least, _greatest = ndimage.minimum_filter, ndimage.maximum_filter


def patches(images: Images, radius: int) -> Rows:
    """Return the pixels about each, mirrored at the border, shape (pixels, (2 * radius + 1) ** 2)."""
    padded = np.pad(images.astype(float), ((0, 0), (radius, radius), (radius, radius)), mode="symmetric")
    side = 2 * radius + 1
    windows = np.lib.stride_tricks.sliding_window_view(padded, (side, side), axis=(1, 2))
    return windows.reshape(-1, side * side)


def whole_picture(images: Images) -> Rows:
    """Return what holds for the picture as a whole: quantiles of a blur, and the grain, 8 features."""
    n, height, width = images.shape
    quantiles = np.percentile(smooth(images, 1).reshape(n, -1), [2, 10, 25, 50, 75, 90, 98], axis=1)
    grain = np.abs(images - median(images, 3)).reshape(n, -1).mean(1)
    return np.repeat(np.vstack([quantiles, grain]).T, height * width, axis=0)


def unit_range(images: Images) -> Maps:
    """Return each picture's 5th percentile as 0 and its 98th as 1."""
    low, high = np.percentile(images.reshape(len(images), -1), [5, 98], axis=1)[..., None, None]
    return (images - low) / (high - low + 5.0)


def above_ground(images: Images) -> Maps:
    """Return pictures less their 20th percentile, in units of their grain."""
    ground = np.percentile(images.reshape(len(images), -1), 20, axis=1)[:, None, None]
    grain = np.abs(images - median(images, 3)).mean((1, 2), keepdims=True)
    return (images - ground) / (grain + 1.0)


@dataclass(frozen=True)
class Prepared:
    """Prepares the pictures, then makes features of their pixels."""

    prepare: Callable[[Images], Maps]
    features: Callable[[Images], Rows]

    def __call__(self, images: Images) -> Rows:
        return self.features(self.prepare(images))


@dataclass(frozen=True)
class SideBySide:
    """Several kinds of features of the same pixels."""

    makers: tuple[Callable[[Images], Rows], ...]

    def __call__(self, images: Images) -> Rows:
        return np.hstack([make(images) for make in self.makers])


@dataclass(frozen=True)
class PixelFit:
    """Features of pixels, then a model fitted on a sample of the training pixels; gives one map a picture.

    A classifier gives the chance of the second class, a regressor its value, or with `base` what is to be
    added to the first feature. Targets may lack a border that the pictures have.
    """

    features: Callable[[Images], Rows]
    model: BaseEstimator
    pixels: int = 10_000
    base: bool = False

    def __call__(self, data: Data) -> Maps:
        rows = np.random.default_rng(0).permutation(data.y_train.size)[: self.pixels]
        side = data.y_train.shape[1]
        train, test = (
            inner(self.features, data.arrays[f"{part}_images"], side) for part in ("train", "test")
        )
        target = data.y_train.reshape(-1)[rows] - (train[rows, 0] if self.base else 0)
        model = clone(self.model).fit(train[rows], target)
        is_classifier = hasattr(model, "predict_proba")
        flat = model.predict_proba(test)[:, 1] if is_classifier else model.predict(test)
        return (flat + (test[:, 0] if self.base else 0)).reshape(-1, side, side)


def inner(features: Callable[[Images], Rows], images: Images, side: int) -> Rows:
    """Return the features of the side x side pixels in the middle of each picture."""
    rows = features(images).reshape(*images.shape, -1)
    kept = slice((images.shape[1] - side) // 2, (images.shape[1] + side) // 2)
    return rows[:, kept, kept].reshape(-1, rows.shape[-1])
