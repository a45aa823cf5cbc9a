"""What this machine offers to isolate code, told in words; `mledojo-train doctor` prints it."""

from __future__ import annotations


def explain_refusal(problem: str) -> str:
    """Return why the sandbox cannot start here and what to enable, from the step the kernel refused."""
    return f"This machine cannot isolate code: {problem}."
