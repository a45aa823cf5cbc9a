"""The Docker backend: a container for each session, with the same warm fork-server inside.

It fulfils the contract of `base` where namespaces of one's own cannot be had, or an engine is trusted more:
read-only root, no network, no capability, no new privileges, Docker's default system call filter and ours, a
user id of its own, limits on memory, processes, CPU and every writable place. Only the folders given to
`session` and `run` are mounted, read-only. An engine on another machine (DOCKER_HOST) gets copies of them.
"""

from __future__ import annotations

import asyncio
import atexit
import os
import platform
import threading
import uuid
import weakref
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from mledojo_env.errors import SandboxError
from mledojo_env.sandbox import engine, preload
from mledojo_env.sandbox.base import Limits
from mledojo_env.sandbox.container_spec import Fit, Spec
from mledojo_env.sandbox.docker_session import DockerSession
from mledojo_env.sandbox.pool import Pool, Volumes
from mledojo_env.sandbox.turns import Turns


@dataclass(frozen=True)
class DockerSettings:
    """How containers are made.

    Attributes:
        image: As built by env/docker/build.py.
        runtime: Container runtime, e.g. "runsc" for gVisor; None: the engine's default.
        gpus: "all", a number, or device ids; None: none.
        pool_size: Warm containers to keep ready for the task at hand, of over 100 MB each.
        base_url: Where the engine is; None: what DOCKER_HOST says, else the local socket.
        copy_data: Whether to copy public folders to the engine rather than mount them; None: where the engine
            is on another machine.
    """

    image: str = engine.DEFAULT_IMAGE
    runtime: str | None = None
    gpus: str | int | tuple[str, ...] | None = None
    pool_size: int = 2
    base_url: str | None = None
    copy_data: bool | None = None

    def __post_init__(self) -> None:
        if self.pool_size < 0:
            raise ValueError(f"pool_size is {self.pool_size}; expected 0 or more.")
        if isinstance(self.gpus, str) and self.gpus != "all":
            raise ValueError(f"gpus is {self.gpus!r}; expected 'all', a number or a list of device ids.")


class DockerSandbox:
    """Runs code in containers. Nothing is started before the first session.

    The object can be used from several threads and event loops; a forked copy of the process starts its own
    containers.

    Args:
        settings: How containers are made.
        preload: Modules to import before the first execution: True for the usual ones, False for none.
        max_concurrent: Executions at a time, the others wait; the machine's cores by default.
    """

    name = "docker"

    def __init__(
        self,
        settings: DockerSettings | None = None,
        *,
        preload: bool | Sequence[str] = True,
        max_concurrent: int | None = None,
    ) -> None:
        self.settings = settings or DockerSettings()
        self._preload = preload
        self._max_concurrent = max_concurrent or len(os.sched_getaffinity(0))
        self.usual_fit = Fit.of(Limits())  # what the last run asked for, and the next is expected to
        self._is_closed = False
        self._pool: Pool | None = None
        self.start_afresh()
        _open_sandboxes.add(self)

    def start_afresh(self) -> None:
        """Forget what runs, without ending it: what a forked copy of the process must do, nobody else."""
        if self._pool is not None:
            self._pool.forget()
        self._lock = threading.Lock()
        self._pool = None
        self._volumes: Volumes | None = None
        self._client: Any = None
        self._labels = engine.Owner.of_this_process().labels(uuid.uuid4().hex[:12])
        self.turns = Turns(self._max_concurrent)

    @cached_property
    def fingerprint(self) -> str:
        """Names what code runs on; see `Sandbox.fingerprint`.

        Raises:
            SandboxUnavailable: If there is no engine, no permission or no image; the text says what to do.
        """
        self._connect()
        image = self._client.images.get(self.settings.image)
        return f"docker {image.id} {platform.machine()} {self.settings.gpus} {self._preload}"

    async def session(self, *data: Path) -> DockerSession:
        """Open a session.

        Args:
            data: Folders that its runs will read, where known: a container with them is then taken or started
                at once, while the caller goes on. Others can be given to `run`, which then takes longer.

        Raises:
            SandboxUnavailable: If there is no engine, no permission or no image; the text says what to do.
            SandboxError: If the sandbox is closed.
        """
        pool = await asyncio.to_thread(self._connect)
        session = DockerSession(self, pool)
        if data:
            session.prepare(data)
        return session

    def _connect(self) -> Pool:
        with self._lock:
            if self._is_closed:
                raise SandboxError("The sandbox is closed.")
            if self._pool is None:
                client = self._client = engine.connect(self.settings.base_url)
                engine.require_image(client, self.settings.image)
                engine.reap(client, engine.Owner.of_this_process())
                copies = self.settings.copy_data
                if copies or (copies is None and not engine.is_local(client)):
                    self._volumes = Volumes(client, self.settings.image, self._labels)
                self._pool = Pool(client, self.settings.pool_size)
            return self._pool

    def spec(self, data: tuple[Path, ...], disk_mb: int) -> Spec:
        """Return what a container for these folders is made of; copies them where that is needed.

        Raises:
            SandboxError: If they cannot be read, or not be copied.
        """
        if self._volumes is None:
            sources = tuple(str(folder) for folder in data)
        else:
            sources = tuple(self._volumes.provide(folder) for folder in data)
        settings = self.settings
        modules: Sequence[str]
        if isinstance(self._preload, bool):
            modules = preload.DEFAULT_MODULES if self._preload else ()
        else:
            modules = self._preload
        return Spec(
            image=settings.image,
            data=sources,
            data_is_volume=self._volumes is not None,
            disk_mb=disk_mb,
            runtime=settings.runtime,
            gpus=settings.gpus,
            modules=tuple(modules),
            warm_up=self._preload is True,
            labels=self._labels,
        )

    def close(self) -> None:
        """Remove every container and volume; safe to call again."""
        with self._lock:
            self._is_closed = True
            pool, self._pool = self._pool, None
            volumes, self._volumes = self._volumes, None
            client, self._client = self._client, None
        self.turns.refuse_all(SandboxError("The sandbox is closed."))
        if pool is not None:
            pool.close()
        if volumes is not None:
            volumes.close()
        if client is not None:
            client.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


_open_sandboxes: weakref.WeakSet[DockerSandbox] = weakref.WeakSet()


@atexit.register
def _close_all() -> None:
    for sandbox in list(_open_sandboxes):
        sandbox.close()


def _start_afresh() -> None:
    for sandbox in list(_open_sandboxes):
        sandbox.start_afresh()


os.register_at_fork(after_in_child=_start_afresh)
