"""Build offline/word-meanings: what kind of thing does a dictionary's definition define?

    python tasks/offline/word-meanings/build.py            # data, reference leaderboard, checksums
    python tasks/offline/word-meanings/build.py --data     # data only

The kinds are the files in which the dictionary's authors sorted the nouns. Small kinds are drawn more often
than they occur, though still less often than large ones. Writes LICENCE.txt too, which goes with the data.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

import build_board as board
import build_common as common
import build_text as text
import numpy as np
import pandas as pd

FOLDER = Path(__file__).parent
TARGET = "kind"
SEED = 1985
TRAIN_ROWS, TEST_ROWS = 3600, 1800
CANDIDATES = 7200
MIN_WORDS = 3
# Numbers of the authors' files; two tiny ones, "Tops" (3) and "motive" (16), are left out.
KINDS = {
    4: "act",
    5: "animal",
    6: "artifact",
    7: "attribute",
    8: "body",
    9: "cognition",
    10: "communication",
    11: "event",
    12: "feeling",
    13: "food",
    14: "group",
    15: "location",
    17: "object",
    18: "person",
    19: "phenomenon",
    20: "plant",
    21: "possession",
    22: "process",
    23: "quantity",
    24: "relation",
    25: "shape",
    26: "state",
    27: "substance",
    28: "time",
}


def build_data() -> None:
    """Read the definitions, thin them by kind, drop those that are alike, and write the task's files."""
    deb = common.fetch_deb(
        "wordnet-base", "1:3.0-37", sha256="61060d960f9ada8fa120872312eccd3ecebfbab8c4579e4f5a74e1cf67620752"
    )
    lines = common.read_deb_member(deb, "./usr/share/wordnet/data.noun").decode().splitlines()
    table = pd.DataFrame(read_definitions(lines), columns=["definition", TARGET]).drop_duplicates(
        "definition"
    )
    table = thin(table[table["definition"].str.count(" ") >= MIN_WORDS - 1])
    table = text.drop_similar_texts(table, "definition", similarity=0.7)
    train, test = common.random_split(table, train_rows=TRAIN_ROWS, test_rows=TEST_ROWS, seed=SEED)
    common.write_table_task(FOLDER, train, test, target=TARGET, sample_value="artifact", seed=SEED)
    notice = [re.sub(r"^ *\d+ ?", "", line).rstrip() for line in lines if re.match(r" +\d+ ", line)]
    (FOLDER / "LICENCE.txt").write_text("\n".join(notice) + "\n")


def read_definitions(lines: list[str]) -> Iterator[tuple[str, str]]:
    """Yield (definition, kind) for each sense, without the examples, which use the word itself."""
    for line in lines:
        if entry := re.fullmatch(r"\d{8} (\d\d) n .*? \| (.*)", line):
            definition = re.sub(r"[;,]? *\"[^\"]*\"?.*$", "", entry[2]).strip(" ;")
            if int(entry[1]) in KINDS:
                yield definition, KINDS[int(entry[1])]


def thin(table: pd.DataFrame) -> pd.DataFrame:
    """Return about `CANDIDATES` rows, of each kind as many as the square root of its size suggests."""
    sizes = np.sqrt(table[TARGET].value_counts())
    wanted = (sizes * CANDIDATES / sizes.sum()).astype(int)
    drawn = [
        rows.sample(min(len(rows), wanted[kind]), random_state=SEED) for kind, rows in table.groupby(TARGET)
    ]
    return pd.concat(drawn).sort_index()


# --------------------------------------------------------------------------- reference teams


@dataclass(frozen=True)
class Head:
    """Only the first words of a definition, which name the genus in most."""

    words: int

    def __call__(self, train: pd.DataFrame, test: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
        cut = [rows["definition"].str.split().str[: self.words].str.join(" ") for rows in (train, test)]
        return train.assign(definition=cut[0]), test.assign(definition=cut[1])


def build_leaderboard() -> None:
    """Fit and score the reference teams."""
    entries, vote = text.text_entries("definition"), text.voters("definition")
    linear, bayes, makers = text.linear_models(), text.bayes_models(), text.feature_sets("definition")
    opening = text.Terms("definition", ngrams=(1, 3), sublinear=True)
    few = {
        name: {**linear, **bayes}[name] for name in ("logistic-1", "logistic-balanced", "complement-bayes")
    }
    heads = {f"first-{words}-words": board.Chain(Head(words), opening) for words in (1, 2, 3, 4, 6)}
    entries |= board.cross(heads, few, output="label")
    letters = text.Terms("definition", analyzer="char_wb", ngrams=(3, 5), min_count=3, sublinear=True)
    roots = text.Together((letters, makers["bigrams"]))
    machines = {name: linear[name] for name in ("svm-1", "svm-balanced", "ridge")}
    entries |= board.cross({"roots": letters}, {**machines, **few}, output="label")
    entries |= board.cross(
        {"roots+words": roots}, {**machines, "complement-bayes": few["complement-bayes"]}, output="label"
    )
    more = {name: {**linear, **bayes}[name] for name in ("logistic-20", "ridge", "complement-bayes-0.3")}
    entries |= board.cross(
        {"chars": makers["chars"], "words+chars": makers["words+chars"]}, more, output="label"
    )
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
