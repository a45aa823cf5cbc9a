"""Makes `gymnasium.make("MLEDojo-v0", task=...)` work after `import mledojo_env`, whichever comes first.

Gymnasium 1.x loads no plugins: a package registers its environments when it is imported. Importing Gymnasium
for that would make `import mledojo_env` slow for all who never need it, so where it is not there yet,
registration waits for it.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from importlib.util import find_spec
from types import ModuleType

ENV_ID = "MLEDojo-v0"


def register_gymnasium() -> None:
    """Register the environment with Gymnasium; safe to call again."""
    from gymnasium.envs import registration

    if ENV_ID not in registration.registry:
        registration.register(id=ENV_ID, entry_point="mledojo_env.environment:MLEDojoEnv")


def register_when_imported() -> None:
    """Register now if Gymnasium is imported already, else as soon as it is."""
    if "gymnasium.envs" in sys.modules:
        register_gymnasium()
    elif not any(isinstance(finder, _WaitForGymnasium) for finder in sys.meta_path):
        sys.meta_path.insert(0, _WaitForGymnasium())


class _WaitForGymnasium(MetaPathFinder):
    """Notices the first import of `gymnasium.envs` and then steps aside."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if fullname != "gymnasium.envs":
            return None
        sys.meta_path.remove(self)
        spec = find_spec(fullname)
        if spec is not None and spec.loader is not None:
            spec.loader = _RegisteringLoader(spec.loader)
        return spec


class _RegisteringLoader(Loader):
    """Loads a module as its own loader does, then registers."""

    def __init__(self, loader: Loader) -> None:
        self._loader = loader

    def create_module(self, spec: ModuleSpec) -> ModuleType | None:
        return self._loader.create_module(spec)

    def exec_module(self, module: ModuleType) -> None:
        self._loader.exec_module(module)
        register_gymnasium()
