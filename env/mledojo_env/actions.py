"""The five actions of the environment, as MLE-Dojo names them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from operator import index

from mledojo_env.errors import did_you_mean

TOPICS = ("overview", "data", "metric", "leaderboard", "sample_submission")


class ActionName(StrEnum):
    """What an agent can do."""

    REQUEST_INFO = "request_info"
    VALIDATE_CODE = "validate_code"
    EXECUTE_CODE = "execute_code"
    GET_HISTORY = "get_history"
    RESET = "reset"


@dataclass(frozen=True)
class Action:
    """One action and its argument.

    `argument` is the topic of `request_info` (one of `TOPICS`), the code of `validate_code` and
    `execute_code`, the number of steps of `get_history` as text ("" for all), and "" for `reset`.
    `final` on an `execute_code` says that it is the agent's last word: the episode ends, whatever became of
    the code. `reset` empties the working directory and nothing else: budgets, record and the submission that
    counts stay, so starting over never costs a rank.
    """

    name: ActionName
    argument: str = ""
    final: bool = False


@dataclass(frozen=True)
class MalformedAction:
    """A reply in which no action could be read; `problem` tells the model what was wrong with it."""

    problem: str


def read_action(value: object) -> Action | MalformedAction:
    """Return the action that `value` stands for; what cannot be read becomes a `MalformedAction`.

    Args:
        value: An `Action` or `MalformedAction` (returned as it is), or a mapping with `name` (an action's
            name, or its number in the order of `ActionName`, as Gymnasium's spaces write it), and
            optionally `argument` (text) and `final`.
    """
    if isinstance(value, MalformedAction):
        return value
    if isinstance(value, Action):
        value = {"name": value.name, "argument": value.argument, "final": value.final}
    if not isinstance(value, Mapping):
        found = type(value).__name__
        return MalformedAction(f"an action is an object with 'name' and 'argument', found {found}.")
    unknown = sorted(str(key) for key in value if key not in ("name", "argument", "final"))
    if unknown:
        return MalformedAction(f"unknown key {unknown[0]!r}; expected 'name', 'argument' and 'final'.")
    name, argument = _name(value.get("name")), value.get("argument", "")
    if isinstance(name, MalformedAction):
        return name
    if not isinstance(argument, str):
        return MalformedAction(f"the argument of {name} is {type(argument).__name__}; expected text.")
    return Action(name, argument, final=bool(value.get("final", False)))


def _name(value: object) -> ActionName | MalformedAction:
    names = list(ActionName)
    if isinstance(value, str):
        if value in names:
            return ActionName(value)
        hint = did_you_mean(value, names)
        return MalformedAction(f"unknown action {value[:40]!r}; expected one of {', '.join(names)}.{hint}")
    try:
        number = index(value)  # type: ignore[arg-type]
    except TypeError:
        found = type(value).__name__
        return MalformedAction(f"the name of an action is {found}; expected one of {', '.join(names)}.")
    if 0 <= number < len(names):
        return names[number]
    return MalformedAction(f"there is no action {number}; expected 0 to {len(names) - 1}.")
