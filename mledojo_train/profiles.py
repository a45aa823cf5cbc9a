"""Performance profiles: on how many tasks is a policy within a factor of the best?

After Dolan & More (Mathematical Programming 91, 2002). A policy's ratio on a task is the best policy's mean
score there over its own, at least 1 and infinite for a score of 0. Its profile is the share of tasks with a
ratio of at most tau. The area under it (AUP) is taken over log10(tau) from 0 to 1, a factor of ten, and lies
in [0, 1]: 1 for who is best everywhere. Scores are ranks in [0, 1]; where nobody scored on a task, all are
best. MLE-Dojo reports an AUP without saying over which range and of what, so the two are not comparable.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

MOST = 10.0  # the largest factor that is looked at


def ratios(scores: Mapping[str, Mapping[str, Sequence[float]]]) -> dict[str, dict[str, float]]:
    """Return each policy's ratio on the tasks that all policies played.

    Args:
        scores: Policy -> task -> one rank an episode, in [0, 1].
    """
    means = {
        policy: {task: float(np.mean(values)) for task, values in tasks.items() if len(values)}
        for policy, tasks in scores.items()
    }
    shared = set.intersection(*(set(tasks) for tasks in means.values())) if means else set()
    best = {task: max(tasks[task] for tasks in means.values()) for task in shared}
    return {
        policy: {task: _ratio(best[task], tasks[task]) for task in sorted(shared)}
        for policy, tasks in means.items()
    }


def _ratio(best: float, own: float) -> float:
    if best == own:
        return 1.0
    return best / own if own > 0 else float("inf")


def profile(found: Mapping[str, float], factors: Sequence[float]) -> list[float]:
    """Return the share of a policy's tasks with a ratio of at most each factor; 0 without tasks."""
    values = np.array(list(found.values()))
    return [float((values <= factor).mean()) if len(values) else 0.0 for factor in factors]


def area(found: Mapping[str, float]) -> float | None:
    """Return the area under a policy's profile, exactly; None without tasks."""
    if not found:
        return None
    within = [max(0.0, 1 - np.log10(ratio) / np.log10(MOST)) for ratio in found.values()]
    return float(np.mean(within))
