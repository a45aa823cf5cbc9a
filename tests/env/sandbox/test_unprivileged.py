"""The same suites as an ordinary user: user namespaces instead of root, limits without control groups."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import sysconfig
import tempfile
from pathlib import Path

import pytest

NOBODY = 65534
HERE = Path(__file__).resolve().parent
PACKAGE_ROOT = HERE.parents[2] / "env"


def as_nobody(command: list[str], **environment: str) -> subprocess.CompletedProcess[str]:
    identity = ["setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups"]
    return subprocess.run(
        identity + command,
        env={"PATH": "/usr/bin:/bin", "PYTHONDONTWRITEBYTECODE": "1", **environment},
        cwd="/",
        capture_output=True,
        text=True,
    )


@pytest.fixture(scope="module")
def python() -> tuple[str, str]:
    """An interpreter that an ordinary user can run here with our packages, and the PYTHONPATH for it."""
    if os.geteuid() != 0:
        pytest.skip("the other suites already run as an ordinary user")
    if shutil.which("setpriv") is None:
        pytest.skip("needs setpriv to become another user")
    site = sysconfig.get_path("purelib")
    for executable in (sys.executable, f"/usr/bin/python3.{sys.version_info.minor}"):
        path = os.pathsep.join((str(PACKAGE_ROOT), site))
        # setpriv may be able to start an interpreter that the user could not even read.
        imports = "import pytest, sklearn, sys, mledojo_env.sandbox; open(sys.executable)"
        if as_nobody([executable, "-c", imports], PYTHONPATH=path).returncode == 0:
            return executable, path
    pytest.skip("no interpreter of this version that an ordinary user can read")


@pytest.mark.slow
def test_contract_and_attacks_hold_for_an_ordinary_user(python: tuple[str, str]):
    executable, path = python
    suites = [str(HERE / name) for name in ("test_contract.py", "attacks")]
    # pytest's own temporary folders are for their owner only, which is somebody else.
    with tempfile.TemporaryDirectory() as base:
        os.chown(base, NOBODY, NOBODY)
        options = ["-p", "no:cacheprovider", f"--basetemp={base}/t", "--durations=5"]
        done = as_nobody([executable, "-m", "pytest", *suites, *options], PYTHONPATH=path, HOME=base)
    print(done.stdout)
    assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-2000:]
    assert " passed" in done.stdout
