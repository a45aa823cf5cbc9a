"""The in-process generator: many episodes share one transformers model."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from transformers import (
    LogitsProcessor,
    LogitsProcessorList,
    StoppingCriteria,
    StoppingCriteriaList,
    TemperatureLogitsWarper,
    TopKLogitsWarper,
    TopPLogitsWarper,
)

from mledojo_train.generation.base import Completion, Sampling
from mledojo_train.generation.batching import BatchingGenerator, Request

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase


class TransformersGenerator(BatchingGenerator):
    """Turns batches into calls of `model.generate`, one after another.

    `version` is what its completions say of the weights that made them.
    """

    def __init__(
        self,
        model: PreTrainedModel,
        tokenizer: PreTrainedTokenizerBase,
        sampling: Sampling,
        *,
        version: int = 0,
    ) -> None:
        # Half of the cores on a CPU: scripts run meanwhile, and OpenMP's threads spin while they wait.
        threads = max(1, torch.get_num_threads() // 2)
        super().__init__(sampling, lambda: torch.set_num_threads(threads))
        self._model, self._tokenizer, self._version = model, tokenizer, version
        self._eos = stop_ids(model, tokenizer)
        self._pad = tokenizer.pad_token_id if tokenizer.pad_token_id is not None else self._eos[0]

    def _generate_batch(self, batch: list[Request]) -> list[Completion]:
        """Sample every request of a batch; prompts are padded on the left, shape (batch, longest)."""
        longest = max(len(request.prompt_ids) for request in batch)
        ids = torch.full((len(batch), longest), self._pad, dtype=torch.long)
        mask = torch.zeros_like(ids)
        for row, request in enumerate(batch):
            ids[row, longest - len(request.prompt_ids) :] = torch.tensor(request.prompt_ids)
            mask[row, longest - len(request.prompt_ids) :] = 1
        model: Any = self._model  # `generate` is untyped
        device = model.device
        record = _RecordLogprobs()
        over = _TurnsOver(self._tokenizer, longest, batch)
        with torch.no_grad():
            output = model.generate(
                input_ids=ids.to(device),
                attention_mask=mask.to(device),
                max_new_tokens=max(request.max_new_tokens for request in batch),
                eos_token_id=self._eos,
                pad_token_id=self._pad,
                # transformers runs given processors before its own warpers: bring ours along, record last.
                logits_processor=LogitsProcessorList([*self._warpers(), record]),
                stopping_criteria=StoppingCriteriaList([over]),
                do_sample=self._sampling.temperature > 0,
                temperature=1.0,
                top_k=0,
                top_p=1.0,
            )
        new = output[:, longest:].cpu()
        logprobs = record.finish(output).cpu()
        return [
            self._cut(new[row].tolist(), logprobs[row].tolist(), over.lengths[row])
            for row in range(len(batch))
        ]

    def _warpers(self) -> list[LogitsProcessor]:
        sampling = self._sampling
        warpers: list[LogitsProcessor] = []
        if sampling.temperature not in (0, 1):
            warpers.append(TemperatureLogitsWarper(sampling.temperature))
        if sampling.top_k:
            warpers.append(TopKLogitsWarper(sampling.top_k))
        if sampling.top_p < 1:
            warpers.append(TopPLogitsWarper(sampling.top_p))
        return warpers

    def _cut(self, ids: list[int], logprobs: list[float], limit: int) -> Completion:
        """Drop what follows the end-of-turn token or the row's own end."""
        end = next((i + 1 for i, token in enumerate(ids) if token in self._eos), len(ids))
        end = min(end, limit)
        return Completion(ids[:end], logprobs[:end], self._version)


class _TurnsOver(StoppingCriteria):
    """Ends a row with its own token limit, once its stop rule says that its turn is over, or if nobody waits.

    `lengths` are how many tokens of each row count.
    """

    def __init__(self, tokenizer: PreTrainedTokenizerBase, prompt_length: int, batch: list[Request]) -> None:
        self._tokenizer, self._start = tokenizer, prompt_length
        self._batch = batch
        self._texts: dict[int, str] = {}  # of tokens that were seen
        self._tails = [""] * len(batch)
        self._is_over = [False] * len(batch)
        self.lengths = [request.max_new_tokens for request in batch]

    def __call__(self, input_ids: torch.Tensor, scores: Any, **_: Any) -> torch.Tensor:
        length = input_ids.shape[1] - self._start
        for row, token in enumerate(input_ids[:, -1].tolist()):
            if self._is_over[row]:
                continue
            request = self._batch[row]
            at_limit = length >= request.max_new_tokens
            if at_limit or request.answer.done() or self._completes(row, token, input_ids):
                self._is_over[row], self.lengths[row] = True, min(length, request.max_new_tokens)
        return torch.tensor(self._is_over, device=input_ids.device)

    def _completes(self, row: int, token: int, input_ids: torch.Tensor) -> bool:
        rule = self._batch[row].stop
        if rule is None:
            return False
        if token not in self._texts:
            self._texts[token] = str(self._tokenizer.decode([token]))
        text = self._texts[token]
        reach = max(map(len, rule.strings))
        tail = self._tails[row] + text
        self._tails[row] = tail[-reach:]
        if not any(string in tail for string in rule.strings):
            return False
        ids = input_ids[row, self._start :].tolist()
        return rule.is_over(str(self._tokenizer.decode(ids, skip_special_tokens=True)))


class _RecordLogprobs(LogitsProcessor):
    """Keeps the log-probs of sampled tokens without keeping a step's logits longer than a step.

    `output_logits=True` would hold steps x batch x vocabulary floats: 10 GB for 16 rows of a Qwen model. The
    last processor sees the scores after temperature, top-k and top-p: the distribution that tokens are drawn
    from.
    """

    def __init__(self) -> None:
        self._scores: torch.Tensor | None = None
        self._columns: list[torch.Tensor] = []

    def __call__(self, input_ids: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
        self._take(input_ids)
        self._scores = scores
        return scores

    def finish(self, output: torch.Tensor) -> torch.Tensor:
        """Return log-probs of all new tokens, shape (batch, new tokens)."""
        self._take(output)
        return torch.stack(self._columns, dim=1)

    def _take(self, ids: torch.Tensor) -> None:
        if self._scores is not None:
            chosen = ids[:, -1:].to(self._scores.device)
            self._columns.append(self._scores.float().log_softmax(-1).gather(1, chosen).squeeze(1))
            self._scores = None


def stop_ids(model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase) -> list[int]:
    """Return every id that ends a turn: the model's and the tokenizer's, which often differ by one."""
    configured = model.generation_config.eos_token_id if model.generation_config else None
    ids = [configured] if isinstance(configured, int) else list(configured or [])
    if tokenizer.eos_token_id is not None and tokenizer.eos_token_id not in ids:
        ids.append(tokenizer.eos_token_id)
    if not ids:
        raise ValueError("Neither the model nor its tokenizer names an end-of-turn token.")
    return ids
