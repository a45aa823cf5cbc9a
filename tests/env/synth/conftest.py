"""A cache of the tests' own, so that generated tasks are made here and now."""

from __future__ import annotations

from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def tasks_of_the_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the cache that all tests share which only read from it."""
    return tmp_path_factory.mktemp("generated")


@pytest.fixture
def cache(tasks_of_the_run: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Keep generated tasks where other tests of this run find them again."""
    monkeypatch.setenv("MLEDOJO_CACHE", str(tasks_of_the_run))
    return tasks_of_the_run


@pytest.fixture
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Keep generated tasks in an empty cache of the test's own."""
    monkeypatch.setenv("MLEDOJO_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("MLEDOJO_SYNTH_CACHE", raising=False)
    return tmp_path / "cache"
