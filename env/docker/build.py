#!/usr/bin/env python3
"""Build the image of the Docker sandbox; does nothing where its exact content has been built before.

    python env/docker/build.py                                the full stack on python:3.11-slim
    python env/docker/build.py --without-registry             base by debootstrap (as root), wheels by pip
    python env/docker/build.py --stack minimal --base-image my-python:3.11

Wheels are downloaded on this host, for the image's interpreter and the engine's architecture, and copied in:
pip takes its index and proxies from the environment as always, and the build itself needs no index. The
package mirror for debootstrap is the one that apt uses here. The engine is the one of DOCKER_HOST.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
REPOSITORY = "mledojo-sandbox"
STACKS = {"minimal": "requirements-minimal.txt", "full": "requirements.txt"}
SUITE = "bookworm"  # the Debian whose python3 is `PYTHON`
PYTHON = "3.11"
BASE_PACKAGES = ("python3", "python3-venv", "libgomp1")
# What the base holds beyond an interpreter and its libraries.
LEFT_OUT = (
    "./usr/share/doc",
    "./usr/share/man",
    "./usr/share/locale",
    "./var/cache",
    "./var/lib/apt",
    "./dev",
)
ARCHITECTURES = {"x86_64": "x86_64", "amd64": "x86_64", "aarch64": "aarch64", "arm64": "aarch64"}
OLDEST_GLIBC, NEWEST_GLIBC = 5, 36  # 2.x; the base has the newest


class BuildError(Exception):
    """The image cannot be built; the text says what to do."""


def main(arguments: Sequence[str] | None = None) -> None:
    """Build what the command line asks for and print the image's name."""
    options = parse(arguments)
    try:
        print(build(options))
    except BuildError as error:
        raise SystemExit(f"error: {error}") from None


def parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--stack", choices=sorted(STACKS), default="full", help="which packages [full]")
    parser.add_argument("--torch", action="store_true", help="add torch")
    base = parser.add_mutually_exclusive_group()
    base.add_argument("--base-image", default="python:3.11-slim", help="[python:3.11-slim]")
    base.add_argument("--without-registry", action="store_true", help="make the base with debootstrap")
    parser.add_argument("--mirror", help="package mirror for debootstrap [the one apt uses]")
    parser.add_argument(
        "--tag", default=f"{REPOSITORY}:latest", help=f"name to give it [{REPOSITORY}:latest]"
    )
    return parser.parse_args(arguments)


def build(options: argparse.Namespace) -> str:
    """Build the image, or find it built, and return its name by content.

    Raises:
        BuildError: If the engine, a base, a wheel or a step of the build cannot be had.
    """
    import docker

    try:
        client = docker.from_env(timeout=600)
        architecture = ARCHITECTURES[client.info()["Architecture"]]
    except docker.errors.DockerException as error:
        raise BuildError(f"No Docker engine answers: {error}. Start dockerd or set DOCKER_HOST.") from None
    except KeyError as error:
        raise BuildError(f"The engine's architecture {error} is neither x86_64 nor aarch64.") from None
    base = "" if options.without_registry else options.base_image
    requirements = stack(options.stack, torch=options.torch)
    name = f"{REPOSITORY}:{digest(base or SUITE, architecture, requirements, read('Dockerfile'))}"
    repository, _, tag = options.tag.partition(":")
    try:
        client.images.get(name).tag(repository, tag or "latest")
        return name
    except docker.errors.ImageNotFound:
        pass
    if not base:
        base = debian_base(client, options.mirror)
    with tempfile.TemporaryDirectory(prefix="mledojo-image-") as folder:
        context = Path(folder)
        shutil.copy(HERE / "Dockerfile", context)
        (context / "stack.txt").write_text("\n".join(requirements) + "\n")
        with step("wheels"):
            download_wheels(context / "stack.txt", context / "wheels", architecture)
        with step("image"):
            # A base of our own holds all it needs; any other may have to fetch libgomp1.
            build_image(client, context, base, name, network="none" if options.without_registry else None)
    client.images.get(name).tag(repository, tag or "latest")
    return name


def read(name: str) -> str:
    """Return the text of a file beside this one."""
    return (HERE / name).read_text()


def stack(name: str, *, torch: bool) -> list[str]:
    """Return the pinned requirements of a stack, one a line, sorted."""
    waiting = [STACKS[name]] + (["requirements-torch.txt"] if torch else [])
    lines = set()
    while waiting:
        for line in read(waiting.pop()).splitlines():
            line = line.partition("#")[0].strip()
            if line.startswith("-r "):
                waiting.append(line.removeprefix("-r ").strip())
            elif line:
                lines.add(line)
    return sorted(lines)


def digest(*parts: Any) -> str:
    """Return 12 hex digits that change with any part of what goes into the image."""
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:12]


@contextmanager
def step(name: str) -> Iterator[None]:
    """Say on stderr how long a step took."""
    started = time.monotonic()
    yield
    print(f"{name}: {time.monotonic() - started:.0f} s", file=sys.stderr)


def download_wheels(requirements: Path, folder: Path, architecture: str) -> None:
    """Download the wheels of the requirements for the image's interpreter.

    Raises:
        BuildError: If pip cannot find one.
    """
    platforms = [f"manylinux_2_{minor}" for minor in range(NEWEST_GLIBC, OLDEST_GLIBC - 1, -1)]
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--only-binary=:all:"]
    command += ["--python-version", PYTHON, "--implementation", "cp", "--dest", str(folder)]
    for platform in (*platforms, "manylinux2014", "manylinux2010", "manylinux1"):
        command += ["--platform", f"{platform}_{architecture}"]
    run([*command, "-r", str(requirements)], "Wheels could not be downloaded")


def debian_base(client: Any, mirror: str | None) -> str:
    """Make a base image with debootstrap, unless it is there, and return its name.

    Raises:
        BuildError: If this is not root, or debootstrap is missing or fails.
    """
    import docker

    name = f"{REPOSITORY}-base:{digest(SUITE, BASE_PACKAGES, LEFT_OUT)}"
    try:
        client.images.get(name)
        return name
    except docker.errors.ImageNotFound:
        pass
    if os.geteuid() != 0:
        raise BuildError("debootstrap needs root. Run this with sudo, or pass --base-image.")
    if shutil.which("debootstrap") is None:
        raise BuildError("debootstrap is not installed. Run: apt-get install debootstrap")
    with tempfile.TemporaryDirectory(prefix="mledojo-base-") as folder:
        root = Path(folder, "root")
        with step("debootstrap"):
            command = ["debootstrap", "--variant=minbase", f"--include={','.join(BASE_PACKAGES)}"]
            run([*command, SUITE, str(root), mirror or apt_mirror()], "debootstrap failed")
        with step("base image"):
            archive = Path(folder, "base.tar")
            with tarfile.open(archive, "w") as tar:
                tar.add(root, arcname=".", filter=lambda item: None if item.name in LEFT_OUT else item)
            repository, _, tag = name.partition(":")
            client.api.import_image_from_file(str(archive), repository=repository, tag=tag)
    return name


def apt_mirror() -> str:
    """Return the mirror that apt uses for the suite on this host.

    Raises:
        BuildError: If apt knows none.
    """
    command = [
        "apt-get",
        "indextargets",
        "--format",
        "$(REPO_URI)",
        f"Codename: {SUITE}",
        "Created-By: Packages",
    ]
    try:
        found = subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()
    except (OSError, subprocess.CalledProcessError):
        found = []
    if not found:
        raise BuildError(f"apt knows no mirror of Debian {SUITE} here. Pass --mirror URL, or --base-image.")
    return found[0]


def build_image(client: Any, context: Path, base: str, name: str, network: str | None) -> None:
    """Build the image from a folder.

    Raises:
        BuildError: With the last lines of the failing step.
    """
    import docker

    try:
        client.images.build(
            path=str(context), tag=name, buildargs={"BASE": base}, network_mode=network, rm=True, forcerm=True
        )
        client.images.prune(filters={"dangling": True, "label": "mledojo.stage=build"})
    except docker.errors.BuildError as error:
        tail = "".join(line.get("stream", "") for line in list(error.build_log)[-30:])
        raise BuildError(f"The image could not be built: {error}\n{tail}") from None
    except docker.errors.APIError as error:
        hint = " Without a registry: --without-registry." if "pull" in str(error) or network is None else ""
        raise BuildError(f"The engine could not build the image: {error}.{hint}") from None


def run(command: list[str], problem: str) -> None:
    """Run a command quietly.

    Raises:
        BuildError: With the end of what it printed.
    """
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    if done.returncode:
        raise BuildError(f"{problem}:\n{done.stdout[-2000:]}")


if __name__ == "__main__":
    main()
