"""Reports: the results of one or more evaluations as a page, a card, a table and data."""

from mledojo_train.report.sources import Source, load
from mledojo_train.report.terminal import print_results
from mledojo_train.report.text import markdown, write_tables

__all__ = ["Source", "load", "markdown", "print_results", "write_tables"]
