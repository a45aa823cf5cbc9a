"""How an OpenAI-compatible endpoint is asked, and what it costs."""

from __future__ import annotations

import math
import re
from dataclasses import field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import yaml
from pydantic import ConfigDict
from pydantic.dataclasses import dataclass

from mledojo_env.errors import ConfigError

PRICES = Path(__file__).with_name("prices.yaml")


@dataclass(frozen=True, config=ConfigDict(extra="forbid"))
class EndpointOptions:
    """Where the endpoint is, and what a run may spend there.

    Budgets are of all episodes of a policy together; who finds one used up ends its episode, out of tokens.
    """

    base_url: str | None = None  # None: OPENAI_BASE_URL, or OpenAI's own
    api_key_env: str = "OPENAI_API_KEY"  # the NAME of the variable; a server that wants no key needs none
    max_concurrent: int = 8
    max_retries: int = 6  # of a request, on 429, 5xx, timeouts and lost connections
    longest_wait_s: float = 60.0  # between two tries, whatever the endpoint asks for
    timeout_s: float = 300.0
    stream: bool = False  # read the answer as it is written; keeps proxies from cutting long thoughts
    budget_tokens: int | None = None
    budget_usd: float | None = None
    prices: str | None = None  # a YAML file like prices.yaml of the package
    extra: dict[str, Any] = field(default_factory=dict)  # more fields of the request, e.g. reasoning_effort

    def __post_init__(self) -> None:
        for name in ("max_concurrent", "timeout_s", "longest_wait_s"):
            if not getattr(self, name) > 0:
                raise ValueError(f"{name} is {getattr(self, name)}; expected more than 0.")
        if not re.fullmatch("[A-Z_][A-Z0-9_]*", self.api_key_env):  # not shown: it may be the key itself
            raise ValueError(
                "api_key_env is no name of a variable: expected capitals, such as OPENAI_API_KEY. The key "
                "itself belongs in the environment; a configuration is saved beside the results."
            )
        parts = urlsplit(self.base_url or "")
        if parts.username or parts.password or parts.query:
            raise ValueError(
                "base_url holds a user, a password or a query, and would be saved beside the results: give "
                "the address alone, and the key through api_key_env."
            )
        if self.max_retries < 0:
            raise ValueError(f"max_retries is {self.max_retries}; expected 0 or more.")


@dataclass(frozen=True, config=ConfigDict(extra="forbid"))
class Price:
    """Of a model, in US dollars for a million tokens; `cached` are prompt tokens read from a cache."""

    input: float
    output: float
    cached: float | None = None

    def of(self, prompt: int, completion: int, cached: int) -> float:
        """Return what a turn cost, in US dollars."""
        again = self.input if self.cached is None else self.cached
        return ((prompt - cached) * self.input + cached * again + completion * self.output) / 1e6


def price_of(model: str, path: str | None) -> Price | None:
    """Return a model's price; None where the table has none: unknown, not free.

    Raises:
        ConfigError: If the table cannot be read, or an entry is no price.
    """
    place = Path(path) if path else PRICES
    try:
        table = yaml.safe_load(place.read_text())
    except (OSError, yaml.YAMLError, UnicodeDecodeError) as error:
        raise ConfigError(f"Cannot read the price table {place}: {error}") from error
    entry = (table or {}).get("models", {}).get(model) if isinstance(table, dict) else None
    if entry is None:
        return None
    try:
        price = Price(**entry)
    except (TypeError, ValueError) as error:
        raise ConfigError(
            f"{place}: the price of {model} is {entry!r}; expected input and output."
        ) from error
    if not all(math.isfinite(v) and v >= 0 for v in (price.input, price.output, price.cached or 0.0)):
        raise ConfigError(f"{place}: the price of {model} is {entry!r}; expected numbers of 0 or more.")
    return price
