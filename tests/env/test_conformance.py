"""Metrics against what other implementations give, on small synthetic answers and submissions.

A file in conformance/, one for each of 131 competitions, holds answers and submissions (good, middling, bad)
as CSV, and their scores by Kaggle's definition: those of MLE-Dojo and MLE-bench where these are right, else
worked out independently, with the reason in `why`. `dojo` has MLE-Dojo's own score where it differs, and the
metric or the parameters that reproduce it.
"""

from __future__ import annotations

import io
import json
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from mledojo_env.catalog import load_task
from mledojo_env.errors import InvalidSubmission
from mledojo_env.grading import read_submission, score_frame
from mledojo_env.metrics import get_metric
from mledojo_env.task import SubmissionFormat

FOLDER = Path(__file__).with_name("conformance")
SLUGS = sorted(path.stem for path in FOLDER.glob("*.json"))
TOLERANCE = 1e-6


class Fixture:
    """One competition's answers and submissions."""

    def __init__(self, slug: str) -> None:
        self.content: dict[str, Any] = json.loads((FOLDER / f"{slug}.json").read_text())
        self.form = SubmissionFormat(**self.content["submission"])

    def answers(self) -> pd.DataFrame:
        text = dict.fromkeys(self.form.id, str)
        options: dict[str, Any] = {}
        if self.form.value in ("label", "text"):
            options = {"keep_default_na": False, "na_values": [""]}
        if self.form.value == "text":
            text |= dict.fromkeys(self.form.targets, str)
        return pd.read_csv(io.StringIO(self.content["answers"]), dtype=text, **options)

    def submission(self, name: str) -> pd.DataFrame:
        expected = [*self.form.id, *self.form.targets]
        return read_submission(self.content["submissions"][name].encode(), expected)

    def score(self, submission: pd.DataFrame, other: dict[str, Any] | None = None) -> float:
        """Return a submission's score by the metric, or by another one of which this is given."""
        facts = self.content["metric"] | (other or {})
        return score_frame(submission, self.answers(), self.form, get_metric(facts["name"], facts["params"]))


@cache
def fixture(slug: str) -> Fixture:
    return Fixture(slug)


def test_there_are_131_of_them():
    assert len(SLUGS) == 131


@pytest.mark.parametrize("slug", SLUGS)
def test_scores_are_kaggles(slug: str):
    case = fixture(slug)
    for name, score in case.content["scores"].items():
        assert case.score(case.submission(name)) == pytest.approx(score, abs=TOLERANCE, rel=TOLERANCE), name


@pytest.mark.parametrize("slug", [slug for slug in SLUGS if "dojo" in fixture(slug).content])
def test_scores_of_mle_dojo_are_reproduced_on_request(slug: str):
    case = fixture(slug)
    dojo = {key: value for key, value in case.content["dojo"].items() if key != "scores"}
    assert case.content["metric"] | dojo != case.content["metric"]
    for name, score in case.content["dojo"]["scores"].items():
        found = case.score(case.submission(name), dojo)
        assert found == pytest.approx(score, abs=TOLERANCE, rel=TOLERANCE), name


@pytest.mark.parametrize("slug", SLUGS)
def test_the_order_of_rows_and_columns_does_not_matter(slug: str):
    case = fixture(slug)
    submission = case.submission("mid")
    expected = case.score(submission)
    reordered = submission[list(submission.columns)[::-1]]
    assert case.score(reordered) == pytest.approx(expected, rel=1e-12, abs=1e-12)
    if case.form.rows == "one":
        shuffled = submission.sample(frac=1, random_state=1)
        assert case.score(shuffled) == pytest.approx(expected, rel=1e-9, abs=1e-12)


@pytest.mark.parametrize("slug", SLUGS)
def test_the_answers_are_best_and_what_is_wrong_is_refused(slug: str):
    case = fixture(slug)
    good, form = case.submission("good"), case.form
    target = form.targets[-1]
    wrong = {
        "a column is missing": good.drop(columns=target),
        "a column too many": good.assign(extra="1"),
        "no rows": good.iloc[:0],
        "an unknown id": good.assign(**{form.id[0]: [*good[form.id[0]][:-1], "no such id"]}),
    }
    if form.rows == "one":
        wrong["a row is missing"] = good.iloc[1:]
        wrong["a row is there twice"] = pd.concat([good, good.iloc[:1]])
    if form.value != "text":
        first = np.arange(len(good)) == 0
        wrong["a blank"] = good.assign(**{target: good[target].mask(first, "")})
        wrong["a NaN"] = good.assign(**{target: good[target].mask(first, "nan")})
        wrong["nothing but NaN"] = good.assign(**{target: "nan"})
    if form.value in ("number", "probability"):
        wrong["an infinity"] = good.assign(**{target: good[target].mask(first, "inf")})
        wrong["a word"] = good.assign(**{target: good[target].mask(first, "high")})
    for what, submission in wrong.items():
        assert refuses(case, submission), f"accepted: {what}"


def refuses(case: Fixture, submission: pd.DataFrame) -> bool:
    try:
        case.score(submission)
    except InvalidSubmission:
        return True
    return False


@pytest.mark.parametrize("slug", SLUGS)
def test_the_task_has_the_metric_that_is_compared(slug: str):
    case, facts = fixture(slug), load_task(f"kaggle/{slug}").facts
    if "other_form" in case.content:  # the peers' answers are of another form than ours; says in what
        assert facts.metric.name == case.content["metric"]["name"]
        return
    assert facts.metric.model_dump() == case.content["metric"]
    assert facts.submission.value == case.form.value and facts.submission.rows == case.form.rows
