"""The environment's rules, on a task small enough to grade by hand.

Ten rows whose answers are all 0, five in each part; rmse. A script that predicts `p` on the public part and
`q` on the private one therefore scores exactly |p| and |q|. Four teams scored 1, 2, 3 and 4 on both boards.
Scripts run in a stand-in for the sandbox, so that time and faults are the tests' to set.
"""

from __future__ import annotations

import asyncio
import io
import json
import traceback
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from gymnasium.error import ResetNeeded
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mledojo_env import Action, ActionName, MalformedAction, MLEDojoEnv, load_task
from mledojo_env.errors import ConfigError, GradingError, InvalidSubmission, SandboxError
from mledojo_env.grading import Grade, grade_frame, read_submission
from mledojo_env.observation import StepStatus
from mledojo_env.sandbox.base import ExecutionResult, Limits, Status
from mledojo_env.task import Task

PUBLIC_IDS, PRIVATE_IDS = range(5), range(5, 10)


def submit(public: float | str, private: float | str, final: bool = False) -> Action:
    """Return an execution whose submission scores |public| and |private|."""
    rows = [f"{i},{public}" for i in PUBLIC_IDS] + [f"{i},{private}" for i in PRIVATE_IDS]
    text = "\n".join(["id,y", *rows])
    return execute(f"with open('submission.csv', 'w') as file: file.write({text!r})", final)


def execute(code: str, final: bool = False) -> Action:
    return Action(ActionName.EXECUTE_CODE, code, final)


def validate(code: str) -> Action:
    return Action(ActionName.VALIDATE_CODE, code)


# Scores as text of one length, so that not even the size of a submission tells them apart.
CENTS = st.integers(0, 999).map(lambda cents: f"{cents / 100:.2f}")
ASIDES = [
    Action(ActionName.GET_HISTORY),
    Action(ActionName.REQUEST_INFO, "leaderboard"),
    Action(ActionName.EXECUTE_CODE, "1/0"),
]


class InProcessSession:
    """Runs code by `exec` with `open` bent to a folder; `takes_s` is the wall clock it claims."""

    def __init__(self, work: Path) -> None:
        self.work, self.closed, self.takes_s = work, False, 0.5
        self.limits: list[Limits] = []
        self.seeds: list[int] = []
        self.fault: Exception | None = None
        self.started, self.hold = asyncio.Event(), asyncio.Event()
        self.hold.set()

    async def run(self, code: str, data: Path, limits: Limits, *, seed: int = 0) -> ExecutionResult:
        self.started.set()
        await self.hold.wait()
        if self.fault:
            raise self.fault
        self.limits.append(limits)
        self.seeds.append(seed)
        printed: list[str] = []

        def opened(name: str, mode: str = "r") -> io.IOBase:
            path = data / name.removeprefix("/data/") if name.startswith("/data/") else self.work / name
            return path.open(mode)  # type: ignore[return-value]

        def say(*words: object) -> None:
            printed.append(" ".join(map(str, words)) + "\n")

        result: dict[str, Any] = {"status": Status.OK}
        if self.takes_s > limits.timeout_s:
            result = {"status": Status.TIMEOUT, "message": f"stopped after {limits.timeout_s:g} s"}
        else:
            try:
                exec(compile(code, "/work/script.py", "exec"), {"open": opened, "print": say})
            except Exception as error:
                result = {
                    "status": Status.ERROR,
                    "error_class": type(error).__name__,
                    "error_message": str(error),
                    "traceback": "".join(traceback.format_exception(error)),
                }
        files = {path.name: path.stat().st_size for path in self.work.iterdir()}
        wall_s = min(self.takes_s, limits.timeout_s)
        return ExecutionResult(stdout="".join(printed), files=files, wall_s=wall_s, **result)

    def read(self, name: str, max_bytes: int) -> bytes:
        data = (self.work / name).read_bytes()
        if len(data) > max_bytes:
            raise InvalidSubmission(f"{name} has {len(data)} bytes; at most {max_bytes} are read.")
        return data

    def remove(self, name: str) -> None:
        (self.work / name).unlink(missing_ok=True)

    def clear(self) -> None:
        for path in self.work.iterdir():
            path.unlink()

    async def close(self) -> None:
        self.closed = True


class InProcessSandbox:
    name = "in-process"

    def __init__(self, folder: Path) -> None:
        self.folder, self.sessions = folder, []  # type: Path, list[InProcessSession]

    async def session(self, *data: Path) -> InProcessSession:
        work = self.folder / f"work{len(self.sessions)}"
        work.mkdir()
        self.sessions.append(InProcessSession(work))
        return self.sessions[-1]

    @property
    def last(self) -> InProcessSession:
        return self.sessions[-1]


class InProcessGrader:
    """The real grading, in this process; counts its calls."""

    def __init__(self) -> None:
        self.calls, self.fault = 0, None  # type: int, Exception | None

    async def grade(self, task: Task, data: bytes) -> Grade:
        self.calls += 1
        if self.fault:
            raise self.fault
        return grade_frame(task, read_submission(data))


def write_task(root: Path, *, leaderboard: bool = True) -> Path:
    """Write the task described above below `root` and return its folder."""
    import hashlib
    import lzma

    folder = root / "offline" / "zeros"
    (folder / "public").mkdir(parents=True)
    (folder / "private").mkdir()
    (folder / "description.md").write_text("Predict y from x.\n\nEvery row tells what it is worth.\n")
    rows = [*PUBLIC_IDS, *PRIVATE_IDS]
    tables = {
        "public/train.csv": "id,x,y\n" + "".join(f"{i + 100},{i},{i % 3}\n" for i in range(500)),
        "public/test.csv": "id,x\n" + "".join(f"{i},{i}\n" for i in rows),
        "public/sample_submission.csv": "id,y\n" + "".join(f"{i},9\n" for i in rows),
        "private/answers.csv": "id,y,part\n"
        + "".join(f"{i},0,{'public' if i in PUBLIC_IDS else 'private'}\n" for i in rows),
    }
    for name, text in tables.items():
        (folder / f"{name}.xz").write_bytes(lzma.compress(text.encode()))
    if leaderboard:
        board = "team,public_score,private_score\n" + "".join(f"t{s},{s},{s}\n" for s in (1, 2, 3, 4))
        (folder / "private" / "leaderboard.csv").write_text(board)
    kind = "leaderboard: {kind: reference}\n" if leaderboard else ""
    (folder / "task.yaml").write_text(TASK_YAML + kind)
    files = sorted(path for part in ("public", "private") for path in (folder / part).iterdir())
    sums = [
        f"{hashlib.sha256(path.read_bytes()).hexdigest()}  {path.relative_to(folder)}\n" for path in files
    ]
    (folder / "SHA256SUMS").write_text("".join(sums))
    return folder


TASK_YAML = """\
id: offline/zeros
title: Zeros
domain: tabular
kind: regression
split: train
source: {name: made up, via: a test, url: "https://example.org", licence: CC0-1.0}
metric: {name: rmse, params: {}}
submission: {id: [id], targets: [y], value: number}
public:
  train.csv: five hundred rows with their y
  test.csv: ten rows
  sample_submission.csv: the form of a submission
limits: {timeout_s: 30, validate_timeout_s: 10, memory_mb: 1024}
prepare: {strategy: bundled}
quarantine: null
"""


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MLEDOJO_CACHE", str(tmp_path_factory.mktemp("cache")))
        root = tmp_path_factory.mktemp("tasks")
        write_task(root)
        yield root


@pytest.fixture
def task(root: Path) -> Task:
    return load_task("offline/zeros", tasks_path=[root])


@pytest.fixture
def sandbox(tmp_path: Path) -> InProcessSandbox:
    return InProcessSandbox(tmp_path)


@pytest.fixture
def grader() -> InProcessGrader:
    return InProcessGrader()


@pytest.fixture
def make(task: Task, sandbox: InProcessSandbox, grader: InProcessGrader) -> Any:
    return lambda **options: MLEDojoEnv(task, **{"sandbox": sandbox, "grader": grader} | options)


async def play(env: MLEDojoEnv, *actions: Any) -> list[tuple[Any, float, bool, bool, dict[str, Any]]]:
    """Reset and take the actions; return what each step gave."""
    await env.areset()
    return [await env.astep(action) for action in actions]


# Rewards and the submission that counts. A score of 2.5 is third among 1, 2, 3, 4: rank (4 - 3 + 1) / 4.


async def test_rank_gain_sums_to_the_private_rank_of_the_submission_that_counts(make: Any) -> None:
    env = make()
    steps = await play(env, submit(3.5, 1.5), submit(2.5, 2.5), submit(1.5, 3.5), submit(1.6, 0.5))
    # Private ranks of what counts: 1.5 -> 0.75, 2.5 -> 0.5, 3.5 -> 0.25; the last is worse in public.
    assert [reward for _, reward, *_ in steps] == [0.75, -0.25, -0.25, 0.0]
    assert sum(reward for _, reward, *_ in steps) == env.episode_result()["rank_private"] == 0.25
    assert env.episode_result()["best_step"] == 3


async def test_resubmitting_the_same_file_earns_nothing(make: Any) -> None:
    steps = await play(make(), submit(2.5, 2.5), submit(2.5, 2.5), submit(2.5, 1.5))
    # The third ties in public: the first of equals keeps counting, so its better private part earns nothing.
    assert [reward for _, reward, *_ in steps] == [0.5, 0.0, 0.0]


async def test_a_worse_submission_lowers_nothing(make: Any) -> None:
    env = make()
    steps = await play(env, submit(1.5, 1.5), submit(9.0, 9.0))
    assert [reward for _, reward, *_ in steps] == [0.75, 0.0]
    worse = steps[1][0]
    assert (worse.score, worse.rank, worse.best_score, worse.best_rank) == (9.0, 0.0, 1.5, 0.75)


async def test_dojo_pays_the_position_score_at_each_execution(make: Any) -> None:
    env = make(reward="dojo")
    steps = await play(
        env, submit(2.5, 1.5), submit(2.5, 1.5), Action(ActionName.GET_HISTORY), execute("1/0")
    )
    assert [reward for _, reward, *_ in steps] == [0.625, 0.625, 0.0, 0.0]  # (0.5 + 0.75) / 2


async def test_in_dojo_visibility_rank_gain_sums_to_the_mean_rank_of_the_best_whole_score(make: Any) -> None:
    env = make(score_visibility="dojo")
    # Whole scores: sqrt((2.5^2 + 1.5^2) / 2) = 2.06155, then sqrt((1.5^2 + 3.5^2) / 2) = 2.69258.
    steps = await play(env, submit(2.5, 1.5), submit(1.5, 3.5))
    assert [reward for _, reward, *_ in steps] == [0.625, 0.0]
    assert steps[1][0].score == pytest.approx(2.692582)
    assert steps[1][0].rank == 0.5  # (0.75 + 0.25) / 2
    assert steps[1][0].best_score == pytest.approx(2.061553)


def test_rank_rewards_need_a_leaderboard(tmp_path: Path) -> None:
    write_task(tmp_path, leaderboard=False)
    task = load_task("offline/zeros", tasks_path=[tmp_path])
    with pytest.raises(ConfigError, match=r"'rank_gain' needs a leaderboard .* reward='none'"):
        MLEDojoEnv(task)


async def test_a_task_without_a_leaderboard_can_be_played_for_no_reward(
    tmp_path: Path, sandbox: InProcessSandbox, grader: InProcessGrader
) -> None:
    write_task(tmp_path / "tasks", leaderboard=False)
    task = load_task("offline/zeros", tasks_path=[tmp_path / "tasks"])
    env = MLEDojoEnv(task, sandbox=sandbox, grader=grader, reward="none")
    ((seen, reward, *_),) = await play(env, submit(2.0, 2.0))
    assert (seen.score, seen.rank, reward) == (2.0, None, 0.0)
    assert "rank" not in seen.to_text()
    assert (await env.astep(Action(ActionName.REQUEST_INFO, "leaderboard")))[0].ok


# What the agent may see


@given(
    st.sampled_from(["kaggle", "none"]),
    st.lists(st.tuples(CENTS, CENTS, CENTS), min_size=1, max_size=4),
)
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_nothing_that_the_agent_sees_depends_on_the_private_part(
    task: Task, visibility: str, scores: list[tuple[str, str, str]]
) -> None:
    """Two episodes that differ in private scores alone look the same to the last character."""

    async def told(column: int) -> list[Any]:
        with TemporaryDirectory() as folder:
            sandbox = InProcessSandbox(Path(folder))
            env = MLEDojoEnv(task, sandbox=sandbox, grader=InProcessGrader(), score_visibility=visibility)
            await env.areset()
            seen: list[Any] = []
            for row in scores:
                for action in (submit(row[0], row[column]), *ASIDES):
                    if not (seen and seen[-1][2]):
                        observation, _, terminated, truncated, _ = await env.astep(action)
                        shown = observation.to_text() + json.dumps(observation.to_dict(), sort_keys=True)
                        seen.append((shown, observation.feedback, terminated or truncated))
            return seen

    assert asyncio.run(told(1)) == asyncio.run(told(2))


async def test_without_visibility_the_agent_learns_validity_alone(make: Any) -> None:
    good, bad = await play(make(score_visibility="none"), submit(2.5, 2.5), execute("print('hi')"))
    seen = good[0]
    assert (seen.score, seen.rank, seen.best_score, seen.best_rank, seen.submission_valid) == (None,) * 4 + (
        True,
    )
    assert seen.to_text() == "ok | submission valid | steps left 14"
    assert good[1] == 0.5  # the reward is ours to know
    assert bad[0].submission_valid is False


async def test_kaggle_visibility_shows_the_public_part(make: Any) -> None:
    ((seen, *_),) = await play(make(), submit(2.5, 1.5))
    assert seen.to_text() == "ok | score 2.5 (rmse, lower is better) | rank 0.5 | best 2.5 | steps left 14"


# What is graded


async def test_a_submission_of_a_failed_run_is_never_graded(make: Any, grader: InProcessGrader) -> None:
    failing = execute(submit(1.5, 1.5).argument + "\nraise KeyError('target')")
    failed, silent = await play(make(), failing, execute("print(1)"))
    assert grader.calls == 0
    assert failed[0].status is StepStatus.FAILED and failed[0].score is None and failed[1] == 0.0
    assert "not graded" in failed[0].feedback
    assert silent[0].status is StepStatus.INVALID and "no submission.csv" in silent[0].error_message


async def test_a_later_run_does_not_hand_in_an_earlier_submission(make: Any, grader: InProcessGrader) -> None:
    env = make()
    _, later = await play(env, submit(1.5, 1.5), execute("print(1)"))
    assert grader.calls == 1 and later[1] == 0.0
    assert later[0].submission_valid is False and later[0].best_score == 1.5


async def test_validation_is_never_graded_and_leaves_no_submission(
    make: Any, sandbox: InProcessSandbox, grader: InProcessGrader
) -> None:
    ((seen, reward, *_),) = await play(make(), validate(submit(1.5, 1.5).argument))
    assert seen.ok and "wrote submission.csv" in seen.feedback
    assert (seen.score, seen.submission_valid, reward, grader.calls) == (None, None, 0.0, 0)
    assert not seen.files
    assert not list(sandbox.last.work.iterdir())


async def test_validation_sees_the_sample_under_its_own_limit(make: Any, sandbox: InProcessSandbox) -> None:
    count = "print(len(open('/data/train.csv').read().split()) - 1)"
    (sample, *_), (full, *_) = await play(make(execute_timeout_s=7.0), validate(count), execute(count))
    assert sample.feedback == "wrote no submission.csv\n400" and full.feedback == "500"
    assert [limits.timeout_s for limits in sandbox.last.limits] == [10, 7]
    assert [limits.memory_mb for limits in sandbox.last.limits] == [1024, 1024]


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("id,z\n1,2\n", "y"),
        ("", "empty"),
        ("id,y\n" + "".join(f"{i},nan\n" for i in range(10)), "y"),
    ],
)
async def test_what_cannot_be_scored_is_an_observation(make: Any, text: str, problem: str) -> None:
    code = f"with open('submission.csv', 'w') as file: file.write({text!r})"
    env = make()
    ((seen, reward, *_),) = await play(env, execute(code))
    assert seen.status is StepStatus.INVALID and seen.submission_valid is False and reward == 0.0
    assert seen.error_class == "InvalidSubmission" and problem in seen.error_message
    assert env.episode_result()["failures"] == {"validate": 0, "execute": 0, "submission": 1}


async def test_a_submission_far_larger_than_the_sample_is_invalid(make: Any, grader: InProcessGrader) -> None:
    code = "with open('submission.csv', 'w') as file: file.write('1' * 17_000_000)"
    ((seen, *_),) = await play(make(), execute(code))
    assert seen.status is StepStatus.INVALID and "16000000" in seen.error_message and grader.calls == 0


# Failures of the agent


async def test_a_traceback_is_told_by_its_last_own_frame(make: Any) -> None:
    code = "row = {'a': 1}\ndef pick(row):\n    return row['target']\npick(row)\n"
    (executed, *_), (validated, *_) = await play(make(), execute(code), validate("x = (1\n"))
    assert (executed.error_class, executed.error_message) == ("KeyError", "'target'")
    assert executed.to_text() == "failed | steps left 14\nKeyError: 'target'\nline 3"
    assert validated.error_class == "SyntaxError" and "line 1" in validated.to_text()


async def test_malformed_actions_cost_a_step_and_say_why(make: Any) -> None:
    env = make(max_steps=5)
    malformed = [
        MalformedAction("found no fenced block."),
        {"name": "excute_code", "argument": ""},
        {"name": 9},
        {"name": "execute_code", "argument": 3},
        ["execute_code"],
    ]
    steps = await play(env, *malformed)
    assert all(seen.status is StepStatus.MALFORMED and reward == 0.0 for seen, reward, *_ in steps)
    assert [seen.steps_left for seen, *_ in steps] == [4, 3, 2, 1, 0]
    assert "Did you mean 'execute_code'?" in steps[1][0].to_text()
    assert steps[-1][3] and env.episode_result()["actions"] == {"malformed": 5}


async def test_an_unknown_topic_names_the_nearest(make: Any) -> None:
    ((seen, *_),) = await play(make(), Action(ActionName.REQUEST_INFO, "leaderbord"))
    assert seen.status is StepStatus.FAILED and "Did you mean 'leaderboard'?" in seen.error_message


# Information, history and reset


async def test_request_info_tells_about_the_task(make: Any) -> None:
    topics = ["overview", "data", "metric", "leaderboard", "sample_submission"]
    steps = await play(make(), *[Action(ActionName.REQUEST_INFO, topic) for topic in topics])
    told = {topic: seen.feedback for topic, (seen, *_) in zip(topics, steps, strict=True)}
    assert told["overview"] == "Zeros\n\nPredict y from x.\n\nEvery row tells what it is worth."
    assert "train.csv (" in told["data"] and "500 rows, 3 columns: id (int), x (int), y (int)" in told["data"]
    assert told["metric"] == "Metric: rmse, lower is better."
    assert told["leaderboard"].startswith("Public leaderboard: 4 reference pipelines.\nbest: 1\n")
    assert "columns id, y and 10 rows" in told["sample_submission"]


async def test_history_tells_a_line_a_step(make: Any) -> None:
    env = make()
    *_, (all_of_it, *_), (last, *_), (wrong, *_) = await play(
        env,
        submit(2.5, 2.5),
        execute("1/0"),
        Action(ActionName.GET_HISTORY),
        Action(ActionName.GET_HISTORY, "1"),
        Action(ActionName.GET_HISTORY, "-1"),
    )
    assert all_of_it.feedback.splitlines() == [
        "step 1 execute_code: ok, score 2.5, rank 0.5",
        "step 2 execute_code: failed, ZeroDivisionError: division by zero",
    ]
    assert last.feedback == "step 3 get_history: ok"
    assert wrong.status is StepStatus.FAILED


async def test_the_agents_reset_clears_the_directory_and_nothing_else(
    make: Any, sandbox: InProcessSandbox
) -> None:
    env = make()
    keep = execute(submit(2.5, 2.5).argument + "\nwith open('model.txt', 'w') as file: file.write('m')")
    first, second, third = await play(env, keep, Action(ActionName.RESET), Action(ActionName.GET_HISTORY))
    assert (
        dict(first[0].files).keys() == {"model.txt", "submission.csv"}
        and "files: model.txt" in first[0].to_text()
    )
    assert not list(sandbox.last.work.iterdir())
    seen = second[0]
    assert (seen.best_score, seen.steps_left, second[1]) == (2.5, 13, 0.0)
    assert seen.seconds_left == 3599.5
    assert "step 1 execute_code: ok" in third[0].feedback
    assert env.episode_result()["rank_private"] == 0.5


# How episodes end


async def test_final_ends_the_episode_after_grading(make: Any) -> None:
    env = make()
    ((seen, reward, terminated, truncated, info),) = await play(env, submit(2.5, 1.5, final=True))
    assert (seen.score, reward, terminated, truncated) == (2.5, 0.75, True, False)
    result = env.episode_result()
    assert result["valid"] and result["rank"] == result["rank_private"] == info["private"]["rank"] == 0.75
    with pytest.raises(ResetNeeded, match="over"):
        await env.astep(submit(1.5, 1.5))


async def test_final_on_another_action_means_nothing(make: Any) -> None:
    ((_, _, terminated, *_),) = await play(make(), Action(ActionName.REQUEST_INFO, "metric", final=True))
    assert not terminated


async def test_the_top_of_the_public_board_ends_the_episode_and_the_private_one_does_not(make: Any) -> None:
    private_top, public_top = await play(make(), submit(1.5, 0.5), submit(0.5, 1.5))
    assert not private_top[2] and public_top[2]
    assert private_top[1] + public_top[1] == 0.75


async def test_steps_run_out(make: Any) -> None:
    env = make(max_steps=2)
    first, second = await play(env, execute("1/0"), execute("1/0"))
    assert (first[2:4], second[2:4]) == ((False, False), (False, True))
    with pytest.raises(ResetNeeded):
        await env.astep(execute("1/0"))


async def test_a_final_last_step_is_terminated_not_truncated(make: Any) -> None:
    ((*_, terminated, truncated, _),) = await play(make(max_steps=1), submit(2.5, 2.5, final=True))
    assert (terminated, truncated) == (True, False)


async def test_seconds_clip_the_last_run_and_then_run_out(make: Any, sandbox: InProcessSandbox) -> None:
    env = make(max_seconds=10.0)
    await env.areset()
    sandbox.last.takes_s = 7.0
    seen, _, _, truncated, _ = await env.astep(execute("print(1)"))
    assert (
        not truncated
        and seen.seconds_left == 3.0
        and seen.to_text().startswith("invalid | steps left 14 | seconds left 3")
    )
    seen, _, terminated, truncated, _ = await env.astep(execute("print(1)"))
    assert sandbox.last.limits[-1].timeout_s == pytest.approx(3.0)
    assert seen.status is StepStatus.FAILED and seen.error_class == "timeout" and "3 s" in seen.error_message
    assert (terminated, truncated) == (False, True)


# Failures of ours


@pytest.mark.parametrize("fault", [SandboxError("fork-server died"), GradingError("worker died")])
async def test_our_failures_travel_and_end_the_episode(
    make: Any, sandbox: InProcessSandbox, grader: InProcessGrader, fault: Exception
) -> None:
    env = make()
    await env.areset()
    if isinstance(fault, SandboxError):
        sandbox.last.fault = fault
    else:
        grader.fault = fault
    with pytest.raises(type(fault), match="died"):
        await env.astep(submit(2.5, 2.5))
    with pytest.raises(ResetNeeded):
        await env.astep(submit(2.5, 2.5))
    sandbox.last.fault = grader.fault = None
    ((seen, *_),) = await play(env, submit(2.5, 2.5))
    assert seen.score == 2.5


async def test_two_steps_at_once_are_refused_and_the_first_goes_on(
    make: Any, sandbox: InProcessSandbox
) -> None:
    env = make()
    await env.areset()
    sandbox.last.hold.clear()
    first = asyncio.ensure_future(env.astep(submit(2.5, 2.5)))
    await sandbox.last.started.wait()
    with pytest.raises(RuntimeError, match="in the middle of a step"):
        await env.astep(submit(1.5, 1.5))
    with pytest.raises(RuntimeError, match="in the middle of a step"):
        await env.areset()
    sandbox.last.hold.set()
    assert (await first)[0].score == 2.5


async def test_a_cancelled_step_leaves_an_environment_that_can_be_reset(
    make: Any, sandbox: InProcessSandbox
) -> None:
    env = make()
    await env.areset()
    sandbox.last.hold.clear()
    step = asyncio.ensure_future(env.astep(submit(2.5, 2.5)))
    await sandbox.last.started.wait()
    step.cancel()
    with pytest.raises(asyncio.CancelledError):
        await step
    with pytest.raises(ResetNeeded):
        await env.astep(submit(2.5, 2.5))
    assert (await play(env, submit(2.5, 2.5)))[0][0].score == 2.5


# Seeds, sessions, options


async def test_every_script_of_an_episode_sees_its_seed(make: Any, sandbox: InProcessSandbox) -> None:
    env = make(seed=5)
    await play(env, execute("1"), execute("1"))
    assert sandbox.last.seeds == [5, 5]
    await env.areset(seed=11)
    await env.astep(execute("1"))
    assert sandbox.last.seeds == [11]


async def test_an_episode_has_a_directory_of_its_own(make: Any, sandbox: InProcessSandbox) -> None:
    env = make()
    await play(env, execute("with open('left.txt', 'w') as file: file.write('x')"))
    ((seen, *_),) = await play(env, execute("open('left.txt')"))
    assert seen.error_class == "FileNotFoundError"
    assert [session.closed for session in sandbox.sessions] == [True, False]
    await env.aclose()
    await env.aclose()
    assert sandbox.last.closed
    with pytest.raises(ResetNeeded):
        await env.astep(execute("1"))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"reward": "rank_gian"}, "Did you mean 'rank_gain'"),
        ({"score_visibility": "kagle"}, "Did you mean 'kaggle'"),
        ({"max_steps": 0}, "max_steps is 0"),
        ({"max_seconds": -1.0}, "max_seconds is -1.0"),
        ({"execute_timeout_s": 0.0}, "execute_timeout_s is 0.0"),
    ],
)
def test_options_are_checked(make: Any, options: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        make(**options)


async def test_reset_knows_no_options(make: Any) -> None:
    with pytest.raises(ConfigError, match="'difficulty'"):
        await make().areset(options={"difficulty": "hard"})


async def test_feedback_is_bounded(make: Any) -> None:
    ((seen, *_),) = await play(
        make(max_feedback_chars=100), execute("print('a' * 60 + 'b' * 90_000 + 'c' * 60)")
    )
    assert (
        seen.feedback.startswith("a" * 50) and seen.feedback.endswith("c" * 50) and len(seen.feedback) < 160
    )


async def test_what_is_recorded_is_json(make: Any) -> None:
    env = make()
    for seen, _, _, _, info in await play(env, submit(2.5, 1.5), execute("1/0"), MalformedAction("no")):
        json.dumps([seen.to_dict(), info["exec"], info["wall_s"]], allow_nan=False)
    result = env.episode_result()
    assert json.loads(json.dumps(result, allow_nan=False)) == result
    assert result["actions"] == {"execute_code": 2, "malformed": 1}
    assert result["failures"] == {"validate": 0, "execute": 1, "submission": 0}
    assert (result["first_valid_step"], result["submissions"], result["steps"]) == (1, 1, 3)
