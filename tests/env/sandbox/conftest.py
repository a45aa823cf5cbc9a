"""Every suite here runs against a sandbox by contract, so that another backend is one more parameter."""

from __future__ import annotations

import secrets
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from mledojo_env.sandbox import ExecutionResult, Limits, LocalSandbox, Sandbox, Session, engine
from mledojo_env.sandbox.docker import DockerSandbox, DockerSettings
from mledojo_env.sandbox.probe import Fact, machine_facts

# Each test is an episode and so a container: one with little to import. test_docker.py has the usual kind.
BACKENDS: dict[str, Callable[[], Sandbox]] = {
    "local": LocalSandbox,
    "docker": lambda: DockerSandbox(DockerSettings(pool_size=1), preload=["numpy"]),
}

Run = Callable[..., Coroutine[Any, Any, ExecutionResult]]


@dataclass(frozen=True)
class Task:
    """A task as it lies on the host: what code may see, and what it must not."""

    public: Path
    answers: Path
    secret: str  # what the answers hold


@pytest.fixture(scope="session", params=["local", pytest.param("docker", marks=pytest.mark.docker)])
def sandbox(request: pytest.FixtureRequest) -> Iterator[Sandbox]:
    # Names the machine's part that this backend needs.
    request.getfixturevalue({"local": "isolation", "docker": "engine_with_image"}[request.param])
    with BACKENDS[request.param]() as sandbox:
        yield sandbox


@pytest.fixture(scope="session")
def facts() -> dict[str, Fact]:
    return {fact.name: fact for fact in machine_facts()}


@pytest.fixture(scope="session")
def isolation(facts: dict[str, Fact]) -> None:
    """Skip what needs a machine that isolates code, and say what is missing."""
    if not facts["isolation"].ok:
        pytest.skip(facts["isolation"].detail)


@pytest.fixture(scope="session")
def engine_with_image() -> None:
    """Skip what needs Docker and our image, and say what is missing; `.ci/docker` provides both."""
    missing = [fact for fact in engine.facts() if not fact.ok]
    if missing:
        pytest.skip(f"{missing[0].detail}. {missing[0].fix}")


@pytest.fixture(scope="session")
def has_cgroups(facts: dict[str, Fact]) -> bool:
    return facts["cgroups"].ok


@pytest.fixture(scope="session")
def task(tmp_path_factory: pytest.TempPathFactory) -> Task:
    base = tmp_path_factory.mktemp("task")
    base.chmod(0o755)
    for name, mode in (("public", 0o755), ("private", 0o700)):
        (base / name).mkdir()
        (base / name).chmod(mode)
    secret = f"answer-{secrets.token_hex(8)}"
    (base / "public" / "train.csv").write_text("id,target\n1,0\n2,1\n")
    answers = base / "private" / "answers.csv"
    answers.write_text(f"id,target\n3,{secret}\n")
    return Task(base / "public", answers, secret)


@pytest.fixture
async def session(sandbox: Sandbox) -> AsyncIterator[Session]:
    session = await sandbox.session()
    yield session
    await session.close()


@pytest.fixture
def run(session: Session, task: Task) -> Run:
    """Run code in the test's session with the limits given by name."""

    async def run(code: str, *, seed: int = 0, **limits: Any) -> ExecutionResult:
        return await session.run(code, task.public, Limits(**{"timeout_s": 10.0, **limits}), seed=seed)

    return run
