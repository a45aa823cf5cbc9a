import numpy as np
import pytest

from mledojo_train.statistics import difference, stratified_mean


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
