"""What the environment answers: structured first, rendered to text second."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from pathlib import PurePosixPath
from typing import Any


class StepStatus(StrEnum):
    """How a step went, from the agent's side."""

    OK = "ok"
    FAILED = "failed"  # the code raised, ran out of a limit, or asked for something that is not there
    INVALID = "invalid"  # the code ran to its end, but there is no submission that can be scored
    MALFORMED = "malformed"  # no action could be read


@dataclass(frozen=True)
class Observation:
    """One answer of the environment. Holds only what the agent may know.

    `score`, `rank`, `best_score` and `best_rank` follow the environment's `score_visibility`; None means that
    there is none, or none to be shown. Scores are in the metric's own unit, ranks in [0, 1]. `best_*` belong
    to the submission that counts. All text is already bounded.
    """

    status: StepStatus
    action: str | None  # None: the answer to `reset()`, or a malformed action
    feedback: str = ""  # what was asked for, or what the code printed
    error_class: str | None = None  # e.g. "KeyError", or the limit that was reached
    error_message: str | None = None
    traceback: str = ""  # the agent's own frames
    metric: str = ""
    higher_is_better: bool = True
    score: float | None = None
    rank: float | None = None
    best_score: float | None = None
    best_rank: float | None = None
    submission_valid: bool | None = None  # None: this step submitted nothing
    steps_left: int = 0
    # Wall clock is a measurement, not a part of the transition: two observations that differ in it are equal.
    seconds_left: float = field(default=0.0, compare=False)
    seconds_are_short: bool = field(default=False, compare=False)  # too few for a run at full length
    files: Mapping[str, int] = field(default_factory=dict)  # working directory: name -> bytes

    @property
    def ok(self) -> bool:
        """Whether the action did what it was meant to do."""
        return self.status is StepStatus.OK

    def to_dict(self) -> dict[str, Any]:
        """Return every field as JSON can hold it."""
        return asdict(self) | {"status": str(self.status), "files": dict(self.files)}

    def to_text(self) -> str:
        """Return the observation as a model reads it: one line of facts, then the error, then the feedback.

        The text is compact and regular, so that a tiny model can learn to read it. Wall clock shows only
        when it is short: otherwise the same actions would not give the same text twice.
        """
        lines = [" | ".join(self._facts())]
        if self.error_message or self.error_class:
            lines.append(": ".join(part for part in (self.error_class, self.error_message) if part))
        frame = last_frame(self.traceback)
        if frame:
            lines.append(frame)
        if self.feedback:
            lines.append(self.feedback)
        kept = {name: size for name, size in self.files.items() if name != "submission.csv"}
        if kept:
            lines.append(_listing(kept))
        return "\n".join(lines)

    def _facts(self) -> list[str]:
        facts = [str(self.status)]
        direction = "higher" if self.higher_is_better else "lower"
        if self.score is not None:
            facts.append(f"score {self.score:.4g} ({self.metric}, {direction} is better)")
        elif self.submission_valid:
            facts.append("submission valid")
        if self.rank is not None:
            facts.append(f"rank {self.rank:.4g}")
        if self.best_score is not None:
            facts.append(f"best {self.best_score:.4g}")
        facts.append(f"steps left {self.steps_left}")
        if self.seconds_are_short:
            facts.append(f"seconds left {self.seconds_left:.0f}")
        return facts


_CONTROL = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]|[\x00-\x08\x0b-\x1f\x7f]")


def bounded(text: str, max_chars: int) -> str:
    """Return `text` if it is short, else its head and tail with a note of what was left out between.

    Characters that UTF-8 cannot hold are replaced; colours and other control sequences are dropped; of a line
    that redraws itself (a progress bar) only the last state is kept.
    """
    text = text.encode("utf-8", "replace").decode("utf-8")
    if "\r" in text:
        text = "\n".join(line.rstrip("\r").rpartition("\r")[2] for line in text.split("\n"))
    text = _CONTROL.sub("", text).rstrip()
    if len(text) <= max_chars:
        return text
    head, tail = max_chars - max_chars // 2, max_chars // 2
    left_out = len(text) - head - tail
    return f"{text[:head]}\n... [{left_out} characters left out] ...\n{text[len(text) - tail :]}"


_FRAME = re.compile(r'^ *File "([^"\n]*)", line (\d+)[^\n]*(?:\n(?! *File ") +([^\n]+))?', re.MULTILINE)


def last_frame(traceback: str) -> str:
    """Return the innermost frame of a traceback as `line 7: x = y["z"]`, or an empty string.

    A frame of a file other than the script itself is told with the file's name.
    """
    frames = _FRAME.findall(traceback)
    if not frames:
        return ""
    path, number, code = frames[-1]
    name = PurePosixPath(path).name
    place = f"line {number}" if name == "script.py" else f"{name[:40]} line {number}"
    return f"{place}: {code[:200]}" if code else place


def _listing(files: Mapping[str, int], most: int = 12) -> str:
    """Return files on one line: the agent chose their names, so none may break it or flood it."""
    shown = [
        f"{name[:40] if name.isprintable() else ascii(name)[:40]} ({_size(size)})"
        for name, size in sorted(files.items())[:most]
    ]
    more = [f"{len(files) - most} more"] if len(files) > most else []
    return "files: " + ", ".join([*shown, *more])


def _size(size_bytes: int) -> str:
    return f"{size_bytes} B" if size_bytes < 1000 else f"{size_bytes / 1000:.4g} kB"
