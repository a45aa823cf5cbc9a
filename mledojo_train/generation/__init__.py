"""Generators: where a policy's tokens come from."""

from mledojo_train.generation.base import Completion, Generator, Sampling

__all__ = ["Completion", "Generator", "Sampling"]
