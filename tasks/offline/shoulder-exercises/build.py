"""Build offline/shoulder-exercises: which exercise is a wrist doing, by four seconds of a smartwatch?

    python tasks/offline/shoulder-exercises/build.py            # data, reference leaderboard, checksums
    python tasks/offline/shoulder-exercises/build.py --data     # data only

Five people are train, five others test. Each exercised with the left and with the right arm; the recordings
are thinned from 50 to 10 values a second and cut into windows that do not overlap. Which windows belong to
one recording is not told, because they share a label.
"""

from __future__ import annotations

import io
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

import build_board as board
import build_common as common
import build_models as models
import build_signals as signals
import numpy as np
import pandas as pd
from sklearn.base import BaseEstimator
from sklearn.decomposition import PCA
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.ensemble import ExtraTreesClassifier, HistGradientBoostingClassifier, RandomForestClassifier
from sklearn.linear_model import LogisticRegression, RidgeClassifierCV
from sklearn.naive_bayes import GaussianNB
from sklearn.neighbors import KNeighborsClassifier, NearestCentroid
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.svm import SVC
from sklearn.tree import DecisionTreeClassifier

FOLDER = Path(__file__).parent
TARGET = "exercise"
CHANNELS = ["ax", "ay", "az", "wx", "wy", "wz"]
THINNING, STEPS = 5, 40
TRAIN_PEOPLE = 5
SEED = 20
EXERCISES = {
    "PEN": "pendulum",
    "ABD": "abduction",
    "FEL": "forward_elevation",
    "IR": "internal_rotation",
    "ER": "external_rotation",
    "TRAP": "trapezius_extension",
    "ROW": "row",
}


def build_data() -> None:
    """Cut the recordings into windows, give whole people to train or test, and write the task's files."""
    wheel = common.fetch_wheel(
        "seglearn", "1.2.5", sha256="ec6b952c85c9627050102854b372d85951563d3b990df677d7c55547e87413dd"
    )
    # Pickled, and read only because the checksum above is that of a wheel that was looked into.
    content = common.read_zip_member(wheel, "seglearn/data/watch_dataset.npy")
    recordings = np.load(io.BytesIO(content), allow_pickle=True).item()
    table = cut_windows(recordings)
    people = np.random.default_rng(SEED).permutation(np.sort(table["person"].unique()))
    table["person"] = table["person"].map({person: place for place, person in enumerate(people, start=1)})
    train, test = table[table["person"] <= TRAIN_PEOPLE], table[table["person"] > TRAIN_PEOPLE]
    common.write_table_task(FOLDER, train, test, target=TARGET, sample_value="row", seed=SEED)


def cut_windows(recordings: dict) -> pd.DataFrame:
    """Return one row for each window; accelerations in hundredths of g, turn rates in tenths of rad/s."""
    rows = []
    for place, recording in enumerate(recordings["X"]):
        count = len(recording) // THINNING
        thin = recording[: count * THINNING].reshape(count, THINNING, len(CHANNELS)).mean(axis=1)
        whole = np.rint(thin * np.array([50, 50, 50, 10, 10, 10])).astype(int) * np.array([2, 2, 2, 1, 1, 1])
        side = "right" if recordings["side"][place] else "left"
        label = EXERCISES[recordings["y_labels"][recordings["y"][place]]]
        for start in range(5, count - STEPS - 5, STEPS):
            window = whole[start : start + STEPS].T.ravel()
            rows.append((int(recordings["subject"][place]), side, label, *window))
    return pd.DataFrame(rows, columns=["person", "arm", TARGET, *signals.signal_columns(CHANNELS, STEPS)])


# --------------------------------------------------------------------------- reference teams


def mirrored(table: pd.DataFrame) -> pd.DataFrame:
    """Return the table with left arms turned into right ones: what points sideways changes its sign."""
    left = np.where(table["arm"] == "left", -1, 1)
    flipped = [name for name in table.columns if str(name).startswith(("ax_", "wy_", "wz_"))]
    return table.assign(**{name: table[name] * left for name in flipped})


def sizes(signals_: np.ndarray) -> np.ndarray:
    """Return acceleration and turn rate without direction, described like channels."""
    strength = np.stack(
        [np.sqrt((signals_[:, :3] ** 2).sum(axis=1)), np.sqrt((signals_[:, 3:] ** 2).sum(axis=1))], axis=1
    )
    return np.hstack([signals.summary(strength), signals.spectrum(strength)])


def sets() -> dict[str, board.FeatureMaker]:
    """Ways to read a window, from naive to rich."""
    plain: dict[str, board.FeatureMaker] = {
        "means": signals.Each(signals.means),
        "values": signals.Flat(40),
        "coarse": signals.Flat(10),
        "centred": signals.Flat(20, centred=True),
        "summary": signals.Each(signals.summary),
        "spectrum": signals.Each(signals.spectrum),
        "rich": signals.Each(signals.rich),
        "kernels": signals.Kernels(300),
    }
    mirror: dict[str, board.FeatureMaker] = {
        f"mirrored-{name}": signals.Changed(mirrored, make)
        for name, make in plain.items()
        if name not in ("spectrum", "centred")
    }
    return {**plain, **mirror, "sizes": signals.Each(sizes), "as-given": board.codes}


def build_leaderboard() -> None:
    """Fit and score the reference teams."""
    forest = RandomForestClassifier(100, random_state=models.SEED)
    extra = ExtraTreesClassifier(200, min_samples_leaf=2, random_state=models.SEED)
    boosting = HistGradientBoostingClassifier(max_iter=30, max_leaf_nodes=8, random_state=models.SEED)
    weak: dict[str, BaseEstimator] = {
        "tree-3": DecisionTreeClassifier(max_depth=3, random_state=models.SEED),
        "tree-full": DecisionTreeClassifier(random_state=models.SEED),
        "naive-bayes": GaussianNB(),
        "centroid": models.scaled(NearestCentroid()),
        "knn-1": models.scaled(KNeighborsClassifier(1)),
        "knn-15": models.scaled(KNeighborsClassifier(15)),
    }
    linear: dict[str, BaseEstimator] = {
        "logistic-0.01": models.scaled(LogisticRegression(C=0.01, max_iter=300)),
        "logistic-1": models.scaled(LogisticRegression(max_iter=300)),
        "svc-1": models.scaled(SVC()),
        "svc-10": models.scaled(SVC(C=10.0)),
    }
    trees: dict[str, BaseEstimator] = {"forest": forest, "extra-trees": extra, "boosting": boosting}
    network = models.scaled(
        MLPClassifier(hidden_layer_sizes=(64,), alpha=1.0, max_iter=100, random_state=models.SEED)
    )
    wide: dict[str, BaseEstimator] = {
        "ridge": models.scaled(RidgeClassifierCV(np.logspace(0, 4, 9))),
        "logistic-0.01": linear["logistic-0.01"],
        "pca-30 lda": models.scaled(
            make_pipeline(PCA(30, random_state=models.SEED), LinearDiscriminantAnalysis())
        ),
        "extra-trees": extra,
    }
    zoo: dict[str, dict[str, BaseEstimator]] = {
        "as-given": {**models.classification_dummies(), **weak, "forest": forest},
        "means": {**weak, **linear, "forest": forest},
        "values": {"logistic-1": linear["logistic-1"], "svc-10": linear["svc-10"], "extra-trees": extra},
        "coarse": {**weak, **linear, "forest": forest},
        "centred": {"knn-1": weak["knn-1"], "svc-10": linear["svc-10"], "forest": forest},
        "sizes": {"knn-15": weak["knn-15"], "logistic-1": linear["logistic-1"], "extra-trees": extra},
        "summary": {**weak, **linear, "forest": forest, "extra-trees": extra},
        "spectrum": {"knn-15": weak["knn-15"], "logistic-1": linear["logistic-1"], "forest": forest},
        "rich": {**linear, "forest": forest, "extra-trees": extra},
        "kernels": wide,
        "mirrored-means": {**weak, **linear, "forest": forest},
        "mirrored-values": {"svc-10": linear["svc-10"], "extra-trees": extra},
        "mirrored-coarse": {"knn-1": weak["knn-1"], **linear, "forest": forest},
        "mirrored-summary": {**weak, **linear, **trees, "network": network},
        "mirrored-rich": {**linear, **trees, "network": network},
        "mirrored-kernels": wide,
    }
    makers = sets()
    entries: dict[str, board.Entry] = {
        name: entry
        for features, zoo_models in zoo.items()
        for name, entry in board.cross({features: makers[features]}, zoo_models, output="label").items()
    }
    entries |= {
        "nearest": signals.Warped(20, 0),
        "nearest warped": signals.Warped(20, 2),
        "nearest warped centred": signals.Warped(20, 2, centred=True),
        "mirrored nearest": signals.Warped(20, 0, change=mirrored),
        "mirrored nearest warped": signals.Warped(20, 3, change=mirrored),
    }
    votes = {
        "summary": board.Fit(makers["mirrored-summary"], extra, "probabilities"),
        "rich": board.Fit(makers["mirrored-rich"], extra, "probabilities"),
        "linear": board.Fit(makers["mirrored-rich"], linear["logistic-0.01"], "probabilities"),
        "kernels": board.Fit(makers["mirrored-kernels"], linear["logistic-0.01"], "probabilities"),
        "plain": board.Fit(makers["rich"], forest, "probabilities"),
    }
    blends = {
        "vote plain and summary": ("plain", "summary"),
        "vote mirrored": ("rich", "linear"),
        "vote everything": ("rich", "linear", "kernels", "summary"),
    }
    entries |= {
        name: board.Blend(tuple(votes[member] for member in members), output="label")
        for name, members in blends.items()
    }
    entries |= {
        "a third of the rows, rich forest": signals.Few(entries["rich forest"], 0.33),
        "a tenth of the rows, summary logistic-1": signals.Few(entries["summary logistic-1"], 0.1),
    }
    board.build_leaderboard(FOLDER, entries, metric="accuracy", target=TARGET)


if __name__ == "__main__":
    common.main(build_data, build_leaderboard, FOLDER)
