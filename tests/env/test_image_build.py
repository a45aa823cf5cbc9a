"""The sandbox image's ingredients: pinned, alike in both sandboxes, named by their content."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def build() -> ModuleType:
    spec = importlib.util.spec_from_file_location("image_build", ROOT / "env" / "docker" / "build.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def versions(lines: list[str]) -> dict[str, str]:
    return dict(line.lower().replace("_", "-").split("==") for line in lines)


def test_every_requirement_is_pinned_once(build: ModuleType):
    for name in build.STACKS:
        lines = build.stack(name, torch=True)
        assert all(re.fullmatch(r"[A-Za-z0-9._-]+==[0-9][0-9.]*", line) for line in lines), lines
        assert len(versions(lines)) == len(lines)


def test_the_full_stack_holds_the_minimal_one(build: ModuleType):
    assert set(build.stack("minimal", torch=False)) < set(build.stack("full", torch=False))


def test_both_sandboxes_have_the_same_versions(build: ModuleType):
    lock = (ROOT / "requirements.lock").read_text().splitlines()
    locked = versions([line for line in lock if "==" in line and not line.startswith("#")])
    image = versions(build.stack("full", torch=True))
    both = image.keys() & locked
    assert {name: image[name] for name in both} == {name: locked[name] for name in both}
    assert "pandas" in both


def test_the_name_changes_with_any_ingredient(build: ModuleType):
    first = build.digest("base", "x86_64", ["a==1"], "FROM x")
    assert first == build.digest("base", "x86_64", ["a==1"], "FROM x")
    assert first != build.digest("base", "x86_64", ["a==2"], "FROM x")
    assert re.fullmatch(r"[0-9a-f]{12}", first)


def test_no_engine_is_one_clear_line(build: ModuleType, monkeypatch, tmp_path: Path):
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/absent.sock")
    with pytest.raises(SystemExit, match="error: No Docker engine answers"):
        build.main([])


def test_base_and_registry_exclude_each_other(build: ModuleType, capsys: pytest.CaptureFixture[str]):
    with pytest.raises(SystemExit):
        build.main(["--without-registry", "--base-image", "x"])
    assert "not allowed with" in capsys.readouterr().err
