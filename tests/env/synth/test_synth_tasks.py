"""Generated tasks: the same bytes from the same id, wherever; sound by every check; no two alike."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest
import yaml

from mledojo_env.catalog import load_task
from mledojo_env.checks import check_task
from mledojo_env.metrics import get_metric
from mledojo_env.prepare.sample import write_sample
from mledojo_env.synth import BENCHMARK_SEED, family_names, generate, parse_id
from mledojo_env.synth.draft import Setting
from mledojo_env.synth.entrants import Entrant
from mledojo_env.synth.families import get_family
from mledojo_env.synth.write import check_draft, write_task

FAMILIES = family_names()
LONG = pytest.mark.skipif(
    not os.environ.get("MLEDOJO_LONG_TESTS"), reason="takes minutes; set MLEDOJO_LONG_TESTS=1 to run it"
)
pytestmark = pytest.mark.usefixtures("cache")


def digest(folder: Path) -> str:
    """Return a hash of every byte of a folder's files and of their names."""
    listing = [
        f"{path.relative_to(folder)} {hashlib.sha256(path.read_bytes()).hexdigest()}"
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    ]
    return hashlib.sha256("\n".join(listing).encode()).hexdigest()


def made_again(task_id: str, folder: Path) -> Path:
    folder.mkdir()
    write_task(parse_id(task_id), folder)
    return folder


IN_ANOTHER_PROCESS = """
import sys
from pathlib import Path
from mledojo_env.synth.ids import parse_id
from mledojo_env.synth.write import write_task
for number, task_id in enumerate(sys.argv[2:]):
    folder = Path(sys.argv[1]) / str(number)
    folder.mkdir()
    write_task(parse_id(task_id), folder)
"""


def test_bytes_do_not_depend_on_the_process(tmp_path: Path):
    ids = [
        f"synth/{name}/{seed}?difficulty={level}" for name in FAMILIES for seed, level in ((3, 0.2), (4, 0.9))
    ]
    here = [digest(made_again(task_id, tmp_path / f"here{n}")) for n, task_id in enumerate(ids)]
    for hash_seed, threads in (("0", "1"), ("4242", "4")):
        place = tmp_path / hash_seed
        place.mkdir()
        told = {"PYTHONHASHSEED": hash_seed, "OMP_NUM_THREADS": threads, "OPENBLAS_NUM_THREADS": threads}
        command = [sys.executable, "-c", IN_ANOTHER_PROCESS, str(place), *ids]
        subprocess.run(command, env=os.environ | told, check=True, timeout=120)
        assert [digest(place / str(number)) for number in range(len(ids))] == here


@pytest.mark.parametrize("family", FAMILIES)
def test_seeds_and_difficulties_differ(family: str, tmp_path: Path):
    ids = [f"synth/{family}/1", f"synth/{family}/2", f"synth/{family}/1?difficulty=0.501"]
    found = [digest(made_again(task_id, tmp_path / str(number))) for number, task_id in enumerate(ids)]
    assert len(set(found)) == len(ids)


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize(("seed", "difficulty"), [(11, 0), (12, 0.5), (BENCHMARK_SEED + 2, 1)])
def test_generated_tasks_are_sound(family: str, seed: int, difficulty: float):
    task = load_task(f"synth/{family}/{seed}?difficulty={difficulty}")
    found = check_task(task)
    assert len(found) >= 14
    assert [finding for finding in found if not finding.ok] == []


@LONG
@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("difficulty", [0, 0.5, 1])
def test_generated_tasks_are_sound_seed_after_seed(family: str, difficulty: float):
    unsound = {}
    for seed in range(51):
        task = load_task(f"synth/{family}/{seed}?difficulty={difficulty}")
        bad = [finding for finding in check_task(task) if not finding.ok]
        if bad:
            unsound[task.id] = bad
    assert unsound == {}


@pytest.mark.parametrize("family", FAMILIES)
def test_every_seed_makes_a_task(family: str):
    """Drafts of many seeds keep the contract, at the ends of difficulty too."""
    for seed in range(8):
        for difficulty in (0.0, 0.5, 1.0):
            setting = Setting(family, 700 + seed, difficulty)
            draft = get_family(family).make(setting)
            check_draft(draft)
            rows = len(draft.test_ids)
            assert 200 <= rows <= 1_000
            assert draft.title
            assert draft.target_meaning


@pytest.mark.parametrize("family", FAMILIES)
def test_no_target_and_no_answer_is_public(family: str):
    for seed in range(12, 18):
        task = load_task(f"synth/{family}/{seed}")
        entrant = Entrant(task)
        train, test = entrant.train, entrant.test
        key = task.submission.id[0]
        assert not {entrant.target, *task.submission.targets} & set(test.columns)
        assert not set(train[key].astype(str)) & set(test[key].astype(str)) if key in train else True
        told = {path.name for path in task.public_dir.iterdir()}
        assert told == set(task.public_files)
        assert all(name in task.description for name in told)


@pytest.mark.parametrize("family", FAMILIES)
def test_a_description_tells_what_is_needed(family: str):
    for seed in range(12, 18):
        task = load_task(f"synth/{family}/{seed}")
        text = task.description
        assert text.startswith(f"# {task.title}\n")
        direction = "Higher" if task.metric.higher_is_better else "Lower"
        assert f"**{direction} is better**" in text
        for column in (*task.submission.id, *task.submission.targets):
            assert column in text
        entrant = Entrant(task)
        for table in entrant.tables.values():
            for column in table.columns:
                assert f"`{column}`" in text, f"{task.id}: {column}"
        assert "{" not in text
        assert "None" not in text


def test_schemas_vary():
    seen = set()
    for seed in range(100, 140):
        setting = Setting("tabular", seed, 0.5)
        draft = get_family("tabular").make(setting)
        seen.add((tuple(draft.files), draft.id, draft.target, draft.title))
    assert len(seen) == 40
    assert len({target for _, _, target, _ in seen}) > 25
    assert len({files for files, *_ in seen}) >= 5


def test_facts_are_those_of_the_id():
    task = load_task(f"synth/tabular/{BENCHMARK_SEED}?difficulty=0.25")
    assert task.id == f"synth/tabular/{BENCHMARK_SEED}?difficulty=0.25"
    assert task.split == "benchmark"
    assert load_task("synth/tabular/00?difficulty=0.50").id == "synth/tabular/0"
    assert load_task("synth/tabular/0").split == "train"
    facts = yaml.safe_load((task.folder / "task.yaml").read_text())
    assert facts["prepare"]["params"]["difficulty"] == 0.25
    assert get_metric(facts["metric"]["name"], facts["metric"]["params"])


@pytest.mark.parametrize("family", ["grouped", "tabular"])
def test_samples_are_those_of_other_tasks(family: str, tmp_path: Path):
    """Of one training and one test table, the small version is what `write_sample` makes."""
    for seed in range(3):
        folder = generate(f"synth/{family}/{seed}")
        key = load_task(f"synth/{family}/{seed}").submission.id
        write_sample(folder / "public", tmp_path / str(seed), key)
        for path in (tmp_path / str(seed)).iterdir():
            ours, theirs = pd.read_csv(folder / "sample" / path.name), pd.read_csv(path)
            pd.testing.assert_frame_equal(ours, theirs)


def test_samples_of_events_belong_to_sampled_rows():
    """What happened to rows of the small version is in the small version too."""
    task = load_task("synth/multitable/1")
    key = task.submission.id[0]
    tables = {path.name: pd.read_csv(path) for path in task.sample_dir.glob("*.csv")}
    several = [table for table in tables.values() if key in table and table[key].duplicated().any()]
    ids = {row_id for table in tables.values() if key in table for row_id in table[key].unique()}
    whole = [
        table for table in Entrant(task).tables.values() if key in table and table[key].duplicated().any()
    ]
    assert len(several) == 1
    assert len(several[0]) == whole[0][key].isin(ids).sum()
    assert several[0][key].nunique() > 300
