"""From a submission to scores, ranks and a medal, on the host and out of the agent's reach."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, final

import numpy as np

from mledojo_env.errors import GradingError, InvalidSubmission
from mledojo_env.grader import Grader, shared_grader
from mledojo_env.ids import Ids, show_id
from mledojo_env.leaderboard import Medal
from mledojo_env.metrics import BadCell
from mledojo_env.submission import read_submission
from mledojo_env.validation import Aligned, align, check_answers, numeric_targets

if TYPE_CHECKING:
    from pandas import DataFrame

    from mledojo_env.metrics import Metric
    from mledojo_env.task import SubmissionFormat, Task

_NAMED = 8  # target columns in a message

__all__ = [
    "Grade",
    "Grader",
    "grade_bytes",
    "grade_frame",
    "read_submission",
    "score_frame",
    "shared_grader",
]


@final
@dataclass(frozen=True)
class Grade:
    """What a valid submission got. Ranks, positions, medal and teams are None without a leaderboard."""

    score: float  # on all test rows
    public_score: float
    private_score: float
    public_rank: float | None  # in [0, 1], the score of a part on the board of that part
    private_rank: float | None
    rank: float | None  # mean of both
    medal: Medal | None  # by the private board
    public_position: int | None  # 1 is first
    private_position: int | None
    teams: int | None  # on the private board


def score_frame(submission: DataFrame, answers: DataFrame, form: SubmissionFormat, metric: Metric) -> float:
    """Return the score of a submission on all rows of `answers`, a finite float.

    Raises:
        InvalidSubmission: If it cannot be scored; names the column or the first bad id.
        GradingError: If the answers or the metric fail.
    """
    return _score(align(submission, answers, form, metric), form, metric)


def grade_frame(task: Task, submission: DataFrame) -> Grade:
    """Return the grade of a submission.

    Raises:
        InvalidSubmission: If it cannot be scored; names the column or the first bad id.
        GradingError: If the answers or the metric fail.
    """
    return _grade(task, submission, task.answers())


def _grade(task: Task, submission: DataFrame, answers: DataFrame, ids: Ids | None = None) -> Grade:
    metric, board = task.metric, task.leaderboard
    aligned = align(submission, answers, task.submission, metric, ids)
    parts = public_private(answers, task.id)[aligned.first]
    score, public, private = (
        _score(aligned, task.submission, metric, rows)
        for rows in (None, parts == "public", parts == "private")
    )
    if board is None:
        return Grade(score, public, private, None, None, None, None, None, None, None)
    public_rank, private_rank = board.rank(public, "public"), board.rank(private, "private")
    return Grade(
        score=score,
        public_score=public,
        private_score=private,
        public_rank=public_rank,
        private_rank=private_rank,
        rank=(public_rank + private_rank) / 2,
        medal=board.medal(private),
        public_position=board.position(public, "public"),
        private_position=board.position(private, "private"),
        teams=board.teams("private"),
    )


def grade_bytes(task: Task, data: bytes) -> Grade:
    """Return the grade of a submission.csv's content, parsed in this process; agents' files go to a `Grader`.

    Raises:
        InvalidSubmission: If it cannot be read or scored.
        GradingError: If the answers or the metric fail.
    """
    form, answers = task.submission, task.answers()
    check_answers(answers, form, task.metric)
    ids = Ids(answers, form.id)
    submission = read_submission(
        data,
        [*form.id, *form.targets],
        numbers=numeric_targets(answers, form, task.metric),
        widths=ids.widths if form.rows == "one" else None,
    )
    return _grade(task, submission, answers, ids)


def public_private(answers: DataFrame, task_id: str) -> np.ndarray:
    """Return the part of each row of the answers, "public" or "private".

    Raises:
        GradingError: If the column is missing, holds anything else, or a part has no rows.
    """
    if "part" not in answers.columns:
        raise GradingError(f"The answers of {task_id} have no column 'part'; expected public or private.")
    parts = answers["part"].to_numpy(dtype=object)
    if set(parts) != {"public", "private"}:
        found = ", ".join(sorted(map(str, set(parts))))
        raise GradingError(f"The parts of {task_id} are {found}; expected rows of both public and private.")
    return parts


def _score(aligned: Aligned, form: SubmissionFormat, metric: Metric, rows: np.ndarray | None = None) -> float:
    keep = slice(None) if rows is None else rows
    truth, predicted = aligned.y_true[keep], aligned.y_pred[keep]
    columns = {name: values[keep] for name, values in aligned.columns.items()}
    try:
        score = metric(truth, predicted, **columns)
        if np.isfinite(score):
            return score
        best = metric(truth, truth, **columns)
    except BadCell as error:
        where = show_id(aligned.ids[int(aligned.first[keep][error.row])])
        names = "/".join(form.targets[:_NAMED]) + "/..." * (len(form.targets) > _NAMED)
        raise InvalidSubmission(f"Column {names!r} {error.problem}: at id {where}.") from error
    except (ArithmeticError, LookupError, TypeError, ValueError) as error:
        raise GradingError(f"{metric.name} failed: {type(error).__name__}: {error}") from error
    if not np.isfinite(best):
        raise GradingError(f"{metric.name} is {best} for the answers themselves.")
    raise InvalidSubmission(
        f"The {metric.name} of these predictions is {score}, no finite number: they are too large."
    )
