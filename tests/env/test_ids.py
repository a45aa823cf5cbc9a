"""Files in order are read and matched without making text of every cell; the result must be the same."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mledojo_env.errors import GradingError, InvalidSubmission
from mledojo_env.ids import Ids, _match_bytes, _match_texts, match
from mledojo_env.submission import _header, _read_typed, _text, read_submission
from mledojo_env.validation import _Cells

COLUMNS = ["id", "y"]
ODD_CELLS = ["", "nan", "NA", "inf", "-inf", "1e308", "1e999", "-0.0", "5e-324", "True", "9" * 400, "0x10"]
ODD_CELLS += ["1_000", "\ufeff", "٣", "1e-400", " 2 ", "\t3", "3 4", "1e", ".5", "5.", "+5", "--5", "1d5"]
ODD_CELLS += [
    "0.30000000000000004",
    "123456789012345678901234567890",
    "1\u00a0",
    "1\x0b",
    "5%",
    "1j",
    "-",
    ".",
]
NUMBERS = st.one_of(
    st.sampled_from(ODD_CELLS),
    st.text("0123456789+-.eE infa_x", max_size=9),
    st.floats().map(repr),
    st.integers().map(str),
)


def outcome(table: pd.DataFrame, rows: int) -> list[float] | str:
    try:
        return _Cells("y", [str(row) for row in range(rows)]).numbers(table["y"]).tolist()
    except InvalidSubmission as error:
        return str(error)


@settings(max_examples=300, deadline=None)
@given(cells=st.lists(NUMBERS, min_size=1, max_size=3), quote=st.booleans())
def test_numbers_read_as_numbers_are_those_read_as_text(cells: list[str], quote: bool):
    shown = [f'"{cell}"' if quote else cell for cell in cells]
    data = ("id,y\n" + "".join(f"{row},{cell}\n" for row, cell in enumerate(shown))).encode()
    try:
        text = read_submission(data, COLUMNS)
    except InvalidSubmission:
        assert _read_typed(data, COLUMNS, ["y"], {"id": 5}) is None
        return
    typed = read_submission(data, COLUMNS, numbers=["y"], widths={"id": 5})
    found, expected = outcome(typed, len(cells)), outcome(text, len(cells))
    assert found == (expected if isinstance(expected, str) else pytest.approx(expected, rel=1e-15))
    assert [Ids(table, ["id"]).texts for table in (typed, text)] == [[*map(str, range(len(cells)))]] * 2


@pytest.mark.parametrize(
    ("data", "is_typed"),
    [
        (b"id,y\n1,2\n3,4\n", True),
        (b"\xef\xbb\xbfid,y\r\n1,2\r\n3,4\r\n", True),
        (b'y,id\n"2",1\n4,"3"\n', True),
        (b"id,y\n1,2\n\n3,4", True),
        (b'"id",y\n1,2\n3,4\n', False),
        (b"\nid,y\n1,2\n3,4\n", False),
        (b"id,y\n1,2\n333,4\n", False),  # an id longer than any expected
        (b"id,y\n1,2\n3,\n", False),
        (b"id,y\n1,2\n3\n", False),
        (b"id,y\n1,2\n3,4,5\n", False),
        (b"id,y\n1,2,3\n3,4,5\n", False),
        (b'id,y\n1,2\n3,"4\n', False),
        (b"id,y\n", False),
        (b"id,y", False),
        (b"id,y\n1,0\n3,1\n", True),
        (b"id,y\n1,False\n3,TRUE\n", False),  # which pandas takes for numbers if all are so
    ],
)
def test_only_files_in_order_are_read_as_numbers_and_bytes(data: bytes, is_typed: bool):
    table = _read_typed(data, _header(_text(data)), ["y"], {"id": 2})
    assert (table is not None) == is_typed
    if table is not None:
        assert table["y"].dtype == np.float64
        assert table["y"].tolist() in ([2, 4], [0, 1])
        ids = Ids(table, ["id"])
        assert (ids.texts, [cells.tolist() for cells in ids.fixed or ()]) == (["1", "3"], [[b"1", b"3"]])


ID_TEXTS = st.text("abcé01. \x1f", max_size=70) | st.integers(0, 99).map(str)


@settings(max_examples=200, deadline=None)
@given(
    pairs=st.lists(st.tuples(ID_TEXTS, ID_TEXTS), min_size=1, max_size=8),
    several=st.booleans(),
    change=st.sampled_from(["nothing", "repeat", "another", "fewer"]),
    seed=st.integers(0, 99),
)
def test_bytes_match_as_texts_do(pairs: list[tuple[str, str]], several: bool, change: str, seed: int):
    names = ["a", "b"] if several else ["a"]
    answers = pd.DataFrame(pairs, columns=["a", "b"], dtype=object)
    table = answers.sample(frac=1, random_state=seed)
    if change == "repeat":
        table.iloc[-1] = table.iloc[0]
    elif change == "another":
        table.iloc[-1] = "zzz"
    elif change == "fewer":
        table = table.iloc[1:]
    expected, found = Ids(answers, names), Ids(table, names)
    rows = _match_bytes(expected, found)
    if rows is None:
        return
    assert [found[row] for row in rows] == list(expected)
    assert rows.tolist() == _match_texts(expected.texts, found.texts, names).tolist()


def test_plain_ids_are_matched_as_bytes():
    answers = pd.DataFrame({"id": [f"id-{row}" for row in range(100)], "n": range(100)})
    shuffled = answers.sample(frac=1, random_state=0)
    for names in (["id"], ["n"], ["n", "id"]):
        rows = _match_bytes(Ids(answers, names), Ids(shuffled, names))
        assert rows is not None
        assert shuffled["n"].to_numpy()[rows].tolist() == list(range(100))


def test_ids_with_one_hash_are_told_apart_or_left_to_text(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("mledojo_env.ids._hashes", lambda columns: np.zeros(len(columns[0]), np.uint64))
    answers = pd.DataFrame({"id": ["a", "b", "c"]})
    found = answers.iloc[::-1]
    assert _match_bytes(Ids(answers, ["id"]), Ids(found, ["id"])) is None
    assert match(Ids(answers, ["id"]), Ids(found, ["id"])).tolist() == [2, 1, 0]


def test_repeated_answers_are_not_matched():
    twice = pd.DataFrame({"id": ["a", "a", "b"]})
    with pytest.raises(GradingError, match="id a twice"):
        match(Ids(twice, ["id"]), Ids(twice, ["id"]))
