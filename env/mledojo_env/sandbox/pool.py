"""Containers prepared ahead, and public data where an engine can mount it."""

from __future__ import annotations

import contextlib
import hashlib
import io
import os
import tarfile
import tempfile
import threading
from collections import Counter
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

from mledojo_env.errors import SandboxError
from mledojo_env.sandbox.container import Container
from mledojo_env.sandbox.container_spec import Fit, Spec

_THREADS = 16


class Pool:
    """Keeps warm containers for what was asked for last, and before.

    A container's data cannot change once it exists, so that a task's first episodes start cold and the
    following ones warm. For a task that was asked for once, nothing is made ahead: another may follow. Warm
    containers of earlier tasks give way.

    Args:
        client: The `docker.DockerClient`.
        size: Containers to keep ready; 0 for none.
    """

    def __init__(self, client: Any, size: int) -> None:
        self._client = client
        self._size = size
        self._lock = threading.Lock()
        self._warm: list[Container] = []
        self._all: set[Container] = set()  # warm, in use, and on their way
        self._coming = 0
        self._wanted: tuple[Spec, Fit] | None = None
        self._asked: Counter[Spec] = Counter()
        self._is_closed = False
        self._threads = ThreadPoolExecutor(max_workers=_THREADS, thread_name_prefix="mledojo-docker")

    def take(self, spec: Spec, fit: Fit) -> Container:
        """Return a container that is ready and fits: a warm one, else a new one.

        Raises:
            SandboxError: If the engine cannot start one, or the pool is closed.
        """
        with self._lock:
            self._wanted = (spec, fit)
            self._asked[spec] += 1
            candidates = [container for container in self._warm if container.spec == spec]
        for container in candidates:
            with self._lock:
                if container not in self._warm:
                    continue
                self._warm.remove(container)
            if container.is_healthy():
                self._refill()
                container.fit(fit)
                return container
            self.discard(container)
        container = self._make(spec, fit)
        self._refill()
        return container

    def _make(self, spec: Spec, fit: Fit, *, ahead: bool = False) -> Container:
        container = Container(self._client, spec, fit, yields=ahead)
        with self._lock:
            self._all.add(container)
            is_closed = self._is_closed
        if is_closed:
            self.remove(container)
            raise SandboxError("The sandbox is closed.")
        try:
            container.wait_ready(fit)
        except SandboxError:
            self.remove(container)
            raise
        return container

    def _refill(self) -> None:
        """Start what is missing for the last wish, in the background; drop what is not wanted any more."""
        with self._lock:
            if self._wanted is None or self._is_closed:
                return
            spec, _ = self._wanted
            if self._asked[spec] < 2:
                return
            alive = [container for container in self._warm if container.is_alive]
            fitting = [container for container in alive if container.spec == spec]
            missing = max(0, self._size - len(fitting) - self._coming)
            surplus = [container for container in self._warm if container not in fitting]
            self._warm = fitting
            self._coming += missing
        for container in surplus:
            self.discard(container)
        for _ in range(missing):
            self.in_background(self._add_warm)

    def _add_warm(self) -> None:
        assert self._wanted is not None
        try:
            # What cannot be started now will be tried again, and complained about, when it is needed.
            with contextlib.suppress(SandboxError):
                container = self._make(*self._wanted, ahead=True)
                with self._lock:
                    if not self._is_closed:
                        self._warm.append(container)
        finally:
            with self._lock:
                self._coming -= 1

    def warm_count(self) -> int:
        """Return how many containers are ready and alive."""
        with self._lock:
            return sum(container.is_alive for container in self._warm)

    def submit(self, work: Callable[..., Container], *arguments: object) -> Future[Container]:
        """Do something that takes a while in one of the pool's threads.

        Raises:
            SandboxError: If the pool is closed.
        """
        try:
            return self._threads.submit(work, *arguments)
        except RuntimeError:
            raise SandboxError("The sandbox is closed.") from None

    def in_background(self, work: Callable[..., object], *arguments: object) -> None:
        """Do something in one of the pool's threads."""
        with contextlib.suppress(RuntimeError):  # closed: everything is removed there
            self._threads.submit(work, *arguments)

    def discard(self, container: Container) -> None:
        """Remove a container, in the background."""
        self.in_background(self.remove, container)

    def remove(self, container: Container) -> None:
        """Remove a container now."""
        container.remove()
        with self._lock:
            self._all.discard(container)

    def forget(self) -> None:
        """Let go of everything without ending it: for a forked copy of the process."""
        for container in self._all:
            container.forget()

    def close(self) -> None:
        """Remove every container; safe to call again."""
        with self._lock:
            self._is_closed = True
            self._warm = []
        self._threads.shutdown(wait=True, cancel_futures=True)
        with self._lock:
            left = list(self._all)
        for container in left:
            container.hang_up()  # they all begin to end
        for container in left:
            self.remove(container)


class Volumes:
    """Copies of public folders in volumes, for an engine that does not see this machine's files.

    Args:
        client: The `docker.DockerClient`.
        image: Any image the engine has; a container of it is made, and never started, to copy through.
        labels: To be recognised by.
    """

    def __init__(self, client: Any, image: str, labels: dict[str, str]) -> None:
        self._client = client
        self._image = image
        self._labels = labels
        self._lock = threading.Lock()
        self._names: dict[str, str] = {}  # manifest -> volume

    def provide(self, folder: Path) -> str:
        """Return the name of a volume that holds a copy of the folder, made if there is none yet.

        Raises:
            SandboxError: If the engine does not take it.
        """
        import docker

        manifest = _manifest(folder)
        with self._lock:
            if manifest in self._names:
                return self._names[manifest]
            try:
                name = self._client.volumes.create(labels=self._labels).name
                self._fill(name, folder)
            except (docker.errors.DockerException, OSError) as error:
                raise SandboxError(f"The engine could not take a copy of {folder}: {error}.") from error
            self._names[manifest] = name
            return name

    def _fill(self, volume: str, folder: Path) -> None:
        from docker.types import Mount

        helper = self._client.containers.create(
            self._image, labels=self._labels, network_mode="none", mounts=[Mount("/data", volume)]
        )
        try:
            with tempfile.TemporaryFile() as file:
                _pack(folder, file)
                file.seek(0)
                helper.put_archive("/data", file)
        finally:
            helper.remove(force=True)

    def close(self) -> None:
        """Remove the volumes; their containers must be gone."""
        import docker

        with self._lock:
            names, self._names = list(self._names.values()), {}
        for name in names:
            with contextlib.suppress(docker.errors.DockerException, OSError):
                self._client.api.remove_volume(name, force=True)


def _manifest(folder: Path) -> str:
    """Return a digest of the names, sizes and times of all files below a folder."""
    digest = hashlib.sha256(str(folder.resolve()).encode())
    for top, folders, names in os.walk(folder):
        folders.sort()
        for name in sorted(names):
            path = os.path.join(top, name)
            found = os.stat(path)
            digest.update(f"{path}\0{found.st_size}\0{found.st_mtime_ns}\0".encode(errors="surrogateescape"))
    return digest.hexdigest()


def _pack(folder: Path, file: io.IOBase | Any) -> None:
    """Write an archive of a folder's content that anybody may read, with links replaced by what they name."""

    def plain(item: tarfile.TarInfo) -> tarfile.TarInfo:
        item.uid = item.gid = 0
        item.uname = item.gname = ""
        item.mode = 0o755 if item.isdir() else 0o644
        return item

    with tarfile.open(fileobj=file, mode="w", dereference=True) as archive:
        for path in sorted(folder.iterdir()):
            archive.add(path, arcname=path.name, filter=plain)
