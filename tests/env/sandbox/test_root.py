"""The root shows an allowlist and nothing else, whichever way Python and this package were installed."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

from mledojo_env.sandbox import packages
from mledojo_env.sandbox.root import plan_root

PACKAGE = Path(__file__).resolve().parents[3] / "env" / "mledojo_env"
SECRET = "the-private-answers-of-a-wheel"

# Run by an interpreter in whose site-packages this package and its tasks lie, as `pip install` puts them.
SCRIPT = """
import asyncio, sys
from pathlib import Path
from mledojo_env.sandbox.base import Limits
from mledojo_env.sandbox.local import LocalSandbox
import mledojo_env.sandbox

CODE = '''
import os, sys, sqlite3, ssl, ctypes, lzma, bz2, zoneinfo
import numpy
found = []
for folder, _, files in os.walk("/"):
    if folder.startswith(("/proc", "/dev")): continue
    for name in files:
        path = os.path.join(folder, name)
        try:
            if os.path.getsize(path) < 100_000 and b"the-private-" + b"answers" in open(path, "rb").read():
                found.append(path)
        except OSError: pass
print(found, [m for m in os.listdir(os.path.dirname(os.path.dirname(numpy.__file__))) if "mledojo" in m])
print(sys.prefix, float(numpy.ones(3).sum()))
'''

async def main():
    with LocalSandbox(packages=("numpy",), preload=["numpy"]) as sandbox:
        session = await sandbox.session()
        result = await session.run(CODE, Path(sys.argv[1]), Limits(timeout_s=30))
        print(mledojo_env.__file__)
        print(result.stdout, result.stderr, result.traceback)

asyncio.run(main())
"""


def install_as_wheel(site: Path) -> None:
    """Put this package, its tasks and NumPy into a site-packages directory."""
    site.mkdir(parents=True, exist_ok=True)
    shutil.copytree(PACKAGE, site / "mledojo_env", ignore=shutil.ignore_patterns("__pycache__"))
    (site / "mledojo_env" / "__init__.py").write_text("")
    private = site / "mledojo_env" / "tasks" / "offline" / "x" / "private"
    private.mkdir(parents=True)
    (private / "answers.csv").write_text(SECRET)
    (site / "editable.pth").write_text(f"{private}\n")
    for entry in packages.entries(packages.resolve(["numpy"])["numpy"]):
        (site / entry.name).symlink_to(entry)  # as uv and conda may install: by link


def interpreters() -> list[str]:
    """Base interpreters of this version on this machine: ours, and the system's if it is another."""
    ours = os.path.realpath(sys._base_executable)  # type: ignore[attr-defined]
    system = f"/usr/bin/python3.{sys.version_info.minor}"
    return [ours] + ([system] if os.path.exists(system) and os.path.realpath(system) != ours else [])


@pytest.mark.parametrize("base", interpreters())
@pytest.mark.usefixtures("isolation")
def test_private_answers_in_site_packages_are_out_of_reach(base: str, tmp_path: Path):
    place = tmp_path / "venv"  # below /tmp, where the sandbox has a /tmp of its own
    builder = "import sys, venv; venv.create(sys.argv[1], symlinks=True)"
    subprocess.run([base, "-c", builder, str(place)], check=True)
    site = place / "lib" / f"python3.{sys.version_info.minor}" / "site-packages"
    install_as_wheel(site)
    data = tmp_path / "data"
    data.mkdir(mode=0o755)
    done = subprocess.run(
        [place / "bin" / "python", "-c", SCRIPT, data], cwd=tmp_path, capture_output=True, text=True
    )
    lines = done.stdout.splitlines()
    assert lines[0] == str(site / "mledojo_env" / "__init__.py"), done.stderr
    assert lines[1] == "[] []", done.stdout
    assert lines[2] == "/opt/env 3.0"


def fake_distribution(site: Path, name: str, files: list[str], requires: tuple[str, ...] = ()) -> None:
    info = site / f"{name}-1.0.dist-info"
    info.mkdir(parents=True)
    lines = [
        "Metadata-Version: 2.1",
        f"Name: {name}",
        "Version: 1.0",
        *(f"Requires-Dist: {r}" for r in requires),
    ]
    (info / "METADATA").write_text("\n".join(lines) + "\n")
    for file in files:
        if not file.startswith(".."):
            (site / file).parent.mkdir(parents=True, exist_ok=True)
            (site / file).write_text("")
    (info / "RECORD").write_text("".join(f"{file},,\n" for file in [*files, f"{info.name}/METADATA"]))


def test_dependencies_come_along_and_extras_do_not(tmp_path: Path):
    fake_distribution(
        tmp_path, "Alpha_Kit", ["alpha/__init__.py"], ("beta>=1", "gamma; extra == 'test'", "absent")
    )
    fake_distribution(tmp_path, "beta", ["beta.py"], ("alpha-kit",))
    fake_distribution(tmp_path, "gamma", ["gamma.py"])
    found = packages.resolve(["alpha.kit"], path=[str(tmp_path)])
    assert set(found) == {"alpha-kit", "beta"}


def test_entries_leave_out_path_files_scripts_and_us(tmp_path: Path):
    files = ["alpha/__init__.py", "alpha.pth", "../../bin/alpha", "mledojo_env/__init__.py", "single.py"]
    fake_distribution(tmp_path, "alpha", files)
    distribution = packages.resolve(["alpha"], path=[str(tmp_path)])["alpha"]
    names = [entry.name for entry in packages.entries(distribution)]
    assert names == ["alpha", "alpha-1.0.dist-info", "single.py"]


def test_a_distribution_without_a_file_list_is_found_by_its_top_level(tmp_path: Path):
    fake_distribution(tmp_path, "alpha", ["al/__init__.py"])
    (tmp_path / "alpha-1.0.dist-info" / "RECORD").unlink()
    (tmp_path / "alpha-1.0.dist-info" / "top_level.txt").write_text("al\n")
    distribution = packages.resolve(["alpha"], path=[str(tmp_path)])["alpha"]
    assert [entry.name for entry in packages.entries(distribution)] == ["al"]


def test_the_plan_names_no_directory_of_packages_or_of_users():
    plan = plan_root()
    sources = set(plan.binds.values())
    forbidden = {sysconfig.get_path("purelib"), sysconfig.get_path("platlib"), str(Path.home()), "/", "/usr"}
    assert not sources & forbidden
    assert not [source for source in sources if "mledojo_train" in source or source.endswith("/tasks")]
