"""How a generated task is scored: a metric that suits the goal, and what it makes of a belief."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal

import numpy as np

from mledojo_env.metrics import Metric, Prediction, get_metric
from mledojo_env.synth import decisions
from mledojo_env.synth.draft import Amount, Cell, Classes, Draft, Rung
from mledojo_env.synth.presentation import rounded
from mledojo_env.synth.scores import fast_score

PROBABILITY_DECIMALS = 5
_STEPS = 120  # private rows at least that a metric of labels must tell apart between dummy and oracle


@dataclass(frozen=True)
class Option:
    """A metric with parameters, and how often it is chosen among those that suit."""

    name: str
    weight: float
    params: Mapping[str, Any] = field(default_factory=dict)


_BINARY = (
    Option("roc_auc", 3),
    Option("log_loss", 2),
    Option("average_precision", 1),
    Option("accuracy", 1.5),
    Option("f1", 1.5),
    Option("balanced_accuracy", 1),
    Option("matthews_corrcoef", 1),
    Option("gini_normalized", 0.7),
    Option("error_rate", 0.4),
)
_SEVERAL = (
    Option("multiclass_log_loss", 2),
    Option("balanced_log_loss", 0.7),
    Option("accuracy", 2),
    Option("error_rate", 0.5),
    Option("f1", 2, {"average": "macro"}),
    Option("f1", 0.7, {"average": "weighted"}),
    Option("balanced_accuracy", 1.5),
    Option("matthews_corrcoef", 1),
)
_GRADES = (
    Option("cohen_kappa", 3, {"weights": "quadratic"}),
    Option("cohen_kappa", 1, {"weights": "linear"}),
    Option("rmse", 1),
    Option("mae", 1),
)
_AMOUNTS = {
    "normal": (
        Option("rmse", 3),
        Option("mae", 2),
        Option("r2", 1.5),
        Option("mse", 0.4),
        Option("median_ae", 0.6),
        Option("wmae", 3),
    ),
    "lognormal": (
        Option("rmsle", 3),
        Option("mae", 1.5),
        Option("rmse", 1),
        Option("r2", 0.7),
        Option("mape", 1),
        Option("smape", 1),
        Option("rmspe", 0.5),
        Option("median_ae", 0.5),
        Option("gini_normalized", 0.7),
        Option("wmae", 3),
    ),
    "poisson": (
        Option("rmsle", 2),
        Option("mae", 2),
        Option("rmse", 2),
        Option("r2", 1),
        Option("gini_normalized", 1),
        Option("wmae", 3),
    ),
}
_RELATIVE = ("mape", "rmspe")  # undefined, or nearly, where an answer is near zero
_SQUARED = ("rmse", "r2")  # where a few large answers would decide everything
_AWAY = (0.8, 1.1, 1.5, 2.0)  # standard deviations between the sample submission and the middle
_MIN_WORSE = 0.3  # of the dummy's error, by which the sample submission's is to be larger
_MOST_SKEWED = 0.75  # standard deviation over mean, for those


@dataclass(frozen=True)
class Contest:
    """A metric, and how the draft's answers and beliefs look to it.

    Attributes:
        metric: Of the registry.
        params: Its parameters, as in task.yaml.
        value: What target columns hold.
        targets: The target columns.
        kind: One of `task.KINDS`.
        truth: The answers as `score` takes them, shape (rows,) or (rows, targets).
        answers: The columns of answers.csv besides id and part, as cells.
        sample: The constant of each target column in the sample submission.
        predict: What is submitted by whoever stands on a rung, in the form of `truth`.
    """

    metric: Metric
    params: Mapping[str, Any]
    value: Literal["number", "probability", "label"]
    targets: tuple[str, ...]
    kind: str
    truth: np.ndarray
    answers: Mapping[str, Sequence[Cell]]
    sample: Mapping[str, Cell]
    predict: Callable[[Rung], np.ndarray] = field(repr=False)
    weights: np.ndarray | None = None
    labels: tuple[Cell, ...] = ()  # of the codes in `truth`, where `value` is "label"

    def score(self, predictions: np.ndarray, rows: np.ndarray | slice = slice(None)) -> float:
        """Return the score of predictions on some of the test rows."""
        if self.weights is not None:
            weights = {self._weight_column: self.weights[rows]}
            return self.metric(self.truth[rows], predictions[rows], **weights)
        return fast_score(self.metric, len(self.labels))(self.truth[rows], predictions[rows])

    @property
    def careless(self) -> np.ndarray:
        """The sample submission, in the form of `truth`."""
        constants = list(self.sample.values())
        if self.value == "label":
            constants = [self.labels.index(constants[0])]
        return np.full(self.truth.shape, constants[0] if len(constants) == 1 else constants, dtype=float)

    @property
    def _weight_column(self) -> str:
        (name,) = self.metric.needed_columns
        return name


def suitable_contests(draft: Draft, rng: np.random.Generator) -> Iterator[Contest]:
    """Yield contests by the metrics that suit a draft, in a random order.

    Of labels, some metrics know few different scores. They are passed over where these would hardly tell the
    steps of the ladder apart.
    """
    options = [option for option in _options(draft) if not draft.metrics or option.name in draft.metrics]
    keys = rng.random(len(options)) ** (1 / np.array([option.weight for option in options]))
    for place in np.argsort(-keys, kind="stable").tolist():
        contest = _contest(draft, options[place], rng)
        if contest.value != "label" or _steps(draft, contest) >= _STEPS:
            yield contest


def _steps(draft: Draft, contest: Contest) -> float:
    """Return how many private rows it takes from the dummy's score to the oracle's, about."""
    dummy, oracle = (contest.score(contest.predict(draft.ladder[place])) for place in (0, -1))
    per_row = 1.0 if contest.metric.name in ("accuracy", "error_rate") else 0.5
    return 0.7 * len(contest.truth) * abs(oracle - dummy) / per_row


def _options(draft: Draft) -> list[Option]:
    """Return the metrics that suit the goal and the answers."""
    goal = draft.goal
    if isinstance(goal, Amount):
        unfit = set() if draft.weights else {"wmae"}
        if goal.truth.min() < 10.0 ** (1 - goal.decimals):
            unfit |= set(_RELATIVE)
        if goal.noise == "lognormal" and goal.truth.std() > _MOST_SKEWED * goal.truth.mean():
            unfit |= set(_SQUARED)
        return [option for option in _AMOUNTS[goal.noise] if option.name not in unfit]
    if goal.ordered:
        return list(_GRADES)
    if len(goal.names) > 2:
        return list(_SEVERAL)
    share = float(goal.shares[1])
    unfit = set()
    if not 0.3 <= share <= 0.7:
        unfit |= {"accuracy", "error_rate"}
    if not 0.25 <= share <= 0.75:  # a cautious model never says the rare class
        unfit |= {"balanced_accuracy", "matthews_corrcoef"}
    if not 0.25 <= share <= 0.5:
        unfit.add("f1")
    if share > 0.5:
        unfit.add("average_precision")
    return [option for option in _BINARY if option.name not in unfit]


def _contest(draft: Draft, option: Option, rng: np.random.Generator) -> Contest:
    if isinstance(draft.goal, Amount):
        return _of_amount(draft, draft.goal, option, rng)
    if draft.goal.ordered:
        return _of_grades(draft, draft.goal, option)
    return _of_classes(draft, draft.goal, option, rng)


def _of_amount(draft: Draft, goal: Amount, option: Option, rng: np.random.Generator) -> Contest:
    params = {"weight_column": draft.weights} if option.name == "wmae" else dict(option.params)
    metric = get_metric(option.name, params)

    def predict(rung: Rung) -> np.ndarray:
        values = decisions.amount(option.name, goal.noise, rung.belief, rung.spread)
        return rounded(values, goal.decimals + 2)

    down = goal.noise == "normal" and rng.random() < 0.5
    weights = draft.weight_values if option.name == "wmae" else None
    answers: dict[str, Sequence[Cell]] = {draft.target: _numbers(goal.truth, goal.decimals)}
    if weights is not None:
        answers[draft.weights] = weights.tolist()
    contest = Contest(
        metric=metric,
        params=params,
        value="number",
        targets=(draft.target,),
        kind=draft.kind or "regression",
        truth=goal.truth.astype(float),
        answers=answers,
        sample={},
        predict=predict,
        weights=weights,
    )
    return _with_careless(contest, draft.target, draft.ladder[0], goal, down)


def _with_careless(contest: Contest, target: str, dummy: Rung, goal: Amount, down: bool) -> Contest:
    """Return a contest with a sample submission that is careless, but not absurd.

    It is worse than the dummy, so that every model beats it, but near enough that to do so is no great gain.
    """
    spread = dummy.spread if goal.noise == "normal" else max(dummy.spread, 0.3)
    nothing = contest.score(contest.predict(dummy))
    for away in _AWAY:
        middle = float(dummy.belief[0]) + (-away if down else away) * spread
        constant = _two_digits(middle if goal.noise == "normal" else math.exp(middle))
        contest = replace(contest, sample={target: constant})
        worse = abs(contest.score(contest.careless) - nothing) / abs(nothing - contest.metric.best_value)
        if worse >= _MIN_WORSE:
            break
    return contest


def _of_grades(draft: Draft, goal: Classes, option: Option) -> Contest:
    metric = get_metric(option.name, option.params)
    grades = np.array(goal.names, dtype=float)
    mean = float(goal.shares @ grades)
    is_label = metric.prediction is Prediction.ORDINAL

    def predict(rung: Rung) -> np.ndarray:
        if option.name == "rmse":
            return rounded((rung.belief * grades).sum(axis=1), 4)
        codes = decisions.grade(option.name, option.params.get("weights"), rung.belief)
        return codes if is_label else grades[codes]

    off = float(np.sqrt(goal.shares @ (grades - mean) ** 2))
    sample: Cell = goal.names[0] if is_label else round(mean + off, 1)
    return Contest(
        metric=metric,
        params=dict(option.params),
        value="label" if is_label else "number",
        targets=(draft.target,),
        kind=draft.kind or ("multiclass" if is_label else "regression"),
        truth=goal.truth if is_label else grades[goal.truth],
        answers={draft.target: [goal.names[code] for code in goal.truth.tolist()]},
        sample={draft.target: sample},
        predict=predict,
        labels=goal.names if is_label else (),
    )


def _of_classes(draft: Draft, goal: Classes, option: Option, rng: np.random.Generator) -> Contest:
    params = dict(option.params)
    is_binary, classes = len(goal.names) == 2, len(goal.names)
    if option.name == "f1" and is_binary:
        params["pos_label"] = goal.names[1]
    metric = get_metric(option.name, params)
    kind = draft.kind or ("binary-classification" if is_binary else "multiclass")
    if metric.prediction is Prediction.LABEL:

        def choose(rung: Rung) -> np.ndarray:
            return decisions.label(option.name, params.get("average"), rung.belief, goal.shares)

        return Contest(
            metric=metric,
            params=params,
            value="label",
            targets=(draft.target,),
            kind=kind,
            truth=goal.truth,
            answers={draft.target: [goal.names[code] for code in goal.truth.tolist()]},
            sample={draft.target: goal.names[0 if option.name == "f1" and is_binary else _rarest(goal)]},
            predict=choose,
            labels=goal.names,
        )
    if is_binary:
        return Contest(
            metric=metric,
            params=params,
            value="probability",
            targets=(draft.target,),
            kind=kind,
            truth=goal.truth.astype(float),
            answers={draft.target: goal.truth.tolist()},
            sample={draft.target: 0.5},
            predict=lambda rung: rounded(rung.belief[:, 1], PROBABILITY_DECIMALS),
        )
    way = rng.choice(3)
    targets = tuple((f"{draft.target}_{name}", f"{name}", f"p_{name}")[way] for name in goal.names)
    if draft.id in targets:
        targets = tuple(f"{draft.target}_{name}" for name in goal.names)
    one_hot = np.eye(classes)[goal.truth]

    def share_out(rung: Rung) -> np.ndarray:
        belief = rung.belief / goal.shares if option.name == "balanced_log_loss" else rung.belief
        return rounded(belief / belief.sum(axis=1, keepdims=True), PROBABILITY_DECIMALS)

    return Contest(
        metric=metric,
        params=params,
        value="probability",
        targets=targets,
        kind=kind,
        truth=one_hot,
        answers={name: one_hot[:, code].astype(int).tolist() for code, name in enumerate(targets)},
        sample=dict.fromkeys(targets, round(1 / classes, 3)),
        predict=share_out,
    )


def _rarest(goal: Classes) -> int:
    """Return the code of the class that pays least when it is submitted for every row."""
    return int(np.argmin(np.bincount(goal.truth, minlength=len(goal.names))))


def _numbers(values: np.ndarray, decimals: int) -> list[Cell]:
    return [int(value) if decimals == 0 else float(value) for value in values.tolist()]


def _two_digits(value: float) -> float | int:
    """Return a number with two digits that count."""
    if value == 0:
        return 0
    digits = 1 - math.floor(math.log10(abs(value)))
    short = round(value, digits)
    return int(short) if digits <= 0 else short
