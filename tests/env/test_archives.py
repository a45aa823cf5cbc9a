"""Archives of every kind: whole, truncated, hostile, nested, and interrupted."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import os
import shutil
import stat
import sys
import tarfile
import tracemalloc
import zipfile
from collections import namedtuple
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from mledojo_env.errors import ArchiveError
from mledojo_env.prepare.archives import unpack, unpack_all, unpacked_archives

NOISE = os.urandom(40_000)  # so that what is cut is content, and not a header
FILES = {"a.csv": b"id\n1\n", "deep/er/b.bin": NOISE, "empty.txt": b""}
TARS = {".tar": "w", ".tar.gz": "w:gz", ".tgz": "w:gz", ".tar.bz2": "w:bz2", ".tar.xz": "w:xz"}
SINGLES: dict[str, Callable[[bytes], bytes]] = {
    ".gz": gzip.compress,
    ".bz2": bz2.compress,
    ".xz": lzma.compress,
}


def make_zip(path: Path, files: Mapping[str, bytes]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(zipfile.ZipInfo(name), content)
    return path


def make_tar(path: Path, files: Mapping[str, bytes], mode: str = "w") -> Path:
    with tarfile.open(path, mode) as archive:  # type: ignore[call-overload]
        for name, content in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return path


def make(path: Path, files: Mapping[str, bytes] = FILES) -> Path:
    for ending, mode in TARS.items():
        if path.name.endswith(ending):
            return make_tar(path, files, mode)
    if path.name.endswith(".7z"):
        py7zr = pytest.importorskip("py7zr", reason="py7zr is not installed: pip install py7zr")
        with py7zr.SevenZipFile(path, "w") as archive:
            for name, content in files.items():
                archive.writestr(content, name)
        return path
    return make_zip(path, files)


def contents(folder: Path) -> dict[str, bytes]:
    return {p.relative_to(folder).as_posix(): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def entries(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


@pytest.fixture
def free(monkeypatch: pytest.MonkeyPatch) -> Callable[[int], None]:
    """Return a function that makes the disk so small."""
    usage = namedtuple("usage", "total used free")

    def set_free(size: int) -> None:
        monkeypatch.setattr(shutil, "disk_usage", lambda path: usage(10**9, 0, size))

    return set_free


ARCHIVES = [".zip", *TARS, ".7z"]


# --------------------------------------------------------------------------- whole


@pytest.mark.parametrize("ending", ARCHIVES)
def test_an_archive_is_unpacked(tmp_path: Path, ending: str):
    archive = make(tmp_path / f"data{ending}")
    target = tmp_path / "new" / "folder"
    files = unpack(archive, target)
    assert contents(target) == FILES
    assert sorted(files) == sorted(target / name for name in FILES)
    assert archive.exists()
    assert entries(tmp_path / "new") == ["folder"]
    assert stat.S_IMODE(target.stat().st_mode) == 0o755


@pytest.mark.parametrize("ending", SINGLES)
def test_a_packed_file_is_unpacked(tmp_path: Path, ending: str):
    archive = tmp_path / f"train.csv{ending}"
    archive.write_bytes(SINGLES[ending](NOISE))
    assert unpack(archive, tmp_path / "out") == [tmp_path / "out" / "train.csv"]
    assert contents(tmp_path / "out") == {"train.csv": NOISE}


def test_the_endings_case_does_not_matter(tmp_path: Path):
    assert unpack(make_zip(tmp_path / "A.ZIP", FILES), tmp_path / "a") != []


def test_members_that_say_nothing_are_left_out(tmp_path: Path):
    archive = make_zip(
        tmp_path / "a.zip", {"x/": b"", "x/1.png": b"1", "__MACOSX/x/._1.png": b"fork", "./": b""}
    )
    assert unpack(archive, tmp_path / "a") == [tmp_path / "a" / "x" / "1.png"]
    assert entries(tmp_path / "a") == ["x"]


def test_names_of_windows_and_of_tar_are_put_right(tmp_path: Path):
    unpack(make_zip(tmp_path / "a.zip", {"x\\y\\1.png": b"1"}), tmp_path / "a")
    assert contents(tmp_path / "a") == {"x/y/1.png": b"1"}
    unpack(make_tar(tmp_path / "b.tar", {"./x//1.png": b"1"}), tmp_path / "b")
    assert contents(tmp_path / "b") == {"x/1.png": b"1"}


def test_of_two_members_of_one_name_the_later_counts(tmp_path: Path):
    with tarfile.open(tmp_path / "a.tar", "w") as archive:
        for content in (b"old", b"newer"):
            info = tarfile.TarInfo("a.csv")
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    assert unpack(tmp_path / "a.tar", tmp_path / "a") == [tmp_path / "a" / "a.csv"]
    assert contents(tmp_path / "a") == {"a.csv": b"newer"}


def test_an_empty_folder_may_be_the_target_and_a_full_one_not(tmp_path: Path):
    archive = make_zip(tmp_path / "a.zip", FILES)
    (tmp_path / "out").mkdir()
    unpack(archive, tmp_path / "out")
    with pytest.raises(ArchiveError, match="which is there already"):
        unpack(archive, tmp_path / "out")
    assert contents(tmp_path / "out") == FILES


def test_permissions_of_members_are_not_kept(tmp_path: Path):
    archive = make_tar(tmp_path / "a.tar", {})
    with tarfile.open(archive, "w") as file:
        info = tarfile.TarInfo("run.sh")
        info.mode = 0o4777
        file.addfile(info, io.BytesIO())
    unpack(archive, tmp_path / "a")
    assert (tmp_path / "a" / "run.sh").stat().st_mode & 0o7111 == 0


@pytest.mark.parametrize("ending", [".zip", ".tar.gz", ".gz"])
def test_memory_does_not_grow_with_the_content(tmp_path: Path, ending: str):
    size = 24 << 20
    archive = tmp_path / f"zeros.bin{ending}"
    if ending == ".gz":
        archive.write_bytes(gzip.compress(bytes(size), 1))
    else:
        make(archive, {"zeros.bin": bytes(size)})
    tracemalloc.start()
    try:
        unpack(archive, tmp_path / "out")
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert (tmp_path / "out" / "zeros.bin").stat().st_size == size
    assert peak < 8 << 20


# --------------------------------------------------------------------------- truncated


@pytest.mark.parametrize("share", [0.1, 0.5, 0.75])
@pytest.mark.parametrize("ending", ARCHIVES)
def test_a_truncated_archive_is_named_and_leaves_nothing(tmp_path: Path, ending: str, share: float):
    archive = make(tmp_path / f"data{ending}", {"a.csv": NOISE[:900], "b.bin": NOISE})
    archive.write_bytes(archive.read_bytes()[: int(archive.stat().st_size * share)])
    before = entries(tmp_path)
    with pytest.raises(ArchiveError) as caught:
        unpack(archive, tmp_path / "out")
    assert f"{archive} is truncated" in str(caught.value)
    assert "Delete it and download it again." in str(caught.value)
    assert entries(tmp_path) == before


@pytest.mark.parametrize("ending", [".tar", ".tar.gz", ".tar.xz"])
def test_every_cut_in_a_tar_of_small_files_is_seen(tmp_path: Path, ending: str):
    whole = make(tmp_path / f"data{ending}", {f"{i}.csv": os.urandom(300) for i in range(4)}).read_bytes()
    end = 4 * 1024 if ending == ".tar" else len(whole)  # behind it a .tar has only zeros
    missed = []
    for cut in range(1, end, max(1, end // 97)):
        archive = tmp_path / f"cut{ending}"
        archive.write_bytes(whole[:cut])
        try:
            unpack(archive, tmp_path / str(cut))
            missed.append(cut)
        except ArchiveError:
            pass
    # At the border of two members nothing tells a cut from a writer that forgot the end of the archive.
    assert [cut for cut in missed if ending != ".tar" or cut % 512] == []


@pytest.mark.parametrize("ending", SINGLES)
def test_a_truncated_packed_file_is_named(tmp_path: Path, ending: str):
    archive = tmp_path / f"train.csv{ending}"
    packed = SINGLES[ending](NOISE)
    for cut in (2, len(packed) // 2, len(packed) - 3):
        archive.write_bytes(packed[:cut])
        with pytest.raises(ArchiveError, match="is truncated"):
            unpack(archive, tmp_path / "out")
    assert entries(tmp_path) == [archive.name]


@pytest.mark.parametrize("ending", [*ARCHIVES, *SINGLES])
def test_what_is_no_archive_is_named(tmp_path: Path, ending: str):
    if ending == ".7z":
        pytest.importorskip("py7zr", reason="py7zr is not installed: pip install py7zr")
    archive = tmp_path / f"a{ending}"
    archive.write_bytes(b"<html>Please log in</html>" * 100)
    with pytest.raises(ArchiveError, match="truncated or damaged"):
        unpack(archive, tmp_path / "out")
    assert entries(tmp_path) == [archive.name]


def test_a_flipped_bit_is_seen(tmp_path: Path):
    archive = make_zip(tmp_path / "a.zip", {"b.bin": NOISE})
    content = bytearray(archive.read_bytes())
    content[20_000] ^= 1
    archive.write_bytes(content)
    with pytest.raises(ArchiveError, match=r"truncated or damaged: .*CRC"):
        unpack(archive, tmp_path / "out")
    assert entries(tmp_path) == ["a.zip"]


# --------------------------------------------------------------------------- hostile

OUTSIDE = [
    "../evil",
    "x/../../evil",
    "/tmp/evil",
    "C:evil",
    "C:\\evil",
    "..\\evil",
    "x\\..\\..\\evil",
    "//host/evil",
]


@pytest.mark.parametrize("name", OUTSIDE)
def test_members_of_a_zip_that_climb_out_are_refused(tmp_path: Path, name: str):
    archive = make_zip(tmp_path / "in" / "a.zip", {"fine.csv": b"1", name: b"evil"})
    with pytest.raises(ArchiveError, match=r"is not safe to unpack: its member .* leads out of the folder"):
        unpack(archive, tmp_path / "in" / "out")
    assert contents(tmp_path) == {"in/a.zip": archive.read_bytes()}


@pytest.mark.parametrize("name", [name for name in OUTSIDE if "\\" not in name])
def test_members_of_a_tar_that_climb_out_are_refused(tmp_path: Path, name: str):
    (tmp_path / "in").mkdir()
    archive = make_tar(tmp_path / "in" / "a.tar.gz", {"fine.csv": b"1", name: b"evil"}, "w:gz")
    with pytest.raises(ArchiveError, match=r"is not safe to unpack: its member .* leads out of the folder"):
        unpack(archive, tmp_path / "in" / "out")
    assert contents(tmp_path) == {"in/a.tar.gz": archive.read_bytes()}


@pytest.mark.parametrize(
    ("kind", "what"),
    [
        (tarfile.SYMTYPE, "a link"),
        (tarfile.LNKTYPE, "a link"),
        (tarfile.CHRTYPE, "a device"),
        (tarfile.BLKTYPE, "a device"),
        (tarfile.FIFOTYPE, "a device"),
    ],
)
def test_links_and_devices_in_a_tar_are_refused(tmp_path: Path, kind: bytes, what: str):
    with tarfile.open(tmp_path / "a.tar", "w") as archive:
        info = tarfile.TarInfo("odd")
        info.type, info.linkname = kind, "/etc"
        archive.addfile(info)
        inside = tarfile.TarInfo("odd/evil")
        archive.addfile(inside, io.BytesIO())
    with pytest.raises(ArchiveError, match=f"its member 'odd' is {what}"):
        unpack(tmp_path / "a.tar", tmp_path / "out")
    assert entries(tmp_path) == ["a.tar"]


@pytest.mark.parametrize(("mode", "what"), [(stat.S_IFLNK, "a link"), (stat.S_IFCHR, "a device")])
def test_links_and_devices_in_a_zip_are_refused(tmp_path: Path, mode: int, what: str):
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        info = zipfile.ZipInfo("odd")
        info.create_system, info.external_attr = 3, (mode | 0o777) << 16
        archive.writestr(info, "/etc/passwd")
    with pytest.raises(ArchiveError, match=f"its member 'odd' is {what}"):
        unpack(tmp_path / "a.zip", tmp_path / "out")
    assert entries(tmp_path) == ["a.zip"]


def test_a_file_that_is_a_folder_too_is_refused(tmp_path: Path):
    for number, names in enumerate((["a", "a/b"], ["a/b", "a"])):
        archive = make_zip(tmp_path / f"{number}.zip", dict.fromkeys(names, b"1"))
        with pytest.raises(ArchiveError, match="its member 'a' is both a file and a folder"):
            unpack(archive, tmp_path / "out")
    assert entries(tmp_path) == ["0.zip", "1.zip"]


def patched(archive: Path, offset: int, value: bytes) -> None:
    """Change the same field in the local header and in the central directory of a zip with one member.

    `offset` counts from the version needed to extract, where both have the same fields.
    """
    content = bytearray(archive.read_bytes())
    for start in (content.index(b"PK\x03\x04") + 4, content.index(b"PK\x01\x02") + 6):
        content[start + offset : start + offset + len(value)] = value
    archive.write_bytes(content)


def test_an_encrypted_zip_is_named(tmp_path: Path):
    archive = make_zip(tmp_path / "a.zip", {"a.csv": b"1"})
    patched(archive, 2, b"\x01\x00")
    with pytest.raises(ArchiveError, match=r"a\.zip is encrypted"):
        unpack(archive, tmp_path / "out")


def test_a_compression_that_python_lacks_is_named(tmp_path: Path):
    archive = make_zip(tmp_path / "a.zip", {"a.csv": b"1"})
    patched(archive, 4, b"\x09\x00")  # Deflate64, which Windows uses above 2 GB
    with pytest.raises(ArchiveError, match=r"cannot be unpacked by Python .*Unpack it by hand"):
        unpack(archive, tmp_path / "out")


def test_content_longer_than_declared_is_refused(tmp_path: Path):
    archive = make_zip(tmp_path / "a.zip", {"zeros": bytes(100_000)})
    patched(archive, 18, (1000).to_bytes(4, "little"))
    with pytest.raises(ArchiveError):
        unpack(archive, tmp_path / "out")
    assert entries(tmp_path) == ["a.zip"]


def test_content_longer_than_declared_is_refused_whatever_reads_it(tmp_path: Path, monkeypatch: Any):
    """Python's zipfile stops at what is declared; should it not, we do."""
    archive = make_zip(tmp_path / "a.zip", {"zeros": bytes(100_000)})
    monkeypatch.setattr(zipfile.ZipFile, "open", lambda self, info: io.BytesIO(bytes(info.file_size + 1)))
    with pytest.raises(ArchiveError, match="its member 'zeros' is longer than the 100,000 bytes it declares"):
        unpack(archive, tmp_path / "out")
    assert entries(tmp_path) == ["a.zip"]


@pytest.mark.parametrize("ending", ARCHIVES)
def test_what_declares_more_than_there_is_room_for_is_refused(
    tmp_path: Path, free: Callable[[int], None], ending: str
):
    archive = make(tmp_path / f"bomb{ending}", {"a": bytes(60_000), "b": bytes(60_000)})
    free(119_999)
    with pytest.raises(ArchiveError, match=r"unpacks to 120,000 bytes or more, and .* has 119,999 free"):
        unpack(archive, tmp_path / "out")
    assert entries(tmp_path) == [archive.name]
    free(120_000)
    assert len(unpack(archive, tmp_path / "out")) == 2


@pytest.mark.parametrize("ending", SINGLES)
def test_what_declares_nothing_ends_with_the_room(tmp_path: Path, free: Callable[[int], None], ending: str):
    archive = tmp_path / f"bomb{ending}"
    archive.write_bytes(SINGLES[ending](bytes(5 << 20)))
    free((5 << 20) - 1)
    with pytest.raises(ArchiveError, match="unpacks to more than the 5,242,879 bytes that were free"):
        unpack(archive, tmp_path / "out")
    assert entries(tmp_path) == [archive.name]
    free(5 << 20)
    unpack(archive, tmp_path / "out")


@pytest.mark.parametrize("name", ["a.rar", "a.csv", ".zip", "zip"])
def test_other_files_are_no_archives(tmp_path: Path, name: str):
    (tmp_path / name).write_bytes(b"PK")
    with pytest.raises(ArchiveError, match=r"is no archive that can be unpacked; expected .*\.tar\.gz, "):
        unpack(tmp_path / name, tmp_path / "out")


def test_7z_without_py7zr_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(sys.modules, "py7zr", None)
    (tmp_path / "a.7z").write_bytes(b"7z\xbc\xaf\x27\x1c")
    with pytest.raises(ArchiveError, match=r"needs py7zr\. Run: pip install py7zr"):
        unpack(tmp_path / "a.7z", tmp_path / "out")
    assert entries(tmp_path) == ["a.7z"]


def test_7z_with_a_password_or_links_is_refused(tmp_path: Path):
    py7zr = pytest.importorskip("py7zr", reason="py7zr is not installed: pip install py7zr")
    with py7zr.SevenZipFile(tmp_path / "a.7z", "w", password="secret") as archive:
        archive.writestr(b"1", "a.csv")
    with pytest.raises(ArchiveError, match="is encrypted"):
        unpack(tmp_path / "a.7z", tmp_path / "out")
    (tmp_path / "link").symlink_to("/etc/passwd")
    with py7zr.SevenZipFile(tmp_path / "b.7z", "w") as archive:
        archive.write(tmp_path / "link", "link")
    with pytest.raises(ArchiveError, match="its member 'link' is a link or a device"):
        unpack(tmp_path / "b.7z", tmp_path / "out")
    assert entries(tmp_path) == ["a.7z", "b.7z", "link"]


# --------------------------------------------------------------------------- all of a folder


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """Return an empty folder in one of its own."""
    folder = tmp_path / "raw" / "data"
    folder.mkdir(parents=True)
    return folder


def zipped(files: Mapping[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return buffer.getvalue()


def test_archives_become_what_is_in_them(data: Path):
    make_zip(data / "train.csv.zip", {"train.csv": b"train"})
    make_zip(data / "images.zip", {"1.png": b"1", "2.png": b"2"})
    make_zip(data / "same.zip", {"same/1.png": b"1", "__MACOSX/same/._1.png": b"fork"})
    make_zip(data / "other.zip", {"folder/1.png": b"1"})
    make_zip(data / "one.zip", {"train.csv": b"one"})
    make_tar(data / "audio.tar.gz", {"./audio/1.wav": b"1", "./audio/2.wav": b"2"}, "w:gz")
    (data / "sub").mkdir()
    (data / "sub" / "test.csv.gz").write_bytes(gzip.compress(b"test"))
    (data / "plain.csv").write_bytes(b"plain")
    came_out = unpack_all(data)
    assert contents(data) == {
        "train.csv": b"train",
        "images/1.png": b"1",
        "images/2.png": b"2",
        "same/1.png": b"1",
        "other/folder/1.png": b"1",
        "one/train.csv": b"one",
        "audio/1.wav": b"1",
        "audio/2.wav": b"2",
        "sub/test.csv": b"test",
        "plain.csv": b"plain",
    }
    names = ["audio", "images", "one", "other", "same", "sub/test.csv", "train.csv"]
    assert sorted(path.relative_to(data).as_posix() for path in came_out) == names
    assert not list(data.rglob(".*"))
    assert unpack_all(data) == []


def test_archives_in_archives_are_unpacked_until_none_is_left(data: Path):
    inner = zipped({"train.csv": b"train"})
    make_zip(data / "all.zip", {"train.csv.zip": inner, "more/x.tar.gz": b"", "more/notes.txt": b"n"})
    outer = zipped({"more/b.csv.gz": gzip.compress(b"b"), "a.csv.zip": zipped({"a.csv": b"a"})})
    (data / "twice.zip.gz").write_bytes(gzip.compress(outer))
    make_zip(data / "all.zip", {"train.csv.zip": inner, "more/notes.txt": b"n"})
    came_out = unpack_all(data)
    assert contents(data) == {
        "all/train.csv": b"train",
        "all/more/notes.txt": b"n",
        "twice/a.csv": b"a",
        "twice/more/b.csv": b"b",
    }
    assert data / "twice.zip" not in came_out
    assert data / "twice" in came_out


def test_an_archive_in_itself_has_an_end(data: Path):
    content = b"the end"
    for _ in range(14):
        content = zipped({"r.zip": content})
    (data / "r.zip").write_bytes(content)
    with pytest.raises(ArchiveError, match="an archive in an archive, 10 times over"):
        unpack_all(data)


def test_what_is_there_already_is_not_overwritten(data: Path):
    make_zip(data / "train.csv.zip", {"train.csv": b"other"})
    (data / "train.csv").write_bytes(b"mine")
    make_zip(data / "a.csv.zip", {"a.csv": b"a"})
    with pytest.raises(
        ArchiveError, match=r"train\.csv\.zip unpacks to .*train\.csv, which is there already"
    ):
        unpack_all(data)
    assert entries(data) == ["a.csv", "train.csv", "train.csv.zip"]
    assert (data / "train.csv").read_bytes() == b"mine"
    (data / "train.csv").write_bytes(b"other")  # the same is no conflict
    unpack_all(data)
    assert contents(data) == {"a.csv": b"a", "train.csv": b"other"}


def test_a_broken_archive_stops_it_and_leaves_itself(data: Path):
    make_zip(data / "a.csv.zip", {"a.csv": b"a"})
    make_zip(data / "b.zip", {"b.bin": NOISE})
    whole = (data / "b.zip").read_bytes()
    (data / "b.zip").write_bytes(whole[:-2000])
    with pytest.raises(ArchiveError, match=r"b\.zip is truncated"):
        unpack_all(data)
    assert entries(data) == ["a.csv", "b.zip"]
    (data / "b.zip").write_bytes(whole)  # downloaded again
    assert unpack_all(data) == [data / "b"]
    assert contents(data) == {"a.csv": b"a", "b/b.bin": NOISE}


@pytest.mark.parametrize("moment", ["rename", "unlink"])
def test_an_interrupted_call_is_continued(data: Path, monkeypatch: pytest.MonkeyPatch, moment: str):
    make_zip(data / "a.zip", {"a.csv": b"a", "b.csv": b"b"})
    make_zip(data / "z.zip", {"z.csv": b"z"})

    def interrupt(*arguments: Any, **options: Any) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(Path, moment, interrupt)
        patch.setattr(shutil, "rmtree", lambda *arguments, **options: None)  # as if it was killed
        with pytest.raises(KeyboardInterrupt):
            unpack_all(data)
    assert (data / "a.zip").exists()
    assert (data / "a").exists() == (moment == "unlink")
    assert (len(list(data.glob(".unpacking-*"))) == 1) == (moment == "rename")
    assert unpacked_archives(data) == set()
    unpack_all(data)
    assert contents(data) == {"a/a.csv": b"a", "a/b.csv": b"b", "z/z.csv": b"z"}
    assert entries(data) == ["a", "z"]
    assert unpacked_archives(data) == {"a.zip", "z.zip"}


def test_the_record_outlives_a_cut_line_and_what_was_removed(data: Path):
    make_zip(data / "a.csv.zip", {"a.csv": b"a"})
    make_zip(data / "sub" / "b.csv.gz.zip", {"b.csv.gz": gzip.compress(b"b")})
    unpack_all(data)
    record = data.parent / ".data-unpacked.jsonl"
    record.write_text(record.read_text() + '["c.zi')
    assert unpacked_archives(data) == {"a.csv.zip", "sub/b.csv.gz.zip", "sub/b.csv.gz"}
    (data / "a.csv").unlink()
    assert unpacked_archives(data) == {"sub/b.csv.gz.zip", "sub/b.csv.gz"}
    assert unpacked_archives(data.parent / "other") == set()


def test_links_to_archives_are_left_alone(data: Path, tmp_path: Path):
    outside = make_zip(tmp_path / "outside.zip", {"a.csv": b"a"})
    (data / "link.zip").symlink_to(outside)
    assert unpack_all(data) == []
    assert outside.exists()


def test_a_copy_of_hard_links_keeps_the_downloads(data: Path):
    make_zip(data / "a.csv.zip", {"a.csv": b"a"})
    copy = data.parent / "work"
    shutil.copytree(data, copy, copy_function=os.link)
    unpack_all(copy)
    assert entries(data) == ["a.csv.zip"]
    assert contents(copy) == {"a.csv": b"a"}
