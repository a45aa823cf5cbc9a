"""The declarative preparation: one labelled table, split by rows, and whatever goes along with it.

It covers every competition whose test set can be cut from a table that has the answers: images, JSON files
and further tables follow the rows of that table. What it cannot say is a function in `functions`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from mledojo_env.errors import TaskDataError
from mledojo_env.prepare.tables import Table

if TYPE_CHECKING:
    from mledojo_env.task import SubmissionFormat

Strategy = Literal["random", "stratified", "group", "time"]


class _Params(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Follow(_Params):
    """A file that belongs to a row. Names are templates over the row's columns, e.g. `images/{id}.jpg`.

    `{id[0]}` is the first letter of an id. Rows may share a file.

    Attributes:
        file: Its path among the raw files. What matches `*` in it is kept, so that one row may have several.
            A name that ends with / is a folder, whose every file belongs to the row.
        train: Its public path for a training row; the raw one by default, "" to leave it out.
        test: Its public path for a test row; as `train`.
        required: Whether a row without the file is an error, or just has none.
    """

    file: str
    train: str | None = None
    test: str | None = None
    required: bool = True


class SideTable(_Params):
    """A further table, whose rows belong to rows of the main one.

    Attributes:
        table: Where it is.
        key: Its columns -> the main table's.
        train: Its public name for the rows of training rows; "" to leave them out.
        test: The same for test rows; equal names make one file.
        hide: Columns that the test part must not have.
        drop: Columns that neither part must have.
    """

    table: Table
    key: dict[str, str]
    train: str
    test: str
    hide: tuple[str, ...] = ()
    drop: tuple[str, ...] = ()


class OneHot(_Params):
    """Answers of 0 and 1 in a column for each class.

    Attributes:
        column: The raw column that holds the class, or several classes.
        sep: What separates several; None where there is one.
        name: Template of a target's name over `{class}`.
    """

    column: str
    sep: str | None = None
    name: str = "{class}"


class Melt(_Params):
    """Answers in long form: a row for each test row and target.

    Attributes:
        id: Template of the answers' id over the row's columns and `{target}`.
        targets: Name in the id -> raw column.
        name: Column of the answers that gets the name in the id, if the metric needs it.
        answers: Further columns of the answers that differ from target to target: name -> name in the id ->
            raw column.
    """

    id: str
    targets: dict[str, str]
    name: str | None = None
    answers: dict[str, dict[str, str]] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _answers_are_complete(self) -> Melt:
        for column, raw in self.answers.items():
            if raw.keys() != self.targets.keys():
                raise ValueError(
                    f"answers.{column} must have the names of targets: {', '.join(self.targets)}"
                )
        return self


class AnswerColumn(_Params):
    """A further column of the answers.

    Attributes:
        column: The raw column.
        values: Raw value -> value in the answers; the raw ones by default.
        above: Instead of the value, 1 where it is more than this and 0 else.
    """

    column: str
    values: dict[str, str | float] = Field(default_factory=dict)
    above: float | None = None


class TableRecipe(_Params):
    """How a labelled table becomes train, test and answers.

    Attributes:
        table: The labelled table.
        id: Raw columns of the id, in the order of the submission's; none if `new_id` makes one.
        new_id: Name of an id column to add: the number of the row, or `id_format`.
        id_format: Template of the new id over the row's columns.
        new_id_in_train: Whether the training table has the new id, too.
        targets: Submission column -> raw column. Others are in `one_hot` or `melt`.
        one_hot: For targets that are classes.
        melt: For answers in long form.
        values: Raw value of a target -> value in the answers.
        answers: Further columns of the answers, for the metric. The raw ones are public, unless hidden.
        fraction: Share of the rows that become the test set; of a split by time, the latest.
        at_most: Rows of the test set at most, of groups or moments the nearest: a submission is to be small.
        date_format: How the column of a split by time writes dates, where they could be read otherwise.
        filled: Columns that a test row must have filled; the answers, unless they are text.
        by: Columns to stratify by, whose rows belong together, or (one) whose time counts.
        part_by: Columns (raw) whose equal rows belong to one part of the answers.
        shuffle: Whether rows lose their order, which may tell the answers; a listing always does.
        rename: Raw column -> public column. In the test table the id is always named as in a submission.
        drop: Raw columns that no public table has.
        hide: Raw columns that the test table lacks, besides the targets.
        train: Public name of the training table; "" for none.
        test: Public name of the test table; "" for none.
        follow: Files that belong to rows.
        side_tables: Tables whose rows belong to rows.
        copy_files: Raw files or folders that are public as they are: name -> public name.
        sample: The constant of the sample submission, for all targets or each.
    """

    table: Table
    id: tuple[str, ...] = ()
    new_id: str | None = None
    id_format: str | None = None
    new_id_in_train: bool = True
    targets: dict[str, str] = Field(default_factory=dict)
    one_hot: OneHot | None = None
    melt: Melt | None = None
    values: dict[str, str | float] = Field(default_factory=dict)
    answers: dict[str, AnswerColumn] = Field(default_factory=dict)
    fraction: float = Field(default=0.2, gt=0, lt=1)
    at_most: int | None = Field(default=None, gt=1)
    date_format: str | None = None
    filled: tuple[str, ...] = ()
    by: tuple[str, ...] = ()
    part_by: tuple[str, ...] = ()
    shuffle: bool = False
    rename: dict[str, str] = Field(default_factory=dict)
    drop: tuple[str, ...] = ()
    hide: tuple[str, ...] = ()
    train: str = "train.csv"
    test: str = "test.csv"
    follow: tuple[Follow, ...] = ()
    side_tables: tuple[SideTable, ...] = ()
    copy_files: dict[str, str] = Field(default_factory=dict)
    sample: str | float | dict[str, str | float] | None = None

    @model_validator(mode="after")
    def _is_complete(self) -> TableRecipe:
        if not self.id and not self.new_id and not self.melt:
            raise ValueError("no id: name the raw columns of it, or give new_id")
        if self.id_format and not self.new_id:
            raise ValueError("id_format says how to make an id, but new_id does not name it")
        if not (self.targets or self.one_hot or self.melt):
            raise ValueError("no targets: name them, or give one_hot or melt")
        return self

    @property
    def labels(self) -> tuple[str, ...]:
        """The raw columns that hold answers."""
        found = list(self.targets.values())
        if self.one_hot:
            found.append(self.one_hot.column)
        if self.melt:
            found += self.melt.targets.values()
        return tuple(dict.fromkeys(found))

    def constants(self, form: SubmissionFormat) -> dict[str, Any]:
        """Return the constant of each target column in the sample submission.

        Raises:
            TaskDataError: If targets are labels and `sample` does not say which.
        """
        if isinstance(self.sample, dict):
            return dict(self.sample)
        given: Any = self.sample
        if given is None:
            given = {"probability": 0.5, "number": 0, "text": ""}.get(form.value)
            if given is None:
                raise TaskDataError("The targets are labels: `sample` must say which one is the constant.")
            if self.one_hot and self.one_hot.sep is None:
                given = round(1 / len(form.targets), 6)
        return dict.fromkeys(form.targets, given)
