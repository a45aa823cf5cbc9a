"""Positions, ranks and medals worked out by hand."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mledojo_env.errors import TaskDataError
from mledojo_env.leaderboard import Leaderboard, Medal, medal_positions

HIGHER = Leaderboard((0.9, 0.8, 0.8, 0.5), (0.7, 0.7, 0.6, 0.1), higher_is_better=True)
LOWER = Leaderboard((1.0, 2.0, 2.0, 4.0), (1.0, 2.0, 3.0, 3.0), higher_is_better=False)


@pytest.mark.parametrize(
    ("board", "part", "score", "position", "rank"),
    [
        (HIGHER, "public", 1.0, 1, 1.0),  # ahead of everyone
        (HIGHER, "public", 0.9, 1, 1.0),  # level with the first
        (HIGHER, "public", 0.8, 2, 0.75),  # a tie takes the best position of the tied
        (HIGHER, "public", 0.7, 4, 0.25),
        (HIGHER, "public", 0.5, 4, 0.25),  # level with the last
        (HIGHER, "public", 0.4, 5, 0.0),  # worse than everyone
        (HIGHER, "private", 0.7, 1, 1.0),
        (HIGHER, "private", 0.65, 3, 0.5),
        (LOWER, "public", 0.5, 1, 1.0),
        (LOWER, "public", 2.0, 2, 0.75),
        (LOWER, "public", 2.5, 4, 0.25),
        (LOWER, "public", 4.5, 5, 0.0),
        (LOWER, "private", 3.0, 3, 0.5),
    ],
)
def test_positions_and_ranks(board: Leaderboard, part: str, score: float, position: int, rank: float):
    assert board.position(score, part) == position  # type: ignore[arg-type]
    assert board.rank(score, part) == rank  # type: ignore[arg-type]


@pytest.mark.parametrize("score", [math.nan, math.inf, -math.inf])
def test_a_score_that_is_not_finite_has_no_place(score: float):
    with pytest.raises(ValueError, match="finite"):
        HIGHER.rank(score)


@given(
    scores=st.lists(st.integers(-5, 5), min_size=1, max_size=30),
    score=st.integers(-6, 6),
    higher=st.booleans(),
)
def test_rank_is_the_share_of_teams_matched_or_beaten(scores: list[int], score: int, higher: bool):
    board = Leaderboard(tuple(map(float, scores)), tuple(map(float, scores)), higher)
    beaten = sum(other <= score if higher else other >= score for other in scores)
    assert board.rank(score) == pytest.approx(beaten / len(scores))


@pytest.mark.parametrize(
    ("teams", "positions"),
    [
        (1, (1, 1, 1)),
        (50, (5, 10, 20)),
        (99, (9, 19, 39)),
        (100, (10, 20, 40)),
        (249, (10, 49, 99)),
        (250, (10, 50, 100)),
        (999, (11, 50, 100)),
        (1000, (12, 50, 100)),
        (5000, (20, 250, 500)),
    ],
)
def test_last_positions_of_medals(teams: int, positions: tuple[int, int, int]):
    assert medal_positions(teams) == positions


def test_medals_are_given_on_the_private_board():
    board = Leaderboard((0.0,) * 50, tuple(float(place) for place in range(1, 51)), higher_is_better=False)
    found = [board.medal(score) for score in (5, 5.5, 10, 11, 20, 21)]
    gold, silver, bronze = Medal.GOLD, Medal.SILVER, Medal.BRONZE
    assert found == [gold, silver, silver, bronze, bronze, None]


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("team,public_score,private_score\na,1,2\nb,oops,3\n", "line 3: public_score is 'oops'"),
        ("team,public_score,private_score\na,1,nan\n", "line 2: private_score is 'nan'"),
        ("team,public_score\na,1\n", "'private_score'"),
        ("team,public_score,private_score\n", "no teams"),
        ("", "'public_score'"),
    ],
)
def test_a_file_that_is_not_a_board_is_named_with_its_line(tmp_path: Path, text: str, found: str):
    path = tmp_path / "leaderboard.csv"
    path.write_text(text)
    with pytest.raises(TaskDataError, match=found) as error:
        Leaderboard.from_csv(path, higher_is_better=True)
    assert str(path) in str(error.value)


def test_boards_of_different_length(tmp_path: Path):
    path = tmp_path / "leaderboard.csv"
    path.write_text("team,public_score,private_score\na,1,2\nb,3,\nc,,5\n")
    board = Leaderboard.from_csv(path, higher_is_better=True)
    assert board.public_scores == (1.0, 3.0)
    assert board.private_scores == (2.0, 5.0)
    with pytest.raises(TaskDataError, match="Cannot read"):
        Leaderboard.from_csv(tmp_path / "none.csv", higher_is_better=True)


def test_a_board_of_equal_scores_is_a_placeholder(tmp_path: Path):
    path = tmp_path / "leaderboard.csv"
    path.write_text("team,public_score,private_score\na,0.0,0.9\nb,0.0,0.5\n")
    board = Leaderboard.from_csv(path, higher_is_better=True)
    assert board.public_scores == board.private_scores == (0.9, 0.5)
    path.write_text("team,public_score,private_score\na,0.3,0.5\nb,0.3,0.5\n")
    assert Leaderboard.from_csv(path, higher_is_better=True).public_scores == (0.3, 0.3)
    path.write_text("team,public_score,private_score\na,0.3,0.5\nb,0.4,\n")  # a single team is no placeholder
    assert Leaderboard.from_csv(path, higher_is_better=True).private_scores == (0.5,)
