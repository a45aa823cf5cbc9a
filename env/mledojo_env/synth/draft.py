"""What a family makes: a task on paper. Everything else about a generated task follows from it.

A family is a function `Setting -> Draft` (see `families.family`). It invents the rows, says what they mean,
and knows what could be known about the answers: the `ladder`. The metric, the sample submission, the
reference leaderboard and most of the description follow from the draft, alike for all families.

The contract of a family:
- Every random choice comes from `Setting.stream(name)`, one stream for each concern; nothing depends on time,
  on the order of a set, or on the last bits of a float (values in tables are rounded).
- Answers are drawn from the last rung's belief: the oracle knows the process, not the dice. What a table does
  not show (a cell that is missing, a column left out) the oracle does not know either.
- Rungs go from a dummy that knows nothing of the rows to the oracle, each at least as good as the one before
  on average, and close enough together that blends between neighbours make a board worth climbing.
- Harder means less signal, fewer training rows, more distractors; at any difficulty there is headroom
  between dummy and oracle, and an ordinary model learns something.
- Rows: 50 to 2,000 over all tables of rows with and without answers, of which at least 200 in the test set,
  so that scores have some resolution.
- Of a table: no two rows alike (three columns of real numbers or more), no single column that gives the
  answers away, no target and nothing in the order of rows or in ids that tells.
"""

from __future__ import annotations

import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Literal

import numpy as np

if TYPE_CHECKING:
    from pandas import DataFrame

    from mledojo_env.synth.presentation import Style

GENERATOR = 2  # its version: raise it whenever a byte of any generated task changes

_STREAMS = 1  # a part of every seed; with another one, every task is another one

Cell = str | int | float | bool


@dataclass(frozen=True)
class Setting:
    """What a family starts from: the seed, the difficulty, and how this task looks."""

    family: str
    seed: int
    difficulty: float  # 0: easy, 1: hard

    def stream(self, name: str) -> np.random.Generator:
        """Return a generator of random numbers for one concern: equal names, equal numbers.

        It does not depend on the difficulty: what is drawn before the difficulty matters stays the same.
        """
        key = [_STREAMS, zlib.crc32(self.family.encode()), self.seed, zlib.crc32(name.encode())]
        return np.random.default_rng(key)

    @cached_property
    def style(self) -> Style:
        """How columns, files, ids and classes of this task are named; always the same object."""
        from mledojo_env.synth.presentation import Style

        return Style(self.stream("style"))

    def between(self, easy: float, hard: float) -> float:
        """Return a value that goes from `easy` at difficulty 0 to `hard` at 1."""
        return easy + (hard - easy) * self.difficulty


@dataclass(frozen=True)
class Rung:
    """What somebody who knows a part of the process can say about each test row.

    Attributes:
        name: In a few plain words, e.g. "linear effects of the numbers".
        belief: For `Classes` the probability of each class, shape (rows, classes). For `Amount` the location
            of the amount, shape (rows,): of its logarithm, where the noise is "lognormal" or "poisson".
        spread: For `Amount`: the standard deviation, on the scale of `belief`, of what this belief leaves
            open: the noise and whatever of the process is not known on this rung. For "poisson" noise,
            without the noise. It decides e.g. how the mean of a skewed amount differs from its median.
    """

    name: str
    belief: np.ndarray
    spread: float = 0.0


@dataclass(frozen=True)
class Classes:
    """The answer is one of several classes.

    Attributes:
        names: As they stand in the tables, in the order of codes 0, 1, ... Of two classes the second is the
            one that is looked for, and must sort after the first. Ordered classes are
            whole numbers one apart.
        truth: The code of each test row, shape (rows,).
        shares: The share of each class among the training rows, shape (classes,).
        ordered: Whether they are grades, whose distances count.
    """

    names: tuple[Cell, ...]
    truth: np.ndarray
    shares: np.ndarray
    ordered: bool = False


@dataclass(frozen=True)
class Amount:
    """The answer is a number.

    Attributes:
        truth: Of each test row, rounded, shape (rows,).
        noise: How answers scatter about the oracle's location x: "normal" about x; "lognormal" and "poisson"
            with exp(x) as their median and mean. The latter two have answers of at least 0.
        decimals: Of the answers; predictions on the board have two more.
        unit: For the description, e.g. "EUR"; "" for none.
    """

    truth: np.ndarray
    noise: Literal["normal", "lognormal", "poisson"] = "normal"
    decimals: int = 2
    unit: str = ""


@dataclass(frozen=True)
class File:
    """One public file: a table (.csv) or named arrays (.npz).

    Attributes:
        purpose: One line for task.yaml and the description, e.g. "loans with their outcome".
        table: Cells as they are written: whole numbers, rounded floats (NaN and None become blanks), text.
        arrays: Arrays by name; of small integer types, to be small. Images of the rows of `<stem>.csv` are an
            array "images", shape (rows, height, width), in `<stem>_images.npz`.
        columns: What each column, or array, means. A column that is not there is told of by its name alone.
    """

    purpose: str
    table: DataFrame | None = None
    arrays: Mapping[str, np.ndarray] | None = None
    columns: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Draft:
    """A task as its family hands it over.

    Attributes:
        title: A few words, as a competition is called.
        domain: One of `task.DOMAINS`.
        story: Markdown, one or two paragraphs: who has this data, and what is to be predicted of what.
        goal: What the answers are.
        files: Public files by name, without sample_submission.csv. Names come from `Style.table_file` and
            `Style.array_file`.
        id: The id column, in the test table and in submissions.
        test_ids: Of each test row, in the order of `goal.truth` and of the beliefs.
        target: The target column, in the training table and in submissions.
        target_meaning: What it means, a line.
        ladder: From dummy to oracle; five rungs or more.
        good_to_know: Sentences for the description about traps that an entrant could read up on: what blanks
            mean, that the test set is later. Each ends with a full stop.
        metrics: Names of the registry's metrics to choose from; () for all that suit the goal.
        weights: Name in the test table of a column of weights that wmae may use; "" for none.
        weight_values: Their values, shape (rows,), where there are any.
        part_groups: Codes, shape (rows,), of test rows that belong to the same part of the answers; None:
            every row stands alone.
        kind: One of `task.KINDS`; "" for what follows from the goal.
        timeout_s: Wall clock of one run.
    """

    title: str
    domain: str
    story: str
    goal: Classes | Amount
    files: Mapping[str, File]
    id: str
    test_ids: Sequence[Cell]
    target: str
    target_meaning: str
    ladder: tuple[Rung, ...]
    good_to_know: tuple[str, ...] = ()
    metrics: tuple[str, ...] = ()
    weights: str = ""
    weight_values: np.ndarray | None = None
    part_groups: np.ndarray | None = None
    kind: str = ""
    timeout_s: float = 10.0
