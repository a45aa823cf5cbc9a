"""vLLM servers as a generator: exact token ids in and out, log-probs, LoRA adapters swapped while they serve.

Start each server with the trainer's base model, e.g.:

    VLLM_ALLOW_RUNTIME_LORA_UPDATING=True vllm serve Qwen/Qwen3-4B --enable-lora --max-lora-rank 32 \\
        --logprobs-mode processed_logprobs --port 8000

`processed_logprobs` are those of the distribution that tokens are drawn from, after temperature, top-k and
top-p, which is what the trainer's importance weights need.
"""

from __future__ import annotations

import asyncio
import shutil
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mledojo_env.errors import ConfigError, GenerationError
from mledojo_train.generation.base import Completion, Sampling, StopRule
from mledojo_train.generation.servers import Server, Servers

_KEPT = 2  # adapters on disk: the current one, and one that a request may still be using
_PROBE = "The"  # a prompt whose next word is open
_SAME_SPREAD = 0.2  # of log-probs at temperatures 1 and 2, relative, for them to be raw


@dataclass(frozen=True)
class VLLMOptions:
    """Where vLLM servers are and how patient to be with them."""

    urls: tuple[str, ...] = ("http://127.0.0.1:8000",)
    timeout_s: float = 300.0  # of one turn
    patience_s: float = 120.0  # how long to wait for a server when none answers

    def __post_init__(self) -> None:
        if not self.urls or self.timeout_s <= 0 or self.patience_s <= 0:
            raise ValueError(
                f"urls {self.urls}, timeout_s {self.timeout_s}, patience_s {self.patience_s}: expected at "
                "least one url, and more than 0 seconds."
            )


class VLLMGenerator:
    """Samples turns from vLLM servers.

    Args:
        options: Where the servers are.
        model: Name or path of the base model that they must serve.
        tokenizer: The trainer's, to decode turns for their stop rules.
        sampling: How tokens are drawn.
        leads: Whether this process gives the servers their adapters; one of a run's processes must.
    """

    def __init__(
        self, options: VLLMOptions, model: str, tokenizer: Any, sampling: Sampling, *, leads: bool = True
    ) -> None:
        self._model, self._tokenizer, self._sampling, self._leads = model, tokenizer, sampling, leads
        self._served = ""  # the base model's name there
        self._adapter: _Adapter | None = None
        self._swap = asyncio.Lock()
        self._active = 0
        self._since = 0.0
        self.generated_tokens = 0
        self.busy_s = 0.0
        self.servers = Servers(
            list(options.urls),
            timeout_s=options.timeout_s,
            patience_s=options.patience_s,
            prepare=self._bring_up_to_date,
        )

    async def check(self, *, lora: bool) -> None:
        """Check every server before anything is trained.

        Args:
            lora: Whether adapters will be swapped in.

        Raises:
            ConfigError: If one serves another model, cannot be given adapters, or returns log-probs of a
                distribution other than the one that is sampled from.
            GenerationError: If one does not answer.
        """
        for server in self.servers.servers:
            if not await self.servers.is_healthy(server):
                raise GenerationError(
                    f"{server.url} does not answer: {server.problem}. Start it, or mend vllm.urls."
                )
            models = (await self.servers.ask(server, "/v1/models", None))["data"]
            base: dict[str, Any] = next((entry for entry in models if not entry.get("parent")), {})
            if not _is_same(self._model, base.get("root") or base.get("id", "")):
                raise ConfigError(
                    f"{server.url} serves {base.get('root')!r}, and the trainer's base model is "
                    f"{self._model!r}. Start it with the trainer's model, or train the one that is served."
                )
            self._served = base["id"]
            if lora:
                await self._check_lora(server)
            if (self._sampling.temperature, self._sampling.top_p, self._sampling.top_k) != (1, 1, 0):
                await self._check_logprobs(server)

    async def _check_lora(self, server: Server) -> None:
        """Ask for nothing: a server that takes adapters says what it misses, others know no such address."""
        try:
            await self._tell(server, "load", {"lora_name": "", "lora_path": ""})
        except GenerationError:
            return
        except Exception as error:
            raise ConfigError(
                f"{server.url} takes no adapters ({error}). Start it with --enable-lora, a --max-lora-rank "
                "of at least lora.r, and VLLM_ALLOW_RUNTIME_LORA_UPDATING=True in its environment."
            ) from error

    async def _check_logprobs(self, server: Server) -> None:
        spreads = []
        for temperature in (1.0, 2.0):
            body = {"model": self._served, "prompt": _PROBE, "max_tokens": 1, "logprobs": 5}
            found = await self.servers.ask(server, "/v1/completions", {**body, "temperature": temperature})
            top = sorted(found["choices"][0]["logprobs"]["top_logprobs"][0].values(), reverse=True)
            spreads.append(top[0] - top[4])
        if spreads[1] > spreads[0] * (1 - _SAME_SPREAD):
            raise ConfigError(
                f"{server.url} returns log-probs from before the temperature is applied. Start it with "
                "--logprobs-mode processed_logprobs."
            )

    async def update(self, adapter: Path, version: int) -> None:
        """Have every server that answers use an adapter from now on; the others get it when they are back.

        Args:
            adapter: A folder that the servers can read, as peft writes it.
            version: What completions say of it; later is larger.
        """
        self._adapter = _Adapter(adapter, version)
        if self._leads:
            await asyncio.gather(*(self._try_to_update(server) for server in self.servers.servers))

    async def _try_to_update(self, server: Server) -> None:
        try:
            await self._bring_up_to_date(server)
        except GenerationError:
            raise
        except Exception as error:
            self.servers.set_aside(server, str(error))

    async def _bring_up_to_date(self, server: Server) -> None:
        """Load the current adapter on a server that has another, or that was away.

        Each version has a name of its own: requests under way end on the adapter that they began with, and
        what the prefix cache holds of an earlier one is not taken for the current one's.
        """
        adapter = self._adapter
        if adapter is None or not self._leads or server.state == adapter:
            return
        async with self._swap:
            if server.state == adapter:
                return
            before: _Adapter | None = server.state
            loaded = {"lora_name": adapter.name, "lora_path": str(adapter.path.resolve())}
            await self._tell(server, "load", {**loaded, "load_inplace": True})
            server.state = adapter
            if before is not None:
                await self._tell(server, "unload", {"lora_name": before.name})

    async def _tell(self, server: Server, what: str, body: dict[str, Any]) -> None:
        await self.servers.ask(server, f"/v1/{what}_lora_adapter", body, as_json=False)

    async def generate(
        self, prompt_ids: Sequence[int], max_new_tokens: int, stop: StopRule | None = None
    ) -> Completion:
        """Return a completion of at most `max_new_tokens` tokens.

        Raises:
            GenerationError: If no server answers within the patience, or the request is refused.
        """
        self._enter()
        try:
            return await self._generate(list(prompt_ids), max_new_tokens, stop)
        finally:
            self._leave()

    async def _generate(self, prompt_ids: list[int], limit: int, stop: StopRule | None) -> Completion:
        adapter = self._adapter
        done = Completion([], [], adapter.version if adapter else 0)
        while True:
            choice = await self._sample(prompt_ids + done.token_ids, limit - len(done.token_ids), stop)
            done.token_ids.extend(choice["token_ids"])
            done.logprobs.extend(choice["logprobs"]["token_logprobs"])
            self.generated_tokens += len(choice["token_ids"])
            stopped_by_text = stop is not None and choice.get("stop_reason") in stop.strings
            if not stopped_by_text or len(done.token_ids) >= limit or adapter is not self._adapter:
                return done
            if stop is not None and stop.is_over(self._text(done.token_ids)):
                return done

    async def _sample(self, prompt_ids: list[int], limit: int, stop: StopRule | None) -> Any:
        sampling = self._sampling
        body: dict[str, Any] = {
            "model": self._adapter.name if self._adapter else self._served or self._model,
            "prompt": prompt_ids,
            "max_tokens": limit,
            "temperature": sampling.temperature,
            "top_p": sampling.top_p,
            "top_k": sampling.top_k,
            "logprobs": 0,
            "return_token_ids": True,
        }
        if stop is not None:
            body |= {"stop": list(stop.strings), "include_stop_str_in_output": True}
        answer = await self.servers.post("/v1/completions", body)
        try:
            choice = answer["choices"][0]
            ids, logprobs = choice["token_ids"], choice["logprobs"]["token_logprobs"]
            if len(ids) != len(logprobs):
                raise ValueError(f"{len(ids)} token ids and {len(logprobs)} log-probs")
        except (KeyError, IndexError, TypeError, ValueError) as error:
            raise GenerationError(
                f"A vLLM server's answer lacks token ids or log-probs: {error!r}."
            ) from error
        return choice

    def _text(self, ids: list[int]) -> str:
        return str(self._tokenizer.decode(ids, skip_special_tokens=True))

    def _enter(self) -> None:
        if not self._active:
            self._since = time.monotonic()
        self._active += 1

    def _leave(self) -> None:
        self._active -= 1
        if not self._active:
            self.busy_s += time.monotonic() - self._since

    async def aclose(self) -> None:
        """Close connections; safe to call again."""
        await self.servers.close()

    def close(self) -> None:
        """Nothing to do: connections belong to the event loop, see `aclose`."""


@dataclass(frozen=True)
class _Adapter:
    path: Path
    version: int

    @property
    def name(self) -> str:
        return f"mledojo-{self.version}"


def save_adapter(model: Any, folder: Path, version: int) -> Path:
    """Save a peft model's adapter as `folder`/VERSION and return that; the two latest are kept.

    The folder appears whole or not at all.
    """
    place = folder / str(version)
    unfinished = folder / f".{version}.unfinished"
    shutil.rmtree(unfinished, ignore_errors=True)
    model.save_pretrained(unfinished)
    shutil.rmtree(place, ignore_errors=True)
    unfinished.rename(place)
    others = sorted((p for p in folder.iterdir() if p.name.isdigit()), key=lambda p: int(p.name))
    for old in others[:-_KEPT]:
        shutil.rmtree(old, ignore_errors=True)
    return place


def _is_same(model: str, served: str) -> bool:
    """Whether two names mean one model: equal, or paths to one place."""
    return model == served or (Path(model).exists() and Path(model).resolve() == Path(served).resolve())
