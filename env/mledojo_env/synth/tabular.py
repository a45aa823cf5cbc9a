"""The family `tabular`: one table, rows that have nothing to do with each other."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from mledojo_env.synth import effects
from mledojo_env.synth.columns import (
    Measured,
    Sheet,
    Sorted,
    many_levels,
    measure,
    sort_in,
    write_copies,
    write_sentinel,
    write_slips,
)
from mledojo_env.synth.draft import Draft, File, Setting
from mledojo_env.synth.families import family
from mledojo_env.synth.hindsight import add_hindsight
from mledojo_env.synth.outcome import Outcome, Stage, choose_question, make_outcome
from mledojo_env.synth.wording import story, tell_target, title
from mledojo_env.synth.worlds import Category, World, any_world, pick_numbers

_WEIGHTED = 0.25  # share of tasks with amounts that have a column of weights
_DAY = np.timedelta64(1, "D")
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


@family(
    summary="one table of numbers, words, dates: blanks that mean something, rare levels, interactions",
    domain="tabular",
)
def tabular(setting: Setting) -> Draft:
    """Return a task of one table."""
    world = any_world(setting)
    rows, is_test = draw_rows(setting)
    sheet = Sheet()
    facts = draw_facts(setting, world, sheet, rows)
    kind, question = choose_question(world, setting)
    outcome = make_outcome(setting, kind, question, stages(setting, facts), is_test)
    notes = [
        write_sentinel(setting, sheet, facts.measured),
        write_slips(setting, sheet, facts.measured),
    ]
    write_copies(setting, sheet, facts.measured)
    weights = _draw_weights(setting, sheet, rows) if kind == "amounts" else None
    draft = hand_over(setting, world, sheet, outcome, is_test, notes=notes)
    if weights is None:
        return draft
    name, values = weights
    return replace(draft, weights=name, weight_values=values[is_test])


@dataclass(frozen=True)
class Facts:
    """What is known of each row, before anybody asks."""

    measured: list[Measured]
    sorted: list[Sorted]
    many: Sorted | None  # of high cardinality
    season: np.ndarray | None  # day of the year as an angle, shape (rows,)


def draw_rows(setting: Setting) -> tuple[int, np.ndarray]:
    """Return how many rows there are in all, and which of them are in the test set; those are the last."""
    rng = setting.stream("size")
    low, high = setting.between(350, 160), setting.between(1300, 650)
    train = int(np.exp(rng.uniform(np.log(low), np.log(high))))
    test = int(rng.integers(300, 651))
    return train + test, np.arange(train + test) >= train


def draw_facts(setting: Setting, world: World, sheet: Sheet, rows: int) -> Facts:
    """Return a part of a world's columns, written into a sheet."""
    rng = setting.stream("schema")
    numbers = pick_numbers(world, rng, int(rng.integers(4, len(world.numbers) + 1)))
    z = effects.correlated(setting.stream("z"), rows, len(numbers), float(rng.uniform(0, 0.5)))
    measured = measure(setting, sheet, numbers, z)
    picked = rng.permutation(len(world.categories))[: int(rng.integers(1, len(world.categories) + 1))]
    sorted_ = sort_in(setting, sheet, [world.categories[place] for place in picked.tolist()], rows)
    many = None
    if rng.random() < 0.45:
        count = int(rng.integers(15, 15 + int(setting.between(30, 90))))
        category = Category(world.many, f"{world.many} it belongs to", many_levels(rng, world.many, count))
        many = sort_in(setting, sheet, [category], rows, "many")[0] if not setting.style.is_opaque else None
    season = draw_dates(setting, world, sheet, rows) if rng.random() < 0.3 else None
    return Facts(measured, sorted_, many, season)


def _draw_weights(setting: Setting, sheet: Sheet, rows: int) -> tuple[str, np.ndarray] | None:
    """Write a column that says how much each row matters, in some tasks; return its name and values."""
    rng = setting.stream("weights")
    if rng.random() > _WEIGHTED:
        return None
    name = setting.style.column(("weight", "importance", "priority", "times counted")[int(rng.integers(4))])
    values = rng.choice([1, 2, 5], size=rows, p=[0.6, 0.3, 0.1])
    sheet.add(name, values, "how much the row matters to those who ask")
    return name, values


def draw_dates(setting: Setting, world: World, sheet: Sheet, rows: int) -> np.ndarray:
    """Write a column of dates within three years; return the season as an angle, shape (rows,)."""
    rng = setting.stream("dates")
    first = np.datetime64("2015-01-01") + int(rng.integers(0, 3000)) * _DAY
    days = first + rng.integers(0, 1096, size=rows) * _DAY
    sheet.add(setting.style.column(world.when), write_dates(setting, days), "date")
    return 2 * np.pi * (days - days.astype("datetime64[Y]")).astype(float) / 365.25


def write_dates(setting: Setting, days: np.ndarray) -> list[str]:
    """Return dates as this task writes them, mostly as 2019-05-31."""
    way = setting.stream("date format").random()
    texts = [str(day) for day in days]
    if way < 0.7:
        return texts
    if way < 0.85:
        return [f"{text[8:]}.{text[5:7]}.{text[:4]}" for text in texts]
    return [f"{int(text[8:])} {_MONTHS[int(text[5:7]) - 1]} {text[:4]}" for text in texts]


def stages(setting: Setting, facts: Facts) -> list[Stage]:
    """Return the effects of columns on the answer, from the plainest to the most hidden."""
    rng = setting.stream("effects")
    columns = facts.measured
    used = rng.permutation(len(columns))[: max(3, round(len(columns) * float(rng.uniform(0.5, 1))))].tolist()
    lines = [effects.line(columns[place].z, rng) for place in used]
    curves = [effects.curve(columns[place].z, rng) for place in rng.permutation(used)[:2].tolist()]
    gaps = [effects.standardised(columns[place].is_missing.astype(float)) for place in used]
    gaps = [gap * rng.choice([-1, 1]) for gap in gaps if gap.any()]
    pairs = [rng.permutation(used)[:2].tolist() for _ in range(2)]
    joint = [effects.together(columns[one].z, columns[other].z, rng) for one, other in pairs]
    words = [effects.levels(column.codes, len(column.levels), rng) for column in facts.sorted]
    if facts.season is not None:
        curves.append(effects.standardised(np.sin(facts.season + rng.uniform(0, 6.28))))
    if words:
        column = facts.sorted[int(rng.integers(len(words)))]
        slopes = rng.standard_normal(len(column.levels))
        joint.append(effects.standardised(slopes[column.codes] * columns[used[0]].z))
    rare = []
    if facts.many is not None:
        rare.append(effects.levels(facts.many.codes, len(facts.many.levels), rng))
    between = setting.between
    plan = [
        ("the strongest number", lines[:1], between(0.26, 0.14)),
        ("effects of single numbers", lines[1:], between(0.3, 0.2)),
        ("effects of words", words, between(0.2, 0.16)),
        ("curves and blanks", curves + gaps, between(0.12, 0.22)),
        ("interactions", joint, between(0.08, 0.24)),
        ("rare levels", rare, between(0.08, 0.12)),
    ]
    return make_stages(plan, rng)


def make_stages(plan: list[tuple[str, list[np.ndarray], float]], rng: np.random.Generator) -> list[Stage]:
    """Return stages whose parts share out the weight that the plan gives them, roughly, at random."""
    found: list[Stage] = []
    for name, parts, weight in plan:
        if not parts:
            continue
        shares = rng.dirichlet(np.full(len(parts), 2.5))
        # The first stage keeps its size: no single column may tell too much.
        size = weight * (float(rng.uniform(0.7, 1.3)) if found else 1.0)
        found.append(Stage(name, np.column_stack(parts), size * shares))
    return found


def hand_over(
    setting: Setting,
    world: World,
    sheet: Sheet,
    outcome: Outcome,
    is_test: np.ndarray,
    *,
    notes: list[str],
    more: Callable[[str, list[Any]], Mapping[str, File]] | None = None,
) -> Draft:
    """Return the draft of a task whose rows are those of one sheet.

    Args:
        setting: Of the task.
        world: What it is about.
        sheet: Columns of all rows, training rows first.
        outcome: The answers.
        is_test: Which rows are in the test set, shape (rows,).
        notes: Sentences that are good to know; "" for none.
        more: Makes further files, given the name of the id column and the ids of all rows.
    """
    style, rng = setting.style, setting.stream("hand over")
    goal, question = outcome.goal, outcome.question
    target, key = style.column(question.words), style.id_column(world.entity)
    train_ids, test_ids = style.ids(int((~is_test).sum()), int(is_test.sum()))
    table = sheet.table()
    table.insert(0, key, [*train_ids, *test_ids])
    train, test = table[~is_test].copy(), table[is_test]
    train[target] = [cell for cell, hidden in zip(outcome.cells, is_test.tolist(), strict=True) if not hidden]
    meanings = {key: f"a key for each {world.entity}, without meaning"} | sheet.meanings
    notes = [*notes, add_hindsight(setting, train, test, target, outcome, meanings)]
    first = [key] if style.chance(0.85) else []
    train = style.shuffled(train, first)
    if rng.random() < 0.5:  # the order of the training table, as far as it goes
        test = test[[name for name in train.columns if name in test.columns]]
    else:
        test = style.shuffled(test, first)
    files: dict[str, File] = {
        style.table_file("train"): File(f"{world.plural} with `{target}`", train, columns=meanings),
        style.table_file("test"): File(f"{world.plural} whose `{target}` is to be predicted", test),
    }
    files |= more(key, [*train_ids, *test_ids]) if more else {}
    return Draft(
        title=title(setting, world, question.words),
        domain="tabular",
        story=story(setting, world, question.words, question.meaning),
        goal=goal,
        files=files,
        id=key,
        test_ids=test_ids,
        target=target,
        target_meaning=tell_target(question.meaning, goal),
        ladder=outcome.ladder,
        good_to_know=tuple(note for note in notes if note),
    )
