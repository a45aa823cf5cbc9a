"""Is a place on a generated board worth anything? Ladders, difficulty, and who ranks above whom."""

from __future__ import annotations

import csv
import os
import warnings
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pytest

from mledojo_env.catalog import load_task
from mledojo_env.grading import grade_frame
from mledojo_env.synth import family_names
from mledojo_env.synth.board import MAX_TEAMS, MIN_TEAMS, make_board, part_codes
from mledojo_env.synth.contest import suitable_contests
from mledojo_env.synth.draft import Setting
from mledojo_env.synth.entrants import METHODS, enter
from mledojo_env.synth.families import get_family
from mledojo_env.task import Task

FAMILIES = family_names()
LONG = pytest.mark.skipif(
    not os.environ.get("MLEDOJO_LONG_TESTS"), reason="takes minutes; set MLEDOJO_LONG_TESTS=1 to run it"
)
pytestmark = pytest.mark.usefixtures("cache")


@dataclass(frozen=True)
class Standing:
    """Rank and skill of an entrant: skill is 0 where nothing is known and 1 for the oracle."""

    rank: float
    skill: float


def ladder(task: Task) -> list[dict[str, str]]:
    with (task.folder / "private" / "ladder.csv").open() as file:
        return list(csv.DictReader(file))


def standing(task: Task, method: str) -> Standing:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        grade = grade_frame(task, enter(task, method))
    rungs = ladder(task)
    bottom, top = (float(rung["private_score"]) for rung in (rungs[0], rungs[-1]))
    assert grade.rank is not None
    return Standing(grade.rank, (grade.private_score - bottom) / (top - bottom))


@pytest.mark.parametrize("family", FAMILIES)
def test_boards_are_ladders(family: str):
    """Each has enough entries, all different, from the dummy's to the oracle's, which is first on both."""
    for seed in range(20, 28):
        task = load_task(f"synth/{family}/{seed}?difficulty={seed % 5 / 4}")
        board, rungs = task.leaderboard, ladder(task)
        assert board is not None
        assert board.kind == "reference"
        assert MIN_TEAMS <= board.teams() <= MAX_TEAMS
        assert len(set(board.private_scores)) == board.teams()
        top = rungs[-1]
        assert board.rank(float(top["public_score"]), "public") == 1
        assert board.rank(float(top["private_score"])) == 1
        assert board.rank(float(rungs[0]["private_score"])) <= 0.25
        assert list(board.private_scores) == sorted(board.private_scores, reverse=board.higher_is_better)


@pytest.mark.parametrize("family", FAMILIES)
def test_rungs_rise_on_average(family: str):
    """Knowing more is never worth less, on average over tasks of the same ladder's length."""
    ranks: dict[int, list[np.ndarray]] = {}
    for seed in range(15):
        for found, sign in boards(family, seed):
            scores = sign * np.array([entry.private_score for entry in found])
            span = scores[-1] - scores[0]
            ranks.setdefault(len(scores), []).append((scores - scores[0]) / span)
    for length, tasks in ranks.items():
        mean = np.mean(tasks, axis=0)
        slack = 0.02 if len(tasks) >= 10 else 0.1
        assert (np.diff(mean) > -slack).all(), (length, len(tasks), mean.round(3))


def boards(family: str, seed: int) -> Iterator[tuple[list, int]]:
    """Yield the scores of the bare rungs of a task, and which way is up."""
    setting = Setting(family, 300 + seed, seed % 3 / 2)
    draft = get_family(family).make(setting)
    for found in suitable_contests(draft, setting.stream("metric")):
        is_public = part_codes(draft, setting.stream("parts"))
        _, rungs = make_board(draft, found, is_public, setting.stream("board"))
        yield rungs, 1 if found.metric.higher_is_better else -1
        return


@pytest.mark.parametrize("family", FAMILIES)
def test_parts_are_alike(family: str):
    """About 30 % of the rows are public, and the oracle scores about the same on both parts."""
    off = []
    for seed in range(20, 28):
        task = load_task(f"synth/{family}/{seed}?difficulty={seed % 5 / 4}")
        answers = task.answers()
        assert 0.2 <= (answers["part"] == "public").mean() <= 0.4
        rungs = ladder(task)
        span = abs(float(rungs[-1]["private_score"]) - float(rungs[0]["private_score"]))
        off.append(abs(float(rungs[-1]["private_score"]) - float(rungs[-1]["public_score"])) / span)
    assert np.median(off) < 0.1


@pytest.mark.parametrize("family", FAMILIES)
def test_harder_is_harder(family: str):
    """The skill and the rank of one and the same pipeline fall with the difficulty, on average."""
    method = "boosting" if family == "forecast" else "linear"  # no line follows series of their own levels
    seeds = range(30, 36)
    easy, hard = (
        [standing(load_task(f"synth/{family}/{seed}?difficulty={level}"), method) for seed in seeds]
        for level in (0, 1)
    )
    assert np.mean([one.rank for one in easy]) > np.mean([one.rank for one in hard]) + 0.05
    assert np.median([one.skill for one in easy]) > np.median([one.skill for one in hard])


def standings(count: int) -> dict[str, list[Standing]]:
    found: dict[str, list[Standing]] = {method: [] for method in METHODS}
    for number in range(count):
        family, seed = FAMILIES[number % len(FAMILIES)], 400 + number // len(FAMILIES)
        task = load_task(f"synth/{family}/{seed}?difficulty={number * 7 % 11 / 10}")
        for method in METHODS:
            found[method].append(standing(task, method))
    return found


def check_order(found: dict[str, list[Standing]]) -> None:
    rank = {method: np.mean([one.rank for one in ones]) for method, ones in found.items()}
    assert rank["dummy"] + 0.2 < rank["linear"], rank
    assert rank["linear"] < rank["boosting"], rank
    assert rank["boosting"] < 1, rank


def test_stronger_pipelines_rank_higher():
    found = standings(2 * len(FAMILIES))
    check_order(found)
    # Nobody beats the oracle by more than luck: a hundredth of what there is to know.
    best = [max(one.skill for one in ones) for ones in zip(*found.values(), strict=True)]
    assert max(best) < 1.01


@LONG
def test_stronger_pipelines_rank_higher_over_200_tasks():
    found = standings(200)
    check_order(found)
    best = [max(one.skill for one in ones) for ones in zip(*found.values(), strict=True)]
    assert np.mean(np.array(best) > 1) < 0.01
    assert max(best) < 1.05
