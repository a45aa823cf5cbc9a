import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mledojo_train.profiles import MOST, area, profile, ratios

ranks = st.floats(0, 1, allow_subnormal=False)
tables = st.lists(st.tuples(ranks, ranks, ranks), min_size=1, max_size=5)


def test_a_small_case_by_hand() -> None:
    scores = {
        "a": {"t": [0.8], "u": [0.1, 0.3]},
        "b": {"t": [0.4], "u": [0.2]},
        "c": {"t": [0.0], "u": [0.02]},
    }
    found = ratios(scores)
    assert found == {
        "a": {"t": 1.0, "u": 1.0},
        "b": {"t": 2.0, "u": 1.0},
        "c": {"t": float("inf"), "u": pytest.approx(10)},
    }
    assert profile(found["b"], [1, 1.9, 2]) == [0.5, 0.5, 1.0]
    assert area(found["a"]) == 1.0
    assert area(found["b"]) == pytest.approx((1 - np.log10(2) + 1) / 2)
    assert area(found["c"]) == pytest.approx(0.0)


def test_only_tasks_that_all_played_count() -> None:
    found = ratios({"a": {"t": [0.5], "u": [0.5]}, "b": {"t": [0.5], "u": []}})
    assert found == {"a": {"t": 1.0}, "b": {"t": 1.0}}
    assert ratios({}) == {} and area({}) is None and profile({}, [1.0]) == [0.0]


@given(tables)
def test_areas_lie_in_0_1_and_somebody_is_best_on_each_task(table: list[tuple[float, float, float]]) -> None:
    scores = {name: {f"t{k}": [row[i]] for k, row in enumerate(table)} for i, name in enumerate("abc")}
    found = ratios(scores)
    assert all(0 <= (area(one) or 0) <= 1 for one in found.values())
    assert all(min(one[task] for one in found.values()) == 1 for task in found["a"])
    turned = ratios(dict(reversed(scores.items())))
    assert turned == found


@given(tables)
def test_the_area_is_the_integral_of_the_profile(table: list[tuple[float, float, float]]) -> None:
    scores = {name: {f"t{k}": [row[i]] for k, row in enumerate(table)} for i, name in enumerate("abc")}
    logs = (np.arange(500) + 0.5) / 500
    for one in ratios(scores).values():
        assert area(one) == pytest.approx(np.mean(profile(one, MOST**logs)), abs=3e-3)
