"""What an evaluation prints when it ends."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from mledojo_train.model_card import card_folder, write_results
from mledojo_train.protocol import read_protocol
from mledojo_train.report.sources import load
from mledojo_train.report.text import markdown
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
    _fill_cards(folder, summary)
    print(f"{path} and results.jsonl written; a page to look at: mledojo-train report {folder}")


def _fill_cards(folder: Path, summary: dict[str, Any]) -> None:
    """Tell the results in the cards of the checkpoints that were played."""
    cards = {card_folder(figures["spec"]) for figures in summary["policies"].values()}
    for card in sorted(filter(None, cards)):
        if write_results(card, markdown(load([folder]), summary)):
            print(f"{card / 'README.md'} tells these results")
