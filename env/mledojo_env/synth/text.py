"""The family `text`: short reports put together from phrases that bear on the answer, alone or by company.

Single words say something, "no" before a word turns it round, and some words only mean something next to
others. A house style that goes along with the answer in the training table and not in the test table punishes
who trusts it.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from mledojo_env.synth import effects, lexicon
from mledojo_env.synth.columns import Sheet, measure, sort_in
from mledojo_env.synth.draft import Amount, Draft, Setting
from mledojo_env.synth.families import family
from mledojo_env.synth.outcome import Outcome, choose_question, make_outcome
from mledojo_env.synth.tabular import draw_rows, hand_over, make_stages
from mledojo_env.synth.worlds import any_world

_TOLD = 0.6  # share of tasks with a house style whose description warns of it


@family(summary="short reports: words, negations, pairs of words, and a style that misleads", domain="nlp")
def text(setting: Setting) -> Draft:
    """Return a task of short texts, with a few columns beside them."""
    world = any_world(setting)
    rows, is_test = draw_rows(setting)
    rng = setting.stream("phrases")
    words = _draw_words(setting, rng)
    phrases = _draw_phrases(setting, words, rows, rng)
    sheet = Sheet()
    numbers = [world.numbers[place] for place in rng.permutation(len(world.numbers))[:3].tolist()]
    z = effects.correlated(setting.stream("z"), rows, len(numbers), 0.1)
    measured = measure(setting, sheet, numbers, z, may_miss=False)
    if world.categories and rng.random() < 0.5:
        sort_in(setting, sheet, [world.categories[int(rng.integers(len(world.categories)))]], rows)
    kind, question = choose_question(world, setting, shares=(0.36, 0.22, 0.14, 0.28))
    between = setting.between
    plan = [
        ("a handful of telling words", [phrases.effect("rare")], between(0.24, 0.16)),
        ("all words by themselves", [phrases.effect("word")], between(0.4, 0.3)),
        ("the columns beside the text", [effects.line(measured[0].z, rng)], between(0.08, 0.1)),
        ("what is negated", [phrases.effect("negated")], between(0.14, 0.2)),
        ("words that go together", [phrases.effect("pair")], between(0.1, 0.24)),
    ]
    stages = make_stages(plan, setting.stream("stages"))
    outcome = make_outcome(setting, kind, question, stages, is_test, strength=1.15)
    closing, note = _house_style(setting, outcome, is_test)
    name = setting.style.column(lexicon.COLUMNS[int(rng.integers(len(lexicon.COLUMNS)))])
    sheet.add(name, phrases.written(closing, setting), f"what was written down about the {world.entity}")
    return replace(hand_over(setting, world, sheet, outcome, is_test, notes=[note]), domain="nlp")


@dataclass(frozen=True)
class Words:
    """The vocabulary of one task, and what each word bears on the answer.

    Attributes:
        nouns: Words that may be negated and stand alone.
        looks: Words before a noun, which mean nothing by themselves.
        rare: Words that tell much and seldom occur.
        noun_effect: Shape (nouns,).
        pair_effect: Of a look with a noun, shape (looks, nouns); its mean over either is 0.
        rare_effect: Shape (rare words,).
    """

    nouns: tuple[str, ...]
    looks: tuple[str, ...]
    rare: tuple[str, ...]
    noun_effect: np.ndarray
    pair_effect: np.ndarray
    rare_effect: np.ndarray


def _draw_words(setting: Setting, rng: np.random.Generator) -> Words:
    counts = round(setting.between(16, 34)), round(setting.between(4, 7)), 5
    nouns, looks, rare = (
        tuple(pool[place] for place in rng.permutation(len(pool))[:count].tolist())
        for pool, count in zip((lexicon.NOUNS, lexicon.LOOKS, lexicon.RARE), counts, strict=True)
    )
    if setting.style.is_opaque:  # as where texts are given away only as numbers of words
        codes = iter(rng.permutation(900)[: sum(counts)] + 100)
        nouns, looks, rare = (tuple(f"w{next(codes)}" for _ in group) for group in (nouns, looks, rare))
    pair = rng.standard_normal((len(looks), len(nouns)))
    pair -= pair.mean(axis=0, keepdims=True)
    pair -= pair.mean(axis=1, keepdims=True)
    return Words(
        nouns, looks, rare, rng.standard_normal(len(nouns)), pair, rng.choice([-1.0, 1.0], size=len(rare))
    )


@dataclass(frozen=True)
class Phrases:
    """All phrases of all texts, one after another.

    Attributes:
        words: The vocabulary.
        row: The text that each is in, ascending, shape (phrases,).
        noun: Shape (phrases,).
        look: -1 for none, shape (phrases,).
        is_negated: Shape (phrases,).
        rare: Of each text, -1 for none, shape (rows,).
    """

    words: Words
    row: np.ndarray
    noun: np.ndarray
    look: np.ndarray
    is_negated: np.ndarray
    rare: np.ndarray

    def effect(self, what: str) -> np.ndarray:
        """Return what phrases bear on the answer of their text, standardised, shape (rows,).

        "word": each noun as if nothing stood before it; "negated": what negation turns round; "pair": looks
        with their nouns; "rare": rare words.
        """
        words, rows = self.words, len(self.rare)
        if what == "rare":
            found = np.where(self.rare >= 0, words.rare_effect[self.rare], 0.0)
        elif what == "pair":
            each = np.where(self.look >= 0, words.pair_effect[self.look, self.noun], 0.0)
            found = np.bincount(self.row, weights=each, minlength=rows)
        else:
            each = words.noun_effect[self.noun]
            each = each * self.is_negated * -1.0 if what == "negated" else each
            found = np.bincount(self.row, weights=each, minlength=rows)
        return effects.standardised(found)

    def written(self, closing: list[str], setting: Setting) -> list[str]:
        """Return the texts."""
        rng = setting.stream("writing")
        way = lexicon.Writing.draw(rng)
        picks = rng.random((len(self.row), 2)).tolist()
        clauses: list[list[str]] = [[] for _ in self.rare]
        facts = zip(
            self.row.tolist(),
            self.noun.tolist(),
            self.look.tolist(),
            self.is_negated.tolist(),
            picks,
            strict=True,
        )
        for row, noun, look, is_negated, (one, other) in facts:
            before = self.words.looks[look] if look >= 0 else ""
            clauses[row].append(way.clause(self.words.nouns[noun], before, is_negated, one, other))
        for row, rare in enumerate(self.rare.tolist()):
            if rare >= 0:
                clauses[row].insert(len(clauses[row]) // 2, way.aside(self.words.rare[rare]))
        return [way.text(parts, end) for parts, end in zip(clauses, closing, strict=True)]


def _draw_phrases(setting: Setting, words: Words, rows: int, rng: np.random.Generator) -> Phrases:
    low, high = int(rng.integers(3, 6)), int(rng.integers(8, 14))
    row = np.repeat(np.arange(rows), rng.integers(low, high + 1, size=rows))
    noun = effects.skewed_codes(rng, len(row), len(words.nouns), 0.4)
    look = np.where(rng.random(len(row)) < 0.55, rng.integers(0, len(words.looks), size=len(row)), -1)
    is_negated = rng.random(len(row)) < setting.between(0.2, 0.35)
    rare = np.where(rng.random(rows) < 0.4, rng.integers(0, len(words.rare), size=rows), -1)
    return Phrases(words, row, noun, look, is_negated, rare)


def _house_style(setting: Setting, outcome: Outcome, is_test: np.ndarray) -> tuple[list[str], str]:
    """Return a closing line for each text, in some tasks, and a note on it.

    It goes along with the answers of the training table; in the test table it is drawn at random.
    """
    rng = setting.stream("house style")
    rows = len(is_test)
    if rng.random() > 0.3:
        return [""] * rows, ""
    lines = [lexicon.CLOSINGS[place] for place in rng.permutation(len(lexicon.CLOSINGS))[:2].tolist()]
    if isinstance(outcome.goal, Amount):
        values = np.array(outcome.cells, dtype=float)
        says = values > np.median(values)
    else:
        half = set(outcome.goal.names[: (len(outcome.goal.names) + 1) // 2])
        says = np.array([cell not in half for cell in outcome.cells])
    says = np.where(rng.random(rows) < setting.between(0.12, 0.25), ~says, says)
    says = np.where(is_test, rng.random(rows) < 0.5, says)
    note = "The texts of the test set were written at another place, whose habits differ."
    return [lines[int(way)] for way in says.tolist()], note if rng.random() < _TOLD else ""
