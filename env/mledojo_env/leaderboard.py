"""Where a score stands among others: position, rank and medal."""

from __future__ import annotations

import csv
import math
from bisect import bisect_left
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Literal

from mledojo_env.errors import TaskDataError

Part = Literal["public", "private"]

COLUMNS = ("public_score", "private_score")


class Medal(StrEnum):
    """What Kaggle gives the top of a competition's private board."""

    GOLD = "gold"
    SILVER = "silver"
    BRONZE = "bronze"


@dataclass(frozen=True)
class Leaderboard:
    """The scores of a competition's teams on both parts of the test rows, in any order.

    Raises:
        TaskDataError: If a board is empty or a score is not a finite number.
    """

    public_scores: tuple[float, ...]
    private_scores: tuple[float, ...]
    higher_is_better: bool
    kind: Literal["human", "reference"] = "human"
    _costs: dict[str, list[float]] = field(init=False, repr=False, compare=False)  # sorted, best first

    def __post_init__(self) -> None:
        sign = -1.0 if self.higher_is_better else 1.0
        costs = {}
        for part, scores in (("public", self.public_scores), ("private", self.private_scores)):
            if len(scores) == 0:
                raise TaskDataError(f"The {part} leaderboard has no teams; expected at least one.")
            bad = [score for score in scores if not math.isfinite(score)]
            if bad:
                raise TaskDataError(f"The {part} leaderboard holds {bad[0]}; expected finite numbers.")
            costs[part] = sorted(sign * score for score in scores)
        object.__setattr__(self, "_costs", costs)

    @classmethod
    def from_csv(
        cls, path: Path, *, higher_is_better: bool, kind: Literal["human", "reference"] = "human"
    ) -> Leaderboard:
        """Read a board with the columns `public_score` and `private_score`, one row a team.

        A blank score is a team that is missing from that board. A board on which all teams are equal while
        they differ on the other one is a placeholder (three of Kaggle's public boards are all 0): the other
        one stands for it.

        Raises:
            TaskDataError: If the file is missing or a score is not a finite number; names the line.
        """
        scores: dict[str, list[float]] = {column: [] for column in COLUMNS}
        try:
            with path.open(encoding="utf-8", newline="") as file:
                rows = csv.DictReader(file)
                missing = [column for column in COLUMNS if column not in (rows.fieldnames or ())]
                if missing:
                    raise TaskDataError(
                        f"{path} has no column {missing[0]!r}; expected team, {', '.join(COLUMNS)}."
                    )
                for row in rows:
                    for column in COLUMNS:
                        if row[column]:
                            scores[column].append(_number(row[column], path, rows.line_num, column))
        except (OSError, UnicodeDecodeError, csv.Error) as error:
            raise TaskDataError(f"Cannot read the leaderboard {path}: {error}.") from error
        for column, other in (COLUMNS, COLUMNS[::-1]):
            if len(scores[column]) > 1 == len(set(scores[column])) < len(set(scores[other])):
                scores[column] = scores[other]
        try:
            return cls(
                tuple(scores["public_score"]), tuple(scores["private_score"]), higher_is_better, kind=kind
            )
        except TaskDataError as error:
            raise TaskDataError(f"{path}: {error}") from error

    def teams(self, part: Part = "private") -> int:
        """Return how many teams are on a board."""
        return len(self._costs[part])

    def position(self, score: float, part: Part = "private") -> int:
        """Return 1 + the number of teams that are strictly better: 1 is first, teams + 1 below everyone.

        Raises:
            ValueError: If the score is not finite.
        """
        if not math.isfinite(score):
            raise ValueError(f"A score of {score} has no place on a leaderboard; expected a finite number.")
        return 1 + bisect_left(self._costs[part], -score if self.higher_is_better else score)

    def rank(self, score: float, part: Part = "private") -> float:
        """Return (teams - position + 1) / teams in [0, 1]: the share of teams matched or beaten.

        As MLE-Dojo's position score (arXiv 2505.07782); on a board of people it is the HumanRank.

        Raises:
            ValueError: If the score is not finite.
        """
        teams = self.teams(part)
        return (teams - self.position(score, part) + 1) / teams

    def medal(self, score: float) -> Medal | None:
        """Return the medal that a score earns on the private board, by Kaggle's table.

        Raises:
            ValueError: If the score is not finite.
        """
        position = self.position(score, "private")
        for medal, last in zip(Medal, medal_positions(self.teams("private")), strict=True):
            if position <= last:
                return medal
        return None


def medal_positions(teams: int) -> tuple[int, int, int]:
    """Return the last position that earns gold, silver and bronze among so many teams, at least 1 each.

    Kaggle's progression table; shares round down, as MLE-bench reads it.
    """
    if teams < 100:
        gold, silver, bronze = teams // 10, teams * 20 // 100, teams * 40 // 100
    elif teams < 250:
        gold, silver, bronze = 10, teams * 20 // 100, teams * 40 // 100
    elif teams < 1000:
        gold, silver, bronze = 10 + teams // 500, 50, 100
    else:
        gold, silver, bronze = 10 + teams // 500, teams * 5 // 100, teams * 10 // 100
    return max(gold, 1), max(silver, 1), max(bronze, 1)


def _number(text: str, path: Path, line: int, column: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise TaskDataError(f"{path}, line {line}: {column} is {text[:40]!r}; expected a finite number.")
    return value
