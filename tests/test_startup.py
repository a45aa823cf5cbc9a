"""What a user waits for before the first line of output: nothing heavy, looked at from fresh interpreters."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

HEAVY = ("torch", "transformers", "trl", "peft", "datasets", "accelerate", "pandas", "sklearn", "scipy")

# Runs one statement, lets it exit as the command line does, and reports what came along.
PROBE = """
import json, sys
sys.argv = {argv!r}
code = 0
try:
    {statement}
except SystemExit as stop:
    code = stop.code or 0
print("\\n" + json.dumps([code, sorted(set({heavy!r}) & sys.modules.keys())]))
"""
CLI = "from mledojo_train.cli import main; main()"


def probe(statement: str, *arguments: str) -> tuple[str, int, list[str]]:
    """Return what a statement printed, its exit code, and which heavy packages it imported."""
    code = PROBE.format(argv=["mledojo-train", *arguments], statement=statement, heavy=HEAVY)
    process = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert process.returncode == 0, process.stderr
    printed, _, last = process.stdout.rstrip().rpartition("\n")
    exit_code, imported = json.loads(last)
    return printed, exit_code, imported


@pytest.mark.parametrize("package", ["mledojo_env", "mledojo_train"])
def test_importing_a_package_imports_nothing_heavy(package: str) -> None:
    assert probe(f"import {package}") == ("", 0, [])


@pytest.mark.parametrize(
    "arguments",
    [
        ["--help"],
        ["tasks", "--help"],
        ["tasks", "list", "--help"],
        ["tasks", "check", "--help"],
        ["run", "--help"],
        ["play", "--help"],
        ["grade", "--help"],
        ["doctor", "--help"],
        ["serve", "--help"],
    ],
    ids=" ".join,
)
def test_help_imports_nothing_heavy(arguments: list[str]) -> None:
    printed, exit_code, imported = probe(CLI, *arguments)
    assert (exit_code, imported) == (0, [])
    assert printed.strip()


def test_listing_tasks_imports_nothing_heavy() -> None:
    printed, exit_code, imported = probe(CLI, "tasks", "list", "--json")
    assert (exit_code, imported) == (0, [])
    assert json.loads(printed)


def test_a_policy_that_does_not_exist_is_refused_before_anything_heavy_is_imported() -> None:
    statement = "from mledojo_train.policy import check_policy; check_policy('local:./nowhere')"
    statement = f"try: {statement}\n    except Exception as error: print(error)"
    printed, _, imported = probe(statement)
    assert "'./nowhere' does not exist" in printed
    assert imported == []


def test_the_probe_sees_a_heavy_import() -> None:
    assert "pandas" in probe("import pandas")[2]
