"""The README.md of a checkpoint: what it is, how it was made, and how it fared once it has been evaluated."""

from __future__ import annotations

import re
from collections.abc import Sequence
from importlib import metadata
from pathlib import Path
from typing import Any

import yaml

from mledojo_train.config import to_mapping

BEGIN, END = "<!-- results of mledojo-train: begin -->", "<!-- results of mledojo-train: end -->"
_PACKAGES = ("mledojo-train", "trl", "peft", "transformers", "torch")


def write_card(folder: Path, *, method: str, base_model: str, data: Sequence[str], config: Any) -> Path:
    """Write the card of a checkpoint that was just saved, in place of what a library left there.

    Args:
        folder: The checkpoint's; an adapter's is told from a whole model's by its files.
        method: SFT or GRPO.
        base_model: What the training began with.
        data: What it learned from: files of trajectories, or tasks.
        config: The run's configuration.
    """
    from huggingface_hub import ModelCard, ModelCardData

    base = _name(base_model)
    is_adapter = (folder / "adapter_config.json").is_file()
    head = ModelCardData(
        base_model=base if re.fullmatch(r"[\w.-]+/[\w.-]+", base) else None,  # the hub's form of a name
        library_name="peft" if is_adapter else "transformers",
        pipeline_tag="text-generation",
        tags=["mledojo-train", "trl", method.lower(), *(["lora"] if is_adapter else [])],
    )
    versions = [f"{name} {metadata.version(name)}" for name in _PACKAGES]
    text = "\n".join([
        f"---\n{head.to_yaml()}\n---\n",
        f"# {_plain(folder.name)}\n",
        f"A machine-learning-engineering agent, trained with {method} by mledojo-train from {_code(base)}.\n",
        "## Results\n",
        f"{BEGIN}\nNot evaluated yet.\n{END}\n",
        "## Training data\n",
        *(f"- {_code(_name(one))}" for one in data),
        "\n## Configuration\n",
        _fenced(yaml.safe_dump(_without_places(to_mapping(config)), sort_keys=False)),
        "## Use\n",
        _fenced(f"mledojo-train play concrete-strength --policy local:{folder.name}\n"),
        f"Made with {', '.join(versions)}.",
    ])  # fmt: skip
    path = folder / "README.md"
    ModelCard(text + "\n").save(path)
    return path


def write_results(folder: Path, results: str) -> bool:
    """Replace what a checkpoint's card says of its results; False where there is no card of ours."""
    path = folder / "README.md"
    if not path.is_file():
        return False
    text = path.read_text()
    begin, end = text.find(BEGIN), text.find(END)
    if not 0 <= begin < end:
        return False
    inside = results.replace(BEGIN, "").replace(END, "").strip()
    path.write_text(f"{text[: begin + len(BEGIN)]}\n{inside}\n{text[end:]}")
    return True


def card_folder(spec: str) -> Path | None:
    """Return the folder whose card tells of a policy, the adapter's where there is one; None if not local."""
    kind, _, rest = spec.partition(":")
    model, _, adapter = rest.partition("+")
    return Path(adapter or model) if kind == "local" and rest else None


def _name(path: str) -> str:
    """Return a name that holds no place of this machine."""
    return Path(path).name if Path(path).is_absolute() else path


def _without_places(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_places(one) for key, one in value.items()}
    if isinstance(value, list):
        return [_without_places(one) for one in value]
    return _name(value) if isinstance(value, str) and value.startswith("/") else value


def _plain(text: str) -> str:
    return re.sub(r"([\\`*_<>\[\]#|])", r"\\\1", " ".join(text.split()))


def _code(text: str) -> str:
    return f"`{' '.join(text.split()).replace('`', '')}`"


def _fenced(text: str) -> str:
    longest = max((len(run) for run in re.findall(r"`{3,}", text)), default=2)
    fence = "`" * (longest + 1)
    return f"{fence}\n{text.rstrip()}\n{fence}\n"
