"""A generated task's id does wherever a task's id does."""

from __future__ import annotations

from collections.abc import Iterator

import gymnasium
import pytest

import mledojo_env
from mledojo_env import catalog, topics
from mledojo_env.actions import TOPICS
from mledojo_env.catalog import list_tasks, load_task
from mledojo_env.errors import ConfigError, TaskNotFound
from mledojo_env.grading import Grader
from mledojo_env.synth import family_names
from mledojo_train.config import expand_tasks

pytestmark = pytest.mark.usefixtures("cache")


def test_loading_looks_into_no_folder(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(catalog, "tasks_root", lambda: pytest.fail("looked for tasks"))
    assert load_task("synth/tabular/1").id == "synth/tabular/1"


def test_an_unknown_family_is_told():
    with pytest.raises(TaskNotFound, match="Did you mean 'tabular'"):
        load_task("synth/tabulr/1")
    with pytest.raises(TaskNotFound, match="expected synth/<family>/<seed>"):
        load_task("synth/tabular")


def test_the_catalog_lists_none_of_the_endless():
    assert list_tasks("synth") == []


@pytest.mark.parametrize("family", family_names())
def test_every_topic_has_an_answer(family: str):
    task = load_task(f"synth/{family}/1")
    for topic in TOPICS:
        assert len(topics.tell(task, topic)) > 20
    assert task.title in topics.welcome(task, 10)


@pytest.fixture(scope="module")
def grader() -> Iterator[Grader]:
    with Grader() as grader:
        yield grader


@pytest.mark.parametrize("family", family_names())
def test_submissions_are_graded_by_the_worker(family: str, grader: Grader):
    task = load_task(f"synth/{family}/1")
    data = (task.public_dir / "sample_submission.csv").read_bytes()
    grade = grader.grade_sync(task, data)
    assert grade.rank is not None
    assert grade.rank <= 0.25
    columns = [*task.submission.id, *task.submission.targets]
    gold = task.answers()[columns].to_csv(index=False).encode()
    assert grader.grade_sync(task, gold).rank == 1


def test_an_episode_runs():
    task = load_task("synth/tabular/1?difficulty=0")
    copy = "import shutil; shutil.copy('/data/sample_submission.csv', 'submission.csv')"
    env = gymnasium.make("MLEDojo-v0", task=task.id, max_steps=4)
    env.reset(seed=0)
    seen = []
    for action in ("validate_code", "execute_code"):
        observation, _, _, _, _ = env.step({"name": action, "argument": copy, "final": False})
        seen.append(observation)
    result = env.unwrapped.episode_result()
    env.close()
    assert result["valid"], seen
    assert result["submissions"] == 1


def test_configurations_take_ids_and_ranges():
    ids = ["synth/tabular/4..6?difficulty=0.25", "concrete-strength", "synth/tabular/05?difficulty=0.250"]
    assert expand_tasks(ids) == [
        *(f"synth/tabular/{seed}?difficulty=0.25" for seed in (4, 5, 6)),
        "concrete-strength",
    ]
    with pytest.raises(TaskNotFound, match="Did you mean 'grouped'"):
        expand_tasks(["synth/groupd/0..5"])
    with pytest.raises(ConfigError, match="the range is empty"):
        expand_tasks(["synth/grouped/5..0"])


def test_the_package_names_what_users_need():
    assert mledojo_env.load_task("synth/tabular/1").domain == "tabular"
