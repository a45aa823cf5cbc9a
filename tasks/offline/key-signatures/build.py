"""Build offline/key-signatures: which owners of keys will sign each other's keys next?

    python tasks/offline/key-signatures/build.py            # data, reference leaderboard, checksums
    python tasks/offline/key-signatures/build.py --data     # data only

What is known ends with 2015. Training pairs are those that had not signed each other by the end of 2014,
labelled by 2015; test pairs had not by the end of 2015, and are labelled by 2016 and 2017.
"""

from __future__ import annotations

import dataclasses
import sys
from dataclasses import dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

import build_board as board
import build_common as common
import build_keyrings as keyrings
import build_models as models
import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, clone
from sklearn.dummy import DummyClassifier
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.neighbors import KNeighborsClassifier

FOLDER = Path(__file__).parent
TARGET = "signed"
RINGS = ("debian-keyring.gpg", "debian-maintainers.gpg", "debian-nonupload.gpg")
START, TRAIN_CUT, TEST_CUT, END = 1990 * 12, 2015 * 12, 2016 * 12, 2018 * 12
"""Months since year 0: before the first signature, where training and test pairs begin, where labels end."""
NEGATIVES = 4
SEED = 2016


# --------------------------------------------------------------------------- data


def read_source() -> tuple[pd.Series, pd.DataFrame]:
    """Return the month in which each key was made, and `signer`, `key`, `month` of first signatures."""
    package = common.fetch_deb(
        "debian-keyring",
        "2022.12.24",
        sha256="d7a415d181dfff22b6bad62d493181cc38dbde484d4c50de92c065b58d4a4071",
    )
    rings = [common.read_deb_member(package, ring) for ring in RINGS]
    made, signatures = keyrings.read_key_rings(rings)
    signatures["month"] = month_of(signatures.pop("time"))
    return month_of(made), signatures


def month_of(seconds: pd.Series) -> pd.Series:
    """Return months since year 0."""
    times = pd.to_datetime(seconds, unit="s")
    return times.dt.year * 12 + times.dt.month - 1


def as_text(months: pd.Series) -> pd.Series:
    """Return months as YYYY-MM."""
    return (months // 12).astype(str) + "-" + (months % 12 + 1).astype(str).str.zfill(2)


def as_number(texts: pd.Series) -> pd.Series:
    """Return YYYY-MM as months since year 0."""
    return texts.str[:4].astype(int) * 12 + texts.str[5:].astype(int) - 1


def first_links(signatures: pd.DataFrame) -> pd.Series:
    """Return the month of the first signature in either direction, by (smaller, larger) number of a pair."""
    ends = np.sort(signatures[["signer", "key"]].to_numpy(), axis=1)
    pairs = pd.DataFrame(ends, columns=["key_a", "key_b"]).assign(month=signatures["month"].to_numpy())
    return pairs.groupby(["key_a", "key_b"])["month"].min()


def choose_pairs(links: pd.Series, cut: int, end: int, seed: int) -> pd.DataFrame:
    """Return pairs not linked before `cut`: all that were before `end`, and a random sample of others.

    Both keys have a link from before `cut`.
    """
    generator = np.random.default_rng(seed)
    known = np.unique(links[links < cut].index.to_frame().to_numpy())
    new = links[(links >= cut) & (links < end)].index.to_frame(index=False)
    new = new[new["key_a"].isin(known) & new["key_b"].isin(known)]
    taken = set(links[links < end].index)
    others: set[tuple[int, int]] = set()
    while len(others) < NEGATIVES * len(new):
        a, b = sorted(generator.choice(known, 2, replace=False).tolist())
        if (a, b) not in taken:
            others.add((a, b))
    rest = pd.DataFrame(sorted(others), columns=["key_a", "key_b"])
    return pd.concat([new.assign(**{TARGET: 1}), rest.assign(**{TARGET: 0})], ignore_index=True)


def build_data() -> None:
    """Number the keys, choose the pairs and write the task's files."""
    made, signatures = read_source()
    made = made[made < TEST_CUT].sort_index()
    numbers = pd.Series(np.random.default_rng(SEED).permutation(len(made)), index=made.index)
    signatures = signatures[signatures["signer"].isin(made.index) & signatures["key"].isin(made.index)]
    signatures = signatures.assign(**{end: signatures[end].map(numbers) for end in ("signer", "key")})
    links, pairs = first_links(signatures), ["key_a", "key_b"]
    train = choose_pairs(links, TRAIN_CUT, TEST_CUT, SEED)
    test = choose_pairs(links, TEST_CUT, END, SEED + 1)
    repeated = test.set_index(pairs).index.isin(train.set_index(pairs).index)
    test = test[~repeated].reset_index(drop=True)
    generator = np.random.default_rng(SEED)
    for table in (train, test):  # the order within a pair tells nothing
        turned = generator.random(len(table)) < 0.5
        table.loc[turned, pairs] = table.loc[turned, pairs[::-1]].to_numpy()

    common.write_table_task(FOLDER, train, test, target=TARGET, sample_value=0.2, seed=SEED)
    known = signatures[signatures["month"] < TEST_CUT].sort_values(["month", "signer", "key"])
    keys = pd.DataFrame({"key": numbers, "created": as_text(made)}).sort_values("key")
    common.write_csv_xz(FOLDER / "public" / "signatures.csv.xz", known.assign(month=as_text(known["month"])))
    common.write_csv_xz(FOLDER / "public" / "keys.csv.xz", keys)


# --------------------------------------------------------------------------- features of pairs


def load_data() -> board.Data:
    """Return the public data with its two further tables."""
    signatures = common.read_csv_xz(FOLDER / "public" / "signatures.csv.xz")
    created = as_number(common.read_csv_xz(FOLDER / "public" / "keys.csv.xz")["created"])
    signatures["month"] = as_number(signatures["month"])
    arrays = {"signatures": signatures.to_numpy(), "created": created.to_numpy()}
    return dataclasses.replace(board.load_data(FOLDER, TARGET), arrays=arrays)


_made: dict[tuple[str, int, bool], pd.DataFrame] = {}


def features(data: board.Data, cut: int, *, of_train: bool) -> pd.DataFrame:
    """Return all features of the training or test pairs, from what was known before month `cut`."""
    key = data.fingerprint, cut, of_train
    if key not in _made:
        pairs = (data.x_train if of_train else data.x_test)[["key_a", "key_b"]].to_numpy()
        _made[key] = pair_features(pairs, data.arrays["signatures"], data.arrays["created"], cut)
    return _made[key]


def pair_features(pairs: NDArray, signatures: NDArray, created: NDArray, cut: int) -> pd.DataFrame:
    """Return features of pairs of keys, most counts on a log scale; no column minds the order of a pair."""
    n, (a, b) = len(created), pairs.T
    signatures = signatures[signatures[:, 2] < cut]
    signer, key, month = signatures[np.argsort(signatures[:, 2], kind="stable")].T
    age = cut - month
    links, fresh, active = np.zeros((n, n)), np.zeros((n, n)), np.zeros((n, cut - START))
    last = np.full(n, 300.0)
    for one, other in ((signer, key), (key, signer)):
        links[one, other] = 1
        fresh[one, other] = np.maximum(fresh[one, other], 0.5 ** (age / 12))
        active[one, month - START] = 1
        np.minimum.at(last, one, age)
    degree, recent, crowd = links.sum(1), fresh.sum(1), active.sum(0)
    fade = 0.5 ** ((cut - START - 1 - np.arange(cut - START)) / 12)
    shared, fresh_shared = links @ links, fresh @ fresh
    paths = np.linalg.inv(np.eye(n) - 0.01 * links)  # Katz (1953): all paths, each step worth 0.01
    values, vectors = np.linalg.eigh(links)
    top = np.argsort(-np.abs(values))[:30]
    place = vectors[:, top] * np.sqrt(np.abs(values[top]))
    unit = place / (np.linalg.norm(place, axis=1, keepdims=True) + 1e-9)

    of_each = {
        "degree": np.log1p(degree),
        "given": np.log1p(np.bincount(signer, minlength=n)),
        "taken": np.log1p(np.bincount(key, minlength=n)),
        "recent": np.log1p(recent),
        "freshness": -np.log1p(last),
        "months": np.log1p(active.sum(1)),
        "late months": np.log1p(active @ fade),
        "age": (cut - created) / 12,
    }
    of_both = {
        "degree product": np.log1p(degree[a] * degree[b]),
        "recent product": np.log1p(recent[a] * recent[b]),
        "shared": np.log1p(shared[a, b]),
        "jaccard": shared[a, b] / (degree[a] + degree[b] - shared[a, b] + 1),
        "adamic-adar": ((links / np.log(degree + 2)) @ links)[a, b],
        "allocation": ((links / (degree + 1)) @ links)[a, b],
        "fresh shared": np.log1p(fresh_shared[a, b]),
        "three steps": np.log1p((shared @ links)[a, b]),
        "fresh three steps": np.log1p((fresh_shared @ fresh)[a, b]),
        "katz": np.log1p(paths[a, b]),
        "spectral": (place[a] * np.sign(values[top]) * place[b]).sum(1),
        "spectral cosine": (unit[a] * unit[b]).sum(1),
        "same months": np.log1p((active @ active.T)[a, b]),
        "same rare months": ((active / (crowd + 1)) @ active.T)[a, b],
        "same late months": ((active * fade) @ active.T)[a, b],
    }
    for name, values in of_each.items():
        of_both[f"{name} low"] = np.minimum(values[a], values[b])
        of_both[f"{name} high"] = np.maximum(values[a], values[b])
    return pd.DataFrame(of_both)


POPULARITY = (
    "degree product",
    "degree low",
    "degree high",
    "given low",
    "given high",
    "taken low",
    "taken high",
)
RECENCY = (
    "recent product",
    "recent low",
    "recent high",
    "freshness low",
    "freshness high",
    "late months low",
)
RECENCY += ("late months high", "age low", "age high")
NEIGHBOURS = ("shared", "jaccard", "adamic-adar", "allocation", "fresh shared")
PATHS = ("three steps", "fresh three steps", "katz", "spectral", "spectral cosine")
EVENTS = ("same months", "same rare months", "same late months", "months low", "months high")
GROUPS = {
    "popularity": POPULARITY,
    "recency": RECENCY,
    "neighbours": NEIGHBOURS,
    "paths": PATHS,
    "events": EVENTS,
    "neighbours-and-paths": NEIGHBOURS + PATHS,
    "recency-and-events": RECENCY + EVENTS,
    "everything": POPULARITY + RECENCY + NEIGHBOURS + PATHS + EVENTS,
}


# --------------------------------------------------------------------------- reference teams


@dataclass(frozen=True)
class PairFit:
    """Features of pairs, then a classifier. The careless use 2015 to predict 2015, as if it were known."""

    columns: tuple[str, ...]
    model: BaseEstimator
    careless: bool = False

    def __call__(self, data: board.Data) -> np.ndarray:
        known = features(data, TEST_CUT if self.careless else TRAIN_CUT, of_train=True)
        model = clone(self.model).fit(known[list(self.columns)].to_numpy(), data.y_train)
        return model.predict_proba(features(data, TEST_CUT, of_train=False)[list(self.columns)].to_numpy())[
            :, 1
        ]


@dataclass(frozen=True)
class OneFeature:
    """A single feature as it is at the end of 2015; nothing is fitted, and AUC wants but an order."""

    column: str

    def __call__(self, data: board.Data) -> np.ndarray:
        values = features(data, TEST_CUT, of_train=False)[self.column].to_numpy()
        return (values - values.min()) / max(np.ptp(values), 1e-9)


def fit_all(
    prefix: str, columns: tuple[str, ...], estimators: dict[str, BaseEstimator], careless: bool = False
) -> dict[str, board.Entry]:
    """Return one team for each estimator on the same features."""
    return {f"{prefix} {name}": PairFit(columns, model, careless) for name, model in estimators.items()}


def build_leaderboard() -> None:
    """Fit and score the reference teams."""
    simple, forests, smooth = (
        models.classification_simple(),
        models.classification_forests(),
        models.classification_smooth(),
    )
    usual = {
        "logistic": models.scaled(LogisticRegression(C=0.1, max_iter=300)),
        "naive-bayes": models.classification_linear()["naive-bayes"],
        "knn-40": simple["knn-40"],
        "tree-7": simple["tree-7"],
        "forest-leaf-5": forests["forest-leaf-5"],
        "hist-boosting": HistGradientBoostingClassifier(
            learning_rate=0.05, max_iter=100, max_leaf_nodes=8, l2_regularization=5.0, random_state=0
        ),
    }
    more = {
        "logistic-0.001": models.scaled(LogisticRegression(C=0.001, max_iter=300)),
        "lda": models.classification_linear()["lda"],
        "tree-3": simple["tree-3"],
        "tree-full": simple["tree-full"],
        "adaboost": simple["adaboost"],
        "forest-shallow": forests["forest-shallow"],
        "extra-trees-leaf-5": forests["extra-trees-leaf-5"],
        "boosting-100": models.classification_boosting()["boosting-100"],
        "mlp-64": smooth["mlp-64"],
    }
    singles = (
        "degree product",
        "recent product",
        "age low",
        "freshness low",
        "months low",
        "late months low",
    )
    singles += (*NEIGHBOURS, *PATHS, *EVENTS[:3])
    entries: dict[str, board.Entry] = {
        f"guess {name}": board.Fit(board.numbers, model, "probability")
        for name, model in {
            **models.classification_dummies(),
            "forest-on-numbers": forests["forest"],
            "knn-40-on-numbers": KNeighborsClassifier(40),
            "logistic-on-numbers": usual["logistic"],
        }.items()
    }
    entries["guess all-different"] = board.Fit(
        board.numbers, DummyClassifier(strategy="uniform", random_state=5), "probability"
    )
    entries |= {f"only {column.replace(' ', '-')}": OneFeature(column) for column in singles}
    for name, columns in GROUPS.items():
        entries |= fit_all(name, columns, usual)
    entries |= fit_all("everything", GROUPS["everything"], more)
    entries |= fit_all("recency-and-events", GROUPS["recency-and-events"], more)
    entries |= fit_all("careless everything", GROUPS["everything"], {**usual, **more}, careless=True)
    entries |= fit_all("careless neighbours-and-paths", GROUPS["neighbours-and-paths"], usual, careless=True)

    def blend(*members: tuple[str, BaseEstimator]) -> board.Blend:
        return board.Blend(tuple(PairFit(GROUPS[group], model) for group, model in members))

    logistic, boosting, forest = usual["logistic"], usual["hist-boosting"], usual["forest-leaf-5"]
    entries["blend everything"] = blend(
        ("everything", logistic), ("everything", boosting), ("everything", forest)
    )
    entries["blend late"] = blend(("recency-and-events", logistic), ("recency-and-events", forest))
    entries["blend early"] = blend(("popularity", logistic), ("neighbours", forest))
    entries["blend linear"] = blend(
        ("recency-and-events", logistic), ("everything", logistic), ("neighbours-and-paths", logistic)
    )
    board.build_leaderboard(FOLDER, entries, metric="roc_auc", target=TARGET, data=load_data())


if __name__ == "__main__":
    common.main(build_data, build_leaderboard, FOLDER)
