"""Where untrusted code runs: one contract (`base`), and the backends that fulfil it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mledojo_env.sandbox.base import ExecutionResult, Limits, Sandbox, Session, Status

if TYPE_CHECKING:
    from mledojo_env.sandbox.docker import DockerSandbox, DockerSettings
    from mledojo_env.sandbox.local import LocalSandbox, shared_sandbox
    from mledojo_env.sandbox.unsafe import UnsafeSandbox

__all__ = [
    "DockerSandbox",
    "DockerSettings",
    "ExecutionResult",
    "Limits",
    "LocalSandbox",
    "Sandbox",
    "Session",
    "Status",
    "UnsafeSandbox",
    "shared_sandbox",
]


def __getattr__(name: str) -> Any:
    """Import the backend when it is first asked for: most importers only need the contract."""
    if name in ("LocalSandbox", "shared_sandbox"):
        from mledojo_env.sandbox import local

        return getattr(local, name)
    if name in ("DockerSandbox", "DockerSettings"):
        from mledojo_env.sandbox import docker

        return getattr(docker, name)
    if name == "UnsafeSandbox":
        from mledojo_env.sandbox.unsafe import UnsafeSandbox

        return UnsafeSandbox
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
