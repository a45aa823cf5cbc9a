"""The family `images`: small grey pictures of marks, turned, moved and buried in noise.

A picture is one of finitely many drawings plus independent noise in each pixel, so that what a perfect
observer believes about it can be calculated: the likelihoods of all drawings of a class are added up.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from mledojo_env.synth import drawings
from mledojo_env.synth.draft import Classes, Draft, File, Rung, Setting
from mledojo_env.synth.families import family
from mledojo_env.synth.outcome import EVERYTHING, NOTHING

_GREY, _CONTRAST = 118.0, 60.0  # of the ground, and how much brighter a mark is
_SHIFTS = ((0, 0), (0, 2), (2, 0), (0, -2), (-2, 0))  # pixels
_SLOPES = 2.0 ** np.arange(-9, 2)  # how far a score is trusted; chosen on training rows
_PIXELS = {"images": "brightness from 0 (black) to 255 (white): row of the table, line, column"}
_FEW = 25  # of each class at least, in the test set


@dataclass(frozen=True)
class Scene:
    """Who takes the pictures, and what is on them."""

    entity: str
    plural: str
    story: str
    words: str  # what is asked
    meaning: str
    names: tuple[str, ...]  # of classes, as many as may be


_SCENES = (
    Scene(
        "wafer",
        "wafers",
        "A camera looks at each wafer that leaves the polishing line.",
        "defect",
        "kind of the defect on the picture",
        ("chip", "halo", "residue", "scratch", "stain"),
    ),
    Scene(
        "stamp",
        "stamps",
        "A post museum scans the postmarks of its collection.",
        "postmark",
        "type of the postmark",
        ("coastal", "field", "inland", "railway", "ship"),
    ),
    Scene(
        "slide",
        "slides",
        "A field station keeps pictures of pollen under a cheap microscope.",
        "pollen",
        "group that the grain belongs to",
        ("grass", "herb", "maple", "pine", "reed"),
    ),
    Scene(
        "tag",
        "tags",
        "Sheep carry burnt marks, and a gate takes a picture of each.",
        "owner",
        "farm whose mark it is",
        ("Ash", "Brook", "Crag", "Dale", "Elm"),
    ),
    Scene(
        "tile",
        "tiles",
        "A tile works photographs the back of every tile, where the mould leaves its sign.",
        "mould",
        "mould that the tile came out of",
        ("A2", "B7", "C1", "D4", "E9"),
    ),
    Scene(
        "echo",
        "echoes",
        "A survey boat records what its sonar sees on the sea floor.",
        "object",
        "what lies on the floor",
        ("anchor", "barrel", "net", "rock", "tyre"),
    ),
)


@family(summary="small grey pictures of shapes, textures or strokes, turned and noisy", domain="vision")
def images(setting: Setting) -> Draft:
    """Return a task of classifying pictures."""
    rng = setting.stream("images")
    scene = _SCENES[int(rng.integers(len(_SCENES)))]
    count = int(rng.integers(2, 6))
    side = int(rng.integers(14, 21))
    stack = _draw_stack(setting, rng, count, side)
    priors = rng.dirichlet(np.full(count, 8.0)) * 0.6 + 0.4 / count
    low, high = setting.between(320, 150), setting.between(1000, 500)
    sizes = int(np.exp(rng.uniform(np.log(low), np.log(high)))), int(rng.integers(300, 601))
    codes = [_draw_codes(priors, size, rng) for size in sizes]
    noise = stack.noise(setting.between(2.6, 1.35))
    pictures = [_take(stack, part, noise, rng) for part in codes]
    shares = np.bincount(codes[0], minlength=count) / sizes[0]
    names = _names(setting, scene, count)
    goal = Classes(names, codes[1], shares)
    return _hand_over(
        setting, scene, goal, codes[0], pictures, _ladder(stack, priors, noise, codes[0], pictures)
    )


@dataclass(frozen=True)
class Stack:
    """All drawings there are.

    Attributes:
        ink: Each drawing, 0 to 1, shape (drawings, side, side).
        code: The class that each shows, shape (drawings,).
        is_upright: Whether it is neither turned nor moved, shape (drawings,).
        is_centred: Whether it is not moved.
    """

    ink: np.ndarray
    code: np.ndarray
    is_upright: np.ndarray
    is_centred: np.ndarray

    @property
    def classes(self) -> int:
        """How many classes there are."""
        return int(self.code.max()) + 1

    def noise(self, distance: float) -> float:
        """Return the standard deviation with which drawings are so many halves of it from other classes."""
        flat = self.ink.reshape(len(self.ink), -1) * _CONTRAST
        squares = np.sum(flat**2, axis=1)
        apart = np.sqrt(np.maximum(squares[:, None] + squares - 2 * flat @ flat.T, 0))
        apart[self.code[:, None] == self.code] = np.inf
        return float(np.median(apart.min(axis=1)) / (2 * distance))


def _draw_stack(setting: Setting, rng: np.random.Generator, count: int, side: int) -> Stack:
    """Return the drawings: each class in some variants, turns and places."""
    sort = ("shapes", "strokes", "textures")[int(rng.integers(3))]
    turns = 2 * round(setting.between(1, 3)) + 1  # an odd number: one of them is upright
    widest = float(rng.uniform(15, 25)) * setting.between(0.8, 1.8)  # degrees to either side
    angles = np.deg2rad(np.linspace(-widest, widest, turns))
    shifts = _SHIFTS[: 3 if setting.difficulty < 0.5 else len(_SHIFTS)]
    makers = drawings.makers(sort, count, rng)
    ink, code, upright, centred = [], [], [], []
    for number, draw in enumerate(makers):
        for angle in angles.tolist():
            picture = draw(side, angle)
            for down, right in shifts:
                ink.append(np.roll(picture, (down, right), axis=(0, 1)))
                code.append(number)
                centred.append((down, right) == (0, 0))
                upright.append(centred[-1] and abs(angle) < 1e-9)
    return Stack(np.array(ink), np.array(code), np.array(upright), np.array(centred))


def _draw_codes(priors: np.ndarray, rows: int, rng: np.random.Generator) -> np.ndarray:
    """Return classes drawn by their probabilities, each often enough."""
    codes = rng.choice(len(priors), size=rows, p=priors)
    few = np.repeat(np.arange(len(priors)), min(_FEW, rows // (2 * len(priors))))
    codes[: len(few)] = few
    return rng.permutation(codes)


def _take(stack: Stack, codes: np.ndarray, noise: float, rng: np.random.Generator) -> np.ndarray:
    """Return a picture for each class asked for, shape (rows, side, side), bytes."""
    each = len(stack.code) // stack.classes  # drawings of a class, which lie together
    chosen = codes * each + rng.integers(0, each, size=len(codes))
    clean = _GREY - _CONTRAST / 2 + _CONTRAST * stack.ink[chosen]
    return np.clip(np.round(clean + noise * rng.standard_normal(clean.shape)), 0, 255).astype(np.uint8)


def _names(setting: Setting, scene: Scene, count: int) -> tuple[str | int, ...]:
    rng = setting.stream("names")
    if rng.random() < 0.3:
        return tuple(range(count))
    chosen = rng.permutation(len(scene.names))[:count]
    return tuple(sorted(scene.names[place] for place in chosen.tolist()))


# --------------------------------------------------------------------------- what can be known


def _ladder(
    stack: Stack, priors: np.ndarray, noise: float, train_codes: np.ndarray, pictures: list[np.ndarray]
) -> tuple[Rung, ...]:
    """Return rungs from the classes' shares to all drawings."""
    train, test = ((part.astype(float) - _GREY + _CONTRAST / 2).reshape(len(part), -1) for part in pictures)
    flat = (stack.ink * _CONTRAST).reshape(len(stack.ink), -1)
    base = np.log(priors)

    def by_drawings(rows: np.ndarray, keep: np.ndarray) -> np.ndarray:
        """Return the log likelihood of each class, if only some of the drawings are known."""
        ink, code = flat[keep], stack.code[keep]
        scores = (rows @ ink.T - 0.5 * np.sum(ink**2, axis=1)) / noise**2
        columns = []
        for number in range(len(priors)):
            mine = scores[:, code == number]
            top = mine.max(axis=1)
            columns.append(top + np.log(np.mean(np.exp(mine - top[:, None]), axis=1)))
        return np.column_stack(columns)

    def by_brightness(rows: np.ndarray) -> np.ndarray:
        means = np.array([flat[stack.code == number].mean() for number in range(len(priors))])
        spread = noise**2 / flat.shape[1] + flat.mean(axis=1).var()
        return -0.5 * (rows.mean(axis=1)[:, None] - means) ** 2 / spread

    def by_mean(rows: np.ndarray) -> np.ndarray:
        ink = np.array([flat[stack.code == number].mean(axis=0) for number in range(len(priors))])
        return (rows @ ink.T - 0.5 * np.sum(ink**2, axis=1)) / noise**2

    guesses = [
        ("how bright a picture is", by_brightness(train), by_brightness(test)),
        ("the upright drawings", by_drawings(train, stack.is_upright), by_drawings(test, stack.is_upright)),
        ("the mean picture of each class", by_mean(train), by_mean(test)),
        (
            "the drawings, not that they move",
            by_drawings(train, stack.is_centred),
            by_drawings(test, stack.is_centred),
        ),
    ]
    rungs = []
    for name, seen, asked in guesses:
        slope = min(_SLOPES, key=lambda slope: _surprise(slope * seen + base, train_codes))
        rungs.append(
            (_surprise(slope * seen + base, train_codes), Rung(name, _believe(slope * asked + base)))
        )
    rungs.sort(key=lambda pair: -pair[0])  # the better guess stands higher
    everything = by_drawings(test, np.ones(len(flat), bool))
    dummy = Rung(NOTHING, np.tile(priors, (len(test), 1)))
    return (dummy, *(rung for _, rung in rungs), Rung(EVERYTHING, _believe(everything + base)))


def _believe(scores: np.ndarray) -> np.ndarray:
    powers = np.exp(scores - scores.max(axis=1, keepdims=True))
    belief = powers / powers.sum(axis=1, keepdims=True)
    belief = np.maximum(belief, 1e-9)  # nobody is ever sure
    return belief / belief.sum(axis=1, keepdims=True)


def _surprise(scores: np.ndarray, codes: np.ndarray) -> float:
    """Return the mean negative log likelihood of the true classes."""
    return float(-np.mean(np.log(_believe(scores)[np.arange(len(codes)), codes])))


# --------------------------------------------------------------------------- the task


def _hand_over(
    setting: Setting,
    scene: Scene,
    goal: Classes,
    train_codes: np.ndarray,
    pictures: list[np.ndarray],
    ladder: tuple[Rung, ...],
) -> Draft:
    import pandas as pd

    style, rng = setting.style, setting.stream("hand over")
    target, key = style.column(scene.words), style.id_column(scene.entity)
    train_ids, test_ids = style.ids(len(train_codes), len(goal.truth))
    labels = [goal.names[code] for code in train_codes.tolist()]
    train = pd.DataFrame({key: train_ids, target: labels})
    test = pd.DataFrame({key: test_ids})
    shape = "x".join(map(str, pictures[0].shape[1:]))
    tables = style.table_file("train"), style.table_file("test")
    arrays = style.array_file("train"), style.array_file("test")
    meanings = {key: f"a key for each {scene.entity}, without meaning"}
    told = f"an array `images` of bytes, a picture of {shape} pixels for each row of"
    files = {
        tables[0]: File(f"{scene.plural} with their `{target}`", train, columns=meanings),
        tables[1]: File(f"{scene.plural} whose `{target}` is to be predicted", test),
        arrays[0]: File(f"{told} {tables[0]}", arrays={"images": pictures[0]}, columns=_PIXELS),
        arrays[1]: File(f"{told} {tables[1]}", arrays={"images": pictures[1]}),
    }
    ways = (
        f"Name the {scene.words} of {scene.plural}",
        f"{scene.plural.capitalize()}: which {scene.words}?",
        f"The {scene.words} on the picture",
        f"Looking at {scene.plural}",
    )
    listed = ", ".join(f"`{name}`" for name in goal.names)
    ask = f"From its picture, say what each {scene.entity} of the test set shows: the {scene.meaning}."
    notes = (
        "Marks may be turned a little and need not be in the middle.",
        "Pictures were taken in bad light; the noise of a pixel does not depend on its neighbours.",
    )
    return Draft(
        title=ways[int(rng.integers(len(ways)))],
        domain="vision",
        story=f"{scene.story}\n\n{ask}",
        goal=goal,
        files=files,
        id=key,
        test_ids=test_ids,
        target=target,
        target_meaning=f"{scene.meaning}: {listed}",
        ladder=ladder,
        good_to_know=notes[: 1 + int(rng.random() < 0.5)],
    )
