"""The engine against the real environment, sandbox and grader."""

import asyncio
from pathlib import Path
from typing import Any

import pytest

from mledojo_env import Action, ActionName, MalformedAction, Observation, Task
from mledojo_env.errors import ConfigError, SandboxError
from mledojo_env.sandbox.local import LocalSandbox
from mledojo_train.codec import FencedCodec, Message
from mledojo_train.generation import Completion, Sampling
from mledojo_train.generation.in_process import TransformersGenerator
from mledojo_train.policy.base import Reply, TokenRecord
from mledojo_train.policy.local import ModelPolicy
from mledojo_train.policy.scripted import ScriptedPolicy
from mledojo_train.policy.scripts import Plan, write
from mledojo_train.rollout import EpisodeOptions, EpisodeSpec, RolloutEngine, spread
from mledojo_train.trajectory import Trajectory

TASK = "offline/concrete-strength"
CODEC = FencedCodec()
FOREST = write(Plan("tabular", "number", "codes", "forest"))


@pytest.fixture(scope="module")
def sandbox() -> Any:
    with LocalSandbox() as made:
        yield made


def engine(sandbox: Any, **options: Any) -> RolloutEngine:
    return RolloutEngine(
        sandbox, CODEC, EpisodeOptions(**({"max_steps": 3, "prompt_style": "brief"} | options))
    )


class Script:
    """A policy that takes given actions, one after another, and fails in given ways."""

    name = "test:script"

    def __init__(self, *actions: Action | MalformedAction | Exception) -> None:
        self.actions = actions

    def start(self, task: Task, conversation: list[Message], seed: int) -> "Script":
        return Script(*self.actions)

    async def act(self, observation: Observation) -> Reply:
        action, *rest = self.actions or (MalformedAction("out of actions"),)
        self.actions = tuple(rest)
        if isinstance(action, Exception):
            raise action
        return Reply({"role": "assistant", "content": "..."}, action)

    def tokens(self) -> TokenRecord | None:
        return None


def play(sandbox: Any, policy: Any, specs: list[EpisodeSpec], **options: Any) -> list[Trajectory]:
    return asyncio.run(engine(sandbox, **options).run(policy, specs))


def test_an_episode_ends_with_the_rank_that_its_rewards_sum_to(sandbox: Any) -> None:
    forest = Action(ActionName.EXECUTE_CODE, FOREST)
    bad = MalformedAction("nothing there")
    (episode,) = play(sandbox, Script(forest, bad, forest), [EpisodeSpec(TASK, 0)])
    assert [step.action for step in episode.steps] == ["execute_code", None, "execute_code"]
    assert episode.valid
    assert episode.steps[0].reward > 0.1
    assert episode.reward == pytest.approx(sum(step.reward for step in episode.steps))
    assert episode.reward == pytest.approx(episode.rank)
    assert (episode.terminated, episode.truncated, episode.stop_reason) == (False, True, "steps")
    assert "nothing there" in episode.steps[1].observation_text
    assert 0 < episode.steps[0].run_s <= episode.steps[0].execute_s


def test_the_final_action_ends_the_episode(sandbox: Any) -> None:
    final = Action(ActionName.EXECUTE_CODE, FOREST, final=True)
    (episode,) = play(sandbox, Script(final), [EpisodeSpec(TASK, 0)])
    assert (episode.terminated, episode.stop_reason, len(episode.steps)) == (True, "terminated", 1)


def test_trajectories_keep_the_order_of_the_specs_and_the_callback_that_of_the_ending(sandbox: Any) -> None:
    seen: list[int] = []
    specs = spread([TASK, "offline/hotel-rates"], 3, seed=5)
    episodes = asyncio.run(
        engine(sandbox).run(ScriptedPolicy("mixed"), specs, lambda episode: seen.append(episode.seed))
    )
    assert [(e.task, e.seed) for e in episodes] == [(s.task, s.seed) for s in specs]
    assert sorted(seen) == sorted(s.seed for s in specs)
    assert len({s.seed for s in specs}) == 6


def test_a_scripted_policy_plays_the_same_episodes_at_any_concurrency(sandbox: Any) -> None:
    specs = spread([TASK], 6, seed=1)
    runs = [play(sandbox, ScriptedPolicy("mixed"), specs, max_concurrent_episodes=n) for n in (1, 6)]
    assert [[m["content"] for m in e.messages] for e in runs[0]] == [
        [m["content"] for m in e.messages] for e in runs[1]
    ]
    assert [e.reward for e in runs[0]] == [e.reward for e in runs[1]]


def test_an_episode_that_we_broke_has_no_reward_and_spares_the_others(sandbox: Any) -> None:
    class Flaky(Script):
        def start(self, task: Task, conversation: list[Message], seed: int) -> Script:
            return (
                Script(SandboxError("gone"))
                if seed == 1
                else Script(Action(ActionName.EXECUTE_CODE, FOREST, True))
            )

    broken, whole = play(sandbox, Flaky(), [EpisodeSpec(TASK, 1), EpisodeSpec(TASK, 2)])
    assert (broken.reward, broken.error, broken.stop_reason) == (None, "SandboxError: gone", "error")
    assert whole.valid and not whole.broken


def test_a_run_in_which_every_episode_broke_stops(sandbox: Any) -> None:
    with pytest.raises(SandboxError, match="All 2 episodes broke on our side; the first: SandboxError: gone"):
        play(sandbox, Script(SandboxError("gone")), [EpisodeSpec(TASK, 1), EpisodeSpec(TASK, 2)])


def test_a_bug_is_not_an_episode(sandbox: Any) -> None:
    with pytest.raises(ZeroDivisionError):
        play(sandbox, Script(ZeroDivisionError()), [EpisodeSpec(TASK, 1)])


def test_cancelling_ends_every_episode_and_its_scripts(sandbox: Any) -> None:
    sleeper = Action(ActionName.EXECUTE_CODE, "import time\ntime.sleep(60)")

    async def start_and_cancel() -> float:
        running = asyncio.create_task(engine(sandbox).run(Script(sleeper), spread([TASK], 4, 0)))
        await asyncio.sleep(1.5)
        began = asyncio.get_running_loop().time()
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running
        return asyncio.get_running_loop().time() - began

    assert asyncio.run(start_and_cancel()) < 2


@pytest.mark.parametrize("name", ["episode_deadline_s", "group_deadline_s", "rollout_deadline_s"])
def test_an_episode_that_is_late_is_cut_and_keeps_what_it_has(sandbox: Any, name: str) -> None:
    sleeper = Action(ActionName.EXECUTE_CODE, "import time\ntime.sleep(60)")
    policy = Script(Action(ActionName.EXECUTE_CODE, FOREST), sleeper)
    episodes = play(sandbox, policy, spread([TASK], 2, 0), **{name: 6.0})
    for episode in episodes:
        assert (episode.truncated, episode.stop_reason, len(episode.steps)) == (True, "deadline", 1)
        assert not episode.broken and episode.valid and episode.reward == pytest.approx(episode.rank)


def test_a_rollout_deadline_cuts_those_that_never_got_a_place(sandbox: Any) -> None:
    sleeper = Action(ActionName.EXECUTE_CODE, "import time\ntime.sleep(60)")
    specs = spread([TASK], 3, 0)
    episodes = play(sandbox, Script(sleeper), specs, rollout_deadline_s=1.5, max_concurrent_episodes=1)
    assert [(e.stop_reason, e.reward, e.valid) for e in episodes] == [("deadline", 0.0, False)] * 3


def test_the_figures_say_where_the_time_went(sandbox: Any) -> None:
    made = engine(sandbox, episode_deadline_s=30)
    policy = Script(Action(ActionName.EXECUTE_CODE, "import time\ntime.sleep(0.5)"), MalformedAction("no"))
    episodes = asyncio.run(made.run(policy, spread([TASK], 4, 0), None))
    figures = made.figures
    assert figures["episodes_per_min"] == pytest.approx(4 / figures["seconds"] * 60)
    assert figures["steps_per_min"] == pytest.approx(
        sum(len(e.steps) for e in episodes) / figures["seconds"] * 60
    )
    assert 0.2 < figures["sandbox_busy"] <= 1
    assert 0 <= figures["overlap"] <= figures["generator_busy"] <= 1
    assert 0 <= figures["queue_p50_s"] <= figures["queue_p95_s"]
    assert figures["stragglers"] == figures["broken"] == 0


class Recital:
    """A generator that says given bytes, whatever it is asked, up to the limit."""

    generated_tokens, busy_s = 0, 0.0

    def __init__(self, tokenizer: Any, said: str | bytes) -> None:
        if isinstance(said, str):
            self.ids = tokenizer(said, add_special_tokens=False)["input_ids"]
        else:  # bytes that are no text, as a byte-level vocabulary can spell them
            letters = tokenizer(bytes(range(33, 127)).decode(), add_special_tokens=False)["input_ids"]
            self.ids = [letters[0]] + [i for b in said for i in _byte_ids(tokenizer, b)]

    async def generate(self, prompt_ids: Any, max_new_tokens: int, stop: Any = None) -> Completion:
        ids = self.ids[:max_new_tokens]
        return Completion(ids, [-1.0] * len(ids))

    def close(self) -> None:
        pass


def _byte_ids(tokenizer: Any, byte: int) -> list[int]:
    from transformers.convert_slow_tokenizer import bytes_to_unicode

    return [tokenizer.convert_tokens_to_ids(bytes_to_unicode()[byte])]


@pytest.mark.parametrize(
    ("said", "told"),
    [
        ("", "empty"),
        ("never an action, " * 8_000, "at most 100000"),
        (b"\xff\xfe\x80```reset", "no fenced block"),
        ("```reset\n```\n" * 10, "10 actions"),
        ("```execute_code\n```python\nprint(1)\n```\n```", "SyntaxError"),
    ],
    ids=["nothing", "a flood", "no text", "ten actions", "nested fences"],
)
def test_whatever_a_policy_says_is_observed_and_recorded(
    sandbox: Any, nano: tuple[Any, Any], said: str | bytes, told: str
) -> None:
    generator = Recital(nano[1], said)
    policy = ModelPolicy("test:recital", generator, nano[1], CODEC, max_new_tokens=10**6, max_tokens=10**7)
    (episode,) = play(sandbox, policy, [EpisodeSpec(TASK, 0)], max_steps=2)
    assert not episode.broken and episode.stop_reason == "steps"
    assert told in episode.steps[0].observation_text
    again = Trajectory.from_json(episode.to_json())
    assert sum(again.mask) == 2 * len(generator.ids)


def test_an_execution_that_prints_without_end_is_bounded(sandbox: Any) -> None:
    flood = Action(ActionName.EXECUTE_CODE, "while True: print('x' * 10**6)")
    (episode,) = play(sandbox, Script(flood), [EpisodeSpec(TASK, 0)], max_steps=1)
    assert episode.steps[0].observation["status"] != "ok"
    assert len(episode.to_json()) < 50_000


def test_no_tasks_is_an_error() -> None:
    with pytest.raises(ConfigError, match="tasks list"):
        spread([], 3, 0)


@pytest.fixture(scope="module")
def sampled(sandbox: Any, nano: tuple[Any, Any]) -> list[Trajectory]:
    """Episodes of an untrained model: it writes anything."""
    model, tokenizer = nano
    generator = TransformersGenerator(model, tokenizer, Sampling(temperature=1.0))
    policy = ModelPolicy("test:nano", generator, tokenizer, CODEC, max_new_tokens=30, max_tokens=200)
    try:
        return play(sandbox, policy, spread([TASK], 4, 0))
    finally:
        generator.close()


def test_a_model_that_writes_anything_never_crashes_an_episode(sampled: list[Trajectory]) -> None:
    assert all(not e.broken and e.truncated and e.reward == 0.0 for e in sampled)
    assert {e.stop_reason for e in sampled} <= {"steps", "tokens"}


def test_the_recorded_tokens_are_the_conversation(sampled: list[Trajectory], nano: tuple[Any, Any]) -> None:
    tokenizer = nano[1]
    for episode in sampled:
        assert len(episode.completion_ids) == len(episode.mask) == len(episode.logprobs)
        assert len(episode.prompt_ids) + len(episode.completion_ids) <= 200 + 30
        opening = tokenizer.apply_chat_template(
            episode.messages[:1], add_generation_prompt=True, tokenize=False
        )
        assert tokenizer.decode(episode.prompt_ids) == opening
        own = [i for i, m in zip(episode.completion_ids, episode.mask, strict=True) if m]
        assert tokenizer.decode(own, skip_special_tokens=True) == "".join(
            step.reply for step in episode.steps
        )


def test_a_record_with_tokens_survives_the_file(sampled: list[Trajectory], tmp_path: Path) -> None:
    for episode in sampled:
        assert Trajectory.from_json(episode.to_json()).completion_ids == episode.completion_ids
