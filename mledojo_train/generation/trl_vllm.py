"""TRL's own vLLM, colocated or as `trl vllm-serve`: what `use_vllm: true` means to users of TRL.

The trainer has synchronised its weights when rollouts begin. TRL's object generates whole batches with one
set of sampling parameters, so a turn that is over early is cut here.
"""

from __future__ import annotations

from typing import Any

from mledojo_train.generation.base import Completion, Sampling
from mledojo_train.generation.batching import BatchingGenerator, Request


class TRLVLLMGenerator(BatchingGenerator):
    """Samples with the trainer's `vllm_generation`.

    Args:
        vllm: A `trl.generation.vllm_generation.VLLMGeneration` or what has its `generate` and settings.
        tokenizer: To decode turns for their stop rules.
        sampling: Batch size and wait; temperature and the like are the trainer's.
        version: What completions say of the weights that made them.
    """

    def __init__(self, vllm: Any, tokenizer: Any, sampling: Sampling, *, version: int = 0) -> None:
        super().__init__(sampling)
        self._vllm, self._tokenizer, self._version = vllm, tokenizer, version
        self._eos = tokenizer.eos_token_id

    def _generate_batch(self, batch: list[Request]) -> list[Completion]:
        """Sample every request; those that stopped inside an action that is not whole go on."""
        found = [Completion([], [], self._version) for _ in batch]
        todo = list(range(len(batch)))
        while todo:
            room = [batch[row].max_new_tokens - len(found[row].token_ids) for row in todo]
            prompts = [batch[row].prompt_ids + found[row].token_ids for row in todo]
            turns = self._sample(prompts, max(room), batch[todo[0]])
            unfinished = []
            for row, space, (ids, logprobs) in zip(todo, room, turns, strict=True):
                found[row].token_ids.extend(ids[:space])
                found[row].logprobs.extend(logprobs[:space])
                if ids and len(ids) < space and not self._is_over(batch[row], found[row]):
                    unfinished.append(row)
            todo = unfinished
        return found

    def _sample(
        self, prompts: list[list[int]], max_tokens: int, request: Request
    ) -> list[tuple[list[int], list[float]]]:
        vllm = self._vllm
        given = vllm.max_completion_length, vllm.generation_kwargs
        vllm.max_completion_length = max_tokens
        if request.stop is not None:
            stops = {"stop": list(request.stop.strings), "include_stop_str_in_output": True}
            vllm.generation_kwargs = {**(given[1] or {}), **stops}
        try:
            _, ids, logprobs, _ = vllm.generate(prompts=prompts, images=None, num_generations=1)
        finally:
            vllm.max_completion_length, vllm.generation_kwargs = given
        # Of each token there is one log-prob: that of the one that was sampled.
        return [
            (list(row), [float(token[0]) for token in values])
            for row, values in zip(ids, logprobs, strict=True)
        ]

    def _is_over(self, request: Request, completion: Completion) -> bool:
        if self._eos in completion.token_ids[-1:] or request.stop is None or request.answer.done():
            return True
        return request.stop.is_over(
            str(self._tokenizer.decode(completion.token_ids, skip_special_tokens=True))
        )
