"""What the generator of micro-tasks makes: a report over hundreds of tasks.

    python benchmarks/synth.py [--tasks 500] [--out benchmarks/results/synth.md]

Tasks of all families, at difficulties from 0 to 1, are generated into a cache of their own. A dummy, a linear
model and a small boosting enter each (see `mledojo_env.synth.entrants`), and are compared with the oracle,
which knows the process. Time is that of `synth.generate` in a warm process: until the folder is in its place.
"""

from __future__ import annotations

import argparse
import csv
import datetime
import os
import platform
import sys
import tempfile
import time
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from mledojo_env import load_task
from mledojo_env.grading import grade_frame
from mledojo_env.synth import SynthId, family_names, generate
from mledojo_env.synth.entrants import METHODS, enter
from mledojo_env.task import Task

MIN_HEADROOM = 0.05  # of the way from the dummy to perfect that the oracle must go
FIRST_SEED = 5_000
BOUND_S = 0.2  # for generating one task


@dataclass
class Row:
    """What became of one task. Scores are those of the private part."""

    task: str
    family: str
    difficulty: float
    kind: str
    metric: str
    train: int
    test: int
    teams: int
    wall_s: float
    cpu_s: float
    size_kb: float
    higher_is_better: bool
    perfect: float
    scores: dict[str, float] = field(default_factory=dict)  # with "nothing" and "oracle"
    ranks: dict[str, float] = field(default_factory=dict)

    def skill(self, who: str) -> float:
        """Return how far somebody's score is from that of knowing nothing (0) to the oracle's (1)."""
        bottom, top = self.scores["nothing"], self.scores["oracle"]
        return (self.scores[who] - bottom) / (top - bottom)

    @property
    def headroom(self) -> float:
        """How far the oracle's score is from that of knowing nothing (0) to perfect (1)."""
        bottom = self.scores["nothing"]
        return (self.scores["oracle"] - bottom) / (self.perfect - bottom)

    @property
    def problems(self) -> list[str]:
        """Why the task is degenerate, if it is."""
        sign = 1 if self.higher_is_better else -1
        found = []
        if self.headroom < MIN_HEADROOM:
            found.append(f"headroom {self.headroom:.3f}")
        ahead = [who for who in METHODS if sign * self.scores[who] > sign * self.scores["oracle"]]
        if ahead or self.ranks["oracle"] < 1:
            found.append(f"the oracle is not best ({', '.join(ahead) or 'board'})")
        return found


def main() -> None:
    """Generate, enter, write the report."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--tasks", type=int, default=500)
    parser.add_argument("--families", nargs="*", default=family_names())
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "results" / "synth.md")
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    with tempfile.TemporaryDirectory() as cache:
        os.environ["MLEDOJO_CACHE"] = cache
        os.environ["MLEDOJO_SYNTH_CACHE"] = "1000000"
        for name in options.families:  # imports are not what is measured
            generate(f"synth/{name}/{FIRST_SEED - 1}")
        rows = []
        for number in range(options.tasks):
            name = options.families[number % len(options.families)]
            round_ = number // len(options.families)
            rows.append(look_at(SynthId(name, FIRST_SEED + round_, (round_ % 11) / 10)))
            if sys.stderr.isatty():
                print(f"\r{number + 1}/{options.tasks}", end="", file=sys.stderr)
    options.out.write_text(report(rows))
    print(f"\n{options.out}", file=sys.stderr)


def look_at(wanted: SynthId) -> Row:
    """Return what becomes of one task."""
    wall, cpu = time.perf_counter(), time.process_time()
    folder = generate(str(wanted))
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    task = load_task(str(wanted))
    board = task.leaderboard
    assert board is not None
    row = Row(
        task=str(wanted),
        family=wanted.family,
        difficulty=wanted.difficulty,
        kind=task.kind,
        metric=task.metric.name,
        train=train_rows(task),
        test=len(task.answers()),
        teams=board.teams(),
        wall_s=wall,
        cpu_s=cpu,
        size_kb=sum(path.stat().st_size for path in folder.rglob("*") if path.is_file()) / 1000,
        higher_is_better=task.metric.higher_is_better,
        perfect=task.metric.best_value,
    )
    with (folder / "private" / "ladder.csv").open() as file:
        ladder = list(csv.DictReader(file))
    for who, rung in (("nothing", ladder[0]), ("oracle", ladder[-1])):
        public, private = float(rung["public_score"]), float(rung["private_score"])
        row.scores[who] = private
        row.ranks[who] = (board.rank(public, "public") + board.rank(private, "private")) / 2
    for method in METHODS:
        grade = grade_frame(task, enter(task, method))
        assert grade.rank is not None
        row.scores[method], row.ranks[method] = grade.private_score, grade.rank
    return row


def train_rows(task: Task) -> int:
    """Return how many rows have an answer."""
    from mledojo_env.synth.entrants import Entrant

    return len(Entrant(task).train)


def report(rows: Sequence[Row]) -> str:
    """Return the report, Markdown."""
    bad = [row for row in rows if row.problems]
    unlearnt = [row for row in rows if max(row.skill("linear"), row.skill("boosting")) <= 0]
    by_family = grouped_by(rows, lambda row: row.family)
    by_difficulty = grouped_by(rows, lambda row: f"{row.difficulty:g}")
    everything = {**by_family, "all": list(rows)}
    parts = [
        f"# Generated micro-tasks, {datetime.date.today()}: {len(rows)} tasks",
        f"Made by `python benchmarks/synth.py --tasks {len(rows)}` (Python {platform.python_version()}, "
        f"NumPy {np.__version__}, {os.cpu_count()} cores); what is done is said there. Difficulties are 0, "
        "0.1, ... 1 in turn.",
        f"Degenerate: {share(bad, rows)}: less than {MIN_HEADROOM:.0%} of the way from knowing nothing to "
        "perfect can be known, or somebody beats the oracle."
        + "".join(f"\n- {row.task} ({row.metric}): {'; '.join(row.problems)}" for row in bad),
        "Neither the linear model nor the boosting beats what one submits who knows nothing, on the "
        f"private part: {share(unlearnt, rows)}."
        + "".join(f"\n- {row.task} ({row.metric})" for row in unlearnt),
        "## Families",
        families(by_family),
        "## Rank",
        "Mean of the ranks on both boards, averaged over tasks; in brackets the 10th and 90th percentile.",
        spread(everything, lambda row, who: row.ranks[who], "family"),
        "## Skill",
        "How far the private score is from that of knowing nothing (0) to the oracle's (1).",
        spread(everything, lambda row, who: row.skill(who), "family"),
        "## Rank by difficulty",
        spread(by_difficulty, lambda row, who: row.ranks[who], "difficulty"),
        "## Metrics",
        "Median of the private scores.",
        metrics(rows),
        "## Time",
        times(everything),
    ]
    return "\n\n".join(parts) + "\n"


def grouped_by(rows: Sequence[Row], key: Callable[[Row], str]) -> dict[str, list[Row]]:
    """Return rows by what `key` says of them, sorted."""
    return {name: [row for row in rows if key(row) == name] for name in sorted(set(map(key, rows)))}


def share(some: Sequence[Row], of: Sequence[Row]) -> str:
    """Return how many of the rows these are, e.g. "3 of 500 (0.6%)"."""
    return f"{len(some)} of {len(of)} ({len(some) / len(of):.1%})"


WHO = ("dummy", "linear", "boosting", "oracle")


def families(by_family: dict[str, list[Row]]) -> str:
    """Return a table of what tasks of each family are like."""
    lines = [
        "| family | tasks | training rows | test rows | entries | kinds | folder, kB |",
        "|---|---|---|---|---|---|---|",
    ]
    for name, rows in by_family.items():
        kinds = ", ".join(sorted({row.kind for row in rows}))
        figures = [
            ends([row.train for row in rows]),
            ends([row.test for row in rows]),
            ends([r.teams for r in rows]),
        ]
        size = np.median([row.size_kb for row in rows])
        lines.append(f"| {name} | {len(rows)} | {' | '.join(figures)} | {kinds} | {size:.0f} |")
    return "\n".join(lines)


def spread(groups: dict[str, list[Row]], of: Callable[[Row, str], float], head: str) -> str:
    """Return a table of mean and spread of a figure, a row a group, a column an entrant."""
    lines = [f"| {head} | {' | '.join(WHO)} |", "|---" * (len(WHO) + 1) + "|"]
    for name, rows in groups.items():
        cells = []
        for who in WHO:
            values = np.array([of(row, who) for row in rows])
            low, high = np.quantile(values, [0.1, 0.9])
            cells.append(f"{values.mean():.2f} ({low:.2f} to {high:.2f})")
        lines.append(f"| {name} | {' | '.join(cells)} |")
    return "\n".join(lines)


def metrics(rows: Sequence[Row]) -> str:
    """Return a table of metrics: how often, and the median scores of all."""
    lines = [f"| metric | tasks | {' | '.join(WHO)} |", "|---" * (len(WHO) + 2) + "|"]
    names = sorted({row.metric for row in rows}, key=lambda name: -sum(row.metric == name for row in rows))
    for name in names:
        mine = [row for row in rows if row.metric == name]
        cells = [f"{np.median([round(row.scores[who], 6) for row in mine]):.4g}" for who in WHO]
        lines.append(f"| {name} | {len(mine)} | {' | '.join(cells)} |")
    return "\n".join(lines)


def times(groups: dict[str, list[Row]]) -> str:
    """Return a table of the time that generating one task took."""
    lines = [
        f"Seconds to generate one task; the bound is {BOUND_S}.",
        "",
        "| family | wall median | wall 95 % | wall max | CPU median | CPU 95 % | CPU max |",
        "|---|---|---|---|---|---|---|",
    ]
    for name, rows in groups.items():
        cells = []
        for values in ([row.wall_s for row in rows], [row.cpu_s for row in rows]):
            cells += [f"{figure:.3f}" for figure in np.quantile(values, [0.5, 0.95, 1.0])]
        lines.append(f"| {name} | {' | '.join(cells)} |")
    return "\n".join(lines)


def ends(values: Sequence[int]) -> str:
    """Return the smallest and the largest value."""
    return f"{min(values)} to {max(values)}"


if __name__ == "__main__":
    main()
