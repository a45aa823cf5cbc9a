"""What a report is made of: runs whose results may be put side by side."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from mledojo_env.errors import ConfigError
from mledojo_train.protocol import Protocol, read_protocol
from mledojo_train.results import Row, missing_episodes, read_results


@dataclass
class Source:
    """All rows of the runs, each with its run, and what a reader must know of them."""

    rows: list[Row]
    protocols: dict[str, Protocol | None]  # a run's name -> how it was played
    folders: dict[str, Path]  # a run's name -> where it lies
    notes: list[str] = field(default_factory=list)
    clashes: list[str] = field(default_factory=list)  # why these results are not to be compared


def load(runs: Sequence[Path], *, force: bool = False) -> Source:
    """Return the results of runs.

    A policy's name that stands for different policies in two runs is told with its run's.

    Raises:
        ConfigError: If a run has no results, or, without `force`, if two were not played alike.
    """
    names = _names(runs)
    source = Source([], {}, dict(zip(names, runs, strict=True)))
    for name, folder in source.folders.items():
        results = read_results(folder)
        protocol = read_protocol(folder)
        source.protocols[name] = protocol
        source.notes += [f"{name}: {note}" for note in results.notes]
        if protocol:
            plan = (list(protocol.policies), list(protocol.tasks), protocol.episodes)
            missing = missing_episodes(results.rows, *plan)
            if missing:
                source.notes.append(f"{name}: {missing} of the planned episodes are missing")
        broken = sum(row["broken"] for row in results.rows)
        if broken:
            source.notes.append(
                f"{name}: {broken} episodes broke on our side and are left out of every figure"
            )
        source.rows += [row | {"run": name} for row in results.rows]
    if not any(not row["broken"] for row in source.rows):
        source.notes.append("no episode to tell of: nothing was played, or every episode broke")
    played = Counter((row["policy"], row["task"]) for row in source.rows if not row["broken"])
    if played and min(played.values()) < 2:
        source.notes.append(
            "some tasks were played once by some policy: how much chance there is in that is not known"
        )
    source.clashes = _clashes(source.protocols)
    if source.clashes and not force:
        raise ConfigError(
            f"These results are of different protocols: {'; '.join(source.clashes)}. "
            "Evaluate again with one protocol, or put them side by side all the same with --force."
        )
    _tell_apart(source)
    return source


def _names(runs: Sequence[Path]) -> list[str]:
    """Return a name a run: its folder's, with as many parents as it takes to tell runs apart."""
    if not runs:
        raise ConfigError("No run to report on. Name one: mledojo-train report runs/eval")
    paths = [Path(run).resolve().parts for run in runs]
    if len(set(paths)) < len(paths):
        raise ConfigError("The same run is named twice.")
    depth = 1
    while len({path[-depth:] for path in paths}) < len(paths):
        depth += 1
    return ["/".join(path[-depth:]) for path in paths]


def _clashes(protocols: dict[str, Protocol | None]) -> list[str]:
    found = []
    names = list(protocols)
    for place, later in enumerate(names):
        for earlier in names[:place]:
            one, other = protocols[earlier], protocols[later]
            if one is None or other is None:
                found.append(f"{earlier if one is None else later} does not say how it was played")
            else:
                found += [f"{text} ({earlier}, {later})" for text in one.clashes(other)]
    return list(dict.fromkeys(found))


def _tell_apart(source: Source) -> None:
    """Name policies with their run where one name stands for several."""
    specs: dict[str, set[str]] = {}
    runs: dict[str, set[str]] = {}
    for row in source.rows:
        specs.setdefault(row["policy"], set()).add(row.get("spec", ""))
        runs.setdefault(row["policy"], set()).add(row["run"])
    for row in source.rows:
        if len(specs[row["policy"]]) > 1 and len(runs[row["policy"]]) > 1:
            row["policy"] = f"{row['run']}: {row['policy']}"
    seen: dict[tuple[str, str, int], Row] = {}
    for row in source.rows:
        seen.setdefault((row["policy"], row["task"], row["seed"]), row)
    if len(seen) < len(source.rows):
        source.notes.append(
            f"{len(source.rows) - len(seen)} episodes of the same policy, task and seed are in two runs: "
            "counted once"
        )
        source.rows = list(seen.values())
