import ast
import asyncio
import random
from types import SimpleNamespace
from typing import Any

import pytest

from mledojo_env import Action, Observation
from mledojo_env.actions import ActionName
from mledojo_env.errors import ConfigError
from mledojo_env.observation import StepStatus
from mledojo_train.codec import FencedCodec, ToolCallCodec
from mledojo_train.policy import load_policy
from mledojo_train.policy.scripted import SKILLS, ScriptedPolicy
from mledojo_train.policy.scripts import MISTAKES, Plan, random_plan, write

OK = Observation(StepStatus.OK, "execute_code")
FAILED = Observation(StepStatus.FAILED, "execute_code", error_class="NameError")


def task(domain: str = "tabular", value: str = "number") -> Any:
    return SimpleNamespace(id="offline/x", domain=domain, submission=SimpleNamespace(value=value))


@pytest.mark.parametrize("domain", ["tabular", "time-series", "nlp", "vision", "audio"])
@pytest.mark.parametrize("output", ["label", "probability", "number"])
def test_every_plan_without_a_mistake_is_a_script(domain: str, output: str) -> None:
    rng = random.Random(0)
    scripts = {write(random_plan(rng, domain, output)) for _ in range(100)}
    assert len(scripts) > 20
    for script in scripts:
        ast.parse(script)
        assert "/data/sample_submission.csv" in script


@pytest.mark.parametrize("skill", SKILLS)
@pytest.mark.parametrize("domain", ["tabular", "nlp", "vision"])
@pytest.mark.parametrize("output", ["label", "probability", "number"])
def test_every_skill_finds_a_plan_for_every_kind(skill: str, domain: str, output: str) -> None:
    """Also one whose strong models cannot predict that kind of thing."""
    actor = ScriptedPolicy(skill).start(task(domain, output), [], 0)
    assert write(actor._new_plan())


@pytest.mark.parametrize("mistake", MISTAKES)
def test_every_mistake_changes_the_script(mistake: str) -> None:
    plan = Plan("tabular", "number", "numeric", "linear")
    assert write(plan) != write(Plan("tabular", "number", "numeric", "linear", mistake=mistake))


def replies(policy: ScriptedPolicy, seed: int, observation: Observation, turns: int = 4) -> list[Action]:
    async def play() -> list[Action]:
        actor = policy.start(task(), [], seed)
        return [(await actor.act(observation)).action for _ in range(turns)]  # type: ignore[misc]

    return asyncio.run(play())


def test_the_same_seed_gives_the_same_episode_and_another_seed_another() -> None:
    policy = ScriptedPolicy("mixed")
    assert replies(policy, 1, OK) == replies(policy, 1, OK)
    assert replies(policy, 1, OK) != replies(policy, 2, OK)


def test_a_failing_script_is_followed_by_its_repair() -> None:
    policy = ScriptedPolicy("novice")
    repaired = 0
    for seed in range(60):
        first, second = replies(policy, seed, FAILED, 2)
        if first.name is second.name and first.argument != second.argument and first.name in CODE:
            repaired += len(set(first.argument.split("\n")) ^ set(second.argument.split("\n"))) <= 4
    assert repaired > 5


CODE = (ActionName.VALIDATE_CODE, ActionName.EXECUTE_CODE)


@pytest.mark.parametrize("skill", SKILLS)
@pytest.mark.parametrize("codec", [FencedCodec(), ToolCallCodec()])
def test_every_skill_speaks_every_format(skill: str, codec: Any) -> None:
    async def play() -> None:
        actor = ScriptedPolicy(skill, codec).start(task("nlp", "label"), [], 0)
        reply = await actor.act(OK)
        assert isinstance(reply.action, Action)
        if codec.name == "fenced":
            assert codec.parse(reply.message["content"]).name is reply.action.name

    asyncio.run(play())


@pytest.mark.parametrize(
    ("spec", "hint"),
    [("scripted:mixd", "mixed"), ("scriptd:mixed", "scripted"), ("local:", "expected"), ("", "expected")],
)
def test_unknown_policies_name_the_nearest(spec: str, hint: str) -> None:
    with pytest.raises(ConfigError, match=hint):
        load_policy(spec, FencedCodec())


def test_a_model_path_that_does_not_exist_is_said_before_any_hub_is_asked() -> None:
    with pytest.raises(ConfigError, match="does not exist"):
        load_policy("local:runs/nowhere/sft", FencedCodec())
