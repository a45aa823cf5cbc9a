"""YAML into typed models: a typo fails with file, line, what was expected and the nearest valid key."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any, TypeVar, cast, get_args

import yaml
from pydantic import BaseModel, TypeAdapter, ValidationError

from mledojo_env.errors import ConfigError, did_you_mean

Model = TypeVar("Model")

_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # libyaml's, where it is there, is ten times faster

Lines = dict[tuple[Any, ...], int]
"""Path of a key -> the line it stands on."""


def load_yaml(path: Path, model: type[Model]) -> Model:
    """Read a YAML file into `model`, a pydantic model or a dataclass.

    Raises:
        ConfigError: If the file is missing, does not parse or does not fit; names file and line.
    """
    mapping, lines = _read(path)
    return parse_mapping(mapping, model, str(path), lines)


def read_mapping(path: Path) -> dict[str, Any]:
    """Read a YAML file that holds a mapping, unchecked beyond that.

    Raises:
        ConfigError: If the file is missing, does not parse or is not a mapping.
    """
    return _read(path)[0]


def parse_mapping(
    mapping: Mapping[str, Any], model: type[Model], origin: str, lines: Lines | None = None
) -> Model:
    """Make `model` from plain data.

    Args:
        mapping: Keys as in the file.
        model: A pydantic model or a dataclass; unknown keys are errors at every level.
        origin: What the error names: a file, or "the command line".
        lines: Where keys stand in the file, if known.

    Raises:
        ConfigError: If a key is unknown or missing, or a value does not fit; all problems, a line each.
    """
    problems = _unknown_keys(mapping, model, ())
    adapter: TypeAdapter[Model] = _adapter(cast(Any, model))
    if not problems:
        try:
            return adapter.validate_python(mapping)
        except ValidationError as error:
            problems = [(tuple(item["loc"]), _explain(item)) for item in error.errors()]
    raise ConfigError("\n".join(f"{_place(origin, lines, path)}: {text}" for path, text in problems))


def _read(path: Path) -> tuple[dict[str, Any], Lines]:
    try:
        text = path.read_text(encoding="utf-8")
        node = yaml.compose(text, Loader=_LOADER)
        mapping = yaml.load(text, Loader=_LOADER)
    except OSError as error:
        raise ConfigError(f"Cannot read {path}: {error.strerror}.") from error
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path} is not UTF-8 text: {error.reason} at byte {error.start}.") from error
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        line = f", line {mark.line + 1}" if mark else ""
        raise ConfigError(f"{path}{line}: not valid YAML: {error.problem}.") from error
    except (yaml.YAMLError, ValueError) as error:
        raise ConfigError(f"{path}: not valid YAML: {error}.") from error
    if mapping is None:
        mapping = {}
    if not isinstance(mapping, dict):
        raise ConfigError(f"{path}: found a {type(mapping).__name__}; expected a mapping of keys to values.")
    lines: Lines = {}
    try:
        _collect_lines(node, (), lines)
    except _RepeatedKey as error:
        raise ConfigError(f"{path}, line {error.line}: the key {error.key!r} is there twice.") from error
    except RecursionError as error:
        raise ConfigError(f"{path}: nested too deeply, or an anchor holds itself.") from error
    return mapping, lines


class _RepeatedKey(Exception):
    """A key that a mapping holds twice, of which YAML would silently take the last."""

    def __init__(self, key: str, line: int) -> None:
        super().__init__(key)
        self.key, self.line = key, line


def _collect_lines(node: yaml.Node | None, path: tuple[Any, ...], lines: Lines) -> None:
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            here = (*path, key.value)
            if here in lines:
                raise _RepeatedKey(key.value, key.start_mark.line + 1)
            lines[here] = key.start_mark.line + 1
            _collect_lines(value, here, lines)
    elif isinstance(node, yaml.SequenceNode):
        for index, value in enumerate(node.value):
            lines[(*path, index)] = value.start_mark.line + 1
            _collect_lines(value, (*path, index), lines)


def _unknown_keys(mapping: object, model: Any, path: tuple[Any, ...]) -> list[tuple[tuple[Any, ...], str]]:
    """Walk data and model side by side; pydantic is silent on unknown keys of plain nested dataclasses."""
    fields = _fields(model)
    if fields is None or not isinstance(mapping, Mapping):
        return []
    problems = []
    for key, value in mapping.items():
        if key not in fields:
            hint = did_you_mean(str(key), fields) or f" Known: {', '.join(fields)}."
            problems.append(((*path, key), f"unknown key {key!r}.{hint}"))
        else:
            problems += _unknown_keys(value, fields[key], (*path, key))
    return problems


@cache
def _fields(model: Any) -> dict[str, Any] | None:
    """Return the fields of a model with their types; None for anything that is not a model."""
    for candidate in (model, *get_args(model)):
        if isinstance(candidate, type) and issubclass(candidate, BaseModel):
            return {name: info.annotation for name, info in candidate.model_fields.items()}
        if isinstance(candidate, type) and dataclasses.is_dataclass(candidate):
            return _dataclass_fields(candidate)
    return None


def _dataclass_fields(model: type) -> dict[str, Any]:
    from typing import get_type_hints

    hints = get_type_hints(model)
    return {item.name: hints[item.name] for item in dataclasses.fields(model)}


@cache
def _adapter(model: Any) -> TypeAdapter[Any]:
    return TypeAdapter(model)


def _explain(item: Any) -> str:
    key = item["loc"][-1] if item["loc"] else "value"
    if item["type"] in ("missing", "missing_argument", "missing_keyword_only_argument"):
        return f"the key {key!r} is missing."
    message = str(item["msg"]).removeprefix("Value error, ")
    if item["type"] == "value_error":
        return message
    found = repr(item.get("input"))
    if len(found) > 80:
        found = found[:77] + "..."
    return f"{key}: found {found}; {message[:1].lower()}{message[1:]}."


def _place(origin: str, lines: Lines | None, path: tuple[Any, ...]) -> str:
    """Return origin and line of the nearest known key above `path`."""
    for end in range(len(path), 0, -1):
        line = (lines or {}).get(path[:end])
        if line:
            return f"{origin}, line {line}"
    return origin
