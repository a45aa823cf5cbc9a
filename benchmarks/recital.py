"""A model that recites: every loop that generates with it plays the same episodes.

It has the weights of a tiny Llama, so that trainers can train it, but `generate` returns the turns that it
was given. Which turn is next is read off the prompt: as many as it holds turns of the assistant already.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import torch
from transformers import LlamaConfig, LlamaForCausalLM

_HEADER = "<|im_start|>assistant"


class RecitalModel(LlamaForCausalLM):
    """Says `turns[n]` as the n-th turn of each conversation, and nothing (an end of turn) after the last."""

    def __init__(self, tokenizer: Any, turns: Sequence[str], positions: int = 32_768) -> None:
        super().__init__(
            LlamaConfig(
                vocab_size=len(tokenizer),
                hidden_size=32,
                intermediate_size=64,
                num_hidden_layers=1,
                num_attention_heads=2,
                num_key_value_heads=2,
                max_position_embeddings=positions,
                bos_token_id=None,
                eos_token_id=tokenizer.eos_token_id,
                pad_token_id=tokenizer.pad_token_id,
            )
        )
        self._tokenizer = tokenizer
        said = [tokenizer(turn, add_special_tokens=False)["input_ids"] for turn in turns]
        self._turns = [[*ids, tokenizer.eos_token_id] for ids in said]

    def generate(  # type: ignore[override]
        self, input_ids: torch.Tensor, logits_processor: Any = None, stopping_criteria: Any = None, **_: Any
    ) -> torch.Tensor:
        """Return prompts with their next turns, shape (batch, longest); processors see uniform scores."""
        new = [self._next(row) for row in self._tokenizer.batch_decode(input_ids)]
        longest, pad = max(map(len, new)), self._tokenizer.pad_token_id
        said = torch.tensor([ids + [pad] * (longest - len(ids)) for ids in new])
        output = torch.cat([input_ids, said], dim=1)
        scores = torch.zeros(len(new), self.config.vocab_size)
        for length in range(input_ids.shape[1], output.shape[1]):
            for processor in logits_processor or ():
                processor(output[:, :length], scores)
        return output

    def _next(self, conversation: str) -> list[int]:
        place = conversation.count(_HEADER) - 1
        return self._turns[place] if place < len(self._turns) else [self._tokenizer.eos_token_id]


def tool_call(name: str, **arguments: Any) -> str:
    """Return a turn that calls a tool, as Qwen3 writes it."""
    return f"<tool_call>\n{json.dumps({'name': name, 'arguments': arguments})}\n</tool_call>"


def qwen_tokenizer(tokenizer: Any) -> Any:
    """Return a tokenizer with Qwen3's chat template, TRL's copy of it, whose tool calls TRL can read."""
    from pathlib import Path

    import trl

    tokenizer.chat_template = (Path(trl.__file__).parent / "chat_templates" / "qwen3.jinja").read_text()
    return tokenizer
