"""A competition from Kaggle to a folder: resumed, verified, and not a byte downloaded twice."""

from __future__ import annotations

import base64
import csv
import errno
import fcntl
import hashlib
import json
import logging
import math
import os
import re
import shutil
import time
import unicodedata
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import BinaryIO

from mledojo_env.errors import DownloadError
from mledojo_env.prepare.archives import unpacked_archives
from mledojo_env.prepare.backoff import TryAgain
from mledojo_env.prepare.kaggle_client import DataFile, FileStream, Kaggle, Team

log = logging.getLogger(__name__)

Progress = Callable[[str, int, int], None]

MANIFEST = "download.json"

_FORMAT = 1
_HEADWAY = 1 << 20  # an attempt that brought this many bytes was no failure
_SAVE_EVERY_S = 2.0  # the manifest of a competition of many small files is not written after each


@dataclass(frozen=True)
class Download:
    """What `download_competition` wrote.

    Attributes:
        data: The folder of the data files, named and in folders as on Kaggle; archives are left packed.
        pages: The folder of the pages, <name>.md each, in Markdown or HTML.
        leaderboard: The table team,public_score,private_score, a blank where a team is missing on one part;
            None if Kaggle does not give it.
    """

    data: Path
    pages: Path
    leaderboard: Path | None


@dataclass(frozen=True)
class _Finished:
    """A file that is here, whole. `path` differs from Kaggle's name where Kaggle served a zip of the file."""

    path: str
    size: int
    sha256: str
    listed: int  # the size in Kaggle's list; another one later means another file


@dataclass
class _Manifest:
    """What is known of the files in a folder, kept in its download.json."""

    path: Path
    competition: str
    complete: bool = False  # all files and pages of a listing were here at once
    files: dict[str, _Finished] = field(default_factory=dict)
    pages: list[str] = field(default_factory=list)
    partial: dict[str, str] = field(default_factory=dict)  # the ETag that a .part file belongs to
    _saved_at: float = 0.0

    @classmethod
    def load(cls, path: Path, competition: str) -> _Manifest:
        """Read a folder's manifest; an empty one if there is none.

        Raises:
            DownloadError: If it is broken, or of another competition.
        """
        try:
            content = json.loads(path.read_text(encoding="utf-8"))
            found = str(content["competition"])
            manifest = cls(
                path,
                found,
                bool(content["complete"]),
                {
                    file["name"]: _Finished(file["path"], file["size"], file["sha256"], file["listed"])
                    for file in content["files"]
                },
                list(content["pages"]),
                dict(content["partial"]),
            )
        except FileNotFoundError:
            return cls(path, competition)
        except (ValueError, KeyError, TypeError) as error:
            raise DownloadError(
                f"{path} is not what a download wrote ({type(error).__name__}: {error}). Delete it and run "
                "again: files that are whole are kept."
            ) from error
        if found != competition:
            raise DownloadError(
                f"{path.parent} holds the competition {found!r}; {competition!r} needs a folder of its own."
            )
        return manifest

    def save(self, *, lazily: bool = False) -> None:
        """Write it, in place of the old one at once; `lazily` only if that is some time ago."""
        if lazily and time.monotonic() - self._saved_at < _SAVE_EVERY_S:
            return
        files = [{"name": name, **asdict(file)} for name, file in self.files.items()]
        content = {
            "format": _FORMAT,
            "competition": self.competition,
            "complete": self.complete,
            "files": files,
            "pages": self.pages,
            "partial": self.partial,
        }
        _write(self.path, json.dumps(content, indent=1, ensure_ascii=False) + "\n")
        self._saved_at = time.monotonic()


def download_competition(
    slug: str, raw: Path, *, progress: Progress | None = None, client: Kaggle | None = None
) -> Download:
    """Download a competition's data, pages and leaderboard into `raw`, or what of it is missing there.

    Kaggle is not asked for anything that is there already: to look for changes, delete raw/download.json.
    An interrupted download leaves <name>.part files, which the next call continues. Of several processes with
    the same folder one downloads and the others wait.

    Args:
        slug: The last part of the competition's address, such as "titanic".
        raw: Gets data/, pages/, leaderboard.csv and download.json, the sizes and SHA-256 of what is there.
        progress: Called with a file's name, the bytes of it that are here and its size, again and again.
        client: The connection to Kaggle; made when something is missing, if not given.

    Raises:
        DownloadError: If there are no credentials, Kaggle refuses, the disk is too small, names are hostile,
            or failures do not pass.
    """
    _check_slug(slug)
    try:
        raw.mkdir(parents=True, exist_ok=True)
        with _locked(raw / ".lock"):
            return _Job(slug, raw, progress, client).run()
    except OSError as error:
        room = " Make room, or choose another folder." if error.errno in (errno.ENOSPC, errno.EDQUOT) else ""
        raise DownloadError(
            f"Cannot write {slug} to {raw}: {error.strerror or error} ({error.filename or raw}).{room}"
        ) from error


class _Job:
    """One call of `download_competition`; its caller holds the lock."""

    def __init__(self, slug: str, raw: Path, progress: Progress | None, client: Kaggle | None) -> None:
        self.slug = slug
        self.raw = raw
        self.data = raw / "data"
        self.pages = raw / "pages"
        self.manifest = _Manifest.load(raw / MANIFEST, slug)
        self._listed: frozenset[str] = frozenset()  # the names in Kaggle's list
        self._progress = progress
        self._client = client

    @property
    def client(self) -> Kaggle:
        """The connection, made when it is first needed: with everything here it takes no credentials."""
        if self._client is None:
            self._client = Kaggle()
        return self._client

    def run(self) -> Download:
        """Bring everything that is missing."""
        self.data.mkdir(exist_ok=True)
        self.pages.mkdir(exist_ok=True)
        if not self._is_complete():
            self.manifest.complete = False
            try:
                self._bring_files()
                self._bring_pages()
                self.manifest.complete = True
            finally:  # Ctrl-C too
                self.manifest.save()
        return Download(self.data, self.pages, self._leaderboard())

    def _is_complete(self) -> bool:
        files = self.manifest.files
        return (
            self.manifest.complete
            and len(self._here(files)) == len(files)
            and all((self.pages / page).is_file() for page in self.manifest.pages)
        )

    def _here(self, files: dict[str, _Finished]) -> set[str]:
        """Return the names of those files that are on the disk, in their size or unpacked."""
        unpacked = unpacked_archives(self.data)
        return {
            name
            for name, file in files.items()
            if _size(self.data / file.path) == file.size
            or (file.path in unpacked and not (self.data / file.path).exists())
        }

    def _bring_files(self) -> None:
        files = list(dict.fromkeys(self.client.files(self.slug)))  # pages of a list may overlap
        check_names([file.name for file in files])
        self._listed = frozenset(file.name for file in files)
        if not files:
            raise DownloadError(
                f"Kaggle lists no data files for {self.slug}. See whether "
                f"https://www.kaggle.com/competitions/{self.slug}/data shows any."
            )
        known = {
            file.name: self.manifest.files[file.name]
            for file in files
            if file.name in self.manifest.files and self.manifest.files[file.name].listed == file.size
        }
        here = self._here(known)
        self.manifest.files = {name: finished for name, finished in known.items() if name in here}
        for file in files:
            self._adopt(file)
        missing = [file for file in files if file.name not in self.manifest.files]
        self._check_room(missing)
        for file in missing:
            self.manifest.files[file.name] = self._bring(file)
            self.manifest.partial.pop(file.name, None)
            self.manifest.save(lazily=True)

    def _adopt(self, file: DataFile) -> None:
        """Take over a file that is whole but not in the manifest, as after a loss of power."""
        path = self.data / file.name
        if file.name in self.manifest.files or not file.size or _size(path) != file.size:
            return
        with path.open("rb") as content:
            digest = hashlib.file_digest(content, "sha256").hexdigest()
        self.manifest.files[file.name] = _Finished(file.name, file.size, digest, file.size)

    def _check_room(self, missing: Sequence[DataFile]) -> None:
        """Compare the sizes of what is missing with the free space.

        Raises:
            DownloadError: If it is too little; says how much is needed, how much there is, and where.
        """
        needed = sum(max(0, file.size - (_size(self._part(file)) or 0)) for file in missing)
        free = shutil.disk_usage(self.data).free
        if needed > free:
            raise DownloadError(
                f"{self.slug} needs {_readable(needed)} more, and {self.data} has {_readable(free)} free. "
                "Make room, or choose a folder on a larger disk."
            )

    def _part(self, file: DataFile) -> Path:
        return self.data / f"{file.name}.part"

    def _bring(self, file: DataFile) -> _Finished:
        """Download one file, in as many attempts as it takes and the backoff allows."""
        part = self._part(file)
        part.parent.mkdir(parents=True, exist_ok=True)
        failures = 0
        while True:
            before = _size(part) or 0
            try:
                return self._attempt(file, part)
            except TryAgain as error:
                failures = 1 if (_size(part) or 0) - before >= _HEADWAY else failures + 1
                self.client.backoff.wait(failures, TryAgain(f"{file.name}: {error}", error.retry_after_s))

    def _attempt(self, file: DataFile, part: Path) -> _Finished:
        """Download what a .part file lacks, verify the whole and give it its name."""
        with self.client.open(self.slug, file.name, _size(part) or 0) as stream:
            tag = self.manifest.partial.get(file.name)
            if stream.start and tag and stream.etag and tag != stream.etag:
                part.unlink()
                raise TryAgain("It changed on Kaggle since its first part was downloaded.", 0)
            expected = stream.total if stream.total is not None or stream.is_zipped else file.size or None
            if not stream.is_zipped and file.size and expected != file.size:
                differs = f"Kaggle lists {file.name} with {file.size:,} bytes and serves {expected:,}."
                if not stream.md5:
                    raise DownloadError(f"{differs} Look at it on https://www.kaggle.com/c/{self.slug}/data")
                log.warning("%s The checksum of its storage decides.", differs)
            if stream.etag and tag != stream.etag:
                self.manifest.partial[file.name] = stream.etag
                self.manifest.save(lazily=(expected or _HEADWAY) < _HEADWAY)
            sha256, md5, size = self._receive(file.name, stream, part, expected, is_known=tag == stream.etag)
        if expected is not None and size < expected:
            raise TryAgain(f"The connection broke off at {size:,} of {expected:,} bytes.")
        if (expected is not None and size > expected) or (stream.md5 and md5 != stream.md5):
            part.unlink()
            raise TryAgain(
                f"What arrived is damaged: {size:,} bytes with the MD5 {md5}, expected were "
                f"{size if expected is None else expected:,} with {stream.md5 or 'any'}."
            )
        path = f"{file.name}.zip" if stream.is_zipped else file.name
        if path != file.name and path in self._listed:
            raise DownloadError(f"Kaggle serves {file.name} as {path}, and lists a file of that name too.")
        part.rename(self.data / path)
        return _Finished(path, size, sha256, file.size)

    def _receive(
        self, name: str, stream: FileStream, part: Path, expected: int | None, *, is_known: bool
    ) -> tuple[str, str, int]:
        """Write a stream behind what is there; return SHA-256, MD5 in Base64 and size of the whole file."""
        if expected and not stream.start and _size(part) == expected:
            # Only the renaming was missing, perhaps. The server has told what a whole file is.
            with part.open("rb") as file:
                digests = _Digests.of(file, expected)
            if digests.md5 == stream.md5 or (stream.md5 is None and stream.etag and is_known):
                return digests.sha256, digests.md5, digests.size
        with part.open("r+b" if stream.start else "wb") as file:
            digests = _Digests.of(file, stream.start)
            for chunk in stream:
                file.write(chunk)
                digests.update(chunk)
                if self._progress is not None:
                    self._progress(name, digests.size, expected or digests.size)
                if expected is not None and digests.size > expected:
                    break
            file.flush()
            os.fsync(file.fileno())
        return digests.sha256, digests.md5, digests.size

    def _bring_pages(self) -> None:
        pages = self.client.pages(self.slug)
        names = [f"{page.name}.md" if page.name else "" for page in pages]
        check_names(names)
        for name, page in zip(names, pages, strict=True):
            path = self.pages / name
            path.parent.mkdir(parents=True, exist_ok=True)
            _write(path, page.content)
        self.manifest.pages = names

    def _leaderboard(self) -> Path | None:
        """Return the leaderboard's file, made if it is not there; None, with a warning, if it cannot be."""
        path = self.raw / "leaderboard.csv"
        if path.is_file():
            return path
        try:
            teams = _with_scores(self.client.leaderboard(self.slug))
        except DownloadError as error:
            log.warning("The leaderboard of %s cannot be had: %s", self.slug, error)
            return None
        if not teams:
            log.warning("The leaderboard of %s cannot be had: no team on it has a score.", self.slug)
            return None
        if all(team.public_score == team.private_score for team in teams):
            log.warning("Kaggle gives only one leaderboard for %s: private_score is left blank.", self.slug)
            teams = [Team(team.name, team.public_score, "") for team in teams]
        rows = [("team", "public_score", "private_score")]
        rows += [(team.name, team.public_score, team.private_score) for team in teams]
        beside = path.with_suffix(".part")
        with beside.open("w", encoding="utf-8", newline="") as file:
            csv.writer(file, lineterminator="\n").writerows(rows)
        beside.replace(path)
        return path


class _Digests:
    """What identifies a file, kept up to date as it is read or written."""

    def __init__(self) -> None:
        self.size = 0
        self._sha256 = hashlib.sha256()
        self._md5 = hashlib.md5(usedforsecurity=False)

    @classmethod
    def of(cls, file: BinaryIO, size: int) -> _Digests:
        """Return those of the first bytes of a file, which is left at their end."""
        digests = cls()
        while digests.size < size and (block := file.read(min(1 << 20, size - digests.size))):
            digests.update(block)
        return digests

    def update(self, block: bytes) -> None:
        """Take in the next bytes."""
        self.size += len(block)
        self._sha256.update(block)
        self._md5.update(block)

    @property
    def sha256(self) -> str:
        """The SHA-256, in hexadecimal."""
        return self._sha256.hexdigest()

    @property
    def md5(self) -> str:
        """The MD5 in Base64, as servers give it."""
        return base64.b64encode(self._md5.digest()).decode()


def check_names(names: Sequence[str]) -> None:
    """See that names from a server can be paths below a folder, each with a `.part` beside it.

    Raises:
        DownloadError: If one is empty or absolute, climbs out, cannot be a file's name, or two are one.
    """
    owners: dict[str, str] = {}
    for name in names:
        parts = re.split(r"[/\\]", name)
        if "" in parts or "." in parts or ".." in parts or re.match(r"[A-Za-z]:", name):
            raise _hostile(name, "it is empty, absolute or leads elsewhere")
        if any(unicodedata.category(letter) in ("Cc", "Cs") for letter in name):
            raise _hostile(name, "it has control characters")
        if any(len(part.encode()) > 240 for part in parts):
            raise _hostile(name, "it is too long for a file")
        key = unicodedata.normalize("NFC", "/".join(parts))
        for taken in (key, f"{key}.part"):
            if taken in owners:
                raise _hostile(name, f"it collides with {owners[taken]!r}")
            owners[taken] = name
    for key, name in owners.items():
        for end in [match.start() for match in re.finditer("/", key)]:
            if key[:end] in owners:
                raise _hostile(name, f"its folder collides with the file {owners[key[:end]]!r}")


def _hostile(name: str, why: str) -> DownloadError:
    return DownloadError(f"Kaggle lists a file by a name that cannot be used, {name[:200]!r}: {why}.")


def _with_scores(teams: Sequence[Team]) -> list[Team]:
    """Return the teams with a score on one part at least; what is not a finite number becomes a blank."""

    def number(text: str) -> str:
        try:
            return text if math.isfinite(float(text)) else ""
        except ValueError:
            return ""

    cleaned = [Team(team.name, number(team.public_score), number(team.private_score)) for team in teams]
    return [team for team in cleaned if team.public_score or team.private_score]


def _check_slug(slug: str) -> None:
    if re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_-]*", slug):
        return
    inside = re.search(r"kaggle\.com/(?:c|competitions)/([A-Za-z0-9_-]+)", slug)
    hint = f" Did you mean {inside[1]!r}?" if inside else ""
    raise DownloadError(
        f"{slug!r} is no competition's name; expected is the last part of its address on Kaggle.{hint}"
    )


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    """Hold a lock that the kernel lets go of should this process be killed."""
    with path.open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            log.warning("Another process writes %s; waiting until it is done.", path.parent)
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _size(path: Path) -> int | None:
    """Return the size of a file; None if there is none."""
    try:
        return path.stat().st_size if path.is_file() else None
    except OSError:
        return None


def _write(path: Path, text: str) -> None:
    """Write a text whole or not at all."""
    beside = path.with_name(f"{path.name}.new")
    with beside.open("w", encoding="utf-8", errors="replace", newline="") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    beside.replace(path)


def _readable(size: int) -> str:
    """Return a size such as "1.5 GB", of 1000 to the next unit as Kaggle has them."""
    if size < 1000:
        return f"{size} bytes"
    power = min(4, (len(str(size)) - 1) // 3)
    return f"{size / 1000**power:.1f} {'kMGT'[power - 1]}B"
