"""What an evaluation prints when it ends."""

from __future__ import annotations

from pathlib import Path

from mledojo_train.protocol import read_protocol
from mledojo_train.results import Results
from mledojo_train.summary import comparison_lines, summarise, table, write_summary


def print_results(results: Results, output_dir: str) -> None:
    """Print the protocol, the table and the comparisons, and write summary.json."""
    from rich.console import Console

    folder = Path(output_dir)
    summary = summarise(results.rows)
    path = write_summary(summary, folder)
    protocol = read_protocol(folder)
    if protocol:
        shown = (
            "preset",
            "tasks",
            "episodes a task and policy",
            "steps an episode",
            "scores shown",
            "hardware",
        )
        facts = dict(protocol.lines())
        print("; ".join(f"{name}: {facts[name]}" for name in shown))
    Console(width=160).print(table(summary))
    for line in comparison_lines(summary):
        print(line)
    for note in results.notes:
        print(f"note: {note}")
    print(f"{path} and results.jsonl written; a page to look at: mledojo-train report {folder}")
