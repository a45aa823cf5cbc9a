"""Token ids in, token ids and log-probs out: what a sampling policy needs of a model."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True)
class Sampling:
    """How tokens are drawn. Temperature 0 is greedy; `top_k` 0 and `top_p` 1 leave the distribution whole."""

    temperature: float = 0.8
    top_p: float = 1.0
    top_k: int = 0
    max_new_tokens: int = 512  # a turn
    max_batch_size: int = 64
    batch_wait_s: float = 0.02  # how long a batch stays open for more requests

    def __post_init__(self) -> None:
        if self.temperature < 0 or not 0 < self.top_p <= 1 or self.top_k < 0:
            raise ValueError(
                f"temperature {self.temperature}, top_p {self.top_p}, top_k {self.top_k}: expected "
                "temperature >= 0, 0 < top_p <= 1, top_k >= 0."
            )
        if self.max_new_tokens < 1 or self.max_batch_size < 1:
            raise ValueError(
                f"max_new_tokens {self.max_new_tokens}, max_batch_size {self.max_batch_size}: "
                "expected at least 1."
            )


@dataclass(frozen=True)
class Completion:
    """A sampled turn.

    `token_ids` hold the end-of-turn token, if it was reached; `logprobs` are of the same length, under the
    distribution that was sampled from. `version` counts the weight updates that its policy had seen.
    """

    token_ids: list[int]
    logprobs: list[float]
    version: int = 0


@dataclass(frozen=True)
class StopRule:
    """When a turn is over before its end-of-turn token: once its text holds a whole action.

    `is_over` decides on the text so far (special tokens left out). It can turn true only with a token that
    completes one of `strings`, so that a generator need not ask after every token.
    """

    strings: tuple[str, ...]
    is_over: Callable[[str], bool]


class Generator(Protocol):
    """Samples turns for many episodes at once. Used from one event loop at a time."""

    generated_tokens: int  # so far
    busy_s: float  # wall clock in which at least one request was being generated

    async def generate(
        self, prompt_ids: Sequence[int], max_new_tokens: int, stop: StopRule | None = None
    ) -> Completion:
        """Return a completion of at most `max_new_tokens` tokens; cancelling the call frees its place."""
        ...

    def close(self) -> None:
        """Release threads and connections; safe to call again."""
        ...
