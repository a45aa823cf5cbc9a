"""What is refused, with which words, and that nothing else ever comes out of a hostile file."""

from __future__ import annotations

import io
import math
import random

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mledojo_env.errors import GradingError, InvalidSubmission
from mledojo_env.grading import read_submission, score_frame
from mledojo_env.metrics import get_metric
from mledojo_env.submission import max_submission_bytes
from mledojo_env.task import SubmissionFormat

NUMBER = SubmissionFormat(id=["id"], targets=["strength"], value="number")
PROBABILITY = SubmissionFormat(id=["id"], targets=["churn"], value="probability")
LABEL = SubmissionFormat(id=["id"], targets=["kind"], value="label")

ANSWERS = pd.DataFrame({"id": [1, 2, 3], "strength": [10.0, 20.0, 30.0], "part": "private"})
GOOD = b"id,strength\n1,10\n2,20\n3,33\n"


def grade(
    data: bytes, form: SubmissionFormat = NUMBER, metric: str = "rmse", answers: pd.DataFrame = ANSWERS
) -> float:
    return score_frame(read_submission(data), answers, form, get_metric(metric))


def refused(
    data: bytes, form: SubmissionFormat = NUMBER, metric: str = "rmse", answers: pd.DataFrame = ANSWERS
) -> str:
    with pytest.raises(InvalidSubmission) as error:
        grade(data, form, metric, answers)
    text = str(error.value)
    assert "\n" not in text
    assert len(text) < 400
    return text


@pytest.mark.parametrize(
    "data",
    [
        GOOD,
        b"id,strength\n3,33\n1,10\n2,20\n",  # rows in another order
        b"strength,id\n10,1\n20,2\n33,3\n",  # columns in another order
        b"\xef\xbb\xbfid,strength\r\n1,10\r\n2,20\r\n3,33\r\n",  # byte order mark, Windows line ends
        b"id,strength\n1.0,10\n2.0,20\n3.0,33\n",  # ids that went through floats
        b'"id","strength"\n"1","1e1"\n"2"," 20 "\n\n"3",33.000\n',  # quotes, spaces, a blank line
    ],
)
def test_what_says_the_same_scores_the_same(data: bytes):
    assert grade(data) == pytest.approx(math.sqrt(3))


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "empty"),
        (b" \n\n", "empty"),
        (b"id,strength\n", "no rows; expected 3"),
        (b"\x89PNG\r\n\x1a\n\x00\x00", "NUL byte at offset 8"),
        (b"id,strength\n1,\xff\n", "not UTF-8 text: byte 0xff at offset 14"),
        ("id,strength\n1,10\n".encode("utf-16"), "UTF-16"),
        (b"id;strength\n1;10\n2;20\n3;33\n", "semicolons; expected commas"),
        (b"id\tstrength\n1\t10\n", "tabs; expected commas"),
        (b"id,strength\n1,10\n2,20,5\n3,33\n", "Expected 2 fields in line 3, saw 3"),
        (b'id,strength\n1,"10\n2,20\n3,33\n', "EOF inside string"),
        (b"id," + b"x," * 20_000 + b"\n1,2\n", "20002 columns"),
        (b'"' + b"x" * 300_000 + b'"\n', "header"),
        (b"id,Strenght\n1,10\n2,20\n3,33\n", "found 'Strenght', expected 'strength'"),
        (b"id, Strength \n1,10\n2,20\n3,33\n", "found ' Strength ', expected 'strength'"),
        (b"id\n1\n2\n3\n", "Column 'strength' is missing; expected the columns"),
        (b"1,10\n2,20\n3,33\n", "expected the columns"),
        (b"id,strength,weight\n1,10,1\n2,20,1\n3,33,1\n", "Column 'weight' is not expected"),
        (b",id,strength\n0,1,10\n1,2,20\n2,3,33\n", "index=False"),
        (b"id,strength,strength\n1,10,1\n2,20,1\n3,33,1\n", "Column 'strength' is there twice"),
        (b"id,strength\n1,10\n2,20\n", "Id 3 is missing (1 row such). It has 2 rows; expected 3"),
        (b"id,strength\n1,10\n2,20\n2,20\n3,33\n", "Id 2 is there twice. It has 4 rows; expected 3"),
        (b"id,strength\n1,10\n2,20\n9,33\n", "Id 9 is not in the test set (1 row such)"),
        (b"id,strength\n1,10\n2,20\n3.5,33\n", "Id 3.5 is not in the test set"),
        (b"id,strength\n1,10\n,20\n3,33\n", "Column 'id' is blank in row 2"),
        (b'id,strength\n1,10\n"2\n2",20\n3,33\n', "Id 2 2 is not in the test set"),
        (b"id,strength\n1,10\n2\n3,33\n", "Column 'strength' is blank or NaN"),
        (b"id,strength\n1,10\n2,\n3,nan\n", "at id 2 (2 rows such)"),
        (b"id,strength\n1,10\n2,NaN\n3,33\n", "blank or NaN; expected a finite number: at id 2"),
        (b"id,strength\n1,10\n2,20\n3,inf\n", "infinite or too large; expected a finite number: at id 3"),
        (b"id,strength\n1,10\n2,20\n3,-1e999\n", "expected a"),
        (b"id,strength\n1,10\n2,high\n3,33\n", "is 'high'; expected a number: at id 2"),
        (b"id,strength\n1,10\n2,True\n3,33\n", "is 'True'; expected a number: at id 2"),
        (b"id,strength\n1,10\n2,0x1F\n3,33\n", "is '0x1F'; expected a number"),
        (b'id,strength\n1,10\n2,"20\nand more"\n3,33\n', "is '20\\nand more'; expected a number"),
        (b'id,strength\n1,10\n2,"1,000"\n3,33\n', "is '1,000'; expected a number"),
        (b"id,strength\n1,10\n2,1e200\n3,33\n", "no finite number: they are too large"),
    ],
)
def test_refusals_name_the_column_or_the_first_bad_id(data: bytes, words: str):
    assert words in refused(data)


@pytest.mark.parametrize("value", ["1.2", "-0.1", "7"])
def test_probabilities_lie_between_0_and_1(value: str):
    answers = pd.DataFrame({"id": [1, 2], "churn": [0, 1]})
    data = f"id,churn\n1,0.5\n2,{value}\n".encode()
    for metric in ("roc_auc", "log_loss"):  # the task's word, or the metric's
        text = refused(data, PROBABILITY, metric, answers)
        assert f"'churn' is {float(value)}; expected a probability from 0 to 1: at id 2" in text
    number = SubmissionFormat(id=["id"], targets=["churn"], value="number")
    assert "probability" in refused(data, number, "log_loss", answers)
    assert 0 <= grade(data, number, "roc_auc", answers) <= 1  # any number ranks


def test_the_rounding_of_float32_is_no_offence():
    answers = pd.DataFrame({"id": [1, 2], "churn": [0, 1]})
    data = b"id,churn\n1,-0.00000006\n2,1.0000001\n"
    assert grade(data, PROBABILITY, "log_loss", answers) == pytest.approx(0, abs=1e-12)


def test_rmsle_needs_numbers_of_at_least_0():
    assert "'strength' is -3.0; rmsle needs numbers of at least 0: at id 2" in refused(
        b"id,strength\n1,10\n2,-3\n3,33\n", metric="rmsle"
    )


def test_labels_of_any_name_count_but_none_does_not():
    answers = pd.DataFrame({"id": [1, 2, 3], "kind": ["a", "b", "None"]})
    assert grade(b"id,kind\n1,a\n2,zebra\n3,None\n", LABEL, "accuracy", answers) == pytest.approx(2 / 3)
    assert "'kind' is blank or NaN; expected a label: at id 2" in refused(
        b"id,kind\n1,a\n2,\n3,None\n", LABEL, "accuracy", answers
    )
    assert "at id 1" in refused(b"id,kind\n1,nan\n2,b\n3,None\n", LABEL, "accuracy", answers)


def test_labels_that_are_numbers_are_compared_as_numbers():
    answers = pd.DataFrame({"id": [1, 2], "kind": [3, 7]})
    assert grade(b"id,kind\n1,3.0\n2,7\n", LABEL, "accuracy", answers) == 1
    assert "is 'seven'; expected a number: at id 2" in refused(
        b"id,kind\n1,3\n2,seven\n", LABEL, "accuracy", answers
    )
    assert "not a whole number: at id 2" in refused(b"id,kind\n1,3\n2,6.5\n", LABEL, "cohen_kappa", answers)


def test_labels_with_leading_zeros_are_text():
    answers = pd.DataFrame({"id": [1, 2], "kind": ["007", "7"]})
    assert grade(b"id,kind\n1,007\n2,007\n", LABEL, "accuracy", answers) == 0.5


def test_whole_labels_beyond_the_precision_of_floats_are_told_apart():
    answers = pd.DataFrame({"id": [1, 2], "kind": [2**53, 2**53 + 1]})
    data = f"id,kind\n1,{2**53}\n2,{2**53}\n".encode()
    assert grade(data, LABEL, "accuracy", answers) == 0.5


def test_truth_values_are_read_in_any_spelling():
    answers = pd.DataFrame({"id": [1, 2, 3], "kind": [True, False, True]})
    assert grade(b"id,kind\n1,true\n2,FALSE\n3,0\n", LABEL, "accuracy", answers) == pytest.approx(2 / 3)
    assert "True and False: at id 3" in refused(b"id,kind\n1,1\n2,0\n3,yes\n", LABEL, "accuracy", answers)
    chances = SubmissionFormat(id=["id"], targets=["kind"], value="probability")
    assert grade(b"id,kind\n1,0.9\n2,0.1\n3,0.8\n", chances, "roc_auc", answers) == 1


def test_ids_are_matched_to_the_letter_where_they_are_text():
    answers = ANSWERS.assign(id=["007", "7", "a b"])
    assert grade(b"id,strength\n7,20\n007,10\na b,33\n", answers=answers) == pytest.approx(math.sqrt(3))
    assert "Id 7.0 is not in the test set" in refused(b"id,strength\n7.0,2\n007,1\na b,3\n", answers=answers)


def test_ids_of_several_columns():
    form = SubmissionFormat(id=["store", "day"], targets=["y"], value="number")
    answers = pd.DataFrame({"store": [1, 1, 2], "day": ["mon", "tue", "mon"], "y": [1.0, 2.0, 3.0]})
    assert grade(b"day,store,y\nmon,2.0,3\ntue,1.0,2\nmon,1.0,1\n", form, answers=answers) == 0
    assert "Id 2, tue is not in the test set" in refused(
        b"store,day,y\n1,mon,1\n1,tue,2\n2,tue,3\n", form, answers=answers
    )


def test_several_targets():
    form = SubmissionFormat(id=["id"], targets=["cat", "dog"], value="probability")
    answers = pd.DataFrame({"id": [1, 2], "cat": [1, 0], "dog": [0, 1]})
    data = b"dog,id,cat\n0.5,1,0.5\n0.25,2,0.75\n"
    expected = (math.log(2) + math.log(4)) / 2
    assert grade(data, form, "multiclass_log_loss", answers) == pytest.approx(expected)
    assert "'dog' is 'x'" in refused(b"id,cat,dog\n1,0,1\n2,0,x\n", form, "multiclass_log_loss", answers)


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ([1.0, None, 3.0], "blank or NaN"),
        ([True, False, True], "holds bool values; expected numbers"),
        ([1.0, True, 3.0], "is True; expected a number: at id 2"),
        ([1.0, "two", 3.0], "is 'two'"),
        ([1 + 1j, 2, 3], "complex128"),
        (pd.to_datetime(["2020-01-01"] * 3), "datetime64"),
        ([[1], [2], [3]], "expected a number"),
        (pd.Series([1, 2, 10**400], dtype=object), "infinite or too large"),
        (pd.array([1, None, 3], dtype="Int64"), "blank or NaN"),
    ],
)
def test_tables_from_python_are_checked_as_well(values: object, words: str):
    table = pd.DataFrame({"id": [1, 2, 3], "strength": values})
    with pytest.raises(InvalidSubmission, match=words):
        score_frame(table, ANSWERS, NUMBER, get_metric("rmse"))


@pytest.mark.parametrize(
    "table",
    [
        pd.DataFrame({"id": [1.0, 2.0, 3.0], "strength": [10, 20, 33]}),
        pd.DataFrame({"id": ["1", "2", "3"], "strength": ["10", "20", "33"]}),
        pd.DataFrame(
            {"id": pd.array([1, 2, 3], dtype="Int64"), "strength": pd.array([10, 20, 33], "Float64")}
        ),
        pd.DataFrame({"id": pd.Categorical([1, 2, 3]), "strength": np.array([10, 20, 33], np.float32)}),
    ],
)
def test_tables_of_any_type_score_the_same(table: pd.DataFrame):
    assert score_frame(table, ANSWERS, NUMBER, get_metric("rmse")) == pytest.approx(math.sqrt(3))


@pytest.mark.parametrize(
    ("answers", "words"),
    [
        (ANSWERS.assign(id=[1, 1, 2]), "id 1 twice"),
        (ANSWERS.assign(strength=[1.0, np.nan, 2.0]), "answers are broken"),
        (ANSWERS.drop(columns="strength"), "no column 'strength'"),
    ],
)
def test_broken_answers_are_our_fault(answers: pd.DataFrame, words: str):
    with pytest.raises(GradingError, match=words):
        grade(GOOD, answers=answers)


def test_columns_are_checked_before_rows_are_parsed():
    with pytest.raises(InvalidSubmission, match="'strength' is missing"):
        read_submission(b"id\n" + b'"', expected=["id", "strength"])


def test_size_limit():
    assert max_submission_bytes(0) == 1_000_000
    assert max_submission_bytes(500_000) == 10_000_000
    assert max_submission_bytes(10_000_000) == 64_000_000
    assert max_submission_bytes(100_000_000) == 300_000_000


# --------------------------------------------------------------------------- whatever comes


def _outcome(data: bytes, metric: str, form: SubmissionFormat, answers: pd.DataFrame) -> float | None:
    """Return the score, or None for a refusal; anything else fails the test."""
    try:
        score = grade(data, form, metric, answers)
    except InvalidSubmission:
        return None
    assert math.isfinite(score)
    return score


ROWS = 12
CASES = [
    ("rmse", NUMBER, pd.DataFrame({"id": range(ROWS), "strength": np.arange(ROWS) / 7})),
    ("r2", NUMBER, pd.DataFrame({"id": range(ROWS), "strength": np.arange(ROWS) / 7})),
    ("smape", NUMBER, pd.DataFrame({"id": range(ROWS), "strength": np.arange(ROWS) / 7})),
    ("log_loss", PROBABILITY, pd.DataFrame({"id": range(ROWS), "churn": np.arange(ROWS) % 2})),
    ("roc_auc", PROBABILITY, pd.DataFrame({"id": range(ROWS), "churn": np.arange(ROWS) % 2})),
    ("f1", LABEL, pd.DataFrame({"id": range(ROWS), "kind": np.arange(ROWS) % 2})),
    ("cohen_kappa", LABEL, pd.DataFrame({"id": range(ROWS), "kind": np.arange(ROWS) % 3})),
    ("accuracy", LABEL, pd.DataFrame({"id": range(ROWS), "kind": list("abc") * (ROWS // 3)})),
]
ODD_CELLS = [
    "",
    "nan",
    "inf",
    "-inf",
    "1e308",
    "-1e308",
    "1e999",
    "0",
    "1",
    "-0.0",
    "5e-324",
    "True",
    "a",
    "\x00",
]
ODD_CELLS += ["9" * 400, "1,5", '"', "\n", "0x10", "1_000", "\ufeff", "٣", "None", "1e-400"]
CELLS = st.one_of(
    st.sampled_from(ODD_CELLS),
    st.text(max_size=8),
    st.floats().map(repr),
    st.integers().map(str),
)


@pytest.mark.parametrize(("metric", "form", "answers"), CASES, ids=[case[0] for case in CASES])
@settings(max_examples=40, deadline=None)
@given(
    cells=st.lists(st.tuples(st.integers(0, ROWS), st.integers(0, 1), CELLS), max_size=4),
    keep=st.integers(ROWS - 1, ROWS + 1),
    quote=st.booleans(),
)
def test_corrupted_cells_give_a_finite_score_or_a_refusal(
    metric: str,
    form: SubmissionFormat,
    answers: pd.DataFrame,
    cells: list[tuple[int, int, str]],
    keep: int,
    quote: bool,
):
    target = form.targets[0]
    rows = [["id", target], *[[str(i), str(answers[target][i])] for i in range(ROWS)]]
    for row, column, text in cells:
        rows[row][column] = '"' + text.replace('"', '""') + '"' if quote else text
    data = "\n".join(",".join(row) for row in rows[: keep + 1]).encode("utf-8", errors="surrogatepass")
    _outcome(data, metric, form, answers)


@settings(max_examples=100, deadline=None)
@given(
    data=st.binary(max_size=200), prefix=st.sampled_from([b"", b"id,strength\n", b"id,strength\n1,10\n2,"])
)
def test_any_bytes_give_a_finite_score_or_a_refusal(data: bytes, prefix: bytes):
    _outcome(prefix + data, "rmse", NUMBER, ANSWERS)


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 10_000))
def test_flipped_bytes_give_a_finite_score_or_a_refusal(seed: int):
    dice = random.Random(seed)
    data = bytearray(GOOD)
    for _ in range(dice.randint(1, 4)):
        data[dice.randrange(len(data))] = dice.randrange(256)
    _outcome(bytes(data), "rmse", NUMBER, ANSWERS)


@settings(max_examples=40, deadline=None)
@given(values=st.lists(st.floats(-1e6, 1e6), min_size=ROWS, max_size=ROWS), seed=st.integers(0, 1000))
def test_the_order_of_rows_and_columns_never_matters(values: list[float], seed: int):
    answers = pd.DataFrame({"id": range(ROWS), "strength": np.arange(ROWS) / 7})
    table = pd.DataFrame({"id": range(ROWS), "strength": values})
    shuffled = table.sample(frac=1, random_state=seed)[["strength", "id"]]
    mixed_answers = answers.sample(frac=1, random_state=seed + 1)
    scores = []
    for submitted, truth in ((table, answers), (shuffled, answers), (shuffled, mixed_answers)):
        buffer = io.BytesIO()
        submitted.to_csv(buffer, index=False)
        scores.append(grade(buffer.getvalue(), answers=truth))
    assert scores == pytest.approx([scores[0]] * 3, rel=1e-12)
