"""Rewards by hand and as properties, over any sequence of submissions."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mledojo_env.actions import ActionName
from mledojo_env.episode import Episode, ScoreVisibility
from mledojo_env.errors import ConfigError
from mledojo_env.grading import Grade
from mledojo_env.observation import StepStatus
from mledojo_env.reward import REWARDS, Transition, make_reward


def grade(public: float, private: float) -> Grade:
    """Return a grade whose scores are also its ranks; the whole score is their mean."""
    return Grade(
        score=(public + private) / 2,
        public_score=public,
        private_score=private,
        public_rank=public,
        private_rank=private,
        rank=(public + private) / 2,
        medal=None,
        public_position=1,
        private_position=1,
        teams=10,
    )


def rewards(
    name: str, grades: list[Grade | None], visibility: ScoreVisibility, higher_is_better: bool = True
) -> tuple[list[float], Episode]:
    """Return the reward of each submission (None: a failed run) and the episode they made."""
    episode = Episode(0, len(grades), 60.0, visibility, higher_is_better)
    earned = []
    for each in grades:
        before, rank_before = episode.counted, episode.final_rank or 0.0
        if each is not None:
            episode.count(each)
        status = StepStatus.FAILED if each is None else StepStatus.OK
        rank_after = episode.final_rank or 0.0
        step = Transition(
            ActionName.EXECUTE_CODE, status, None, each, before, episode.counted, rank_before, rank_after
        )
        earned.append(make_reward(name)(step))
    return earned, episode


RANKS = st.integers(0, 8).map(lambda eighths: eighths / 8)
GRADES = st.lists(st.none() | st.builds(grade, RANKS, RANKS), max_size=12)


@given(GRADES, st.sampled_from(list(ScoreVisibility)), st.booleans())
def test_rank_gain_sums_to_the_rank_of_the_submission_that_counts(
    grades: list[Grade | None], visibility: ScoreVisibility, higher_is_better: bool
) -> None:
    earned, episode = rewards("rank_gain", grades, visibility, higher_is_better)
    final = episode.counted
    whole = visibility is ScoreVisibility.DOJO
    expected = 0.0 if final is None else (final.rank if whole else final.private_rank)
    assert sum(earned) == expected  # eighths and sixteenths: exact in binary


@given(GRADES, st.sampled_from(list(ScoreVisibility)), st.booleans())
def test_the_best_compared_score_counts(
    grades: list[Grade | None], visibility: ScoreVisibility, higher_is_better: bool
) -> None:
    _, episode = rewards("rank_gain", grades, visibility, higher_is_better)
    scores = [visibility.compared_score(each) for each in grades if each is not None]
    counted = episode.counted and visibility.compared_score(episode.counted)
    assert counted == ((max if higher_is_better else min)(scores) if scores else None)


@given(GRADES, st.integers(1, 4))
def test_resubmitting_earns_nothing(grades: list[Grade | None], times: int) -> None:
    repeated = [each for each in grades for _ in range(times)]
    once, _ = rewards("rank_gain", grades, ScoreVisibility.KAGGLE)
    more, _ = rewards("rank_gain", repeated, ScoreVisibility.KAGGLE)
    assert sum(once) == sum(more) and more[::times] == once


@pytest.mark.parametrize("higher_is_better", [True, False])
def test_of_equal_submissions_the_first_counts(higher_is_better: bool) -> None:
    ties = [grade(0.5, 0.25), grade(0.5, 0.75)]
    earned, episode = rewards("rank_gain", ties, ScoreVisibility.KAGGLE, higher_is_better)
    assert earned == [0.25, 0.0] and episode.counted is ties[0]


def test_dojo_pays_for_every_submission() -> None:
    earned, _ = rewards(
        "dojo", [grade(0.5, 0.75), None, grade(0.5, 0.75), grade(0.0, 0.0)], ScoreVisibility.DOJO
    )
    assert earned == [0.625, 0.0, 0.625, 0.0]


def test_without_reward_every_step_is_zero() -> None:
    earned, _ = rewards("none", [grade(1.0, 1.0), None], ScoreVisibility.KAGGLE)
    assert earned == [0.0, 0.0]


def test_every_reward_names_itself_and_its_source() -> None:
    assert {reward.name for reward in REWARDS.values()} == set(REWARDS)
    assert all(reward.source for reward in REWARDS.values())


def test_an_unknown_reward_names_the_nearest() -> None:
    with pytest.raises(ConfigError, match=r"'rankgain'; expected one of .* Did you mean 'rank_gain'"):
        make_reward("rankgain")
