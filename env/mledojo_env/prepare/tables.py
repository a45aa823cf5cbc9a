"""Tables of raw files, read and written in pieces: no cell changes on the way, and memory stays bounded."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Self

from pydantic import BaseModel, ConfigDict

from mledojo_env.errors import TaskDataError
from mledojo_env.prepare.raw import RawFiles

if TYPE_CHECKING:
    from pandas import DataFrame

CHUNK_ROWS = 200_000
CHUNK_CELLS = 4_000_000  # of a wide CSV file, whose every cell is an object

Format = Literal["csv", "jsonl", "json", "parquet"]


class Table(BaseModel):
    """A table among the raw files.

    Attributes:
        file: Its path, or a regular expression with named groups, if `listing` is set.
        format: By the name's ending, if not given.
        sep: What separates the cells of a CSV file.
        escape: What stands before a quote inside a quoted cell, where it is not doubled.
        encoding: Of a CSV file.
        columns: Names of the columns, for a CSV file without a header.
        listing: Whether the table is a listing of files: a row for each whose whole path matches `file`, with
            a column for each named group, and `path`.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    file: str
    format: Format | None = None
    sep: str = ","
    escape: str | None = None
    encoding: str = "utf-8"
    columns: tuple[str, ...] | None = None
    listing: bool = False

    @property
    def kind(self) -> Format:
        """Its format."""
        if self.format is not None:
            return self.format
        for ending, kind in ((".parquet", "parquet"), (".jsonl", "jsonl"), (".json", "json")):
            if self.file.endswith(ending):
                return kind  # type: ignore[return-value]
        return "csv"

    def read(self, raw: RawFiles, columns: Sequence[str] | None = None) -> Iterator[DataFrame]:
        """Yield the table in pieces of at most `CHUNK_ROWS` rows, every cell of a CSV file as text.

        A table in JSON or Parquet keeps its types; JSON that is one array is read whole.

        Args:
            raw: Where the file is.
            columns: Which columns to read; all by default.

        Raises:
            TaskDataError: If the file is missing, is not such a table, or lacks a column; says what it has.
        """
        if self.listing:
            yield from self._list(raw)
            return
        path = raw.path(self.file)
        try:
            for piece in self._pieces(path):
                if columns is None:
                    yield piece
                    continue
                _require(piece, columns, path)
                yield piece[list(columns)]
        except (OSError, ValueError, EOFError) as error:
            raise TaskDataError(f"Cannot read {path}: {error}. Delete it, and download it again.") from error

    def whole(self, raw: RawFiles) -> DataFrame:
        """Return the whole table; for those that are small.

        Raises:
            TaskDataError: As `read`.
        """
        import pandas as pd

        return pd.concat(list(self.read(raw)), ignore_index=True)

    def _pieces(self, path: Path) -> Iterator[DataFrame]:
        import pandas as pd

        if self.kind == "csv":
            options: dict[str, Any] = {
                "dtype": str,
                "keep_default_na": False,
                "sep": self.sep,
                "escapechar": self.escape,
                "encoding": self.encoding,
                "names": self.columns,
                "header": None if self.columns else 0,
            }
            width = len(self.columns or pd.read_csv(path, nrows=0, **options).columns)
            with pd.read_csv(
                path, chunksize=max(min(CHUNK_ROWS, CHUNK_CELLS // width), 1), **options
            ) as rows:
                yield from rows
        elif self.kind == "jsonl":
            with pd.read_json(path, lines=True, chunksize=CHUNK_ROWS, dtype=False) as lines:
                yield from lines
        elif self.kind == "json":
            with path.open(encoding=self.encoding) as file:
                yield pd.DataFrame(json.load(file))
        else:
            import pyarrow.parquet

            with pyarrow.parquet.ParquetFile(path) as parquet:
                for batch in parquet.iter_batches(batch_size=CHUNK_ROWS):
                    yield batch.to_pandas()

    def _list(self, raw: RawFiles) -> Iterator[DataFrame]:
        import pandas as pd

        rows = [{**groups, "path": name} for name, groups in raw.match(self.file)]
        yield pd.DataFrame(rows, dtype=str)


class TableWriter:
    """Writes a table piece by piece, in the format of its name's ending.

    Args:
        path: Where to; .csv, .jsonl, .json or .parquet.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._kind = Table(file=path.name).kind
        self._pieces: list[DataFrame] = []
        self._begun = False
        self._parquet: Any = None
        path.parent.mkdir(parents=True, exist_ok=True)

    def write(self, piece: DataFrame) -> None:
        """Append rows. The first piece decides the columns."""
        if self._kind == "csv":
            with self._path.open("a", encoding="utf-8", newline="") as file:
                piece.to_csv(file, header=not self._begun, index=False)
            self._begun = True
        elif self._kind == "jsonl":
            with self._path.open("a") as file:
                piece.to_json(file, orient="records", lines=True)
        elif self._kind == "json":
            self._pieces.append(piece)
        else:
            import pyarrow
            import pyarrow.parquet

            table = pyarrow.Table.from_pandas(piece, preserve_index=False)
            if self._parquet is None:
                self._parquet = pyarrow.parquet.ParquetWriter(self._path, table.schema)
            self._parquet.write_table(table.cast(self._parquet.schema))

    def close(self) -> None:
        """Write what is left; safe to call again."""
        if self._kind == "json" and self._pieces:
            import pandas as pd

            pd.concat(self._pieces, ignore_index=True).to_json(self._path, orient="records")
            self._pieces = []
        if self._parquet is not None:
            self._parquet.close()
            self._parquet = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _require(piece: DataFrame, columns: Sequence[str], path: Path) -> None:
    missing = [name for name in columns if name not in piece.columns]
    if missing:
        found = ", ".join(map(str, piece.columns[:30]))
        raise TaskDataError(f"{path} has no column {missing[0]!r}; found {found}.")
