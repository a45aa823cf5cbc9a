"""Build offline/drum-sounds: which drum was hit, in kits that were not heard before?

    pip install soundfile
    python tasks/offline/drum-sounds/build.py            # data, reference leaderboard, checksums
    python tasks/offline/drum-sounds/build.py --data     # data only

Whole drum kits are train or test. GMRockKit is left out, because its sounds are those of The Black Pearl,
and Audiophob, because its file names speak of other instruments than its list does.
"""

from __future__ import annotations

import hashlib
import io
import re
import subprocess
import sys
import tarfile
import xml.etree.ElementTree as ElementTree
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

sys.path.insert(0, str(Path(__file__).parents[1]))

import build_board as board
import build_common as common
import build_models as models
import build_sound as sound
import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, clone
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.feature_selection import SelectKBest, f_classif
from sklearn.linear_model import LogisticRegression
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.svm import SVC

FOLDER = Path(__file__).parent
SEED = 808
SAMPLES = 2400
LAYERS = 4
"""Recordings kept of one instrument: they differ in loudness."""
SAME = 0.98
"""Correlation from which recordings are copies of each other."""
LENGTH = ("seconds",)
PACKAGES = {
    (
        "hydrogen-drumkits",
        "2017.09.19~dfsg-1",
    ): "6ea3c6df9a67762e2362f946c695e619859126b19fbccf32a2e8f07dfd03b2f4",
    (
        "hydrogen-data",
        "1.2.0~beta1+dfsg-1",
    ): "d2cc3f281c02efb71f132bd173e95a958d3fede7c5aefcaba6547baf918cff2a",
}
KITS = {
    "train": (
        "BJA_Pacific",
        "ColomboAcousticDrumkit",
        "ElectricEmpireKit",
        "HardElectro1",
        "The Black Pearl 1.0",
        "rumpf_kit_z01_h2",
    ),
    "test": (
        "ForzeeStereo",
        "Millo-Drums_v.1",
        "Millo_MultiLayered2",
        "Millo_MultiLayered3",
        "TR808EmulationKit",
        "VariBreaks",
    ),
}
DRUMS = (
    (None, r"clap|stick|click|cowbell|tambourine|agogo|shaker|clave|conga|roll|swish|choke|zap|fx|whistle"),
    (None, r"crash/ride|ride-crash|16inch|(?<!bass )drum [12]|sample|redo|hat (low|ring)"),
    ("kick", r"\bkick|bass ?drum"),
    ("snare", r"snare"),
    ("tom", r"\btom"),
    ("open-hat", r"(hh|hat).*(op|free)|open h|ohh|semi"),
    ("closed-hat", r"hh|hat"),
    ("ride", r"ride|bell|cup"),
    ("crash", r"crash|splash|china|cymbal"),
)
"""What an instrument's name says it is; the first that fits counts, None is left out."""


# --------------------------------------------------------------------------- data


def drum_of(name: str) -> str | None:
    """Return the label of an instrument by its name, or None if it is left out."""
    return next((label for label, pattern in DRUMS if re.search(pattern, name.casefold())), None)


def read_kits() -> Iterator[tuple[str, dict[str, bytes]]]:
    """Yield (kit, its files by name)."""
    for (package, version), digest in PACKAGES.items():
        path = common.fetch_deb(package, version, sha256=digest)
        listing = subprocess.run(["dpkg-deb", "--fsys-tarfile", str(path)], capture_output=True, check=True)
        kits: dict[str, dict[str, bytes]] = {}
        with tarfile.open(fileobj=io.BytesIO(listing.stdout)) as archive:
            for member in archive:
                place = PurePosixPath(member.name)
                if member.isfile() and "drumkits" in place.parts and (file := archive.extractfile(member)):
                    kits.setdefault(place.parent.name, {})[place.name] = file.read()
        yield from sorted(kits.items())


def read_instruments(kit: dict[str, bytes]) -> Iterator[tuple[str, list[str]]]:
    """Yield (name, files from soft to hard) of the instruments of a kit."""
    text = kit["drumkit.xml"].decode("utf-8", "replace")
    for instrument in ElementTree.fromstring(re.sub(r'\s(xmlns|xsi)[:\w]*="[^"]*"', "", text)).iter(
        "instrument"
    ):
        files = [name.text for name in instrument.iter("filename") if name.text in kit]
        yield instrument.findtext("name") or "", files


def read_source() -> tuple[pd.DataFrame, NDArray[np.int8]]:
    """Return one row a recording, and the clips."""
    rows, clips = [], []
    for kit, files in read_kits():
        if kit not in KITS["train"] + KITS["test"]:
            continue
        for name, recordings in read_instruments(files):
            label = drum_of(name)
            if label is None or not recordings:
                continue
            for place in np.unique(np.linspace(0, len(recordings) - 1, LAYERS).round().astype(int)):
                wave, rate = sound.read_sound(files[recordings[place]])
                peak = np.abs(wave).max()
                if peak > 1e-3:
                    wave = sound.trim(wave, rate)
                    rows.append((kit, f"{kit} {name}", len(wave) / rate, 20 * np.log10(peak), label))
                    clips.append(sound.to_clip(wave, rate, SAMPLES))
    columns = ["kit", "instrument", "seconds", "peak_db", "label"]
    return pd.DataFrame(rows, columns=columns).round({"seconds": 5, "peak_db": 3}), np.stack(clips)


def build_data() -> None:
    """Cut the recordings and write the task's files."""
    table, clips = read_source()
    is_test = table["kit"].isin(KITS["test"]).to_numpy()
    alike = np.tril(sound.likeness(clips) > SAME, k=-1)
    kept = ~alike.any(axis=1)  # of recordings that are the same, in one kit or in two, the first
    generator = np.random.default_rng(SEED)
    public = FOLDER / "public"
    first = 0
    for part, chosen in (("train", kept & ~is_test), ("test", kept & is_test)):
        rows = generator.permutation(np.flatnonzero(chosen))
        of_part = table.iloc[rows].reset_index(drop=True)
        of_part.insert(0, "id", np.arange(len(rows)) + first)
        first += len(rows)
        told = of_part[["id", "seconds", "peak_db"]]
        common.write_npz(public / f"{part}.npz", clips=clips[rows])
        if part == "train":
            common.write_csv_xz(public / "train.csv.xz", told.assign(label=of_part["label"]))
        else:
            answers = of_part[["id", "label"]].assign(part=choose_parts(of_part))
            common.write_csv_xz(public / "test.csv.xz", told)
            common.write_csv_xz(public / "sample_submission.csv.xz", told[["id"]].assign(label="ride"))
            common.write_csv_xz(FOLDER / "private" / "answers.csv.xz", answers)


def choose_parts(test: pd.DataFrame) -> pd.Series:
    """Return the part of each test recording, label by label, those of an instrument together."""
    parts = pd.Series("private", index=test.index)
    for _, rows in test.groupby("label"):
        parts[rows.index] = common.choose_parts(rows, seed=SEED, groups=rows["instrument"])
    return parts


def load_data() -> board.Data:
    """Return the public data, as an entry gets it; `arrays` hold clips in [-1, 1]."""
    public = FOLDER / "public"
    train, test = (common.read_csv_xz(public / f"{part}.csv.xz") for part in ("train", "test"))
    clips = {f"{part}_clips": np.load(public / f"{part}.npz")["clips"] / 127.0 for part in ("train", "test")}
    digest = hashlib.sha256(b"".join(path.read_bytes() for path in sorted(public.iterdir()))).hexdigest()
    known = train.drop(columns="label")
    return board.Data(known, train["label"].to_numpy(), test, arrays=clips, fingerprint=digest)


# --------------------------------------------------------------------------- reference teams


@dataclass(frozen=True)
class SoundFit:
    """Features of clips side by side, and if wanted length and level of the recording, then a classifier."""

    features: tuple[Callable[[sound.Clips], sound.Features], ...]
    model: BaseEstimator
    told: tuple[str, ...] = ()
    augment: sound.Changed | None = None
    output: str = "label"

    def __call__(self, data: board.Data) -> NDArray[np.generic]:
        clips = data.arrays["train_clips"]
        if self.augment is not None:
            clips = self.augment(clips)
        times = len(clips) // len(data.y_train)
        x_train = self.describe(clips, pd.concat([data.x_train] * times))
        model = clone(self.model).fit(x_train, np.tile(data.y_train, times))
        x_test = self.describe(data.arrays["test_clips"], data.x_test)
        return model.predict_proba(x_test) if self.output == "probabilities" else model.predict(x_test)

    def describe(self, clips: sound.Clips, table: pd.DataFrame) -> sound.Features:
        """Return one row a clip."""
        columns = {"seconds": np.log(table["seconds"] + 0.01), "peak_db": table["peak_db"]}
        asked = [columns[name].to_numpy()[:, None] for name in self.told]
        return np.hstack([make(clips) for make in self.features] + asked)


def build_leaderboard() -> None:
    """Fit and score the reference teams."""
    forests, simple = models.classification_forests(), models.classification_simple()
    few: dict[str, BaseEstimator] = {
        "logistic": models.scaled(LogisticRegression(C=0.1, max_iter=500)),
        "knn-5": simple["knn-5"],
        "tree-7": simple["tree-7"],
        "svc-5": models.scaled(SVC(C=5.0)),
        "extra-trees": forests["extra-trees"],
    }
    more: dict[str, BaseEstimator] = {
        "naive-bayes": models.classification_linear()["naive-bayes"],
        "lda-shrunk": LinearDiscriminantAnalysis(solver="lsqr", shrinkage="auto"),
        "svc-balanced": models.scaled(SVC(C=5.0, class_weight="balanced")),
        "nearest": models.scaled(KNeighborsClassifier(1)),
        "forest": forests["forest"],
        "best-20-logistic": make_pipeline(SelectKBest(f_classif, k=20), few["logistic"]),
        "tree-3": simple["tree-3"],
        "mlp-64": models.classification_smooth()["mlp-64"],
    }
    everything = (
        sound.timing,
        sound.spectrum,
        sound.cepstrum,
        sound.early_and_late,
        sound.colour,
        sound.pitch,
    )
    kinds: dict[str, tuple[Callable[[sound.Clips], sound.Features], ...]] = {
        "loudness": (sound.loudness,),
        "timing": (sound.timing,),
        "spectrum": (sound.spectrum,),
        "cepstrum": (sound.cepstrum,),
        "colour": (sound.colour,),
        "pitch": (sound.pitch,),
        "early-and-late": (sound.early_and_late,),
        "picture": (sound.picture,),
        "colour-and-timing": (sound.colour, sound.timing, sound.pitch),
        "everything": everything,
    }
    changed = sound.Changed(6, 1)
    entries: dict[str, board.Entry] = {
        f"guess {name}": SoundFit((sound.timing,), model)
        for name, model in models.classification_dummies().items()
    }
    entries |= {f"raw {name}": SoundFit((sound.raw,), model) for name, model in {**few, **more}.items()}
    for kind, makers in kinds.items():
        wide = kind in ("picture", "colour-and-timing", "everything", "early-and-late")
        for name, model in {**few, **(more if wide else {})}.items():
            if name == "best-20-logistic" and kind == "colour-and-timing":
                continue
            entries[f"{kind} {name}"] = SoundFit(makers, model)
            if wide or kind == "cepstrum":
                entries[f"{kind} with-length {name}"] = SoundFit(makers, model, LENGTH)
        if wide:
            for name in ("logistic", "svc-5", "extra-trees", "lda-shrunk"):
                model = {**few, **more}[name]
                entries[f"{kind} changed {name}"] = SoundFit(makers, model, (), changed)
    for name, model in {"tree-3": simple["tree-3"], "knn-10": KNeighborsClassifier(10)}.items():
        entries[f"length alone {name}"] = SoundFit((), model, LENGTH)
        entries[f"length and level {name}"] = SoundFit((), model, (*LENGTH, "peak_db"))

    def vote(*members: tuple[str, str]) -> board.Blend:
        return board.Blend(
            tuple(
                SoundFit(kinds[kind], {**few, **more}[name], LENGTH, None, "probabilities")
                for kind, name in members
            ),
            output="label",
        )

    entries["vote everything"] = vote(
        ("everything", "logistic"), ("everything", "extra-trees"), ("everything", "lda-shrunk")
    )
    entries["vote small"] = vote(("colour-and-timing", "extra-trees"), ("cepstrum", "logistic"))
    entries["vote trees"] = vote(("everything", "extra-trees"), ("picture", "extra-trees"))
    board.build_leaderboard(
        FOLDER, entries, metric="f1", params={"average": "macro"}, target="label", data=load_data()
    )


if __name__ == "__main__":
    common.main(build_data, build_leaderboard, FOLDER)
