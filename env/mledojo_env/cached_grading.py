"""Equal submissions to a task are graded once: grades, and what is wrong with those that have none."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict
from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary

from mledojo_env.errors import InvalidSubmission, UngradableSubmission
from mledojo_env.execution_cache import ExecutionCache, key_of

if TYPE_CHECKING:
    from mledojo_env.grading import Grade, Grader
    from mledojo_env.task import Task

_rules: WeakKeyDictionary[Task, str] = WeakKeyDictionary()


async def cached_grade(cache: ExecutionCache, grader: Grader, task: Task, data: bytes) -> Grade:
    """Return the grade of a submission.csv's content, from the cache if an equal one was graded.

    Raises:
        InvalidSubmission: If it cannot be read or scored.
        GradingError: If the grader failed.
    """
    from mledojo_env.grading import Grade
    from mledojo_env.leaderboard import Medal

    key = key_of(kind="grade", rules=_rules_of(task), submission=hashlib.sha256(data).hexdigest())
    value = await cache.find(key)
    if value is not None:
        cache.stats.grade_hits += 1
        found = json.loads(value)
        if "invalid" in found:
            raise InvalidSubmission(found["invalid"])
        medal = Medal(found["medal"]) if found["medal"] else None
        return Grade(**(found | {"medal": medal}))
    with cache.making(key):
        try:
            grade = await grader.grade(task, data)
        except UngradableSubmission:
            raise
        except InvalidSubmission as error:
            await cache.keep(key, json.dumps({"invalid": str(error)}).encode())
            raise
        await cache.keep(key, json.dumps(asdict(grade)).encode())
    return grade


def _rules_of(task: Task) -> str:
    """Return a digest of what grading depends on: answers, metric, form, leaderboard."""
    if task not in _rules:
        board = task.leaderboard
        scores = (list(board.public_scores), list(board.private_scores)) if board else None
        facts = (task.folder / "task.yaml").read_bytes()
        _rules[task] = key_of(
            data=task.data_hash, facts=hashlib.sha256(facts).hexdigest(), board=json.dumps(scores)
        )
    return _rules[task]
