"""Build offline/texture-patches: small patches of brick, grass and gravel under changing exposure and noise.

    pip install pillow
    python tasks/offline/texture-patches/build.py            # data, reference leaderboard, checksums
    python tasks/offline/texture-patches/build.py --data     # data only

Train patches come from the left half of each photo, test patches from the right half, so none overlap.
The pinned wheel is the one that pip picks with Python 3.11 on Linux x86-64; the photos are the same in all.
"""

from __future__ import annotations

import functools
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

import build_board as board
import build_common as common
import build_models as models
import build_vision as vision
import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator
from sklearn.decomposition import PCA
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.neighbors import KNeighborsClassifier
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.svm import SVC

FOLDER = Path(__file__).parent
LABELS = ("brick", "grass", "gravel")
SIZE = 32
STEP_DOWN, STEP_ACROSS = 24, 32
SEED = 512


def read_photo(label: str) -> NDArray[np.uint8]:
    """Return one photo, 512 x 512."""
    wheel = common.fetch_wheel(
        "scikit-image", "0.26.0", sha256="74aa5518ccea28121f57a95374581d3b979839adc25bb03f289b1bc9b99c58af"
    )
    return vision.read_gray_png(common.read_zip_member(wheel, f"skimage/data/{label}.png"))


def corners(left: int, right: int) -> list[tuple[int, int]]:
    """Return the top left corners of all patches that lie between two columns of a photo."""
    return [
        (row, column)
        for row in range(0, 512 - SIZE + 1, STEP_DOWN)
        for column in range(left, right - SIZE + 1, STEP_ACROSS)
    ]


def shoot(patch: NDArray[np.uint8], generator: np.random.Generator) -> NDArray[np.uint8]:
    """Return the patch as another camera would take it: turned, mirrored, re-exposed and noisy."""
    turned = np.rot90(patch.astype(float), generator.integers(4))
    if generator.integers(2):
        turned = turned[:, ::-1]
    contrast, brightness = generator.uniform(14, 38), generator.uniform(90, 165)
    noise = generator.normal(0, generator.uniform(4, 16), patch.shape)
    exposed = (turned - turned.mean()) / turned.std() * contrast + brightness + noise
    return np.clip(np.rint(exposed), 0, 255).astype(np.uint8)


def build_data() -> None:
    """Cut the patches and write the task's files."""
    generator = np.random.default_rng(SEED)
    halves = {"train": corners(0, 256), "test": corners(256, 512)}
    if max(c for _, c in halves["train"]) + SIZE > min(c for _, c in halves["test"]):
        raise common.BuildError("A train patch overlaps a test patch.")
    parts = {}
    for part, places in halves.items():
        photos = {label: read_photo(label) for label in LABELS}
        patches = [
            shoot(photos[label][row : row + SIZE, column : column + SIZE], generator)
            for label in LABELS
            for row, column in places
        ]
        parts[part] = np.stack(patches), np.repeat(LABELS, len(places))
    distance = vision.closest_pair(parts["train"][0], parts["test"][0])
    if distance < 8.0:
        raise common.BuildError(f"A test patch is only {distance:.1f} grey levels from a train patch.")
    vision.write_image_task(FOLDER, parts["train"], parts["test"], sample_value=LABELS[0], seed=SEED)


# --------------------------------------------------------------------------- reference teams


def small_models() -> dict[str, BaseEstimator]:
    """One of each kind, for many kinds of features."""
    return {
        "logistic": models.scaled(LogisticRegression(max_iter=500)),
        "naive-bayes": models.classification_linear()["naive-bayes"],
        "knn-5": models.scaled(KNeighborsClassifier(5)),
        "tree-7": models.classification_simple()["tree-7"],
        "forest": models.classification_forests()["forest"],
        "svc-3": models.scaled(SVC(C=3.0)),
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
    normal_pixels = vision.Chained(vision.standardised, vision.pixels)
    uniform = functools.partial(vision.binary_patterns, uniform=True)
    gradients = functools.partial(vision.gradient_histograms, cell=32)
    grid = functools.partial(vision.gradient_histograms, cell=8)
    spectra = vision.Together((vision.radial_spectrum, vision.spectrum_sectors))
    both = vision.Together((spectra, vision.binary_patterns))
    statistics = vision.Together((spectra, vision.cooccurrence, vision.filter_energy))
    everything = vision.Together((statistics, uniform, vision.gradient_histograms))

    small, forests = small_models(), models.classification_forests()
    strong = {name: small[name] for name in ("logistic", "forest", "svc-3")}
    network = {"mlp-64": models.scaled(MLPClassifier((64,), alpha=0.1, max_iter=120, random_state=0))}
    boosted = {"hist-boosting": HistGradientBoostingClassifier(max_iter=60, max_leaf_nodes=8, random_state=0)}
    raw_kernels = {"svc-1": SVC(), "svc-10": SVC(C=10.0)}
    projected = {
        f"pca-{size}-{name}": make_pipeline(PCA(size, random_state=0), model)
        for size in (5, 30)
        for name, model in {"svc-3": SVC(C=3.0), "knn-5": KNeighborsClassifier(5)}.items()
    }
    plain = {**models.classification_linear(), **models.classification_simple()}
    del plain["qda"]  # more columns than images of a class
    lda = {"lda": plain["lda"]}
    entries: dict[str, board.Entry] = {
        **fit_all("guess", vision.grey_statistics, models.classification_dummies()),
        **fit_all("grey-statistics", vision.grey_statistics, small),
        **fit_all("grey-histogram", vision.grey_histogram, small),
        **fit_all("profiles", vision.profiles, small),
        **fit_all("thumbnail", thumbs, {**plain, **small, **raw_kernels}),
        **fit_all("pixels", vision.pixels, {**plain, **small, **forests, **raw_kernels}),
        **fit_all("pixels", vision.pixels, {**projected, **network}),
        **fit_all("normal pixels", normal_pixels, {**small, **forests, **raw_kernels}),
        **fit_all("all-turns pixels", vision.pixels, {"forest": forests["forest"]}, vision.quarter_turns),
        **fit_all("gradients-whole", gradients, small),
        **fit_all("gradients-grid", grid, {**small, **raw_kernels}),
        **fit_all("uniform-patterns", uniform, {**small, **boosted}),
        **fit_all("patterns", vision.binary_patterns, {**small, **raw_kernels, **lda}),
        **fit_all("cooccurrence", vision.cooccurrence, {**small, **lda}),
        **fit_all("spectrum", vision.radial_spectrum, {**small, **boosted, **lda}),
        **fit_all("spectrum-and-direction", spectra, strong),
        **fit_all("filter-energy", vision.filter_energy, {**small, **lda}),
        **fit_all("spectrum-and-patterns", both, {**strong, **network, **lda}),
        **fit_all("statistics", statistics, {**strong, **network, **boosted, **lda}),
        **fit_all("everything", everything, {**strong, **network, **boosted}),
    }

    def probable(features: object, model: BaseEstimator) -> board.Entry:
        return vision.ImageFit(features, model, None, "probabilities")

    entries["blend pixels and greys"] = board.Blend(
        (probable(vision.pixels, forests["forest"]), probable(vision.grey_histogram, small["logistic"])),
        output="label",
    )
    entries["blend statistics"] = board.Blend(
        (
            probable(statistics, network["mlp-64"]),
            probable(both, network["mlp-64"]),
            probable(statistics, lda["lda"]),
        ),
        output="label",
    )
    board.build_leaderboard(FOLDER, entries, metric="accuracy", target="label")


if __name__ == "__main__":
    common.main(build_data, build_leaderboard, FOLDER)
