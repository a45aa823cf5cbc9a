"""Build offline/debian-sections: which section of the archive does a package's one-line description mean?"""

from __future__ import annotations

import hashlib
import re
import subprocess
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

import build_board as board
import build_common as common
import build_text as text
import pandas as pd

FOLDER = Path(__file__).parent
TARGET = "section"
SEED = 12
TRAIN_ROWS, TEST_ROWS = 2500, 1200
PACKAGES_SHA256 = "515e692f2c4121c6fcec444ef100cc18f79a991910615f3a88c8b7becfc94d2f"
SECTIONS = [
    "admin",
    "devel",
    "games",
    "graphics",
    "math",
    "net",
    "science",
    "sound",
    "text",
    "utils",
    "web",
    "x11",
]
GIVEAWAYS = re.compile(
    r"\b(admin|administrations?|devel|developments?|games?|graphics?|math|maths|mathematics|net|networks?"
    r"|sciences?|sounds?|texts?|utils?|utility|utilities|web|x11)\b",
    re.IGNORECASE,
)


def read_packages() -> str:
    """Return this machine's list of Debian 12.15 packages (amd64, main), as `apt-get update` left it.

    Raises:
        BuildError: If there is no such list, or it is of another point release. A point release replaces
            the list for good, so the committed `csv.xz` files are the reference; only `--board` can then be
            built again.
    """
    targets = [
        "apt-get",
        "indextargets",
        "--format",
        "$(FILENAME)",
        "Created-By: Packages",
        "Codename: bookworm",
    ]
    listed = subprocess.run(targets, capture_output=True, text=True, check=True).stdout.split()
    found = {}
    for path in (name for name in listed if "bookworm_main" in name and "security" not in name):
        content = subprocess.run(
            ["/usr/lib/apt/apt-helper", "cat-file", path], capture_output=True, check=True
        )
        found[hashlib.sha256(content.stdout).hexdigest()] = content.stdout
    if PACKAGES_SHA256 not in found:
        raise common.BuildError(
            f"Expected the package list of Debian 12.15 (sha256 {PACKAGES_SHA256}), "
            f"found {list(found) or 'none'}. The archive has moved on, and its older lists are not kept: the "
            "committed data stays the reference. Build only the leaderboard with: build.py --board"
        )
    return found[PACKAGES_SHA256].decode()


def parse_packages(listing: str) -> pd.DataFrame:
    """Return one row a source package: the package named like it, else the first by name."""
    rows = []
    for block in listing.split("\n\n"):
        entry = dict(re.findall(r"^(Package|Source|Section|Description): (.*)$", block, re.MULTILINE))
        if {"Package", "Section", "Description"} <= entry.keys():
            source = entry.get("Source", entry["Package"]).split()[0]
            rows.append(
                (source, entry["Package"] != source, entry["Package"], entry["Section"], entry["Description"])
            )
    columns = ["source", "is_other", "package", TARGET, "description"]
    table = pd.DataFrame(rows, columns=columns).sort_values(["source", "is_other", "package"])
    return table.drop_duplicates("source")


def build_data() -> None:
    """Write the data: one description a source package, without the words that name a section.

    Packages of one source describe themselves alike, so a source gives one row; of descriptions
    that are alike ("dark theme ...", "grey theme ...") the first is kept.
    """
    table = parse_packages(read_packages())
    table = table[table[TARGET].isin(SECTIONS)][["description", TARGET]]
    masked = table["description"].str.replace(GIVEAWAYS, " ", regex=True)
    table["description"] = masked.str.replace(r"\s+", " ", regex=True).str.strip()
    letters = table["description"].str.casefold().str.replace(r"[^a-z]+", "", regex=True)
    table = text.drop_similar_texts(table[(letters.str.len() >= 8) & ~letters.duplicated()], "description")
    train, test = common.random_split(table, train_rows=TRAIN_ROWS, test_rows=TEST_ROWS, seed=SEED)
    common.write_table_task(FOLDER, train, test, target=TARGET, sample_value="utils", seed=SEED)


def build_leaderboard() -> None:
    """Fit and score the reference teams."""
    entries = text.text_entries("description") | text.text_variants("description")
    vote = text.voters("description")
    blends = {
        "vote linear": ("balanced", "chars"),
        "vote bayes and balanced": ("complement", "balanced", "chars"),
        "vote words": ("words", "bayes"),
        "vote everything": ("balanced", "chars", "complement", "network", "forest"),
    }
    entries |= {
        name: board.Blend(tuple(vote[member] for member in members), output="label")
        for name, members in blends.items()
    }
    board.build_leaderboard(FOLDER, entries, metric="f1", params={"average": "macro"}, target=TARGET)


if __name__ == "__main__":
    common.main(build_data, build_leaderboard, FOLDER)
