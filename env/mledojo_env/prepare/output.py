"""What a preparation writes: public files, answers in two parts, a constant sample submission."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from mledojo_env.errors import TaskDataError
from mledojo_env.prepare import split
from mledojo_env.prepare.raw import place_file
from mledojo_env.prepare.tables import TableWriter

if TYPE_CHECKING:
    from pandas import DataFrame

    from mledojo_env.task import SubmissionFormat

PUBLIC_SHARE = 0.3  # of the test rows


@dataclass(frozen=True)
class Output:
    """The folder that a task is prepared in.

    Attributes:
        folder: Gets public/ and private/.
        form: The columns of a submission.
        seed: Decides which answers are public.
    """

    folder: Path
    form: SubmissionFormat
    seed: int

    def public(self, name: str) -> Path:
        """Return where a public file goes; its folder is made."""
        return _below(self.folder / "public", name)

    def private(self, name: str) -> Path:
        """Return where a private file goes; its folder is made."""
        return _below(self.folder / "private", name)

    def table(self, name: str) -> TableWriter:
        """Return a writer of a public table."""
        return TableWriter(self.public(name))

    def link(self, source: Path, name: str) -> None:
        """Put a raw file among the public ones, linked rather than copied where that is possible."""
        place_file(source, self.public(name))

    def link_folder(self, source: Path, name: str) -> None:
        """Put all files below a raw folder into a public folder of this name."""
        for path in sorted(source.rglob("*")):
            if path.is_file() and not path.is_symlink():
                self.link(path, f"{name}/{path.relative_to(source).as_posix()}")

    def answers(
        self, table: DataFrame, *, sample: Mapping[str, Any], part_by: Sequence[str] | None = None
    ) -> None:
        """Write the answers, and the sample submission with their ids.

        Args:
            table: Id and target columns, and what the metric needs besides.
            sample: The constant of each target column in the sample submission.
            part_by: Columns of `table` whose equal rows belong to one part; the id by default.

        Raises:
            TaskDataError: If a column is missing, an id is blank or, where ids have one row, there twice.
        """
        import pandas as pd

        ids, targets = list(self.form.id), list(self.form.targets)
        for name in (*ids, *targets):
            if name not in table.columns:
                found = ", ".join(map(str, table.columns[:20]))
                raise TaskDataError(f"The answers lack the column {name!r}; found {found}.")
        if len(table) < 2:
            raise TaskDataError(f"The test set has {len(table)} rows; expected two at least.")
        if self.form.rows == "one" and table.duplicated(ids).any():
            twice = table.loc[table.duplicated(ids), ids].iloc[0].tolist()
            raise TaskDataError(f"The id {twice} is there twice in the test set.")
        if (table[ids].astype(str) == "").any(axis=None) or table[ids].isna().any(axis=None):
            raise TaskDataError(f"A row of the test set has a blank id ({', '.join(ids)}).")
        table = table.assign(part=self._parts(table, list(part_by or ids)))
        table.to_csv(self.private("answers.csv"), index=False)
        rows = table[ids].drop_duplicates()
        constants = pd.concat(
            [rows, pd.DataFrame({name: sample[name] for name in targets}, index=rows.index)], axis="columns"
        )
        constants.to_csv(self.public("sample_submission.csv"), index=False)

    def _parts(self, table: DataFrame, columns: list[str]) -> np.ndarray:
        """Return the part of each row. Of each class that can be, some groups are in either part."""
        groups = table.groupby(columns, sort=True, dropna=False).ngroup().to_numpy()
        count = int(groups.max()) + 1
        if count < 2:
            raise TaskDataError(
                f"The answers cannot be cut into two parts: {columns} is the same everywhere."
            )
        rng = np.random.default_rng([self.seed, 1])
        strata = self._classes(table, groups)
        if strata is None:
            is_public = split.at_random(count, PUBLIC_SHARE, rng) == split.TEST
        else:
            is_public = split.stratified(strata, PUBLIC_SHARE, rng) == split.TEST
        return np.where(is_public[groups], "public", "private")

    def _classes(self, table: DataFrame, groups: np.ndarray) -> np.ndarray | None:
        """Return a code of the classes in each group; None where answers are no classes, or each its own.

        Classes of a single group are one stratum together.
        """
        if self.form.value not in ("label", "probability"):
            return None
        most = table[list(self.form.targets)].astype(str).groupby(groups).max()  # of each class, whether any
        kinds = most.groupby(list(most.columns), sort=True).ngroup().to_numpy()
        sizes = np.bincount(kinds)
        if (sizes > 1).sum() < 2:
            return None
        return np.unique(np.where(sizes[kinds] > 1, kinds, len(sizes)), return_inverse=True)[1]


def _below(folder: Path, name: str) -> Path:
    path = folder / name
    if not path.resolve().is_relative_to(folder.resolve()) or path == folder:
        raise TaskDataError(f"{name!r} is no name of a file below {folder.name}/.")
    path.parent.mkdir(parents=True, exist_ok=True)
    return path
