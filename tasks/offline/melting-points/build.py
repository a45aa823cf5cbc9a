"""Build offline/melting-points: at what temperature does a compound melt, told from its structure?"""

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
from scipy.sparse import hstack, spmatrix
from scipy.sparse.csgraph import connected_components
from sklearn.base import BaseEstimator, clone
from sklearn.decomposition import TruncatedSVD
from sklearn.ensemble import HistGradientBoostingRegressor
from sklearn.feature_extraction.text import CountVectorizer, TfidfVectorizer
from sklearn.kernel_ridge import KernelRidge
from sklearn.linear_model import Ridge
from sklearn.model_selection import KFold, cross_val_predict
from sklearn.neighbors import KNeighborsRegressor
from sklearn.preprocessing import MaxAbsScaler
from sklearn.svm import LinearSVR

FOLDER = Path(__file__).parent
TARGET = "melting_point"
SEED = 2014
TRAIN_ROWS, TEST_ROWS = 3000, 1500
TRAIN_SHARE = 0.68
MAX_WEIGHT = 600.0
SAME_FAMILY = 0.85  # cosine of letter n-grams
ORGANIC = r"C\d*(?:H\d*)?(?:(?:Br|Cl|F|I|N|O|P|S)\d*)*"


def build_data() -> None:
    """Write the data: families of molecules that resemble each other closely never cross the split.

    A family is what hangs together by pairs of SMILES that are nearly the same text. Left out: salts,
    compounds with metals or without carbon, heavy ones, and all but one of the stereoisomers of a skeleton.
    """
    wheel = common.fetch_wheel(
        "chemicals", "1.5.2", sha256="f85ef7f36e77fee634686c26562929ee61026cd548d89cebd57b2251ca843d6e"
    )
    points = common.read_zip_member(wheel, "chemicals/Phase Change/OpenNotebook Melting Points.tsv")
    kelvin = dict(line.split("\t") for line in points.decode().splitlines()[1:])
    rows = []
    for size in ("small", "large"):
        names = common.read_zip_member(
            wheel, f"chemicals/Identifiers/chemical identifiers pubchem {size}.tsv"
        )
        for line in names.decode().splitlines():
            _, cas, formula, weight, smiles, _, key = line.split("\t")[:7]
            if cas in kelvin:
                rows.append((smiles, formula, round(float(weight), 2), float(kelvin[cas]), key[:14]))
    table = pd.DataFrame(rows, columns=["smiles", "formula", "molecular_weight", TARGET, "skeleton"])
    table = table[table["formula"].str.fullmatch(ORGANIC) & ~table["smiles"].str.contains(".", regex=False)]
    table = table[table["molecular_weight"] < MAX_WEIGHT].sort_values("smiles")
    table = table.drop_duplicates("skeleton").drop_duplicates("smiles").reset_index(drop=True)

    family = families(table["smiles"])
    generator = np.random.default_rng(SEED)
    order = generator.permutation(family.max() + 1)
    reached = np.cumsum(np.bincount(family)[order])
    in_train = np.isin(family, order[reached <= TRAIN_SHARE * len(table)])
    columns = ["smiles", "formula", "molecular_weight", TARGET]
    train = table.loc[in_train, columns].sample(TRAIN_ROWS, random_state=SEED)
    test = table.loc[~in_train, columns].sample(TEST_ROWS, random_state=SEED)
    common.write_table_task(
        FOLDER,
        train,
        test,
        target=TARGET,
        sample_value=round(float(train[TARGET].mean()), 1),
        part_groups=pd.Series(family, index=table.index).loc[test.index],
        seed=SEED,
    )


def families(smiles: pd.Series) -> np.ndarray:
    """Return a family number for each molecule."""
    letters = TfidfVectorizer(
        analyzer="char", ngram_range=(2, 5), lowercase=False, min_df=2, sublinear_tf=True
    ).fit_transform(smiles)
    return connected_components(letters @ letters.T > SAME_FAMILY, directed=False)[1]


# --------------------------------------------------------------------------- features

GROUPS = {
    "hydroxyl": r"(?:^O(?=[CN])|(?<=[C)\]0-9])O(?=\)|$))",
    "acid": r"C\(=O\)O(?=\)|$)|^OC\(=O\)",
    "amide": r"C\(=O\)N|NC\(=O\)|NC=O",
    "ester": r"C\(=O\)OC|OC\(=O\)C",
    "carbonyl": r"=O",
    "amine": r"(?:^N(?=[C1-9])|(?<=[C)])N(?=\)|$))",
    "nitro": r"\[N\+\]",
    "nitrile": r"C#N|N#C",
    "sulphonyl": r"S\(=O\)\(=O\)",
    "ring_oxygen": r"O\d",
    "ring_nitrogen": r"N\d|N=C\d|=N",
    "double": r"=",
    "triple": r"#",
    "branch": r"\(",
    "stereo": r"@",
    "cis_trans": r"[/\\]",
    "benzene": r"C=C",
    "methylene": r"CCC",
    "long_chain": r"CCCCCC",
    "quaternary": r"\)\(",
    "fluoromethyl": r"\(F\)\(F\)F|\(F\)\(F\)",
}


def atoms(train: pd.DataFrame, test: pd.DataFrame) -> tuple[np.ndarray, np.ndarray]:
    """Weight, and the count of each element."""
    return _atoms(train).to_numpy(float), _atoms(test).to_numpy(float)


def _atoms(table: pd.DataFrame) -> pd.DataFrame:
    columns = {"weight": table["molecular_weight"]}
    for element in ("C", "H", "Br", "Cl", "F", "I", "N", "O", "P", "S"):
        found = table["formula"].str.extract(rf"{element}(?![a-z])(\d*)")[0]
        columns[element] = found.replace("", "1").fillna("0").astype(int)
    return pd.DataFrame(columns)


def groups(train: pd.DataFrame, test: pd.DataFrame) -> tuple[np.ndarray, np.ndarray]:
    """The same with rings, chains, functional groups and how they relate to the size."""
    return _groups(train).to_numpy(float), _groups(test).to_numpy(float)


def _groups(table: pd.DataFrame) -> pd.DataFrame:
    columns, smiles = _atoms(table), table["smiles"]
    halogens = columns[["F", "Cl", "Br", "I"]].sum(axis=1)
    heavy = columns.drop(columns=["weight", "H"]).sum(axis=1)
    for name, pattern in GROUPS.items():
        columns[name] = smiles.str.count(pattern)
    columns["rings"] = smiles.str.replace(r"\[[^\]]*\]", "", regex=True).str.count(r"\d") // 2
    columns["unsaturation"] = columns["C"] + 1 + (columns["N"] + columns["P"] - columns["H"] - halogens) / 2
    columns["donors"] = columns["hydroxyl"] + columns["amine"] + columns["amide"]
    columns["heavy"], columns["halogens"] = heavy, halogens
    columns["log_weight"] = np.log(columns["weight"])
    for name in ("donors", "rings", "unsaturation", "branch", "methylene"):
        columns[f"{name}_share"] = columns[name] / heavy
    columns["length"] = smiles.str.len()
    return columns


@dataclass(frozen=True)
class Letters:
    """Counts of letter n-grams of the SMILES, as logarithms (sparse), with or without the groups."""

    longest: int
    with_groups: bool = False
    least: int = 3

    def __call__(self, train: pd.DataFrame, test: pd.DataFrame) -> tuple[spmatrix, spmatrix]:
        counter = CountVectorizer(
            analyzer="char", ngram_range=(1, self.longest), lowercase=False, min_df=self.least
        )
        counts = counter.fit_transform(train["smiles"]).log1p(), counter.transform(test["smiles"]).log1p()
        if not self.with_groups:
            return counts
        scaler = MaxAbsScaler()
        tables = groups(train, test)
        dense = scaler.fit_transform(tables[0]), scaler.transform(tables[1])
        return tuple(hstack([count, 3 * table]).tocsr() for count, table in zip(counts, dense, strict=True))


@dataclass(frozen=True)
class Topics:
    """Groups beside the leading components of the n-grams."""

    components: int

    def __call__(self, train: pd.DataFrame, test: pd.DataFrame) -> tuple[np.ndarray, np.ndarray]:
        letters = Letters(4)(train, test)
        components = TruncatedSVD(self.components, random_state=models.SEED)
        reduced = components.fit_transform(letters[0]), components.transform(letters[1])
        rest = groups(train, test)
        return np.hstack([rest[0], reduced[0]]), np.hstack([rest[1], reduced[1]])


# --------------------------------------------------------------------------- entries


def shared_grams(left: spmatrix, right: spmatrix) -> np.ndarray:
    """Return the share of n-grams that rows of two 0/1 matrices have in common, shape (left, right)."""
    both = (left @ right.T).toarray()
    sizes = [np.asarray(part.sum(axis=1)).ravel() for part in (left, right)]
    return both / (sizes[0][:, None] + sizes[1][None, :] - both)


@dataclass(frozen=True)
class Tanimoto:
    """A model of which n-grams two molecules share, among all that they have."""

    model: BaseEstimator
    longest: int

    def __call__(self, data: board.Data) -> np.ndarray:
        """Return predicted melting points for the test rows."""
        shown, hidden = (part.sign() for part in Letters(self.longest)(data.x_train, data.x_test))
        middle = data.y_train.mean()
        model = clone(self.model).fit(shared_grams(shown, shown), data.y_train - middle)
        return model.predict(shared_grams(hidden, shown)) + middle


@dataclass(frozen=True)
class Neighbours:
    """The mean of the molecules that share most n-grams."""

    count: int

    def __call__(self, data: board.Data) -> np.ndarray:
        """Return predicted melting points for the test rows."""
        shown, hidden = (part.sign() for part in Letters(4)(data.x_train, data.x_test))
        near = shared_grams(hidden, shown)
        nearest = np.argsort(-near, axis=1, kind="stable")[:, : self.count]
        weight = np.take_along_axis(near, nearest, axis=1) ** 2 + 1e-9
        return (data.y_train[nearest] * weight).sum(axis=1) / weight.sum(axis=1)


@dataclass(frozen=True)
class Corrected:
    """Ridge regression on n-grams, and boosted trees of the groups on what it left in cross-validation."""

    ridge: float
    boosting: BaseEstimator

    def __call__(self, data: board.Data) -> np.ndarray:
        """Return predicted melting points for the test rows."""
        letters, table = Letters(4)(data.x_train, data.x_test), groups(data.x_train, data.x_test)
        folds = KFold(5, shuffle=True, random_state=models.SEED)
        inside = cross_val_predict(Ridge(self.ridge), letters[0], data.y_train, cv=folds)
        outside = Ridge(self.ridge).fit(letters[0], data.y_train).predict(letters[1])
        x_train, x_test = (np.column_stack(pair) for pair in zip(table, (inside, outside), strict=True))
        return outside + clone(self.boosting).fit(x_train, data.y_train - inside).predict(x_test)


def build_leaderboard() -> None:
    """Fit and score the reference teams."""
    linear, simple = models.regression_linear(), models.regression_simple()
    forests, boosting = models.regression_forests(), models.regression_boosting()
    smooth = models.regression_smooth()
    weight = {
        **models.regression_dummies(),
        **{name: linear[name] for name in ("ridge-cv", "huber")},
        **{name: simple[name] for name in ("knn-1", "knn-5", "knn-30", "stump", "tree-3", "tree-7")},
        "boosting-10": boosting["boosting-10"],
    }
    few_forests = {name: forests[name] for name in ("forest-shallow", "forest-half-features", "extra-trees")}
    quick = {name: model for name, model in boosting.items() if name != "boosting-400-deep"}
    small = HistGradientBoostingRegressor(
        learning_rate=0.05, max_iter=120, max_leaf_nodes=6, random_state=models.SEED
    )
    topics = {
        "ridge-cv": linear["ridge-cv"],
        "knn-5": simple["knn-5"],
        "forest-half-features": forests["forest-half-features"],
        "hist-boosting-slow": boosting["hist-boosting-slow"],
        **{name: smooth[name] for name in ("svr-10", "kernel-ridge", "mlp-64-64")},
    }
    entries: dict[str, board.Entry] = {
        **board.cross({"weight": board.numbers}, weight),
        **board.cross({"atoms": atoms}, {**linear, **simple, **few_forests, **quick, **smooth}),
        **board.cross({"groups": groups}, {**linear, **simple, **few_forests, **boosting, **smooth}),
        **board.cross({"groups": groups}, models.tuned_regression()),
        **board.cross({"topics": Topics(60)}, topics),
    }
    for longest in (1, 2, 3, 4):
        for alpha in (1.0, 10.0, 60.0):
            entries[f"letters {longest} ridge-{alpha:g}"] = board.Fit(Letters(longest), Ridge(alpha))
    for alpha in (2.0, 10.0, 40.0):
        entries[f"letters and groups ridge-{alpha:g}"] = board.Fit(Letters(4, with_groups=True), Ridge(alpha))
    robust = LinearSVR(C=3.0, epsilon=5.0, max_iter=3000, random_state=models.SEED)
    entries["letters and groups svr"] = board.Fit(Letters(4, with_groups=True), robust)
    entries["letters 2 knn-5"] = board.Fit(Letters(2), KNeighborsRegressor(5, metric="cosine"))
    for count in (1, 4, 12):
        entries[f"tanimoto nearest {count}"] = Neighbours(count)
    for longest, alpha in ((3, 0.1), (4, 0.1), (4, 1.0), (6, 0.1)):
        entries[f"tanimoto {longest} ridge-{alpha:g}"] = Tanimoto(
            KernelRidge(alpha=alpha, kernel="precomputed"), longest
        )
    entries["corrected ridge"] = Corrected(10.0, small)
    entries["corrected ridge slow"] = Corrected(20.0, boosting["hist-boosting-slow"])
    blends = {
        "blend atoms": ("atoms extra-trees", "atoms svr-10", "atoms boosting-100"),
        "blend groups": ("groups extra-trees", "groups svr-10", "groups hist-boosting-slow"),
        "blend letters": ("letters and groups ridge-10", "tanimoto 4 ridge-0.1"),
        "blend topics": ("topics svr-10", "topics hist-boosting-slow", "topics kernel-ridge"),
        "blend kernels": ("tanimoto 4 ridge-0.1", "topics svr-10"),
        "blend everything": (
            "tanimoto 4 ridge-0.1",
            "topics svr-10",
            "topics hist-boosting-slow",
            "groups extra-trees",
            "corrected ridge",
        ),
    }
    entries |= {name: board.Blend(tuple(entries[team] for team in teams)) for name, teams in blends.items()}
    board.build_leaderboard(FOLDER, entries, metric="rmse", target=TARGET)


if __name__ == "__main__":
    common.main(build_data, build_leaderboard, FOLDER)
