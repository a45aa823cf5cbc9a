"""The wheel, the sdist and the editable install: what is in them, and that each finds its packages and tasks.

Each is installed, without its dependencies, into a virtual environment that borrows the third-party packages
of the running one by symbolic link, and none of ours: a module missing from the wheel is an import error.
"""

from __future__ import annotations

import importlib.metadata
import json
import os
import subprocess
import sys
import sysconfig
import tarfile
import zipfile
from dataclasses import dataclass
from pathlib import Path

import pytest

import mledojo_env
import mledojo_train
from mledojo_env.catalog import tasks_root

ROOT = Path(__file__).parents[1]
MAX_WHEEL_MB = 15
OFFLINE_TASKS = 42


def run(*command: str | Path, cwd: Path) -> str:
    """Run a command away from the checkout's influence and return what it printed."""
    environment = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("PYTHON", "MLEDOJO_")) and name != "VIRTUAL_ENV"
    }
    process = subprocess.run(
        [str(part) for part in command],
        cwd=cwd,
        env=environment,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert process.returncode == 0, f"{command}: {process.stdout[-2000:]}{process.stderr[-4000:]}"
    return process.stdout


@dataclass(frozen=True)
class CleanVenv:
    """A virtual environment with everything but our own packages."""

    folder: Path

    @classmethod
    def make(cls, folder: Path) -> CleanVenv:
        """Make one in a folder that does not exist yet."""
        run(sys.executable, "-m", "venv", "--without-pip", folder, cwd=folder.parent)
        site = folder / "lib" / f"python{sys.version_info[0]}.{sys.version_info[1]}" / "site-packages"
        for key in ("purelib", "platlib"):
            for entry in Path(sysconfig.get_path(key)).iterdir():
                if "mledojo" not in entry.name and entry.suffix != ".pth":
                    link = site / entry.name
                    if not link.is_symlink():
                        link.symlink_to(entry)
        return cls(folder)

    def install(self, *arguments: str | Path) -> None:
        """Install ours, and nothing else, without the network."""
        pip = [sys.executable, "-m", "pip", "--python", self.folder / "bin" / "python"]
        options = ["install", "--quiet", "--no-deps", "--no-index", "--no-build-isolation"]
        run(*pip, *options, *arguments, cwd=self.folder)

    def python(self, code: str) -> str:
        """Return what a program printed."""
        return run(self.folder / "bin" / "python", "-c", code, cwd=self.folder).strip()

    def command_line(self, *arguments: str) -> str:
        """Return what `mledojo-train` printed."""
        return run(self.folder / "bin" / "mledojo-train", *arguments, cwd=self.folder)


@pytest.fixture(scope="module")
def archives(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The wheel built from the checkout, the sdist, and the wheel built from that sdist."""
    folder = tmp_path_factory.mktemp("dist")
    build = [sys.executable, "-m", "build", "--no-isolation"]
    run(*build, "--wheel", "--outdir", folder / "direct", ROOT, cwd=folder)
    run(*build, "--outdir", folder / "through", ROOT, cwd=folder)  # the sdist, and the wheel from it
    return {
        "wheel": next((folder / "direct").glob("*.whl")),
        "sdist": next((folder / "through").glob("*.tar.gz")),
        "wheel from sdist": next((folder / "through").glob("*.whl")),
    }


@pytest.fixture(scope="module")
def wheel_venv(archives: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> CleanVenv:
    """A clean virtual environment that holds the wheel."""
    venv = CleanVenv.make(tmp_path_factory.mktemp("wheel") / "venv")
    venv.install(archives["wheel"])
    return venv


def wheel_files(path: Path) -> dict[str, int]:
    """Return the checksum of every file in a wheel, by name."""
    with zipfile.ZipFile(path) as archive:
        return {entry.filename: entry.CRC for entry in archive.infolist()}


def sdist_files(path: Path) -> set[str]:
    """Return the files of an sdist, relative to its top folder."""
    with tarfile.open(path) as archive:
        return {member.name.partition("/")[2] for member in archive if member.isfile()}


def committed(*folders: str) -> set[str]:
    """Return the project's files under folders of the checkout: no caches, nothing hidden."""
    files = (path for folder in folders for path in (ROOT / folder).rglob("*") if path.is_file())
    names = (path.relative_to(ROOT).as_posix() for path in files)
    return {name for name in names if "__pycache__" not in name and "/." not in name}


def test_the_wheel_holds_the_packages_and_every_task(archives: dict[str, Path]) -> None:
    files = set(wheel_files(archives["wheel"]))
    expected = {name.removeprefix("env/") for name in committed("env/mledojo_env", "mledojo_train")}
    expected |= {f"mledojo_env/{name}" for name in committed("tasks")}
    assert expected <= files
    others = {name for name in files - expected if ".dist-info/" not in name}
    assert others == set(), "neither caches, nor tests, nor recipes"


def test_the_wheel_is_small(archives: dict[str, Path]) -> None:
    assert archives["wheel"].stat().st_size < MAX_WHEEL_MB * 1e6


def test_the_sdist_holds_what_the_readme_speaks_of(archives: dict[str, Path]) -> None:
    files = sdist_files(archives["sdist"])
    folders = ("env", "mledojo_train", "tasks", "recipes", "configs", "tests", "benchmarks", "examples")
    expected = committed(*folders)
    assert expected <= files
    top = {name for name in files - expected if "/" not in name}
    assert top >= {"README.md", "CHANGELOG.md", "LICENSE", "Makefile", "pyproject.toml", "requirements.lock"}
    assert not {name for name in files if "__pycache__" in name or name.startswith((".venv", "runs"))}


def test_the_sdist_builds_the_same_wheel(archives: dict[str, Path]) -> None:
    assert wheel_files(archives["wheel from sdist"]) == wheel_files(archives["wheel"])


def test_the_installed_wheel_has_its_tasks_inside(wheel_venv: CleanVenv) -> None:
    code = (
        "import mledojo_env, mledojo_train, mledojo_env.catalog as c; "
        "print(mledojo_env.__file__, mledojo_train.__file__, c.tasks_root(), sep='\\n')"
    )
    package, training, tasks = (Path(line) for line in wheel_venv.python(code).splitlines())
    assert package.is_relative_to(wheel_venv.folder) and training.is_relative_to(wheel_venv.folder)
    assert tasks == package.parent / "tasks"


def test_the_installed_wheel_lists_the_offline_tasks_with_their_data(wheel_venv: CleanVenv) -> None:
    tasks = json.loads(wheel_venv.command_line("tasks", "list", "--source", "offline", "--json"))
    assert len(tasks) == OFFLINE_TASKS
    assert [task["id"] for task in tasks if not task["ready"]] == []
    assert {task["split"] for task in tasks} == {"train", "benchmark"}


def test_a_task_of_the_installed_wheel_unpacks_and_scores(wheel_venv: CleanVenv, tmp_path: Path) -> None:
    code = (
        f"import os; os.environ['MLEDOJO_CACHE'] = {str(tmp_path)!r}\n"
        "import mledojo_env\n"
        "task = mledojo_env.load_task('concrete-strength')\n"
        "print(task.score(task.sample_submission(), task.answers()) > 0)"
    )
    assert wheel_venv.python(code) == "True"


def test_the_installed_wheel_answers_its_command_line(wheel_venv: CleanVenv) -> None:
    version = wheel_venv.python("import mledojo_env; print(mledojo_env.__version__)")
    assert wheel_venv.command_line("--version").strip() == f"mledojo-train {version}"
    assert "doctor" in wheel_venv.command_line("--help")


def test_gymnasium_knows_the_environment_of_the_installed_wheel(wheel_venv: CleanVenv) -> None:
    code = "import mledojo_env, gymnasium; print('MLEDojo-v0' in gymnasium.registry)"
    assert wheel_venv.python(code) == "True"


def test_an_editable_install_takes_packages_and_tasks_from_the_checkout(tmp_path: Path) -> None:
    venv = CleanVenv.make(tmp_path / "venv")
    venv.install("--editable", ROOT)
    code = (
        "import mledojo_env, mledojo_env.catalog as c; print(mledojo_env.__file__, c.tasks_root(), sep='\\n')"
    )
    package, tasks = (Path(line) for line in venv.python(code).splitlines())
    assert (package.parent, tasks) == (ROOT / "env" / "mledojo_env", ROOT / "tasks")
    assert (
        len(json.loads(venv.command_line("tasks", "list", "--source", "offline", "--json"))) == OFFLINE_TASKS
    )


def test_these_tests_import_what_is_installed() -> None:
    """With a wheel installed, a checkout on the path must not stand in for it."""
    try:
        distribution = importlib.metadata.distribution("mledojo-train")
    except importlib.metadata.PackageNotFoundError:
        pytest.skip("mledojo-train is not installed here: pip install -e .")
    origin = json.loads(distribution.read_text("direct_url.json") or "{}")
    editable = origin.get("dir_info", {}).get("editable", False)
    site = Path(sysconfig.get_path("purelib"))
    expected = (ROOT / "env", ROOT) if editable else (site, site)
    assert [Path(p.__file__ or "").parents[1] for p in (mledojo_env, mledojo_train)] == list(expected)
    assert tasks_root() == (ROOT / "tasks" if editable else site / "mledojo_env" / "tasks")
