"""Policies by name: `scripted:<skill>`, `local:<path>[+adapter]` and `openai:<model>`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mledojo_env.errors import ConfigError, did_you_mean
from mledojo_train.codec import Codec
from mledojo_train.policy.base import Actor, Policy, Reply, TokenRecord
from mledojo_train.policy.checkpoint import check_model_path
from mledojo_train.policy.endpoint_options import EndpointOptions
from mledojo_train.policy.scripted import SKILLS, ScriptedPolicy

if TYPE_CHECKING:
    from mledojo_train.generation import Sampling

__all__ = [
    "SKILLS",
    "Actor",
    "EndpointOptions",
    "Policy",
    "Reply",
    "ScriptedPolicy",
    "TokenRecord",
    "check_policy",
    "load_policy",
]

KINDS = ("scripted", "local", "openai")


def load_policy(
    spec: str,
    codec: Codec,
    sampling: Sampling | None = None,
    *,
    max_tokens: int = 8192,
    endpoint: EndpointOptions | None = None,
) -> Policy:
    """Return the policy that a spec names.

    Args:
        spec: `scripted:<skill>`, `local:<folder or hub name>`, `local:<model>+<adapter folder>` or
            `openai:<model>`.
        codec: The action format that it writes.
        sampling: How a model's tokens are drawn; scripted policies have no use for it.
        max_tokens: Token budget of an episode, prompt and observations included.
        endpoint: Where an `openai:` model is, and what it may cost.

    Raises:
        ConfigError: If the kind, skill or model is unknown; names the nearest.
    """
    check_policy(spec)
    kind, _, rest = spec.partition(":")
    if kind == "scripted":
        return ScriptedPolicy(rest, codec)
    from mledojo_train.generation import Sampling

    sampling = sampling or Sampling()
    if kind == "openai":
        from mledojo_train.policy.endpoint import EndpointPolicy

        return EndpointPolicy(
            spec,
            rest,
            codec,
            endpoint or EndpointOptions(),
            temperature=sampling.temperature,
            max_new_tokens=sampling.max_new_tokens,
            max_tokens=max_tokens,
        )
    from mledojo_train.policy.local import load_policy_model

    path, _, adapter = rest.partition("+")
    return load_policy_model(spec, path, codec, sampling, adapter=adapter or None, max_tokens=max_tokens)


def check_policy(spec: str) -> None:
    """Check a spec at no cost: a run names its policies hours before the last of them acts.

    Raises:
        ConfigError: If the kind, the skill or a model's folder is unknown.
    """
    kind, _, rest = spec.partition(":")
    if kind == "scripted":
        ScriptedPolicy(rest)
    elif kind == "local" and rest:
        for place in filter(None, rest.partition("+")[::2]):
            check_model_path(place)
    elif kind == "openai" and rest:
        from mledojo_train.policy.endpoint import check_client

        check_client()
    else:
        raise ConfigError(
            f"Unknown policy {spec!r}; expected scripted:<skill>, local:<path>[+adapter] or openai:<model>."
            f"{did_you_mean(kind, KINDS)}"
        )
