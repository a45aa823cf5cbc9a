"""What a board is made of: scores as the registry has them, and decisions that no other decision beats."""

from __future__ import annotations

import math

import numpy as np
import pytest

from mledojo_env.metrics import get_metric
from mledojo_env.synth import contest, decisions
from mledojo_env.synth.contest import Option, suitable_contests
from mledojo_env.synth.draft import Amount, Setting
from mledojo_env.synth.families import get_family
from mledojo_env.synth.prose import describe
from mledojo_env.synth.scores import fast_score

RNG = np.random.default_rng(5)
ROWS = 300

OF_LABELS = [
    ("accuracy", {}, 4),
    ("error_rate", {}, 4),
    ("balanced_accuracy", {}, 4),
    ("balanced_accuracy", {}, 2),
    ("f1", {"average": "macro"}, 4),
    ("f1", {"average": "weighted"}, 4),
    ("f1", {"average": "micro"}, 4),
    ("f1", {"pos_label": 1}, 2),
    ("matthews_corrcoef", {}, 4),
    ("matthews_corrcoef", {}, 2),
    ("cohen_kappa", {"weights": "quadratic"}, 5),
    ("cohen_kappa", {"weights": "linear"}, 5),
    ("cohen_kappa", {}, 5),
]


@pytest.mark.parametrize(("name", "params", "classes"), OF_LABELS)
def test_scores_of_labels_are_the_registrys(name: str, params: dict[str, object], classes: int):
    metric = get_metric(name, params)
    score = fast_score(metric, classes)
    truth = RNG.integers(classes, size=ROWS)
    for share in (0.0, 0.3, 0.9, 1.0):
        predicted = np.where(RNG.random(ROWS) < share, truth, RNG.integers(classes, size=ROWS))
        assert score(truth, predicted) == pytest.approx(metric(truth, predicted), abs=1e-12)
    constant = np.zeros(ROWS, dtype=int)
    if name != "cohen_kappa":
        assert score(truth, constant) == pytest.approx(metric(truth, constant), abs=1e-12)
    two = np.minimum(truth, 1)  # classes that never occur
    assert score(two, constant) == pytest.approx(metric(two, constant), abs=1e-12)


@pytest.mark.parametrize("name", ["roc_auc", "average_precision", "r2"])
def test_scores_by_rank_are_the_registrys(name: str):
    metric = get_metric(name)
    score = fast_score(metric, 2)
    truth = RNG.integers(2, size=ROWS).astype(float)
    for decimals in (0, 1, 8):  # many ties, some, none
        predicted = np.round(np.clip(truth * 0.3 + RNG.random(ROWS) * 0.7, 0, 1), decimals)
        assert score(truth, predicted) == pytest.approx(metric(truth, predicted), abs=1e-12)
    assert score(truth, np.full(ROWS, 0.5)) == pytest.approx(metric(truth, np.full(ROWS, 0.5)), abs=1e-12)


# --------------------------------------------------------------------------- decisions


@pytest.mark.parametrize(
    ("metric", "average"),
    [("accuracy", None), ("balanced_accuracy", None), ("f1", "binary"), ("matthews_corrcoef", None)],
)
def test_labels_of_two_classes_are_cut_where_it_pays(metric: str, average: str | None):
    chances = np.random.default_rng(0).beta(0.7, 2.0, size=40_000)
    belief = np.column_stack([1 - chances, chances])
    truth = (np.random.default_rng(1).random(len(chances)) < chances).astype(int)
    score = fast_score(get_metric(metric), 2)
    chosen = score(truth, decisions.label(metric, average, belief, belief.mean(axis=0)))
    others = [score(truth, (chances > cut).astype(int)) for cut in np.linspace(0.02, 0.9, 60)]
    assert chosen >= max(others) - 0.005
    assert chosen > min(others) + 0.05


@pytest.mark.parametrize("metric", ["rmse", "mae", "rmsle", "mape", "smape", "rmspe", "median_ae"])
def test_skewed_amounts_are_predicted_by_the_point_that_pays(metric: str):
    location, spread = 2.0, 0.6
    truth = np.exp(location + spread * np.random.default_rng(0).standard_normal(100_000))
    score = get_metric(metric)
    chosen = decisions.amount(metric, "lognormal", np.full(len(truth), location), spread)
    ours = score(truth, chosen)
    for factor in np.linspace(0.4, 2.5, 43):
        theirs = score(truth, np.full(len(truth), math.exp(location) * factor))
        assert ours <= theirs * 1.005


@pytest.mark.parametrize("metric", ["rmse", "mae", "rmsle"])
def test_counts_are_predicted_by_the_point_that_pays(metric: str):
    location = np.log(3.3)
    truth = np.random.default_rng(0).poisson(3.3, size=100_000).astype(float)
    score = get_metric(metric)
    ours = score(truth, decisions.amount(metric, "poisson", np.full(len(truth), location), 0.0))
    for constant in np.linspace(0.5, 7, 66):
        assert ours <= score(truth, np.full(len(truth), constant)) * 1.005


def test_grades_are_spread_as_kappa_likes_them():
    rng = np.random.default_rng(0)
    middle = rng.normal(2.0, 0.8, size=(20_000, 1))
    belief = np.exp(-0.5 * (np.arange(5) - middle) ** 2 / 1.2)
    belief /= belief.sum(axis=1, keepdims=True)
    truth = (rng.random((len(belief), 1)) > np.cumsum(belief, axis=1)[:, :-1]).sum(axis=1)
    score = fast_score(get_metric("cohen_kappa", {"weights": "quadratic"}), 5)
    ours = score(truth, decisions.grade("cohen_kappa", "quadratic", belief))
    assert ours > score(truth, belief.argmax(axis=1))
    mean = (belief * np.arange(5)).sum(axis=1)
    assert ours > score(truth, mean.round().astype(int))


# --------------------------------------------------------------------------- contests


def every_option() -> list[Option]:
    tables = [contest._BINARY, contest._SEVERAL, contest._GRADES, *contest._AMOUNTS.values()]
    return [option for options in tables for option in options]


def test_every_metric_is_in_the_registry_and_has_a_best_value():
    for option in every_option():
        params = {"weight_column": "w"} if option.name == "wmae" else dict(option.params)
        assert math.isfinite(get_metric(option.name, params).best_value)


def test_every_metric_can_be_told_and_scored():
    """Over many drafts, each metric that suits one gives a board entry and a description."""
    told = set()
    for seed in range(40):
        setting = Setting("tabular", seed, 0.5)
        draft = get_family("tabular").make(setting)
        for found in suitable_contests(draft, setting.stream("metric")):
            dummy, oracle = (found.score(found.predict(draft.ladder[place])) for place in (0, -1))
            careless = found.score(found.careless)
            assert found.metric.is_better(oracle, dummy), (seed, found.metric.name)
            assert found.metric.is_better(oracle, careless), (seed, found.metric.name)
            text = describe(draft, found, setting.stream("prose"), teams=70)
            assert draft.target in text
            assert "{" not in text
            told.add(found.metric.name)
    assert {option.name for option in every_option()} == told


def test_relative_errors_need_answers_away_from_zero():
    for seed in range(40):
        draft = get_family("tabular").make(Setting("tabular", seed, 0.5))
        names = {found.metric.name for found in suitable_contests(draft, np.random.default_rng(0))}
        if isinstance(draft.goal, Amount) and draft.goal.noise == "poisson":
            assert not names & {"mape", "rmspe"}
        if names & {"mape", "rmspe"}:
            assert draft.goal.truth.min() > 0
