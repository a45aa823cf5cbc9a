"""What a rollout cost and where its time went, as figures for a trainer's log."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Literal

from mledojo_env.execution_cache import CacheStats
from mledojo_train.trajectory import Trajectory

Activity = Literal["generate", "execute"]


class BusyClock:
    """Measures how long at least one episode was generating, executing, and both at once (wall clock)."""

    def __init__(self) -> None:
        self._active: Counter[Activity] = Counter()
        self._since = self._began = time.monotonic()
        self.busy_s: dict[str, float] = {"generate": 0.0, "execute": 0.0, "both": 0.0}

    @contextmanager
    def during(self, activity: Activity) -> Iterator[None]:
        """Count the `with` block as this activity."""
        self._tick()
        self._active[activity] += 1
        try:
            yield
        finally:
            self._tick()
            self._active[activity] -= 1

    @property
    def wall_s(self) -> float:
        """Seconds from when the clock was made to when it was last looked at or told something."""
        return max(self._since - self._began, 1e-9)

    def look(self) -> None:
        """Count the time up to now."""
        self._tick()

    def share(self, what: Activity | Literal["both"]) -> float:
        """Return the share of `wall_s`, in [0, 1]."""
        return self.busy_s[what] / self.wall_s

    def _tick(self) -> None:
        now = time.monotonic()
        passed, self._since = now - self._since, now
        generates, executes = (self._active[name] > 0 for name in ("generate", "execute"))
        self.busy_s["generate"] += passed * generates
        self.busy_s["execute"] += passed * executes
        self.busy_s["both"] += passed * (generates and executes)


def rollout_figures(
    episodes: Sequence[Trajectory], clock: BusyClock, queue_waits: Sequence[float]
) -> dict[str, float]:
    """Return the figures of one rollout.

    Args:
        episodes: All of its episodes.
        clock: Made when it began.
        queue_waits: Seconds that each execution waited for its place.
    """
    clock.look()
    minutes = clock.wall_s / 60
    tokens = sum(sum(episode.mask) for episode in episodes)
    return {
        "seconds": clock.wall_s,
        "episodes_per_min": len(episodes) / minutes,
        "steps_per_min": sum(len(episode.steps) for episode in episodes) / minutes,
        "tokens_per_s": tokens / 60 / minutes,
        "generator_busy": clock.share("generate"),
        "sandbox_busy": clock.share("execute"),
        "overlap": clock.share("both"),
        "queue_p50_s": _quantile(queue_waits, 0.5),
        "queue_p95_s": _quantile(queue_waits, 0.95),
        "stragglers": float(sum(episode.stop_reason == "deadline" for episode in episodes)),
        "broken": float(sum(episode.broken for episode in episodes)),
    }


def cache_figures(before: CacheStats, after: CacheStats) -> dict[str, float]:
    """Return what the execution cache was good for between two looks at its counts."""
    hits, misses = after.hits - before.hits, after.misses - before.misses
    return {
        "cache_hits": float(hits),
        "cache_hit_rate": hits / max(1, hits + misses),
        "cache_saved_s": after.saved_s - before.saved_s,
        "cache_failures": float(after.failures - before.failures),
    }


def _quantile(values: Sequence[float], q: float) -> float:
    """Return the nearest-rank quantile; 0 of nothing."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(q * len(ordered)))] if ordered else 0.0
