"""Who acts: what the rollout engine asks of a policy."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Protocol

from mledojo_env import Observation, Task
from mledojo_train.codec import Message


@dataclass(frozen=True)
class Reply:
    """One turn of the policy.

    `token_ids` and `logprobs` are there only where the policy samples tokens itself: the exact ids, the
    end-of-turn token included, and their natural-log probabilities under the sampling distribution.
    """

    text: str
    token_ids: list[int] = field(default_factory=list)
    logprobs: list[float] = field(default_factory=list)
    out_of_tokens: bool = False  # the episode's token budget ends here


@dataclass(frozen=True)
class TokenRecord:
    """An episode as token ids: `completion_ids` hold policy tokens (mask 1) and observations (mask 0).

    All of `completion_ids`, `mask` and `logprobs` have the same length; the log-prob of an observed token is 0.
    """

    prompt_ids: list[int]
    completion_ids: list[int]
    mask: list[int]
    logprobs: list[float]


class Actor(Protocol):
    """A policy within one episode."""

    async def act(self, observation: Observation) -> Reply:
        """Reply to an observation (the first is what `reset` gave)."""
        ...

    def tokens(self) -> TokenRecord | None:
        """Return the episode's tokens so far; None for a policy without tokens."""
        ...


class Policy(Protocol):
    """A named way of acting; makes one actor an episode."""

    name: str

    def start(self, task: Task, conversation: list[Message], seed: int) -> Actor:
        """Return an actor for an episode that opens with `conversation` (system and user messages)."""
        ...
