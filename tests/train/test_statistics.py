import itertools

import numpy as np
import pytest

from mledojo_train.statistics import (
    compare,
    difference,
    episodes_needed,
    expected_best,
    stratified_mean,
    task_mean,
)


def test_every_task_weighs_the_same_however_many_episodes_it_has() -> None:
    estimate = stratified_mean({"a": [1.0] * 9, "b": [0.0]})
    assert estimate is not None
    assert estimate.mean == 0.5
    assert estimate.n == 10


def test_no_spread_no_width() -> None:
    estimate = stratified_mean({"a": [0.3] * 5})
    assert estimate is not None
    assert (estimate.mean, estimate.low, estimate.high) == pytest.approx((0.3, 0.3, 0.3))


def test_nothing_observed_is_none_and_not_nan() -> None:
    assert stratified_mean({}) is None
    assert stratified_mean({"a": []}) is None
    assert difference({"a": [1.0]}, {"b": [1.0]}) is None


def test_the_interval_covers_the_truth_about_as_often_as_it_says() -> None:
    rng = np.random.default_rng(1)
    hits = 0
    for trial in range(200):
        sample = {task: rng.normal(mean, 1.0, 30).tolist() for task, mean in (("a", 0.0), ("b", 2.0))}
        estimate = stratified_mean(sample, seed=trial)
        assert estimate is not None
        hits += estimate.low <= 1.0 <= estimate.high
    assert 0.88 <= hits / 200 <= 0.99


def test_a_planted_difference_is_found_and_signed() -> None:
    rng = np.random.default_rng(2)
    before = {task: rng.normal(0.3, 0.1, 50).tolist() for task in "ab"}
    after = {task: rng.normal(0.5, 0.1, 50).tolist() for task in "ab"}
    change = difference(after, before)
    assert change is not None
    assert 0.15 < change.low < change.mean < change.high < 0.25


def test_other_tasks_are_less_certain_than_these() -> None:
    rng = np.random.default_rng(4)
    values = {f"t{k}": rng.normal(rng.normal(0, 1), 0.1, 8).tolist() for k in range(12)}
    these, others = stratified_mean(values), task_mean(values)
    assert these is not None and others is not None
    assert these.mean == pytest.approx(others.mean)
    assert others.high - others.low > 5 * (these.high - these.low)


def test_the_interval_over_tasks_covers_the_mean_of_all_tasks() -> None:
    rng = np.random.default_rng(5)
    hits = 0
    for trial in range(100):
        values = {f"t{k}": rng.normal(rng.normal(0, 1), 0.5, 4).tolist() for k in range(30)}
        found = task_mean(values, seed=trial)
        assert found is not None
        hits += found.low <= 0 <= found.high
    assert hits >= 86


def test_one_task_says_nothing_of_others_and_none_nothing_at_all() -> None:
    assert task_mean({"a": [0.0, 1.0]}) == stratified_mean({"a": [0.0, 1.0]})
    assert task_mean({}) is None and task_mean({"a": []}) is None


def test_policies_that_are_alike_seldom_differ() -> None:
    rng = np.random.default_rng(6)
    found = [
        compare(
            {t: rng.normal(0, 1, 4).tolist() for t in "abc"}, {t: rng.normal(0, 1, 4).tolist() for t in "abc"}
        )
        for _ in range(150)
    ]
    small = sum(one is not None and one.p_value < 0.1 for one in found)
    assert 4 <= small <= 27  # 15 expected


def test_a_comparison_by_hand() -> None:
    """Two episodes each on one task: of six ways to deal them, two are as large as the one that was seen."""
    found = compare({"t": [3.0, 4.0]}, {"t": [1.0, 2.0]})
    assert found is not None and found.tasks == 1
    assert found.difference.mean == 2.0
    assert found.p_value == pytest.approx(2 / 6, abs=0.02)
    assert compare({"a": [1.0]}, {"b": [1.0]}) is None


def test_as_many_episodes_as_are_needed_see_the_difference_as_often_as_was_asked() -> None:
    rng = np.random.default_rng(7)
    pilot = {t: rng.normal(0, 0.2, 200).tolist() for t in "abcd"}
    count = episodes_needed(pilot, 0.1)
    assert count is not None and 14 <= count <= 18  # 2 (1.96 + 0.84)^2 0.04 / (4 0.01) = 15.7
    seen = 0
    for trial in range(60):
        one = {t: rng.normal(0.1, 0.2, count).tolist() for t in "abcd"}
        other = {t: rng.normal(0.0, 0.2, count).tolist() for t in "abcd"}
        found = compare(one, other, seed=trial)
        seen += found is not None and found.p_value < 0.05
    assert 0.65 <= seen / 60 <= 0.95


def test_what_cannot_be_planned_is_said() -> None:
    assert episodes_needed({"a": [1.0]}, 0.1) is None
    assert episodes_needed({"a": [1.0, 1.0]}, 0.1) == 2
    with pytest.raises(ValueError, match="more than 0"):
        episodes_needed({"a": [1.0, 2.0]}, 0.0)


def test_the_best_of_k_is_the_mean_over_all_draws() -> None:
    values = [0.3, 0.1, 0.9, 0.3]
    for k in (1, 2, 3, 4):
        draws = [max(draw) for draw in itertools.combinations(values, k)]
        assert expected_best(values, k) == pytest.approx(sum(draws) / len(draws))
    with pytest.raises(ValueError, match="best of 5 of 4"):
        expected_best(values, 5)
