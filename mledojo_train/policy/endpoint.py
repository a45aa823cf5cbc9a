"""`openai:<model>`: a model behind an OpenAI-compatible endpoint, through the `openai` client.

What the model does wrong (a refusal, no action, a cut reply) is a reply like any other; what the endpoint
does wrong is tried again and at last a `GenerationError`. The key is read from the environment, handed to the
client, and struck out of whatever is said of a failure.
"""

from __future__ import annotations

import asyncio
import json
import os
import random
import re
import sys
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any
from urllib.parse import urlsplit

from mledojo_env import Action, MalformedAction, Observation, Task
from mledojo_env.errors import ConfigError, GenerationError
from mledojo_train.codec import Codec, Message, ToolCallCodec
from mledojo_train.policy.base import Reply
from mledojo_train.policy.endpoint_options import EndpointOptions, price_of

_FIRST_WAIT_S = 0.5  # before the first retry at most; twice as long before each further one
_AGAIN = (408, 409, 425, 429)  # statuses that another try may not give, as may all from 500 on
_SHOWN = 300  # characters of what an endpoint said
_CHARS = 3  # of a token, where an endpoint does not count: rather too few
_THOUGHT = re.compile(r"\A\s*<think>(.*?)</think>\s*", re.DOTALL)


@dataclass
class Answer:
    """What an endpoint answered, whole."""

    text: str = ""
    reasoning: str = ""
    calls: list[dict[str, str]] = field(default_factory=list)  # id, name, arguments (JSON text)
    finish: str = ""
    prompt_tokens: int = 0
    completion_tokens: int = 0
    cached_tokens: int = 0
    is_counted: bool = False  # whether the endpoint told how many


class EndpointPolicy:
    """Asks a model elsewhere for each turn.

    Args:
        name: Of the policy, e.g. openai:gpt-4o-mini.
        model: The model's name at the endpoint.
        codec: How actions are written; `tools` uses the endpoint's own tool calls.
        options: Where it is and what may be spent.
        temperature, max_new_tokens: As in `Sampling`.
        max_tokens: Of an episode, prompt and observations included.

    Raises:
        ConfigError: If the client is missing, or a budget in dollars is set for a model without a price.
    """

    def __init__(
        self,
        name: str,
        model: str,
        codec: Codec,
        options: EndpointOptions,
        *,
        temperature: float,
        max_new_tokens: int,
        max_tokens: int,
    ) -> None:
        check_client()
        self.name, self.model, self.codec, self.options = name, model, codec, options
        self.max_new_tokens, self.max_tokens = max_new_tokens, max_tokens
        self.price = price_of(model, options.prices)
        if options.budget_usd is not None and self.price is None:
            raise ConfigError(
                f"endpoint.budget_usd is {options.budget_usd}, but no price of {model} is known, so it could "
                "not be kept. Name a table with endpoint.prices, or set endpoint.budget_tokens."
            )
        self.spent_tokens, self.spent_usd = 0, 0.0
        self._told = False
        self._fields: dict[str, Any] = {"temperature": temperature}
        self._limit_name = "max_tokens"  # newer models of OpenAI's want max_completion_tokens
        self._client: Any = None
        self._places: asyncio.Semaphore | None = None

    def start(self, task: Task, conversation: list[Message], seed: int) -> EndpointActor:
        """Return an actor; `seed` is unused, for few endpoints keep to one."""
        return EndpointActor(self, conversation)

    async def aclose(self) -> None:
        """Close the connections."""
        if self._client is not None:
            await self._client.close()
            self._client = None

    def is_used_up(self) -> bool:
        """Whether a budget of the run is used up; says so once."""
        options, used = self.options, ""
        if options.budget_tokens is not None and self.spent_tokens >= options.budget_tokens:
            used = f"{self.spent_tokens} of {options.budget_tokens} tokens"
        if options.budget_usd is not None and self.spent_usd >= options.budget_usd:
            used = f"{self.spent_usd:.4f} of {options.budget_usd} US dollars"
        if used and not self._told:
            self._told = True
            print(f"warning: {self.name} has used {used}; its episodes end here", file=sys.stderr)
        return bool(used)

    async def ask(self, messages: list[Message], room: int) -> tuple[Answer, float | None]:
        """Return the answer to a conversation, of at most `room` tokens, and what it cost.

        Raises:
            ConfigError: If the key or the model is refused, or there is no quota left.
            GenerationError: If the endpoint keeps failing.
        """
        if self._places is None:
            self._places = asyncio.Semaphore(self.options.max_concurrent)
        async with self._places:
            answer = await self._try(messages, room)
        if not answer.is_counted:  # for the budgets only: what is told is what was counted
            said = [str(message.get("content") or "") for message in messages]
            guess = (sum(map(len, [*said, answer.text, answer.reasoning])) + _CHARS - 1) // _CHARS
            self.spent_tokens += guess
            self.spent_usd += self.price.of(guess, 0, 0) if self.price else 0.0
            return answer, None
        self.spent_tokens += answer.prompt_tokens + answer.completion_tokens
        if self.price is None:
            return answer, None
        cost = self.price.of(answer.prompt_tokens, answer.completion_tokens, answer.cached_tokens)
        self.spent_usd += cost
        return answer, cost

    async def _try(self, messages: list[Message], room: int) -> Answer:
        import openai

        tries = 0
        while True:
            wait: float | None = None
            try:
                return await self._request(messages, room)
            except openai.APIStatusError as error:
                status = error.status_code
                if status == 400 and self._adapt(error):
                    continue
                if status in (401, 403, 404):
                    raise self._refused(status, error) from None
                if error.code == "insufficient_quota":
                    raise ConfigError(f"{self._where()} says that the account has no quota left.") from None
                if error.code == "context_length_exceeded":
                    raise _TooLong from None
                problem = self._said(f"{status}: {_text(error)}")
                if status not in _AGAIN and status < 500:
                    raise GenerationError(f"{self._where()} refused a request with {problem}") from None
                wait = _retry_after(error.response.headers.get("retry-after"))
            except openai.APITimeoutError:
                problem = f"no answer within {self.options.timeout_s:g} s"
            except (openai.OpenAIError, ValueError, _NotAnAnswer) as error:  # lost connections, broken JSON
                problem = self._said(f"{type(error).__name__}: {error}")
            if tries >= self.options.max_retries:
                raise GenerationError(
                    f"{self._where()} failed {tries + 1} times, the last with {problem}. "
                    "Is it up? endpoint.max_retries sets how often it is asked."
                ) from None
            jittered = random.uniform(0, _FIRST_WAIT_S * 2**tries)
            await asyncio.sleep(min(self.options.longest_wait_s, max(wait or 0.0, jittered)))
            tries += 1

    async def _request(self, messages: list[Message], room: int) -> Answer:
        options = self.options
        request: dict[str, Any] = {"model": self.model, "messages": messages, self._limit_name: room}
        request |= self._fields
        if self.codec.tools:
            request["tools"] = self.codec.tools
        if options.stream:
            request |= {"stream": True, "stream_options": {"include_usage": True}}
        found = await self._open().chat.completions.create(**request, extra_body=options.extra or None)
        if options.stream:
            async with asyncio.timeout(options.timeout_s):
                return await _streamed(found)
        return _whole(found)

    def _open(self) -> Any:
        if self._client is None:
            import openai

            self._client = openai.AsyncOpenAI(
                api_key=self._key() or "none",
                base_url=self.options.base_url,
                timeout=self.options.timeout_s,
                max_retries=0,  # ours wait as long as the endpoint asks, and are bounded
            )
        return self._client

    def _key(self) -> str:
        return os.environ.get(self.options.api_key_env, "")

    def _adapt(self, error: Any) -> bool:
        """Leave out or rename a field that this model does not take; False where that is not the problem."""
        name = str(error.param or "") or _text(error)
        if "max_completion_tokens" in _text(error) and self._limit_name == "max_tokens":
            self._limit_name = "max_completion_tokens"
            return True
        return "temperature" in name and self._fields.pop("temperature", None) is not None

    def _refused(self, status: int, error: Any) -> ConfigError:
        if status == 404:
            return ConfigError(
                f"{self._where()} knows no model {self.model!r} ({self._said(_text(error))}). "
                "Check the name after openai:, and endpoint.base_url."
            )
        there = "is set" if self._key() else "is not set"
        return ConfigError(
            f"{self._where()} refused the key with {status}. It is read from "
            f"${self.options.api_key_env}, which {there}; endpoint.api_key_env names another variable."
        )

    def _where(self) -> str:
        """Return the endpoint's address without what may be secret in it."""
        parts = urlsplit(str(self._open().base_url))
        port = f":{parts.port}" if parts.port else ""
        return f"The endpoint {parts.scheme}://{parts.hostname}{port}{parts.path}"

    def _said(self, text: str) -> str:
        """Return what an endpoint said, short, and without the key."""
        key = self._key()
        text = " ".join((text.replace(key, "[key]") if key else text).split())
        return text if len(text) <= _SHOWN else f"{text[:_SHOWN]} ..."


class EndpointActor:
    """One episode of an `EndpointPolicy`."""

    def __init__(self, policy: EndpointPolicy, conversation: list[Message]) -> None:
        self._policy = policy
        self._messages = list(conversation)
        self._open_calls: list[str] = []  # ids of tool calls that wait for their answer
        self._length = 0  # tokens of the conversation, as the endpoint counted them last
        self._started = False

    async def act(self, observation: Observation) -> Reply:
        """Send the observation, and read the action of what comes back."""
        policy = self._policy
        if self._started:
            self._answer(observation.to_text())
        self._started = True
        room = min(policy.max_new_tokens, policy.max_tokens - self._length)
        if room < 1 or policy.is_used_up():
            empty: Message = {"role": "assistant", "content": ""}
            return Reply(empty, policy.codec.parse(""), out_of_tokens=True)
        began = time.monotonic()
        try:
            answer, cost = await policy.ask(self._messages, room)
        except _TooLong:
            return Reply({"role": "assistant", "content": ""}, policy.codec.parse(""), out_of_tokens=True)
        seconds = time.monotonic() - began
        self._length = answer.prompt_tokens + answer.completion_tokens
        message, action = self._read(answer)
        return Reply(
            message,
            action,
            seconds,
            prompt_tokens=answer.prompt_tokens,
            completion_tokens=answer.completion_tokens,
            cost=cost,
            reasoning=answer.reasoning,
        )

    def tokens(self) -> None:
        """Return None: an endpoint tells no token ids."""
        return

    def _answer(self, text: str) -> None:
        """Append an observation: every open tool call gets it, or the user says it."""
        if self._open_calls:
            self._messages += [
                {"role": "tool", "tool_call_id": name, "content": text} for name in self._open_calls
            ]
        else:
            self._messages.append({"role": "user", "content": text})

    def _read(self, answer: Answer) -> tuple[Message, Action | MalformedAction]:
        """Append what the model said; return it as trajectories keep it, and its action."""
        said: Message = {"role": "assistant", "content": answer.text}
        self._open_calls = [call["id"] for call in answer.calls]
        if not answer.calls:
            # Some endpoints refuse an empty message.
            self._messages.append(said if answer.text else {"role": "assistant", "content": "(nothing)"})
            return said, self._cut(answer) or self._policy.codec.parse(answer.text)
        functions = [{"name": call["name"], "arguments": call["arguments"]} for call in answer.calls]
        self._messages.append(
            said
            | {
                "tool_calls": [
                    {"id": call["id"], "type": "function", "function": function}
                    for call, function in zip(answer.calls, functions, strict=True)
                ]
            }
        )
        try:  # templates take arguments as an object
            decoded = [{**f, "arguments": json.loads(f["arguments"] or "{}")} for f in functions]
            said = said | {"tool_calls": [{"type": "function", "function": f} for f in decoded]}
        except (ValueError, RecursionError):
            said = said | {"content": answer.text or "\n".join(f["arguments"] for f in functions)}
        if len(functions) > 1:
            return said, MalformedAction(f"found {len(functions)} tool calls; expected exactly one.")
        if not self._policy.codec.tools:
            return said, MalformedAction("found a tool call; write the action as a fenced block.")
        return said, self._cut(answer) or ToolCallCodec.from_call(functions[0])

    def _cut(self, answer: Answer) -> MalformedAction | None:
        """Return what to tell of a reply that its limit cut, unless its action is whole."""
        if answer.finish != "length":
            return None
        if answer.text and isinstance(self._policy.codec.parse(answer.text), Action):
            return None
        return MalformedAction(f"the reply was cut after {answer.completion_tokens} tokens; write less.")


class _TooLong(Exception):
    """The conversation has outgrown the model."""


class _NotAnAnswer(Exception):
    """What came back is not a chat completion."""


def _whole(found: Any) -> Answer:
    choices = getattr(found, "choices", None)
    if not choices or getattr(choices[0], "message", None) is None:
        raise _NotAnAnswer(f"found no chat completion but {str(found)[:120]!r}")
    choice = choices[0]
    message = choice.message
    answer = Answer(finish=choice.finish_reason or "")
    answer.calls = [
        {
            "id": call.id or f"call-{place}",
            "name": call.function.name or "",
            "arguments": call.function.arguments or "",
        }
        for place, call in enumerate(message.tool_calls or [])
        if getattr(call, "function", None) is not None
    ]
    _fill(answer, message.content or message.refusal or "", _reasoning(message), found.usage)
    return answer


async def _streamed(stream: Any) -> Answer:
    answer, text, reasoning, usage = Answer(), [], [], None
    calls: dict[int, dict[str, str]] = {}
    seen = False
    async for chunk in stream:
        usage = getattr(chunk, "usage", None) or usage
        for choice in getattr(chunk, "choices", None) or []:
            seen = True
            delta = choice.delta
            text.append(delta.content or getattr(delta, "refusal", None) or "")
            reasoning.append(_reasoning(delta))
            for part in delta.tool_calls or []:
                call = calls.setdefault(part.index, {"id": f"call-{part.index}", "name": "", "arguments": ""})
                call["id"] = part.id or call["id"]
                if part.function is not None:
                    call["name"] += part.function.name or ""
                    call["arguments"] += part.function.arguments or ""
            answer.finish = choice.finish_reason or answer.finish
    if not seen:
        raise _NotAnAnswer("the stream ended without an answer")
    if not answer.finish:
        raise _NotAnAnswer("the stream broke off")
    answer.calls = [calls[place] for place in sorted(calls)]
    _fill(answer, "".join(text), "".join(reasoning), usage)
    return answer


def _fill(answer: Answer, text: str, reasoning: str, usage: Any) -> None:
    """Add text, with a thought at its beginning kept apart, and what was counted."""
    thought = _THOUGHT.match(text)
    if thought:
        text, reasoning = text[thought.end() :], "\n".join(filter(None, [reasoning, thought[1].strip()]))
    answer.text, answer.reasoning = text, reasoning
    if usage is not None:
        answer.is_counted = True
        answer.prompt_tokens = int(usage.prompt_tokens or 0)
        answer.completion_tokens = int(usage.completion_tokens or 0)
        details = getattr(usage, "prompt_tokens_details", None)
        answer.cached_tokens = min(int(getattr(details, "cached_tokens", 0) or 0), answer.prompt_tokens)


def _reasoning(message: Any) -> str:
    """Return a model's thoughts, under the names that endpoints give them."""
    for name in ("reasoning_content", "reasoning"):
        found = getattr(message, name, None)
        if isinstance(found, str) and found:
            return found
    return ""


def _text(error: Any) -> str:
    """Return the message of an endpoint's error."""
    body = error.body
    if isinstance(body, dict):
        return str(body.get("message") or body.get("error") or body)
    return str(body or error.message)


def _retry_after(value: str | None) -> float | None:
    """Return the seconds of a Retry-After header, given as a number or as a date; None for nonsense."""
    if not value:
        return None
    try:
        seconds = float(value)
    except ValueError:
        try:
            seconds = (parsedate_to_datetime(value) - datetime.now(UTC)).total_seconds()
        except (ValueError, TypeError):
            return None
    return seconds if 0 <= seconds < 1e6 else None


def check_client() -> None:
    """Fail early where the client is missing.

    Raises:
        ConfigError: With what to install.
    """
    from importlib.util import find_spec

    if find_spec("openai") is None:
        raise ConfigError(
            "Policies openai:<model> need the openai client, which is not installed: "
            "pip install 'mledojo-train[openai]'"
        )
