import asyncio
import time
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from mledojo_train.codec import FencedCodec
from mledojo_train.generation import Sampling, StopRule
from mledojo_train.generation.batching import Request
from mledojo_train.generation.in_process import TransformersGenerator, _TurnsOver


def generate(
    nano: tuple[Any, Any], prompts: list[list[int]], sampling: Sampling, limit: int = 20
) -> list[Any]:
    model, tokenizer = nano
    generator = TransformersGenerator(model, tokenizer, sampling)

    async def all_at_once() -> list[Any]:
        return await asyncio.gather(*(generator.generate(prompt, limit) for prompt in prompts))

    try:
        return asyncio.run(all_at_once())
    finally:
        generator.close()


@pytest.mark.parametrize("temperature", [1.0, 0.7])
def test_logprobs_equal_a_teacher_forced_forward_pass(nano: tuple[Any, Any], temperature: float) -> None:
    model, _ = nano
    prompts = [[5, 9, 11], [7] * 12, [40, 41, 42, 43, 44]]  # of different length: padding must not matter
    for prompt, completion in zip(
        prompts, generate(nano, prompts, Sampling(temperature=temperature)), strict=True
    ):
        ids = torch.tensor([prompt + completion.token_ids])
        with torch.no_grad():
            logits = model(ids).logits[0, len(prompt) - 1 : -1] / temperature
        expected = logits.log_softmax(-1)[range(len(completion.token_ids)), completion.token_ids]
        assert torch.allclose(torch.tensor(completion.logprobs), expected, atol=1e-3)


def test_greedy_decoding_does_not_depend_on_the_batch(nano: tuple[Any, Any]) -> None:
    prompts = [[5, 9, 11], [7] * 12, [40, 41]]
    sampling = Sampling(temperature=0)
    together = generate(nano, prompts, sampling)
    alone = [generate(nano, [prompt], sampling)[0] for prompt in prompts]
    assert [c.token_ids for c in together] == [c.token_ids for c in alone]


def test_the_end_of_turn_token_is_kept_and_nothing_after_it(nano: tuple[Any, Any]) -> None:
    model, tokenizer = nano
    generator = TransformersGenerator(model, tokenizer, Sampling())
    completion = generator._cut([5, 6, tokenizer.eos_token_id, 7], [-1.0, -2.0, -3.0, -4.0], 10)
    assert completion.token_ids == [5, 6, tokenizer.eos_token_id]
    assert completion.logprobs == [-1.0, -2.0, -3.0]
    assert generator._cut([5, 6, 7], [0.0] * 3, 2).token_ids == [5, 6]
    generator.close()


def test_a_model_that_fails_fails_its_requests_and_not_the_loop(nano: tuple[Any, Any]) -> None:
    with pytest.raises(IndexError):
        generate(nano, [[10**6]], Sampling())
    assert generate(nano, [[5, 6]], Sampling())[0].token_ids


@pytest.mark.parametrize("bad", [{"temperature": -1}, {"top_p": 0}, {"top_k": -1}, {"max_new_tokens": 0}])
def test_impossible_sampling_is_refused(bad: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="expected"):
        Sampling(**bad)  # type: ignore[arg-type]


def test_a_turn_ends_with_its_action(nano: tuple[Any, Any]) -> None:
    """Rows stop by themselves, each at its own token, and what counts is decoded as the action."""
    _, tokenizer = nano
    said = ["```reset\n```\nand so on, and so on", "```python\nx\n```\n```reset\n```\nmore"]
    ids = [tokenizer(text, add_special_tokens=False)["input_ids"] for text in said]
    codec = FencedCodec()
    stop = StopRule(codec.endings, codec.is_over)
    waiting: Any = SimpleNamespace(done=lambda: False)
    over = _TurnsOver(tokenizer, 0, [Request([], 100, stop, waiting) for _ in said])
    for length in range(1, max(map(len, ids)) + 1):
        rows = torch.tensor([row[:length] + row[-1:] * (length - len(row)) for row in ids])
        over(rows, None)
    ends = [tokenizer.decode(row[:end]) for row, end in zip(ids, over.lengths, strict=True)]
    for end, text in zip(ends, said, strict=True):
        assert text.startswith(end) and codec.is_over(end)
        assert len(end) - end.rindex("```") <= len("```\n")


def test_a_row_ends_at_its_own_limit_while_others_go_on(nano: tuple[Any, Any]) -> None:
    model, tokenizer = nano
    generator = TransformersGenerator(model, tokenizer, Sampling(temperature=1.0), version=7)

    async def both() -> list[Any]:
        return await asyncio.gather(generator.generate([5, 9], 2), generator.generate([5, 9, 4], 12))

    try:
        short, long = asyncio.run(both())
    finally:
        generator.close()
    assert len(short.token_ids) == len(short.logprobs) <= 2 < 12
    assert len(long.token_ids) == len(long.logprobs) <= 12
    assert short.version == long.version == 7


def test_a_batch_that_nobody_waits_for_ends_at_once(nano: tuple[Any, Any]) -> None:
    model, tokenizer = nano
    generator = TransformersGenerator(model, tokenizer, Sampling(temperature=1.0))
    generator._eos = [10**6]  # so that only the limit would end it

    async def ask_and_leave() -> None:
        asked = asyncio.create_task(generator.generate([5, 9], 100_000))
        await asyncio.sleep(0.5)
        asked.cancel()
        await asyncio.wait([asked])

    asyncio.run(ask_and_leave())
    began = time.monotonic()
    generator.close()
    assert time.monotonic() - began < 1


def test_a_batch_is_who_waits_longest_and_those_of_its_length(nano: tuple[Any, Any]) -> None:
    model, tokenizer = nano
    generator = TransformersGenerator(model, tokenizer, Sampling(max_batch_size=2))
    waiting: Any = SimpleNamespace(done=lambda: False)
    gone: Any = SimpleNamespace(done=lambda: True)
    generator._waiting = [
        Request([1] * length, 5, None, answer)
        for length, answer in ((9, gone), (50, waiting), (3, waiting), (48, waiting), (4, waiting))
    ]
    batches = [[len(request.prompt_ids) for request in generator._next_batch()] for _ in range(3)]
    assert batches == [[50, 48], [3, 4], []]
    generator.close()
