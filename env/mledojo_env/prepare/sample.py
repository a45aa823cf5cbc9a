"""A small version of a task's public files, so that `validate_code` answers in a moment."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from mledojo_env.prepare.raw import place_file

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

TEST_ROWS = 100
TRAIN_ROWS = 400

_CHUNK_ROWS = 200_000


def write_sample(public: Path, sample: Path, id_columns: Sequence[str]) -> None:
    """Write the small version of `public` to `sample`.

    Tables with ids of the sample submission keep those of its first 100; every other table keeps at most 400
    rows, evenly spaced, so that a sorted table still shows all of its range (of a table too large to be read
    at once: between 400 and 800). Arrays in `<part>_images.npz` keep the rows of `<part>.csv`. Other files
    are all there: as links, where the disk has them.
    """
    import numpy as np
    import pandas as pd

    sample.mkdir()
    ids = list(id_columns)
    wanted = pd.read_csv(public / "sample_submission.csv", dtype=dict.fromkeys(ids, str))
    test_ids = pd.MultiIndex.from_frame(wanted[ids])
    first = test_ids.unique()[:TEST_ROWS]
    kept: dict[str, np.ndarray] = {}
    for path in sorted(public.glob("*.csv")):
        rows = _of_the_test_set(path, ids, test_ids, first)
        table, kept[path.stem] = rows if rows is not None else _evenly_spaced(path)
        table.to_csv(sample / path.name, index=False)
    for path in sorted(public.rglob("*")):
        rows_kept = kept.get(path.stem.removesuffix("_images"))
        name = path.relative_to(public).as_posix()
        if path.suffix == ".npz" and rows_kept is not None:
            with np.load(path) as arrays:
                np.savez(sample / path.name, **{name: arrays[name][rows_kept] for name in arrays.files})
        elif path.is_file() and not (path.suffix == ".csv" and path.parent == public):
            place_file(path, sample / name)


def _pieces(path: Path) -> Iterator[pd.DataFrame]:
    """Yield a table in pieces, as text, to be written back as it was: a sample changes no cell."""
    import pandas as pd

    with pd.read_csv(path, dtype=str, keep_default_na=False, chunksize=_CHUNK_ROWS) as reader:
        yield from reader


def _of_the_test_set(
    path: Path, ids: list[str], test_ids: pd.MultiIndex, first: pd.MultiIndex
) -> tuple[pd.DataFrame, np.ndarray] | None:
    """Return the rows of the first test ids, and their positions; None if the table has no test ids."""
    import numpy as np
    import pandas as pd

    found, places, seen, start = [], [], False, 0
    for piece in _pieces(path):
        if not set(ids) <= set(piece.columns):
            return None
        keys = pd.MultiIndex.from_frame(piece[ids])
        seen = seen or bool(keys.isin(test_ids).any())
        if not seen and start == 0 and len(piece) == _CHUNK_ROWS:
            return None  # a large table whose beginning is of other rows
        mine = np.flatnonzero(keys.isin(first))
        found.append(piece.iloc[mine])
        places.append(start + mine)
        start += len(piece)
    return (pd.concat(found), np.concatenate(places)) if seen else None


def _evenly_spaced(path: Path) -> tuple[pd.DataFrame, np.ndarray]:
    """Return rows from the whole length of a table, and their positions."""
    import numpy as np
    import pandas as pd

    pieces = _pieces(path)
    table = next(pieces)
    step, start = 1, len(table)
    if len(table) < _CHUNK_ROWS:
        places = np.arange(len(table))
        if len(table) > TRAIN_ROWS:
            places = np.linspace(0, len(table) - 1, TRAIN_ROWS).astype(int)
        return table.iloc[places], places
    step = _CHUNK_ROWS // TRAIN_ROWS
    table = table.iloc[::step]
    for piece in pieces:
        offset = -start % step
        table = pd.concat([table, piece.iloc[offset::step]])
        start += len(piece)
        if len(table) >= 2 * TRAIN_ROWS:
            table, step = table.iloc[::2], 2 * step
    return table, np.arange(0, start, step)[: len(table)]
