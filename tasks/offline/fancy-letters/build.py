"""Build offline/fancy-letters: the letters A to J, in decorative typefaces that were not seen before.

    pip install pillow
    python tasks/offline/fancy-letters/build.py            # data, reference leaderboard, checksums
    python tasks/offline/fancy-letters/build.py --data     # data only

Whole families of typefaces are train or test. The committed pictures were drawn by Pillow 13.0.0 with
FreeType 2.14.3; others may draw some pixels a little differently.
"""

from __future__ import annotations

import functools
import io
import re
import subprocess
import sys
import tarfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

import build_board as board
import build_common as common
import build_models as models
import build_vision as vision
import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import ndimage
from sklearn.base import BaseEstimator
from sklearn.decomposition import PCA
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.linear_model import LogisticRegression
from sklearn.neighbors import KNeighborsClassifier, NearestCentroid
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.svm import SVC, LinearSVC

FOLDER = Path(__file__).parent
LETTERS = "ABCDEFGHIJ"
SIZE, EDGE = 24, 2
TRAIN_FONTS, TEST_FONTS = 120, 80
SEED = 26
SAME = 0.98
"""Correlation from which a test letter is too like a training letter: many an I is the same bar."""


# --------------------------------------------------------------------------- data


def read_fonts() -> list[bytes]:
    """Return the typefaces of the package, by file name."""
    path = common.fetch_deb(
        "fonts-aenigma",
        "0.0.20080511+dfsg-4",
        sha256="c7f33a4e5932af82a92c81a5a993a1d117c4309b47532cb0d9c3ad34bc54f5a8",
    )
    listing = subprocess.run(["dpkg-deb", "--fsys-tarfile", str(path)], capture_output=True, check=True)
    with tarfile.open(fileobj=io.BytesIO(listing.stdout)) as archive:
        members = {member.name: member for member in archive if member.name.endswith(".ttf")}
        return [archive.extractfile(members[name]).read() for name in sorted(members)]  # type: ignore[union-attr]


def draw(content: bytes) -> tuple[str, NDArray[np.uint8]]:
    """Return the family of a typeface and its letters, shape (10, SIZE, SIZE), ink 255 on 0."""
    from PIL import Image, ImageDraw, ImageFont  # needed only to build

    font = ImageFont.truetype(io.BytesIO(content), 96, layout_engine=ImageFont.Layout.BASIC)
    glyphs = np.zeros((len(LETTERS), SIZE, SIZE), dtype=np.uint8)
    for glyph, letter in zip(glyphs, LETTERS, strict=True):
        sheet = Image.new("L", (400, 400), 0)
        ImageDraw.Draw(sheet).text((120, 120), letter, fill=255, font=font)
        box = sheet.getbbox()
        if box is None:
            continue
        width, height = box[2] - box[0], box[3] - box[1]
        scale = (SIZE - 2 * EDGE) / max(width, height)
        size = max(1, round(width * scale)), max(1, round(height * scale))
        small = np.asarray(sheet.crop(box).resize(size, Image.Resampling.BOX))
        top, left = (SIZE - size[1]) // 2, (SIZE - size[0]) // 2
        glyph[top : top + size[1], left : left + size[0]] = small
    words = re.findall(r"[a-z]{2,}", (font.getname()[0] or "").casefold())
    return words[0], glyphs  # the words after the first tell the typefaces of a family apart


def build_data() -> None:
    """Draw the letters, deal the families out and write the task's files."""
    families, drawn = [], []
    for content in read_fonts():
        family, glyphs = draw(content)
        if len({glyph.tobytes() for glyph in glyphs}) == len(LETTERS):  # one typeface is all blank
            families.append(family)
            drawn.append(glyphs)
    names = np.array(families)
    order = np.random.default_rng(SEED).permutation(np.unique(names))
    fonts = np.concatenate([np.flatnonzero(names == name) for name in order])
    on_the_border = names[fonts[TRAIN_FONTS]]  # which may reach into train, and stays out of the test
    rest = fonts[TRAIN_FONTS:][names[fonts[TRAIN_FONTS:]] != on_the_border]
    parts = {}
    for part, chosen in (("train", fonts[:TRAIN_FONTS]), ("test", rest[:TEST_FONTS])):
        images = np.concatenate([drawn[font] for font in chosen])
        parts[part] = images, np.tile(list(LETTERS), len(chosen)), np.repeat(names[chosen], len(LETTERS))
    if set(parts["train"][2]) & set(parts["test"][2]):
        raise common.BuildError("A family is on both sides.")
    # Some letters of a family are the same in all of its typefaces: each picture is kept once.
    for part, (images, labels, of_family) in parts.items():
        kept = np.sort(np.unique(images.reshape(len(images), -1), axis=0, return_index=True)[1])
        parts[part] = images[kept], labels[kept], of_family[kept]
    train, test = parts["train"], parts["test"]
    new = (unit_rows(test[0]) @ unit_rows(train[0]).T).max(axis=1) < SAME
    groups = pd.Series(test[2][new])
    vision.write_image_task(
        FOLDER, train[:2], (test[0][new], test[1][new]), sample_value="A", seed=SEED, part_groups=groups
    )


def unit_rows(images: NDArray[np.uint8]) -> NDArray[np.float64]:
    """Return images as rows of mean 0 and length 1, so that a product is a correlation."""
    rows = images.reshape(len(images), -1).astype(float)
    rows -= rows.mean(axis=1, keepdims=True)
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


# --------------------------------------------------------------------------- what a letter looks like


def blurred(images: vision.Images, sigma: float) -> NDArray[np.float64]:
    """Return the images without their fine ornaments, same shape."""
    return ndimage.gaussian_filter(images.astype(float), (0, sigma, sigma))


def closed(images: vision.Images) -> NDArray[np.float64]:
    """Return strokes with small gaps and outlines filled up, same shape."""
    return ndimage.grey_closing(images.astype(float), (1, 3, 3))


def solid(images: vision.Images) -> NDArray[np.float64]:
    """Return strokes with small gaps filled up, and letters cut out of a block as ink; same shape.

    Where hardly any paper is left inside the box of the letter, ink and paper change places.
    """
    ink = closed(images)
    box = ink[:, EDGE:-EDGE, EDGE:-EDGE]
    inverted = (box > 128).mean((1, 2)) > 0.7
    turned = ink.copy()
    turned[inverted, EDGE:-EDGE, EDGE:-EDGE] = 255 - box[inverted]
    return turned


def stretched(images: vision.Images) -> NDArray[np.float64]:
    """Return each letter as wide as it is high, same shape."""
    wide = np.zeros(images.shape)
    inner = images.shape[1] - 2 * EDGE
    for target, image in zip(wide, images.astype(float), strict=True):
        rows, columns = np.flatnonzero(image.max(1) > 40), np.flatnonzero(image.max(0) > 40)
        if not len(rows):
            continue
        cut = image[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
        ways = [np.linspace(0, side - 1, inner) for side in cut.shape]
        target[EDGE:-EDGE, EDGE:-EDGE] = ndimage.map_coordinates(
            cut, np.meshgrid(*ways, indexing="ij"), order=1
        )
    return wide


def bays(images: vision.Images) -> vision.Features:
    """Return how much paper is enclosed, or open to one of four sides only, in a 3 x 3 grid: shape (n, 45).

    Enclosed paper tells A and B from C and G, wherever the ornament is.
    """
    ink = images > 110
    n, side = ink.shape[:2]
    seen = [np.maximum.accumulate(ink, axis=1), np.maximum.accumulate(ink[:, ::-1], axis=1)[:, ::-1]]
    seen += [np.maximum.accumulate(ink, axis=2), np.maximum.accumulate(ink[:, :, ::-1], axis=2)[:, :, ::-1]]
    blocked = np.stack(seen)  # ink above, below, to the left, to the right
    kinds = [blocked.all(axis=0) & ~ink]
    kinds += [np.delete(blocked, way, axis=0).all(axis=0) & ~blocked[way] & ~ink for way in range(4)]
    step = side // 3
    grids = [kind.reshape(n, 3, step, 3, step).mean((2, 4)).reshape(n, -1) for kind in kinds]
    return np.hstack(grids)


def reshaped(images: vision.Images, copies: int, seed: int) -> vision.Images:
    """Return the images followed by copies stretched, sheared, thickened or thinned, shape (n * .., h, w)."""
    generator = np.random.default_rng(seed)
    stacks = [images.astype(float)]
    middle = (images.shape[1] - 1) / 2
    for _ in range(copies):
        copy = np.empty(images.shape)
        for target, image in zip(copy, stacks[0], strict=True):
            high, wide = generator.uniform(0.85, 1.3, 2)
            turn = np.array([[high, generator.uniform(-0.1, 0.1)], [generator.uniform(-0.25, 0.25), wide]])
            offset = middle - turn @ np.full(2, middle) + generator.uniform(-1, 1, 2)
            moved = ndimage.affine_transform(image, turn, offset=offset, order=1)
            kind = generator.integers(4)
            if kind == 0:
                moved = ndimage.grey_dilation(moved, (2, 2))
            elif kind == 1:
                moved = ndimage.gaussian_filter(moved, 0.8)
            target[:] = moved
        stacks.append(copy)
    return np.concatenate(stacks)


# --------------------------------------------------------------------------- reference teams


def fit_all(
    name: str, features: object, estimators: dict[str, BaseEstimator], augment: object = None
) -> dict[str, board.Entry]:
    """Return one team for each estimator on the same features."""
    return {f"{name} {model}": vision.ImageFit(features, est, augment) for model, est in estimators.items()}


def build_leaderboard() -> None:
    """Fit and score the reference teams."""
    forests, simple = models.classification_forests(), models.classification_simple()
    few = {
        "logistic": LogisticRegression(max_iter=200),
        "knn-3": KNeighborsClassifier(3),
        "svc-10": SVC(C=10.0),
        "extra-trees": forests["extra-trees"],
    }
    more = {
        "nearest-centroid": NearestCentroid(),
        "naive-bayes": models.classification_linear()["naive-bayes"],
        "lda-shrunk": LinearDiscriminantAnalysis(solver="lsqr", shrinkage="auto"),
        "tree-3": simple["tree-3"],
        "tree-7": simple["tree-7"],
        "nearest": KNeighborsClassifier(1),
        "knn-15": KNeighborsClassifier(15),
        "linear-svc": LinearSVC(C=0.1, max_iter=3000, random_state=0),
        "svc-poly-3": SVC(kernel="poly", degree=3, coef0=1.0),
        "forest-10": forests["forest-10"],
        "forest-shallow": forests["forest-shallow"],
    }
    projected = {
        f"pca-{size}-{name}": make_pipeline(PCA(size, random_state=0), model)
        for size in (3, 12, 40)
        for name, model in {"knn-3": KNeighborsClassifier(3), "svc-10": SVC(C=10.0)}.items()
    }
    networks = {"mlp-64": MLPClassifier((64,), alpha=0.1, max_iter=50, random_state=0)}
    strong = {
        "svc-10": few["svc-10"],
        "svc-poly-3": more["svc-poly-3"],
        "logistic": few["logistic"],
        **networks,
    }

    thumbs = functools.partial(vision.thumbnails, block=3)
    coarse, fine = (functools.partial(vision.gradient_histograms, cell=size) for size in (8, 4))
    soft = functools.partial(blurred, sigma=1.2)
    very_soft = functools.partial(blurred, sigma=2.5)
    shapes = vision.Chained(solid, bays)
    square_bays = vision.Chained(stretched, bays)
    square_gradients = vision.Chained(stretched, fine)
    soft_gradients = vision.Chained(soft, fine)
    together = vision.Together((square_gradients, square_bays, vision.Chained(soft, thumbs)))
    everything = vision.Together((soft_gradients, square_gradients, bays, square_bays, shapes, thumbs))
    few_copies = functools.partial(reshaped, copies=2, seed=1)

    entries: dict[str, board.Entry] = {
        **fit_all("guess", vision.profiles, models.classification_dummies()),
        **fit_all("grey-statistics", vision.grey_statistics, {**few, "tree-7": more["tree-7"]}),
        **fit_all("shape-moments", vision.shape_moments, {"extra-trees": few["extra-trees"]}),
        **fit_all("profiles", vision.profiles, {**few, "tree-7": more["tree-7"]}),
        **fit_all("thumbnail", thumbs, {**few, **more}),
        **fit_all("pixels", vision.pixels, {**few, **more, **projected, **networks}),
        **fit_all("soft pixels", vision.Chained(soft, vision.pixels), {**few, **networks}),
        **fit_all("very-soft pixels", vision.Chained(very_soft, vision.pixels), few),
        **fit_all("solid pixels", vision.Chained(solid, vision.pixels), few),
        **fit_all("square pixels", vision.Chained(stretched, vision.pixels), {**few, **networks}),
        **fit_all("bays", bays, {**few, **more}),
        **fit_all("square bays", square_bays, {**few, **networks}),
        **fit_all("solid bays", shapes, few),
        **fit_all("gradients-8", coarse, few),
        **fit_all("gradients-4", fine, {**few, **more}),
        **fit_all("soft gradients-4", soft_gradients, {**few, **strong}),
        **fit_all("square gradients-4", square_gradients, {**few, **strong}),
        **fit_all("together", together, {**few, **strong, "lda-shrunk": more["lda-shrunk"]}),
        **fit_all("everything", everything, {**few, **strong, "lda-shrunk": more["lda-shrunk"]}),
        **fit_all("reshaped pixels", vision.pixels, few, few_copies),
        **fit_all("reshaped gradients-4", fine, strong, few_copies),
        **fit_all("reshaped together", together, strong, few_copies),
    }

    def probable(features: object, model: BaseEstimator, augment: object = None) -> board.Entry:
        return vision.ImageFit(features, model, augment, "probabilities")

    network, logistic, trees = networks["mlp-64"], few["logistic"], few["extra-trees"]
    blends = {
        "vote pixels": (probable(vision.pixels, trees), probable(thumbs, logistic)),
        "vote shapes": (probable(bays, trees), probable(square_bays, logistic)),
        "vote all": (
            probable(together, logistic),
            probable(everything, trees),
            probable(together, network),
        ),
        "vote reshaped": (
            probable(together, network, few_copies),
            probable(together, logistic, few_copies),
            probable(everything, trees),
        ),
    }
    entries |= {name: board.Blend(members, output="label") for name, members in blends.items()}
    board.build_leaderboard(FOLDER, entries, metric="accuracy", target="label")


if __name__ == "__main__":
    common.main(build_data, build_leaderboard, FOLDER)
