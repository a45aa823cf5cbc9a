"""Generators: where a policy's tokens come from."""

from mledojo_train.generation.base import Completion, Generator, Sampling, StopRule

__all__ = ["Completion", "Generator", "Sampling", "StopRule"]
