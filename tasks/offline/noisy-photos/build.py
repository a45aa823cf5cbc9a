"""Build offline/noisy-photos: small pieces of photos, noisy as from a camera at night, to be cleaned.

    pip install pillow
    python tasks/offline/noisy-photos/build.py            # data, reference leaderboard, checksums
    python tasks/offline/noisy-photos/build.py --data     # data only

Train pieces come from four photos, test pieces from three others. The pinned wheel is the one that pip
picks with Python 3.11 on Linux x86-64; the photos are the same in all. Pillow 13.0.0 opened those that are
JPEG files.
"""

from __future__ import annotations

import functools
import io
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

import build_board as board
import build_common as common
import build_models as models
import build_pixels as pixels
import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import fft, ndimage
from sklearn.base import BaseEstimator, clone
from sklearn.cross_decomposition import PLSRegression
from sklearn.decomposition import PCA
from sklearn.ensemble import ExtraTreesRegressor, HistGradientBoostingRegressor
from sklearn.linear_model import HuberRegressor, LinearRegression, Ridge
from sklearn.neighbors import KNeighborsRegressor
from sklearn.neural_network import MLPRegressor
from sklearn.pipeline import make_pipeline
from sklearn.tree import DecisionTreeRegressor

FOLDER = Path(__file__).parent
SIZE, INNER = 16, 8
"""Sides of a piece, and of the middle of it that is asked for."""
PHOTOS = {
    "train": {"astronaut.png": 230, "coffee.png": 200, "chelsea.png": 120, "hubble_deep_field.jpg": 100},
    "test": {"camera.png": 180, "rocket.jpg": 160, "coins.png": 80},
}
SEED = 1839
TARGETS = tuple(f"p{row}{column}" for row in range(INNER) for column in range(INNER))


# --------------------------------------------------------------------------- data


def read_photo(name: str) -> NDArray[np.float64]:
    """Return a photo in grey, at half its size and cut to whole pieces."""
    from PIL import Image  # needed only to build

    wheel = common.fetch_wheel(
        "scikit-image", "0.26.0", sha256="74aa5518ccea28121f57a95374581d3b979839adc25bb03f289b1bc9b99c58af"
    )
    with Image.open(io.BytesIO(common.read_zip_member(wheel, f"skimage/data/{name}"))) as file:
        grey = np.asarray(file.convert("L")).astype(float)
    height, width = (side // (2 * SIZE) * 2 * SIZE for side in grey.shape)
    return grey[:height, :width].reshape(height // 2, 2, width // 2, 2).mean((1, 3))


def take_in_the_dark(pieces: NDArray[np.float64], generator: np.random.Generator) -> NDArray[np.uint8]:
    """Return pieces with noise: of few photons, of the reading, and pixels that are stuck at white or black.

    Each piece has a sensitivity of its own, and so its own strength of noise.
    """
    photons, reading = (
        generator.uniform(low, high, (len(pieces), 1, 1)) for low, high in ((0.08, 0.6), (3, 14))
    )
    noisy = generator.poisson(pieces * photons) / photons + generator.normal(size=pieces.shape) * reading
    lottery = generator.random(pieces.shape)
    noisy[lottery < 0.015] = 255
    noisy[lottery > 0.985] = 0
    return np.clip(np.rint(noisy), 0, 255).astype(np.uint8)


def build_data() -> None:
    """Cut the photos into pieces, make these noisy and write the task's files."""
    generator = np.random.default_rng(SEED)
    clean, noisy = {}, {}
    for part, photos in PHOTOS.items():
        pieces = []
        for name, count in photos.items():
            every = pixels.cut(read_photo(name), SIZE)
            pieces.append(every[generator.permutation(len(every))[:count]])
        clean[part] = np.concatenate(pieces)
        noisy[part] = take_in_the_dark(clean[part], generator)
    middle = slice((SIZE - INNER) // 2, (SIZE + INNER) // 2)
    truth = {part: np.rint(pieces[:, middle, middle]).astype(np.uint8) for part, pieces in clean.items()}
    pixels.write_pixel_task(
        FOLDER,
        (noisy["train"], truth["train"]),
        (noisy["test"], pd.DataFrame(truth["test"].reshape(len(truth["test"]), -1), columns=TARGETS)),
        sample_value=128,
        seed=SEED,
    )


# --------------------------------------------------------------------------- filters


def wiener(images: pixels.Images, size: int) -> pixels.Maps:
    """Return each pixel drawn to its local mean, the more the less the surroundings vary beyond the noise."""
    grey = images.astype(float)
    mean = ndimage.uniform_filter(grey, (0, size, size))
    spread = np.maximum(ndimage.uniform_filter(grey**2, (0, size, size)) - mean**2, 1e-6)
    noise = np.median(spread.reshape(len(grey), -1), axis=1)[:, None, None]
    return mean + np.maximum(spread - noise, 0) / spread * (grey - mean)


def noise_level(images: pixels.Images) -> NDArray[np.float64]:
    """Return the deviation of each piece's noise, from what a median takes away, shape (n, 1, 1)."""
    taken = np.abs(images - pixels.median(images, 3))
    return 1.4826 * np.median(taken, axis=(1, 2))[:, None, None]


def blur_to_level(images: pixels.Images) -> pixels.Maps:
    """Return pieces blurred the more the noisier they are."""
    level = noise_level(images)
    return np.select(
        [level < 8, level < 16, level < 26],
        [pixels.smooth(images, sigma) for sigma in (0.7, 1.0, 1.4)],
        pixels.smooth(images, 2.0),
    )


def unstuck(images: pixels.Images) -> pixels.Maps:
    """Return pieces whose black and white pixels are replaced by the median of their surroundings."""
    around = pixels.median(images, 3)
    stuck = ((images == 0) | (images == 255)) & (np.abs(images - around) > 40)
    return np.where(stuck, around, images.astype(float))


def bilateral(images: pixels.Images, width: float) -> pixels.Maps:
    """Return means over neighbours of like brightness (Tomasi and Manduchi, 1998)."""
    grey = images.astype(float)
    windows = pixels.patches(grey, 2).reshape(*grey.shape, 25)
    like = np.exp(-(((windows - pixels.smooth(grey, 1)[..., None]) / width) ** 2) / 2)
    return (windows * like).sum(3) / like.sum(3)


def cosine_shrunk(images: pixels.Images, strength: float) -> pixels.Maps:
    """Return pieces without the waves that are no stronger than noise (a threshold on the DCT)."""
    waves = fft.dctn(images.astype(float), axes=(1, 2), norm="ortho")
    kept = np.abs(waves) > strength * (noise_level(images) + 4)
    kept[:, 0, 0] = True
    return fft.idctn(waves * kept, axes=(1, 2), norm="ortho")


@dataclass(frozen=True)
class Chain:
    """One filter after another."""

    filters: tuple[Callable[[pixels.Images], pixels.Maps], ...]

    def __call__(self, images: pixels.Images) -> pixels.Maps:
        for step in self.filters:
            images = step(images)
        return images


# --------------------------------------------------------------------------- entries


@dataclass(frozen=True)
class Filtered:
    """A filter of the test pieces; nothing is fitted."""

    filter: Callable[[pixels.Images], pixels.Maps]

    def __call__(self, data: board.Data) -> NDArray[np.float64]:
        side = data.y_train.shape[1]
        rows = pixels.inner(
            lambda images: self.filter(images).reshape(-1, 1), data.arrays["test_images"], side
        )
        return rows.reshape(-1, side * side)


@dataclass(frozen=True)
class Clipped:
    """Maps of a fitted model as rows of grey values."""

    maps: pixels.PixelFit

    def __call__(self, data: board.Data) -> NDArray[np.float64]:
        maps = self.maps(data)
        return np.clip(maps.reshape(len(maps), -1), 0, 255)


@dataclass(frozen=True)
class Constant:
    """One value everywhere: a number, or the mean of the training targets, or of each test piece."""

    value: float | str

    def __call__(self, data: board.Data) -> NDArray[np.float64]:
        shape = len(data.arrays["test_images"]), data.y_train[0].size
        if self.value == "train-mean":
            return np.full(shape, data.y_train.mean())
        if self.value == "piece-mean":
            return np.broadcast_to(data.arrays["test_images"].mean((1, 2))[:, None], shape).copy()
        if self.value == "piece-median":
            return np.broadcast_to(np.median(data.arrays["test_images"], axis=(1, 2))[:, None], shape).copy()
        return np.full(shape, float(self.value))


@dataclass(frozen=True)
class WholePiece:
    """All pixels of a piece at once: a model from 256 noisy pixels to 64 clean ones.

    With `turns`, it is also fitted on the pieces mirrored and turned; with `centred`, on what differs from
    the piece's mean.
    """

    model: BaseEstimator
    prepare: Callable[[pixels.Images], pixels.Maps] | None = None
    turns: bool = False
    centred: bool = True

    def __call__(self, data: board.Data) -> NDArray[np.float64]:
        noisy, clean = self.prepared(data.arrays["train_images"]), data.y_train.astype(float)
        if self.turns:
            noisy, clean = all_turns(noisy), all_turns(clean)
        test = self.prepared(data.arrays["test_images"])
        middle, of_test = (images.mean((1, 2))[:, None] * self.centred for images in (noisy, test))
        flat = noisy.reshape(len(noisy), -1) - middle
        model = clone(self.model).fit(flat, clean.reshape(len(clean), -1) - middle)
        return np.clip(model.predict(test.reshape(len(test), -1) - of_test) + of_test, 0, 255)

    def prepared(self, images: pixels.Images) -> pixels.Maps:
        """Return the pieces after the preparation, if there is one."""
        return images.astype(float) if self.prepare is None else self.prepare(images)


def all_turns(images: NDArray) -> NDArray:
    """Return the eight mirror images and quarter turns of every piece, shape (n * 8, side, side)."""
    turned = [np.rot90(images, k, axes=(1, 2)) for k in range(4)]
    return np.concatenate(turned + [stack[:, :, ::-1] for stack in turned])


# --------------------------------------------------------------------------- reference teams


def filters() -> dict[str, Callable[[pixels.Images], pixels.Maps]]:
    """Filters out of textbooks, in settings from too weak to too strong."""
    plain: dict[str, Callable[[pixels.Images], pixels.Maps]] = {
        "as-it-is": functools.partial(pixels.smooth, sigma=0)
    }
    plain |= {
        f"blur-{sigma}": functools.partial(pixels.smooth, sigma=sigma) for sigma in (0.5, 0.8, 1.2, 1.8, 3.0)
    }
    plain |= {f"median-{size}": functools.partial(pixels.median, size=size) for size in (3, 5, 7)}
    plain |= {f"wiener-{size}": functools.partial(wiener, size=size) for size in (3, 5, 7)}
    plain |= {f"bilateral-{width}": functools.partial(bilateral, width=width) for width in (15, 30, 60)}
    plain |= {f"waves-{k}": functools.partial(cosine_shrunk, strength=k) for k in (1.0, 2.0, 3.0)}
    plain["blur-to-level"] = blur_to_level
    cleaned = {f"unstuck {name}": Chain((unstuck, step)) for name, step in plain.items()}
    twice = {
        "median-3 then blur-1": Chain((plain["median-3"], functools.partial(pixels.smooth, sigma=1))),
        "median-3 then wiener-5": Chain((plain["median-3"], plain["wiener-5"])),
        "median-3 then waves-2": Chain((plain["median-3"], plain["waves-2.0"])),
    }
    return plain | cleaned | twice


def fitted() -> dict[str, board.Entry]:
    """Models of single pixels from what is around them."""
    around = functools.partial(pixels.patches, radius=2)
    wide = functools.partial(pixels.patches, radius=4)
    clean = functools.partial(pixels.Prepared, unstuck)
    scales = pixels.SideBySide((clean(pixels.scales), pixels.ranks))
    everything = pixels.SideBySide((clean(pixels.scales), pixels.ranks, pixels.whole_picture, clean(around)))
    features = {
        "pixel": pixels.self_only,
        "few-scales": pixels.few_scales,
        "around": around,
        "unstuck around": clean(around),
        "unstuck wide": clean(wide),
        "scales": scales,
        "everything": everything,
    }
    kinds: dict[str, BaseEstimator] = {
        "linear": models.scaled(Ridge(10.0)),
        "tree-7": DecisionTreeRegressor(max_depth=7, min_samples_leaf=5, random_state=0),
        "hist-boosting": HistGradientBoostingRegressor(max_iter=80, max_leaf_nodes=12, random_state=0),
        "extra-trees": ExtraTreesRegressor(30, min_samples_leaf=4, random_state=0),
        "mlp-32": models.both_scaled(
            MLPRegressor(hidden_layer_sizes=(32,), alpha=0.1, max_iter=30, random_state=0)
        ),
    }
    entries: dict[str, board.Entry] = {
        f"{name} {kind}": Clipped(pixels.PixelFit(make, model))
        for name, make in features.items()
        for kind, model in kinds.items()
        if name != "pixel" or kind in ("linear", "hist-boosting")
    }
    # What is added to the pixel itself, or to its blur, is easier to learn than its value.
    for name in ("unstuck wide", "everything"):
        ahead = pixels.SideBySide((pixels.Prepared(blur_to_level, pixels.self_only), features[name]))
        for kind in ("hist-boosting", "extra-trees", "mlp-32"):
            entries[f"{name} {kind} on top"] = Clipped(pixels.PixelFit(ahead, kinds[kind], 10_000, True))
            entries[f"{name} {kind} on top, many"] = Clipped(
                pixels.PixelFit(ahead, kinds[kind], 30_000, True)
            )
    entries["around knn-10"] = Clipped(pixels.PixelFit(around, KNeighborsRegressor(10), 3000))
    entries["around huber"] = Clipped(pixels.PixelFit(around, models.scaled(HuberRegressor())))
    entries["scales huber"] = Clipped(pixels.PixelFit(scales, models.scaled(HuberRegressor())))
    return entries


def whole_pieces() -> dict[str, board.Entry]:
    """Models from all pixels to all pixels."""
    kinds: dict[str, BaseEstimator] = {
        "linear": LinearRegression(),
        "ridge-1e4": Ridge(1e4),
        "ridge-1e6": Ridge(1e6),
        "pca-10-linear": make_pipeline(PCA(10, random_state=0), LinearRegression()),
        "pca-30-linear": make_pipeline(PCA(30, random_state=0), LinearRegression()),
        "pls-10": PLSRegression(10, scale=False),
        "knn-10": KNeighborsRegressor(10),
        "mlp-64": models.both_scaled(
            MLPRegressor(hidden_layer_sizes=(64,), alpha=3.0, max_iter=60, random_state=0)
        ),
    }
    entries: dict[str, board.Entry] = {}
    for name, model in kinds.items():
        entries[f"whole {name}"] = WholePiece(model)
        entries[f"whole unstuck {name}"] = WholePiece(model, unstuck)
        if name != "knn-10":
            entries[f"whole unstuck turned {name}"] = WholePiece(model, unstuck, True)
    entries["whole raw linear"] = WholePiece(LinearRegression(), None, False, False)
    entries["whole raw ridge-1e6"] = WholePiece(Ridge(1e6), None, False, False)
    return entries


def build_leaderboard() -> None:
    """Fit and score the reference teams."""
    single, whole = fitted(), whole_pieces()
    entries: dict[str, board.Entry] = {
        **{f"guess {value}": Constant(value) for value in (0, 100, 128, "train-mean")},
        **{f"guess {value}": Constant(value) for value in ("piece-mean", "piece-median")},
        **{f"filter {name}": Filtered(step) for name, step in filters().items()},
        **single,
        **whole,
    }
    blends = {
        "trees": ("everything hist-boosting on top, many", "everything extra-trees on top, many"),
        "networks": ("everything mlp-32 on top, many", "whole unstuck turned mlp-64"),
        "linear": ("everything linear", "whole unstuck turned ridge-1e4"),
        "all": (
            "everything hist-boosting on top, many",
            "everything extra-trees on top, many",
            "everything mlp-32 on top, many",
            "whole unstuck turned mlp-64",
        ),
    }
    for name, members in blends.items():
        entries[f"blend {name}"] = board.Blend(tuple(entries[member] for member in members))
    board.build_leaderboard(
        FOLDER, entries, metric="rmse", target=TARGETS, data=pixels.load_pixel_data(FOLDER)
    )


if __name__ == "__main__":
    common.main(build_data, build_leaderboard, FOLDER)
