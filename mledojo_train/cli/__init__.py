"""The command line: `mledojo-train tasks|run|play|grade|serve|doctor`."""

from mledojo_train.cli.main import main

__all__ = ["main"]
