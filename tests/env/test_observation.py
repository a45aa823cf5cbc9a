"""Observations as text: short, regular, bounded, and always text that UTF-8 can hold."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mledojo_env.observation import Observation, StepStatus, bounded, last_frame


def test_a_score_is_one_line_of_four_significant_digits() -> None:
    seen = Observation(
        StepStatus.OK,
        "execute_code",
        metric="rmse",
        higher_is_better=False,
        score=4.926071,
        rank=0.60976,
        best_score=4.8123,
        best_rank=0.65,
        submission_valid=True,
        steps_left=3,
        seconds_left=1234.5,
    )
    assert (
        seen.to_text() == "ok | score 4.926 (rmse, lower is better) | rank 0.6098 | best 4.812 | steps left 3"
    )


def test_seconds_show_only_when_they_are_short() -> None:
    plenty = Observation(StepStatus.OK, "reset", steps_left=3, seconds_left=900.0)
    short = Observation(StepStatus.OK, "reset", steps_left=3, seconds_left=9.4, seconds_are_short=True)
    assert "seconds" not in plenty.to_text()
    assert short.to_text() == "ok | steps left 3 | seconds left 9"


def test_a_failure_tells_class_message_and_last_own_frame() -> None:
    traceback = (
        "Traceback (most recent call last):\n"
        '  File "script.py", line 9, in <module>\n    fit(train)\n'
        '  File "script.py", line 7, in fit\n    y = train["target"]\n        ~~~~~^^^^^^^^^^\n'
        "KeyError: 'target'\n"
    )
    seen = Observation(
        StepStatus.FAILED,
        "execute_code",
        feedback="rows 700",
        error_class="KeyError",
        error_message="'target'",
        traceback=traceback,
        steps_left=2,
    )
    assert (
        seen.to_text() == "failed | steps left 2\nKeyError: 'target'\nline 7: y = train[\"target\"]\nrows 700"
    )


@pytest.mark.parametrize(
    ("traceback", "frame"),
    [
        ("", ""),
        ("KeyError: 'x'", ""),
        (
            '  File "/work/features.py", line 12, in make\n    a / b\nZeroDivisionError',
            "features.py line 12: a / b",
        ),
        ('  File "script.py", line 3\n    x = (1\n        ^\nSyntaxError: ...', "line 3: x = (1"),
        ('  File "script.py", line 3, in <module>\nValueError: no source', "line 3"),
        (
            '  File "<string>", line 9, in <module>\n  File "<string>", line 3, in f\nKeyError: 1',
            "<string> line 3",
        ),
    ],
)
def test_last_frame(traceback: str, frame: str) -> None:
    assert last_frame(traceback) == frame


def test_files_are_listed_without_the_submission() -> None:
    seen = Observation(
        StepStatus.OK, "execute_code", files={"submission.csv": 10, "b.pkl": 12_345, "a.csv": 99}
    )
    assert seen.to_text().endswith("\nfiles: a.csv (99 B), b.pkl (12.35 kB)")


def test_hostile_file_names_stay_short_and_on_their_line() -> None:
    seen = Observation(StepStatus.OK, "execute_code", files={"x\nok | score 1" + "y" * 5000: 1})
    assert len(seen.to_text()) < 200 and len(seen.to_text().splitlines()) == 2


def test_wall_clock_is_no_part_of_equality() -> None:
    first = Observation(StepStatus.OK, "reset", seconds_left=10.0)
    assert first == Observation(StepStatus.OK, "reset", seconds_left=9.0)
    assert first != Observation(StepStatus.OK, "reset", steps_left=1)


def test_a_progress_bar_keeps_its_last_state() -> None:
    assert bounded("start\n 10%\r 50%\r100%\r\ndone\r", 100) == "start\n100%\ndone"


def test_colours_and_control_characters_are_dropped() -> None:
    assert bounded("\x1b[1;31mred\x1b[0m\x07 \x00tab\there", 100) == "red tab\there"


@given(st.text(st.characters(), max_size=400), st.integers(1, 100))
def test_bounded_text_is_bounded_and_encodable(text: str, max_chars: int) -> None:
    result = bounded(text + "\ud800", max_chars)
    result.encode("utf-8")
    assert len(result) <= max_chars + 50 and "\x00" not in result


@given(st.text("ab\n", max_size=300), st.integers(2, 50))
def test_bounded_text_keeps_head_and_tail(text: str, max_chars: int) -> None:
    result = bounded(text, max_chars)
    assert result.startswith(text.rstrip()[: max_chars // 2])
    assert result.endswith(text.rstrip()[-(max_chars // 2) :] if text.rstrip() else "")


def test_the_dict_is_json_and_holds_every_field() -> None:
    seen = Observation(StepStatus.INVALID, None, error_message="no", files={"a": 1})
    record = json.loads(json.dumps(seen.to_dict(), allow_nan=False))
    assert record["status"] == "invalid" and record["files"] == {"a": 1} and record["score"] is None
    assert record.keys() == set(Observation.__dataclass_fields__)
