"""How long and how often to try again what failed for a while."""

from __future__ import annotations

import logging
import random
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import TypeVar

from mledojo_env.errors import DownloadError

T = TypeVar("T")
log = logging.getLogger(__name__)


class TryAgain(DownloadError):
    """Something that may work in a while; `retry_after_s` is what the server asked for, if it did."""

    def __init__(self, text: str, retry_after_s: float | None = None) -> None:
        super().__init__(text)
        self.retry_after_s = retry_after_s


@dataclass(frozen=True)
class Backoff:
    """Waits that double, with jitter, a bounded number of times.

    Attributes:
        attempts: How often something is tried in all before its failure is final.
        first_s: The wait after the first failure, before jitter.
        longest_s: No wait of our own choice is longer, in seconds.
        longest_asked_s: A server that asks for a longer wait than this, in seconds, ends it at once.
        sleep: Waits for so many seconds.
        jitter: Gives a number in [0, 1); many clients that failed together must not come back together.
    """

    attempts: int = 6
    first_s: float = 1.0
    longest_s: float = 60.0
    longest_asked_s: float = 900.0
    sleep: Callable[[float], None] = time.sleep
    jitter: Callable[[], float] = random.random

    def call(self, action: Callable[[], T]) -> T:
        """Return what `action` returns, called again after each `TryAgain`.

        Raises:
            DownloadError: When the attempts are used up; also whatever else `action` raises, at once.
        """
        failures = 0
        while True:
            try:
                return action()
            except TryAgain as error:
                failures += 1
                self.wait(failures, error)

    def wait(self, failures: int, error: TryAgain) -> None:
        """Wait after the n-th failure in a row.

        Raises:
            DownloadError: If it was the last attempt, or the server asks for too long a wait.
        """
        asked_s = error.retry_after_s
        if failures >= self.attempts:
            times = "attempt" if failures == 1 else "attempts"
            raise DownloadError(
                f"{error} Gave up after {failures} {times}. Run it again later: what was downloaded is kept."
            ) from error
        if asked_s is not None and asked_s > self.longest_asked_s:
            raise DownloadError(
                f"{error} It asks to wait for {asked_s:.0f} s, longer than {self.longest_asked_s:.0f} s. "
                "Run it again after that: what was downloaded is kept."
            ) from error
        own_s = min(self.longest_s, self.first_s * 2.0 ** (failures - 1)) * (0.5 + self.jitter() / 2)
        wait_s = own_s if asked_s is None else asked_s + self.first_s * self.jitter()
        log.info("%s Attempt %d of %d in %.1f s.", error, failures + 1, self.attempts, wait_s)
        self.sleep(wait_s)


def retry_after_s(header: str | None, now: datetime | None = None) -> float | None:
    """Return the seconds in a Retry-After header, which holds seconds or a date; None if there are none."""
    if header is None:
        return None
    text = header.strip()
    if text.isdecimal():
        return float(text)
    try:
        date = parsedate_to_datetime(text)
    except ValueError:
        return None
    if date.tzinfo is None:
        date = date.replace(tzinfo=UTC)
    return max(0.0, (date - (now or datetime.now(UTC))).total_seconds())
