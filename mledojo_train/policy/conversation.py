"""A conversation as token ids that are never tokenised twice.

The policy's tokens stay as they were sampled; an observation is appended as the chat template's delta. A
re-rendered conversation may tokenise differently (or, with Qwen3, lose the thinking of earlier turns), and
the trainer would then compute log-probs of tokens that were never sampled.
"""

from __future__ import annotations

from typing import Any

from mledojo_train.codec import Message
from mledojo_train.policy.base import TokenRecord

_ASKED, _REPLIED = "stand-in question", "stand-in reply"
_STAND_IN: list[Message] = [{"role": "user", "content": _ASKED}, {"role": "assistant", "content": _REPLIED}]


class ConversationTokens:
    """The ids of one episode's conversation, with masks and log-probs."""

    def __init__(
        self, tokenizer: Any, opening: list[Message], tools: list[dict[str, Any]] | None = None
    ) -> None:
        self._tokenizer, self._tools = tokenizer, tools
        self._end = tokenizer.eos_token
        self.prompt_ids = self._encode(self._render(opening, generate=True))
        self._ids: list[int] = []
        self._mask: list[int] = []
        self._logprobs: list[float] = []

    def __len__(self) -> int:
        return len(self.prompt_ids) + len(self._ids)

    @property
    def ids(self) -> list[int]:
        """All ids so far: what the next turn is sampled after."""
        return self.prompt_ids + self._ids

    def add_completion(self, token_ids: list[int], logprobs: list[float]) -> str:
        """Append a sampled turn and return its text without special tokens."""
        self._ids += token_ids
        self._mask += [1] * len(token_ids)
        self._logprobs += logprobs
        return str(self._tokenizer.decode(token_ids, skip_special_tokens=True))

    def add_observation(self, message: Message) -> None:
        """Append what the template puts between the end of a turn and the start of the next."""
        delta = self._encode(self._delta(message))
        if self._ids and self._ids[-1] != self._tokenizer.eos_token_id:
            delta = [self._tokenizer.eos_token_id, *delta]  # a turn cut by its token limit is closed for it
        self._ids += delta
        self._mask += [0] * len(delta)
        self._logprobs += [0.0] * len(delta)

    def record(self) -> TokenRecord:
        """Return the episode so far, without observations that no turn answered."""
        end = max((i + 1 for i, is_policy in enumerate(self._mask) if is_policy), default=0)
        return TokenRecord(self.prompt_ids, self._ids[:end], self._mask[:end], self._logprobs[:end])

    def _delta(self, message: Message) -> str:
        before = self._render(_STAND_IN, generate=False)
        before = before[: before.rindex(self._end) + len(self._end)]
        after = self._render([*_STAND_IN, message], generate=True)
        if not after.startswith(before):
            # Some templates render earlier turns anew once another follows: anchor at the stand-in's end.
            start = after.index(self._end, after.index(_REPLIED)) + len(self._end)
            return after[start:]
        return after[len(before) :]

    def _render(self, messages: list[Message], *, generate: bool) -> str:
        return str(
            self._tokenizer.apply_chat_template(
                messages, tools=self._tools, add_generation_prompt=generate, tokenize=False
            )
        )

    def _encode(self, text: str) -> list[int]:
        return list(self._tokenizer(text, add_special_tokens=False)["input_ids"])
