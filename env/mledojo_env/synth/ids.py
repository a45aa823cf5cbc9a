"""Ids of generated tasks: `synth/<family>/<seed>?difficulty=<0 to 1>`, and ranges of seeds."""

from __future__ import annotations

import re
from dataclasses import dataclass

from mledojo_env.errors import ConfigError, TaskNotFound, did_you_mean

PREFIX = "synth/"
FORM = "synth/<family>/<seed>?difficulty=<0 to 1>"
DEFAULT_DIFFICULTY = 0.5
BENCHMARK_SEED = 1_000_000  # seeds from here on are for evaluation, so that training never meets them
MAX_SEED = 2**31 - 1
MAX_RANGE = 100_000  # ids that one range may stand for

_SEED = re.compile(r"[0-9]{1,10}")
_RANGE = re.compile(r"([0-9]{1,10})\.\.([0-9]{1,10})")
_DIFFICULTY = re.compile(r"[01]|[01]?\.[0-9]{1,20}")


@dataclass(frozen=True, order=True)
class SynthId:
    """What fixes a generated task, together with the generator's version."""

    family: str
    seed: int
    difficulty: float = DEFAULT_DIFFICULTY  # in [0, 1], rounded to three decimals

    def __post_init__(self) -> None:
        from mledojo_env.synth.families import family_names

        if self.family not in family_names():
            known = ", ".join(family_names())
            hint = did_you_mean(self.family, family_names())
            name = self.family[:40]
            raise TaskNotFound(f"Unknown family {name!r} of generated tasks; known: {known}.{hint}")
        if not 0 <= self.seed <= MAX_SEED:
            raise TaskNotFound(f"The seed of {PREFIX}{self.family}/{self.seed} is not in 0..{MAX_SEED}.")
        if not 0 <= self.difficulty <= 1:
            raise TaskNotFound(
                f"The difficulty of {PREFIX}{self.family}/{self.seed} is {self.difficulty:g}; expected "
                "0 to 1."
            )
        object.__setattr__(self, "difficulty", round(self.difficulty, 3))

    def __str__(self) -> str:
        """Return the canonical id: no leading zeros, and no difficulty where it is the default."""
        return f"{PREFIX}{self.family}/{self.seed}{self._query}"

    @property
    def _query(self) -> str:
        return "" if self.difficulty == DEFAULT_DIFFICULTY else f"?difficulty={self.difficulty:g}"

    @property
    def split(self) -> str:
        """`train`, or `benchmark` from seed `BENCHMARK_SEED` on."""
        return "benchmark" if self.seed >= BENCHMARK_SEED else "train"

    @property
    def file_name(self) -> str:
        """The name of its folder."""
        return f"{self.family}-{self.seed}-{self.difficulty:g}"


def is_synth(task_id: str) -> bool:
    """Whether an id is meant to be that of a generated task, or a range of them.

    `synth/<name>` is not: it may be the folder of an ordinary task.
    """
    return task_id.startswith(PREFIX) and task_id.partition("?")[0].count("/") > 1


def parse_id(task_id: str) -> SynthId:
    """Read the id of a generated task.

    Raises:
        TaskNotFound: If it is none, or there is no such family; says what was expected.
    """
    family, seed, difficulty = _parts(task_id)
    if not _SEED.fullmatch(seed):
        raise TaskNotFound(f"The seed of {task_id[:100]!r} is {seed[:40]!r}; expected a number as in {FORM}.")
    return SynthId(family, int(seed), difficulty)


def expand(pattern: str) -> list[str]:
    """Return the canonical ids that an id or a range such as `synth/tabular/0..99` stands for.

    Raises:
        TaskNotFound: If it is not of such a form, or there is no such family.
        ConfigError: If the range is empty, too long, or holds seeds of both training and benchmark.
    """
    family, seeds, difficulty = _parts(pattern)
    found = _RANGE.fullmatch(seeds)
    if not found:
        return [str(parse_id(pattern))]
    first, last = int(found[1]), int(found[2])
    if last < first:
        raise ConfigError(f"{pattern}: the range is empty; write the lower seed first, as in 0..99.")
    if last - first >= MAX_RANGE:
        raise ConfigError(f"{pattern} stands for {last - first + 1} tasks; at most {MAX_RANGE} are listed.")
    ends = SynthId(family, first, difficulty), SynthId(family, last, difficulty)
    if ends[0].split != ends[1].split:
        raise ConfigError(
            f"{pattern} mixes training and evaluation: seeds below {BENCHMARK_SEED} are for the one, from "
            "there on for the other. Write two ranges."
        )
    return [str(SynthId(family, seed, difficulty)) for seed in range(first, last + 1)]


def _parts(task_id: str) -> tuple[str, str, float]:
    """Return family, seed or range, and difficulty."""
    name, separator, query = task_id.partition("?")
    parts = name.split("/")
    if len(parts) != 3 or parts[0] + "/" != PREFIX or not all(parts):
        raise TaskNotFound(f"{task_id[:100]!r} is no id of a generated task; expected {FORM}.")
    if not separator:
        return parts[1], parts[2], DEFAULT_DIFFICULTY
    key, _, value = query.partition("=")
    if key != "difficulty":
        raise TaskNotFound(f"Unknown parameter {key[:40]!r} in {task_id[:100]!r}; expected {FORM}.")
    if not _DIFFICULTY.fullmatch(value):
        raise TaskNotFound(
            f"The difficulty of {task_id[:100]!r} is {value[:40]!r}; expected a number from 0 to 1, e.g. 0.5."
        )
    return parts[1], parts[2], float(value)
