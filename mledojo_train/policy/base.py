"""Who acts: what the rollout engine asks of a policy."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from mledojo_env import Action, MalformedAction, Observation, Task
from mledojo_train.codec import Message


@dataclass(frozen=True)
class Reply:
    """One turn of the policy: what it wrote, and the action read from it.

    `generate_s` is the wall-clock time from request to reply. `out_of_tokens` says that the episode's token
    budget leaves no room for another turn. `policy_version` counts the weight updates before it. `cost` is in
    US dollars, None where no price is known; `reasoning` is what the model thought beside its reply.
    """

    message: Message
    action: Action | MalformedAction
    generate_s: float = 0.0
    out_of_tokens: bool = False
    policy_version: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0
    cost: float | None = None
    reasoning: str = ""


@dataclass(frozen=True)
class TokenRecord:
    """An episode as token ids: `completion_ids` hold policy tokens (mask 1) and observations (mask 0).

    `completion_ids`, `mask` and `logprobs` have the same length; the log-prob of an observed token is 0.
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

    async def aclose(self) -> None:
        """Release what the policy holds: threads, connections."""
        ...
