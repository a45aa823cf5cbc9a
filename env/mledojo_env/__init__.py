"""Kaggle-style tasks in a sandbox, with a reward: the environment of mledojo-train.

Names are imported when they are first used, so that `import mledojo_env` stays fast.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from mledojo_env.registration import register_gymnasium, register_when_imported

if TYPE_CHECKING:
    from mledojo_env.actions import Action, ActionName, MalformedAction
    from mledojo_env.catalog import load_task
    from mledojo_env.environment import MLEDojoEnv, make
    from mledojo_env.errors import (
        ConfigError,
        GradingError,
        InvalidSubmission,
        MLEDojoError,
        SandboxError,
        SandboxUnavailable,
        TaskDataError,
        TaskNotFound,
    )
    from mledojo_env.grading import Grade
    from mledojo_env.observation import Observation
    from mledojo_env.sandbox.local import LocalSandbox
    from mledojo_env.task import Task

_MODULE_OF = {
    "Action": "actions",
    "ActionName": "actions",
    "MalformedAction": "actions",
    "load_task": "catalog",
    "MLEDojoEnv": "environment",
    "make": "environment",
    "ConfigError": "errors",
    "GradingError": "errors",
    "InvalidSubmission": "errors",
    "MLEDojoError": "errors",
    "SandboxError": "errors",
    "SandboxUnavailable": "errors",
    "TaskDataError": "errors",
    "TaskNotFound": "errors",
    "Grade": "grading",
    "Observation": "observation",
    "LocalSandbox": "sandbox.local",
    "Task": "task",
}

__all__ = [
    "Action",
    "ActionName",
    "ConfigError",
    "Grade",
    "GradingError",
    "InvalidSubmission",
    "LocalSandbox",
    "MLEDojoEnv",
    "MLEDojoError",
    "MalformedAction",
    "Observation",
    "SandboxError",
    "SandboxUnavailable",
    "Task",
    "TaskDataError",
    "TaskNotFound",
    "__version__",
    "load_task",
    "make",
    "register_gymnasium",
]


def __getattr__(name: str) -> Any:
    if name == "__version__":
        from importlib.metadata import PackageNotFoundError, version

        try:
            value: Any = version("mledojo-train")
        except PackageNotFoundError:  # a checkout on the path, never installed
            value = "0+unknown"
    elif name in _MODULE_OF:
        value = getattr(import_module(f"{__name__}.{_MODULE_OF[name]}"), name)
    else:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})


register_when_imported()
