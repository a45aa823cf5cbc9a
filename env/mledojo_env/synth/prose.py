"""The description of a generated task: what an entrant of a competition would read."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from mledojo_env.synth.contest import Contest
from mledojo_env.synth.draft import Amount, Cell, Draft, File

_GOAL = ("Goal", "Overview", "The task", "What is asked", "Background")
_DATA = ("Data", "Files", "The data", "What you get")
_NOTES = ("Good to know", "Notes", "Remarks", "Before you start")
_METRIC = ("Evaluation", "Metric", "Scoring", "How entries are judged")
_SUBMISSION = ("Submission", "Submission format", "What to hand in", "Entries")
_BOARD = (
    "The data is simulated; people, firms and places in it are not real. The reference leaderboard "
    "was not made by fitted models: its {teams} entries are what one would submit who knew a smaller "
    "or larger part of the process that made the data, from nothing at all to everything but chance."
)
_UP, _DOWN = "**Higher is better**", "**Lower is better**"

# What each metric measures: {target} and {positive} are filled in.
_METRIC_TEXTS = {
    "roc_auc": (
        "Area under the ROC curve of your probability that `{target}` is {positive}: how often a row "
        "where it is gets a larger one than a row where it is not, ties counting one half. 0.5 is a "
        "guess, 1 is perfect."
    ),
    "gini_normalized": (
        "Normalised Gini coefficient: the rows are put in the order of your predictions, the largest "
        "first, and the area between the cumulated `{target}` and the diagonal is divided by that of "
        "the best order. 0 is a guess, 1 is perfect; only the order counts."
    ),
    "average_precision": (
        "Average precision of your probability that `{target}` is {positive}: the precision at each "
        "cut through the rows in the order of your predictions, weighted by the recall that is "
        "gained there. 1 is perfect."
    ),
    "log_loss": (
        "Log loss of your probability p that `{target}` is {positive}: the mean of -log(p) over rows "
        "where it is, and of -log(1 - p) over the others. 0 is perfect; a confident mistake is dear."
    ),
    "accuracy": "Accuracy: the share of rows whose `{target}` is right. 1 is perfect.",
    "error_rate": "Error rate: the share of rows whose `{target}` is wrong. 0 is perfect.",
    "balanced_accuracy": (
        "Balanced accuracy: the share of rows whose `{target}` is right, taken for each true class "
        "by itself and then averaged over classes, so that rare classes count as much as frequent "
        "ones. 1 is perfect."
    ),
    "matthews_corrcoef": (
        "Matthews correlation coefficient between the true and the predicted `{target}`: 0 for a "
        "constant or a guess, 1 is perfect."
    ),
    "multiclass_log_loss": (
        "Multiclass log loss: the mean of -log(p), where p is the probability you gave to the true "
        "class. Each row is divided by its sum first. 0 is perfect; a confident mistake is dear."
    ),
    "balanced_log_loss": (
        "Balanced log loss: the mean of -log(p), where p is the probability you gave to the true "
        "class, taken for each class by itself and then averaged over classes. Each row is divided "
        "by its sum first. 0 is perfect."
    ),
    "rmse": (
        "Root mean squared error: the root of the mean of (true - predicted)² of `{target}`. 0 is perfect."
    ),
    "mse": "Mean squared error: the mean of (true - predicted)² of `{target}`. 0 is perfect.",
    "mae": "Mean absolute error: the mean of |true - predicted| of `{target}`. 0 is perfect.",
    "wmae": (
        "Weighted mean absolute error: the mean of |true - predicted| of `{target}`, each row "
        "weighted with its `{weights}`. 0 is perfect."
    ),
    "median_ae": (
        "Median absolute error: half of the rows have a |true - predicted| of `{target}` above it, "
        "half below. 0 is perfect."
    ),
    "r2": (
        "Coefficient of determination R²: 1 - squared error / squared error of the mean. 0 is what "
        "the mean gets, 1 is perfect, and it can be negative."
    ),
    "rmsle": (
        "Root mean squared logarithmic error: the root of the mean of (log(1 + true) - log(1 + "
        "predicted))² of `{target}`. Predictions must not be negative. 0 is perfect."
    ),
    "mape": (
        "Mean absolute percentage error: the mean of |true - predicted| / true of `{target}`. 0 is "
        "perfect; predicting too much is dearer than too little."
    ),
    "rmspe": (
        "Root mean squared percentage error: the root of the mean of ((true - predicted) / true)² of "
        "`{target}`. 0 is perfect."
    ),
    "smape": (
        "Symmetric mean absolute percentage error: 100 times the mean of 2 |true - predicted| / "
        "(|true| + |predicted|) of `{target}`, between 0 (perfect) and 200."
    ),
}
_F1_TEXTS = {
    "binary": (
        "F1 score of `{target}` being {positive}: the harmonic mean of precision and recall. 1 is perfect."
    ),
    "macro": (
        "Macro F1: the F1 score of each class of `{target}` (harmonic mean of its precision and "
        "recall), averaged over classes, so that rare ones count as much as frequent ones. 1 is "
        "perfect."
    ),
    "weighted": (
        "Weighted F1: the F1 score of each class of `{target}`, averaged over classes by their size. "
        "1 is perfect."
    ),
}
_KAPPA = (
    "Cohen's kappa with {weights} weights between the true and the predicted `{target}`: 1 minus the "
    "disagreement over the disagreement by chance, where being off by several grades counts {how}. "
    "Submit whole grades; 0 is a guess, 1 is perfect."
)


def describe(draft: Draft, contest: Contest, rng: np.random.Generator, *, teams: int) -> str:
    """Return description.md of a task."""

    def one_of(headings: Sequence[str]) -> str:
        return headings[int(rng.integers(len(headings)))]

    sections = [
        (one_of(_GOAL), draft.story),
        (one_of(_DATA), _data(draft, as_list=bool(rng.random() < 0.3))),
        (one_of(_METRIC), _metric(draft, contest)),
        (one_of(_SUBMISSION), _submission(draft, contest)),
    ]
    if draft.good_to_know:
        notes = "\n".join(f"- {note}" for note in draft.good_to_know)
        sections.insert(2 if rng.random() < 0.7 else len(sections), (one_of(_NOTES), notes))
    if rng.random() < 0.25:  # the metric before the data
        sections.insert(1, sections.pop(_place(sections, _METRIC)))
    sections.append(("Source", _BOARD.format(teams=teams)))
    return (
        f"# {draft.title}\n\n" + "\n\n".join(f"## {head}\n{text.strip()}" for head, text in sections) + "\n"
    )


def _place(sections: Sequence[tuple[str, str]], headings: Sequence[str]) -> int:
    return next(place for place, (head, _) in enumerate(sections) if head in headings)


def _data(draft: Draft, *, as_list: bool) -> str:
    parts = [f"- `{name}`: {_rows(file)}{file.purpose}." for name, file in draft.files.items()]
    parts.append("- `sample_submission.csv`: a submission in the right format, with one constant.")
    meanings: dict[str, str] = {}
    for file in draft.files.values():
        names = list(file.arrays or {}) if file.table is None else list(map(str, file.table.columns))
        for name in names:
            if name in file.columns and meanings.get(name, "") != file.columns[name]:
                meanings[name] = "; ".join(filter(None, [meanings.get(name, ""), file.columns[name]]))
            else:
                meanings.setdefault(name, "")
    meanings[draft.target] = f"**target**: {draft.target_meaning}"
    lines = [(f"`{name}`", meaning or "no description") for name, meaning in meanings.items()]
    if as_list:
        table = [f"- {name}: {meaning}" for name, meaning in lines]
    else:
        table = ["| column | meaning |", "|---|---|", *(f"| {name} | {meaning} |" for name, meaning in lines)]
    return "\n".join([*parts, "", *table])


def _rows(file: File) -> str:
    return f"{len(file.table):,} rows, " if file.table is not None else ""


def _metric(draft: Draft, contest: Contest) -> str:
    name, params = contest.metric.name, contest.params
    if name == "f1":
        text = _F1_TEXTS[params.get("average", "binary")]
    elif name == "cohen_kappa":
        how = {"quadratic": "as its square", "linear": "as many times"}[params["weights"]]
        text = _KAPPA.replace("{weights}", params["weights"]).replace("{how}", how)
    else:
        text = _METRIC_TEXTS[name]
    positive = "" if isinstance(draft.goal, Amount) else str(draft.goal.names[-1])
    filled = text.format(target=draft.target, positive=positive, weights=draft.weights)
    return f"{filled} {_UP if contest.metric.higher_is_better else _DOWN}."


def _submission(draft: Draft, contest: Contest) -> str:
    columns = [draft.id, *contest.targets]
    rows = [
        [str(row_id), *_example(draft, contest, place)] for place, row_id in enumerate(draft.test_ids[:2])
    ]
    lines = "\n".join("    " + ",".join(cells) for cells in [columns, *rows])
    what = {
        "number": "a number",
        "label": f"one of {_listed(draft)}",
        "probability": "a probability between 0 and 1",
    }[contest.value]
    each = f"`{contest.targets[0]}` is" if len(contest.targets) == 1 else "each other column is"
    return (
        f"A CSV file named `submission.csv` with a header and one row for each of the {len(draft.test_ids)} "
        f"values of `{draft.id}` in the test set; {each} {what}:\n\n{lines}"
    )


def _listed(draft: Draft) -> str:
    names = [] if isinstance(draft.goal, Amount) else [f"`{name}`" for name in draft.goal.names]
    return ", ".join(names)


def _example(draft: Draft, contest: Contest, place: int) -> list[str]:
    """Return made-up predictions: none that tells anything about the rows they stand for."""
    shown: list[Cell] = []
    for column in contest.targets:
        if contest.value == "label" and not isinstance(draft.goal, Amount):
            shown.append(draft.goal.names[place % len(draft.goal.names)])
        else:
            shown.append(contest.sample[column])
    return [str(cell) for cell in shown]
