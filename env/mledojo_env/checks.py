"""Is a task sound? Each check is a function with a name; `mledojo-train tasks check` runs them all.

A check looks for one way in which scores on a task would mean nothing: broken files, a metric that does not
hold its answers best, answers that can be looked up, a sample submission that is hard to beat.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from mledojo_env.baseline import Tables, is_number, predict, predicts_classes, predicts_probabilities
from mledojo_env.catalog import SPLITS, list_tasks, load_task, read_split, tasks_root
from mledojo_env.duplicates import find_duplicates
from mledojo_env.errors import MLEDojoError
from mledojo_env.grading import Grade, grade_frame, public_private
from mledojo_env.lookup import find_in_packages
from mledojo_env.overlap import Contents, find_shared_rows, read_contents
from mledojo_env.prepare.run import check_recipe

if TYPE_CHECKING:
    from pandas import DataFrame, Series

    from mledojo_env.task import Task

MIN_TEAMS = 100  # of a reference leaderboard
MIN_TEAMS_GENERATED = 60  # of a generated task's, whose metric may tell fewer scores apart
MAX_SAMPLE_RANK = {"reference": 0.25, "human": 0.5}  # many people submit the sample, or little more
MAX_LOOKUP_GAIN = 0.05  # of test rows answered by copying from near-duplicates
MAX_SHORTCUT = 0.9  # of the way from the sample submission to perfect, by one feature
PUBLIC_SHARE = (0.1, 0.6)

_LEAVES = 64  # of a tree of one number


@dataclass(frozen=True)
class Finding:
    """What one check found."""

    check: str
    ok: bool
    detail: str


class Subject:
    """A task under check, with what several checks need."""

    def __init__(self, task: Task) -> None:
        self.task = task

    @cached_property
    def answers(self) -> DataFrame:
        """The hidden answers."""
        return self.task.answers()

    @cached_property
    def gold(self) -> Grade:
        """The grade of the answers themselves."""
        form = self.task.submission
        return grade_frame(self.task, self.answers[[*form.id, *form.targets]])

    @cached_property
    def sample(self) -> Grade:
        """The grade of the sample submission."""
        return grade_frame(self.task, self.task.sample_submission())

    @cached_property
    def tables(self) -> Tables | None:
        """The task's rows, where it is of the simple form that most are of."""
        return Tables.of(self.task)

    def progress(self, score: float) -> float:
        """Return how far a score is from the sample submission's (0) to perfect (1)."""
        way = self.gold.score - self.sample.score
        return (score - self.sample.score) / way if way else 1.0


Check = Callable[[Subject], tuple[bool, str]]
_CHECKS: dict[str, Check] = {}
_FACT_CHECKS: dict[str, Check] = {}


def _check(function: Check) -> Check:
    """Register a check of a task's data."""
    _CHECKS[function.__name__] = function
    return function


def _check_facts(function: Check) -> Check:
    """Register a check of what a task says of itself, which needs no data."""
    _FACT_CHECKS[function.__name__] = function
    return function


def check_task(task: Task, only: Collection[str] | None = None) -> list[Finding]:
    """Run the checks on a task, each on its own: one that cannot run has failed.

    Args:
        task: The task. If its data is not here, only the checks that need none are run.
        only: The names of the checks to run; all by default.
    """
    subject = Subject(task)
    findings = []
    checks = {**_FACT_CHECKS, **(_CHECKS if task.has_data else {})}
    for name, check in checks.items():
        if only is not None and name not in only:
            continue
        try:
            ok, detail = check(subject)
        except (MLEDojoError, LookupError, ValueError, TypeError, OSError) as error:
            ok, detail = False, f"{type(error).__name__}: {error}"
        findings.append(Finding(name, bool(ok), detail))
    return findings


def check_splits() -> list[Finding]:
    """Check that splits hold each task once, as its task.yaml says, and share no source of data."""
    ids = {split: read_split(split) for split in SPLITS}
    entries = {entry.id: entry for entry in list_tasks() if entry.folder.is_relative_to(tasks_root())}
    repeated = [task for split in SPLITS for task in set(ids[split]) if ids[split].count(task) > 1]
    shared = sorted(set(ids["train"]) & set(ids["benchmark"]))
    unknown = sorted({task for split in SPLITS for task in ids[split]} - set(entries))
    astray = sorted(task for task, entry in entries.items() if task not in ids.get(entry.split, []))
    return [
        _none("split_ids_once", repeated, "listed twice"),
        _none("splits_disjoint", shared, "in both train and benchmark"),
        _none("split_ids_known", unknown, "in a split, but there is no such task"),
        _none("split_as_task_says", astray, "not in the split that its task.yaml names"),
        _none("split_sources_disjoint", _shared_sources(), "a source of both train and benchmark"),
        _none("split_rows_disjoint", _shared_rows(), "rows of the benchmark that training sees"),
    ]


@_check_facts
def description(subject: Subject) -> tuple[bool, str]:
    """description.md says what is to be done, and names each public file."""
    text = subject.task.description
    if len(text.split()) < 30:
        return False, "description.md has fewer than 30 words"
    missing = [name for name in subject.task.public_files if name.rstrip("/") not in text]
    return not missing, f"description.md does not mention {missing[0]}" if missing else "complete"


@_check_facts
def metric(subject: Subject) -> tuple[bool, str]:
    """The registry has the metric, with these parameters."""
    return True, repr(subject.task.metric)


@_check_facts
def preparation(subject: Subject) -> tuple[bool, str]:
    """The parameters of the preparation are known, and `public` names a sample submission."""
    check_recipe(subject.task.facts)
    listed = "sample_submission.csv" in subject.task.public_files
    return listed, "complete" if listed else "`public` does not name sample_submission.csv"


@_check
def checksums(subject: Subject) -> tuple[bool, str]:
    """Every data file is what SHA256SUMS, or the manifest of the preparation, says."""
    subject.task.verify()
    return True, "all files match"


@_check
def public_files(subject: Subject) -> tuple[bool, str]:
    """`public` in task.yaml names every file that code sees, and the sample submission is one."""
    task = subject.task
    found = {
        path.relative_to(task.public_dir).as_posix() for path in task.public_dir.rglob("*") if path.is_file()
    }
    listed = set(task.public_files)
    folders = tuple(name for name in listed if name.endswith("/"))
    problems = [
        f"{name} is listed but not there" for name in sorted(listed) if not (task.public_dir / name).exists()
    ]
    stray = [name for name in sorted(found - listed) if not name.startswith(folders or ("//",))]
    problems += [f"{name} is there but not listed" for name in stray[:5]]
    if "sample_submission.csv" not in found:
        problems.append("sample_submission.csv is missing")
    return not problems, "; ".join(problems) or f"{len(found)} files"


@_check
def no_target_in_test(subject: Subject) -> tuple[bool, str]:
    """No public table but the sample submission holds targets for test ids."""
    import pandas as pd

    form = subject.task.submission
    hidden = set(map(tuple, subject.answers[form.id].astype(str).to_numpy()))
    for path in sorted(subject.task.public_dir.glob("*.csv")):
        table = pd.read_csv(path, dtype=dict.fromkeys(form.id, str), nrows=200_000)
        targets = [name for name in form.targets if name in table]
        if path.name == "sample_submission.csv" or not targets or not set(form.id) <= set(table):
            continue
        if any(tuple(row) in hidden for row in table[form.id].to_numpy()):
            return False, f"{path.name} has the column {targets[0]!r} for ids of the test set"
    return True, "targets are hidden"


@_check
def ids_unique(subject: Subject) -> tuple[bool, str]:
    """Answers, sample submission and test table hold the same ids, each once; train holds none of them."""
    form = subject.task.submission
    tables = {"answers": subject.answers, "sample_submission.csv": subject.task.sample_submission()}
    train = None
    if subject.tables:
        tables["test.csv"], train = subject.tables.test, subject.tables.train
    expected = set(map(tuple, subject.answers[form.id].astype(str).to_numpy()))
    for name, table in tables.items():
        ids = list(map(tuple, table[form.id].astype(str).to_numpy()))
        if form.rows == "several":
            ids = list(set(ids))
        if len(set(ids)) < len(ids):
            return False, f"{name} repeats {len(ids) - len(set(ids))} ids"
        if set(ids) != expected:
            return False, f"the ids of {name} are not those of the answers"
    if train is not None and expected & set(map(tuple, train[form.id].astype(str).to_numpy())):
        return False, "train.csv has ids of the test set"
    return True, f"{len(expected)} ids"


@_check
def parts(subject: Subject) -> tuple[bool, str]:
    """Answers have a public and a private part, the public one the smaller."""
    share = float((public_private(subject.answers, subject.task.id) == "public").mean())
    return PUBLIC_SHARE[0] <= share <= PUBLIC_SHARE[1], f"{share:.0%} of the test rows are public"


@_check
def gold_is_best(subject: Subject) -> tuple[bool, str]:
    """The answers get the metric's best value on every part, and nobody on the board is ahead of them."""
    gold, metric = subject.gold, subject.task.metric
    scores = {"all": gold.score, "public": gold.public_score, "private": gold.private_score}
    for part, score in scores.items():
        if np.isnan(metric.best_value):  # it depends on the answers, of which nothing else is known
            break
        if not np.isclose(score, metric.best_value, rtol=0, atol=1e-9):
            return False, f"gold gets {score} on {part} rows; the best {metric.name} is {metric.best_value}"
    if gold.rank is not None and gold.rank < 1:
        return False, f"teams are ahead of gold: position {gold.private_position} on the private board"
    return True, f"{metric.name} {gold.score:g}"


@_check
def sample_ranks_low(subject: Subject) -> tuple[bool, str]:
    """The sample submission is valid and near the end of the board."""
    sample = subject.sample
    if not subject.task.metric.is_better(subject.gold.score, sample.score):
        return False, f"the sample submission scores {sample.score:g}, as well as gold"
    if sample.rank is None:
        return True, f"score {sample.score:g}, no leaderboard"
    board = subject.task.leaderboard
    most = MAX_SAMPLE_RANK[board.kind] if board else 0.0
    return sample.rank <= most, f"score {sample.score:g}, rank {sample.rank:.2f}"


@_check
def leaderboard(subject: Subject) -> tuple[bool, str]:
    """The board is of finite numbers; one of reference pipelines has enough of them, and they differ."""
    board = subject.task.leaderboard
    if board is None:
        return True, "none"
    teams, different = board.teams(), len(set(board.private_scores))
    is_generated = subject.task.facts.prepare.strategy == "generated"
    least = MIN_TEAMS_GENERATED if is_generated else MIN_TEAMS
    if board.kind == "reference" and (teams < least or different < teams // 2):
        return False, f"{teams} teams with {different} different scores; expected at least {least}"
    return True, f"{teams} teams, {different} different private scores"


@_check
def no_test_row_in_train(subject: Subject) -> tuple[bool, str]:
    """No test row is a training row, and near-duplicates are too few to climb the board by copying."""
    found = find_duplicates(subject.tables) if subject.tables else None
    if found is None:
        return True, "not of a form whose rows can be compared"
    detail = f"{found.exact} equal and {found.near} near rows of {found.rows}; copying gains {found.gain:.1%}"
    return found.exact == 0 and found.gain <= MAX_LOOKUP_GAIN, detail


@_check
def not_in_a_package(subject: Subject) -> tuple[bool, str]:
    """No package that scripts can import ships the test rows, and so the answers."""
    if subject.tables is None:
        return True, "not of a form whose rows can be compared"
    found = find_in_packages(subject.tables.test[subject.tables.features])
    if found is None:
        return True, "no row found in a package of the sandbox"
    return False, f"{found.rows} of {len(subject.tables.test)} test rows are in {found.file}"


@_check
def no_single_feature_tells(subject: Subject) -> tuple[bool, str]:
    """No feature alone, nor the id or the order of rows, comes near the answers."""
    if subject.tables is None:
        return True, "not of a form whose features can be tried"
    import pandas as pd

    tables, task = subject.tables, subject.task
    best, name = -np.inf, ""
    order = (pd.Series(np.arange(len(part), dtype=float)) for part in (tables.train, tables.test))
    candidates = {"order of rows": (next(order), next(order))}
    for column in tables.features:
        candidates[column] = tables.train[column], tables.test[column]
    for column in task.submission.id:  # read as text
        numbers = [pd.to_numeric(part[column], errors="coerce") for part in (tables.train, tables.test)]
        candidates[column] = numbers[0], numbers[1]
    for column, (train, test) in candidates.items():
        for predictions in _predict_from(train, test, tables):
            way = subject.progress(task.score(tables.submission(predictions), subject.answers))
            if way > best:
                best, name = way, column
    return best <= MAX_SHORTCUT, f"{name!r} alone goes {best:.0%} of the way from the sample to perfect"


@_check
def baseline_beats_sample(subject: Subject) -> tuple[bool, str]:
    """A quick pipeline learns something from the data."""
    if subject.tables is None:
        return True, "not of a form that the baseline reads"
    grade = grade_frame(subject.task, subject.tables.submission(predict(subject.tables)))
    rank = "" if grade.rank is None else f", rank {grade.rank:.2f}"
    detail = f"score {grade.score:g}{rank}; the sample submission {subject.sample.score:g}"
    return subject.task.metric.is_better(grade.score, subject.sample.score), detail


@_check_facts
def split_agrees(subject: Subject) -> tuple[bool, str]:
    """The split that task.yaml names is the one file that lists the task."""
    task = subject.task
    if not task.folder.is_relative_to(tasks_root().resolve()):
        return True, "not one of the packaged tasks"
    listed = [split for split in SPLITS if task.id in read_split(split)]
    return listed == [task.split], f"task.yaml says {task.split}; listed in {', '.join(listed) or 'no split'}"


def _predict_from(train: Series, test: Series, tables: Tables) -> Iterator[np.ndarray]:
    """Yield predictions by one feature: of a tree, which looks categories up, and of a line."""
    from sklearn.linear_model import LinearRegression
    from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor

    target = tables.train[tables.target].to_numpy()
    x_train, x_test, leaves = _coded(train, test)
    options = {"max_leaf_nodes": leaves, "random_state": 0}
    if predicts_classes(tables.task):
        classifier = DecisionTreeClassifier(**options).fit(x_train, target)
        by_chance = predicts_probabilities(tables.task)
        yield classifier.predict_proba(x_test)[:, 1] if by_chance else classifier.predict(x_test)
        return
    numbers = target.astype(float)
    for model in (DecisionTreeRegressor(**options), LinearRegression()):
        yield np.clip(model.fit(x_train, numbers).predict(x_test), numbers.min(), numbers.max())


def _coded(train: Series, test: Series) -> tuple[np.ndarray, np.ndarray, int]:
    """Return train and test cells as numbers, shape (rows, 1) each, and the leaves that a tree needs."""
    if is_number(train) and is_number(test):
        middle = float(train.median()) if train.notna().any() else 0.0
        finite = [column.astype(float).replace([np.inf, -np.inf], np.nan) for column in (train, test)]
        filled = [column.fillna(middle - 1e6).to_numpy()[:, None] for column in finite]
        return filled[0], filled[1], _LEAVES
    codes = {value: code for code, value in enumerate(train.astype(str).unique())}
    known = [column.astype(str).map(codes).fillna(-1).to_numpy(float)[:, None] for column in (train, test)]
    return known[0], known[1], max(len(codes) + 1, 2)


def _none(check: str, found: list[str], what: str) -> Finding:
    shown = ", ".join(found[:5]) + (f" and {len(found) - 5} more" if len(found) > 5 else "")
    return Finding(check, not found, f"{what}: {shown}" if found else "none")


def _shared_sources() -> list[str]:
    """Return names of original data sources that playable tasks of more than one split come from."""
    from mledojo_env.task import read_facts

    splits_of: dict[str, set[str]] = {}
    for entry in list_tasks():
        if entry.quarantine is not None:
            continue
        name = " ".join(read_facts(entry.folder).source.name.casefold().split())
        splits_of.setdefault(name, set()).add(entry.split)
    return sorted(name for name, splits in splits_of.items() if len(splits) > 1)


def _shared_rows() -> list[str]:
    """Return where bundled tasks of the benchmark hold rows of bundled tasks that are trained on."""
    contents: dict[str, list[Contents]] = {split: [] for split in SPLITS}
    for entry in list_tasks():
        if entry.ready and entry.source == "offline" and entry.folder.is_relative_to(tasks_root()):
            contents[entry.split].append(read_contents(entry.id, load_task(entry.id).public_dir))
    return find_shared_rows(contents["benchmark"], contents["train"])
