"""A model of ours as a policy: a checkpoint folder or hub name, with or without a LoRA adapter."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mledojo_env import Observation, Task
from mledojo_env.errors import ConfigError
from mledojo_train.codec import Codec, Message
from mledojo_train.generation import Generator, Sampling, StopRule
from mledojo_train.generation.in_process import TransformersGenerator
from mledojo_train.policy.base import Reply, TokenRecord
from mledojo_train.policy.checkpoint import check_model_path
from mledojo_train.policy.conversation import ConversationTokens

if TYPE_CHECKING:
    from transformers import PreTrainedModel


class ModelPolicy:
    """Samples replies from a generator; every episode keeps its exact token ids.

    `max_tokens` bounds an episode, prompt and observations included.
    """

    def __init__(
        self,
        name: str,
        generator: Generator,
        tokenizer: Any,
        codec: Codec,
        *,
        max_new_tokens: int,
        max_tokens: int,
        on_close: Callable[[], None] | None = None,
    ) -> None:
        self.name = name
        self._generator, self._tokenizer, self._codec = generator, tokenizer, codec
        self._max_new_tokens, self._max_tokens = max_new_tokens, max_tokens
        self._on_close = on_close

    def start(self, task: Task, conversation: list[Message], seed: int) -> ModelActor:
        """Return an actor; `seed` is unused, for sampling draws from the process-wide generator."""
        tokens = ConversationTokens(self._tokenizer, conversation, self._codec.tools)
        return ModelActor(self._generator, self._codec, tokens, self._max_new_tokens, self._max_tokens)

    async def aclose(self) -> None:
        """Release the generator's thread, where this policy owns it."""
        if self._on_close:
            self._on_close()


class ModelActor:
    """One episode of a `ModelPolicy`."""

    def __init__(
        self,
        generator: Generator,
        codec: Codec,
        tokens: ConversationTokens,
        max_new_tokens: int,
        max_tokens: int,
    ) -> None:
        self._generator, self._codec, self._tokens = generator, codec, tokens
        self._max_new_tokens, self._max_tokens = max_new_tokens, max_tokens
        self._stop = StopRule(codec.endings, codec.is_over)
        self._started = False

    async def act(self, observation: Observation) -> Reply:
        """Append the observation, sample a turn, and read its action."""
        if self._started:
            self._tokens.add_observation(self._codec.observation(observation.to_text()))
        self._started = True
        room = min(self._max_new_tokens, self._max_tokens - len(self._tokens))
        if room < 1:
            message: Message = {"role": "assistant", "content": ""}
            return Reply(message, self._codec.parse(""), out_of_tokens=True)
        began = time.monotonic()
        read = len(self._tokens)
        completion = await self._generator.generate(self._tokens.ids, room, self._stop)
        text = self._tokens.add_completion(completion.token_ids, completion.logprobs)
        return Reply(
            {"role": "assistant", "content": text},
            self._codec.parse(text),
            time.monotonic() - began,
            policy_version=completion.version,
            prompt_tokens=read,
            completion_tokens=len(completion.token_ids),
        )

    def tokens(self) -> TokenRecord:
        """Return the episode's exact tokens so far."""
        return self._tokens.record()


def load_model(path: str, *, adapter: str | None = None, dtype: str = "auto") -> tuple[PreTrainedModel, Any]:
    """Load a causal language model and its tokenizer, an adapter on top if one is named.

    `path` is a checkpoint folder, an adapter folder (its base model is loaded first) or a hub name.

    Raises:
        ConfigError: If there is no such model; says what was looked for.
    """
    import torch
    from peft import PeftConfig, PeftModel
    from transformers import AutoModelForCausalLM, AutoTokenizer
    from transformers.utils import logging

    logging.disable_progress_bar()
    if adapter is None and (Path(path) / "adapter_config.json").is_file():
        path, adapter = str(PeftConfig.from_pretrained(path).base_model_name_or_path), path
    for place in filter(None, (path, adapter)):
        check_model_path(place)
    try:
        tokenizer = AutoTokenizer.from_pretrained(adapter or path)
    except (OSError, ValueError):
        tokenizer = AutoTokenizer.from_pretrained(path)
    try:
        model: Any = AutoModelForCausalLM.from_pretrained(path, dtype=dtype)
        if adapter:
            model = PeftModel.from_pretrained(model, adapter).merge_and_unload()
    except (OSError, ValueError) as error:
        raise ConfigError(f"Cannot load the model {path!r}: {error}") from error
    device = "cuda" if torch.cuda.is_available() else "cpu"
    return model.to(device).eval(), tokenizer


def load_policy_model(
    name: str, path: str, codec: Codec, sampling: Sampling, *, adapter: str | None, max_tokens: int
) -> ModelPolicy:
    """Return a policy that samples from a freshly loaded checkpoint."""
    model, tokenizer = load_model(path, adapter=adapter)
    generator = TransformersGenerator(model, tokenizer, sampling)
    return ModelPolicy(
        name,
        generator,
        tokenizer,
        codec,
        max_new_tokens=sampling.max_new_tokens,
        max_tokens=max_tokens,
        on_close=generator.close,
    )
