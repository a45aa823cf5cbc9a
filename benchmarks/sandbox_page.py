"""The figures of benchmarks/sandbox.py as a page of Markdown."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from typing import Any


def p95(samples: Sequence[float]) -> float:
    """Return the smallest sample that at least 95 % of them do not exceed."""
    return sorted(samples)[math.ceil(0.95 * len(samples)) - 1]


def in_ms(samples: Sequence[float]) -> list[str]:
    """Return the median and the 95th percentile of seconds, as milliseconds."""
    return [f"{1000 * statistics.median(samples):.0f}", f"{1000 * p95(samples):.0f}"]


def times_faster(samples: Sequence[float], than: Sequence[float] | None) -> str:
    """Return the ratio of two medians, if there is something to compare with."""
    if not than:
        return "-"
    return f"{statistics.median(than) / statistics.median(samples):.1f}"


def rows(head: Sequence[str], body: Sequence[Sequence[str]]) -> str:
    """Return a Markdown table."""
    lines = [" | ".join(cells) for cells in (head, ["---"] * len(head), *body)]
    return "\n".join(f"| {line} |" for line in lines)


def render(figures: dict[str, Any]) -> str:
    """Return a page of Markdown with all figures."""
    parts = [
        "# Ways to run a small script with pandas and scikit-learn",
        "\n".join(f"- {name}: {value}" for name, value in figures["facts"].items()),
        "What each figure means is said in `benchmarks/sandbox.py`; every sample is in the JSON beside this.",
        rows(*ways_table(figures)),
    ]
    if figures["session_start_s"]:
        starts = [[name, *in_ms(samples)] for name, samples in figures["session_start_s"].items()]
        parts.append(rows(["session start", "median ms", "p95 ms"], starts))
    if figures["memory_mb"]:
        used = [
            [name, *(f"{found[part]:.1f}" for part in ("server", "idle", "running"))]
            for name, found in figures["memory_mb"].items()
        ]
        parts.append(rows(["memory, MB PSS", "server", "a sandbox, idle", "a sandbox, running"], used))
    if "pool" in figures:
        parts.append("A pool of {size} containers is warm after {seconds:.1f} s.".format(**figures["pool"]))
    parts += [f"Left out: {name}: {reason}" for name, reason in figures["left_out"].items()]
    return "\n\n".join(parts) + "\n"


def ways_table(figures: dict[str, Any]) -> tuple[list[str], list[list[str]]]:
    """Return the head and the body of the table of latencies and throughputs."""
    seconds, rates = figures["latency_s"], figures["throughput_per_s"]
    counts = list(next(iter(rates.values()), {}))
    head = ["way", "median ms", "p95 ms", "times faster than subprocess", "than docker run"]
    head += [f"{count} at once, 1/s" for count in counts]
    body = []
    for name, samples in seconds.items():
        ratios = [times_faster(samples, seconds.get(other)) for other in ("subprocess", "docker run")]
        speeds = [f"{statistics.mean(rates[name][count]):.2f}" for count in counts]
        body.append([name, *in_ms(samples), *ratios, *speeds])
    return head, body
