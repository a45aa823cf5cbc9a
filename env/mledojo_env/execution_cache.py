"""Results that need not be computed twice: of executions, and of gradings.

Equal code on equal data with equal files, seed and limits, in an equal sandbox, is taken to give an equal
result; a script that reads the clock or unseeded entropy gets its first one again. The store is one SQLite
file, bounded, shared by processes. It holds what grading found, so it lies outside of anything a sandbox
mounts. A store that fails while it is used costs time, never a run: failures are counted.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import json
import os
import sqlite3
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mledojo_env.errors import ConfigError
from mledojo_env.prepare.store import cache_root

SCHEMA = 1
DEFAULT_MAX_MB = 1024
MOST_OF_ONE_MB = 16  # a larger value is not kept

_BUSY_S = 5.0  # how long to wait for another process's write
_DROP_TO = 0.9  # of the bound, once it is reached
_TOUCH_S = 60.0  # how precisely the last use is known


@dataclass
class CacheStats:
    """What the cache was good for, in this process."""

    hits: int = 0  # executions that were not run
    misses: int = 0  # executions that were
    grade_hits: int = 0
    saved_s: float = 0.0  # wall clock that the executions of hits took when they were run
    failures: int = 0  # of the store itself

    @property
    def hit_rate(self) -> float:
        """Share of executions that were served, in [0, 1]; 0 before any."""
        return self.hits / max(1, self.hits + self.misses)


class ExecutionCache:
    """A bounded key-value store with one computation of a value at a time.

    Args:
        folder: Where the file is kept; below the project's cache by default.
        max_mb: Bound on the values together; what was used longest ago goes first.

    Raises:
        ConfigError: If the store cannot be opened; names the file.
    """

    def __init__(self, folder: Path | None = None, max_mb: int = DEFAULT_MAX_MB) -> None:
        if max_mb < 1:
            raise ConfigError(f"The bound of the execution cache is {max_mb} MB; expected at least 1.")
        self.path = (folder or cache_root() / "executions") / f"v{SCHEMA}.sqlite"
        self.stats = CacheStats()
        self._max_bytes = max_mb * 2**20
        self._lock = threading.Lock()
        self._touched: dict[str, float] = {}
        self._flights: dict[tuple[int, str], asyncio.Future[None]] = {}
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            self._connect()
        except (OSError, sqlite3.Error) as error:
            raise ConfigError(
                f"Cannot use the execution cache {self.path}: {error}. Remove the file if it is damaged, set "
                "MLEDOJO_CACHE to a folder that can be written, or switch the cache off."
            ) from error

    def _connect(self) -> None:
        self._process = os.getpid()
        old_mask = os.umask(0o077)
        try:
            self._store = sqlite3.connect(
                self.path, timeout=_BUSY_S, check_same_thread=False, isolation_level=None
            )
        finally:
            os.umask(old_mask)
        self._store.execute("PRAGMA journal_mode = WAL")
        self._store.execute("PRAGMA synchronous = OFF")  # a lost result is computed again
        self._store.execute(
            "CREATE TABLE IF NOT EXISTS results (key TEXT PRIMARY KEY, size INTEGER, used REAL, value BLOB)"
        )
        self._store.execute("CREATE INDEX IF NOT EXISTS by_use ON results (used, size)")

    async def find(self, key: str) -> bytes | None:
        """Return a value; waits for it, if it is being made in this event loop."""
        value = self._get(key)
        flight = self._flights.get((id(asyncio.get_running_loop()), key))
        if value is None and flight is not None:
            await asyncio.wait([flight])
            value = self._get(key)
        return value

    @contextlib.contextmanager
    def making(self, key: str) -> Iterator[None]:
        """Have others that look for a value wait while the `with` block makes it."""
        loop = asyncio.get_running_loop()
        place = (id(loop), key)
        if place in self._flights:  # it turned out not to be kept: everybody makes their own
            yield
            return
        flight = self._flights[place] = loop.create_future()
        try:
            yield
        finally:
            del self._flights[place]
            flight.set_result(None)

    async def keep(self, key: str, value: bytes) -> None:
        """Store a value, if it is not too large, and drop the oldest beyond the bound."""
        if len(value) <= min(MOST_OF_ONE_MB * 2**20, self._max_bytes):
            await asyncio.to_thread(self._put, key, value)

    def _get(self, key: str) -> bytes | None:
        with self._working() as store:
            row = store.execute("SELECT value, used FROM results WHERE key = ?", (key,)).fetchone()
            if row is None:
                return None
            now = time.time()
            if now - row[1] > _TOUCH_S:
                self._touched[key] = now
            return bytes(row[0])
        return None

    def _put(self, key: str, value: bytes) -> None:
        with self._working() as store:
            store.execute("BEGIN IMMEDIATE")
            try:
                store.executemany(
                    "UPDATE results SET used = ? WHERE key = ?",
                    [(used, touched) for touched, used in self._touched.items()],
                )
                self._touched.clear()
                store.execute(
                    "INSERT OR REPLACE INTO results VALUES (?, ?, ?, ?)",
                    (key, len(value), time.time(), value),
                )
                self._shrink(store)
                store.execute("COMMIT")
            except BaseException:
                store.execute("ROLLBACK")
                raise

    def _shrink(self, store: sqlite3.Connection) -> None:
        (total,) = store.execute("SELECT total(size) FROM results").fetchone()
        if total <= self._max_bytes:
            return
        doomed = []
        for key, size in store.execute("SELECT key, size FROM results ORDER BY used"):
            if total <= _DROP_TO * self._max_bytes:
                break
            doomed.append((key,))
            total -= size
        store.executemany("DELETE FROM results WHERE key = ?", doomed)

    @contextlib.contextmanager
    def _working(self) -> Iterator[sqlite3.Connection]:
        """Yield the store; what fails in the `with` block is counted and forgotten."""
        with self._lock:
            try:
                if os.getpid() != self._process:  # a connection must not cross a fork
                    self._connect()
                yield self._store
            except sqlite3.Error:
                self.stats.failures += 1

    def close(self) -> None:
        """Close the file; safe to call again. What is looked for afterwards is not found."""
        with self._lock:
            if os.getpid() == self._process:
                self._store.close()


def key_of(**parts: Any) -> str:
    """Return a key for what its parts say, as JSON can hold them; any difference gives another."""
    text = json.dumps({"schema": SCHEMA, **parts}, sort_keys=True, ensure_ascii=False)
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()
