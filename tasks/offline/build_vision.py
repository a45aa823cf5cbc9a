"""Files and hand-made features of the bundled vision tasks, used by their build.py scripts only.

The features are numpy and scipy: each function takes a stack of grey images of shape (n, height, width)
and gives one row of floats per image.
"""

from __future__ import annotations

import io
import itertools
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from build_board import Data
from build_common import BuildError, choose_parts, write_csv_xz, write_npz
from numpy.typing import NDArray
from scipy import ndimage
from sklearn.base import BaseEstimator, clone

Images = NDArray[np.generic]
Features = NDArray[np.float64]


# --------------------------------------------------------------------------- files


def write_image_task(
    folder: Path,
    train: tuple[NDArray[np.uint8], NDArray[np.generic]],
    test: tuple[NDArray[np.uint8], NDArray[np.generic]],
    *,
    sample_value: object,
    seed: int,
    part_groups: pd.Series | None = None,
) -> None:
    """Write `public/` and `private/answers.csv.xz` of an image classification task, rows shuffled.

    Args:
        folder: The task's folder.
        train: Images, uint8 of shape (n, height, width), and their labels of shape (n,).
        test: The same; its labels become the answers.
        sample_value: The constant label in sample_submission.csv.
        seed: Of the shuffles and of the public / private cut.
        part_groups: One value for each test image; images that share it fall into the same part.

    Raises:
        BuildError: If two images are equal, or a label of the test is not seen in train.
    """
    everything = np.concatenate([train[0], test[0]])
    if len({image.tobytes() for image in everything}) != len(everything):
        raise BuildError("Two images are equal; drop one of them.")
    unseen = set(test[1].tolist()) - set(train[1].tolist())
    if unseen:
        raise BuildError(f"Labels {sorted(unseen)} are in test but not in train.")

    generator = np.random.default_rng(seed)
    train_order, test_order = generator.permutation(len(train[0])), generator.permutation(len(test[0]))
    train_table = pd.DataFrame({"id": np.arange(len(train[0])), "label": train[1][train_order]})
    ids = pd.DataFrame({"id": np.arange(len(test[0])) + len(train[0])})
    groups = None if part_groups is None else part_groups.iloc[test_order]
    answers = ids.assign(label=test[1][test_order], part=choose_parts(ids, seed=seed, groups=groups))

    public = folder / "public"
    write_csv_xz(public / "train.csv.xz", train_table)
    write_csv_xz(public / "test.csv.xz", ids)
    write_csv_xz(public / "sample_submission.csv.xz", ids.assign(label=sample_value))
    write_npz(public / "train_images.npz", images=train[0][train_order])
    write_npz(public / "test_images.npz", images=test[0][test_order])
    write_csv_xz(folder / "private" / "answers.csv.xz", answers)


def read_gray_png(content: bytes) -> NDArray[np.uint8]:
    """Return an 8-bit grey PNG as an array of shape (height, width).

    Raises:
        BuildError: If the picture is not 8-bit grey.
    """
    from PIL import Image  # needed only to build: pip install pillow

    with Image.open(io.BytesIO(content)) as picture:
        if picture.mode != "L":
            raise BuildError(f"Found a picture of mode {picture.mode}, expected L (8-bit grey).")
        return np.asarray(picture).copy()


def closest_pair(train: NDArray[np.uint8], test: NDArray[np.uint8]) -> float:
    """Return the smallest root mean squared grey difference between a train and a test image."""
    a, b = (stack.reshape(len(stack), -1).astype(np.float64) for stack in (train, test))
    squared = (a**2).sum(1)[:, None] + (b**2).sum(1)[None] - 2 * a @ b.T
    return float(np.sqrt(max(squared.min(), 0.0) / a.shape[1]))


# --------------------------------------------------------------------------- entries of a board


@dataclass(frozen=True)
class Chained:
    """Prepares the images, then makes features of the result."""

    prepare: Callable[[Images], Images]
    features: Callable[[Images], Features]

    def __call__(self, images: Images) -> Features:
        return self.features(self.prepare(images))


@dataclass(frozen=True)
class Together:
    """Several kinds of features side by side."""

    makers: tuple[Callable[[Images], Features], ...]

    def __call__(self, images: Images) -> Features:
        return np.hstack([make(images) for make in self.makers])


@dataclass(frozen=True)
class ImageFit:
    """Features of the images, then one scikit-learn classifier.

    `augment` gives the training images followed by whole sets of changed copies. `output` is "label",
    or "probabilities" for a `Blend` that votes.
    """

    features: Callable[[Images], Features]
    model: BaseEstimator
    augment: Callable[[Images], Images] | None = None
    output: str = "label"

    def __call__(self, data: Data) -> NDArray[np.generic]:
        images = data.arrays["train_images"]
        if self.augment is not None:
            images = self.augment(images)
        labels = np.tile(data.y_train, len(images) // len(data.y_train))
        model = clone(self.model).fit(self.features(images), labels)
        inputs = self.features(data.arrays["test_images"])
        return model.predict_proba(inputs) if self.output == "probabilities" else model.predict(inputs)


# --------------------------------------------------------------------------- features


def pixels(images: Images) -> Features:
    """Return grey values in [0, 1], shape (n, height * width)."""
    return images.reshape(len(images), -1) / 255.0


def thumbnails(images: Images, block: int) -> Features:
    """Return means over block x block squares, shape (n, (height // block) * (width // block))."""
    n, height, width = images.shape
    rows, columns = height // block, width // block
    cropped = images[:, : rows * block, : columns * block].astype(float)
    return cropped.reshape(n, rows, block, columns, block).mean((2, 4)).reshape(n, -1) / 255.0


def profiles(images: Images) -> Features:
    """Return the mean of every row and of every column, shape (n, height + width)."""
    return np.hstack([images.mean(2), images.mean(1)]) / 255.0


def grey_statistics(images: Images) -> Features:
    """Return mean, deviation, extremes and quartiles of the grey values, shape (n, 7)."""
    flat = images.reshape(len(images), -1).astype(float)
    quartiles = np.percentile(flat, [25, 50, 75], axis=1).T
    return np.column_stack([flat.mean(1), flat.std(1), flat.min(1), flat.max(1), quartiles]) / 255.0


def grey_histogram(images: Images, bins: int = 16) -> Features:
    """Return the share of pixels in each grey band, shape (n, bins)."""
    bands = (images.reshape(len(images), -1).astype(int) * bins) // 256
    return np.stack([np.bincount(row, minlength=bins) for row in bands]) / bands.shape[1]


def gradient_histograms(images: Images, cell: int = 7, bins: int = 9) -> Features:
    """Return unsigned gradient orientation histograms per cell, each image scaled to unit length.

    The idea of Dalal and Triggs (2005) without their block normalisation.

    Returns:
        Shape (n, (height // cell) * (width // cell) * bins).
    """
    grey = images.astype(float)
    dy, dx = np.gradient(grey, axis=1), np.gradient(grey, axis=2)
    strength = np.hypot(dy, dx)
    angle = (np.arctan2(dy, dx) % np.pi) / np.pi * bins
    lower = np.floor(angle).astype(int) % bins
    upper_share = angle - np.floor(angle)
    n, rows, columns = len(grey), grey.shape[1] // cell, grey.shape[2] // cell
    cells = np.empty((n, rows, columns, bins))
    for k in range(bins):
        below = np.where(lower == k, 1 - upper_share, 0.0)
        above = np.where((lower + 1) % bins == k, upper_share, 0.0)
        votes = (strength * (below + above))[:, : rows * cell, : columns * cell]
        cells[..., k] = votes.reshape(n, rows, cell, columns, cell).sum((2, 4))
    flat = cells.reshape(n, -1)
    return flat / (np.linalg.norm(flat, axis=1, keepdims=True) + 1e-6)


def shape_moments(images: Images) -> Features:
    """Return the seven rotation-invariant moments of Hu (1962) on a log scale, shape (n, 7)."""
    grey = images.astype(float)
    rows, columns = np.mgrid[: grey.shape[1], : grey.shape[2]]
    mass = grey.sum((1, 2)) + 1e-9
    centre_y, centre_x = (grey * rows).sum((1, 2)) / mass, (grey * columns).sum((1, 2)) / mass
    y, x = rows - centre_y[:, None, None], columns - centre_x[:, None, None]

    def eta(p: int, q: int) -> NDArray[np.float64]:
        return (grey * x**p * y**q).sum((1, 2)) / mass ** (1 + (p + q) / 2)

    n20, n02, n11 = eta(2, 0), eta(0, 2), eta(1, 1)
    n30, n03, n21, n12 = eta(3, 0), eta(0, 3), eta(2, 1), eta(1, 2)
    a, b = n30 + n12, n21 + n03
    hu = [
        n20 + n02,
        (n20 - n02) ** 2 + 4 * n11**2,
        (n30 - 3 * n12) ** 2 + (3 * n21 - n03) ** 2,
        a**2 + b**2,
        (n30 - 3 * n12) * a * (a**2 - 3 * b**2) + (3 * n21 - n03) * b * (3 * a**2 - b**2),
        (n20 - n02) * (a**2 - b**2) + 4 * n11 * a * b,
        (3 * n21 - n03) * a * (a**2 - 3 * b**2) - (n30 - 3 * n12) * b * (3 * a**2 - b**2),
    ]
    return np.column_stack([np.sign(h) * np.log10(np.abs(h) + 1e-30) for h in hu])


def straighten(images: Images) -> Images:
    """Turn each image about its centre of mass so that its main axis stands upright."""
    height, width = images.shape[1:]
    rows, columns = np.mgrid[:height, :width]
    middle = np.array([(height - 1) / 2, (width - 1) / 2])
    upright = []
    for image in images.astype(float):
        mass = image.sum() + 1e-9
        centre = np.array([(image * rows).sum(), (image * columns).sum()]) / mass
        y, x = rows - centre[0], columns - centre[1]
        var_y, var_x, cov = (image * y * y).sum(), (image * x * x).sum(), (image * x * y).sum()
        angle = 0.5 * np.arctan2(2 * cov, var_y - var_x)
        turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
        upright.append(ndimage.affine_transform(image, turn, offset=centre - turn @ middle, order=1))
    return np.stack(upright)


def rotated_copies(images: Images, degrees: float, copies: int, seed: int) -> Images:
    """Return the images followed by copies turned by random angles, shape (n * (copies + 1), h, w)."""
    rng = np.random.default_rng(seed)
    stacks = [images.astype(float)]
    for _ in range(copies):
        angles = rng.uniform(-degrees, degrees, len(images))
        turned = [
            ndimage.rotate(image, angle, reshape=False, order=1)
            for image, angle in zip(stacks[0], angles, strict=True)
        ]
        stacks.append(np.stack(turned))
    return np.concatenate(stacks)


def _neighbour_codes(images: Images) -> NDArray[np.int64]:
    """Return 8-bit local binary patterns of the inner pixels, shape (n, height - 2, width - 2)."""
    grey = images.astype(float)
    n, height, width = grey.shape
    centre = grey[:, 1:-1, 1:-1]
    ring = [(-1, -1), (-1, 0), (-1, 1), (0, 1), (1, 1), (1, 0), (1, -1), (0, -1)]
    codes = np.zeros((n, height - 2, width - 2), dtype=np.int64)
    for bit, (dy, dx) in enumerate(ring):
        neighbour = grey[:, 1 + dy : height - 1 + dy, 1 + dx : width - 1 + dx]
        codes |= (neighbour >= centre).astype(np.int64) << bit
    return codes


def _uniform_bins() -> NDArray[np.int64]:
    """Map each 8-bit pattern to its rotation-invariant uniform bin 0..9 (Ojala et al., 2002)."""
    bins = np.empty(256, dtype=np.int64)
    for code in range(256):
        ring = [(code >> bit) & 1 for bit in range(8)]
        changes = sum(a != b for a, b in zip(ring, ring[1:] + ring[:1], strict=True))
        bins[code] = sum(ring) if changes <= 2 else 9
    return bins


def binary_patterns(images: Images, uniform: bool = False) -> Features:
    """Return histograms of local binary patterns: shape (n, 256), or (n, 10) when uniform."""
    codes = _neighbour_codes(images)
    if uniform:
        codes = _uniform_bins()[codes]
    size = 10 if uniform else 256
    return np.stack([np.bincount(c.ravel(), minlength=size) for c in codes]) / codes[0].size


def standardised(images: Images) -> NDArray[np.float64]:
    """Return each image with zero mean and unit deviation, same shape."""
    grey = images.astype(float)
    centred = grey - grey.mean((1, 2), keepdims=True)
    return centred / (centred.std((1, 2), keepdims=True) + 1e-6)


def radial_spectrum(images: Images) -> Features:
    """Return the mean log power at each whole-number radius of the spectrum, shape (n, width // 2)."""
    power = np.log1p(np.abs(np.fft.fft2(standardised(images))) ** 2)
    frequency = np.fft.fftfreq(images.shape[1]) * images.shape[1]
    radius = np.hypot(frequency[:, None], frequency[None]).astype(int)
    return np.stack([power[:, radius == r].mean(1) for r in range(1, images.shape[1] // 2 + 1)], axis=1)


def spectrum_sectors(images: Images, sectors: int = 8) -> Features:
    """Return the sorted share of spectral power by direction, shape (n, sectors): how oriented it is."""
    power = np.abs(np.fft.fft2(standardised(images))) ** 2
    frequency = np.fft.fftfreq(images.shape[1])
    angle = np.arctan2(frequency[:, None], frequency[None]) % np.pi
    sector = np.minimum((angle / np.pi * sectors).astype(int), sectors - 1)
    share = np.stack([power[:, sector == s].sum(1) for s in range(sectors)], axis=1)
    return np.sort(share / share.sum(1, keepdims=True), axis=1)


def cooccurrence(images: Images, levels: int = 8) -> Features:
    """Return contrast, homogeneity, energy and entropy of grey-level pairs at distances 1, 2 and 4.

    After Haralick (1973); both axes are averaged, so quarter turns do not matter. Shape (n, 12).
    """
    scaled = standardised(images)
    grades = np.clip(((scaled + 2.0) / 4.0 * levels).astype(int), 0, levels - 1)
    first, second = np.divmod(np.arange(levels * levels), levels)
    gap = (first - second) ** 2
    columns = []
    for distance in (1, 2, 4):
        pairs = [
            (grades[:, :, :-distance], grades[:, :, distance:]),
            (grades[:, :-distance, :], grades[:, distance:, :]),
        ]
        tables = sum(
            np.stack([np.bincount(c.ravel(), minlength=levels * levels) for c in a * levels + b])
            for a, b in pairs
        )
        share = tables / tables.sum(1, keepdims=True)
        entropy = -(share * np.log(share + 1e-12)).sum(1)
        columns += [share @ gap, share @ (1.0 / (1.0 + gap)), (share**2).sum(1), entropy]
    return np.column_stack(columns)


def filter_energy(images: Images) -> Features:
    """Return log energies after Laws' (1980) 5x5 filters, mirror pairs averaged, shape (n, 9)."""
    kernels = {
        "level": np.array([1, 4, 6, 4, 1.0]),
        "edge": np.array([-1, -2, 0, 2, 1.0]),
        "spot": np.array([-1, 0, 2, 0, -1.0]),
        "ripple": np.array([1, -4, 6, -4, 1.0]),
    }
    scaled = standardised(images)

    def energy(down: str, across: str) -> NDArray[np.float64]:
        response = ndimage.correlate1d(scaled, kernels[down], axis=1)
        return (ndimage.correlate1d(response, kernels[across], axis=2) ** 2).mean((1, 2))

    pairs = list(itertools.combinations_with_replacement(kernels, 2))[1:]  # without level x level
    return np.column_stack([np.log((energy(a, b) + energy(b, a)) / 2 + 1e-9) for a, b in pairs])


def quarter_turns(images: Images) -> Images:
    """Return the eight mirror images and quarter turns of every image, shape (n * 8, h, w)."""
    turned = [np.rot90(images, k, axes=(1, 2)) for k in range(4)]
    return np.concatenate(turned + [stack[:, :, ::-1] for stack in turned])
