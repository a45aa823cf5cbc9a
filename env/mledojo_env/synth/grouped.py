"""The family `grouped`: rows that hang together. Test rows belong to new groups, or come later.

Who validates on rows drawn at random learns the groups or the day by heart, and takes that for skill.
"""

from __future__ import annotations

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
)
from mledojo_env.synth.draft import Draft, Setting
from mledojo_env.synth.families import family
from mledojo_env.synth.outcome import choose_question, make_outcome
from mledojo_env.synth.tabular import draw_rows, hand_over, make_stages, write_dates
from mledojo_env.synth.worlds import World, any_world, pick_numbers

_TOLD = 0.8  # share of tasks that say how train and test differ


@family(
    summary="rows in groups, and those of the test set are new; or rows in time, and the test is later",
    domain="tabular",
)
def grouped(setting: Setting) -> Draft:
    """Return a task whose test rows differ from its training rows in a known way."""
    world = any_world(setting)
    make = _new_groups if setting.stream("mode").random() < 0.5 else _later
    return make(setting, world)


def _new_groups(setting: Setting, world: World) -> Draft:
    """Return a task whose test rows belong to groups that the training table does not have."""
    rng = setting.stream("groups")
    rows, is_test = draw_rows(setting)
    counts = int(rng.integers(14, 41)), int(rng.integers(12, 31))
    group = np.where(
        is_test,
        counts[0] + effects.skewed_codes(rng, rows, counts[1], 0.5),
        effects.skewed_codes(rng, rows, counts[0], 0.5),
    )
    total = sum(counts)
    sheet = Sheet()
    name = setting.style.column(world.group)
    labels = many_levels(rng, world.group, total)
    sheet.add(
        name, np.array(labels, dtype=object)[group], f"{world.group} that the {world.entity} belongs to"
    )
    numbers = pick_numbers(world, rng, 7)
    own = effects.correlated(setting.stream("z"), rows, len(numbers), 0.2)
    shared = setting.stream("shared").standard_normal((total, len(numbers)))
    part = rng.uniform(0.05, 0.5, size=len(numbers))  # of the variance, between groups
    part[:2] = 1.0  # the same in all rows of a group
    z = np.sqrt(part) * shared[group] + np.sqrt(1 - part) * own
    measured = measure(setting, sheet, numbers, z)
    sorted_ = _words(setting, world, sheet, rows)
    within = [effects.standardised(_from_mean(column.z, group, total)) for column in measured[2:]]
    effect = setting.stream("effects")
    lines = [effects.line(column.z, effect) for column in measured[2:]]
    of_group = [effects.line(column.z, effect) for column in measured[:2]]
    joint = [effects.together(measured[2].z, measured[3].z, effect)]
    curves = [effects.curve(column.z, effect) for column in measured[4:6]]
    words = [effects.levels(column.codes, len(column.levels), effect) for column in sorted_]
    between = setting.between
    plan = [
        ("the strongest number", lines[:1], between(0.24, 0.16)),
        ("effects of single numbers", lines[1:], between(0.28, 0.2)),
        ("effects of words", words, between(0.16, 0.14)),
        (f"what each {world.group} has in common", of_group, between(0.1, 0.1)),
        ("curves", curves, between(0.12, 0.16)),
        (f"comparison within the {world.group}", within[:3], between(0.1, 0.2)),
        ("interactions", joint, between(0.08, 0.14)),
    ]
    hidden = effect.standard_normal(total)[group] * np.sqrt(between(0.1, 0.2))
    kind, question = choose_question(world, setting)
    stages = make_stages(plan, effect)
    outcome = make_outcome(setting, kind, question, stages, is_test, hidden=hidden)
    notes = [write_sentinel(setting, sheet, measured)]
    if setting.stream("told").random() < _TOLD:
        notes.append(f"No value of `{name}` is in both tables: every {world.group} of the test set is new.")
    write_copies(setting, sheet, measured[2:])
    return hand_over(setting, world, sheet, outcome, is_test, notes=notes)


def _later(setting: Setting, world: World) -> Draft:
    """Return a task whose test rows are later than its training rows, in a world that changes."""
    rng = setting.stream("time")
    rows, is_test = draw_rows(setting)
    spans = int(rng.integers(300, 900)), int(rng.integers(60, 180))  # days of either table
    day = np.where(
        is_test, spans[0] + rng.integers(0, spans[1], size=rows), rng.integers(0, spans[0], size=rows)
    )
    day = np.sort(day)  # training rows come first, as `is_test` has it
    first = np.datetime64("2014-01-01") + int(rng.integers(0, 3000))
    dates = first + day.astype("timedelta64[D]")
    sheet = Sheet()
    name = setting.style.column(world.when)
    sheet.add(name, write_dates(setting, dates), "date")
    passed = day / spans[0]  # 0 to 1 in the training table, more in the test
    numbers = pick_numbers(world, rng, 7)
    z = effects.correlated(setting.stream("z"), rows, len(numbers), float(rng.uniform(0, 0.4)))
    z[:, 3] += 0.8 * (passed - 0.5)  # one of them drifts
    measured = measure(setting, sheet, numbers, z)
    sorted_ = _words(setting, world, sheet, rows)
    kind, question = choose_question(world, setting)
    stages = make_stages(_plan_of_change(setting, measured, sorted_, passed, dates), setting.stream("stages"))
    outcome = make_outcome(setting, kind, question, stages, is_test)
    notes = [write_sentinel(setting, sheet, measured)]
    if setting.stream("told").random() < _TOLD:
        notes.append(f"The test table is later than the training table, by `{name}`.")
    write_copies(setting, sheet, measured)
    return hand_over(setting, world, sheet, outcome, is_test, notes=notes)


def _plan_of_change(
    setting: Setting,
    measured: list[Measured],
    sorted_: list[Sorted],
    passed: np.ndarray,
    dates: np.ndarray,
) -> list[tuple[str, list[np.ndarray], float]]:
    """Return the effects of a world in which one effect fades, another appears, and the level moves."""
    rng = setting.stream("effects")
    lines = [effects.line(column.z, rng) for column in measured[:5]]
    words = [effects.levels(column.codes, len(column.levels), rng) for column in sorted_]
    angle = 2 * np.pi * (dates - dates.astype("datetime64[Y]")).astype(float) / 365.25
    season = effects.standardised(np.sin(angle + rng.uniform(0, 6.28)))
    trend = effects.standardised(passed) * (1 if rng.random() < 0.5 else -1)
    fading = effects.standardised((1.2 - passed) * measured[5].z)
    growing = effects.standardised(passed**2 * measured[6].z)
    weekend = effects.standardised(((dates.astype("datetime64[D]").view(int) + 3) % 7 >= 5).astype(float))
    curves = [effects.curve(column.z, rng) for column in measured[1:3]]
    between = setting.between
    return [
        ("the strongest number", lines[:1], between(0.26, 0.16)),
        ("effects of single numbers", lines[1:], between(0.26, 0.18)),
        ("effects of words", words, between(0.16, 0.14)),
        ("the calendar", [season, weekend], between(0.1, 0.12)),
        ("curves", curves, between(0.1, 0.14)),
        ("effects that come and go", [fading, growing], between(0.1, 0.18)),
        ("the trend", [trend], between(0.06, 0.1)),
    ]


def _words(setting: Setting, world: World, sheet: Sheet, rows: int) -> list[Sorted]:
    rng = setting.stream("words")
    picked = rng.permutation(len(world.categories))[: int(rng.integers(1, 4))].tolist()
    return sort_in(setting, sheet, [world.categories[place] for place in picked], rows)


def _from_mean(values: np.ndarray, group: np.ndarray, groups: int) -> np.ndarray:
    """Return how far values are from the mean of their group."""
    sizes = np.maximum(np.bincount(group, minlength=groups), 1)
    return values - (np.bincount(group, weights=values, minlength=groups) / sizes)[group]
