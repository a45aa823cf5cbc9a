"""The conversation that opens an episode.

`full` hands over the task's description, as an instruction-tuned model expects. `brief` gives the two facts
that decide what a script looks like. More would mislead a tiny model: with eight tasks to learn from, it
takes a metric that only image tasks happen to have for the sign of an image task. What the card leaves out,
`request_info` tells.
"""

from __future__ import annotations

from typing import Literal

from mledojo_env import Task
from mledojo_train.codec import Codec, Message

PromptStyle = Literal["full", "brief"]

_ROLE = """\
You are a machine-learning engineer in a Kaggle-style competition. Write Python scripts that read the data \
in /data, train a model and write submission.csv to the working directory. Each script is a fresh \
interpreter; files in the working directory stay. No network. Your best submission counts, so keep improving \
it until your steps run out."""


def opening(task: Task, codec: Codec, style: PromptStyle, max_steps: int) -> list[Message]:
    """Return the system and user messages that open an episode of `task`."""
    if style == "brief":
        card = f"domain: {task.domain}\npredict: {task.submission.value}"
        return [{"role": "user", "content": card}]
    system = f"{_ROLE}\n\n{codec.instructions()}"
    user = (
        f"# {task.title}\n\n{task.description.strip()}\n\n{_facts(task)}\n"
        f"limits: {task.limits.timeout_s:g} s and {task.limits.memory_mb} MB a run, {max_steps} steps in all"
    )
    return [{"role": "system", "content": system}, {"role": "user", "content": user}]


def _facts(task: Task) -> str:
    """Return what a script depends on, a fact a line."""
    direction = "higher" if task.metric.higher_is_better else "lower"
    return (
        f"domain: {task.domain}\nkind: {task.kind}\npredict: {task.submission.value}\n"
        f"metric: {task.metric.name} ({direction} is better)\nfiles: {', '.join(sorted(task.public_files))}"
    )
