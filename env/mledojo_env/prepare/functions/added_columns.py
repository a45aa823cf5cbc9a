"""Recipes over a column that the raw table lacks: a week, a party of travellers, the twins of a product."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from mledojo_env.errors import TaskDataError
from mledojo_env.prepare import split
from mledojo_env.prepare.functions import preparation
from mledojo_env.prepare.output import Output
from mledojo_env.prepare.raw import RawFiles
from mledojo_env.prepare.recipe import Follow, OneHot, TableRecipe
from mledojo_env.prepare.table_split import TableSplit
from mledojo_env.prepare.tables import Table

if TYPE_CHECKING:
    from pandas import DataFrame, Series

_WEEK_NS = 7 * 24 * 3600 * 1e9


class _WithWeek(Table):
    """A table with the number of the week of its `Dates`."""

    def read(self, raw: RawFiles, columns: Sequence[str] | None = None) -> Iterator[DataFrame]:
        for rows in super().read(raw, columns):
            yield rows.assign(week=split.moments(_column(rows, "Dates", self.file)) // _WEEK_NS)


class _WithParty(Table):
    """A table with the party of a passenger, which is the id up to the underscore."""

    def read(self, raw: RawFiles, columns: Sequence[str] | None = None) -> Iterator[DataFrame]:
        for rows in super().read(raw, columns):
            ids = _column(rows, "PassengerId", self.file)
            yield rows.assign(party=ids.str.partition("_")[0])


class _WithMatches(Table):
    """A table with the postings of the same product, itself included, with spaces between them."""

    def read(self, raw: RawFiles, columns: Sequence[str] | None = None) -> Iterator[DataFrame]:
        import pandas as pd

        rows = pd.concat(list(super().read(raw, columns)), ignore_index=True)
        ids = _column(rows, "posting_id", self.file)
        groups = _column(rows, "label_group", self.file)
        yield rows.assign(matches=groups.map(ids.groupby(groups).agg(" ".join)))


@preparation
def sf_crime(raw: RawFiles, out: Output, micro: int | None) -> None:
    """Hold out whole weeks, as Kaggle did; by rows, the charges of one incident are on both sides."""
    recipe = TableRecipe(
        table=_WithWeek(file="train.csv"),
        new_id="Id",
        new_id_in_train=False,
        one_hot=OneHot(column="Category"),
        by=("week",),
        drop=("week",),
        hide=("Descript", "Resolution"),
    )
    TableSplit(recipe, "group", raw, out, micro).run()


@preparation
def spaceship_titanic(raw: RawFiles, out: Output, micro: int | None) -> None:
    """Hold out whole parties: those who travel together mostly meet the same fate."""
    recipe = TableRecipe(
        table=_WithParty(file="train.csv"),
        id=("PassengerId",),
        targets={"Transported": "Transported"},
        fraction=0.1,
        by=("party",),
        drop=("party",),
        part_by=("party",),
        sample="False",
    )
    TableSplit(recipe, "group", raw, out, micro).run()


@preparation
def shopee_product_matching(raw: RawFiles, out: Output, micro: int | None) -> None:
    """Hold out whole products, so that the postings of one in the test set are all there are of it."""
    recipe = TableRecipe(
        table=_WithMatches(file="train.csv"),
        id=("posting_id",),
        targets={"matches": "matches"},
        by=("label_group",),
        drop=("matches",),
        hide=("label_group",),
        part_by=("label_group",),
        follow=(Follow(file="train_images/{image}", test="test_images/{image}"),),
    )
    TableSplit(recipe, "group", raw, out, micro).run()


def _column(rows: DataFrame, name: str, where: str) -> Series:
    if name not in rows.columns:
        found = ", ".join(map(str, rows.columns[:30]))
        raise TaskDataError(f"{where} needs the column {name!r}; found {found}.")
    return rows[name]
