"""What happens to the things of any world: events, several to each thing, for tasks of many tables."""

from __future__ import annotations

from dataclasses import dataclass

from mledojo_env.synth.worlds import Number


@dataclass(frozen=True)
class Happening:
    """A kind of event: its words, two numbers and a kind."""

    entity: str
    plural: str
    size: Number
    other: Number
    kind: str
    kinds: tuple[str, ...]
    when: str


def _happening(
    entity: str, plural: str, size: str, other: str, kind: str, kinds: str, when: str
) -> Happening:
    """Return a happening; `size` and `other` read: words | shape | middle | width | decimals | meaning."""
    numbers = []
    for text in (size, other):
        words, shape, middle, width, decimals, meaning = (part.strip() for part in text.split("|"))
        numbers.append(Number(words, meaning, shape, float(middle), float(width), int(decimals)))
    return Happening(
        entity, plural, numbers[0], numbers[1], kind, tuple(part.strip() for part in kinds.split(",")), when
    )


HAPPENINGS = (
    _happening(
        "payment",
        "payments",
        "amount paid | skewed | 48 | 0.9 | 2 | EUR",
        "days to pay | skewed | 9 | 0.7 | 1 | from the bill to the payment",
        "paid by",
        "card, cash, transfer, voucher",
        "paid on",
    ),
    _happening(
        "inspection",
        "inspections",
        "points | skewed | 14 | 0.6 | 1 | deducted, more is worse",
        "minutes taken | skewed | 35 | 0.5 | 0 | on the spot",
        "occasion",
        "routine, complaint, follow up",
        "inspected on",
    ),
    _happening(
        "message",
        "messages",
        "words written | skewed | 60 | 0.8 | 0 | length of the text",
        "hours to reply | skewed | 7 | 0.9 | 2 | until somebody answered",
        "tone",
        "question, complaint, praise, other",
        "sent on",
    ),
    _happening(
        "reading",
        "readings",
        "value read | normal | 52 | 14 | 2 | in units of the instrument",
        "battery | normal | 3.6 | 0.2 | 3 | volts at the time",
        "way of reading",
        "manual, automatic, estimated",
        "read on",
    ),
    _happening(
        "visit",
        "visits",
        "duration | skewed | 41 | 0.7 | 1 | minutes",
        "distance | skewed | 12 | 0.9 | 1 | travelled to get there, km",
        "reason",
        "advice, repair, delivery, courtesy",
        "visited on",
    ),
    _happening(
        "repair",
        "repairs",
        "cost of parts | skewed | 130 | 0.9 | 2 | EUR",
        "hours of work | skewed | 2.2 | 0.6 | 2 | of all who took part",
        "trade",
        "electric, mechanical, paint, cleaning",
        "repaired on",
    ),
    _happening(
        "answer",
        "answers",
        "score | normal | 6.1 | 1.8 | 2 | given, from 0 to 10 or beyond",
        "seconds taken | skewed | 24 | 0.8 | 1 | until it was given",
        "subject",
        "price, people, speed, place",
        "asked on",
    ),
    _happening(
        "sample",
        "samples",
        "concentration | skewed | 2.4 | 0.8 | 3 | mg per litre",
        "volume taken | skewed | 90 | 0.4 | 0 | ml",
        "laboratory",
        "own, state, university",
        "taken on",
    ),
)
