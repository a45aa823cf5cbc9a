"""Where untrusted code runs: one contract (`base`), and the backends that fulfil it."""

from mledojo_env.sandbox.base import ExecutionResult, Limits, Sandbox, Session, Status
from mledojo_env.sandbox.local import LocalSandbox, shared_sandbox

__all__ = ["ExecutionResult", "Limits", "LocalSandbox", "Sandbox", "Session", "Status", "shared_sandbox"]
