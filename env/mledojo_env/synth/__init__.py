"""Micro-tasks without end: made from a seed, small enough to be solved in a second, each one different.

    task = load_task("synth/tabular/17?difficulty=0.3")

Ids are those of `ids`; families are registered in `families`; `draft` is what a family hands over, from which
`contest`, `board`, `prose` and `write` make the folder of an ordinary task, kept by `cache`.
"""

from __future__ import annotations

from pathlib import Path

from mledojo_env.synth.families import Family, family_names, get_family
from mledojo_env.synth.ids import BENCHMARK_SEED, FORM, SynthId, expand, is_synth, parse_id

__all__ = [
    "BENCHMARK_SEED",
    "FORM",
    "Family",
    "SynthId",
    "expand",
    "family_names",
    "generate",
    "get_family",
    "is_synth",
    "keep_in_use",
    "parse_id",
]


def generate(task_id: str) -> Path:
    """Return the folder of a generated task: task.yaml, description.md, public/, sample/, private/.

    It is made on first use and kept; see `cache`.

    Raises:
        TaskNotFound: If the id is none of a generated task; says what was expected.
        TaskDataError: If the cache cannot be written; names the folder.
    """
    from mledojo_env.synth.cache import keep

    return keep(parse_id(task_id))


def keep_in_use(task_id: str, folder: Path) -> Path:
    """Return a generated task's folder, marked as in use now; made again if it was dropped from the cache.

    A folder that lies elsewhere, such as a copy, is returned as it is.
    """
    from mledojo_env.synth.cache import keep, place_of

    task = parse_id(task_id)
    return keep(task) if folder == place_of(task).resolve() else folder
