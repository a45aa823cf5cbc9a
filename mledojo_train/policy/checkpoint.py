"""Where a model lies: looked at before torch is imported, so that a typo fails at once."""

from __future__ import annotations

from pathlib import Path

from mledojo_env.errors import ConfigError


def check_model_path(path: str) -> None:
    """Fail early, before a hub is asked, on a path that looks local and holds no model.

    Raises:
        ConfigError: If the folder is missing or holds neither a config.json nor an adapter_config.json.
    """
    folder = Path(path)
    if folder.is_dir():
        if not any((folder / name).is_file() for name in ("config.json", "adapter_config.json")):
            raise ConfigError(f"{path} holds no model: found neither config.json nor adapter_config.json.")
    elif path.startswith((".", "/", "~", "runs/")) or path.count("/") > 1:
        raise ConfigError(f"The model path {path!r} does not exist. Give a checkpoint folder or a hub name.")
