"""What each recipe can be told: one frozen dataclass a recipe, read from YAML and the command line.

A YAML file holds only what differs from the defaults. On the command line `--key value` overrides a field and
`--section.key value` a field of a section; values are read as YAML. Unknown keys fail and name the nearest.
"""

from __future__ import annotations

import dataclasses
import hashlib
import sys
from collections.abc import Sequence
from dataclasses import field
from pathlib import Path
from typing import Any, Literal, TypeVar

import yaml
from pydantic import ConfigDict, TypeAdapter
from pydantic.dataclasses import dataclass

from mledojo_env.catalog import list_tasks, read_split, split_names
from mledojo_env.errors import ConfigError, did_you_mean
from mledojo_env.synth import expand, is_synth
from mledojo_env.typed_yaml import parse_mapping, read_mapping
from mledojo_train.generation import Sampling
from mledojo_train.generation.vllm import VLLMOptions
from mledojo_train.nano import NanoConfig
from mledojo_train.policy.endpoint_options import EndpointOptions
from mledojo_train.presets import with_preset
from mledojo_train.rollout import EpisodeOptions

Run = TypeVar("Run")

_STRICT = ConfigDict(extra="forbid")


@dataclass(frozen=True, config=_STRICT)
class SandboxOptions:
    """Where scripts run. What only concerns containers is left alone by the local backend."""

    backend: str = "local"  # local or docker
    unsafe: bool = False  # run code even where this machine cannot isolate it; each run says so
    max_concurrent: int | None = None  # executions at a time; None: one a core, and more while cores idle
    preload: list[str] | None = (
        None  # modules imported before the first script; None: pandas, scikit-learn ...
    )
    packages: list[str] | None = None  # distributions scripts may import, local only; None: the usual ones
    image: str = "mledojo-sandbox:latest"  # built by env/docker/build.py
    runtime: str | None = None  # of containers, e.g. runsc for gVisor; None: the engine's default
    gpus: str | int | list[str] | None = None  # all, a number, or device ids
    pool_size: int = 2  # warm containers to keep ready for a task, over 100 MB each


@dataclass(frozen=True, kw_only=True, config=_STRICT)
class CollectRun:
    """Scripted (or any other) agents act on tasks; their trajectories are kept."""

    output_dir: str
    policies: list[str] = field(default_factory=lambda: ["scripted:mixed"])
    tasks: list[str] = field(default_factory=lambda: ["train"])  # ids or names of splits
    episodes: int = 8  # a task and policy
    seed: int = 0
    action_format: str = "fenced"
    episode: EpisodeOptions = field(default_factory=EpisodeOptions)
    sampling: Sampling = field(default_factory=Sampling)
    endpoint: EndpointOptions = field(default_factory=EndpointOptions)  # of policies openai:<model>
    max_tokens: int = 8192  # an episode, prompt and observations included
    sandbox: SandboxOptions = field(default_factory=SandboxOptions)
    cache_mb: int = 0  # bound on the results of executions that are kept to be used again; 0: none


@dataclass(frozen=True, kw_only=True, config=_STRICT)
class SFTRun:
    """Imitate trajectories, the assistant's tokens only."""

    output_dir: str
    data: list[str]  # trajectories.jsonl files
    model_name_or_path: str = "nano"
    min_rank: float = 0.0  # leave out episodes that ended below
    seed: int = 0
    nano: NanoConfig = field(default_factory=NanoConfig)
    lora: dict[str, Any] | None = None  # fields of peft.LoraConfig; None: train all weights
    trainer: dict[str, Any] = field(default_factory=dict)  # fields of trl.SFTConfig


@dataclass(frozen=True, kw_only=True, config=_STRICT)
class GRPORun:
    """Online reinforcement learning in the sandbox."""

    output_dir: str
    model_name_or_path: str
    tasks: list[str] = field(default_factory=lambda: ["train"])
    seed: int = 0
    action_format: str = "fenced"
    episode: EpisodeOptions = field(default_factory=EpisodeOptions)
    sampling: Sampling = field(default_factory=Sampling)
    max_tokens: int = 8192
    generator: Literal["transformers", "vllm"] = "transformers"  # where the policy's tokens come from
    vllm: VLLMOptions = field(default_factory=VLLMOptions)
    sandbox: SandboxOptions = field(default_factory=SandboxOptions)
    cache_mb: int = 1024  # bound on the results of executions that are kept to be used again; 0: none
    seed_each: Literal["task", "group", "episode"] = "task"  # what has a seed of its own for its scripts
    mask_stragglers: bool = True  # leave episodes that missed a deadline out of the loss and the baseline
    save_rollouts: bool = True
    lora: dict[str, Any] | None = field(default_factory=dict)
    trainer: dict[str, Any] = field(default_factory=dict)  # fields of trl.GRPOConfig


@dataclass(frozen=True, kw_only=True, config=_STRICT)
class EvalRun:
    """Several episodes of each policy on each task; rows, intervals, a table."""

    output_dir: str
    policies: dict[str, str] = field(default_factory=dict)  # name in tables -> spec
    preset: str | None = None  # dojo, quick or mle-lite: a protocol by name, below what is set here
    tasks: list[str] = field(default_factory=lambda: ["benchmark"])
    episodes: int = 4  # a task and policy
    seed: int = 0
    action_format: str = "fenced"
    episode: EpisodeOptions = field(default_factory=EpisodeOptions)
    sampling: Sampling = field(default_factory=Sampling)
    endpoint: EndpointOptions = field(default_factory=EndpointOptions)  # of policies openai:<model>
    max_tokens: int = 8192
    sandbox: SandboxOptions = field(default_factory=SandboxOptions)
    cache_mb: int = 0  # bound on the results of executions that are kept to be used again; 0: none
    report_to: list[str] = field(default_factory=list)  # tensorboard, wandb, trackio ...


def parse_command_line(model: type[Run], arguments: Sequence[str] | None = None) -> Run:
    """Read `--config FILE` and `--key value` overrides into a run's configuration.

    Raises:
        ConfigError: If the file or an override does not parse, or names an unknown key.
    """
    words = list(sys.argv[1:] if arguments is None else arguments)
    if not words or words[0] in ("-h", "--help"):
        print(usage(model))
        raise SystemExit(0 if words else 2)
    mapping: dict[str, Any] = {}
    origin = "the command line"
    overrides: list[tuple[str, str]] = []
    while words:
        key = words.pop(0)
        if not key.startswith("--"):
            raise ConfigError(
                f"Found {key!r} where an option was expected; write --key value or --key=value."
            )
        key, separator, value = key[2:].partition("=")
        if not separator:
            if not words:
                raise ConfigError(f"--{key} has no value.")
            value = words.pop(0)
        if key == "config":
            mapping, origin = read_mapping(Path(value)), value
        else:
            overrides.append((key, value))
    for key, value in overrides:
        _set(mapping, key.split("."), _yaml_value(key, value))
    if model is EvalRun:
        mapping = with_preset(mapping)
    return parse_mapping(mapping, model, origin)


def usage(model: type[Any]) -> str:
    """Return a recipe's options with their defaults, one a line."""
    lines = [f"{model.__doc__}\n\nOptions (--config FILE first, then --key value or --section.key value):"]
    for name, default in _defaults(model):
        lines.append(f"  --{name}  {default}")
    return "\n".join(lines)


def save_resolved(config: Any, folder: str) -> Path:
    """Write the configuration with every default filled in to `folder`/config.yaml.

    Raises:
        ConfigError: If the folder cannot be written.
    """
    path = Path(folder) / "config.yaml"
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(yaml.safe_dump(to_mapping(config), sort_keys=False))
    except OSError as error:
        raise ConfigError(f"Cannot write {path}: {error.strerror}. Choose another output_dir.") from error
    return path


def to_mapping(config: Any) -> dict[str, Any]:
    """Return a configuration as plain data."""
    return dict(TypeAdapter(type(config)).dump_python(config, mode="json"))


def config_hash(config: Any) -> str:
    """Return 12 hex digits that change with any field."""
    return hashlib.sha256(yaml.safe_dump(to_mapping(config)).encode()).hexdigest()[:12]


def expand_tasks(names: Sequence[str]) -> list[str]:
    """Return task ids for ids, names of splits (`train`, `mle-lite`) and ranges, without repeats, in order.

    A split stands for those of its tasks whose data is here and not quarantined. A range of generated tasks,
    such as `synth/tabular/0..99?difficulty=0.5`, stands for one of each seed.

    Raises:
        TaskNotFound: If there is no such family of generated tasks.
        ConfigError: If a range is empty, too long, or of seeds for both training and evaluation; or if
            nothing of a split is prepared.
    """
    splits = split_names()
    ready = {entry.id for entry in list_tasks() if entry.ready}
    ids: dict[str, None] = {}
    for name in names:
        if name in splits:
            found = [task for task in read_split(name) if task in ready]
            if not found:
                raise ConfigError(
                    f"No task of the split {name} is prepared. See: mledojo-train tasks prepare --help"
                )
            ids.update(dict.fromkeys(found))
        elif is_synth(name):
            ids.update(dict.fromkeys(expand(name)))
        else:
            ids[name] = None
    return list(ids)


def build(made: type[Run], section: str, given: dict[str, Any], **ours: Any) -> Run:
    """Make a library's dataclass (`trl.GRPOConfig`, `peft.LoraConfig` ...) from a section of a configuration.

    Args:
        made: The dataclass.
        section: Name of the section, for errors.
        given: The section.
        ours: Fields that this project sets itself from its own configuration.

    Raises:
        ConfigError: If the section has an unknown key, sets one of ours, or the values clash.
    """
    known = {item.name for item in dataclasses.fields(made)}  # type: ignore[arg-type]
    for key in given:
        if key in ours:
            raise ConfigError(f"{section}.{key} is set from the recipe's own configuration; remove it there.")
        if key not in known:
            hint = did_you_mean(key, known)
            raise ConfigError(f"Unknown key {key!r} in {section}: not a field of {made.__name__}.{hint}")
    # YAML 1.1 reads a bare `no` as false, and "no" is how transformers switches a strategy off.
    given = {k: "no" if v is False and k.endswith("_strategy") else v for k, v in given.items()}
    try:
        return made(**given, **ours)
    except (TypeError, ValueError) as error:
        raise ConfigError(f"{section}: {error}") from error


def _defaults(model: type[Any], prefix: str = "") -> list[tuple[str, str]]:
    rows = []
    for item in dataclasses.fields(model):
        if item.default_factory is not dataclasses.MISSING:
            default = item.default_factory()
        elif item.default is not dataclasses.MISSING:
            default = item.default
        else:
            rows.append((prefix + item.name, "(required)"))
            continue
        if dataclasses.is_dataclass(default):
            rows += _defaults(type(default), f"{prefix}{item.name}.")
        else:
            rows.append((prefix + item.name, f"[{default}]"))
    return rows


def _yaml_value(key: str, text: str) -> Any:
    try:
        return yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise ConfigError(f"--{key} {text!r} is not a YAML value: {error}") from error


def _set(mapping: dict[str, Any], path: list[str], value: Any) -> None:
    for section in path[:-1]:
        if mapping.get(section) is None:
            mapping[section] = {}
        mapping = mapping[section]
        if not isinstance(mapping, dict):
            raise ConfigError(f"--{'.'.join(path)}: {section} is a value, not a section.")
    mapping[path[-1]] = value
