"""Build offline/spoken-vowels: eleven vowels, trained on eight voices and tested on seven others."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

import build_board as board
import build_common as common
import build_models as models
import numpy as np
import pandas as pd
from sklearn.base import BaseEstimator
from sklearn.cluster import AgglomerativeClustering
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.model_selection import GridSearchCV, GroupKFold, KFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC

FOLDER = Path(__file__).parent
TARGET = "word"
SEED = 1989
TRAIN_SPEAKERS = 8  # as in Deterding's own split
WORDS = {
    "hid": "heed",
    "hId": "hid",
    "hEd": "head",
    "hAd": "had",
    "hYd": "hud",
    "had": "hard",
    "hOd": "hod",
    "hod": "hoard",
    "hUd": "hood",
    "hud": "whod",
    "hed": "heard",
}
FRAMES = 6  # of each word by each speaker


def build_data() -> None:
    """Write the data: speakers never cross the split, and their numbers are drawn anew."""
    deb = common.fetch_deb(
        "r-cran-mlbench",
        "2.1-3-1",
        sha256="2f1127f7b5e7d08703b13b52ef1976a0c355a7660d6ac575e29b87b13921bc06",
    )
    source = common.read_rda(common.read_deb_member(deb, "Vowel.rda"))["Vowel"]
    speaker = source["V1"].astype(str).astype(int).to_numpy()
    numbers = np.random.default_rng(SEED).permutation(speaker.max() + 1) + 1
    table = pd.DataFrame({"speaker": numbers[speaker]})
    for index in range(1, 10):
        table[f"ratio_{index}"] = source[f"V{index + 1}"].to_numpy(float)
    table[TARGET] = source["Class"].astype(str).map(WORDS).to_numpy()
    hidden = speaker >= TRAIN_SPEAKERS
    common.write_table_task(
        FOLDER,
        table[~hidden],
        table[hidden],
        target=TARGET,
        sample_value="heed",
        part_groups=table.loc[hidden, "speaker"],
        seed=SEED,
    )


# --------------------------------------------------------------------------- features


def ratios(train: pd.DataFrame, test: pd.DataFrame) -> tuple[np.ndarray, np.ndarray]:
    """The nine ratios as they are, without the speaker."""
    return train.drop(columns="speaker").to_numpy(), test.drop(columns="speaker").to_numpy()


def first_two(train: pd.DataFrame, test: pd.DataFrame) -> tuple[np.ndarray, np.ndarray]:
    """The first two ratios, which matter most."""
    return board.first_columns(train, test, columns=("ratio_1", "ratio_2"))


def _by_speaker(table: pd.DataFrame, *, scale: bool) -> np.ndarray:
    """Return ratios relative to the speaker's own mean, and to the speaker's own spread if asked."""
    voices = table.groupby("speaker")
    values = table.drop(columns="speaker") - voices.transform("mean")
    return (values / voices.transform("std") if scale else values).to_numpy()


def centred(train: pd.DataFrame, test: pd.DataFrame) -> tuple[np.ndarray, np.ndarray]:
    """Ratios less the mean of the speaker, who read all words, so that it is a trait of the voice."""
    return _by_speaker(train, scale=False), _by_speaker(test, scale=False)


def standardised(train: pd.DataFrame, test: pd.DataFrame) -> tuple[np.ndarray, np.ndarray]:
    """Ratios in units of the speaker's own spread."""
    return _by_speaker(train, scale=True), _by_speaker(test, scale=True)


def raw_and_centred(train: pd.DataFrame, test: pd.DataFrame) -> tuple[np.ndarray, np.ndarray]:
    """Ratios as they are, beside those relative to the speaker."""
    plain, relative = ratios(train, test), centred(train, test)
    return np.hstack([plain[0], relative[0]]), np.hstack([plain[1], relative[1]])


# --------------------------------------------------------------------------- entries


@dataclass(frozen=True)
class OneVoiceAtATime:
    """Another entry's probabilities, made to fit what is known of a speaker's frames.

    `smooth` averages them over groups of frames that sound alike: the frames of one word. `even` scales
    them until each word has its six frames (Sinkhorn's iteration).
    """

    member: board.Entry
    smooth: bool = False
    even: bool = False

    def __call__(self, data: board.Data) -> np.ndarray:
        """Return the probabilities, shape (test rows, words)."""
        chances = data.predict(self.member).copy() + 1e-4
        voices, sounds = data.x_test["speaker"].to_numpy(), ratios(data.x_train, data.x_test)[1]
        for voice in np.unique(voices):
            rows = np.flatnonzero(voices == voice)
            if self.smooth:
                alike = AgglomerativeClustering(n_clusters=16, linkage="average").fit_predict(sounds[rows])
                for cluster in np.unique(alike):
                    members = rows[alike == cluster]
                    chances[members] = chances[members].mean(axis=0)
            for _ in range(50 if self.even else 0):
                chances[rows] *= FRAMES / chances[rows].sum(axis=0)
                chances[rows] /= chances[rows].sum(axis=1, keepdims=True)
        return chances


@dataclass(frozen=True)
class Tuned:
    """A support vector machine tuned by cross-validation: over frames at random, or over whole speakers."""

    features: board.FeatureMaker
    whole_speakers: bool

    def __call__(self, data: board.Data) -> np.ndarray:
        """Return words for the test rows."""
        folds = GroupKFold(4) if self.whole_speakers else KFold(4, shuffle=True, random_state=models.SEED)
        grid = {"svc__C": [0.3, 1.0, 5.0, 30.0], "svc__gamma": [0.01, 0.03, 0.1, 0.3]}
        search = GridSearchCV(make_pipeline(StandardScaler(), SVC()), grid, cv=folds)
        x_train, x_test = self.features(data.x_train, data.x_test)
        return search.fit(x_train, data.y_train, groups=data.x_train["speaker"]).predict(x_test)


def kernels() -> dict[str, BaseEstimator]:
    """Support vector machines and discriminants of several widths."""
    return {
        "svc-1": models.scaled(SVC()),
        "svc-10": models.scaled(SVC(C=10.0)),
        "svc-30-narrow": models.scaled(SVC(C=30.0, gamma=0.5)),
        "svc-3-wide": models.scaled(SVC(C=3.0, gamma=0.03)),
        "svc-linear": models.scaled(SVC(kernel="linear")),
        "lda-shrunk": LinearDiscriminantAnalysis(solver="lsqr", shrinkage=0.2),
    }


def build_leaderboard() -> None:
    """Fit and score the reference teams."""
    linear, simple = models.classification_linear(), models.classification_simple()
    forests, smooth = models.classification_forests(), models.classification_smooth()
    boosting = models.classification_boosting()
    few_boosting = {name: boosting[name] for name in ("boosting-10", "hist-boosting-slow")}
    few_simple = {name: simple[name] for name in ("knn-1", "knn-5", "knn-10-distance", "tree-full", "mlp-16")}
    few_forests = {
        name: forests[name] for name in ("forest", "forest-leaf-5", "extra-trees", "extra-trees-leaf-5")
    }
    network = {"mlp-64": smooth["mlp-64"]}
    sets: dict[str, tuple[board.FeatureMaker, dict[str, BaseEstimator]]] = {
        "numbers": (
            board.numbers,
            {**models.classification_dummies(), **simple, **forests, **few_boosting},
        ),
        "two": (first_two, {**{name: linear[name] for name in ("lda", "qda", "naive-bayes")}, **few_simple}),
        "ratios": (ratios, {**linear, **few_simple, **few_forests, **kernels(), **network}),
        "centred": (centred, {**linear, **few_simple, **few_forests, **kernels(), **network}),
        "standardised": (standardised, {**linear, **few_simple, **few_forests, **kernels(), **network}),
        "both": (raw_and_centred, {**few_forests, **kernels(), **network, "lda": linear["lda"]}),
    }
    entries: dict[str, board.Entry] = {}
    for name, (features, zoo) in sets.items():
        entries |= board.cross({name: features}, zoo, output="label")
    for name, features in {"ratios": ratios, "centred": centred, "both": raw_and_centred}.items():
        entries[f"{name} tuned over frames"] = Tuned(features, whole_speakers=False)
        entries[f"{name} tuned over speakers"] = Tuned(features, whole_speakers=True)

    members = {
        "ratios svc": board.Fit(ratios, smooth["svc-10"], "probabilities"),
        "ratios extra-trees": board.Fit(ratios, forests["extra-trees"], "probabilities"),
        "ratios qda": board.Fit(ratios, linear["qda"], "probabilities"),
        "centred svc": board.Fit(centred, smooth["svc-10"], "probabilities"),
        "centred extra-trees": board.Fit(centred, forests["extra-trees"], "probabilities"),
        "centred lda": board.Fit(centred, linear["lda"], "probabilities"),
        "standardised svc": board.Fit(standardised, smooth["svc-10"], "probabilities"),
        "both extra-trees": board.Fit(raw_and_centred, forests["extra-trees"], "probabilities"),
        "both network": board.Fit(raw_and_centred, smooth["mlp-64"], "probabilities"),
    }
    everything = board.Blend(tuple(members.values()))
    relative = board.Blend((members["centred svc"], members["standardised svc"], members["both network"]))
    votes: dict[str, board.Entry] = {
        "vote ratios": board.Blend((members["ratios svc"], members["ratios extra-trees"])),
        "vote relative": relative,
        "vote everything": everything,
        **{f"smooth {name}": OneVoiceAtATime(member, smooth=True) for name, member in members.items()},
        **{f"even {name}": OneVoiceAtATime(member, even=True) for name, member in members.items()},
        "smooth everything": OneVoiceAtATime(everything, smooth=True),
        "even everything": OneVoiceAtATime(everything, even=True),
        "smooth and even relative": OneVoiceAtATime(relative, smooth=True, even=True),
        "smooth and even everything": OneVoiceAtATime(everything, smooth=True, even=True),
    }
    entries |= {name: board.Blend((member,), output="label") for name, member in votes.items()}
    board.build_leaderboard(FOLDER, entries, metric="accuracy", target=TARGET)


if __name__ == "__main__":
    common.main(build_data, build_leaderboard, FOLDER)
