"""Made-up raw files in the schema of a competition, from a few lines of YAML; see `raw/*.yaml`.

    train.csv:
      rows: 60
      columns: {Id: id, Survived: [0, 1], Age: number, Cabin: text, Day: date, Ticket: "group 12"}
    "images/{Id}.jpg": train.csv     # a file for each row of that table
    gender_submission.csv: {rows: 10, columns: {Id: id, Survived: [0]}}
    data_dictionary.txt: text        # a file of its own

Kinds of columns: `id` (a number of its own), `code` (a word of its own), a list (one of these), `number`,
`count` (a whole number from 0), `text` (a few words), `date` (a day, later from row to row), `group N` (a
word, the same for every N-th row), `= template` over the row's columns before it. A table's options besides:
`sep`, `header: false`, `encoding`, `lines` (of JSON).

What that cannot say (arrays, nested JSON, images) is a module in `made_up`, named task_<slug> with _ for -,
whose `fabricate(folder, random)` writes the files.
"""

from __future__ import annotations

import json
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import yaml

from mledojo_env.catalog import tasks_root

SCHEMAS = Path(__file__).parents[1] / "env" / "raw"
TASKS = tasks_root() / "kaggle"

WORDS = (
    "alder",
    "birch",
    "cedar",
    "dogwood",
    "elm",
    "fir",
    "gum",
    "hazel",
    "ivy",
    "juniper",
    "kapok",
    "larch",
)


def fabricated_tasks() -> list[str]:
    """Return the competitions that raw files can be made up for."""
    modules = {path.stem for path in (Path(__file__).parent / "made_up").glob("[a-z]*.py")}
    tasks = {path.name for path in TASKS.iterdir()}
    return [path.stem for path in SCHEMAS.glob("*.yaml")] + [
        slug for slug in tasks if _module(slug) in modules
    ]


def fabricate(slug: str, folder: Path, seed: int = 0) -> None:
    """Write raw files in the schema of a competition into a folder."""
    random = np.random.default_rng(seed)
    folder.mkdir(parents=True, exist_ok=True)
    if not (SCHEMAS / f"{slug}.yaml").is_file():
        import_module(f"made_up.{_module(slug)}").fabricate(folder, random)
        return
    schema = yaml.safe_load((SCHEMAS / f"{slug}.yaml").read_text())
    tables: dict[str, pd.DataFrame] = {}
    for name, content in schema.items():
        if isinstance(content, dict):
            tables[name] = _table(content, random)
            _write(tables[name], folder / name, content)
        elif "{" in name:
            for row in tables[content].to_dict("records"):
                _bytes(folder / name.format(**{str(key): value for key, value in row.items()}), random)
        elif content == "text":
            _bytes(folder / name, random)
        else:
            raise ValueError(f"{slug}: {name} is {content!r}; expected a table, a table's name or text.")


def _module(slug: str) -> str:
    return "task_" + slug.lower().replace("-", "_")


def _table(content: dict[str, Any], random: np.random.Generator) -> pd.DataFrame:
    rows = content["rows"]
    columns: dict[str, list[Any]] = {}
    for name, kind in content["columns"].items():
        columns[name] = _column(kind, rows, random, columns)
    return pd.DataFrame(columns)


def _column(kind: Any, rows: int, random: np.random.Generator, others: dict[str, list[Any]]) -> list[Any]:
    if isinstance(kind, list):
        return [kind[i] for i in random.integers(len(kind), size=rows)]
    word, _, rest = str(kind).partition(" ")
    if word == "=":
        return [rest.format(**{name: cells[row] for name, cells in others.items()}) for row in range(rows)]
    if word == "group":
        return [f"{WORDS[row % int(rest) % 12]}{row % int(rest)}" for row in range(rows)]
    days = pd.Timestamp("2015-01-01") + pd.to_timedelta(np.arange(rows), unit="D")
    return {
        "id": lambda: [str(1000 + 7 * row) for row in range(rows)],
        "code": lambda: [f"{WORDS[row % 12]}{row:04d}" for row in random.permutation(rows)],
        "number": lambda: [f"{value:.6f}" for value in random.normal(size=rows)],
        "count": lambda: [str(value) for value in random.integers(0, 100, rows)],
        "text": lambda: [" ".join(random.choice(WORDS, 5)) for _ in range(rows)],
        "date": lambda: [day.strftime("%Y-%m-%d") for day in days],
    }[word]()


def _write(table: pd.DataFrame, path: Path, options: dict[str, Any]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix == ".parquet":
        table.to_parquet(path)
    elif path.suffix == ".jsonl" or options.get("lines"):
        path.write_text("".join(json.dumps(row) + "\n" for row in table.to_dict("records")))
    elif path.suffix == ".json":
        path.write_text(json.dumps(table.to_dict("records")))
    else:
        table.to_csv(
            path,
            index=False,
            sep=options.get("sep", ","),
            header=options.get("header", True),
            encoding=options.get("encoding", "utf-8"),
        )


def _bytes(path: Path, random: np.random.Generator) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(random.bytes(24).hex().encode())
