"""Replies <-> actions: what a model writes, and what the environment takes.

Two formats behind one protocol. `fenced` writes an action as a fenced block whose info string names it,
so that code stands unescaped and a tiny model can write it; `tools` uses the chat template's native tool
calls, which instruction-tuned models were trained on. A reply in which no single action can be read
becomes a `MalformedAction`: an observation for the model, never a crash.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any, Protocol

from mledojo_env.actions import TOPICS, Action, ActionName, MalformedAction
from mledojo_env.errors import ConfigError, did_you_mean

Message = dict[str, Any]
Tool = dict[str, Any]  # a JSON schema of one tool

MAX_REPLY_CHARS = 100_000
"""A longer reply is malformed: no action needs more, and parsing must stay cheap."""

_NAMES = frozenset(ActionName)  # Python 3.11 refuses `"text" in ActionName`

# The argument's name in a tool call; the other actions take none.
_ARGUMENT_OF = {
    ActionName.REQUEST_INFO: "topic",
    ActionName.VALIDATE_CODE: "code",
    ActionName.EXECUTE_CODE: "code",
    ActionName.GET_HISTORY: "last",
}

_THINKING = re.compile(r"<think>.*?</think>", re.DOTALL)


class Codec(Protocol):
    """How actions and observations are written in a conversation."""

    name: str
    tools: list[Tool] | None  # for the chat template, if it is to render them
    endings: tuple[str, ...]  # an action ends with one of these, though not all of these end one

    def instructions(self) -> str:
        """Return the part of the system prompt that explains how to write an action."""
        ...

    def assistant(self, action: Action, thought: str = "") -> Message:
        """Return the assistant's message that takes `action`."""
        ...

    def observation(self, text: str) -> Message:
        """Return the message that carries an observation back."""
        ...

    def parse(self, reply: str) -> Action | MalformedAction:
        """Read the one action of a reply."""
        ...

    def is_over(self, reply: str) -> bool:
        """Whether a reply in the making holds a whole action, so that nothing needs to follow it."""
        ...


class FencedCodec:
    """Actions as fenced blocks: the info string names the action, the body is its argument."""

    name = "fenced"
    tools: list[Tool] | None = None
    endings: tuple[str, ...] = ("```\n",)

    def instructions(self) -> str:
        """Return how to write an action, with one example."""
        return (
            "Reply with exactly one action: a fenced block whose first line names it.\n"
            f"- request_info: body is one of {', '.join(TOPICS)}\n"
            "- validate_code: body is a Python script; a quick run on a small sample, not graded\n"
            "- execute_code: body is a Python script; a full run, its submission.csv is graded\n"
            "  (execute_code final: and this was your last step)\n"
            "- get_history: body is how many past steps to show\n"
            "- reset: empty body; clears the working directory\n"
            "Example:\n```request_info\noverview\n```"
        )

    def assistant(self, action: Action, thought: str = "") -> Message:
        """Return the reply as one message; the fence outgrows any run of backticks in the code."""
        longest = max((len(run) for run in re.findall(r"`{3,}", action.argument)), default=2)
        fence = "`" * (longest + 1)
        head = f"{action.name} final" if action.final else str(action.name)
        body = (
            action.argument
            if not action.argument or action.argument.endswith("\n")
            else action.argument + "\n"
        )
        text = f"{fence}{head}\n{body}{fence}"
        return {"role": "assistant", "content": f"{thought}\n{text}" if thought else text}

    def observation(self, text: str) -> Message:
        """Return the observation as a user's message."""
        return {"role": "user", "content": text}

    def parse(self, reply: str) -> Action | MalformedAction:
        """Read the one fenced action of a reply; other fences (an example in ```python) are ignored."""
        problem = _problem_with_text(reply)
        if problem:
            return MalformedAction(problem)
        blocks, unclosed = _fenced_blocks(_THINKING.sub("", reply))
        named = [(head, body) for head, body in blocks if head and head[0] in _NAMES]
        if len(named) == 1 and not (unclosed and unclosed[0] in _NAMES):
            head, body = named[0]
            return _action(head[0], body, final="final" in head[1:])
        if len(named) > 1:
            return MalformedAction(f"found {len(named)} actions in one reply; expected exactly one.")
        if unclosed and unclosed[0] in _NAMES:
            return MalformedAction(f"the {unclosed[0]} block is not closed; end it with ``` on its own line.")
        if blocks or unclosed:
            found = (blocks[0][0] or [""])[0] if blocks else (unclosed or [""])[0]
            hint = did_you_mean(found, list(ActionName)) if found else ""
            return MalformedAction(
                f"the block is named {found!r}; expected one of {', '.join(ActionName)}.{hint}"
            )
        return MalformedAction("found no fenced block; write one action as ```execute_code ... ```.")

    def is_over(self, reply: str) -> bool:
        """Whether an action's block is closed, by a line that is itself ended: a longer fence may follow."""
        if not reply.endswith("\n") or len(reply) > MAX_REPLY_CHARS:
            return len(reply) > MAX_REPLY_CHARS
        blocks, _ = _fenced_blocks(_visible(reply))
        return any(head and head[0] in _NAMES for head, _ in blocks)


class ToolCallCodec:
    """Actions as the chat template's own tool calls, in the widespread `<tool_call>` JSON form."""

    name = "tools"
    endings: tuple[str, ...] = ("</tool_call>",)

    def __init__(self) -> None:
        code = {"code": {"type": "string", "description": "A complete Python script."}}
        final = {"final": {"type": "boolean", "description": "This is the last step; ends the episode."}}
        topic = {"topic": {"type": "string", "enum": list(TOPICS), "description": "What to read."}}
        last = {"last": {"type": "integer", "description": "How many past steps to show."}}
        self.tools: list[Tool] | None = [
            _schema(ActionName.REQUEST_INFO, "Read about the task.", topic, ["topic"]),
            _schema(
                ActionName.VALIDATE_CODE,
                "Run a script quickly on a small sample; not graded.",
                code,
                ["code"],
            ),
            _schema(
                ActionName.EXECUTE_CODE,
                "Run a script in full; the submission.csv that it writes is graded.",
                code | final,
                ["code"],
            ),
            _schema(ActionName.GET_HISTORY, "Show past steps.", last, []),
            _schema(ActionName.RESET, "Clear the working directory.", {}, []),
        ]

    def instructions(self) -> str:
        """Return one line; the chat template itself renders the tools."""
        return "Take exactly one action a turn by calling one of the tools."

    def assistant(self, action: Action, thought: str = "") -> Message:
        """Return the assistant's message with one structured tool call."""
        arguments: dict[str, Any] = {}
        key = _ARGUMENT_OF.get(action.name)
        if key == "last":
            if action.argument:
                arguments[key] = int(action.argument)
        elif key:
            arguments[key] = action.argument
        if action.final:
            arguments["final"] = True
        call = {"type": "function", "function": {"name": str(action.name), "arguments": arguments}}
        return {"role": "assistant", "content": thought, "tool_calls": [call]}

    def observation(self, text: str) -> Message:
        """Return the observation as a tool's answer."""
        return {"role": "tool", "content": text}

    def parse(self, reply: str) -> Action | MalformedAction:
        """Read the one `<tool_call>{...}</tool_call>` of a reply."""
        problem = _problem_with_text(reply)
        if problem:
            return MalformedAction(problem)
        calls = re.findall(r"<tool_call>(.*?)</tool_call>", _THINKING.sub("", reply), re.DOTALL)
        if len(calls) != 1:
            found = f"{len(calls)} tool calls" if calls else "no tool call"
            return MalformedAction(f"found {found} in the reply; expected exactly one.")
        try:
            call = json.loads(calls[0])
        except (ValueError, RecursionError) as error:
            return MalformedAction(f"the tool call is not valid JSON: {error}.")
        return self.from_call(call)

    def is_over(self, reply: str) -> bool:
        """Whether a tool call is closed."""
        return len(reply) > MAX_REPLY_CHARS or "</tool_call>" in _visible(reply)

    @staticmethod
    def from_call(call: object) -> Action | MalformedAction:
        """Read an action from a decoded call: {"name": ..., "arguments": {...}}."""
        if not isinstance(call, Mapping) or not isinstance(call.get("name"), str):
            return MalformedAction('a tool call is an object with "name" and "arguments".')
        name, arguments = call["name"], call.get("arguments") or {}
        if isinstance(arguments, str):
            try:
                arguments = json.loads(arguments)
            except (ValueError, RecursionError):
                arguments = None
        if not isinstance(arguments, Mapping):
            return MalformedAction(f"the arguments of {name} are not a JSON object.")
        if name not in _NAMES:
            hint = did_you_mean(name, list(ActionName))
            return MalformedAction(f"unknown tool {name!r}; expected one of {', '.join(ActionName)}.{hint}")
        key = _ARGUMENT_OF.get(ActionName(name))
        unknown = sorted(set(arguments) - ({key} if key else set()) - {"final"})
        if unknown:
            expected = f"{key!r}" if key else "none"
            return MalformedAction(f"unknown argument {unknown[0]!r} of {name}; expected {expected}.")
        value = arguments.get(key, "") if key else ""
        return _action(name, str(value), final=arguments.get("final") is True)


def make_codec(name: str) -> Codec:
    """Return the codec of this name: `fenced` or `tools`.

    Raises:
        ConfigError: If there is none; names the nearest.
    """
    codecs: dict[str, type[FencedCodec] | type[ToolCallCodec]] = {
        "fenced": FencedCodec,
        "tools": ToolCallCodec,
    }
    if name not in codecs:
        raise ConfigError(
            f"Unknown action format {name!r}; expected {' or '.join(codecs)}.{did_you_mean(name, codecs)}"
        )
    return codecs[name]()


def _visible(reply: str) -> str:
    """Return a reply without its thinking, also where that has not ended yet."""
    return _THINKING.sub("", reply).partition("<think>")[0]


def _problem_with_text(reply: str) -> str:
    if not reply.strip():
        return "the reply is empty; write one action."
    if len(reply) > MAX_REPLY_CHARS:
        return f"the reply has {len(reply)} characters; at most {MAX_REPLY_CHARS} are read."
    return ""


def _fenced_blocks(text: str) -> tuple[list[tuple[list[str], str]], list[str] | None]:
    """Split text into (info words, body) blocks, and the info words of a block left open, if any.

    A block ends at a line that holds only a fence at least as long as its opening one (as in CommonMark), so
    shorter fences inside code are part of it.
    """
    blocks: list[tuple[list[str], str]] = []
    fence, head, body = "", [""], [""]
    for line in text.split("\n"):
        opening = re.match(r"\s{0,3}(`{3,})([^`]*)$", line)
        if not fence and opening:
            fence, head, body = opening[1], opening[2].split(), []
        elif fence and opening and len(opening[1]) >= len(fence) and not opening[2].strip():
            blocks.append((head, "\n".join(body)))
            fence = ""
        elif fence:
            body.append(line)
    return blocks, (head if fence else None)


def _action(name: str, argument: str, *, final: bool) -> Action | MalformedAction:
    kind = ActionName(name)
    if kind in (ActionName.VALIDATE_CODE, ActionName.EXECUTE_CODE):
        if not argument.strip():
            return MalformedAction(f"{kind} has no code.")
        return Action(kind, argument, final=final and kind is ActionName.EXECUTE_CODE)
    argument = argument.strip()
    if kind is ActionName.GET_HISTORY and argument and not argument.isdigit():
        return MalformedAction(f"get_history takes a number of steps, found {argument[:40]!r}.")
    return Action(kind, "" if kind is ActionName.RESET else argument)


def _schema(
    name: ActionName, description: str, properties: dict[str, Any], required: list[str]
) -> dict[str, Any]:
    parameters = {"type": "object", "properties": properties, "required": required}
    return {
        "type": "function",
        "function": {"name": str(name), "description": description, "parameters": parameters},
    }
