"""Build offline/vowel-speakers: which of nine men says the two vowels, by their first 64 milliseconds?

    python tasks/offline/vowel-speakers/build.py            # data, reference leaderboard, checksums
    python tasks/offline/vowel-speakers/build.py --data     # data only

Train is eight utterances of each speaker out of the recordings' first session, test all of the later
sessions. Of each utterance the first seven frames are kept, which is what the shortest one has.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

import build_board as board
import build_common as common
import build_models as models
import build_signals as signals
import numpy as np
import pandas as pd
from sklearn.base import BaseEstimator, clone
from sklearn.decomposition import PCA
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.ensemble import ExtraTreesClassifier, RandomForestClassifier
from sklearn.linear_model import LogisticRegression, RidgeClassifierCV
from sklearn.naive_bayes import GaussianNB
from sklearn.neighbors import KNeighborsClassifier, NearestCentroid
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.svm import SVC
from sklearn.tree import DecisionTreeClassifier

FOLDER = Path(__file__).parent
TARGET = "speaker"
CHANNELS = [f"lpc{number:02d}" for number in range(1, 13)]
FRAMES = 7
SHOWN = 8
"""Training utterances of each speaker."""
SEED = 9


def build_data() -> None:
    """Read both sessions, draw the training utterances and write the task's files."""
    wheel = common.fetch_wheel(
        "sktime", "1.2.0", sha256="dbffc6731d2d683b668dceb5e2bbc5804bebc8446b4c580803a281684d90e4ae"
    )
    place = "sktime/datasets/data/JapaneseVowels/JapaneseVowels"
    first, later = (
        read_utterances(common.read_zip_member(wheel, f"{place}_{part}.ts").decode())
        for part in ("TRAIN", "TEST")
    )
    train = first.groupby(TARGET).sample(SHOWN, random_state=SEED)
    common.write_table_task(FOLDER, train, later, target=TARGET, sample_value="C", seed=SEED)


def read_utterances(content: str) -> pd.DataFrame:
    """Return one row for each line of a .ts file: channels parted by colons, then the speaker's number."""
    rows = []
    for line in content.splitlines():
        if line.strip() and line[0] not in "#@":
            *channels, speaker = line.strip().split(":")
            values = [float(number) for channel in channels for number in channel.split(",")[:FRAMES]]
            rows.append([*np.round(values, 3), "ABCDEFGHI"[int(speaker) - 1]])
    return pd.DataFrame(rows, columns=[*signals.signal_columns(CHANNELS, FRAMES), TARGET])


# --------------------------------------------------------------------------- reference teams


@dataclass(frozen=True)
class Frames:
    """Classifies each frame by itself; the speaker is the one whom the frames together think likeliest.

    With `shares` the mean of the probabilities decides, else that of their logarithms.
    """

    model: BaseEstimator
    neighbours: int = 0
    shares: bool = False

    def __call__(self, data: board.Data) -> np.ndarray:
        train, test = (self.cut(signals.read_signals(rows)) for rows in (data.x_train, data.x_test))
        model = clone(self.model).fit(
            np.concatenate(train.transpose(1, 0, 2)), np.tile(data.y_train, train.shape[1])
        )
        chances = np.stack([model.predict_proba(test[:, frame]) for frame in range(test.shape[1])])
        votes = chances.mean(axis=0) if self.shares else np.log(chances + 1e-9).mean(axis=0)
        return model.classes_[votes.argmax(axis=1)]

    def cut(self, values: np.ndarray) -> np.ndarray:
        """Return frames with so many following ones, shape (rows, frames, numbers)."""
        last = values.shape[2] - self.neighbours
        pieces = [values[:, :, step : step + last] for step in range(self.neighbours + 1)]
        return np.concatenate(pieces, axis=1).transpose(0, 2, 1)


def ends(values: np.ndarray) -> np.ndarray:
    """Return the first frame, the last one and the way between them."""
    return np.hstack([values[:, :, 0], values[:, :, -1], values[:, :, -1] - values[:, :, 0]])


def course(values: np.ndarray) -> np.ndarray:
    """Return mean and slope of each channel."""
    time = np.linspace(-1, 1, values.shape[2])
    return np.hstack([values.mean(axis=2), values @ time / (time**2).sum()])


def six_channels(table: pd.DataFrame) -> pd.DataFrame:
    """Return the first six coefficients, the coarse shape of the spectrum."""
    return table[[name for name in table.columns if name < "lpc07"]]


def sets() -> dict[str, board.FeatureMaker]:
    """Ways to read an utterance, from naive to rich."""
    return {
        "first-frame": signals.Each(lambda values: values[:, :, 0]),
        "last-frame": signals.Each(lambda values: values[:, :, -1]),
        "means": signals.Each(signals.means),
        "six-means": signals.Changed(six_channels, signals.Each(signals.means)),
        "values": signals.Flat(FRAMES),
        "six-values": signals.Changed(six_channels, signals.Flat(FRAMES)),
        "centred": signals.Flat(FRAMES, centred=True),
        "ends": signals.Each(ends),
        "course": signals.Each(course),
        "summary": signals.Each(signals.summary),
        "kernels": signals.Kernels(300, steps=FRAMES),
    }


def build_leaderboard() -> None:
    """Fit and score the reference teams."""
    shrunk = LinearDiscriminantAnalysis(solver="lsqr", shrinkage="auto")
    weak: dict[str, BaseEstimator] = {
        "tree-3": DecisionTreeClassifier(max_depth=3, random_state=models.SEED),
        "tree-full": DecisionTreeClassifier(random_state=models.SEED),
        "naive-bayes": GaussianNB(),
        "centroid": NearestCentroid(),
        "knn-1": KNeighborsClassifier(1),
        "knn-1 scaled": models.scaled(KNeighborsClassifier(1)),
        "knn-9": KNeighborsClassifier(9),
    }
    linear: dict[str, BaseEstimator] = {
        "logistic-0.01": models.scaled(LogisticRegression(C=0.01, max_iter=500)),
        "logistic-1": models.scaled(LogisticRegression(max_iter=500)),
        "lda": LinearDiscriminantAnalysis(),
        "lda-shrunk": shrunk,
        "ridge": models.scaled(RidgeClassifierCV(np.logspace(-1, 3, 9))),
    }
    curved: dict[str, BaseEstimator] = {
        "svc-1": models.scaled(SVC()),
        "svc-10": models.scaled(SVC(C=10.0)),
        "forest": RandomForestClassifier(100, random_state=models.SEED),
        "extra-trees": ExtraTreesClassifier(150, random_state=models.SEED),
    }
    network = {
        "network": models.scaled(
            MLPClassifier(hidden_layer_sizes=(48,), alpha=1.0, max_iter=150, random_state=models.SEED)
        )
    }
    few = {
        "logistic-1": linear["logistic-1"],
        "svc-10": curved["svc-10"],
        "lda-shrunk": shrunk,
        "knn-1": weak["knn-1"],
    }
    zoo: dict[str, dict[str, BaseEstimator]] = {
        "first-frame": {**models.classification_dummies(), **few, **weak},
        "last-frame": {**few, "tree-full": weak["tree-full"], "forest": curved["forest"]},
        "six-means": {**few, "tree-full": weak["tree-full"], "forest": curved["forest"]},
        "means": {**weak, **linear, **curved},
        "six-values": {**few, "forest": curved["forest"]},
        "values": {
            **weak,
            **linear,
            **curved,
            **network,
            "pca-20 lda": make_pipeline(PCA(20, random_state=0), shrunk),
        },
        "centred": {**few, "knn-9": weak["knn-9"]},
        "ends": {**few, "extra-trees": curved["extra-trees"], "tree-3": weak["tree-3"]},
        "course": {**linear, **curved, **network, "knn-1": weak["knn-1"]},
        "summary": {**weak, **linear, **curved},
        "kernels": {"ridge": linear["ridge"], "logistic-0.01": linear["logistic-0.01"], "lda-shrunk": shrunk},
    }
    makers = sets()
    entries: dict[str, board.Entry] = {
        name: entry
        for features, zoo_models in zoo.items()
        for name, entry in board.cross({features: makers[features]}, zoo_models, output="label").items()
    }
    singles: dict[str, BaseEstimator] = {
        "logistic-1": linear["logistic-1"],
        "lda": linear["lda"],
        "naive-bayes": weak["naive-bayes"],
        "knn-9": weak["knn-9"],
        "forest": curved["forest"],
    }
    entries |= {f"frame by frame {name}": Frames(model) for name, model in singles.items()}
    entries |= {
        f"frame by frame {name}, mean": Frames(singles[name], shares=True)
        for name in ("logistic-1", "forest")
    }
    entries |= {
        f"frames in threes {name}": Frames(singles[name], 2) for name in ("logistic-1", "lda", "forest")
    }
    entries |= {
        "nearest warped": signals.Warped(FRAMES, 1),
        "nearest warped far": signals.Warped(FRAMES, 3),
        "nearest warped centred": signals.Warped(FRAMES, 1, centred=True),
        "half of the rows, values lda-shrunk": signals.Few(entries["values lda-shrunk"], 0.5),
        "half of the rows, means svc-10": signals.Few(entries["means svc-10"], 0.5),
        "a quarter of the rows, values knn-1": signals.Few(entries["values knn-1"], 0.25),
    }
    votes = {
        "values": board.Fit(makers["values"], shrunk, "probabilities"),
        "course": board.Fit(makers["course"], linear["logistic-1"], "probabilities"),
        "trees": board.Fit(makers["values"], curved["extra-trees"], "probabilities"),
        "kernels": board.Fit(makers["kernels"], linear["logistic-0.01"], "probabilities"),
    }
    blends = {
        "vote values and course": ("values", "course"),
        "vote trees and course": ("trees", "course"),
        "vote everything": ("values", "course", "trees", "kernels"),
    }
    entries |= {
        name: board.Blend(tuple(votes[member] for member in members), output="label")
        for name, members in blends.items()
    }
    board.build_leaderboard(FOLDER, entries, metric="f1", params={"average": "macro"}, target=TARGET)


if __name__ == "__main__":
    common.main(build_data, build_leaderboard, FOLDER)
