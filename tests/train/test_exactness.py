"""The trainer learns from what was sampled: ids, masks and log-probs of whole episodes, as properties.

The Qwen3 template is TRL's copy of the original: it renders the last turn unlike earlier ones, and drops the
thinking of earlier turns.
"""

import asyncio
import copy
from pathlib import Path
from typing import Any

import pytest
import torch
import trl
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mledojo_env.sandbox.local import LocalSandbox
from mledojo_train.codec import FencedCodec, Message, ToolCallCodec
from mledojo_train.generation import Sampling
from mledojo_train.generation.in_process import TransformersGenerator
from mledojo_train.policy.conversation import ConversationTokens
from mledojo_train.policy.local import ModelPolicy
from mledojo_train.rollout import EpisodeOptions, RolloutEngine, spread
from mledojo_train.trajectory import Trajectory

SHIPPED = Path(trl.__file__).parent / "chat_templates"
TEMPLATES = {
    "nano": None,
    "qwen3": SHIPPED / "qwen3.jinja",
    "qwen3, thinking kept": SHIPPED / "qwen3_training.jinja",
    "smollm2": Path(__file__).parent / "templates" / "smollm2_style.jinja",
}
CODECS = {"fenced": FencedCodec(), "tools": ToolCallCodec()}
OPENINGS: list[list[Message]] = [
    [{"role": "user", "content": "domain: tabular\npredict: number"}],
    [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Begin."}],
]

# Text without special tokens; a turn that begins with a blank may be tokenised as one with what precedes it.
text = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\r"), max_size=40).filter(
    lambda found: "<|" not in found and "think>" not in found and "tool_response" not in found
)
reply = st.builds("{}{}".format, st.sampled_from(["```execute_code\n", "I say ", "é"]), text)
turns = st.lists(st.tuples(reply, text), min_size=1, max_size=4)
many = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@pytest.fixture(params=TEMPLATES)
def tokenizer(request: pytest.FixtureRequest, nano: tuple[Any, Any]) -> Any:
    made, template = copy.deepcopy(nano[1]), TEMPLATES[request.param]
    if template is not None:
        made.chat_template = template.read_text()
    made.thinks = "thinking kept" in request.param
    return made


def ids_of(tokenizer: Any, said: str) -> list[int]:
    return list(tokenizer(said, add_special_tokens=False)["input_ids"])


@pytest.mark.parametrize("codec", CODECS.values(), ids=CODECS)
@many
@given(conversation=turns, opening=st.sampled_from(OPENINGS))
def test_the_ids_are_those_of_the_rendered_conversation(
    tokenizer: Any, codec: Any, conversation: list[tuple[str, str]], opening: list[Message]
) -> None:
    """Before every turn, what the model is shown is what the template renders of all there was."""
    tokens = ConversationTokens(tokenizer, opening, codec.tools)
    messages = list(opening)
    for said, observed in conversation:
        if tokenizer.thinks:
            said = f"<think>\nhm\n</think>\n\n{said}"
        turn = [*ids_of(tokenizer, said), tokenizer.eos_token_id]
        assert tokens.add_completion(turn, [-0.5] * len(turn)) == said
        message = codec.observation(observed)
        tokens.add_observation(message)
        messages += [{"role": "assistant", "content": said}, message]
        rendered = tokenizer.apply_chat_template(
            messages, tools=codec.tools, add_generation_prompt=True, tokenize=False
        )
        assert tokens.ids == ids_of(tokenizer, rendered)


@many
@given(conversation=turns, cut=st.booleans())
def test_the_mask_covers_exactly_the_policys_tokens(
    tokenizer: Any, conversation: list[tuple[str, str]], cut: bool
) -> None:
    tokens = ConversationTokens(tokenizer, OPENINGS[0])
    sampled: list[int] = []
    for said, observed in conversation:
        turn = [*ids_of(tokenizer, said), *([] if cut else [tokenizer.eos_token_id])]
        sampled += turn
        tokens.add_completion(turn, [-0.5] * len(turn))
        tokens.add_observation({"role": "user", "content": observed})
    record = tokens.record()
    marked = list(zip(record.completion_ids, record.mask, record.logprobs, strict=True))
    assert [token for token, is_policy, _ in marked if is_policy] == sampled
    assert all((is_policy == 1) == (logprob == -0.5) for _, is_policy, logprob in marked)


@pytest.fixture(scope="module")
def sandbox() -> Any:
    with LocalSandbox() as made:
        yield made


def play(sandbox: Any, nano: tuple[Any, Any], temperature: float, concurrent: int) -> list[Trajectory]:
    model, tokenizer = nano
    codec = FencedCodec()
    generator = TransformersGenerator(model, tokenizer, Sampling(temperature=temperature))
    policy = ModelPolicy("nano", generator, tokenizer, codec, max_new_tokens=24, max_tokens=400)
    options = EpisodeOptions(max_steps=3, prompt_style="brief", max_concurrent_episodes=concurrent)
    tasks = ["offline/concrete-strength", "offline/hotel-rates", "offline/traffic-stops"]
    try:
        return asyncio.run(RolloutEngine(sandbox, codec, options).run(policy, spread(tasks, 2, 0)))
    finally:
        generator.close()


def test_logprobs_of_whole_episodes_equal_a_teacher_forced_pass(sandbox: Any, nano: tuple[Any, Any]) -> None:
    for episode in play(sandbox, nano, 0.9, 6):
        ids = torch.tensor([episode.prompt_ids + episode.completion_ids])
        with torch.no_grad():
            logits = nano[0](ids).logits[0].float() / 0.9
        start = len(episode.prompt_ids)
        expected = logits.log_softmax(-1)[start - 1 : -1]
        for place, (token, is_policy, logprob) in enumerate(
            zip(episode.completion_ids, episode.mask, episode.logprobs, strict=True)
        ):
            if is_policy:
                assert logprob == pytest.approx(float(expected[place, token]), abs=1e-3)


def test_a_greedy_model_plays_the_same_episodes_at_any_concurrency(
    sandbox: Any, nano: tuple[Any, Any]
) -> None:
    one, six = (play(sandbox, nano, 0.0, concurrent) for concurrent in (1, 6))
    for alone, together in zip(one, six, strict=True):
        assert alone.completion_ids == together.completion_ids
        assert (alone.mask, alone.reward) == (together.mask, together.reward)
