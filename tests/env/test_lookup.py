"""Rows of a task that lie in a package of the sandbox are found, whatever they are called."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from sklearn.datasets import load_breast_cancer, load_diabetes

from mledojo_env.lookup import find_in_packages


@pytest.fixture(scope="module")
def tumours() -> pd.DataFrame:
    return load_breast_cancer(as_frame=True).frame


def test_rows_are_found_under_other_names_in_another_order(tumours: pd.DataFrame):
    rows = tumours.sample(100, random_state=0)[["worst area", "mean texture", "mean radius"]]
    found = find_in_packages(rows.set_axis(["a", "b", "c"], axis=1).assign(id=range(100), word="x"))
    assert found is not None and "breast_cancer" in found.file and found.rows == 100


def test_other_numbers_are_not_found(tumours: pd.DataFrame):
    rng = np.random.default_rng(0)
    assert find_in_packages(pd.DataFrame(rng.normal(size=(200, 5)).round(2))) is None
    shuffled = tumours[["worst area", "mean texture"]].apply(lambda column: rng.permutation(column))
    assert find_in_packages(shuffled) is None, "the cells are there, the rows are not"
    assert find_in_packages(pd.DataFrame({"word": ["a", "b"] * 50})) is None


def test_tables_with_other_separators_are_read():
    frame = load_diabetes(as_frame=True, scaled=False).frame
    found = find_in_packages(frame[["bmi", "bp", "s1"]][:80])
    assert found is not None and "diabetes" in found.file
