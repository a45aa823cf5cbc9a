"""The five actions of the environment, as MLE-Dojo names them."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

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
    `final` on an `execute_code` says that its submission is the agent's last word: the episode ends.
    """

    name: ActionName
    argument: str = ""
    final: bool = False


@dataclass(frozen=True)
class MalformedAction:
    """A reply in which no action could be read; `problem` tells the model what was wrong with it."""

    problem: str
