"""The Docker engine: how to reach it, what to say when it cannot be reached, what dead owners left in it."""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mledojo_env.errors import SandboxError, SandboxUnavailable
from mledojo_env.sandbox.probe import Fact

DEFAULT_IMAGE = "mledojo-sandbox:latest"
BUILD = "python env/docker/build.py"
_REQUEST_TIMEOUT_S = 60
_CONNECTIONS = 32
_LABEL = "mledojo.sandbox"


@dataclass(frozen=True)
class Owner:
    """A process of a machine, told apart from every later one with the same number."""

    pid: int
    started: str  # ticks since boot
    boot: str
    namespace: str  # of process ids
    host: str

    @classmethod
    def of_this_process(cls) -> Owner:
        """Return who we are."""
        pid = os.getpid()
        return cls(pid, _start_time(pid), _boot_id(), _pid_namespace(), socket.gethostname())

    def labels(self, run: str) -> dict[str, str]:
        """Return labels that tell whose a container or volume is.

        Args:
            run: Id of the sandbox object.
        """
        return {
            _LABEL: run,
            "mledojo.pid": str(self.pid),
            "mledojo.started": self.started,
            "mledojo.boot": self.boot,
            "mledojo.namespace": self.namespace,
            "mledojo.host": self.host,
        }

    def is_dead(self, labels: dict[str, str]) -> bool:
        """Return whether the owner named by labels is surely gone, as far as can be seen from this process.

        An engine may serve several machines, and containers of one machine see other process ids.
        """
        if labels.get("mledojo.boot") != self.boot:
            return labels.get("mledojo.host") == self.host  # it was rebooted since
        if labels.get("mledojo.namespace") != self.namespace:
            return False
        pid = labels.get("mledojo.pid", "")
        return not pid.isdigit() or _start_time(int(pid)) != labels.get("mledojo.started")


def _start_time(pid: int) -> str:
    try:
        text = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return ""
    state, *fields = text.rpartition(")")[2].split()
    return "" if state == "Z" else fields[18]  # a zombie owns nothing any more


def _boot_id() -> str:
    with contextlib.suppress(OSError):
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    return ""


def _pid_namespace() -> str:
    with contextlib.suppress(OSError):
        return str(os.stat("/proc/self/ns/pid").st_ino)
    return ""


def connect(base_url: str | None = None) -> Any:
    """Return a `docker.DockerClient` for an engine that answers.

    Args:
        base_url: Where it is; by default what DOCKER_HOST and its companions say, else the local socket.

    Raises:
        SandboxUnavailable: If there is no SDK, no engine, or no permission; the text says what to do.
    """
    try:
        import docker
    except ImportError:
        raise SandboxUnavailable("The docker package is not installed. Run: pip install docker") from None
    try:
        if base_url is None:
            client = docker.from_env(timeout=_REQUEST_TIMEOUT_S, max_pool_size=_CONNECTIONS)
        else:
            client = docker.DockerClient(base_url, timeout=_REQUEST_TIMEOUT_S, max_pool_size=_CONNECTIONS)
        client.ping()
    except (docker.errors.DockerException, OSError) as error:
        where = base_url or os.environ.get("DOCKER_HOST") or "/var/run/docker.sock"
        detail = f"No Docker engine answers at {where}: {_first_line(error)}."
        raise SandboxUnavailable(f"{detail} {_fix(where)}") from None
    return client


def is_local(client: Any) -> bool:
    """Return whether the engine sees this machine's files: it listens on a socket in the file system."""
    return client.api.base_url.startswith("http+docker://") and "ssh" not in client.api.base_url


def require_image(client: Any, image: str) -> None:
    """Check that the engine has the image.

    Raises:
        SandboxUnavailable: If it has not; the text says how to build it.
    """
    import docker

    try:
        client.images.get(image)
    except docker.errors.ImageNotFound:
        raise SandboxUnavailable(
            f"The engine has no image {image!r}. Build it: {BUILD} (without a registry: {BUILD} "
            "--without-registry), or name another with sandbox.image."
        ) from None
    except (docker.errors.DockerException, OSError) as error:
        raise SandboxError(f"The engine could not look up {image!r}: {_first_line(error)}.") from error


def reap(client: Any, owner: Owner) -> list[str]:
    """Remove the containers and volumes of owners that are dead; return their names.

    Raises:
        SandboxError: If the engine cannot list them.
    """
    import docker

    removed = []
    try:
        for container in client.api.containers(all=True, filters={"label": _LABEL}):
            if owner.is_dead(container["Labels"] or {}):
                with contextlib.suppress(docker.errors.APIError):  # another reaper was faster
                    client.api.remove_container(container["Id"], force=True, v=True)
                    removed.append(container["Id"])
        for volume in client.api.volumes(filters={"label": _LABEL})["Volumes"] or ():
            if owner.is_dead(volume["Labels"] or {}):
                with contextlib.suppress(docker.errors.APIError):
                    client.api.remove_volume(volume["Name"], force=True)
                    removed.append(volume["Name"])
    except (docker.errors.DockerException, OSError) as error:
        raise SandboxError(f"The engine could not list its containers: {_first_line(error)}.") from error
    return removed


def facts(image: str = DEFAULT_IMAGE) -> list[Fact]:
    """Return what `doctor` tells about the Docker backend; nothing is started."""
    try:
        client = connect()
    except SandboxUnavailable as error:
        problem, _, fix = str(error).partition(". ")
        return [Fact("docker", False, problem, f"Not needed for the local sandbox. {fix}")]
    try:
        version = client.version()["Version"]
        runtimes = ", ".join(sorted(client.info().get("Runtimes", {})))
        found = [Fact("docker", True, f"engine {version}; runtimes: {runtimes}")]
        try:
            require_image(client, image)
        except SandboxError as error:
            problem, _, fix = str(error).partition(". ")
            return [*found, Fact("docker image", False, problem, fix)]
        return [*found, Fact("docker image", True, image)]
    finally:
        client.close()


def _first_line(error: BaseException) -> str:
    reason = _reason(error)
    if reason:
        return reason
    return str(error).splitlines()[0][:200].rstrip(".") if str(error) else type(error).__name__


def _reason(error: object) -> str:
    """Return what the system said, from below the layers of libraries that passed it on; else nothing."""
    waiting, seen = [error], 0
    while waiting and seen < 20:
        found = waiting.pop()
        seen += 1
        if isinstance(found, OSError) and found.strerror:
            return found.strerror
        if isinstance(found, BaseException):
            waiting += [*found.args, found.__cause__, found.__context__]
    return ""


def _fix(where: str) -> str:
    path = where.removeprefix("unix://")
    if where.startswith(("tcp://", "ssh://", "http")):
        return (
            "Check DOCKER_HOST (and DOCKER_TLS_VERIFY, DOCKER_CERT_PATH), and that the engine listens there."
        )
    if os.path.exists(path) and not os.access(path, os.W_OK):
        return "Join the docker group (sudo usermod -aG docker $USER) and log in again."
    if shutil.which("dockerd") is None:
        return "Install an engine: apt-get install docker.io"
    return "Start the engine: systemctl start docker (or, without systemd, dockerd as root)."
