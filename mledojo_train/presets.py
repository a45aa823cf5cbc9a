"""Protocols by name, for evaluations that others can repeat."""

from __future__ import annotations

from typing import Any

from mledojo_env.errors import ConfigError, did_you_mean

PRESETS: dict[str, dict[str, Any]] = {
    # As MLE-Dojo published (arXiv 2505.07782): 15 steps, 12 hours, full test scores shown, 50,000 tokens of
    # prompt and 8,192 of output, two runs of which the better is reported (best of 2 in our tables).
    "dojo": {
        "tasks": ["benchmark"],
        "episodes": 2,
        "episode": {"max_steps": 15, "max_seconds": 43_200.0, "score_visibility": "dojo"},
        "sampling": {"max_new_tokens": 8192},
        "max_tokens": 58_192,
    },
    # Minutes on a laptop.
    "quick": {
        "tasks": ["benchmark"],
        "episodes": 4,
        "episode": {"max_steps": 4, "max_seconds": 300.0, "execute_timeout_s": 10.0},
    },
    # The low-complexity tasks of MLE-bench, with budgets as above and only the public part's score shown.
    "mle-lite": {
        "tasks": ["mle-lite"],
        "episodes": 3,
        "episode": {"max_steps": 15, "max_seconds": 43_200.0},
        "sampling": {"max_new_tokens": 8192},
        "max_tokens": 58_192,
    },
}


def with_preset(mapping: dict[str, Any]) -> dict[str, Any]:
    """Return an evaluation's configuration on top of the preset that it names, if any.

    Raises:
        ConfigError: If there is no such preset; names the nearest.
    """
    name = mapping.get("preset")
    if name is None:
        return mapping
    if name not in PRESETS:
        hint = did_you_mean(str(name), PRESETS)
        raise ConfigError(f"Unknown preset {name!r}; expected {', '.join(PRESETS)}.{hint}")
    return _merged(PRESETS[name], mapping)


def _merged(below: dict[str, Any], above: dict[str, Any]) -> dict[str, Any]:
    found = dict(below)
    for key, value in above.items():
        both = isinstance(value, dict) and isinstance(found.get(key), dict)
        found[key] = _merged(found[key], value) if both else value
    return found
