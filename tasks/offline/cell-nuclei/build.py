"""Build offline/cell-nuclei: which pixels of a fluorescence micrograph belong to nuclei?

    pip install pillow
    python tasks/offline/cell-nuclei/build.py            # data, reference leaderboard, checksums
    python tasks/offline/cell-nuclei/build.py --data     # data only

Train tiles come from the left half of the micrograph, test tiles from the right half. The pinned wheel is
the one that pip picks with Python 3.11 on Linux x86-64; the pictures are the same in all.
"""

from __future__ import annotations

import functools
import io
import sys
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
from scipy import ndimage
from sklearn.base import BaseEstimator
from sklearn.decomposition import PCA
from sklearn.ensemble import ExtraTreesClassifier, HistGradientBoostingClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.tree import DecisionTreeClassifier

FOLDER = Path(__file__).parent
SIZE = 32
SEED = 2018


# --------------------------------------------------------------------------- data


def read_picture(name: str) -> NDArray[np.uint16]:
    """Return the micrograph or its mask, 512 x 512."""
    from PIL import Image  # needed only to build

    wheel = common.fetch_wheel(
        "stardist", "0.9.2", sha256="2316c0feb7bd5621e7a277cb3868df475c338943c591925c420ee3622c42f023"
    )
    with Image.open(io.BytesIO(common.read_zip_member(wheel, f"stardist/data/images/{name}.tif"))) as file:
        return np.asarray(file).copy()


def expose(tiles: NDArray[np.float64], generator: np.random.Generator) -> NDArray[np.uint8]:
    """Return tiles as from many sessions: each with a gain, a background and a grain of its own."""
    gain, ground, grain = (
        generator.uniform(low, high, (len(tiles), 1, 1)) for low, high in ((0.6, 1.4), (5, 50), (1, 5))
    )
    exposed = tiles * gain + ground + generator.normal(size=tiles.shape) * grain
    return np.clip(np.rint(exposed), 0, 255).astype(np.uint8)


def build_data() -> None:
    """Cut both halves into tiles, expose them and write the task's files."""
    generator = np.random.default_rng(SEED)
    micrograph, mask = read_picture("img2d").astype(float), read_picture("mask2d") > 0
    halves = {"train": slice(0, 256), "test": slice(256, 512)}
    tiles = {part: expose(pixels.cut(micrograph[:, half], SIZE), generator) for part, half in halves.items()}
    masks = {part: pixels.cut(mask[:, half], SIZE) for part, half in halves.items()}
    pixels.write_pixel_task(
        FOLDER,
        (tiles["train"], masks["train"].astype(np.uint8)),
        (tiles["test"], pd.DataFrame({"mask": [pixels.to_runs(each) for each in masks["test"]]})),
        sample_value="",
        seed=SEED,
    )


# --------------------------------------------------------------------------- entries


@dataclass(frozen=True)
class Brightness:
    """Each pixel's brightness after a preparation; nothing is fitted."""

    prepare: functools.partial | object

    def __call__(self, data: board.Data) -> NDArray[np.float64]:
        return self.prepare(data.arrays["test_images"])  # type: ignore[operator]


def otsu(values: NDArray[np.float64]) -> float:
    """Return the threshold that parts values into the two most different groups (Otsu, 1979)."""
    counts, edges = np.histogram(values, 128)
    middle, below = (edges[1:] + edges[:-1]) / 2, np.cumsum(counts)
    mass = np.cumsum(counts * middle)
    spread = (mass[-1] * below / below[-1] - mass) ** 2
    return float(middle[np.argmax(spread / np.maximum(below * (below[-1] - below), 1))])


@dataclass(frozen=True)
class Masks:
    """Maps of another entry, cut at a threshold and tidied up, as runs.

    Args:
        maps: What gives a number for each pixel.
        rule: A threshold; "otsu" of all tiles or "otsu-each" of each; "best" on the training tiles, for maps
            that are not fitted; "local", so much above the mean of the surroundings.
        blur: Of the maps, before they are cut.
        least: Pixels of the smallest piece that is kept; 0 leaves everything, holes too.
    """

    maps: object
    rule: float | str = 0.5
    blur: float = 0.0
    least: int = 0

    def __call__(self, data: board.Data) -> NDArray[np.str_]:
        maps = pixels.smooth(data.predict(self.maps), self.blur)
        found = maps > self.threshold(maps, data)
        if self.least:
            found = np.stack([self.tidy(mask) for mask in found])
        return np.array([pixels.to_runs(mask) for mask in found])

    def threshold(self, maps: NDArray[np.float64], data: board.Data) -> NDArray[np.float64] | float:
        """Return what the maps are compared with."""
        if self.rule == "otsu":
            return otsu(maps)
        if self.rule == "otsu-each":
            return np.array([otsu(each) for each in maps])[:, None, None]
        if self.rule == "local":
            return ndimage.uniform_filter(maps, (0, 25, 25)) + 0.3 * maps.std((1, 2), keepdims=True)
        if self.rule == "best":
            known = pixels.smooth(self.maps.prepare(data.arrays["train_images"]), self.blur)
            levels = np.quantile(known, np.linspace(0.3, 0.97, 60))
            truth = data.y_train > 0
            dice = [
                2 * (truth & (known > level)).sum() / (truth.sum() + (known > level).sum())
                for level in levels
            ]
            return float(levels[int(np.argmax(dice))])
        return float(self.rule)

    def tidy(self, mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
        """Return a mask without small pieces and without holes."""
        pieces, count = ndimage.label(mask)
        sizes = ndimage.sum_labels(mask, pieces, np.arange(1, count + 1))
        kept = np.isin(pieces, np.flatnonzero(np.asarray(sizes) >= self.least) + 1)
        return ndimage.binary_fill_holes(kept)


@dataclass(frozen=True)
class MeanOf:
    """The mean of several maps."""

    members: tuple[object, ...]

    def __call__(self, data: board.Data) -> NDArray[np.float64]:
        return np.mean([data.predict(member) for member in self.members], axis=0)


# --------------------------------------------------------------------------- reference teams


def unfitted() -> dict[str, board.Entry]:
    """Thresholds on brightness, by several rules after several preparations."""
    preparations = {
        "raw": functools.partial(pixels.smooth, sigma=0),
        "blur-1": functools.partial(pixels.smooth, sigma=1),
        "blur-2": functools.partial(pixels.smooth, sigma=2),
        "median-3": functools.partial(pixels.median, size=3),
        "unit-range": pixels.unit_range,
        "above-ground": pixels.above_ground,
    }
    entries: dict[str, board.Entry] = {}
    for name, prepare in preparations.items():
        maps = Brightness(prepare)
        for rule in ("otsu", "otsu-each", "best", "local"):
            entries[f"{name} {rule}"] = Masks(maps, rule)
        entries[f"{name} best tidy"] = Masks(maps, "best", 0, 15)
    for name in ("unit-range", "above-ground"):
        maps = Brightness(preparations[name])
        for rule in ("otsu", "otsu-each", "best"):
            entries[f"{name} blurred {rule}"] = Masks(maps, rule, 1.2)
            entries[f"{name} blurred {rule} tidy"] = Masks(maps, rule, 1.2, 15)
    return entries


def fitted() -> dict[str, pixels.PixelFit]:
    """Models of pixels, by name: they give the chance that a pixel is of a nucleus."""
    grounded = functools.partial(pixels.Prepared, pixels.above_ground)
    ranged = functools.partial(pixels.Prepared, pixels.unit_range)
    features = {
        "pixel": pixels.self_only,
        "few-scales": pixels.few_scales,
        "scales": pixels.scales,
        "patches": functools.partial(pixels.patches, radius=3),
        "ranged scales": ranged(pixels.scales),
        "grounded scales": grounded(pixels.scales),
        "grounded patches": grounded(functools.partial(pixels.patches, radius=4)),
        "everything": pixels.SideBySide(
            (
                pixels.scales,
                pixels.ranks,
                pixels.whole_picture,
                ranged(pixels.scales),
                grounded(pixels.few_scales),
            )
        ),
    }
    few: dict[str, BaseEstimator] = {
        "logistic": models.scaled(LogisticRegression(max_iter=200)),
        "naive-bayes": models.classification_linear()["naive-bayes"],
        "tree-7": models.classification_simple()["tree-7"],
        "extra-trees": ExtraTreesClassifier(40, min_samples_leaf=4, random_state=0),
        "hist-boosting": HistGradientBoostingClassifier(max_iter=60, max_leaf_nodes=16, random_state=0),
        "mlp-32": models.scaled(MLPClassifier((32,), alpha=0.1, max_iter=25, random_state=0)),
    }
    more: dict[str, BaseEstimator] = {
        "lda": models.classification_linear()["lda"],
        "tree-full": DecisionTreeClassifier(random_state=0),
        "logistic-0.001": models.scaled(LogisticRegression(C=0.001)),
        "pca-8-logistic": make_pipeline(PCA(8, random_state=0), LogisticRegression(max_iter=200)),
    }
    trees = few["extra-trees"]
    return {
        **{
            f"{name} {kind}": pixels.PixelFit(make, model)
            for name, make in features.items()
            for kind, model in few.items()
            if name != "pixel" or kind in ("logistic", "hist-boosting")
        },
        **{
            f"everything {kind}": pixels.PixelFit(features["everything"], model)
            for kind, model in more.items()
        },
        **{f"scales {kind}": pixels.PixelFit(features["scales"], model) for kind, model in more.items()},
        "everything extra-trees few": pixels.PixelFit(features["everything"], trees, 800),
        "everything extra-trees many": pixels.PixelFit(features["everything"], trees, 40_000),
        "everything mlp-32 many": pixels.PixelFit(features["everything"], few["mlp-32"], 40_000),
        "grounded patches mlp-32 many": pixels.PixelFit(features["grounded patches"], few["mlp-32"], 40_000),
    }


def build_leaderboard() -> None:
    """Fit and score the reference teams."""
    maps = fitted()
    entries: dict[str, board.Entry] = {
        "guess nothing": Masks(Brightness(functools.partial(pixels.smooth, sigma=0)), 1000.0),
        "guess everything": Masks(Brightness(functools.partial(pixels.smooth, sigma=0)), -1.0),
        **unfitted(),
        **{name: Masks(each) for name, each in maps.items()},
    }
    strong = (
        "everything extra-trees",
        "everything hist-boosting",
        "everything mlp-32",
        "everything logistic",
    )
    strong += ("grounded scales extra-trees", "grounded patches mlp-32", "everything extra-trees many")
    strong += ("everything mlp-32 many", "scales extra-trees")
    for name in strong:
        entries[f"{name} blurred"] = Masks(maps[name], 0.5, 1.0)
        entries[f"{name} blurred 0.4"] = Masks(maps[name], 0.4, 1.0)
        entries[f"{name} blurred tidy"] = Masks(maps[name], 0.5, 1.0, 20)
    blends = {
        "all": strong[:4],
        "trees": ("everything extra-trees many", "grounded scales extra-trees"),
        "networks": ("everything mlp-32 many", "grounded patches mlp-32 many"),
        "best": ("everything extra-trees many", "everything mlp-32 many", "grounded patches mlp-32 many"),
    }
    for name, members in blends.items():
        mean = MeanOf(tuple(maps[member] for member in members))
        entries[f"blend {name}"] = Masks(mean)
        entries[f"blend {name} tidy"] = Masks(mean, 0.45, 0.7, 20)
    board.build_leaderboard(
        FOLDER,
        entries,
        metric="iou_map_segmentation",
        params={"pixels": SIZE * SIZE},
        target="mask",
        data=pixels.load_pixel_data(FOLDER),
    )


if __name__ == "__main__":
    common.main(build_data, build_leaderboard, FOLDER)
