"""From a process to answers: stages of effects become a target, and what could be known of it a ladder."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from mledojo_env.synth.draft import Amount, Cell, Classes, Rung, Setting
from mledojo_env.synth.presentation import rounded
from mledojo_env.synth.worlds import Question, World

_SHARE_OF_PI = np.pi / 8  # how a normal spread flattens a logistic curve
_TRIES = 50
_MIN_IN_TEST, _MIN_IN_TRAIN = 8, 5  # rows of each class

NOTHING, EVERYTHING = "nothing known", "everything but chance"


@dataclass(frozen=True)
class Stage:
    """A group of effects that are found out together.

    Attributes:
        name: Of the rung that knows this stage and all before it.
        parts: Effects, shape (rows, parts).
        weights: Their shares of the variance of everything, shape (parts,).
    """

    name: str
    parts: np.ndarray
    weights: np.ndarray


@dataclass(frozen=True)
class Outcome:
    """What came out: the target of all rows as cells, and goal and ladder for the test rows."""

    question: Question
    cells: list[Cell]  # of all rows
    goal: Classes | Amount
    ladder: tuple[Rung, ...]


@dataclass(frozen=True)
class Known:
    """What is known on a rung: the best guess of the whole, and the variance that stays open."""

    name: str
    whole: np.ndarray  # shape (rows,) or (rows, classes)
    open_variance: float


@dataclass(frozen=True)
class Process:
    """What the answers are drawn from.

    Attributes:
        setting: For the difficulty, the look and random numbers.
        question: What is asked.
        known: The rungs, from nothing to everything that can be known: mean 0, variance 1.
        drawn: The same with what nobody can know of a row, but is not the row's own chance either.
        is_test: Which rows are in the test set, shape (rows,).
        strength: More than 1 for more signal.
    """

    setting: Setting
    question: Question
    known: Sequence[Known]
    drawn: Known
    is_test: np.ndarray
    strength: float

    def slope(self, easy: float, hard: float) -> float:
        """Return by how much the whole counts against chance."""
        return self.strength * self.setting.between(easy, hard)


KINDS = ("yes_no", "classes", "grades", "amounts")


def choose_question(
    world: World, setting: Setting, shares: Sequence[float] = (0.38, 0.18, 0.12, 0.32)
) -> tuple[str, Question]:
    """Return one of `KINDS` and what is asked; `shares` says how often each kind is."""
    rng = setting.stream("question")
    kind = KINDS[int(rng.choice(len(KINDS), p=np.array(shares)))]
    questions: Sequence[Question] = getattr(world, kind)
    question = questions[int(rng.integers(len(questions)))]
    if kind == "amounts":
        factor = float(np.exp(rng.uniform(-0.5, 0.5)))
        if question.noise == "normal":
            return kind, replace(question, middle=question.middle * factor, width=question.width * factor)
        return kind, replace(question, middle=question.middle * factor)
    return kind, question


def make_outcome(
    setting: Setting,
    kind: str,
    question: Question,
    stages: Sequence[Stage],
    is_test: np.ndarray,
    *,
    hidden: np.ndarray | None = None,
    strength: float = 1.0,
) -> Outcome:
    """Return answers drawn from the process, and the ladder that goes with it.

    Args:
        setting: For the difficulty and random numbers.
        kind: One of `KINDS`.
        question: What is asked.
        stages: In the order in which they are found out.
        is_test: Which rows are in the test set, shape (rows,).
        hidden: An effect that no column tells of, shape (rows,), its variance relative to all stages
            together; e.g. of the group that a row belongs to, where test groups are new.
        strength: More than 1 for more signal.
    """
    rng = setting.stream("outcome")
    unseen = np.zeros(len(is_test)) if hidden is None else hidden
    if kind == "classes":
        return _classes(setting, question, stages, is_test, unseen, strength, rng)
    steps = [(stage.name, (stage.parts * np.sqrt(stage.weights)).sum(axis=1)) for stage in stages]
    process = Process(setting, question, *_known(steps, unseen), is_test, strength)
    return {"yes_no": _yes_no, "grades": _grades, "amounts": _amount}[kind](process, rng)


def _known(steps: Sequence[tuple[str, np.ndarray]], hidden: np.ndarray) -> tuple[list[Known], Known]:
    """Return what is known on each rung, the first of them nothing; and that with what is hidden."""
    sums = np.cumsum([values for _, values in steps], axis=0)
    sums = sums - sums.mean(axis=1, keepdims=True)
    total = sums[-1]
    spread = np.sqrt(np.mean(total**2))
    total, sums = total / spread, sums / spread
    always = float(np.mean(hidden**2))
    rungs = [Known(NOTHING, np.zeros(total.shape), 1.0 + always)]
    for (name, _), seen in zip(steps, sums, strict=True):
        # What is seen may go along with what is not: as much of the whole is guessed as follows from it.
        variance = float(np.mean(seen**2))
        slope = float(np.mean(seen * total)) / variance if variance > 1e-12 else 0.0
        rungs.append(Known(name, slope * seen, max(1 - slope**2 * variance, 0.0) + always))
    rungs[-1] = Known(EVERYTHING, total, always)
    return rungs, Known("", total + hidden, 0.0)


def _yes_no(process: Process, rng: np.random.Generator) -> Outcome:
    ways = rng.uniform(0.14, 0.28), rng.uniform(0.28, 0.5), rng.uniform(0.42, 0.58)
    slope = process.slope(4.2, 1.7)
    shift = _shift(slope * process.known[-1].whole, float(ways[int(rng.integers(3))]))

    def believe(known: Known) -> np.ndarray:
        flat = np.sqrt(1 + _SHARE_OF_PI * slope**2 * known.open_variance)
        belief = _logistic((slope * known.whole + shift) / flat)
        return np.column_stack([1 - belief, belief])

    return _of_codes(process, process.setting.style.yes_no(), believe, rng)


def _classes(
    setting: Setting,
    question: Question,
    stages: Sequence[Stage],
    is_test: np.ndarray,
    hidden: np.ndarray,
    strength: float,
    rng: np.random.Generator,
) -> Outcome:
    count = int(rng.integers(3, len(question.levels) + 1))
    kept = sorted(rng.permutation(len(question.levels))[:count].tolist())
    names = tuple(question.levels[place] for place in kept)
    priors = rng.dirichlet(np.full(count, 6.0)) * 0.7 + 0.3 / count
    steps = []
    for stage in stages:
        weighted = stage.parts * np.sqrt(stage.weights)
        steps.append((stage.name, np.einsum("np,pc->nc", weighted, _pulls(stage.parts.shape[1], count, rng))))
    shape = (len(is_test), count)
    pulled = (hidden[:, None] * _pulls(1, count, rng)).ravel()
    known, drawn = _known([(name, values.ravel()) for name, values in steps], pulled)
    process = Process(setting, question, known, drawn, is_test, strength)
    slope = process.slope(3.4, 1.5)
    shift = np.log(priors)
    for _ in range(4):  # until the classes have about the shares that were drawn
        shares = _softmax(slope * known[-1].whole.reshape(shape) + shift).mean(axis=0)
        shift = shift + np.log(priors / shares)

    def believe(known: Known) -> np.ndarray:
        if known.name == NOTHING:
            return np.tile(priors, (len(is_test), 1))
        flat = np.sqrt(1 + _SHARE_OF_PI * slope**2 * known.open_variance)
        return _softmax((slope * known.whole.reshape(shape) + shift) / flat)

    return _of_codes(process, names, believe, rng)


def _pulls(parts: int, classes: int, rng: np.random.Generator) -> np.ndarray:
    """Return how each part draws a row to each class, shape (parts, classes): mean 0, variance 1."""
    pulls = rng.standard_normal((parts, classes))
    pulls -= pulls.mean(axis=1, keepdims=True)
    return pulls / np.sqrt(np.mean(pulls**2, axis=1, keepdims=True))


def _grades(process: Process, rng: np.random.Generator) -> Outcome:
    names = tuple(int(level) for level in process.question.levels)
    priors = rng.dirichlet(np.full(len(names), 6.0)) * 0.6 + 0.4 / len(names)
    slope = process.slope(4.0, 1.7)
    chance = rng.logistic(size=len(process.is_test))
    cuts = np.quantile(slope * process.drawn.whole + chance, np.cumsum(priors)[:-1])

    def believe(known: Known) -> np.ndarray:
        flat = np.sqrt(1 + 3 / np.pi**2 * slope**2 * known.open_variance)
        below = _logistic((cuts - slope * known.whole[:, None]) / flat)
        rows = len(below)
        belief = np.diff(np.hstack([np.zeros((rows, 1)), below, np.ones((rows, 1))]), axis=1)
        return belief / belief.sum(axis=1, keepdims=True)

    outcome = _of_codes(process, names, believe, rng)
    assert isinstance(outcome.goal, Classes)
    return replace(outcome, goal=replace(outcome.goal, ordered=True))


def _amount(process: Process, rng: np.random.Generator) -> Outcome:
    setting, question, is_test = process.setting, process.question, process.is_test
    explained = min(0.97, process.slope(0.93, 0.5))
    chance = rng.standard_normal(len(is_test))
    width, noise = question.width, question.noise
    if noise == "poisson":
        width *= setting.between(1.2, 0.75)
        base, share, decimals = np.log(question.middle), 1.0, 0
    else:
        base = question.middle if noise == "normal" else np.log(question.middle)
        share, decimals = explained, question.decimals
    rungs = []
    for known in process.known:
        spread = width * np.sqrt(1 - share + share * known.open_variance)
        rungs.append(Rung(known.name, base + width * np.sqrt(share) * known.whole[is_test], float(spread)))
    values = base + width * np.sqrt(share) * process.drawn.whole
    if noise == "poisson":
        values = rng.poisson(np.exp(np.minimum(values, 8.0))).astype(float)
    else:
        values = values + width * np.sqrt(1 - share) * chance
        if noise == "lognormal":
            values = np.maximum(np.exp(values), 10.0**-decimals)
    values = rounded(values, decimals)
    goal = Amount(values[is_test], noise, decimals, question.unit)  # type: ignore[arg-type]
    shown = _with_slips(setting, values, is_test, noise)
    cells: list[Cell] = [int(value) if decimals == 0 else float(value) for value in shown.tolist()]
    return Outcome(question, cells, goal, tuple(rungs))


def _with_slips(setting: Setting, values: np.ndarray, is_test: np.ndarray, noise: str) -> np.ndarray:
    """Return the amounts as written: in some tasks, a few of the training rows are far off."""
    rng = setting.stream("slips")
    if noise == "poisson" or rng.random() > 0.25:
        return values
    slipped = (rng.random(len(values)) < 0.01) & ~is_test
    far = values + 4 * values.std() if noise == "normal" else values * 4
    return np.where(slipped, far.round(6), values)


def _of_codes(
    process: Process,
    names: tuple[Cell, ...],
    believe: Callable[[Known], np.ndarray],
    rng: np.random.Generator,
) -> Outcome:
    """Return the outcome of classes; in some tasks, a few labels of training rows are wrong."""
    is_test = process.is_test
    codes = _draw_codes(believe(process.drawn), is_test, rng)
    rungs = tuple(Rung(known.name, believe(known)[is_test]) for known in process.known)
    slips = process.setting.stream("slips")
    shown = codes.copy()
    if slips.random() < 0.3:
        slipped = (slips.random(len(codes)) < process.setting.between(0.02, 0.08)) & ~is_test
        shown = np.where(slipped, slips.integers(len(names), size=len(codes)), codes)
    shares = np.bincount(shown[~is_test], minlength=len(names)) / (~is_test).sum()
    goal = Classes(names, codes[is_test], np.maximum(shares, 1e-3))
    return Outcome(process.question, [names[code] for code in shown.tolist()], goal, rungs)


def _draw_codes(belief: np.ndarray, is_test: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Return a class for each row, drawn from its probabilities; again if a class is nearly left out."""
    upper = np.cumsum(belief, axis=1)[:, :-1]
    for _ in range(_TRIES):
        codes = (rng.random(len(belief))[:, None] > upper).sum(axis=1)
        counts = [np.bincount(codes[rows], minlength=belief.shape[1]) for rows in (is_test, ~is_test)]
        if counts[0].min() >= _MIN_IN_TEST and counts[1].min() >= _MIN_IN_TRAIN:
            return codes
    raise ValueError("a class hardly ever occurs")


def _shift(scores: np.ndarray, share: float) -> float:
    """Return what to add to scores so that their logistic has the mean `share`."""
    low, high = -30.0, 30.0
    for _ in range(40):
        middle = (low + high) / 2
        if _logistic(scores + middle).mean() < share:
            low = middle
        else:
            high = middle
    return middle


def _logistic(scores: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-np.clip(scores, -40, 40)))


def _softmax(scores: np.ndarray) -> np.ndarray:
    powers = np.exp(scores - scores.max(axis=1, keepdims=True))
    return powers / powers.sum(axis=1, keepdims=True)
