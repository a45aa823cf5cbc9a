"""Preparations that no recipe can say: a function for each, found by its name.

A function takes the raw files, the output and how many rows a small variant keeps (None: all), and writes the
public files and the answers. Everything random comes from `out.seed`.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from importlib import import_module
from pkgutil import iter_modules

from mledojo_env.prepare.output import Output
from mledojo_env.prepare.raw import RawFiles

Preparation = Callable[[RawFiles, Output, int | None], None]

_FUNCTIONS: dict[str, Preparation] = {}


def preparation(function: Preparation) -> Preparation:
    """Register a function as the preparation of its name."""
    _FUNCTIONS[function.__name__] = function
    return function


def names() -> list[str]:
    """Return the names of all preparations, sorted."""
    return sorted(_all())


def get(name: str) -> Preparation:
    """Return the preparation of this name.

    Raises:
        KeyError: If there is none.
    """
    return _all()[name]


@lru_cache(maxsize=1)
def _all() -> dict[str, Preparation]:
    for module in iter_modules(__path__):
        import_module(f"{__name__}.{module.name}")
    return _FUNCTIONS
