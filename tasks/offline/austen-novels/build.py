"""Build offline/austen-novels: which of Jane Austen's six novels do eighty words come from?"""

from __future__ import annotations

import re
import sys
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

import build_board as board
import build_common as common
import build_text as text
import numpy as np
import pandas as pd

FOLDER = Path(__file__).parent
TARGET = "novel"
SEED = 1775
TRAIN_ROWS, TEST_ROWS = 1800, 1000
TRAIN_SHARE = 0.6
WINDOW = 80
LAZY_DATA = "site-library/janeaustenr/data/Rdata"
TITLES = {
    "emma": "emma",
    "mansfieldpark": "mansfield_park",
    "northangerabbey": "northanger_abbey",
    "persuasion": "persuasion",
    "prideprejudice": "pride_and_prejudice",
    "sensesensibility": "sense_and_sensibility",
}
FORMS_OF_ADDRESS = {
    "Mr",
    "Mrs",
    "Miss",
    "Lady",
    "Sir",
    "Lord",
    "Captain",
    "Colonel",
    "Admiral",
    "Doctor",
    "Dr",
}
HEADING = re.compile(r"\s*(chapter|volume)\s+([ivxlc]+|\d+)\.?\s*", re.IGNORECASE)


def clean(lines: list[str]) -> str:
    """Return a chapter without what betrays the electronic edition: quotation marks, italics, dashes."""
    prose = " ".join(lines).replace("--", " ")
    prose = re.sub(r"\b(Mr|Mrs|Dr|St)\.", r"\1", prose)
    prose = re.sub(r"[^A-Za-z' .,;:!?-]", "", prose)
    return re.sub(r"(?<![A-Za-z])'|'(?![A-Za-z])", "", prose)


def mask(prose: str, common_words: set[str]) -> list[str]:
    """Return the words of a chapter in lower case, names as `_`.

    Every capitalised word is masked but "I", forms of address, and a common word that opens a sentence.
    """

    def lower_opening(match: re.Match[str]) -> str:
        word = match[2].lower()
        return match[1] + (word if word in common_words else match[2])

    prose = re.sub(r"(^|[.!?] +)([A-Z][a-z']*)(?![A-Za-z'-])", lower_opening, prose)

    def hide_name(match: re.Match[str]) -> str:
        return match[0] if match[0] == "I" or match[0] in FORMS_OF_ADDRESS else "_"

    return re.sub(r"\b[A-Z][A-Za-z']*(-[A-Za-z']+)*", hide_name, prose).lower().split()


def find_common_words(novels: Mapping[str, list[str]]) -> set[str]:
    """Return the words that stand in lower case at least five times in three or more of the novels."""
    frequent = [Counter(re.findall(r"\b[a-z']+\b", clean(lines))) for lines in novels.values()]
    spread = Counter(word for counts in frequent for word, count in counts.items() if count >= 5)
    return {word for word, count in spread.items() if count >= 3}


def read_windows(name: str, lines: list[str], common_words: set[str]) -> Iterator[tuple[str, str, str]]:
    """Yield (chapter, text, novel) for consecutive windows that do not overlap; leftovers are dropped."""
    headings = [row for row, line in enumerate(lines) if HEADING.fullmatch(line)]
    for start, end in zip(headings, [*headings[1:], len(lines)], strict=True):
        words = mask(clean(lines[start + 1 : end]), common_words)
        for first in range(0, len(words) - WINDOW + 1, WINDOW):
            yield f"{name} {start}", " ".join(words[first : first + WINDOW]), TITLES[name]


def build_data() -> None:
    """Write the data: windows of some chapters train, windows of other chapters test."""
    deb = common.fetch_deb(
        "r-cran-janeaustenr",
        "1.0.0-1",
        sha256="df6bddf211906d1ff404f8ff662c21b34e6660e7f54a311084e749050c019c95",
    )
    index, database = (common.read_deb_member(deb, f"{LAZY_DATA}.{kind}") for kind in ("rdx", "rdb"))
    objects = common.read_r_lazy_data(index, database)
    novels = {name: [str(line) for line in objects[name]] for name in sorted(TITLES)}
    words = find_common_words(novels)
    rows = [row for name, lines in novels.items() for row in read_windows(name, lines, words)]
    table = pd.DataFrame(rows, columns=["chapter", "text", TARGET]).drop_duplicates("text")

    generator = np.random.default_rng(SEED)
    in_train: set[str] = set()
    for _, novel in table.groupby(TARGET):
        chapters = generator.permutation(np.asarray(novel["chapter"].unique(), dtype=object))
        in_train |= set(chapters[: round(TRAIN_SHARE * len(chapters))])
    is_train = table["chapter"].isin(in_train)
    train = table[is_train].sample(TRAIN_ROWS, random_state=SEED)
    test = table[~is_train].sample(TEST_ROWS, random_state=SEED)
    common.write_table_task(
        FOLDER,
        train.drop(columns="chapter"),
        test.drop(columns="chapter"),
        target=TARGET,
        sample_value="emma",
        seed=SEED,
    )


def build_leaderboard() -> None:
    """Fit and score the reference teams."""
    entries = text.text_entries("text") | text.text_variants("text")
    vote = text.voters("text")
    blends = {
        "vote linear": ("words", "chars"),
        "vote bayes and words": ("bayes", "words"),
        "vote bayes and chars": ("complement", "bayes", "chars"),
        "vote everything": ("words", "chars", "complement", "bayes", "network", "forest"),
    }
    entries |= {
        name: board.Blend(tuple(vote[member] for member in members), output="label")
        for name, members in blends.items()
    }
    board.build_leaderboard(FOLDER, entries, metric="accuracy", target=TARGET)


if __name__ == "__main__":
    common.main(build_data, build_leaderboard, FOLDER)
