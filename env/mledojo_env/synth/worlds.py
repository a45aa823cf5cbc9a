"""What generated tables are about: things that somebody counts and measures, and what might be asked of them.

A task takes a part of one world. Numbers and effects are made up; nothing here describes anything real.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from mledojo_env.synth.draft import Setting

_FINE = 60.0  # steps


@dataclass(frozen=True)
class Number:
    """A column of numbers, made from a standard normal z.

    Attributes:
        words: Its name in lower case.
        meaning: What the description says.
        shape: "normal" about `middle`, "skewed" (lognormal with that median), "count" (the same in whole
            numbers), or "even" (uniform from `middle` to `width`).
        middle: In its unit.
        width: Standard deviation; of "skewed" and "count" that of the logarithm; of "even" the upper end.
        decimals: Of the cells.
    """

    words: str
    meaning: str
    shape: str
    middle: float
    width: float
    decimals: int

    @property
    def fineness(self) -> float:
        """How many steps of its last decimal its standard deviation has; 0 for counts."""
        spread = {
            "normal": self.width,
            "skewed": self.middle * self.width,
            "even": 0.29 * (self.width - self.middle),
        }
        return spread.get(self.shape, 0.0) * 10.0**self.decimals

    def cells(self, z: np.ndarray) -> np.ndarray:
        """Return the values of standard normal numbers, unrounded; of counts whole."""
        if self.shape == "normal":
            return self.middle + self.width * z
        if self.shape == "even":
            share = 1 / (1 + np.exp(-1.702 * z))  # near enough to the normal distribution's
            return self.middle + (self.width - self.middle) * share
        values = self.middle * np.exp(self.width * z)
        return np.floor(values) if self.shape == "count" else values


@dataclass(frozen=True)
class Category:
    """A column of a few words."""

    words: str
    meaning: str
    levels: tuple[str, ...]


@dataclass(frozen=True)
class Question:
    """A target. `width` and `middle` as of a `Number`, for amounts."""

    words: str
    meaning: str
    levels: tuple[str, ...] = ()
    noise: str = "normal"
    middle: float = 0.0
    width: float = 1.0
    decimals: int = 2
    unit: str = ""


@dataclass(frozen=True)
class World:
    """A subject: what a row is, what is known of it, and what may be asked."""

    entity: str
    plural: str
    story: str  # one sentence, who collects this
    many: str  # a thing of which there are many, e.g. "branch": a column of high cardinality
    group: str  # what rows may belong to, e.g. "customer"
    when: str  # the column of a date
    numbers: tuple[Number, ...]
    categories: tuple[Category, ...]
    yes_no: tuple[Question, ...] = field(default=())
    classes: tuple[Question, ...] = field(default=())
    grades: tuple[Question, ...] = field(default=())
    amounts: tuple[Question, ...] = field(default=())


def _numbers(text: str) -> tuple[Number, ...]:
    """Read lines of: words | shape middle width decimals | meaning."""
    found = []
    for line in text.strip().splitlines():
        words, figures, meaning = (part.strip() for part in line.split("|"))
        shape, middle, width, decimals = figures.split()
        found.append(Number(words, meaning, shape, float(middle), float(width), int(decimals)))
    return tuple(found)


def _categories(text: str) -> tuple[Category, ...]:
    """Read lines of: words | levels, comma between | meaning."""
    found = []
    for line in text.strip().splitlines():
        words, levels, meaning = (part.strip() for part in line.split("|"))
        found.append(Category(words, meaning, tuple(level.strip() for level in levels.split(","))))
    return tuple(found)


def _questions(text: str) -> dict[str, tuple[Question, ...]]:
    """Read lines of: kind | words | levels, or noise middle width decimals unit | meaning."""
    found: dict[str, list[Question]] = {"yes_no": [], "classes": [], "grades": [], "amounts": []}
    for line in text.strip().splitlines():
        kind, words, details, meaning = (part.strip() for part in line.split("|"))
        if kind == "amounts":
            noise, middle, width, decimals, *unit = details.split()
            amount = Question(
                words, meaning, (), noise, float(middle), float(width), int(decimals), " ".join(unit)
            )
            found[kind].append(amount)
        else:
            levels = tuple(level.strip() for level in details.split(",") if level.strip())
            found[kind].append(Question(words, meaning, levels))
    return {kind: tuple(questions) for kind, questions in found.items()}


def world(
    entity: str,
    plural: str,
    story: str,
    *,
    many: str,
    group: str,
    when: str,
    numbers: str,
    categories: str,
    questions: str,
) -> World:
    """Return a world whose columns and questions are written as lines of text."""
    return World(
        entity,
        plural,
        story,
        many,
        group,
        when,
        _numbers(numbers),
        _categories(categories),
        **_questions(questions),
    )


def pick_numbers(world: World, rng: np.random.Generator, count: int) -> list[Number]:
    """Return some numbers of a world in any order, four of them so fine that hardly two cells are alike."""
    order = [world.numbers[place] for place in rng.permutation(len(world.numbers)).tolist()]
    fine = [number for number in order if number.fineness >= _FINE][:4]
    rest = [number for number in order if number not in fine][: max(count - len(fine), 0)]
    picked = [*fine, *rest]
    return [picked[place] for place in rng.permutation(len(picked)).tolist()]


def any_world(setting: Setting) -> World:
    """Return the world of a task."""
    from mledojo_env.synth import worlds_of_nature, worlds_of_trade

    worlds = (*worlds_of_trade.WORLDS, *worlds_of_nature.WORLDS)
    return worlds[int(setting.stream("world").integers(len(worlds)))]
