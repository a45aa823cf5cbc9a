"""What a task is: its facts, its files, and how a submission to it is scored."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationInfo, field_validator

from mledojo_env.errors import TaskDataError, did_you_mean
from mledojo_env.prepare import (
    CHECKSUMS,
    Manifest,
    Prepared,
    is_prepared,
    prepare_bundled,
    prepared_place,
    verify_checksums,
    verify_manifest,
)
from mledojo_env.typed_yaml import load_yaml

if TYPE_CHECKING:
    from pandas import DataFrame

    from mledojo_env.leaderboard import Leaderboard
    from mledojo_env.metrics import Metric

DOMAINS = ("tabular", "vision", "nlp", "time-series", "audio", "graph", "recsys", "signal", "multimodal")
KINDS = (
    "binary-classification",
    "multiclass",
    "multilabel",
    "regression",
    "multi-regression",
    "forecasting",
    "ranking",
    "retrieval",
    "detection",
    "segmentation",
    "image-to-image",
    "sequence-labelling",
    "qa",
    "generation",
    "other",
)


GROUPS = ("mle-lite", "tabular", "nlp", "cv", "mle-bench")  # of Kaggle tasks, as others report on them


class _Facts(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Source(_Facts):
    """Where a task's data comes from. Training and benchmark tasks must not share a `name`."""

    name: str
    via: str = ""
    url: str = ""
    licence: str


class MetricFacts(_Facts):
    """A metric of the registry and its parameters."""

    name: str
    params: dict[str, Any] = Field(default_factory=dict)


class SubmissionFormat(_Facts):
    """The columns of a submission, and what the target columns hold."""

    id: list[str] = Field(min_length=1)
    targets: list[str] = Field(min_length=1)
    value: Literal["number", "probability", "label", "text"]
    rows: Literal["one", "several"] = "one"  # for each id; of several, the order counts


class TaskLimits(_Facts):
    """What one run of an agent's script may use."""

    timeout_s: float = Field(default=60.0, gt=0)
    validate_timeout_s: float = Field(default=10.0, gt=0)
    memory_mb: int = Field(default=2048, gt=0)


class Preparation(_Facts):
    """How raw files become public and private ones.

    `bundled`: they lie beside task.yaml, compressed. `random`, `stratified`, `group`, `time`: rows of a
    labelled table are held out (see `prepare.recipe.TableRecipe` for the parameters). `function`: a function
    of its own, by `name`. `import`: only data that another project prepared can be had. `generated`: made
    from a seed by `mledojo_env.synth`, as it is, in the task's own folder.
    """

    strategy: Literal["bundled", "random", "stratified", "group", "time", "function", "import", "generated"]
    params: dict[str, Any] = Field(default_factory=dict)
    seed: int = 0
    hides: list[str] = Field(default_factory=list)  # columns of test rows that a function leaves out


class BoardFacts(_Facts):
    """Who is on the leaderboard: people, or reference pipelines fitted by us."""

    kind: Literal["human", "reference"]


class TaskFacts(_Facts):
    """The content of task.yaml."""

    id: str
    title: str
    domain: str
    kind: str
    difficulty: Literal["low", "medium", "high"] | None = None
    split: Literal["train", "benchmark"]
    groups: list[str] = Field(default_factory=list)
    source: Source
    size_bytes: int | None = None  # of the raw files, as downloaded
    metric: MetricFacts
    submission: SubmissionFormat
    public: dict[str, str]
    limits: TaskLimits = TaskLimits()
    prepare: Preparation
    verified: Literal["data", "synthetic"] = "data"  # what the preparation was tested on
    leaderboard: BoardFacts | None = None
    quarantine: str | None = None  # why the task is left out, if it is

    @field_validator("domain", "kind")
    @classmethod
    def _is_known(cls, value: str, info: ValidationInfo) -> str:
        known = DOMAINS if info.field_name == "domain" else KINDS
        if value not in known:
            hint = did_you_mean(value, known)
            raise ValueError(f"{info.field_name} {value!r} is not one of {', '.join(known)}.{hint}")
        return value

    @field_validator("groups")
    @classmethod
    def _are_known(cls, value: list[str]) -> list[str]:
        for group in value:
            if group not in GROUPS:
                raise ValueError(f"{group!r} is not one of {', '.join(GROUPS)}.{did_you_mean(group, GROUPS)}")
        return value


def read_facts(folder: Path) -> TaskFacts:
    """Read and check a task's task.yaml.

    Raises:
        ConfigError: If it is missing or wrong; names the line and the nearest valid key.
    """
    return load_yaml(folder / "task.yaml", TaskFacts)


@dataclass(frozen=True, eq=False)
class Task:
    """A task on this machine. Its data is prepared on first use and cached; see `mledojo_env.prepare`."""

    folder: Path
    facts: TaskFacts
    variant: str = ""  # e.g. "micro=200": other rows of the same task
    _cached: dict[Path, DataFrame] = field(default_factory=dict, repr=False)

    @classmethod
    def from_folder(cls, folder: Path, variant: str = "") -> Task:
        """Return the task that lies in a folder.

        Raises:
            ConfigError: If its task.yaml is missing or wrong.
        """
        return cls(folder.resolve(), read_facts(folder), variant)

    @property
    def id(self) -> str:
        """The id, e.g. `offline/concrete-strength` or `kaggle/titanic?micro=200`."""
        return self.facts.id + (f"?{self.variant}" if self.variant else "")

    @property
    def title(self) -> str:
        """The title, as a person reads it."""
        return self.facts.title

    @property
    def domain(self) -> str:
        """One of `DOMAINS`."""
        return self.facts.domain

    @property
    def kind(self) -> str:
        """What is predicted: one of `KINDS`."""
        return self.facts.kind

    @property
    def split(self) -> str:
        """`train` or `benchmark`."""
        return self.facts.split

    @property
    def source(self) -> Source:
        """Where the data comes from."""
        return self.facts.source

    @property
    def submission(self) -> SubmissionFormat:
        """The columns of a submission."""
        return self.facts.submission

    @property
    def public_files(self) -> dict[str, str]:
        """Every file that code sees in /data, with a line on each."""
        return self.facts.public

    @property
    def limits(self) -> TaskLimits:
        """What one run may use."""
        return self.facts.limits

    @cached_property
    def metric(self) -> Metric:
        """The metric.

        Raises:
            ConfigError: If the registry has no metric of this name, or it does not take these parameters.
        """
        from mledojo_env.metrics import get_metric

        return get_metric(self.facts.metric.name, self.facts.metric.params)

    @cached_property
    def description(self) -> str:
        """The description, Markdown."""
        path = (self._place if self._is_generated else self.folder) / "description.md"
        try:
            return path.read_text(encoding="utf-8")
        except OSError as error:
            raise TaskDataError(
                f"Cannot read {path}: {error.strerror}. A task needs a description."
            ) from error

    @cached_property
    def pages(self) -> str:
        """The competition's own pages, plain text; "" where there are none."""
        from mledojo_env.prepare.pages import read_pages

        return "" if self._is_bundled else read_pages(self._prepared.public.parent)

    @cached_property
    def leaderboard(self) -> Leaderboard | None:
        """The leaderboard; None for a task without one: no rank is better than one made up."""
        if self.facts.leaderboard is None:
            return None
        folder = self.folder / "private" if self._is_bundled else self._prepared.private
        if not self._is_bundled and not (folder / "leaderboard.csv").is_file():
            return None
        from mledojo_env.leaderboard import Leaderboard

        return Leaderboard.from_csv(
            folder / "leaderboard.csv",
            higher_is_better=self.metric.higher_is_better,
            kind=self.facts.leaderboard.kind,
        )

    @cached_property
    def data_hash(self) -> str:
        """12 hex digits over the checksums of all data files: equal data, equal hash."""
        if not self._is_bundled:
            return Manifest.read(self._place).data_hash
        try:
            return hashlib.sha256((self.folder / CHECKSUMS).read_bytes()).hexdigest()[:12]
        except OSError as error:
            raise TaskDataError(f"Cannot read {self.folder / CHECKSUMS}: {error.strerror}.") from error

    @property
    def _prepared(self) -> Prepared:
        return self._unpacked if self._is_bundled else Prepared.at(self._place)

    @cached_property
    def _unpacked(self) -> Prepared:
        return prepare_bundled(self.folder, self.id, self.data_hash, self.submission.id)

    @property
    def _place(self) -> Path:
        """Where the data of a task lies that does not ride in the package."""
        if self._is_generated:
            from mledojo_env.synth import keep_in_use

            return keep_in_use(self.facts.id, self.folder)
        self._require_prepared()
        return prepared_place(self.facts.id, self.variant)

    @property
    def _is_bundled(self) -> bool:
        return self.facts.prepare.strategy == "bundled"

    @property
    def _is_generated(self) -> bool:
        return self.facts.prepare.strategy == "generated"

    @property
    def is_ready(self) -> bool:
        """Whether its data is here and it is not quarantined."""
        return self.facts.quarantine is None and self.has_data

    @property
    def has_data(self) -> bool:
        """Whether its data is here: in the package, or prepared."""
        if self._is_bundled:
            return (self.folder / CHECKSUMS).is_file() and (self.folder / "private").is_dir()
        return self._is_generated or is_prepared(self.facts.id, self.variant)

    def _require_prepared(self) -> None:
        if not self.has_data:
            option = f" --{self.variant.replace('=', ' ')}" if self.variant else ""
            raise TaskDataError(
                f"The data of {self.id} is not prepared. Run: mledojo-train tasks prepare "
                f"{self.facts.id}{option}"
            )

    @property
    def public_dir(self) -> Path:
        """The folder that code sees as /data.

        Raises:
            TaskDataError: If files are missing or are not what was checksummed, or the cache is unwritable.
        """
        return self._prepared.public

    @property
    def sample_dir(self) -> Path:
        """A small version of `public_dir`, for `validate_code`."""
        return self._prepared.sample

    def verify(self) -> None:
        """Compare every data file with its checksum.

        Raises:
            TaskDataError: If one is missing, unlisted or different; names it.
        """
        if self._is_bundled:
            verify_checksums(self.folder)
        else:
            verify_manifest(self._place)

    def answers(self) -> DataFrame:
        """Return the hidden answers: id and target columns, and `part` (public or private)."""
        return self._frame(self._prepared.private / "answers.csv").copy()

    def sample_submission(self) -> DataFrame:
        """Return the sample submission."""
        return self._frame(self.public_dir / "sample_submission.csv").copy()

    def score(self, submission: DataFrame, answers: DataFrame) -> float:
        """Return the score of a submission, a finite float in the metric's own unit.

        Args:
            submission: Id and target columns in any order, one row an id in any order.
            answers: The same columns with the truth; a `part` column is ignored.

        Raises:
            InvalidSubmission: If it cannot be scored; names the column or the first bad id.
        """
        from mledojo_env.grading import score_frame

        return score_frame(submission, answers, self.submission, self.metric)

    def _frame(self, path: Path) -> DataFrame:
        """Read a table once; ids stay text, so that 007 is not 7."""
        import pandas as pd

        if path not in self._cached:
            text = dict.fromkeys(self.submission.id, str)
            if self.submission.value == "text":
                text |= dict.fromkeys(self.submission.targets, str)
            if self.submission.value in (
                "label",
                "text",
            ):  # where "NA" is a word; only blanks miss
                options: dict[str, Any] = {"keep_default_na": False, "na_values": [""]}
            else:
                options = {}
            try:
                self._cached[path] = pd.read_csv(path, dtype=text, **options)
            except (OSError, ValueError) as error:
                raise TaskDataError(
                    f"Cannot read {path}: {error}. Remove {path.parents[1]}, and it is prepared again."
                ) from error
        return self._cached[path]
