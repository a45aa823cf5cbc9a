"""The command line on real tasks: what it prints, how it exits, and what it says to a wrong call.

Every command runs in a process of its own, as a user runs it: exit codes and streams are what is tested.
"""

from __future__ import annotations

import lzma
import os
import shutil
import signal
import subprocess
import time
from pathlib import Path

import pytest
from command_line import CLI, Command, command_in, environment_with, refuses

from mledojo_env.catalog import list_tasks, tasks_root
from mledojo_env.sandbox.probe import machine_facts

TASK = "offline/concrete-strength"
COLUMNS = {"id", "source", "domain", "kind", "metric", "split", "ready"}
MEAN = """
import pandas as pd
train = pd.read_csv("/data/train.csv")
submission = pd.read_csv("/data/sample_submission.csv")
submission["strength"] = train["strength"].mean()
submission.to_csv("submission.csv", index=False)
print("mean written")
"""


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A cache of prepared tasks for this file alone."""
    return tmp_path_factory.mktemp("cache")


@pytest.fixture
def environment(cache: Path) -> dict[str, str]:
    return environment_with(cache)


@pytest.fixture
def cli(environment: dict[str, str], tmp_path: Path) -> Command:
    return command_in(tmp_path, environment)


@pytest.fixture(scope="module")
def isolation() -> None:
    """Skip what runs scripts where no script can be isolated, and say why."""
    fact = {fact.name: fact for fact in machine_facts()}["isolation"]
    if not fact.ok:
        pytest.skip(fact.detail)


@pytest.fixture
def sample(tmp_path: Path) -> Path:
    """The task's sample submission."""
    return unpack("public/sample_submission.csv.xz", tmp_path / "sample.csv")


@pytest.fixture
def answers(tmp_path: Path) -> Path:
    """The task's answers, with their `part` column."""
    return unpack("private/answers.csv.xz", tmp_path / "answers.csv")


def unpack(name: str, target: Path) -> Path:
    target.write_bytes(lzma.decompress((tasks_root() / TASK / name).read_bytes()))
    return target


def copy_task(folder: Path, **replacements: str) -> Path:
    """Copy the task to <folder>/offline/copied, with lines of its task.yaml replaced; return <folder>."""
    target = folder / "offline" / "copied"
    shutil.copytree(tasks_root() / TASK, target)
    facts = target / "task.yaml"
    lines = facts.read_text().splitlines()
    for key, value in ({"id": "offline/copied"} | replacements).items():
        lines = [f"{key}: {value}" if line.startswith(f"{key}:") else line for line in lines]
    facts.write_text("\n".join(lines) + "\n")
    return folder


# tasks list, show


def test_list_gives_a_row_for_each_task(cli: Command) -> None:
    rows = cli("tasks", "list", "--json").json
    assert [row["id"] for row in rows] == [entry.id for entry in list_tasks()]
    assert all(row.keys() >= COLUMNS for row in rows)


@pytest.mark.parametrize(
    ("option", "value"), [("source", "offline"), ("split", "benchmark"), ("domain", "nlp")]
)
def test_list_filters(cli: Command, option: str, value: str) -> None:
    rows = cli("tasks", "list", "--json").json
    chosen = cli("tasks", "list", f"--{option}", value, "--json").json
    assert chosen == [row for row in rows if row[option] == value]
    assert chosen


def test_list_of_generated_tasks_gives_their_families(cli: Command) -> None:
    rows = cli("tasks", "list", "--source", "synth", "--json").json
    assert "synth/tabular/<seed>?difficulty=<0 to 1>" in [row["id"] for row in rows]
    assert "synth/tabular/0..99" in cli("tasks", "list", "--source", "synth").out


def test_list_as_a_table_shows_every_id_whole(cli: Command) -> None:
    out = cli("tasks", "list", COLUMNS="40").out
    assert all(entry.id in out for entry in list_tasks())
    assert out.splitlines()[-1] == f"{len(list_tasks())} tasks"


def test_list_finds_tasks_of_the_users_own(cli: Command, tmp_path: Path) -> None:
    folder = copy_task(tmp_path / "mine")
    by_option = cli("tasks", "list", "--tasks-path", folder, "--json").json
    by_variable = cli("tasks", "list", "--json", MLEDOJO_TASKS_PATH=str(folder)).json
    assert by_option == by_variable
    assert "offline/copied" in {row["id"] for row in by_option}


def test_list_says_why_a_task_is_not_ready(cli: Command, tmp_path: Path) -> None:
    folder = copy_task(tmp_path / "mine", quarantine="leaks [all] of it")
    rows = cli("tasks", "list", "--tasks-path", folder, "--json").json
    row = next(row for row in rows if row["id"] == "offline/copied")
    assert (row["ready"], row["quarantine"]) == (False, "leaks [all] of it")
    assert "leaks [all] of it" in cli("tasks", "list", "--tasks-path", folder).out


def test_list_ends_quietly_when_nobody_reads_on(environment: dict[str, str]) -> None:
    process = subprocess.Popen(
        [*CLI, "tasks", "list"], env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    assert process.stdout and process.stderr
    process.stdout.close()
    assert process.stderr.read() == b""
    process.stderr.close()
    process.wait(60)


def test_show_gives_facts_and_description(cli: Command) -> None:
    found = cli("tasks", "show", "concrete-strength", "--json").json
    assert found["id"] == TASK
    assert found["metric"]["name"] == "rmse"
    assert found["description"] == (tasks_root() / TASK / "description.md").read_text()
    out = cli("tasks", "show", TASK).out
    assert "rmse, lower is better" in out
    assert "train.csv" in out


def test_show_prints_square_brackets_as_they_are(cli: Command, tmp_path: Path) -> None:
    folder = copy_task(tmp_path / "mine", title="Strength [MPa] of [bold]")
    assert "Strength [MPa] of [bold]" in cli("tasks", "show", "copied", "--tasks-path", folder).out


# tasks check


def test_check_passes_a_sound_task(cli: Command) -> None:
    result = cli("tasks", "check", TASK, "--json")
    assert result.code == 0
    assert all(finding["ok"] for finding in result.json[TASK])
    assert len(result.json[TASK]) > 5


def test_check_fails_a_task_whose_files_changed(cli: Command, tmp_path: Path) -> None:
    folder = copy_task(tmp_path / "mine")
    changed = folder / "offline" / "copied" / "private" / "leaderboard.csv"
    changed.write_text(changed.read_text() + "late,1.0,1.0\n")
    result = cli("tasks", "check", "copied", "--tasks-path", folder)
    assert result.code == 1
    assert result.out.startswith("FAIL offline/copied")
    assert "leaderboard.csv" in result.out
    assert cli("tasks", "check", "copied", "--tasks-path", folder, "--json").json["offline/copied"]


@pytest.mark.parametrize("arguments", [[], [TASK, "--all"]], ids=["nothing", "both"])
def test_check_wants_tasks_or_all(cli: Command, arguments: list[str]) -> None:
    refuses(cli("tasks", "check", *arguments), "--all")


# grade


def test_grade_scores_the_sample_low_and_the_answers_best(
    cli: Command, sample: Path, answers: Path, tmp_path: Path
) -> None:
    low = cli("grade", TASK, sample, "--json").json
    perfect = tmp_path / "perfect.csv"
    perfect.write_text("".join(line.rsplit(",", 1)[0] + "\n" for line in answers.read_text().splitlines()))
    best = cli("grade", TASK, perfect, "--json").json
    assert (low["valid"], low["metric"], low["rank"] < 0.2) == (True, "rmse", True)
    assert (best["score"], best["rank"], best["medal"]) == (0.0, 1.0, "gold")
    assert f"score: {low['score']:.6g}\n" in cli("grade", TASK, sample).out


def test_grade_against_other_answers_gives_a_score_alone(cli: Command, sample: Path, answers: Path) -> None:
    own = cli("grade", TASK, sample, "--json").json
    other = cli("grade", TASK, sample, "--answers", answers, "--json").json
    assert other == {key: own[key] for key in ("task", "metric", "valid", "score")}
    moved = [line.split(",") for line in answers.read_text().splitlines()[1:]]
    answers.write_text("id,strength\n" + "".join(f"{id_},{float(y) + 10}\n" for id_, y, _ in moved))
    assert cli("grade", TASK, sample, "--answers", answers, "--json").json["score"] != own["score"]


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "empty"),
        (b"\x00\x01\xff" * 50, "not text"),
        (b"id,stength\n572,1\n", "'strength'"),
        (b"id,strength\n572,1\n", "expected 420"),
    ],
    ids=["empty", "binary", "renamed column", "missing rows"],
)
def test_grade_tells_what_is_wrong_with_a_submission(
    cli: Command, tmp_path: Path, content: bytes, words: str
) -> None:
    path = tmp_path / "submission.csv"
    path.write_bytes(content)
    result = cli("grade", TASK, path)
    assert (result.code, result.err) == (1, "")
    assert result.out.startswith("invalid: ")
    assert words in result.out.casefold()
    found = cli("grade", TASK, path, "--json")
    assert (found.code, found.json["valid"]) == (1, False)
    assert result.out == f"invalid: {found.json['error']}\n"


@pytest.mark.parametrize(
    ("content", "words"),
    [(b"", "it is empty"), (b"id,depth\n1,2\n", "'strength'")],
    ids=["empty", "other columns"],
)
def test_broken_answers_are_not_put_down_to_the_submission(
    cli: Command, sample: Path, tmp_path: Path, content: bytes, words: str
) -> None:
    path = tmp_path / "other-answers.csv"
    path.write_bytes(content)
    refuses(cli("grade", TASK, sample, "--answers", path), f"The answers file {path}", words)


# run, play


@pytest.mark.usefixtures("isolation")
def test_run_executes_and_grades_a_script(cli: Command, tmp_path: Path) -> None:
    script = tmp_path / "mean.py"
    script.write_text(MEAN)
    result = cli("run", TASK, "--code", script, "--json")
    found = result.json
    assert (result.code, found["task"], found["status"], found["error"]) == (0, TASK, "ok", None)
    assert found["score"] > 5
    assert 0 <= found["rank"] < 0.2
    assert "mean written" in found["observation"]["feedback"]
    assert list(tmp_path.glob("*.csv")) == []  # what the script wrote stays in the sandbox


@pytest.mark.usefixtures("isolation")
def test_run_validates_on_the_sample_without_a_score(cli: Command, tmp_path: Path) -> None:
    script = tmp_path / "mean.py"
    script.write_text(MEAN)
    found = cli("run", TASK, "--code", script, "--validate", "--json").json
    assert (found["status"], found["score"], found["rank"]) == ("ok", None, None)


@pytest.mark.usefixtures("isolation")
def test_run_shows_what_failed_in_the_script(cli: Command, tmp_path: Path) -> None:
    script = tmp_path / "broken.py"
    script.write_text("import pandas\npandas.read_csv('/data/nothing.csv')\n")
    result = cli("run", TASK, "--code", script)
    assert result.code == 1
    assert "FileNotFoundError" in result.out
    found = cli("run", TASK, "--code", script, "--json")
    assert (found.code, found.json["score"]) == (1, None)
    assert "nothing.csv" in found.json["error"]


@pytest.mark.usefixtures("isolation")
def test_run_ends_at_ctrl_c(environment: dict[str, str], tmp_path: Path) -> None:
    script = tmp_path / "slow.py"
    script.write_text("import time\ntime.sleep(600)\n")
    process = subprocess.Popen(
        [*CLI, "run", TASK, "--code", str(script)], env=environment, stderr=subprocess.PIPE, text=True
    )
    threads = Path(f"/proc/{process.pid}/task")  # whichever of them started the fork-server is its parent
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline and not any(t.read_text() for t in threads.glob("*/children")):
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=20)
    assert process.returncode == 130
    assert "Traceback" not in err


@pytest.mark.usefixtures("isolation")
def test_play_prints_an_episode_step_by_step(cli: Command) -> None:
    options = ["play", TASK, "--policy", "scripted:dummy", "--steps", "2", "--seed", "3"]
    printed, recorded = cli(*options), cli(*options, "--json").json
    assert printed.code == 0
    for number, step in enumerate(recorded["steps"], 1):
        assert f"-- step {number}: {step['action']}" in printed.out
        assert step["reply"].strip() in printed.out
    assert f"reward {recorded['reward']:.3f}" in printed.out.splitlines()[-1]


@pytest.mark.usefixtures("isolation")
def test_play_finds_tasks_of_the_users_own(cli: Command, tmp_path: Path) -> None:
    folder = copy_task(tmp_path / "mine")
    policy = ("--policy", "scripted:dummy", "--steps", "1")
    assert cli("play", "copied", *policy, "--tasks-path", folder).code == 0


# doctor, version


def test_doctor_knows_this_machine(cli: Command) -> None:
    result = cli("doctor", "--json")
    facts = {fact["name"]: fact for fact in result.json}
    named = {"python", "tasks", "disk", "gpu", "docker", "model hub", "torch", "sandbox isolation"}
    assert named <= facts.keys()
    assert facts["tasks"]["ok"]
    assert all(fact["fix"] for fact in facts.values() if not fact["ok"])
    assert result.code == int(any(fact["required"] and not fact["ok"] for fact in facts.values()))


def test_doctor_sees_a_cache_that_cannot_be_written(cli: Command, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    result = cli("doctor", MLEDOJO_CACHE=str(tmp_path / "file" / "cache"))
    assert result.code == 1
    lines = result.out.splitlines()
    found = next(number for number, line in enumerate(lines) if line.startswith("MISSING disk"))
    assert "not writable" in lines[found]
    assert "fix: " in lines[found + 1]
    assert "MLEDOJO_CACHE" in lines[found + 1]


def test_version(cli: Command) -> None:
    assert cli("--version").out.startswith("mledojo-train ")


# wrong calls


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["tasks", "list", "--source", "ofline"], ["'offline'"]),
        (["tasks", "list", "--split", "trian"], ["'train'"]),
        (["tasks", "list", "--domain", "tabluar"], ["'tabular'"]),
        (["tasks", "list", "--tasks-path", "nowhere"], ["nowhere", "MLEDOJO_TASKS_PATH"]),
        (["tasks", "show", "concrete-strenght"], ["'concrete-strength'", "tasks list"]),
        (["tasks", "check", "offline/concret"], ["'offline/concrete-strength'"]),
        (["grade", "concrete", "x.csv"], ["'concrete-strength'"]),
        (["grade", TASK, "nothing.csv"], ["nothing.csv does not exist"]),
        (["grade", TASK, "."], ["not a regular file"]),
        (["run", TASK, "--code", "nothing.py"], ["nothing.py does not exist"]),
        (["run", TASK, "--code", "."], ["not a regular file"]),
        (["run", TASK, "--code", "/dev/zero"], ["not a regular file"]),
        (["play", TASK, "--policy", "scripted:dumy"], ["'dummy'"]),
        (["play", TASK, "--policy", "scripts"], ["scripted:", "local:"]),
        (["play", TASK, "--policy", "scripted:dummy", "--prompt", "ful"], ["'full'"]),
        (["play", TASK, "--policy", "scripted:dummy", "--action-format", "fence"], ["'fenced'"]),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else None,
)
def test_an_error_is_one_line_that_says_what_to_do(
    cli: Command, arguments: list[str], words: list[str]
) -> None:
    refuses(cli(*arguments), *words)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["task"], ["'tasks'"]),
        (["tasks", "lst"], ["'list'"]),
        (["grade", TASK], ["submission"]),
        (["run", TASK], ["--code"]),
        (["play", TASK], ["--policy"]),
        (["play", TASK, "--policy", "scripted:dummy", "--steps", "0"], ["--steps"]),
        (["play", TASK, "--policy", "scripted:dummy", "--seed", "one"], ["--seed"]),
        (["doctor", "--jsn"], ["--json"]),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else None,
)
def test_a_wrong_call_exits_with_2(cli: Command, arguments: list[str], words: list[str]) -> None:
    refuses(cli(*arguments), *words, code=2)


def test_a_fifo_is_refused_and_not_waited_for(cli: Command, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")
    refuses(cli("grade", TASK, tmp_path / "fifo"), "not a regular file")


def test_a_script_of_a_megabyte_is_refused(cli: Command, tmp_path: Path) -> None:
    (tmp_path / "large.py").write_text("#" * 1_000_001)
    refuses(cli("run", TASK, "--code", tmp_path / "large.py"), "1000001 bytes")


@pytest.mark.skipif(os.geteuid() == 0, reason="root reads everything")
def test_an_unreadable_file_is_named(cli: Command, sample: Path) -> None:
    sample.chmod(0)
    refuses(cli("grade", TASK, sample), str(sample), "Permission denied")


def test_a_broken_task_yaml_is_named_with_its_line(cli: Command, tmp_path: Path) -> None:
    (tmp_path / "mine" / "broken").mkdir(parents=True)
    path = tmp_path / "mine" / "broken" / "task.yaml"
    path.write_text("id: offline/broken\ntitle: [\n")
    refuses(cli("tasks", "list", "--tasks-path", tmp_path / "mine"), str(path), "line")


def test_a_cache_that_cannot_be_written_is_named(cli: Command, sample: Path) -> None:
    cache = sample / "cache"  # below a regular file
    refuses(cli("grade", TASK, sample, MLEDOJO_CACHE=str(cache)), str(cache), "MLEDOJO_CACHE")
