"""Archives to files: streamed, whole or not at all, and never outside the folder they are for."""

from __future__ import annotations

import bz2
import fcntl
import filecmp
import gzip
import hashlib
import json
import logging
import lzma
import os
import re
import shutil
import stat
import struct
import tarfile
import tempfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, cast

from mledojo_env.errors import ArchiveError

log = logging.getLogger(__name__)

_BLOCK = 1 << 20
_MOMENT = 946_684_800  # when every unpacked file was changed: the order of an archive may tell answers
_TEMPORARY = ".unpacking-"
_DEEPEST = 10  # an archive may hold itself
_DAMAGE = (
    zipfile.BadZipFile,
    tarfile.TarError,
    lzma.LZMAError,
    zlib.error,
    EOFError,
    struct.error,
    ValueError,
)


def unpack(archive: Path, target: Path) -> list[Path]:
    """Unpack a .zip, .tar (also .gz, .bz2, .xz of one), .gz, .bz2, .xz or, with py7zr, .7z into a new folder.

    It is unpacked beside the target and renamed: a failure leaves nothing. The archive stays. The resource
    forks of macOS (__MACOSX) are left out.

    Args:
        archive: The file; its name's ending says what it is.
        target: A folder that does not exist yet or is empty.

    Returns:
        The unpacked files, in the archive's order; a .gz gives one, of its own name without the ending.

    Raises:
        ArchiveError: If the archive is truncated, damaged, encrypted or of another kind; has a member that is
            a link or a device or leads out of the folder; or unpacks to more than it declares, or than the
            disk has room for.
    """
    if target.exists() and not (target.is_dir() and not any(target.iterdir())):
        raise ArchiveError(
            f"Cannot unpack {archive} to {target}, which is there already. Remove or rename it."
        )
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with _unpacked(archive, target.parent) as (folder, files):
            folder.rename(target)
    except OSError as error:
        raise _failed(archive, error) from error
    return [target / file for file in files]


def unpack_all(folder: Path) -> list[Path]:
    """Replace all archives below a folder by what is in them, also those that come out of others.

    `train.csv.zip` with a file train.csv becomes that file; `images.zip` becomes the folder images/, also if
    its members are in a folder of that name already. An archive is removed once its content is in place: to
    keep downloads, work on a copy (one of hard links takes no room). What was done is recorded beside the
    folder, and an interrupted call is continued by the next.

    Returns:
        The files and folders that came out, as far as they were not archives again.

    Raises:
        ArchiveError: As `unpack`; if there is something of an archive's name already; if they are nested
            without end. What was unpacked before stays.
    """
    came_out: list[Path] = []
    try:
        with _beside(folder, ".lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            _tidy(folder)
            waiting = [(archive, 1) for archive in reversed(_archives_in(folder))]
            while waiting:
                archive, depth = waiting.pop()
                if depth > _DEEPEST:
                    raise ArchiveError(
                        f"{archive} is an archive in an archive, {_DEEPEST} times over. "
                        "Remove it if it holds itself."
                    )
                result = _replace(archive, folder)
                came_out.append(result)
                waiting += [(inner, depth + 1) for inner in reversed(_archives_in(result))]
    except OSError as error:
        raise ArchiveError(f"Cannot unpack what is in {folder}: {error.strerror or error}.") from error
    return [path for path in came_out if path.exists()]


def unpacked_archives(folder: Path) -> frozenset[str]:
    """Return the archives below a folder, as relative names, that `unpack_all` replaced by their content."""
    record = _read_record(folder)
    return frozenset(
        name
        for name, (result, is_done) in record.items()
        if is_done and (result in record or (folder / result).exists())
    )


# --------------------------------------------------------------------------- in place


def _replace(archive: Path, folder: Path) -> Path:
    """Put an archive's content in its place and return it: a file or a folder."""
    _, stem = _kind(archive)
    result = archive.with_name(stem)
    try:
        with _unpacked(archive, archive.parent) as (temporary, _):
            entries = list(temporary.iterdir())
            is_doubled = len(entries) == 1 and entries[0].name == stem
            source = entries[0] if is_doubled else temporary
            if _is_there_already(source, result):  # the same data was packed twice, e.g. as 7z and as zip
                shutil.rmtree(source) if source.is_dir() else source.unlink()
            elif result.exists():
                raise ArchiveError(
                    f"{archive} unpacks to {result}, which is there already. Remove or rename one of them."
                )
            names = [path.relative_to(folder).as_posix() for path in (archive, result)]
            _record(folder, names, is_done=False)
            if source.exists():
                source.rename(result)
            archive.unlink()
            _record(folder, names, is_done=True)
    except OSError as error:
        raise _failed(archive, error) from error
    return result


def _is_there_already(source: Path, result: Path) -> bool:
    """Whether a file, or every file below a folder, is at the other place, too, with the same content."""
    if not source.is_dir():
        return result.is_file() and filecmp.cmp(result, source, shallow=False)
    files = [path.relative_to(source) for path in source.rglob("*") if path.is_file()]
    return bool(files) and all(_is_there_already(source / path, result / path) for path in files)


def _archives_in(path: Path) -> list[Path]:
    """Return the archives below a folder, or the file itself if it is one, by name."""
    found = path.rglob("*") if path.is_dir() else [path]
    return sorted(file for file in found if _kind(file)[0] and file.is_file() and not file.is_symlink())


def _tidy(folder: Path) -> None:
    """Finish or undo what an interrupted call left."""
    for name, (result, is_done) in _read_record(folder).items():
        if not is_done and (folder / result).exists():  # it was renamed whole
            (folder / name).unlink(missing_ok=True)
            _record(folder, [name, result], is_done=True)
    for left_over in [path for path in folder.rglob(f"{_TEMPORARY}*") if path.is_dir()]:
        shutil.rmtree(left_over, ignore_errors=True)


def _beside(folder: Path, ending: str) -> Path:
    return folder.absolute().with_name(f".{folder.absolute().name}-unpacked{ending}")


def _record(folder: Path, names: list[str], *, is_done: bool) -> None:
    """Append to the record: an archive, what it becomes, and whether it has."""
    with _beside(folder, ".jsonl").open("a", encoding="utf-8") as file:
        file.write(json.dumps([*names, is_done]) + "\n")
        file.flush()
        os.fsync(file.fileno())


def _read_record(folder: Path) -> dict[str, tuple[str, bool]]:
    try:
        lines = _beside(folder, ".jsonl").read_text(encoding="utf-8").splitlines()
    except FileNotFoundError:
        return {}
    record = {}
    for line in lines:
        try:
            archive, result, is_done = json.loads(line)
        except ValueError:  # the last line, if the power went
            continue
        record[str(archive)] = (str(result), bool(is_done))
    return record


# --------------------------------------------------------------------------- one archive


@contextmanager
def _unpacked(archive: Path, parent: Path) -> Iterator[tuple[Path, list[Path]]]:
    """Give a temporary folder with an archive's content, and the paths in it; it is removed if left there."""
    kind, stem = _kind(archive)
    if not kind:
        raise ArchiveError(
            f"{archive} is no archive that can be unpacked; expected a name that ends in "
            f"{', '.join(_READERS)}. Unpack it by hand."
        )
    folder = Path(tempfile.mkdtemp(prefix=_TEMPORARY, dir=parent))
    try:
        members = _Members(archive, folder)
        try:
            _READERS[kind](archive, stem, members)
        except _DAMAGE as error:
            raise _damaged(archive, error) from error
        except (NotImplementedError, RuntimeError) as error:  # Deflate64 and the like
            raise ArchiveError(
                f"{archive} cannot be unpacked by Python ({error}). Unpack it by hand."
            ) from error
        folder.chmod(0o755)
        yield folder, list(members.files)
    finally:
        shutil.rmtree(folder, ignore_errors=True)  # no longer there if it was renamed


class _Members:
    """Writes members below a folder, and sees that they stay there and within the room there is."""

    def __init__(self, archive: Path, folder: Path) -> None:
        self.files: dict[Path, None] = {}  # relative paths, in order
        self._archive = archive
        self.folder = folder
        self._free = shutil.disk_usage(folder).free
        self._declared = 0
        self._written = 0

    def path(self, name: str) -> Path | None:
        """Return the path of a member below the folder; None for one that is of no use.

        Raises:
            ArchiveError: If it leads elsewhere.
        """
        parts = [part for part in name.split("/") if part not in ("", ".")]
        if name.startswith("/") or ".." in parts or re.match(r"[A-Za-z]:", name) or "\0" in name:
            raise ArchiveError(
                f"{self._archive} is not safe to unpack: its member {name[:200]!r} leads out of the folder."
            )
        return Path(*parts) if parts and parts[0] != "__MACOSX" else None

    def refuse(self, name: str, what: str) -> ArchiveError:
        """Return the error for a member that is no file."""
        return ArchiveError(f"{self._archive} is not safe to unpack: its member {name[:200]!r} is {what}.")

    def declare(self, size: int) -> None:
        """Count what an archive says a member takes.

        Raises:
            ArchiveError: If all together take more than the disk has.
        """
        self._declared += size
        if self._declared > self._free:
            raise ArchiveError(
                f"{self._archive} unpacks to {self._declared:,} bytes or more, and {self.folder.parent} has "
                f"{self._free:,} free. Make room, if the archive is to be trusted."
            )

    def add_folder(self, name: str) -> None:
        """Make a folder."""
        path = self.path(name)
        if path is not None:
            self._make(path)

    def add(self, name: str, content: BinaryIO, size: int | None) -> None:
        """Write a member; `size` is what the archive declares, if it does.

        Raises:
            ArchiveError: If there is more than was declared, or than there is room for.
            EOFError: If there is less.
        """
        path = self.path(name)
        if path is None:
            return
        self._make(path.parent)
        written = 0
        try:
            file = (self.folder / path).open("wb")
        except IsADirectoryError:
            raise self.refuse(name, "both a file and a folder") from None
        with file:
            while block := content.read(_BLOCK):
                written += len(block)
                self._written += len(block)
                if size is not None and written > size:
                    raise self.refuse(name, f"longer than the {size:,} bytes it declares")
                if self._written > self._free:
                    raise ArchiveError(
                        f"{self._archive} unpacks to more than the {self._free:,} bytes that were free in "
                        f"{self.folder.parent}. Make room, if the archive is to be trusted."
                    )
                file.write(block)
        if size is not None and written < size:
            raise EOFError(f"{name[:200]!r} ends at {written:,} of {size:,} bytes")
        os.utime(self.folder / path, (_MOMENT, _MOMENT))
        self.files[path] = None

    def _make(self, path: Path) -> None:
        try:
            (self.folder / path).mkdir(parents=True, exist_ok=True)
        except (FileExistsError, NotADirectoryError):
            raise self.refuse(path.as_posix(), "both a file and a folder") from None


def _read_zip(archive: Path, stem: str, members: _Members) -> None:
    with archive.open("rb") as file:
        start = file.read(4)
    if not zipfile.is_zipfile(archive) and start == b"PK\x03\x04":
        raise EOFError("the list of its members, at its end, is missing")
    with zipfile.ZipFile(archive) as packed:
        infos = packed.infolist()
        for info in infos:
            mode = stat.S_IFMT(info.external_attr >> 16)
            if mode not in (0, stat.S_IFREG, stat.S_IFDIR):
                raise members.refuse(info.filename, "a link" if mode == stat.S_IFLNK else "a device")
            if info.flag_bits & 0x1:
                raise _encrypted(archive)
            members.path(_slashes(info.filename))
            members.declare(info.file_size)
        for info in sorted(infos, key=_scattered):
            name = _slashes(info.filename)
            if name.endswith("/"):
                members.add_folder(name)
            else:
                with packed.open(info) as content:
                    members.add(name, cast(BinaryIO, content), info.file_size)


def _scattered(info: zipfile.ZipInfo) -> bytes:
    """Return a key that sorts members as chance would: numbers of inodes follow the order of writing.

    Archives often hold all of one class before the next, and a script could read that off `os.stat`.
    """
    return hashlib.sha256(info.filename.encode(errors="replace")).digest()


def _slashes(name: str) -> str:
    """Return the name of a zip's member, which on Windows may have been written with backslashes."""
    return name.replace("\\", "/")


def _read_tar(archive: Path, stem: str, members: _Members) -> None:
    # Not tarfile's own decompression, which takes the end of a truncated file for the archive's.
    with cast(BinaryIO, _opener(archive)(archive, "rb")) as stream:
        counted = _Counted(stream)
        with tarfile.open(fileobj=cast(BinaryIO, counted), mode="r|") as packed:
            for member in packed:
                if member.isdir():
                    members.add_folder(member.name)
                    continue
                if not member.isreg():
                    raise members.refuse(
                        member.name, "a link" if member.issym() or member.islnk() else "a device"
                    )
                members.path(member.name)
                members.declare(member.size)
                content = packed.extractfile(member)
                if content is not None:
                    members.add(member.name, cast(BinaryIO, content), member.size)
            end = packed.offset
        while counted.read(_BLOCK):  # to the checksum at the end of the compressed stream
            pass
        if end < counted.count < end + tarfile.BLOCKSIZE:
            raise EOFError("the last member's header is cut")


class _Counted:
    """A stream that knows how much was read from it."""

    def __init__(self, stream: BinaryIO) -> None:
        self.count = 0
        self._stream = stream

    def read(self, size: int) -> bytes:
        """Return the next bytes."""
        block = self._stream.read(size)
        self.count += len(block)
        return block


def _read_one(archive: Path, stem: str, members: _Members) -> None:
    """Decompress what is no archive but one packed file."""
    opener = _opener(archive)
    if opener is open:
        raise ValueError("it does not begin as such a file does")
    with cast(BinaryIO, opener(archive, "rb")) as content:
        members.add(stem, content, None)


def _opener(archive: Path) -> Callable[..., object]:
    """Return what opens a file for reading, decompressed by what its first bytes say."""
    with archive.open("rb") as file:
        start = file.read(6)
    for magic, opener in ((b"\x1f\x8b", gzip.open), (b"BZh", bz2.open), (b"\xfd7zXZ\0", lzma.open)):
        if start.startswith(magic):
            return opener
    return open


def _read_seven_zip(archive: Path, stem: str, members: _Members) -> None:
    try:
        import py7zr
    except ImportError:
        raise ArchiveError(f"{archive} is a 7z archive, which needs py7zr. Run: pip install py7zr") from None
    folder = members.folder
    try:
        with py7zr.SevenZipFile(archive) as packed:
            if packed.needs_password():
                raise _encrypted(archive)
            infos = packed.list()
            for info in infos:
                if not (info.is_directory or info.is_file):
                    raise members.refuse(info.filename, "a link or a device")
                members.path(info.filename)
                members.declare(info.uncompressed or 0)
            packed.extractall(folder)
    except py7zr.exceptions.PasswordRequired as error:
        raise _encrypted(archive) from error
    except py7zr.exceptions.UnsupportedCompressionMethodError as error:
        raise NotImplementedError(str(error)) from error
    except py7zr.exceptions.ArchiveError as error:
        raise ValueError(f"{type(error).__name__}: {error}") from error
    for info in infos:
        path = members.path(info.filename)
        if path is None or info.is_directory:
            continue
        found = (folder / path).lstat()
        if not stat.S_ISREG(found.st_mode) or found.st_size != (info.uncompressed or 0):
            raise EOFError(f"{info.filename[:200]!r} has {found.st_size:,} bytes")
        members.files[path] = None
    for path in folder.rglob("*"):
        path.chmod(0o755 if path.is_dir() else 0o644)
    shutil.rmtree(folder / "__MACOSX", ignore_errors=True)


_READERS: dict[str, Callable[[Path, str, _Members], None]] = {
    ".tar.gz": _read_tar,
    ".tgz": _read_tar,
    ".tar.bz2": _read_tar,
    ".tbz2": _read_tar,
    ".tar.xz": _read_tar,
    ".txz": _read_tar,
    ".tar": _read_tar,
    ".zip": _read_zip,
    ".7z": _read_seven_zip,
    ".gz": _read_one,
    ".bz2": _read_one,
    ".xz": _read_one,
}


def _kind(archive: Path) -> tuple[str, str]:
    """Return the ending that says what an archive is, or an empty text, and the name without it."""
    for ending in _READERS:
        if archive.name.lower().endswith(ending) and len(archive.name) > len(ending):
            return ending, archive.name[: -len(ending)]
    return "", archive.name


def _encrypted(archive: Path) -> ArchiveError:
    return ArchiveError(f"{archive} is encrypted. Unpack it by hand, with its password.")


def _damaged(archive: Path, error: BaseException) -> ArchiveError:
    text = str(error)
    is_cut = isinstance(error, EOFError) or "unexpected end" in text
    return ArchiveError(
        f"{archive} is {'truncated' if is_cut else 'truncated or damaged'}: {text}. "
        "Delete it and download it again."
    )


def _failed(archive: Path, error: OSError) -> ArchiveError:
    """Return what an error of the operating system means, or of bz2 and gzip, which raise such as well."""
    if error.errno is None:
        return _damaged(archive, error)
    return ArchiveError(f"Cannot unpack {archive}: {error.strerror} ({error.filename or archive.parent}).")
