"""The command line: `mledojo-train tasks|run|play|grade|doctor`."""

from mledojo_train.cli.main import main

__all__ = ["main"]
