"""The page: one file with its style, its script and its data, which asks the network for nothing.

What a model wrote is data in it, never markup: the template escapes, the script sets text, and a policy in
the page's head lets no script run but this one.
"""

from __future__ import annotations

import base64
import datetime
import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mledojo_train.published import DOMAINS, LABEL, published_rows
from mledojo_train.report.charts import charts, colour
from mledojo_train.report.episodes import packed_episodes
from mledojo_train.report.sources import Source
from mledojo_train.report.text import headline_cells, task_lines
from mledojo_train.summary import GAP, show

_HERE = Path(__file__).parent
_INDEX = (
    "policy", "task", "domain", "seed", "rank", "valid", "medal", "steps", "stop_reason", "broken",
    "failures", "wall_s", "run",
)  # fmt: skip


def write_page(
    source: Source, summary: Mapping[str, Any], path: Path, *, published: bool = True, episodes: bool = True
) -> None:
    """Write the report as one HTML file."""
    import jinja2
    from markupsafe import Markup

    packed = packed_episodes(source) if episodes else []
    script = (_HERE / "page.js").read_text()
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    loader = jinja2.FileSystemLoader(_HERE)
    template = jinja2.Environment(loader=loader, autoescape=True, undefined=jinja2.StrictUndefined)
    page = template.get_template("page.html").render(
        title=", ".join(source.folders),
        made=datetime.date.today().isoformat(),
        script=Markup(script),
        style=Markup((_HERE / "page.css").read_text()),
        digest=digest,
        rank_name=summary["rank_name"],
        headline=[
            (colour(place), headline_cells(name, figures["all"]))
            for place, (name, figures) in enumerate(summary["policies"].items())
        ],
        policies=list(summary["policies"]),
        charts=[(title, text, Markup(svg)) for title, text, svg in charts(summary)],
        comparisons=_comparisons(summary),
        needed=[(name, figures["all"]["episodes_needed"]) for name, figures in summary["policies"].items()],
        gap=GAP,
        phases=_phases(summary),
        tasks=task_lines(source, summary),
        protocols=[
            (name, protocol.lines() if protocol else []) for name, protocol in source.protocols.items()
        ],
        clashes=source.clashes,
        notes=source.notes,
        published=published_rows() if published else [],
        published_label=LABEL,
        published_domains=DOMAINS,
        index=[{key: row.get(key) for key in _INDEX} for row, _ in packed],
        packed=[text for _, text in packed],
    )
    path.write_text(page, encoding="utf-8", errors="replace")


def _comparisons(summary: Mapping[str, Any]) -> list[tuple[str, str, str, str]]:
    return [
        (
            pair,
            f"{found['mean']:+.3f} [{found['low']:+.3f}, {found['high']:+.3f}]",
            f"{found['p_value']:.4f}",
            f"{found['n']} on {found['tasks']}",
        )
        for pair, found in summary["compared"].items()
        if found
    ]


def _phases(summary: Mapping[str, Any]) -> list[list[str]]:
    rows = []
    for name, figures in summary["policies"].items():
        found = figures["all"]
        first, malformed = found["first_valid_step"], found["malformed_rate"]
        rows.append([
            name,
            show(found["validate_failure_rate"]),
            show(found["execute_failure_rate"]),
            "-" if malformed is None else f"{malformed:.1%}",
            "-" if first is None else f"{first:g}",
            f"{found['never_valid']} of {found['episodes']}",
        ])  # fmt: skip
    return rows
