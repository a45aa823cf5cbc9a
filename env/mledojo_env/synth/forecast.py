"""The family `forecast`: many series over time, whose next stretch is asked for.

Levels, trends, several seasons, holidays and what follows them, columns that are known beforehand, a change
that came to stay. Everything in the test table is later than everything in the training table.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from mledojo_env.synth import effects
from mledojo_env.synth.columns import Measured, Sheet, many_levels, measure
from mledojo_env.synth.draft import Draft, Setting
from mledojo_env.synth.families import family
from mledojo_env.synth.outcome import choose_question, make_outcome
from mledojo_env.synth.tabular import hand_over, make_stages
from mledojo_env.synth.worlds import Question, World, any_world

_TEST_ROWS = 220  # at least
_MOST_ROWS = 1900
_KINDS = (0.0, 0.0, 0.0, 1.0)  # amounts alone


@dataclass(frozen=True)
class Calendar:
    """When the rows are: series by series within each moment, the earliest first.

    Attributes:
        step: "hour" or "day".
        moment: Number of each row's moment, from 0, shape (rows,).
        series: Number of each row's series, shape (rows,).
        is_test: Shape (rows,).
        time: Of each row, shape (rows,).
        is_holiday: Whether the day is one, shape (rows,).
        follows_holiday: Whether the day before is one, shape (rows,).
    """

    step: str
    moment: np.ndarray
    series: np.ndarray
    is_test: np.ndarray
    time: np.ndarray
    is_holiday: np.ndarray
    follows_holiday: np.ndarray

    @property
    def passed(self) -> np.ndarray:
        """From 0 to 1 over the training table, more in the test table; shape (rows,)."""
        return self.moment / max(int(self.moment[~self.is_test].max()), 1)

    @property
    def phase(self) -> np.ndarray:
        """The hour of the day, or the day of the week, shape (rows,)."""
        if self.step == "hour":
            return self.time.astype("datetime64[h]").view(int) % 24
        return self.weekday

    @property
    def weekday(self) -> np.ndarray:
        """From 0, Monday, shape (rows,)."""
        return (self.time.astype("datetime64[D]").view(int) + 3) % 7

    @property
    def year_angle(self) -> np.ndarray:
        """The day of the year as an angle, shape (rows,)."""
        day = self.time.astype("datetime64[D]") - self.time.astype("datetime64[Y]").astype("datetime64[D]")
        return 2 * np.pi * day.astype(float) / 365.25


@family(summary="many series over time: trend, seasons, holidays, a change that stays", domain="time-series")
def forecast(setting: Setting) -> Draft:
    """Return a task of forecasting several series."""
    world = any_world(setting)
    rng = setting.stream("calendar")
    calendar = _draw_calendar(setting, rng)
    sheet = Sheet()
    style = setting.style
    when = style.column("hour" if calendar.step == "hour" else "date")
    shown = [str(moment).replace("T", " ") for moment in calendar.time]
    sheet.add(when, shown, f"the {calendar.step} that the figures are of")
    count = int(calendar.series.max()) + 1
    labels = np.array(many_levels(rng, world.many, count), dtype=object)
    name = style.column(world.many)
    sheet.add(name, labels[calendar.series], f"{world.many} that the figures are of")
    if calendar.is_holiday.any():
        sheet.add(style.column("holiday"), calendar.is_holiday.astype(int), "1 on public holidays")
    numbers = [world.numbers[place] for place in rng.permutation(len(world.numbers))[:3].tolist()]
    known = measure(setting, sheet, numbers, _wandering(rng, calendar, len(numbers)), may_miss=False)
    kind, question = choose_question(world, setting, _KINDS)
    question = replace(question, meaning=f"{question.meaning}; the mean over its {world.plural}")
    stages = make_stages(_plan(setting, calendar, known), setting.stream("stages"))
    outcome = make_outcome(setting, kind, question, stages, calendar.is_test)
    notes = [
        f"The test table is the next stretch of time, of every {world.many}; its columns are known then."
    ]
    if setting.stream("told").random() < 0.4:
        notes.append("Something changed for good in the course of the training table.")
    draft = hand_over(setting, world, sheet, outcome, calendar.is_test, notes=notes)
    return replace(
        draft, domain="time-series", kind="forecasting", story=_story(setting, world, question, calendar)
    )


def _draw_calendar(setting: Setting, rng: np.random.Generator) -> Calendar:
    """Return moments and series: as many as there is room for."""
    step = "hour" if rng.random() < 0.3 else "day"
    count = int(rng.integers(round(setting.between(3, 8)), round(setting.between(6, 18))))
    ahead = -(-_TEST_ROWS // count) + int(rng.integers(0, 12))
    low, high = setting.between(1100, 400), setting.between(1500, 700)
    rows = min(int(rng.uniform(low, high)), _MOST_ROWS - ahead * count)
    before = max(rows // count, 28)
    moments = before + ahead
    moment = np.repeat(np.arange(moments), count)
    if step == "hour":
        first = np.datetime64("2018-01-01T00:00") + np.timedelta64(24 * int(rng.integers(0, 1800)), "h")
        time = first + moment * np.timedelta64(60, "m")
    else:
        time = np.datetime64("2015-01-01") + int(rng.integers(0, 2500)) + moment
    days = time.astype("datetime64[D]").view(int)
    holidays = np.flatnonzero(rng.random(int(days.max() - days.min()) + 2) < 0.06) + days.min()
    return Calendar(
        step,
        moment,
        np.tile(np.arange(count), moments),
        moment >= before,
        time,
        np.isin(days, holidays),
        np.isin(days - 1, holidays),
    )


def _wandering(rng: np.random.Generator, calendar: Calendar, columns: int) -> np.ndarray:
    """Return standard normal numbers that change slowly within each series, shape (rows, columns)."""
    moments, count = int(calendar.moment.max()) + 1, int(calendar.series.max()) + 1
    kept = float(rng.uniform(0.3, 0.8))
    steps = rng.standard_normal((moments, count, columns))
    values = steps.copy()
    for moment in range(1, moments):
        values[moment] = kept * values[moment - 1] + np.sqrt(1 - kept**2) * steps[moment]
    return values.reshape(moments * count, columns)


def _plan(
    setting: Setting, calendar: Calendar, known: list[Measured]
) -> list[tuple[str, list[np.ndarray], float]]:
    """Return what moves the series, from the plainest to the most hidden."""
    rng = setting.stream("effects")
    series, passed, between = calendar.series, calendar.passed, setting.between
    count, phases = int(series.max()) + 1, 24 if calendar.step == "hour" else 7
    seasons = [effects.levels(calendar.phase, phases, rng)]
    if calendar.step == "hour":
        seasons.append(effects.levels(calendar.weekday, 7, rng))
    slopes = 0.6 + 0.8 * rng.standard_normal(count)
    trend = effects.standardised(slopes[series] * passed) * rng.choice([-1, 1])
    year = effects.standardised(np.sin(calendar.year_angle + rng.uniform(0, 6.28)))
    own = effects.levels(series * phases + calendar.phase, count * phases, rng)
    changed = (rng.random(count) < 0.5)[series] & (passed > rng.uniform(0.45, 0.8))
    change = effects.standardised(changed.astype(float)) * rng.choice([-1, 1])
    holidays = [effects.standardised(calendar.is_holiday.astype(float)) * rng.choice([-1, 1])]
    after = [effects.standardised(calendar.follows_holiday.astype(float)) * rng.choice([-1, 1])]
    lines = [effects.line(column.z, rng) for column in known]
    joint = [effects.together(known[0].z, known[1].z, rng), effects.curve(known[2].z, rng)]
    return [
        ("the level of each series", [effects.levels(series, count, rng)], between(0.3, 0.22)),
        ("the season", seasons, between(0.28, 0.12)),
        ("columns known beforehand", lines, between(0.2, 0.12)),
        ("trends", [trend, year], between(0.03, 0.16)),
        ("holidays", [part for part in holidays if part.any()], between(0.06, 0.06)),
        ("the change that stayed", [change] if changed.any() else [], between(0.03, 0.12)),
        ("a season for each series", [own], between(0.02, 0.14)),
        ("what goes together", joint + [part for part in after if part.any()], between(0.03, 0.14)),
    ]


def _story(setting: Setting, world: World, question: Question, calendar: Calendar) -> str:
    rng = setting.stream("story")
    asks = (
        "Forecast it for the stretch of time that follows.",
        "What comes next is to be forecast, for all of them at once.",
        "They plan ahead, and need the figures of the coming time.",
    )
    return (
        f'{world.story} For each {world.many} and {calendar.step} they keep "{question.words}": '
        f"{question.meaning}.\n\n{asks[int(rng.integers(len(asks)))]}"
    )
