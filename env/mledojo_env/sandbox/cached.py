"""A session that does not run twice what it has seen before.

It keeps a view of the working directory of its own. A result from the cache changes the view and nothing
else; only when something has to run for real are the files put where they belong, by a script in the sandbox
itself, so that every backend can be cached as it is. A directory that cannot be seen whole (links, empty
folders, too many or too large files) is unknown until it is cleared, and nothing is cached meanwhile.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import json
import zlib
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path, PurePosixPath

from mledojo_env.errors import InvalidSubmission, SandboxError
from mledojo_env.execution_cache import ExecutionCache, key_of
from mledojo_env.sandbox.base import ExecutionResult, Limits, Session, Status

_REPEATABLE = (Status.OK, Status.ERROR)
_MOST_FILES = 100
_MOST_BYTES = 8_000_000  # of all files together
_PIECE = 400_000  # bytes that one script writes, before compression

_WRITE = """
import base64, os, zlib
for name, content in {pieces!r}:
    os.makedirs(os.path.dirname(name) or ".", exist_ok=True)
    with open(name, "ab") as file:
        file.write(zlib.decompress(base64.b64decode(content)))
"""

Files = dict[str, bytes]  # path below the working directory -> content


@dataclass(frozen=True)
class _Entry:
    """What is kept of an execution: its result, and the files that there were afterwards."""

    result: ExecutionResult
    files: Files

    def dump(self) -> bytes:
        files = {name: base64.b64encode(content).decode() for name, content in self.files.items()}
        return zlib.compress(json.dumps({"result": asdict(self.result), "files": files}).encode(), 1)

    @classmethod
    def load(cls, value: bytes) -> _Entry:
        found = json.loads(zlib.decompress(value))
        result = found["result"] | {"status": Status(found["result"]["status"])}
        files = {name: base64.b64decode(content) for name, content in found["files"].items()}
        return cls(ExecutionResult(**result), files)


class CachedSession:
    """Wraps a session; see `sandbox.base.Session`.

    Args:
        open_session: Opens the session behind it, once something has to run.
        cache: Where results are kept.
        fingerprint: What code runs on, see `Sandbox.fingerprint`.
        data: The folders that runs may read -> what their content is called.
    """

    def __init__(
        self,
        open_session: Callable[[], Awaitable[Session]],
        cache: ExecutionCache,
        fingerprint: str,
        data: Mapping[Path, str],
    ) -> None:
        self._open_session, self._cache = open_session, cache
        self._fingerprint, self._data = fingerprint, dict(data)
        self._session: Session | None = None
        self._files: Files | None = {}  # as the agent sees them; None: unknown
        self._there: dict[str, str] = {}  # what the session behind really holds, while that is known
        self._is_closed = False

    async def run(self, code: str, data: Path, limits: Limits, *, seed: int = 0) -> ExecutionResult:
        """Run `code`, or return what it did before; see `Session.run`."""
        if self._is_closed:
            raise SandboxError("The session is closed.")
        if self._files is None or data not in self._data:
            return await self._really_run(code, data, limits, seed)
        key = self._key(code, data, limits, seed)
        value = await self._cache.find(key)
        entry = _Entry.load(value) if value is not None else None
        # A run that ended by itself would have ended so under any limit that it stayed below.
        if entry is not None and entry.result.wall_s < limits.timeout_s:
            self._files = entry.files
            self._cache.stats.hits += 1
            self._cache.stats.saved_s += entry.result.wall_s
            return entry.result
        with self._cache.making(key):
            result = await self._really_run(code, data, limits, seed)
            if result.status in _REPEATABLE and self._files is not None:
                await self._cache.keep(key, _Entry(result, self._files).dump())
        return result

    def _key(self, code: str, data: Path, limits: Limits, seed: int) -> str:
        assert self._files is not None
        bounds = {name: value for name, value in asdict(limits).items() if name not in ("timeout_s", "cpu_s")}
        return key_of(
            kind="execution",
            sandbox=self._fingerprint,
            data=self._data[data],
            code=code,
            limits=bounds,
            seed=seed,
            files=_digests(self._files),
        )

    async def _really_run(self, code: str, data: Path, limits: Limits, seed: int) -> ExecutionResult:
        self._cache.stats.misses += 1
        session = await self._ready(data)
        before, self._files = self._files, None  # unknown, unless all goes well
        result = await session.run(code, data, limits, seed=seed)
        if result.status is Status.REFUSED:  # nothing ran
            self._files = before
        elif before is not None:
            self._files = await asyncio.to_thread(_look, session, result, before)
            self._there = _digests(self._files or {})
        return result

    async def _ready(self, data: Path) -> Session:
        """Return the session behind, holding the files that the agent sees."""
        if self._session is None:
            self._session = await self._open_session()
        if self._files is not None and self._there != _digests(self._files):
            if self._there:
                await asyncio.to_thread(self._session.clear)
            self._there = {}
            for pieces in _pieces(self._files):
                done = await self._session.run(_WRITE.format(pieces=pieces), data, Limits())
                if not done.ok:
                    raise SandboxError(f"The working directory could not be restored: {done.message}")
            self._there = _digests(self._files)
        return self._session

    def read(self, name: str, max_bytes: int) -> bytes:
        """Return a regular file of the working directory; see `Session.read`."""
        if self._files is None:
            assert self._session is not None
            return self._session.read(name, max_bytes)
        content = self._files.get(str(PurePosixPath(name)))
        if content is None:
            if any(other.startswith(f"{name.rstrip('/')}/") for other in self._files):
                raise InvalidSubmission(f"{name} is a directory; expected a regular file.")
            raise FileNotFoundError(f"There is no file {name} in the working directory.")
        if len(content) > max_bytes:
            raise InvalidSubmission(f"{name} has {len(content)} bytes; at most {max_bytes} are accepted.")
        return content

    def remove(self, name: str) -> None:
        """Remove a file, link or whole directory of the working directory, if it is there."""
        if self._files is None:
            assert self._session is not None
            self._session.remove(name)
            return
        path = str(PurePosixPath(name))
        gone = [other for other in self._files if other == path or other.startswith(f"{path}/")]
        if self._session is not None and self._there == _digests(self._files):
            self._session.remove(name)
            self._there = {other: digest for other, digest in self._there.items() if other not in gone}
        self._files = {other: content for other, content in self._files.items() if other not in gone}

    def clear(self) -> None:
        """Empty the working directory."""
        self._files = {}
        if self._session is not None:
            self._session.clear()
        self._there = {}

    async def close(self) -> None:
        """Kill what runs and drop the working directory; safe to call again."""
        self._is_closed = True
        if self._session is not None:
            await self._session.close()


def _digests(files: Files) -> dict[str, str]:
    return {name: hashlib.sha256(content).hexdigest() for name, content in files.items()}


def _look(session: Session, result: ExecutionResult, before: Files) -> Files | None:
    """Return the files that a run left; None if there is more than can be seen or kept."""
    if len(result.files) > _MOST_FILES or sum(result.files.values()) > _MOST_BYTES:
        return None
    files: Files = {}
    try:
        for name in result.files:
            files[name] = session.read(name, _MOST_BYTES)
    except (InvalidSubmission, OSError, SandboxError):
        return None
    made = _count(files) - _count(before)
    return files if result.files_created == max(0, made) else None


def _count(files: Files) -> int:
    """Return how many files and folders there are."""
    folders = {folder for name in files for folder in PurePosixPath(name).parents} - {PurePosixPath(".")}
    return len(files) + len(folders)


def _pieces(files: Files) -> list[list[tuple[str, str]]]:
    """Return what each of a few scripts writes: names, and a compressed stretch of their content."""
    scripts: list[list[tuple[str, str]]] = []
    size = _PIECE  # of what the last script writes: none yet has room
    for name, content in files.items():
        for start in range(0, max(1, len(content)), _PIECE):
            piece = content[start : start + _PIECE]
            if not scripts or size + len(piece) > _PIECE:
                scripts.append([])
                size = 0
            size += len(piece)
            scripts[-1].append((name, base64.b64encode(zlib.compress(piece, 1)).decode()))
    return scripts
