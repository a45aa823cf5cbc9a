"""Rows that two tasks share are found under any name, in any order, and when they are nearly the same."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from mledojo_env.overlap import find_shared_rows, read_contents

rng = np.random.default_rng(0)


def numbers(rows: int) -> pd.DataFrame:
    return pd.DataFrame(rng.normal(size=(rows, 4)).round(3), columns=list("abcd"))


def texts(rows: int) -> list[str]:
    letters = np.array(list("abcdefghijklmnop "))
    return ["".join(rng.choice(letters, size=120)) for _ in range(rows)]


def shared(tmp_path: Path, hidden: pd.DataFrame | np.ndarray, seen: pd.DataFrame | np.ndarray) -> list[str]:
    found = []
    for task, content in (("hidden", hidden), ("seen", seen)):
        folder = tmp_path / task
        folder.mkdir()
        if isinstance(content, pd.DataFrame):
            content.to_csv(folder / "train.csv", index=False)
        else:
            np.savez(folder / "train.npz", images=content)
        found.append([read_contents(task, folder)])
    return find_shared_rows(*found)


def test_a_table_under_other_names_in_another_order(tmp_path: Path):
    seen = numbers(300)
    hidden = seen.sample(100, random_state=1)[["d", "b", "a"]].set_axis(["x", "y", "z"], axis=1)
    assert shared(tmp_path, hidden, seen) == ["100 of 100 rows of hidden/train.csv in seen/train.csv"]


def test_texts_with_a_word_changed(tmp_path: Path):
    seen = texts(200)
    hidden = [f"{text[:-5]} xyzw" for text in seen[:50]]
    frames = (pd.DataFrame({"id": range(len(rows)), "text": rows}) for rows in (hidden, seen))
    assert shared(tmp_path, *frames) == ["50 of 50 texts of hidden/train.csv in seen/train.csv"]


@pytest.mark.parametrize("colours", [(), (3,)])
def test_pictures_of_another_size(tmp_path: Path, colours: tuple[int, ...]):
    coarse = rng.integers(0, 255, size=(60, 16, 16, *colours)).astype(np.uint8)
    large = coarse.repeat(2, axis=1).repeat(2, axis=2)
    (line,) = shared(tmp_path, large[:30], coarse)
    assert line == "30 of 30 shapes of hidden/train.npz:images in seen/train.npz:images"


def test_what_only_looks_alike_is_not_found(tmp_path: Path):
    small = [pd.DataFrame(rng.integers(0, 40, size=(300, 5))) for _ in range(2)]
    for place, pair in enumerate(
        (small, [numbers(200), numbers(200)], [pd.DataFrame({"text": texts(80)}) for _ in range(2)])
    ):
        folder = tmp_path / str(place)
        folder.mkdir()
        assert shared(folder, *pair) == []
    (tmp_path / "pictures").mkdir()
    noise = rng.integers(0, 255, size=(2, 60, 20, 20)).astype(np.uint8)
    assert shared(tmp_path / "pictures", *noise) == []


def test_blank_pictures_are_like_none(tmp_path: Path):
    assert shared(tmp_path, np.zeros((20, 8, 8)), np.zeros((20, 8, 8))) == []
