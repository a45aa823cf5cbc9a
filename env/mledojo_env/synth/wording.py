"""Titles and stories of tasks about a world."""

from __future__ import annotations

from mledojo_env.synth.draft import Amount, Classes, Setting
from mledojo_env.synth.worlds import World

_TITLES = (
    "{Plural}: {words}",
    "{Words} of {plural}",
    "Predicting {words} of {plural}",
    "What becomes of {plural}: {words}",
    "{Entity} records: {words}",
    "The {entity} question: {words}",
    "{Words}, from what is known of {plural}",
)
_ASKS = (
    'From what is known of each {entity}, predict "{words}": {meaning}.',
    'Learn from the {plural} whose answer is known, and predict "{words}" ({meaning}) for the others.',
    'Your part is to say "{words}" for {plural} that are not in the training table: {meaning}.',
    'They would like to know "{words}" beforehand ({meaning}). Predict it for each {entity} of the test set.',
)
_EXTRA = (
    "",
    "Nobody has looked at the columns closely; some may be of no use.",
    "The data comes as it was recorded, with the usual gaps.",
    "The columns were kept by different people over time.",
)


def title(setting: Setting, world: World, words: str) -> str:
    """Return a task's title."""
    rng = setting.stream("title")
    return _TITLES[int(rng.integers(len(_TITLES)))].format(
        Plural=world.plural.capitalize(),
        plural=world.plural,
        Entity=world.entity.capitalize(),
        entity=world.entity,
        Words=words.capitalize(),
        words=words,
    )


def story(setting: Setting, world: World, words: str, meaning: str, *more: str) -> str:
    """Return who has the data and what is asked, one or two paragraphs."""
    rng = setting.stream("story")
    ask = _ASKS[int(rng.integers(len(_ASKS)))]
    asked = ask.format(entity=world.entity, plural=world.plural, words=words, meaning=meaning)
    extra = _EXTRA[int(rng.integers(len(_EXTRA)))]
    return "\n\n".join([" ".join(filter(None, [world.story, extra])), " ".join([asked, *filter(None, more)])])


def tell_target(meaning: str, goal: Amount | Classes) -> str:
    """Return what the target column means and holds, a line."""
    if isinstance(goal, Amount):
        return f"{meaning}{f' ({goal.unit})' if goal.unit and goal.unit not in meaning else ''}"
    names = [f"`{name}`" for name in goal.names]
    if len(names) == 2:
        return f"{meaning}: {names[1]} if so, {names[0]} if not"
    return f"{meaning}: {', '.join(names)}"
