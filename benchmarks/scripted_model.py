"""A real model that plays a script: its `generate` answers with given turns, everything else is its own.

    model, tokenizer = load_with_tools(folder)      # any checkpoint whose tokenizer speaks ChatML
    play(model, tokenizer, [tool_call("execute_code", code=source), "I am done."])

Then it goes through TRL's own tool loop as well as through `TransformersGenerator`: the same turns on both
sides, without a model that has learnt to act. How many turns a row already holds says which comes next, so
that nothing has to be told when an episode begins.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Any

import torch

Script = Sequence[str] | Callable[[str, int], str]
"""Turns of every conversation, or a function of a conversation's text and how many turns it already holds."""

LAST_WORDS = "I am done."


def load_with_tools(folder: str) -> tuple[Any, Any]:
    """Return a ChatML checkpoint's model and tokenizer, with a chat template that knows tools: Qwen3's."""
    from trl.chat_template_utils import add_response_schema, qwen3_chat_template

    from mledojo_train.policy.local import load_model

    model, tokenizer = load_model(folder)
    tokenizer.chat_template = qwen3_chat_template
    return model, add_response_schema(tokenizer)


def tool_call(name: str, **arguments: Any) -> str:
    """Return a turn that calls a tool, as Qwen3 writes it."""
    return f"<tool_call>\n{json.dumps({'name': name, 'arguments': arguments})}\n</tool_call>"


def play(model: Any, tokenizer: Any, script: Script) -> None:
    """Make `model.generate` play a script; beyond its end every turn is `LAST_WORDS`.

    It takes what `generate` takes and heeds `input_ids` and `attention_mask`, shape (batch, prompt, padded on
    the left), `max_new_tokens` (also of a `generation_config`), `logits_processor` and `stopping_criteria`;
    it returns shape (batch, prompt + new tokens, padded on the right). Both kinds of hooks are called once a
    token, with the ids so far; scores are all equal, so a recorder sees log-probs of a uniform distribution.
    """
    player = _Player(model, tokenizer, script)
    model.generate = player.generate


class _Player:
    def __init__(self, model: Any, tokenizer: Any, script: Script) -> None:
        self._tokenizer, self._script = tokenizer, script
        self._vocabulary = model.config.vocab_size
        self._end = tokenizer.eos_token_id
        self._pad = tokenizer.pad_token_id if tokenizer.pad_token_id is not None else self._end
        self._opening = _turn_opening(tokenizer)

    @torch.no_grad()
    def generate(
        self,
        input_ids: torch.Tensor,
        attention_mask: torch.Tensor | None = None,
        generation_config: Any = None,
        logits_processor: Sequence[Any] = (),
        stopping_criteria: Sequence[Any] = (),
        max_new_tokens: int | None = None,
        **_: Any,
    ) -> torch.Tensor:
        mask = torch.ones_like(input_ids) if attention_mask is None else attention_mask
        turns = [self._turn(row[kept.bool()].tolist()) for row, kept in zip(input_ids, mask, strict=True)]
        most = max(map(len, turns))
        limit = max_new_tokens or (generation_config and generation_config.max_new_tokens) or most
        batch, prompt = input_ids.shape
        output = torch.full((batch, prompt + min(most, limit)), self._pad, dtype=torch.long)
        output = output.to(input_ids.device)
        output[:, :prompt] = input_ids
        scores = torch.zeros(batch, self._vocabulary, device=input_ids.device)
        running = torch.ones(batch, dtype=torch.bool, device=input_ids.device)
        for length in range(prompt, output.shape[1]):
            for processor in logits_processor:
                processor(output[:, :length], scores)
            tokens = [turn[length - prompt] if length - prompt < len(turn) else self._pad for turn in turns]
            column = torch.tensor(tokens, device=output.device).where(running, self._pad)
            output[:, length] = column
            running &= column != self._end
            for criterion in stopping_criteria:
                running &= ~criterion(output[:, : length + 1], scores)
            if not running.any():
                return output[:, : length + 1]
        return output

    def _turn(self, ids: list[int]) -> list[int]:
        """Return the ids of the next turn of a conversation, which ends in the opening of that turn."""
        held = _count(ids, self._opening) - 1
        if callable(self._script):
            text = self._script(self._tokenizer.decode(ids), held)
        else:
            text = self._script[held] if held < len(self._script) else LAST_WORDS
        return [*self._tokenizer(text, add_special_tokens=False)["input_ids"], self._end]


def _turn_opening(tokenizer: Any) -> list[int]:
    """Return the ids that begin every turn of the model's: the special token and the first of its role.

    What follows may merge with the turn's own text.
    """
    asked = [{"role": "user", "content": "x"}]
    plain, opened = (
        tokenizer.apply_chat_template(asked, add_generation_prompt=opens, tokenize=False)
        for opens in (False, True)
    )
    return list(tokenizer(opened.removeprefix(plain), add_special_tokens=False)["input_ids"][:2])


def _count(ids: list[int], part: list[int]) -> int:
    first, second = part
    return sum(a == first and b == second for a, b in pairwise(ids))
