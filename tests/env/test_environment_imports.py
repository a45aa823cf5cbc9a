"""What `import mledojo_env` costs and promises, looked at from fresh interpreters."""

from __future__ import annotations

import subprocess
import sys

import pytest

import mledojo_env


def fresh(code: str) -> str:
    """Run code in a new interpreter and return what it printed."""
    return subprocess.run(
        [sys.executable, "-c", code], check=True, capture_output=True, text=True
    ).stdout.strip()


def test_importing_the_package_imports_nothing_heavy() -> None:
    heavy = "{'numpy', 'pandas', 'sklearn', 'torch', 'transformers', 'trl', 'gymnasium', 'pydantic', 'yaml'}"
    assert fresh(f"import sys, mledojo_env; print(sorted({heavy} & sys.modules.keys()))") == "[]"


def test_the_environment_needs_no_training_stack() -> None:
    stack = "{'torch', 'transformers', 'trl', 'mledojo_train'}"
    assert (
        fresh(f"import sys, mledojo_env; mledojo_env.MLEDojoEnv; print(sorted({stack} & sys.modules.keys()))")
        == "[]"
    )


@pytest.mark.parametrize(
    "imports", ["mledojo_env, gymnasium", "gymnasium, mledojo_env", "mledojo_env, gymnasium.spaces"]
)
def test_the_environment_is_registered_whichever_is_imported_first(imports: str) -> None:
    code = f"import {imports}; print('MLEDojo-v0' in gymnasium.registry, len(gymnasium.registry) > 10)"
    assert fresh(code) == "True True"


def test_gymnasium_imports_the_package_by_name() -> None:
    code = """
import gymnasium
try:
    gymnasium.make("mledojo_env:MLEDojo-v0", task="offline/no-such-task")
except Exception as error:
    print(type(error).__name__)
"""
    assert fresh(code) == "TaskNotFound"


def test_registering_twice_is_quiet() -> None:
    code = "import warnings; warnings.simplefilter('error'); import mledojo_env, gymnasium\n"
    assert (
        fresh(code + "mledojo_env.register_gymnasium(); mledojo_env.register_gymnasium(); print('quiet')")
        == "quiet"
    )


@pytest.mark.parametrize("name", mledojo_env.__all__)
def test_every_export_is_there(name: str) -> None:
    assert getattr(mledojo_env, name) is not None
    assert name in dir(mledojo_env)


def test_an_unknown_attribute_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="load_tsak"):
        _ = mledojo_env.load_tsak  # type: ignore[attr-defined]
