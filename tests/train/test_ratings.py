import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mledojo_train.ratings import MEAN, elo_ratings


def test_a_small_case_by_hand() -> None:
    """Three wins of four: strengths of 3 to 1, so 400 log10(3) points apart."""
    scores = {"a": {t: [1.0] for t in "wxyz"}, "b": {"w": [0.0], "x": [0.0], "y": [0.0], "z": [2.0]}}
    ratings = elo_ratings(scores)
    gap = 400 * math.log10(3)
    assert ratings["a"].elo == pytest.approx(MEAN + gap / 2)
    assert ratings["b"].elo == pytest.approx(MEAN - gap / 2)


def test_ties_are_a_half_and_episodes_of_a_task_are_all_compared() -> None:
    ratings = elo_ratings({"a": {"t": [1.0, 0.0], "u": [1.0]}, "b": {"t": [1.0, 0.0], "u": [1.0]}})
    assert ratings["a"].elo == pytest.approx(MEAN) == ratings["b"].elo


def test_who_always_wins_or_always_loses_is_not_rated_and_told_why() -> None:
    scores = {
        "best": {"t": [9.0], "u": [9.0]},
        "a": {"t": [1.0], "u": [0.0]},
        "b": {"t": [0.0], "u": [1.0]},
        "worst": {"t": [-1.0], "u": [-1.0]},
        "alone": {"v": [1.0]},
    }
    ratings = elo_ratings(scores)
    assert ratings["a"].elo == pytest.approx(MEAN)
    assert (ratings["best"].elo, ratings["best"].reason) == (None, "won every comparison")
    assert (ratings["worst"].elo, ratings["worst"].reason) == (None, "lost every comparison")
    assert ratings["alone"].elo is None and "no task" in ratings["alone"].reason


@pytest.mark.parametrize(
    "scores", [{}, {"a": {"t": [1.0]}}, {"a": {}, "b": {}}, {"a": {"t": []}, "b": {"t": [1.0]}}]
)
def test_nothing_to_compare_is_no_rating(scores: dict[str, dict[str, list[float]]]) -> None:
    assert all(rating.elo is None and rating.reason for rating in elo_ratings(scores).values())
    assert list(elo_ratings(scores)) == list(scores)


def test_one_task_has_no_interval() -> None:
    ratings = elo_ratings({"a": {"t": [1.0, 0.0]}, "b": {"t": [0.5, 0.6]}})
    assert ratings["a"].elo == pytest.approx(MEAN) and ratings["a"].low is None


outcomes = st.lists(st.lists(st.integers(0, 3), min_size=3, max_size=3), min_size=2, max_size=6)


@settings(max_examples=10, deadline=None)
@given(outcomes)
def test_neither_order_nor_names_nor_units_matter(table: list[list[int]]) -> None:
    scores = {
        name: {f"t{row}": [float(table[row][place])] for row in range(len(table))}
        for place, name in enumerate("abc")
    }
    plain = elo_ratings(scores)
    turned = elo_ratings(dict(reversed(scores.items())))
    renamed = elo_ratings({{"a": "z", "b": "m", "c": "a"}[name]: tasks for name, tasks in scores.items()})
    scaled = elo_ratings(
        {n: {t: [7 * v + 3 for v in vs] for t, vs in tasks.items()} for n, tasks in scores.items()}
    )
    for name, other in (("a", "z"), ("b", "m"), ("c", "a")):
        expected = plain[name].elo
        for found in (turned[name].elo, renamed[other].elo, scaled[name].elo):
            assert found is expected is None or found == pytest.approx(expected, abs=1e-4)
    rated = [rating.elo for rating in plain.values() if rating.elo is not None]
    assert not rated or np.mean(rated) == pytest.approx(MEAN)


def test_planted_strengths_are_found() -> None:
    """Exponential races: i is ahead of j with probability s_i / (s_i + s_j)."""
    rng = np.random.default_rng(0)
    planted = {"a": 1.0, "b": 2.0, "c": 6.0}
    scores = {n: {f"t{k}": [-rng.exponential(1 / s)] for k in range(4000)} for n, s in planted.items()}
    ratings = elo_ratings(scores)
    mean = np.mean([400 * math.log10(s) for s in planted.values()])
    for name, strength in planted.items():
        assert ratings[name].elo == pytest.approx(400 * math.log10(strength) - mean + MEAN, abs=15)


def test_intervals_cover_the_truth_about_as_often_as_they_say() -> None:
    rng = np.random.default_rng(3)
    hits, trials = 0, 60
    truth = MEAN + 200 * math.log10(2)
    for trial in range(trials):
        scores = {
            n: {f"t{k}": [-rng.exponential(1 / s)] for k in range(60)} for n, s in (("a", 2.0), ("b", 1.0))
        }
        found = elo_ratings(scores, seed=trial)["a"]
        assert found.low is not None and found.high is not None
        hits += found.low <= truth <= found.high
    assert hits / trials >= 0.85
