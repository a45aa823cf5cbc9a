"""Ids of generated tasks: read, written in one way, expanded from ranges, and refused with a reason."""

from __future__ import annotations

import pytest

from mledojo_env.errors import ConfigError, MLEDojoError, TaskNotFound
from mledojo_env.synth import BENCHMARK_SEED, SynthId, expand, is_synth, parse_id


@pytest.mark.parametrize(
    ("written", "canonical"),
    [
        ("synth/tabular/17", "synth/tabular/17"),
        ("synth/tabular/017?difficulty=0.50", "synth/tabular/17"),
        ("synth/grouped/0?difficulty=.25", "synth/grouped/0?difficulty=0.25"),
        ("synth/grouped/0?difficulty=1.0", "synth/grouped/0?difficulty=1"),
        ("synth/multitable/2147483647?difficulty=0", "synth/multitable/2147483647?difficulty=0"),
        ("synth/tabular/3?difficulty=0.33333333", "synth/tabular/3?difficulty=0.333"),
        ("synth/tabular/3?difficulty=0.4999", "synth/tabular/3"),
    ],
)
def test_an_id_has_one_canonical_form(written: str, canonical: str):
    assert str(parse_id(written)) == canonical
    assert parse_id(canonical) == parse_id(written)
    assert expand(written) == [canonical]


@pytest.mark.parametrize(
    ("written", "told"),
    [
        ("synth/tabula/3", "Did you mean 'tabular'?"),
        ("synth/nothing-like-it/3", "known: "),
        ("synth/tabular", "expected synth/<family>/<seed>"),
        ("synth/tabular/", "expected synth/<family>/<seed>"),
        ("synth//3", "expected synth/<family>/<seed>"),
        ("synth/tabular/3/4", "expected synth/<family>/<seed>"),
        ("synth/tabular/../../etc", "expected synth/<family>/<seed>"),
        ("synth/tabular/-3", "expected a number"),
        ("synth/tabular/1e3", "expected a number"),
        ("synth/tabular/٣", "expected a number"),
        ("synth/tabular/2147483648", "not in 0..2147483647"),
        ("synth/tabular/" + "9" * 5000, "expected a number"),
        ("synth/tabular/3?", "Unknown parameter ''"),
        ("synth/tabular/3?dificulty=0.3", "Unknown parameter 'dificulty'"),
        ("synth/tabular/3?difficulty=", "expected a number from 0 to 1"),
        ("synth/tabular/3?difficulty=nan", "expected a number from 0 to 1"),
        ("synth/tabular/3?difficulty=1.5", "expected 0 to 1"),
        ("synth/tabular/3?difficulty=-0.5", "expected a number from 0 to 1"),
        ("synth/tabular/3?difficulty=0.5&seed=4", "expected a number from 0 to 1"),
        ("synth/tabular/3?micro=200", "Unknown parameter 'micro'"),
    ],
)
def test_bad_ids_say_what_was_expected(written: str, told: str):
    with pytest.raises(TaskNotFound) as raised:
        parse_id(written)
    assert told in str(raised.value)
    assert len(str(raised.value)) < 400


def test_a_range_stands_for_its_seeds():
    assert expand("synth/tabular/8..11?difficulty=0.2") == [
        f"synth/tabular/{seed}?difficulty=0.2" for seed in (8, 9, 10, 11)
    ]
    assert expand("synth/grouped/5..5") == ["synth/grouped/5"]
    assert len(expand(f"synth/grouped/{BENCHMARK_SEED}..{BENCHMARK_SEED + 99}")) == 100


@pytest.mark.parametrize(
    ("written", "told"),
    [
        ("synth/tabular/9..3", "the range is empty"),
        ("synth/tabular/0..200000", "at most 100000"),
        (f"synth/tabular/{BENCHMARK_SEED - 1}..{BENCHMARK_SEED}", "mixes training and evaluation"),
        ("synth/tabulr/0..3", "Did you mean 'tabular'?"),
        ("synth/tabular/0...3", "expected a number"),
        ("synth/tabular/0..3..5", "expected a number"),
        ("synth/tabular/..5", "expected a number"),
    ],
)
def test_bad_ranges_say_why(written: str, told: str):
    with pytest.raises(MLEDojoError) as raised:
        expand(written)
    assert told in str(raised.value)
    assert isinstance(raised.value, ConfigError | TaskNotFound)


def test_seeds_are_of_one_split():
    assert SynthId("tabular", BENCHMARK_SEED - 1).split == "train"
    assert SynthId("tabular", BENCHMARK_SEED).split == "benchmark"


def test_a_folder_of_two_names_is_no_generated_task():
    assert is_synth("synth/tabular/1")
    assert is_synth("synth/tabular/1..2?difficulty=0.5")
    assert not is_synth("synth/mine")
    assert not is_synth("offline/concrete-strength")
