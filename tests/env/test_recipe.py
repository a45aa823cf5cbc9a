"""The declarative preparation: which rows are held out, what goes along with them, and what stays hidden."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mledojo_env.errors import ConfigError, TaskDataError
from mledojo_env.prepare import split, tables
from mledojo_env.prepare.output import Output
from mledojo_env.prepare.raw import RawFiles
from mledojo_env.prepare.recipe import TableRecipe
from mledojo_env.prepare.table_split import TableSplit
from mledojo_env.task import SubmissionFormat

ROWS = 50
BASIC: dict[str, Any] = {"table": {"file": "train.csv"}, "id": ["id"], "targets": {"y": "y"}}
FORM = {"id": ["id"], "targets": ["y"], "value": "number"}


@pytest.fixture
def raw(tmp_path: Path) -> Path:
    """Raw files: a table of 50 rows with ids that need all their zeros, an image a row, and a side table."""
    folder = tmp_path / "raw"
    (folder / "images").mkdir(parents=True)
    table = pd.DataFrame(
        {
            "id": [f"{row:04d}" for row in range(ROWS)],
            "x": [f"{row}.50" for row in range(ROWS)],
            "group": [f"g{row % 7}" for row in range(ROWS)],
            "kind": ["a" if row % 5 else "b" for row in range(ROWS)],
            "day": [f"2020-01-{1 + row // 2:02d}" for row in range(ROWS)],
            "tell": [str(row * 10) for row in range(ROWS)],
            "y": [str(row * 10) for row in range(ROWS)],
        }
    )
    table.to_csv(folder / "train.csv", index=False)
    for row in range(ROWS):
        (folder / "images" / f"{row:04d}.png").write_bytes(bytes([row]))
    log = pd.DataFrame({"key": [f"{row:04d}" for row in range(ROWS)] * 2, "event": range(2 * ROWS), "y2": 1})
    log.to_csv(folder / "log.csv", index=False)
    return folder


def prepare(
    raw: Path,
    strategy: str = "random",
    form: dict[str, Any] = FORM,
    micro: int | None = None,
    seed: int = 0,
    **params: Any,
) -> Path:
    """Run a recipe that is the basic one with some parameters changed; returns its folder."""
    folder = raw.parent / f"prepared-{len(list(raw.parent.iterdir()))}"
    recipe = TableRecipe(**{**BASIC, **params})
    out = Output(folder, SubmissionFormat(**form), seed)
    TableSplit(recipe, strategy, RawFiles(raw, "toy"), out, micro).run()  # type: ignore[arg-type]
    return folder


def read(path: Path) -> pd.DataFrame:
    return pd.read_csv(path, dtype=str, keep_default_na=False)


def test_rows_are_held_out_and_no_cell_changes(raw: Path):
    folder = prepare(raw)
    train, test = read(folder / "public/train.csv"), read(folder / "public/test.csv")
    answers, sample = (
        read(folder / "private/answers.csv"),
        read(folder / "public/sample_submission.csv"),
    )
    source = read(raw / "train.csv").set_index("id")
    assert len(train) == 40 and len(test) == 10
    assert set(train["id"]) | set(test["id"]) == set(source.index)
    assert list(train.columns) == list(read(raw / "train.csv").columns)
    assert list(test.columns) == ["id", "x", "group", "kind", "day", "tell"]
    assert list(test["x"]) == list(source.loc[test["id"], "x"])
    assert list(answers["y"]) == list(source.loc[answers["id"], "y"])
    assert list(sample["id"]) == list(test["id"]) and set(sample["y"]) == {"0"}
    assert sorted(answers["part"]) == ["private"] * 7 + ["public"] * 3


def test_the_seed_decides_and_nothing_else(raw: Path):
    first, same, other = (
        read(prepare(raw, seed=seed) / "private/answers.csv").to_csv() for seed in (1, 1, 2)
    )
    assert first == same != other


def test_a_stratified_split_keeps_shares(raw: Path):
    answers = read(prepare(raw, "stratified", by=["kind"]) / "private/answers.csv")
    kinds = read(raw / "train.csv").set_index("id").loc[answers["id"], "kind"]
    assert dict(kinds.value_counts()) == {"a": 8, "b": 2}


def test_a_split_by_groups_keeps_them_whole(raw: Path):
    folder = prepare(raw, "group", by=["group"])
    train, test = read(folder / "public/train.csv"), read(folder / "public/test.csv")
    assert not set(train["group"]) & set(test["group"])
    assert 5 <= len(test) <= 16


def test_a_split_by_time_holds_out_the_latest_and_no_moment_is_cut(raw: Path):
    folder = prepare(raw, "time", by=["day"], fraction=0.25)
    train, test = read(folder / "public/train.csv"), read(folder / "public/test.csv")
    assert max(train["day"]) < min(test["day"])
    assert len(test) == 12  # of the 12.5 asked for: days have two rows each


def test_numbers_are_no_text_to_a_split_by_time(raw: Path):
    test = read(prepare(raw, "time", by=["tell"]) / "public/test.csv")
    assert sorted(map(int, test["tell"])) == list(range(400, 500, 10))


def test_columns_are_dropped_hidden_and_renamed(raw: Path):
    folder = prepare(raw, drop=["group"], hide=["tell"], rename={"x": "feature"})
    assert list(read(folder / "public/train.csv")) == ["id", "feature", "kind", "day", "tell", "y"]
    assert list(read(folder / "public/test.csv")) == ["id", "feature", "kind", "day"]


def test_files_follow_their_rows(raw: Path):
    rule = {"file": "images/{id}.png", "train": "train/{id}.png", "test": "test/{id[0]}/{id}.png"}
    folder = prepare(raw, follow=[rule])
    test = read(folder / "public/test.csv")
    found = sorted(path.stem for path in (folder / "public/test/0").iterdir())
    assert found == sorted(test["id"])
    assert len(list((folder / "public/train").iterdir())) == 40
    one = folder / "public/test/0" / f"{found[0]}.png"
    assert one.stat().st_ino == (raw / "images" / f"{found[0]}.png").stat().st_ino, "copied, not linked"


def test_a_row_may_have_several_files_or_a_folder_of_them(raw: Path):
    for row in range(ROWS):
        (raw / "scans" / f"{row:04d}").mkdir(parents=True)
        for scan in range(2):
            (raw / "scans" / f"{row:04d}" / f"s{scan}.bin").touch()
            (raw / "images" / f"{row:04d}_{scan}.txt").touch()
    rules = [
        {"file": "images/{id}_*.txt", "test": "notes/{id}-*.txt", "train": ""},
        {"file": "scans/{id}/", "test": "scans/{id}/", "train": ""},
    ]
    folder = prepare(raw, follow=rules)
    test = read(folder / "public/test.csv")["id"]
    assert {path.name for path in (folder / "public/notes").iterdir()} == {
        f"{name}-{scan}.txt" for name in test for scan in range(2)
    }
    assert {path.name for path in (folder / "public/scans").iterdir()} == set(test)


def test_a_file_that_is_missing_is_named(raw: Path):
    (raw / "images" / "0007.png").unlink()
    rule = {"file": "images/{id}.png"}
    with pytest.raises(TaskDataError, match=r"lack images/0007\.png"):
        prepare(raw, follow=[rule])
    prepare(raw, follow=[{**rule, "required": False}])


def test_side_tables_follow_their_rows_and_hide_what_tells(raw: Path):
    side = {
        "table": {"file": "log.csv"},
        "key": {"key": "id"},
        "train": "log_train.csv",
        "test": "log_test.csv",
        "hide": ["y2"],
    }
    folder = prepare(raw, side_tables=[side])
    test, log_train = read(folder / "public/test.csv"), read(folder / "public/log_train.csv")
    log_test = read(folder / "public/log_test.csv")
    assert set(log_test["key"]) == set(test["id"]) and len(log_test) == 20
    assert list(log_test) == ["key", "event"] and list(log_train) == ["key", "event", "y2"]
    assert not set(log_train["key"]) & set(test["id"])


def test_new_ids_classes_values_and_columns_for_the_metric(raw: Path):
    form = {"id": ["Id"], "targets": ["a", "b"], "value": "probability"}
    folder = prepare(
        raw,
        form=form,
        id=[],
        new_id="row",
        targets={},
        one_hot={"column": "kind"},
        answers={"weight": {"column": "kind", "values": {"a": 1, "b": 5}}},
        part_by=["group"],
    )
    answers, test = read(folder / "private/answers.csv"), read(folder / "public/test.csv")
    assert list(answers)[:4] == ["Id", "a", "b", "weight"]
    assert all((answers["a"] == "1") == (answers["weight"].astype(float) == 1))
    assert all((answers["b"] == "1") == (answers["weight"].astype(float) == 5))
    assert (read(folder / "public/sample_submission.csv")[["a", "b"]] == "0.5").all(axis=None)
    assert "kind" not in test and list(test["row"]) == list(answers["Id"])
    groups = read(raw / "train.csv")["group"][answers["Id"].astype(int)].to_numpy()
    assert answers["part"].groupby(groups).nunique().max() == 1, "a group is in both parts"


def test_answers_in_long_form_keep_a_row_in_one_part(raw: Path):
    form = {"id": ["row"], "targets": ["value"], "value": "number"}
    melt = {"id": "{id}_{target}", "targets": {"first": "y", "second": "tell"}}
    folder = prepare(raw, form=form, targets={}, melt=melt)
    answers = read(folder / "private/answers.csv")
    assert len(answers) == 20
    rows = answers["row"].str.partition("_")
    assert set(rows[2]) == {"first", "second"}
    assert answers.groupby(rows[0])["part"].nunique().max() == 1
    assert list(read(folder / "public/test.csv")) == ["id", "x", "group", "kind", "day"]


def test_answers_in_long_form_may_have_columns_that_differ_by_target(raw: Path):
    form = {"id": ["row"], "targets": ["value"], "value": "number"}
    melt = {
        "id": "{id}_{target}",
        "targets": {"first": "y", "second": "tell"},
        "name": "which",
        "answers": {"weight": {"first": "x", "second": "group"}},
    }
    answers = read(prepare(raw, form=form, targets={}, melt=melt) / "private/answers.csv")
    assert list(answers["row"].str.partition("_")[2]) == list(answers["which"])
    assert all(answers["weight"].str.startswith("g") == (answers["which"] == "second"))
    with pytest.raises(ValueError, match=r"answers\.weight must have"):
        prepare(raw, form=form, targets={}, melt={**melt, "answers": {"weight": {"first": "x"}}})


def test_a_column_of_the_answers_may_say_what_is_above(raw: Path):
    answers = read(prepare(raw, answers={"big": {"column": "tell", "above": 200}}) / "private/answers.csv")
    assert all((answers["big"] == "1") == (answers["y"].astype(int) > 200))
    with pytest.raises(TaskDataError, match="'kind' is compared with 1"):
        prepare(raw, answers={"big": {"column": "kind", "above": 1}})


def test_a_test_set_may_be_bounded_and_has_columns_filled(raw: Path):
    table = read(raw / "train.csv")
    table.loc[:44, "x"] = ""
    table.to_csv(raw / "train.csv", index=False)
    folder = prepare(raw, form={**FORM, "value": "text"}, filled=["x"], fraction=0.9, at_most=3)
    test = read(folder / "public/test.csv")
    assert len(test) == 3 and set(test["id"]) <= {f"{row:04d}" for row in range(45, 50)}
    assert len(read(folder / "public/train.csv")) == 47


def test_dates_are_read_as_the_recipe_says(raw: Path):
    table = read(raw / "train.csv")
    table["day"] = [f"{1 + row % 5:02d}/{1 + row // 5:02d}/05" for row in range(ROWS)]
    table.to_csv(raw / "train.csv", index=False)
    test = read(prepare(raw, "time", by=["day"], date_format="%d/%m/%y") / "public/test.csv")
    assert set(test["day"].str[3:5]) == {"09", "10"}
    with pytest.raises(TaskDataError, match="expected a date"):
        prepare(raw, "time", by=["kind"], date_format="%d/%m/%y")


def test_quotes_may_be_escaped(raw: Path):
    (raw / "train.csv").write_text(
        "id\tx\ty\n" + "".join(f'"{row}"\t"the \\"{row}\\" film"\t{row}\n' for row in range(9))
    )
    folder = prepare(raw, table={"file": "train.csv", "sep": "\t", "escape": "\\"})
    test = read(folder / "public/test.csv")
    assert list(test["x"]) == [f'the "{name}" film' for name in test["id"]]


def test_a_new_id_may_be_of_the_test_rows_alone(raw: Path):
    folder = prepare(raw, id=[], new_id="row", new_id_in_train=False)
    assert "row" not in read(folder / "public/train.csv") and "id" in read(folder / "public/test.csv")


def test_a_listing_of_files_is_a_table(raw: Path):
    for row in range(20):
        (raw / "sounds" / ("cat" if row % 4 else "dog")).mkdir(parents=True, exist_ok=True)
        (raw / "sounds" / ("cat" if row % 4 else "dog") / f"{row}.wav").write_bytes(bytes([row]))
    listing = {"file": r"sounds/(?P<label>\w+)/(?P<name>\d+)\.wav", "listing": True}
    folder = prepare(
        raw,
        form={"id": ["fname"], "targets": ["label"], "value": "label"},
        table=listing,
        id=["name"],
        targets={"label": "label"},
        follow=[{"file": "{path}", "train": "train/{name}.wav", "test": "test/{name}.wav"}],
        sample="cat",
    )
    answers = read(folder / "private/answers.csv")
    assert len(answers) == 4
    assert sorted(path.stem for path in (folder / "public/test").iterdir()) == sorted(answers["fname"])
    assert list(read(folder / "public/test.csv")) == ["fname"]
    assert list(answers["fname"]) != sorted(answers["fname"], key=int), "files in order may tell the class"


@pytest.mark.parametrize("ending", ["json", "jsonl", "parquet"])
def test_other_formats_keep_their_types(raw: Path, ending: str):
    table = pd.DataFrame({"id": range(30), "x": np.linspace(0, 1, 30), "y": range(30)})
    path = raw / f"train.{ending}"
    if ending == "parquet":
        table.to_parquet(path)
    else:
        table.to_json(path, orient="records", lines=ending == "jsonl")
    names = {"train": f"train.{ending}", "test": f"test.{ending}"}
    folder = prepare(raw, table={"file": path.name}, **names)
    test = (
        pd.read_parquet(folder / f"public/test.{ending}")
        if ending == "parquet"
        else pd.read_json(folder / f"public/test.{ending}", lines=ending == "jsonl")
    )
    assert list(test.columns) == ["id", "x"] and len(test) == 6
    assert np.allclose(test["x"], table.set_index("id").loc[test["id"], "x"])


def test_rows_without_answers_stay_in_train(raw: Path):
    table = read(raw / "train.csv")
    table.loc[::2, "y"] = ""
    table.to_csv(raw / "train.csv", index=False)
    folder = prepare(raw)
    assert (read(folder / "private/answers.csv")["y"] != "").all()
    assert len(read(folder / "private/answers.csv")) == 5
    assert len(read(folder / "public/train.csv")) == 45


def test_a_small_variant_has_so_many_rows_on_each_side(raw: Path):
    folder = prepare(raw, micro=8, follow=[{"file": "images/{id}.png"}])
    assert len(read(folder / "public/train.csv")) == 8
    assert len(read(folder / "private/answers.csv")) == 8
    assert len(list((folder / "public/images").iterdir())) == 16


def test_a_small_variant_keeps_groups_whole(raw: Path):
    test = read(prepare(raw, "group", by=["group"], micro=8) / "public/test.csv")
    sizes = read(raw / "train.csv").groupby("group").size()
    assert dict(test.groupby("group").size()) == {name: sizes[name] for name in set(test["group"])}


def test_pieces_of_a_table_are_as_one(raw: Path, monkeypatch: pytest.MonkeyPatch):
    whole = prepare(raw, "group", by=["group"])
    monkeypatch.setattr(tables, "CHUNK_CELLS", 7 * 7)
    pieces = prepare(raw, "group", by=["group"])
    for name in ("public/train.csv", "public/test.csv", "private/answers.csv"):
        assert (whole / name).read_bytes() == (pieces / name).read_bytes()


def test_a_row_whose_id_is_there_twice_is_never_tested_on(raw: Path):
    table = read(raw / "train.csv")
    pd.concat([table, table[:40]]).to_csv(raw / "train.csv", index=False)
    test = read(prepare(raw) / "public/test.csv")
    assert len(test) == 2 and set(test["id"]) <= {f"{row:04d}" for row in range(40, 50)}


def test_of_one_moment_only_so_many_rows_are_tested_on_and_the_others_left_out(raw: Path):
    table = read(raw / "train.csv")
    table["day"] = ["2020-01-02" if row >= 30 else "2020-01-01" for row in range(ROWS)]
    table.to_csv(raw / "train.csv", index=False)
    folder = prepare(raw, "time", by=["day"], fraction=0.4, at_most=4)
    train, test = read(folder / "public/train.csv"), read(folder / "public/test.csv")
    assert len(test) == 4 and set(train["day"]) == {"2020-01-01"} and len(train) == 30


def test_rare_classes_are_in_both_parts_and_in_small_variants(raw: Path):
    table = pd.DataFrame({"id": range(2000), "x": 1, "y": [int(row % 200 == 0) for row in range(2000)]})
    table.to_csv(raw / "train.csv", index=False)
    form = {**FORM, "value": "probability"}
    for seed in range(3):
        whole = prepare(raw, "stratified", form=form, by=["y"], seed=seed)
        small = prepare(raw, "stratified", form=form, by=["y"], seed=seed, micro=20)
        for folder, rows in ((whole, 400), (small, 20)):
            answers = read(folder / "private/answers.csv")
            assert abs(len(answers) - rows) <= 2
            assert answers.groupby("part")["y"].nunique().tolist() == [2, 2]


@pytest.mark.parametrize(
    ("params", "words"),
    [
        ({"targets": {"y": "price"}}, r"'price'.*found id, x"),
        ({"id": ["Id"]}, "'Id'"),
        ({"table": {"file": "trian.csv"}}, r"lack trian\.csv.*train\.csv"),
        ({"follow": [{"file": "images/{name}.png"}]}, "'name'"),
        ({"copy_files": {"notes.txt": "notes.txt"}}, r"lack notes\.txt"),
        ({"copy_files": {"train.csv": "../../train.csv"}}, "no name of a file below"),
        ({"id": ["group"]}, r"0 rows with answers .* id of their own \(group\)"),
        ({"values": {"0": 1}}, "expected one of '0'"),
        ({"by": ["day"]}, "needs none in `by`"),
    ],
)
def test_what_does_not_fit_is_named(raw: Path, params: dict[str, Any], words: str):
    with pytest.raises(TaskDataError, match=words):
        prepare(raw, **params)


def test_labels_need_a_constant(raw: Path):
    with pytest.raises(TaskDataError, match="`sample` must say"):
        prepare(raw, form={**FORM, "value": "label"})


def test_a_broken_table_is_named(raw: Path):
    (raw / "train.csv").write_text('id,y\n1,"2\n')
    with pytest.raises(TaskDataError, match=r"Cannot read .*train\.csv"):
        prepare(raw)


def test_unknown_parameters_are_named():
    from mledojo_env.catalog import load_task
    from mledojo_env.prepare.run import check_recipe

    facts = load_task("kaggle/titanic").facts
    for params, words in [
        ({"tabel": "train.csv"}, "tabel|table"),
        ({**facts.prepare.params, "fraction": 1.5}, "fraction"),
        ({"table": "train.csv", "targets": {"Survived": "Survived"}}, "no id"),
    ]:
        wrong = facts.model_copy(update={"prepare": facts.prepare.model_copy(update={"params": params})})
        with pytest.raises(ConfigError, match=words):
            check_recipe(wrong)


@settings(max_examples=60, deadline=None)
@given(
    sizes=st.lists(st.integers(1, 9), min_size=2, max_size=12),
    fraction=st.floats(0.05, 0.95),
    seed=st.integers(0, 9),
)
def test_splits_hold_what_they_promise(sizes: list[int], fraction: float, seed: int):
    groups = np.repeat(np.arange(len(sizes)), sizes)
    rows = len(groups)
    rng = np.random.default_rng(seed)
    sides = split.whole_groups(groups, fraction, rng)
    assert all(len(set(sides[groups == group])) == 1 for group in range(len(sizes)))
    assert {split.TRAIN, split.TEST} <= set(sides)
    by_time = split.latest(groups.astype(float), fraction)
    assert groups[by_time == split.TRAIN].max() < groups[by_time == split.TEST].min()
    plain = split.at_random(rows, fraction, rng)
    assert (plain == split.TEST).sum() == min(max(round(rows * fraction), 1), rows - 1)
    even = split.stratified(groups, fraction, rng)
    for group, size in enumerate(sizes):
        held = int((even[groups == group] == split.TEST).sum())
        assert held == (0 if size == 1 else min(max(round(size * fraction), 1), size - 1))


def test_json_lists_are_no_surprise(raw: Path):
    (raw / "train.json").write_text(json.dumps({"a": 1}))
    with pytest.raises(TaskDataError, match=r"Cannot read .*train\.json"):
        prepare(raw, table={"file": "train.json"})
