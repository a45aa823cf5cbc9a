"""Build offline/emoji-styles: which group is an emoji of, when another company drew it?

    pip install pillow
    python tasks/offline/emoji-styles/build.py            # data, reference leaderboard, checksums
    python tasks/offline/emoji-styles/build.py --data     # data only

Train shows emoji as Google draws them, test shows other emoji as Twitter did. The committed pictures were
shrunk with Pillow 13.0.0.
"""

from __future__ import annotations

import functools
import io
import json
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

import build_board as board
import build_common as common
import build_models as models
import build_vision as vision
import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from sklearn.base import BaseEstimator
from sklearn.decomposition import PCA
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.linear_model import LogisticRegression
from sklearn.neighbors import KNeighborsClassifier
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.svm import SVC

FOLDER = Path(__file__).parent
TRAIN_ROWS, TEST_ROWS = 900, 600
SIZE, LEVELS = 24, 16
SEED = 1999
SHA256 = {
    "google": "fb5fd131b362aab7a55542d2a147a79708cce0a8b1c1bbacd470172708b5c438",
    "twitter": "f64a530c63bca463bd8317fdc4615ce63a53a0c65018e4ce2d848aaba7a28877",
}
GROUPS = {
    "Activities": "activities",
    "Animals & Nature": "nature",
    "Flags": "flags",
    "Food & Drink": "food",
    "Objects": "objects",
    "People & Body": "people",
    "Smileys & Emotion": "smileys",
    "Symbols": "symbols",
    "Travel & Places": "travel",
}


def read_drawings(company: str) -> tuple[list[dict], dict[str, bytes]]:
    """Return the list of emoji and the 64 x 64 PNG files of one company, by file name."""
    package = common.fetch_npm(f"emoji-datasource-{company}", "16.0.0", sha256=SHA256[company])
    drawings = dict(common.read_npm_folder(package, f"package/img/{company}/64", ".png"))
    return json.loads(common.read_npm_member(package, "package/emoji.json")), drawings


def shrink(png: bytes) -> NDArray[np.uint8]:
    """Return a drawing on white, shape (SIZE, SIZE, 3), in multiples of 17: that packs well."""
    from PIL import Image  # needed only to build

    with Image.open(io.BytesIO(png)) as file:
        drawing = file.convert("RGBA")
    paper = Image.new("RGBA", drawing.size, (255, 255, 255, 255))
    small = Image.alpha_composite(paper, drawing).convert("RGB").resize((SIZE, SIZE), Image.Resampling.BOX)
    return (np.rint(np.asarray(small) / 255 * (LEVELS - 1)) * (255 // (LEVELS - 1))).astype(np.uint8)


def build_data() -> None:
    """Deal the emoji out to the two companies and write the task's files."""
    listed, google = read_drawings("google")
    twitter = read_drawings("twitter")[1]
    pairs, labels, seen = [], [], set()
    for emoji in listed:
        name = emoji["image"]
        if emoji["category"] not in GROUPS or name not in google or name not in twitter:
            continue
        pair = shrink(google[name]), shrink(twitter[name])
        drawn = {image.tobytes() for image in pair}
        if not drawn & seen:  # Norway's flag flies on three islands
            pairs.append(pair)
            labels.append(GROUPS[emoji["category"]])
        seen |= drawn
    order = np.random.default_rng(SEED).permutation(len(pairs))
    train, test = order[:TRAIN_ROWS], order[TRAIN_ROWS : TRAIN_ROWS + TEST_ROWS]
    parts = {
        part: (np.stack([pairs[row][company] for row in rows]), np.array(labels)[rows])
        for part, company, rows in (("train", 0, train), ("test", 1, test))
    }
    distance = vision.closest_pair(parts["train"][0], parts["test"][0])
    if distance < 8.0:
        raise common.BuildError(f"A test image is only {distance:.1f} levels from a train image.")
    vision.write_image_task(FOLDER, parts["train"], parts["test"], sample_value="nature", seed=SEED)


# --------------------------------------------------------------------------- features of colour images


def grey(images: vision.Images) -> NDArray[np.float64]:
    """Return the mean of the three colours, shape (n, height, width)."""
    return images.mean(3)


def silhouette(images: vision.Images) -> NDArray[np.float64]:
    """Return 255 where something is drawn and 0 where the paper is white, shape (n, height, width)."""
    return np.where(images.min(3) < 240, 255.0, 0.0)


def filled(images: vision.Images) -> NDArray[np.float64]:
    """Return silhouettes without holes: the outline of the whole drawing."""
    return np.stack([ndimage.binary_fill_holes(shape > 0) * 255.0 for shape in silhouette(images)])


def blurred(images: vision.Images) -> NDArray[np.float64]:
    """Return the images without fine strokes, in which the companies differ most; same shape."""
    return ndimage.gaussian_filter(images.astype(float), (0, 1, 1, 0))


def colour_blocks(images: vision.Images, block: int) -> vision.Features:
    """Return the mean colour of block x block squares, shape (n, squares * 3)."""
    return np.hstack([vision.thumbnails(images[..., channel], block) for channel in range(3)])


def colour_histogram(images: vision.Images) -> vision.Features:
    """Return the square root of the share of pixels of each of 64 colours, shape (n, 64)."""
    step = np.minimum(images.astype(int) // 64, 3)
    codes = (step * np.array([16, 4, 1])).sum(3).reshape(len(images), -1)
    return np.sqrt(np.stack([np.bincount(row, minlength=64) for row in codes]) / codes.shape[1])


def colour_statistics(images: vision.Images) -> vision.Features:
    """Return mean and deviation of each colour, of saturation and of ink, shape (n, 9)."""
    flat = images.reshape(len(images), -1, 3).astype(float)
    saturation = (flat.max(2) - flat.min(2)) / 255
    ink = (silhouette(images) > 0).mean((1, 2))
    means = np.column_stack([flat.mean(1) / 255, saturation.mean(1), ink])
    return np.column_stack([means, flat.std(1) / 255, saturation.std(1)])


def opposed(images: vision.Images) -> vision.Features:
    """Return blocks of brightness, red against green and blue against yellow, shape (n, 36 * 3)."""
    red, green, blue = (images[..., channel].astype(float) for channel in range(3))
    channels = [(red + green + blue) / 3, red - green, blue - (red + green) / 2]
    return np.hstack([vision.thumbnails(channel, 4) for channel in channels])


@dataclass(frozen=True)
class OfItsCompany:
    """Features scaled within each company's drawings: their means and spreads then agree."""

    features: Callable[[vision.Images], vision.Features]

    def __call__(self, images: vision.Images) -> vision.Features:
        values = self.features(images)
        return (values - values.mean(0)) / (values.std(0) + 0.05)


@dataclass(frozen=True)
class Weighted:
    """Kinds of features side by side, each at a weight of its own."""

    makers: tuple[Callable[[vision.Images], vision.Features], ...]
    weights: tuple[float, ...]

    def __call__(self, images: vision.Images) -> vision.Features:
        parts = zip(self.makers, self.weights, strict=True)
        return np.hstack([make(images) * weight for make, weight in parts])


def mirrored(images: vision.Images) -> vision.Images:
    """Return the images followed by their mirror images, shape (n * 2, height, width, 3)."""
    return np.concatenate([images, images[:, :, ::-1]])


def varied(images: vision.Images, copies: int, seed: int) -> vision.Images:
    """Return the images followed by copies shifted, mirrored, blurred and in slightly other colours."""
    generator = np.random.default_rng(seed)
    stacks = [images.astype(float)]
    for _ in range(copies):
        shift = generator.integers(-2, 3, (len(images), 2))
        moved = np.stack(
            [
                ndimage.shift(image, (*step, 0), order=0, cval=255.0)
                for image, step in zip(stacks[0], shift, strict=True)
            ]
        )
        flip = generator.random(len(images)) < 0.5
        moved[flip] = moved[flip][:, :, ::-1]
        soft = generator.random(len(images)) < 0.5
        moved[soft] = blurred(moved[soft])
        ink = 255.0 - moved
        stacks.append(np.clip(255.0 - ink * generator.uniform(0.8, 1.2, (len(images), 1, 1, 3)), 0, 255))
    return np.concatenate(stacks)


# --------------------------------------------------------------------------- reference teams


@dataclass(frozen=True)
class SelfTrained:
    """Fits, takes the surest half of its own predictions for the test images as labels, and fits again."""

    features: Callable[[vision.Images], vision.Features]
    model: BaseEstimator

    def __call__(self, data: board.Data) -> NDArray[np.generic]:
        first = vision.ImageFit(self.features, self.model, output="probabilities")
        chances = first(data)
        labels = np.unique(data.y_train)[chances.argmax(1)]
        sure = chances.max(1) >= np.median(chances.max(1))
        inputs = self.features(data.arrays["test_images"])
        x = np.vstack([self.features(data.arrays["train_images"]), inputs[sure]])
        return self.model.fit(x, np.concatenate([data.y_train, labels[sure]])).predict(inputs)


def fit_all(
    name: str, features: object, estimators: dict[str, BaseEstimator], augment: object = None
) -> dict[str, board.Entry]:
    """Return one team for each estimator on the same features."""
    return {f"{name} {model}": vision.ImageFit(features, est, augment) for model, est in estimators.items()}


def build_leaderboard() -> None:
    """Fit and score the reference teams."""
    forests, simple = models.classification_forests(), models.classification_simple()
    few = {
        "logistic": models.scaled(LogisticRegression(C=0.01, max_iter=200)),
        "nearest": KNeighborsClassifier(1),
        "knn-5": KNeighborsClassifier(5),
        "svc-5": SVC(C=5.0),
        "extra-trees": forests["extra-trees"],
    }
    weak = {
        "naive-bayes": models.classification_linear()["naive-bayes"],
        "tree-3": simple["tree-3"],
        "tree-7": simple["tree-7"],
        "knn-40": KNeighborsClassifier(40),
    }
    more = {
        "lda-shrunk": LinearDiscriminantAnalysis(solver="lsqr", shrinkage="auto"),
        "svc-balanced": SVC(C=5.0, class_weight="balanced"),
        "logistic-balanced": LogisticRegression(max_iter=300, class_weight="balanced"),
        "pca-30-knn-5": make_pipeline(PCA(30, random_state=0), KNeighborsClassifier(5)),
        "mlp-64": models.scaled(MLPClassifier((64,), alpha=1.0, max_iter=60, random_state=0)),
    }
    logistic, nearest = few["logistic"], few["nearest"]
    strong = {"svc-balanced": more["svc-balanced"], "lda-shrunk": more["lda-shrunk"], "knn-5": few["knn-5"]}

    def of_grey(features: Callable, prepare: Callable = grey, **options: int) -> vision.Chained:
        return vision.Chained(prepare, functools.partial(features, **options) if options else features)

    blocks, fine_blocks = (functools.partial(colour_blocks, block=size) for size in (4, 2))
    gradients = of_grey(vision.gradient_histograms, cell=6)
    fine_gradients = of_grey(vision.gradient_histograms, cell=4)
    outline = of_grey(vision.gradient_histograms, filled, cell=6)
    shape = of_grey(vision.thumbnails, filled, block=3)
    soft_gradients = vision.Chained(blurred, gradients)
    both = Weighted((blocks, colour_histogram, gradients), (1.0, 2.0, 3.0))
    everything = Weighted(
        (blocks, opposed, colour_histogram, gradients, outline, shape), (1.0, 1.0, 2.0, 2.0, 2.0, 0.5)
    )
    few_copies = functools.partial(varied, copies=3, seed=1)

    entries: dict[str, board.Entry] = {
        **fit_all("guess", colour_statistics, models.classification_dummies()),
        **fit_all("colour-statistics", colour_statistics, {**few, **weak}),
        **fit_all("grey-statistics", of_grey(vision.grey_statistics), {**few, **weak}),
        **fit_all("colour-histogram", colour_histogram, {**few, **weak, **strong}),
        **fit_all("grey-profiles", of_grey(vision.profiles), few),
        **fit_all("silhouette", of_grey(vision.thumbnails, silhouette, block=3), few),
        **fit_all("outline", outline, few),
        **fit_all("grey-pixels", of_grey(vision.pixels), few),
        **fit_all("blocks", blocks, {**few, **weak, **more}),
        **fit_all("fine-blocks", fine_blocks, {**few, **strong}),
        **fit_all("pixels", vision.pixels, {**few, "tree-7": weak["tree-7"]}),
        **fit_all("opposed", opposed, {**few, **strong}),
        **fit_all("gradients", gradients, {**few, **weak, **strong}),
        **fit_all("fine-gradients", fine_gradients, few),
        **fit_all("soft-gradients", soft_gradients, few),
        **fit_all("both", both, {**few, **more}),
        **fit_all("everything", everything, {**few, **more}),
        **fit_all("own-scale blocks", OfItsCompany(blocks), {**few, **strong}),
        **fit_all("own-scale gradients", OfItsCompany(gradients), few),
        **fit_all("own-scale both", OfItsCompany(both), {**few, **more}),
        **fit_all("own-scale everything", OfItsCompany(everything), {**few, **more}),
        **fit_all("mirrored blocks", blocks, few, mirrored),
        **fit_all("mirrored everything", everything, {**few, **strong}, mirrored),
        **fit_all("varied blocks", blocks, {**few, **strong}, few_copies),
        **fit_all("varied both", both, {**few, **strong}, few_copies),
        **fit_all("varied everything", everything, {**few, **strong}, few_copies),
        "self-trained blocks": SelfTrained(OfItsCompany(blocks), logistic),
        "self-trained everything": SelfTrained(OfItsCompany(everything), logistic),
        "self-trained lda": SelfTrained(everything, more["lda-shrunk"]),
    }

    def probable(features: object, model: BaseEstimator, augment: object = None) -> board.Entry:
        return vision.ImageFit(features, model, augment, "probabilities")

    lda, trees = more["lda-shrunk"], few["extra-trees"]
    blends = {
        "vote plain": (probable(blocks, trees), probable(gradients, logistic)),
        "vote neighbours": (probable(everything, few["knn-5"]), probable(both, nearest)),
        "vote own-scale": (
            probable(OfItsCompany(both), logistic),
            probable(OfItsCompany(everything), logistic),
            probable(everything, lda),
        ),
        "vote varied": (
            probable(everything, lda, few_copies),
            probable(both, lda, few_copies),
            probable(blocks, trees, few_copies),
        ),
    }
    entries |= {name: board.Blend(members, output="label") for name, members in blends.items()}
    board.build_leaderboard(FOLDER, entries, metric="f1", params={"average": "macro"}, target="label")


if __name__ == "__main__":
    common.main(build_data, build_leaderboard, FOLDER)
