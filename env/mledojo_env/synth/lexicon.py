"""Words and ways of writing for made-up reports. What a word bears on the answer is drawn for each task."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

COLUMNS = ("report", "note", "remarks", "comment", "description", "free text", "message", "log entry")

NOUNS = (
    "queue",
    "signal",
    "paint",
    "handle",
    "window",
    "invoice",
    "cable",
    "smell",
    "label",
    "battery",
    "corner",
    "password",
    "delivery",
    "filter",
    "hinge",
    "voice",
    "stairs",
    "garden",
    "receipt",
    "engine",
    "carpet",
    "letter",
    "valve",
    "bottle",
    "screen",
    "helmet",
    "ladder",
    "permit",
    "switch",
    "curtain",
    "shutter",
    "towel",
    "basket",
    "mirror",
    "fence",
    "pipe",
    "notice",
    "parcel",
    "lamp",
    "drawer",
    "ticket",
    "blanket",
    "button",
    "gate",
    "bucket",
    "socket",
)
LOOKS = (
    "old",
    "wet",
    "new",
    "loose",
    "blue",
    "heavy",
    "spare",
    "narrow",
    "second",
    "borrowed",
    "foreign",
    "plain",
)
RARE = (
    "inspector",
    "twice",
    "midnight",
    "refund",
    "neighbour",
    "holiday",
    "lawyer",
    "thunder",
    "replacement",
    "overtime",
)
CLOSINGS = (
    "Sent from the front desk.",
    "Filed by the evening shift.",
    "Copied from the paper form.",
    "Dictated over the phone.",
    "Entered through the portal.",
)

_PLAIN = (
    "the {thing} was mentioned",
    "there was talk of the {thing}",
    "{thing} seen",
    "about the {thing}",
    "they came to the {thing}",
    "a word on the {thing}",
)
_NEGATED = (
    "no {thing}",
    "without the {thing}",
    "not the {thing}",
    "the {thing} was absent",
    "never the {thing}",
)
_ASIDES = ("({word})", "and then {word}", "{word} again", "- {word} -")


@dataclass(frozen=True)
class Writing:
    """How the author of one task's texts writes."""

    plain: tuple[str, ...]
    negated: tuple[str, ...]
    aside_form: str
    joint: str
    has_capitals: bool

    @classmethod
    def draw(cls, rng: np.random.Generator) -> Writing:
        """Return a way of writing."""
        return cls(
            tuple(_PLAIN[place] for place in rng.permutation(len(_PLAIN))[:3].tolist()),
            tuple(_NEGATED[place] for place in rng.permutation(len(_NEGATED))[:2].tolist()),
            _ASIDES[int(rng.integers(len(_ASIDES)))],
            (". ", ", ", "; ")[int(rng.integers(3))],
            bool(rng.random() < 0.7),
        )

    def clause(self, noun: str, look: str, is_negated: bool, one: float, other: float) -> str:
        """Return a phrase about a thing; `one` and `other`, in [0, 1), choose among the forms."""
        thing = f"{look} {noun}" if look else noun
        forms = self.negated if is_negated else self.plain
        text = forms[int(one * len(forms))].format(thing=thing)
        return f"well, {text}" if other < 0.05 else text

    def aside(self, word: str) -> str:
        """Return a rare word as it is thrown in."""
        return self.aside_form.format(word=word)

    def text(self, clauses: list[str], closing: str) -> str:
        """Return a whole text."""
        if self.has_capitals and self.joint == ". ":
            clauses = [clause[0].upper() + clause[1:] for clause in clauses]
        body = self.joint.join(clauses)
        body = body[0].upper() + body[1:] if self.has_capitals else body
        return f"{body}. {closing}".strip()
