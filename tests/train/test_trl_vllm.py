"""TRL's vLLM as a generator, with a stand-in for vLLM itself that says what it is told to."""

import asyncio
from typing import Any

import pytest

from mledojo_train.codec import FencedCodec
from mledojo_train.generation import Sampling, StopRule
from mledojo_train.generation.trl_vllm import TRLVLLMGenerator

CODEC = FencedCodec()
STOP = StopRule(CODEC.endings, CODEC.is_over)


class Stub:
    """Has what TRL 1.16's `VLLMGeneration` has: settings, and `generate` with its signature and answer."""

    def __init__(self, tokenizer: Any, *said: str) -> None:
        self.tokenizer, self.said = tokenizer, list(said)
        self.max_completion_length, self.generation_kwargs = 1000, {"min_tokens": 1}
        self.calls: list[tuple[list[list[int]], int, dict[str, Any]]] = []

    def generate(
        self, prompts: list[list[int]], images: None, num_generations: int, profiler: Any = None
    ) -> tuple[Any, ...]:
        assert num_generations == 1 and images is None
        self.calls.append((prompts, self.max_completion_length, self.generation_kwargs))
        ids = [self._turn() for _ in prompts]
        return prompts, ids, [[[-0.25] for _ in row] for row in ids], [[[t] for t in row] for row in ids]

    def _turn(self) -> list[int]:
        said = self.said.pop(0)
        ids = self.tokenizer(said.removesuffix("<eos>"), add_special_tokens=False)["input_ids"]
        return [*ids, self.tokenizer.eos_token_id] if said.endswith("<eos>") else ids


def ask(stub: Stub, limits: list[int], stop: StopRule | None = STOP) -> list[Any]:
    generator = TRLVLLMGenerator(stub, stub.tokenizer, Sampling(), version=3)

    async def all_at_once() -> list[Any]:
        return await asyncio.gather(*(generator.generate([5, 6], limit, stop) for limit in limits))

    try:
        return asyncio.run(all_at_once())
    finally:
        generator.close()


def test_a_batch_is_one_call_and_settings_are_as_before(nano: tuple[Any, Any]) -> None:
    stub = Stub(nano[1], "```reset\n```\n", "I give up<eos>")
    first, second = ask(stub, [100, 80])
    assert nano[1].decode(first.token_ids) == "```reset\n```\n"
    assert second.token_ids[-1] == nano[1].eos_token_id
    assert all(c.version == 3 and c.logprobs == [-0.25] * len(c.token_ids) for c in (first, second))
    ((prompts, limit, settings),) = stub.calls
    assert (prompts, limit) == ([[5, 6], [5, 6]], 100)
    assert settings == {"min_tokens": 1, "stop": ["```\n"], "include_stop_str_in_output": True}
    assert (stub.max_completion_length, stub.generation_kwargs) == (1000, {"min_tokens": 1})


def test_what_stopped_inside_an_action_goes_on_from_there(nano: tuple[Any, Any]) -> None:
    stub = Stub(nano[1], "```python\nx\n```\n", "```reset\n```\n")
    (completion,) = ask(stub, [100])
    assert nano[1].decode(completion.token_ids) == "```python\nx\n```\n```reset\n```\n"
    assert len(completion.logprobs) == len(completion.token_ids)
    begun = stub.calls[1][0][0]
    assert nano[1].decode(begun[2:]) == "```python\nx\n```\n"
    assert stub.calls[1][1] == 100 - len(begun[2:])


@pytest.mark.parametrize("stop", [STOP, None])
def test_the_limit_of_each_request_holds(nano: tuple[Any, Any], stop: StopRule | None) -> None:
    stub = Stub(nano[1], "word " * 50, "word " * 50)
    short, long = ask(stub, [3, 20], stop)
    assert (len(short.token_ids), len(long.token_ids)) == (3, 20)
