"""The family `multitable`: what tells most about a row stands in other tables, and has to be brought over."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from mledojo_env.synth import effects
from mledojo_env.synth.columns import (
    Sheet,
    coded,
    many_levels,
    measure,
    sort_in,
    write_sentinel,
)
from mledojo_env.synth.draft import Draft, File, Setting
from mledojo_env.synth.families import family
from mledojo_env.synth.happenings import HAPPENINGS, Happening
from mledojo_env.synth.outcome import choose_question, make_outcome
from mledojo_env.synth.presentation import rounded
from mledojo_env.synth.tabular import draw_rows, hand_over, make_stages
from mledojo_env.synth.worlds import World, any_world, pick_numbers

_MOST_ROWS = 1_000  # in train and test together: there are several events to each
_MOST_EVENTS = 12  # of a row
_NO_EVENTS = 0.04  # share of rows


@family(
    summary="two or three tables to be joined: details of what rows belong to, several events to each row",
    domain="tabular",
)
def multitable(setting: Setting) -> Draft:
    """Return a task with a table of events, and mostly one of details."""
    world = any_world(setting)
    rows, is_test = draw_rows(setting)
    if rows > _MOST_ROWS:
        first = rows - _MOST_ROWS  # training rows are left out, but never more than half
        first = min(first, int((~is_test).sum()) // 2)
        rows, is_test = rows - first, is_test[first:]
    sheet = Sheet()
    rng = setting.stream("schema")
    numbers = pick_numbers(world, rng, 5)
    z = effects.correlated(setting.stream("z"), rows, len(numbers), 0.2)
    measured = measure(setting, sheet, numbers, z)
    picked = rng.permutation(len(world.categories))[: int(rng.integers(1, 3))].tolist()
    sorted_ = sort_in(setting, sheet, [world.categories[place] for place in picked], rows)
    details = _draw_details(setting, world, sheet, rows) if rng.random() < 0.75 else None
    events = _draw_events(setting, rows)
    effect = setting.stream("effects")
    lines = [effects.line(column.z, effect) for column in measured]
    words = [effects.levels(column.codes, len(column.levels), effect) for column in sorted_]
    joint = [effects.together(events.facts["size"], measured[0].z, effect)]
    joint.append(effects.curve(events.facts["count"], effect))
    plain = [effects.line(events.facts[name], effect) for name in ("count", "size")]
    finer = [effects.line(events.facts[name], effect) for name in ("share", "other", "last")]
    between = setting.between
    plan = [
        ("the strongest number", lines[:1], between(0.16, 0.16)),
        ("effects of the table's own columns", lines[1:] + words, between(0.22, 0.24)),
        ("details of what they belong to", details.lines if details else [], between(0.16, 0.14)),
        (f"how many and how large the {events.what.plural} are", plain, between(0.28, 0.2)),
        (f"finer facts about the {events.what.plural}", finer, between(0.16, 0.22)),
        ("interactions", joint, between(0.06, 0.14)),
    ]
    kind, question = choose_question(world, setting)
    outcome = make_outcome(setting, kind, question, make_stages(plan, effect), is_test, strength=1.2)

    def more(key: str, ids: list[Any]) -> Mapping[str, File]:
        files = _event_file(setting, world, events, key, ids)
        return files | (details.files if details else {})

    notes = [write_sentinel(setting, sheet, measured), _how_they_join(world, events.what)]
    return hand_over(setting, world, sheet, outcome, is_test, notes=notes, more=more)


@dataclass(frozen=True)
class Details:
    """A table about what rows belong to, and its effects on each row."""

    files: dict[str, File]
    lines: list[np.ndarray]


@dataclass(frozen=True)
class Events:
    """All events, and what they come to for each row.

    Attributes:
        what: Their kind.
        row: The row of each event, shape (events,).
        size: A number of each event, rounded.
        other: Another one.
        kind: A code of each event.
        day: Of each event, counted from a first day.
        facts: By name, standardised, shape (rows,); 0 for rows without events.
    """

    what: Happening
    row: np.ndarray
    size: np.ndarray
    other: np.ndarray
    kind: np.ndarray
    day: np.ndarray
    facts: dict[str, np.ndarray]


def _draw_details(setting: Setting, world: World, sheet: Sheet, rows: int) -> Details:
    """Return a table with a row for each level of a column that is added to the sheet."""
    rng = setting.stream("details")
    count = int(rng.integers(18, 70))
    codes = effects.skewed_codes(rng, rows, count, 0.6)
    labels = many_levels(rng, world.many, count)
    name = setting.style.column(world.many)
    sheet.add(name, np.array(labels, dtype=object)[codes], f"{world.many}, a key to another table")
    table = Sheet()
    table.add(name, np.array(labels, dtype=object), f"{world.many}")
    lines = []
    z = rng.standard_normal((count, 3))
    kinds = ("size of the {}", "age of the {}", "index of the {}")
    shapes = (("skewed", 120.0, 0.7, 0), ("normal", 24.0, 8.0, 1), ("normal", 100.0, 15.0, 2))
    for place, (words, (shape, middle, width, decimals)) in enumerate(zip(kinds, shapes, strict=True)):
        values = middle * np.exp(width * z[:, place]) if shape == "skewed" else middle + width * z[:, place]
        full = words.format(world.many)
        column = setting.style.column(full)
        table.add(column, rounded(values, decimals), full)
        if place < 2:
            lines.append(effects.line(effects.standardised(z[:, place][codes]), rng))
    classes = tuple(coded(("a", "b", "c", "d"), rng))
    kind = rng.integers(len(classes), size=count)
    table.add(
        setting.style.column(f"{world.many} class"),
        np.array(classes, dtype=object)[kind],
        f"class of the {world.many}",
    )
    lines.append(effects.levels(kind[codes], len(classes), rng))
    file = File(f"details of each {world.many}", table.table(), columns=table.meanings)
    return Details({setting.style.table_file(f"{world.many} details"): file}, lines)


def _draw_events(setting: Setting, rows: int) -> Events:
    """Return several events for each row, which lean this way or that from row to row."""
    rng = setting.stream("events")
    what = HAPPENINGS[int(rng.integers(len(HAPPENINGS)))]
    leaning = rng.standard_normal((rows, 4))
    counts = 1 + rng.poisson(np.exp(0.8 + 0.5 * leaning[:, 0]))
    counts = np.where(rng.random(rows) < _NO_EVENTS, 0, np.minimum(counts, _MOST_EVENTS))
    row = np.repeat(np.arange(rows), counts)
    total = len(row)
    apart = float(rng.uniform(0.5, 0.7))  # of the variance, between rows
    size_z = np.sqrt(apart) * leaning[row, 1] + np.sqrt(1 - apart) * rng.standard_normal(total)
    other_z = np.sqrt(apart) * leaning[row, 2] + np.sqrt(1 - apart) * rng.standard_normal(total)
    lean = 1.2 * leaning[row, 3]
    weights = np.exp(rng.standard_normal((total, len(what.kinds))) * 0.9)
    weights[:, 0] *= np.exp(lean)
    kind = weights.argmax(axis=1)
    day = rng.integers(0, 720, size=total)
    order = np.lexsort((day, row))
    day = day[order]
    last = np.zeros(rows)
    last[row] = size_z  # of equal places the last assignment stays: the latest event of each row
    sums = [np.bincount(row, weights=values, minlength=rows) for values in (size_z, other_z, kind == 0)]
    many = np.maximum(counts, 1)
    mean, there = sums[0] / many, counts > 0
    facts = {
        "count": effects.standardised(np.log1p(counts)),
        "size": effects.standardised(mean),
        "other": effects.standardised(sums[1] / many),
        "share": effects.standardised(np.where(there, sums[2] / many, 1 / len(what.kinds))),
        "last": effects.standardised(np.where(there, last - mean, 0.0)),
    }
    size = rounded(what.size.cells(size_z), what.size.decimals)
    other = rounded(what.other.cells(other_z), what.other.decimals)
    return Events(what, row, size, other, kind, day, facts)


def _event_file(setting: Setting, world: World, events: Events, key: str, ids: list[Any]) -> dict[str, File]:
    """Return the table of events, in an order that tells nothing."""
    import pandas as pd

    rng = setting.stream("event file")
    order = rng.permutation(len(events.row))
    what, style = events.what, setting.style
    first = np.datetime64("2016-01-01") + int(rng.integers(0, 2000))
    sheet = Sheet()
    owners = pd.Series(ids).to_numpy()
    sheet.add(key, owners[events.row[order]], f"the {world.entity} it belongs to")
    dates = first + events.day[order].astype("timedelta64[D]")
    sheet.add(style.column(what.when), [str(date) for date in dates], f"date of the {what.entity}")
    sheet.add(style.column(what.size.words), events.size[order], what.size.meaning)
    sheet.add(style.column(what.other.words), events.other[order], what.other.meaning)
    kinds = np.array(what.kinds, dtype=object)
    sheet.add(style.column(what.kind), kinds[events.kind[order]], f"{what.kind}, of the {what.entity}")
    purpose = f"{what.plural}, several to each {world.entity}"
    return {style.table_file(what.plural): File(purpose, sheet.table(), columns=sheet.meanings)}


def _how_they_join(world: World, what: Happening) -> str:
    return f"A {world.entity} may have many {what.plural}, or none."
