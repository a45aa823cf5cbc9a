"""A sandbox whose executions wait at the gate: the seam between the rollout engine and any backend."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

from mledojo_env.sandbox.base import ExecutionResult, Limits, Sandbox, Session
from mledojo_train.gate import ExecutionGate
from mledojo_train.rollout_metrics import BusyClock


@dataclass
class GatedSandbox:
    """One episode's view of a sandbox; it owns nothing, so closing it does nothing."""

    sandbox: Sandbox
    gate: ExecutionGate
    clock: BusyClock
    group: str
    task: str

    def __post_init__(self) -> None:
        self.name = self.sandbox.name

    @property
    def fingerprint(self) -> str:
        """The backend's."""
        return self.sandbox.fingerprint

    async def session(self, *data: Path) -> Session:
        """Open a session of the backend."""
        return _GatedSession(await self.sandbox.session(*data), self)

    def close(self) -> None:
        """Do nothing: others use the sandbox."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


@dataclass(frozen=True)
class _GatedSession:
    session: Session
    place: GatedSandbox

    async def run(self, code: str, data: Path, limits: Limits, *, seed: int = 0) -> ExecutionResult:
        place = self.place
        async with place.gate.place(place.group, place.task, limits.memory_mb):
            with place.clock.during("execute"):
                result = await self.session.run(code, data, limits, seed=seed)
            place.gate.used(place.task, result.peak_memory_mb)
        return result

    def read(self, name: str, max_bytes: int) -> bytes:
        return self.session.read(name, max_bytes)

    def remove(self, name: str) -> None:
        self.session.remove(name)

    def clear(self) -> None:
        self.session.clear()

    async def close(self) -> None:
        await self.session.close()
