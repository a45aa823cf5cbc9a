"""The benchmarks that take minutes: a short soak for real, tables of made-up figures, what processes take."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from mledojo_env.sandbox.probe import machine_facts

BENCHMARKS = Path(__file__).resolve().parents[1] / "benchmarks"


def load(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(f"benchmark_{name}", BENCHMARKS / f"{name}.py")
    assert spec and spec.loader
    module = sys.modules[spec.name] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.slow
def test_a_short_soak_leaves_nothing(tmp_path: Path):
    if not {fact.name: fact for fact in machine_facts()}["isolation"].ok:
        pytest.skip("this machine cannot isolate code")
    output = tmp_path / "soak.md"
    command = [sys.executable, str(BENCHMARKS / "soak.py"), "--local", "80", "--docker", "0"]
    done = subprocess.run([*command, "--output", str(output)], capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    assert "80 executions, 0 wrong outcomes" in output.read_text()


def test_a_soak_with_something_wrong_fails():
    soak = load("soak")
    tally = soak.Tally(executions=3)
    clean = {"local": [50.0] * 10}
    assert soak.report({"local": tally}, clean, {"mounts": []}, 1.0)[1]
    assert not soak.report({"local": tally}, clean, {"mounts": ["x"]}, 1.0)[1]
    assert not soak.report({"local": tally}, {"local": [*[50.0] * 9, 90.0]}, {"mounts": []}, 1.0)[1]
    tally.wrong.append("honest ended as error")
    text, good = soak.report({"local": tally}, clean, {"mounts": []}, 1.0)
    assert not good and "honest ended as error" in text


@pytest.fixture
def page() -> ModuleType:
    return load("sandbox_page")


@pytest.fixture
def memory() -> ModuleType:
    return load("sandbox_memory")


@pytest.fixture
def figures() -> dict[str, Any]:
    return {
        "facts": {"machine": "2 cores", "command": "python benchmarks/sandbox.py"},
        "latency_s": {"subprocess": [2.0, 2.2, 1.8], "local": [0.05, 0.04, 0.1]},
        "throughput_per_s": {"subprocess": {"1": [0.5, 0.3]}, "local": {"1": [15.0, 16.0]}},
        "session_start_s": {"local": [0.03]},
        "memory_mb": {"local": {"server": 183.04, "idle": 0.0, "running": 22.0}},
        "pool": {"size": 8, "seconds": 7.46},
        "left_out": {"bwrap": "it is not installed"},
    }


@pytest.mark.parametrize(("count", "expected"), [(1, 1), (15, 15), (20, 19), (21, 20), (100, 95)])
def test_p95_is_a_sample_that_95_percent_do_not_exceed(page: ModuleType, count: int, expected: int) -> None:
    assert page.p95([*range(count, 0, -1)]) == expected


def test_page_compares_medians_and_averages_throughput(page: ModuleType, figures: dict[str, Any]) -> None:
    lines = page.render(figures).splitlines()
    assert "| subprocess | 2000 | 2200 | 1.0 | - | 0.40 |" in lines
    assert "| local | 50 | 100 | 40.0 | - | 15.50 |" in lines


def test_page_has_every_figure_and_says_what_is_missing(page: ModuleType, figures: dict[str, Any]) -> None:
    lines = page.render(figures).splitlines()
    assert "- machine: 2 cores" in lines
    assert "| local | 30 | 30 |" in lines
    assert "| local | 183.0 | 0.0 | 22.0 |" in lines
    assert "A pool of 8 containers is warm after 7.5 s." in lines
    assert "Left out: bwrap: it is not installed" in lines


def test_every_row_of_a_table_has_as_many_cells_as_its_head(
    page: ModuleType, figures: dict[str, Any]
) -> None:
    blocks = [block for block in page.render(figures).split("\n\n") if block.startswith("| ")]
    assert len(blocks) == 3
    for block in blocks:
        assert len({line.count("|") for line in block.splitlines()}) == 1


def test_page_without_any_way_to_run_still_says_why(page: ModuleType) -> None:
    nothing: dict[str, Any] = {
        "facts": {},
        "latency_s": {},
        "throughput_per_s": {},
        "session_start_s": {},
        "memory_mb": {},
        "left_out": {"local": "no namespaces"},
    }
    assert "Left out: local: no namespaces" in page.render(nothing)


@pytest.fixture
def grandchild() -> Iterator[tuple[int, int]]:
    """A process and its child, both asleep."""
    code = "import subprocess; subprocess.run(['sleep', '60'])"
    with subprocess.Popen(
        [sys.executable, "-c", f"print(flush=True); {code}"], stdout=subprocess.PIPE
    ) as parent:
        assert parent.stdout is not None
        parent.stdout.readline()
        children = Path(f"/proc/{parent.pid}/task/{parent.pid}/children")
        while not children.read_text():
            pass
        child = int(children.read_text())
        yield parent.pid, child
        os.kill(child, 9)


def test_a_family_is_a_process_and_its_descendants(memory: ModuleType, grandchild: tuple[int, int]) -> None:
    parent, child = grandchild
    assert memory.family([parent]) == [parent, child]
    assert parent in memory.children(os.getpid())
    assert memory.name_of(child) in ("sleep", "python", "python3")  # before its exec


def test_memory_of_a_family_is_more_than_that_of_one(memory: ModuleType, grandchild: tuple[int, int]) -> None:
    parent, _ = grandchild
    assert 0 < memory.pss_mb([parent]) < memory.pss_mb(memory.family([parent]))


def test_a_process_that_is_gone_takes_nothing(memory: ModuleType) -> None:
    with subprocess.Popen(["true"]) as process:
        pass
    assert memory.pss_mb([process.pid]) == 0
    assert memory.family([process.pid]) == [process.pid]
    assert memory.name_of(process.pid) == ""
