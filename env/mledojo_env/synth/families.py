"""The registry of families: each a function from a `Setting` to a `Draft`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from mledojo_env.synth.draft import Draft, Setting

# Modules that hold families, by the family's name; imported when a task of it is made.
_MODULES = {
    "forecast": "forecast",
    "grouped": "grouped",
    "images": "images",
    "multitable": "multitable",
    "tabular": "tabular",
    "text": "text",
}

Function: TypeAlias = "Callable[[Setting], Draft]"


@dataclass(frozen=True)
class Family:
    """A kind of task that can be generated without end."""

    name: str
    summary: str  # one line
    domain: str
    make: Function

    @property
    def pattern(self) -> str:
        """What ids of its tasks look like."""
        return f"synth/{self.name}/<seed>?difficulty=<0 to 1>"


_FAMILIES: dict[str, Family] = {}


def family(*, summary: str, domain: str) -> Callable[[Function], Function]:
    """Register a function as the family of its name, in the module of that name (see `_MODULES`)."""

    def register(function: Function) -> Function:
        name = function.__name__
        _FAMILIES[name] = Family(name, summary, domain, function)
        return function

    return register


def family_names() -> list[str]:
    """Return the names of all families, sorted; imports none."""
    return sorted(_MODULES)


@cache
def get_family(name: str) -> Family:
    """Return a family by its name, one of `family_names`."""
    import_module(f"mledojo_env.synth.{_MODULES[name]}")
    return _FAMILIES[name]
