"""One run of a declarative preparation: chooses the test rows, writes them and what goes along with them."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from mledojo_env.errors import TaskDataError
from mledojo_env.prepare import split
from mledojo_env.prepare.output import Output
from mledojo_env.prepare.raw import RawFiles
from mledojo_env.prepare.recipe import AnswerColumn, Follow, OneHot, SideTable, Strategy, TableRecipe

if TYPE_CHECKING:
    from pandas import DataFrame, Series

_FIELD = re.compile(r"{([^{}\[\]]+)(?:\[(\d+)\])?}")


class TableSplit:
    """One run of a `TableRecipe`.

    Args:
        recipe: What to do.
        strategy: How test rows are chosen.
        raw: The raw files.
        out: Where the task is prepared.
        micro: How many rows to keep on each side; None for all.
    """

    def __init__(
        self, recipe: TableRecipe, strategy: Strategy, raw: RawFiles, out: Output, micro: int | None = None
    ) -> None:
        if bool(recipe.by) != (strategy != "random") or (strategy == "time" and len(recipe.by) != 1):
            wanted = {"random": "none", "time": "one column"}.get(strategy, "at least one column")
            raise TaskDataError(f"A {strategy} split needs {wanted} in `by`; found {list(recipe.by)}.")
        self._recipe = recipe
        self._strategy = strategy
        self._raw = raw
        self._out = out
        self._micro = micro
        self._rng = np.random.default_rng(out.seed)
        self._shuffled: DataFrame | None = None
        self._linked: set[tuple[str, str, str]] = set()

    def run(self) -> None:
        """Write public and private files.

        Raises:
            TaskDataError: If raw files or columns are missing or not as expected; names them.
            OSError: If the disk is full.
        """
        recipe, out = self._recipe, self._out
        sides = self._choose()
        hidden: list[DataFrame] = []
        keys: dict[str, list[DataFrame]] = {"train": [], "test": []}
        wanted = list(dict.fromkeys(name for side in recipe.side_tables for name in side.key.values()))
        writers = {name: out.table(name) for name in dict.fromkeys((recipe.train, recipe.test)) if name}
        start = 0
        for rows in self._rows():
            here = sides[start : start + len(rows)]
            start += len(rows)
            for side, code in (("train", split.TRAIN), ("test", split.TEST)):
                mine = rows[here == code]
                name = recipe.train if side == "train" else recipe.test
                if name:
                    writers[name].write(self._shown(mine, is_test=side == "test"))
                if len(mine):
                    self._follow(mine, side)
                if wanted:
                    _require(mine, wanted, "side_tables")
                    keys[side].append(mine[wanted])
            hidden.append(rows.loc[here == split.TEST, self._answer_columns()])
        for writer in writers.values():
            writer.close()
        import pandas as pd

        self._write_answers(pd.concat(hidden, ignore_index=True))
        for side_table in recipe.side_tables:
            self._write_side(side_table, {side: pd.concat(found) for side, found in keys.items()})
        for source, target in recipe.copy_files.items():
            if (self._raw.folder / source).is_dir():
                out.link_folder(self._raw.folder_path(source), target.rstrip("/"))
            else:
                out.link(self._raw.path(source), target)

    def _answer_columns(self) -> list[str]:
        """Return the columns that answers are made of: what is kept in memory of each test row."""
        recipe = self._recipe
        names = [
            *recipe.id,
            *recipe.labels,
            *recipe.part_by,
            *(rule.column for rule in recipe.answers.values()),
        ]
        if recipe.new_id:
            names.append(recipe.new_id)
        if recipe.melt:
            names += [name for name, _ in _FIELD.findall(recipe.melt.id) if name != "target"]
            names += [column for raw in recipe.melt.answers.values() for column in raw.values()]
        return list(dict.fromkeys(names))

    # ---------------------------------------------------------------- which rows

    def _rows(self) -> Any:
        """Yield the labelled table in pieces, with the new id, in the order that is written."""
        if self._shuffled is not None:
            yield self._shuffled
            return
        recipe = self._recipe
        if recipe.shuffle or recipe.table.listing:
            table = recipe.table.whole(self._raw)
            table = table.iloc[np.random.default_rng([self._out.seed, 2]).permutation(len(table))]
            self._shuffled = self._identified(table.reset_index(drop=True), 0)
            yield self._shuffled
            return
        start = 0
        for piece in recipe.table.read(self._raw):
            rows = self._identified(piece.reset_index(drop=True), start)
            start += len(piece)
            yield rows

    def _identified(self, rows: DataFrame, start: int) -> DataFrame:
        recipe = self._recipe
        made = {recipe.new_id}
        needed = [name for name in (*self._answer_columns(), *recipe.by) if name not in made]
        _require(rows, needed, recipe.table.file)
        if recipe.new_id is None:
            return rows
        if recipe.id_format is None:
            ids: Any = np.arange(start, start + len(rows)).astype(str)
        else:
            ids = _filled(recipe.id_format, rows)
        return rows.assign(**{recipe.new_id: ids})

    def _choose(self) -> np.ndarray:
        """Return the side of each row. Only rows with answers can be tested on; the others stay in train."""
        import pandas as pd

        recipe, form = self._recipe, self._out.form
        is_text = form.value == "text"  # where a blank may be an answer
        needed = list(dict.fromkeys((*recipe.filled, *(() if is_text else (*recipe.by, *recipe.labels)))))
        classes = self._classes()
        ids = list(recipe.id) if form.rows == "one" and not recipe.new_id and not recipe.melt else []
        kept, filled, hashes = [], [], []
        for rows in self._rows():
            kept.append(rows[list(dict.fromkeys((*recipe.by, *classes)))])
            blank = rows[needed].isna() | (rows[needed].astype(str) == "")
            filled.append(~blank.to_numpy(dtype=bool).any(axis=1))
            if ids:
                hashes.append(pd.util.hash_pandas_object(rows[ids], index=False).to_numpy())
        can_test = np.concatenate(filled)
        if ids:  # a row whose id is there twice has no answer of its own
            can_test &= ~pd.Series(np.concatenate(hashes)).duplicated(keep=False).to_numpy()
        table = pd.concat(kept, ignore_index=True)[can_test]
        if len(table) < 2:
            raise TaskDataError(
                f"{recipe.table.file} has {len(table)} rows with answers ({', '.join(recipe.labels)}) and an "
                f"id of their own ({', '.join(ids) or 'made'})."
            )
        groups: np.ndarray | None = None
        fraction = min(recipe.fraction, (recipe.at_most or np.inf) / len(table))
        if self._strategy == "random":
            sides = split.at_random(len(table), fraction, self._rng)
        elif self._strategy == "time":
            sides = split.latest(split.moments(table[recipe.by[0]], recipe.date_format), fraction)
            if recipe.at_most is not None:
                sides = split.cap(sides, recipe.at_most, self._rng)
        else:
            groups = split.codes(table, recipe.by)
            divide = split.stratified if self._strategy == "stratified" else split.whole_groups
            sides = divide(groups, fraction, self._rng)
        if self._micro is not None and self._strategy == "group":
            sides = split.thin(sides, groups, self._micro, self._rng)
        elif self._micro is not None:
            strata = split.codes(table, classes) if classes else None
            sides = split.thin_evenly(sides, strata, self._micro, self._rng)
        chosen = np.full(len(can_test), split.TRAIN if self._micro is None else split.LEFT_OUT)
        chosen[can_test] = sides
        return chosen

    def _classes(self) -> list[str]:
        """Return the columns whose classes a small variant must all have, for a metric that compares them."""
        if self._micro is None or self._out.form.value not in ("label", "probability"):
            return []
        return list(self._recipe.labels)

    # ---------------------------------------------------------------- what is written

    def _shown(self, rows: DataFrame, *, is_test: bool) -> DataFrame:
        """Return the public columns of rows."""
        recipe = self._recipe
        secret = (*recipe.labels, *recipe.hide) if is_test else ()
        shown = rows.drop(columns=[*recipe.drop, *secret, "path"], errors="ignore")
        if recipe.new_id is not None and not is_test and not recipe.new_id_in_train:
            shown = shown.drop(columns=recipe.new_id)
        elif recipe.new_id is not None:
            shown = shown[[recipe.new_id, *(name for name in shown.columns if name != recipe.new_id)]]
        names = dict(recipe.rename)
        if is_test and not recipe.new_id and not recipe.melt:
            names |= dict(zip(recipe.id, self._out.form.id, strict=False))
        return shown.rename(columns=names)

    def _follow(self, rows: DataFrame, side: str) -> None:
        for rule in self._recipe.follow:
            target = rule.train if side == "train" else rule.test
            if target == "":
                continue
            sources = _filled(rule.file, rows)
            targets = sources if target is None else _filled(target, rows)
            for source, name in dict.fromkeys(zip(sources, targets, strict=True)):
                if (rule.file, source, name) not in self._linked:
                    self._linked.add((rule.file, source, name))
                    self._link(rule, source, name)

    def _link(self, rule: Follow, source: str, name: str) -> None:
        if source.endswith("/"):
            if rule.required or (self._raw.folder / source).is_dir():
                self._out.link_folder(self._raw.folder_path(source.rstrip("/")), name.rstrip("/"))
            return
        if "*" not in source:
            if rule.required or (self._raw.folder / source).is_file():
                self._out.link(self._raw.path(source), name)
            return
        expression = re.compile(re.escape(source).replace(r"\*", "([^/]*)"))
        parent = self._raw.folder / Path(source).parent
        found = sorted(parent.glob(Path(source).name)) if parent.is_dir() else []
        if not found and rule.required:
            raise TaskDataError(f"The raw files of {self._raw.slug} lack {source}.")
        for path in found:
            matched = expression.fullmatch(path.relative_to(self._raw.folder).as_posix())
            pieces = name.split("*")
            stars = (matched.groups() if matched else ())[: len(pieces) - 1]
            self._out.link(path, pieces[0] + "".join(map("".join, zip(stars, pieces[1:], strict=True))))

    def _write_side(self, side: SideTable, keys: Mapping[str, DataFrame]) -> None:
        columns = list(side.key)
        writers = {name: self._out.table(name) for name in dict.fromkeys((side.train, side.test)) if name}
        import pandas as pd

        wanted = {
            part: pd.MultiIndex.from_frame(found[list(side.key.values())].astype(str).drop_duplicates())
            for part, found in keys.items()
        }
        for rows in side.table.read(self._raw):
            _require(rows, columns, side.table.file)
            index = pd.MultiIndex.from_frame(rows[columns].astype(str))
            rows = rows.drop(columns=list(side.drop), errors="ignore")
            in_test = index.isin(wanted["test"])
            if side.train:
                writers[side.train].write(rows[index.isin(wanted["train"]) & ~in_test])
            if side.test:
                writers[side.test].write(rows[in_test].drop(columns=list(side.hide), errors="ignore"))
        for writer in writers.values():
            writer.close()

    def _write_answers(self, rows: DataFrame) -> None:
        recipe, form = self._recipe, self._out.form
        ids = [recipe.new_id] if recipe.new_id else list(recipe.id)
        extra: dict[str, Any] = {name: _answer(rows, rule) for name, rule in recipe.answers.items()}
        extra |= {f"part_by_{column}": rows[column] for column in recipe.part_by}
        part_by = [f"part_by_{column}" for column in recipe.part_by]
        if recipe.melt:
            part_by = part_by or ["part_by_row"]
            table = self._melted(rows, {**extra, "part_by_row": rows.index.to_series()})
        else:
            if len(ids) != len(form.id):
                raise TaskDataError(f"The id of a submission is {form.id}; the recipe makes {ids}.")
            columns: dict[str, Any] = {
                name: rows[raw] for name, raw in zip(form.id, ids, strict=True) if raw is not None
            }
            columns |= {name: _mapped(rows[raw], recipe.values) for name, raw in recipe.targets.items()}
            if recipe.one_hot:
                columns |= _one_hot(rows[recipe.one_hot.column], recipe.one_hot, form.targets)
            import pandas as pd

            table = pd.DataFrame({**columns, **extra})
        self._out.answers(table, sample=recipe.constants(form), part_by=part_by)

    def _melted(self, rows: DataFrame, extra: Mapping[str, Series]) -> DataFrame:
        import pandas as pd

        melt, form = self._recipe.melt, self._out.form
        assert melt is not None
        if len(form.id) != 1 or len(form.targets) != 1:
            raise TaskDataError("melt makes one id and one target column; the submission has others.")
        pieces = [
            pd.DataFrame(
                {
                    form.id[0]: _filled(melt.id, rows.assign(target=name)),
                    form.targets[0]: _mapped(rows[raw], self._recipe.values),
                    **({melt.name: name} if melt.name else {}),
                    **{column: rows[raws[name]] for column, raws in melt.answers.items()},
                    **extra,
                }
            )
            for name, raw in melt.targets.items()
        ]
        return pd.concat(pieces, ignore_index=True)


def _answer(rows: DataFrame, rule: AnswerColumn) -> Series:
    """Return a further column of the answers.

    Raises:
        TaskDataError: If a cell that is compared is no number.
    """
    if rule.above is None:
        return _mapped(rows[rule.column], rule.values)
    import pandas as pd

    try:
        return (pd.to_numeric(rows[rule.column]) > rule.above).astype(int)
    except ValueError as error:
        raise TaskDataError(f"Column {rule.column!r} is compared with {rule.above:g}: {error}.") from error


def _mapped(column: Series, values: Mapping[str, str | float]) -> Series:
    """Return a column with each value replaced; as it is where there is nothing to replace it by."""
    if not values:
        return column
    texts = column.astype(str)
    unknown = sorted(set(texts) - values.keys())
    if unknown:
        expected = ", ".join(map(repr, values))
        raise TaskDataError(f"Column {column.name!r} holds {unknown[0]!r}; expected one of {expected}.")
    return texts.map(values)


def _one_hot(column: Series, rule: OneHot, targets: Sequence[str]) -> dict[str, np.ndarray]:
    """Return a column of 0 and 1 for each target."""
    cells = [
        {
            rule.name.replace("{class}", part)
            for part in (text.split(rule.sep) if rule.sep else [text])
            if part
        }
        for text in column.astype(str)
    ]
    unknown = sorted(set().union(*cells) - set(targets))
    if unknown:
        raise TaskDataError(f"Column {column.name!r} holds the class {unknown[0]!r}, which is no target.")
    return {name: np.array([int(name in cell) for cell in cells]) for name in targets}


def _filled(template: str, rows: DataFrame) -> list[str]:
    """Return a template with each row's cells in the place of {column}, a letter of it for {column[0]}."""
    names = _FIELD.findall(template)
    _require(rows, [name for name, _ in names], template)
    if not names:
        return [template] * len(rows)
    pieces = re.split(r"{[^{}]+}", template)
    texts = [(rows[name].astype(str), place) for name, place in names]
    columns = [(text.str[int(place)] if place else text).tolist() for text, place in texts]
    return [
        pieces[0] + "".join(cell + piece for cell, piece in zip(cells, pieces[1:], strict=True))
        for cells in zip(*columns, strict=True)
    ]


def _require(rows: DataFrame, columns: Sequence[str], where: str) -> None:
    missing = [name for name in columns if name not in rows.columns]
    if missing:
        found = ", ".join(map(str, rows.columns[:30]))
        raise TaskDataError(f"{where} needs the column {missing[0]!r}; found {found}.")
