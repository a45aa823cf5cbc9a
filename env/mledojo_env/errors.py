"""Everything that can go wrong on our side of the environment, by name.

An agent's own failure (a traceback, a timeout, a bad CSV) is an observation and never one of these,
except `InvalidSubmission`, which grading raises and the environment turns into an observation.
"""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches


class MLEDojoError(Exception):
    """Base of every error this package raises on purpose; its text is meant for a user."""


class TaskNotFound(MLEDojoError):
    """No task has this id."""


class TaskDataError(MLEDojoError):
    """A task's files are missing, broken or not what its checksums say."""


class ConfigError(MLEDojoError):
    """A configuration or task file does not parse or holds something unexpected."""


class DownloadError(MLEDojoError):
    """A competition cannot be downloaded; the text says what Kaggle answered and what to do."""


class CredentialsError(DownloadError):
    """There are no credentials for Kaggle, or Kaggle does not accept them: nothing can be downloaded."""


class ArchiveError(MLEDojoError):
    """An archive is truncated, encrypted, hostile or of a kind that cannot be read here."""


class InvalidSubmission(MLEDojoError):
    """A submission cannot be scored; the one-line text tells the agent which column or id is wrong."""


class UngradableSubmission(InvalidSubmission):
    """A submission on which the grader ran out of time or memory: another try may end otherwise."""


class GradingError(MLEDojoError):
    """The grader itself failed: never the agent's fault, never a zero."""


class GenerationError(MLEDojoError):
    """A model server failed to do its work: never the agent's fault."""


class SandboxError(MLEDojoError):
    """The sandbox failed to do its work: never the agent's fault."""


class SandboxUnavailable(SandboxError):
    """This machine cannot isolate code as required; the text says what to enable."""


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """Return " Did you mean 'x'?" for the nearest known name, or an empty string."""
    nearest = get_close_matches(name, list(known), n=1, cutoff=0.5)
    return f" Did you mean {str(nearest[0])!r}?" if nearest else ""
