"""Downloads through kagglesdk from a fake Kaggle on the loopback: whole, resumed, refused, and hostile."""

from __future__ import annotations

import csv
import errno
import fcntl
import hashlib
import io
import json
import logging
import os
import shutil
import sys
import threading
import time
import zipfile
from collections import namedtuple
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from fake_kaggle import SLUG, TOKEN, Answer, FakeKaggle, error

from mledojo_env.errors import DownloadError
from mledojo_env.prepare.archives import unpack_all
from mledojo_env.prepare.backoff import Backoff, TryAgain, retry_after_s
from mledojo_env.prepare.download import download_competition
from mledojo_env.prepare.kaggle_client import Kaggle
from mledojo_env.prepare.kaggle_credentials import Credentials, find_credentials

pytest.importorskip("kagglesdk", reason="kagglesdk is not installed: pip install 'mledojo-train[kaggle]'")

FILES = {
    "train.csv": b"id,y\n" + b"1,2\n" * 300,
    "test.csv": b"id\n1\n",
    "images/a 1.png": bytes(range(256)),
    "images/deep/b.png": b"\x89PNG",
    "empty.txt": b"",
}
LARGE = os.urandom(300_000)

Waits = list[float]


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a home folder of the test's own, without credentials there or in the environment."""
    for name in list(os.environ):
        if name.startswith("KAGGLE_") or name.lower().endswith("_proxy") or name == "MLEDOJO_KAGGLE_URL":
            monkeypatch.delenv(name)
    folder = tmp_path / "home"
    folder.mkdir()
    monkeypatch.setenv("HOME", str(folder))
    return folder


@pytest.fixture
def kaggle(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeKaggle]:
    """Return a fake Kaggle that the credentials in the environment open."""
    with FakeKaggle() as server:
        server.files = dict(FILES)
        server.pages = [("Description", "# Demo\n\n<b>Predict y.</b>"), ("rules", "Be fair.")]
        server.private = [(1, "ants", "0.9"), (2, "bees", "0.8"), (3, 'cows, "and" co', "0.7")]
        server.public = [(2, "bees", "0.95"), (1, "ants", "0.91"), (4, "late", "0.2")]
        monkeypatch.setenv("KAGGLE_API_TOKEN", TOKEN)
        monkeypatch.setenv("MLEDOJO_KAGGLE_URL", server.url)
        yield server


@pytest.fixture
def waits() -> Waits:
    """Return the list of the seconds that the client would have waited."""
    return []


@pytest.fixture
def client(kaggle: FakeKaggle, waits: Waits) -> Iterator[Kaggle]:
    """Return a client that tries four times and only writes down its waits, which have no jitter."""
    backoff = Backoff(attempts=4, sleep=waits.append, jitter=lambda: 1.0)
    with Kaggle(backoff=backoff, timeouts_s=(5, 5)) as connection:
        yield connection


@pytest.fixture
def raw(tmp_path: Path) -> Path:
    return tmp_path / "raw"


def contents(folder: Path) -> dict[str, bytes]:
    return {p.relative_to(folder).as_posix(): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def manifest(raw: Path) -> dict[str, dict[str, Any]]:
    return {file["name"]: file for file in json.loads((raw / "download.json").read_text())["files"]}


def packed(**members: bytes) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as file:
        for name, content in members.items():
            file.writestr(name.replace("_csv", ".csv"), content)
    return buffer.getvalue()


# --------------------------------------------------------------------------- whole


def test_a_competition_arrives_whole(kaggle: FakeKaggle, client: Kaggle, raw: Path, waits: Waits):
    download = download_competition(SLUG, raw, client=client)
    assert download.data == raw / "data"
    assert contents(download.data) == FILES
    assert contents(download.pages) == {
        "Description.md": b"# Demo\n\n<b>Predict y.</b>",
        "rules.md": b"Be fair.",
    }
    assert download.leaderboard is not None
    with download.leaderboard.open(newline="") as file:
        assert list(csv.reader(file)) == [
            ["team", "public_score", "private_score"],
            ["ants", "0.91", "0.9"],
            ["bees", "0.95", "0.8"],
            ['cows, "and" co', "", "0.7"],
            ["late", "0.2", ""],
        ]
    assert waits == []
    assert {name: (file["size"], file["sha256"]) for name, file in manifest(raw).items()} == {
        name: (len(content), hashlib.sha256(content).hexdigest()) for name, content in FILES.items()
    }


def test_lists_of_several_pages_are_read_to_their_end(kaggle: FakeKaggle, client: Kaggle, raw: Path):
    kaggle.page_size = 2
    download_competition(SLUG, raw, client=client)
    tokens = [request.body.get("pageToken") for request in kaggle.asked("ListDataFiles")]
    assert tokens == [None, "2", "4"]
    boards = [
        (r.body.get("overridePublic", False), r.body.get("pageToken")) for r in kaggle.asked("GetLeaderboard")
    ]
    assert boards == [(False, None), (False, "2"), (True, None), (True, "2")]


def test_a_list_without_end_is_an_error(kaggle: FakeKaggle, client: Kaggle):
    endless = Answer(200, b'{"files": [], "nextPageToken": "again"}', {"Content-Type": "application/json"})
    kaggle.answers["ListDataFiles"].extend([endless] * 5)
    with pytest.raises(DownloadError, match="has no end: it leads to the page 'again' twice"):
        client.files(SLUG)
    assert len(kaggle.asked("ListDataFiles")) == 2


def test_an_empty_page_with_a_next_one_is_not_the_end(kaggle: FakeKaggle, client: Kaggle):
    empty = Answer(200, b'{"files": [], "nextPageToken": "4"}', {"Content-Type": "application/json"})
    kaggle.answers["ListDataFiles"].append(empty)
    assert [file.name for file in client.files(SLUG)] == ["empty.txt"]


def test_progress_is_told_for_every_file(kaggle: FakeKaggle, client: Kaggle, raw: Path):
    kaggle.files = {"large.bin": LARGE, "test.csv": b"id\n1\n"}
    seen: list[tuple[str, int, int]] = []
    download_competition(SLUG, raw, client=client, progress=lambda *told: seen.append(told))
    large = [(done, total) for name, done, total in seen if name == "large.bin"]
    assert large[-1] == (300_000, 300_000)
    assert len(large) >= 4
    assert large == sorted(large)
    assert seen[-1] == ("test.csv", 5, 5)


def test_the_second_call_asks_nobody_and_needs_no_credentials(
    kaggle: FakeKaggle, client: Kaggle, raw: Path, monkeypatch: pytest.MonkeyPatch
):
    first = download_competition(SLUG, raw, client=client)
    before = len(kaggle.requests)
    monkeypatch.delenv("KAGGLE_API_TOKEN")
    assert download_competition(SLUG, raw) == first
    assert len(kaggle.requests) == before


@pytest.mark.parametrize("damage", [lambda path: path.unlink(), lambda path: path.write_bytes(b"short")])
def test_only_what_is_missing_or_of_another_size_is_downloaded_again(
    kaggle: FakeKaggle, client: Kaggle, raw: Path, damage: Any
):
    download_competition(SLUG, raw, client=client)
    damage(raw / "data" / "images" / "a 1.png")
    kaggle.requests.clear()
    download_competition(SLUG, raw, client=client)
    assert [request.method for request in kaggle.fetched()] == ["images/a 1.png"]
    assert contents(raw / "data") == FILES


def test_a_missing_page_is_downloaded_again(kaggle: FakeKaggle, client: Kaggle, raw: Path):
    download_competition(SLUG, raw, client=client)
    (raw / "pages" / "rules.md").unlink()
    download_competition(SLUG, raw, client=client)
    assert (raw / "pages" / "rules.md").read_text() == "Be fair."
    assert len(kaggle.fetched("train.csv")) == 1


def test_a_file_that_changed_on_kaggle_is_downloaded_again(kaggle: FakeKaggle, client: Kaggle, raw: Path):
    download_competition(SLUG, raw, client=client)
    (raw / "data" / "test.csv").unlink()  # a reason to ask Kaggle
    kaggle.files["train.csv"] = b"id,y\n"
    download_competition(SLUG, raw, client=client)
    assert (raw / "data" / "train.csv").read_bytes() == b"id,y\n"
    assert manifest(raw)["train.csv"]["size"] == 5


def test_without_a_manifest_whole_files_are_taken_over(kaggle: FakeKaggle, client: Kaggle, raw: Path):
    download_competition(SLUG, raw, client=client)
    before = manifest(raw)
    (raw / "download.json").unlink()
    kaggle.requests.clear()
    download_competition(SLUG, raw, client=client)
    assert [request.method for request in kaggle.fetched()] == ["empty.txt"]
    assert manifest(raw) == before


def test_a_broken_manifest_is_named(kaggle: FakeKaggle, client: Kaggle, raw: Path):
    raw.mkdir()
    (raw / "download.json").write_text('{"competition": "offline-demo"')
    with pytest.raises(DownloadError, match=r"download\.json is not what a download wrote.*Delete it"):
        download_competition(SLUG, raw, client=client)


def test_the_folder_of_another_competition_is_refused(kaggle: FakeKaggle, client: Kaggle, raw: Path):
    download_competition(SLUG, raw, client=client)
    with pytest.raises(DownloadError, match="holds the competition 'offline-demo'; 'titanic' needs a folder"):
        download_competition("titanic", raw, client=client)


def test_what_was_unpacked_in_place_is_not_missing(kaggle: FakeKaggle, client: Kaggle, raw: Path):
    kaggle.files = {"train.csv.zip": packed(train_csv=b"id\n"), "test.csv": b"id\n"}
    download = download_competition(SLUG, raw, client=client)
    assert unpack_all(download.data) == [download.data / "train.csv"]
    before = len(kaggle.requests)
    download_competition(SLUG, raw, client=client)
    assert len(kaggle.requests) == before
    assert contents(download.data) == {"train.csv": b"id\n", "test.csv": b"id\n"}
    (download.data / "train.csv").unlink()
    download_competition(SLUG, raw, client=client)
    assert "train.csv.zip" in contents(download.data)


def test_a_file_that_kaggle_serves_zipped_is_named_so(kaggle: FakeKaggle, client: Kaggle, raw: Path):
    zipped = packed(train_csv=FILES["train.csv"])
    kaggle.zipped = {"train.csv": zipped}
    download = download_competition(SLUG, raw, client=client)
    assert (download.data / "train.csv.zip").read_bytes() == zipped
    assert not (download.data / "train.csv").exists()
    assert manifest(raw)["train.csv"] | {"sha256": ""} == {
        "name": "train.csv",
        "path": "train.csv.zip",
        "size": len(zipped),
        "sha256": "",
        "listed": len(FILES["train.csv"]),
    }
    before = len(kaggle.requests)
    download_competition(SLUG, raw, client=client)
    assert len(kaggle.requests) == before


def test_a_zip_in_place_of_a_file_does_not_take_the_name_of_another(
    kaggle: FakeKaggle, client: Kaggle, raw: Path
):
    kaggle.files = {"a.csv": b"1", "a.csv.zip": b"2"}
    kaggle.zipped = {"a.csv": packed(a_csv=b"1")}
    with pytest.raises(
        DownloadError, match=r"serves a\.csv as a\.csv\.zip, and lists a file of that name too"
    ):
        download_competition(SLUG, raw, client=client)


def test_json_files_are_never_parsed(kaggle: FakeKaggle, client: Kaggle, raw: Path):
    kaggle.files = {"train.json": b'{"a": 1}\n{"a": 2}\n', "odd.json": b'{"code": 500, "message": "data"}'}
    assert contents(download_competition(SLUG, raw, client=client).data) == kaggle.files


# --------------------------------------------------------------------------- broken connections


def test_a_cut_connection_is_resumed_where_it_broke(
    kaggle: FakeKaggle, client: Kaggle, raw: Path, waits: Waits
):
    kaggle.files = {"large.bin": LARGE}
    kaggle.cuts["large.bin"].extend([200_000, 30_000])
    download = download_competition(SLUG, raw, client=client)
    assert (download.data / "large.bin").read_bytes() == LARGE
    assert manifest(raw)["large.bin"]["sha256"] == hashlib.sha256(LARGE).hexdigest()
    ranges = [request.headers.get("Range") for request in kaggle.fetched()]
    assert ranges[0] is None
    offsets = [int(text.removeprefix("bytes=").removesuffix("-")) for text in ranges[1:] if text]
    assert len(offsets) == 2
    assert 100_000 <= offsets[0] <= 200_000
    assert offsets[0] <= offsets[1] <= offsets[0] + 30_000
    assert waits == [1.0, 2.0]
    assert not list(download.data.rglob("*.part"))


def test_a_server_that_ignores_ranges_starts_it_over(kaggle: FakeKaggle, client: Kaggle, raw: Path):
    kaggle.files = {"large.bin": LARGE}
    kaggle.knows_ranges = False
    kaggle.cuts["large.bin"].append(200_000)
    download = download_competition(SLUG, raw, client=client)
    assert (download.data / "large.bin").read_bytes() == LARGE
    assert kaggle.fetched()[1].headers["Range"].startswith("bytes=")


def test_a_server_without_redirects_is_resumed_too(kaggle: FakeKaggle, client: Kaggle, raw: Path):
    kaggle.files = {"large.bin": LARGE}
    kaggle.redirects = False
    kaggle.cuts["large.bin"].append(200_000)
    download = download_competition(SLUG, raw, client=client)
    assert (download.data / "large.bin").read_bytes() == LARGE
    assert kaggle.fetched() == []
    assert [r.headers.get("Range") is None for r in kaggle.asked("DownloadDataFile")] == [True, False]


def interrupted(kaggle: FakeKaggle, client: Kaggle, raw: Path) -> int:
    """Press Ctrl-C in the middle of large.bin; return how much of it is there."""
    kaggle.files = {"large.bin": LARGE}

    def press(name: str, done: int, total: int) -> None:
        if done > 100_000:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        download_competition(SLUG, raw, client=client, progress=press)
    assert not (raw / "data" / "large.bin").exists()
    part = (raw / "data" / "large.bin.part").read_bytes()
    assert 100_000 < len(part) < 300_000
    assert LARGE.startswith(part)
    return len(part)


def test_an_interrupted_download_is_continued(kaggle: FakeKaggle, client: Kaggle, raw: Path):
    here = interrupted(kaggle, client, raw)
    download_competition(SLUG, raw, client=client)
    assert (raw / "data" / "large.bin").read_bytes() == LARGE
    assert kaggle.fetched()[-1].headers["Range"] == f"bytes={here}-"
    assert manifest(raw)["large.bin"]["sha256"] == hashlib.sha256(LARGE).hexdigest()
    assert not (raw / "data" / "large.bin.part").exists()


def test_the_second_half_of_another_file_is_not_taken(kaggle: FakeKaggle, client: Kaggle, raw: Path):
    interrupted(kaggle, client, raw)
    other = bytes(reversed(LARGE))
    kaggle.files = {"large.bin": other}
    kaggle.headers = {"x-goog-hash": None}  # only the ETag tells
    download_competition(SLUG, raw, client=client)
    assert (raw / "data" / "large.bin").read_bytes() == other


def test_a_part_that_is_whole_is_only_renamed(kaggle: FakeKaggle, client: Kaggle, raw: Path):
    kaggle.files = {"large.bin": LARGE}
    (raw / "data").mkdir(parents=True)
    (raw / "data" / "large.bin.part").write_bytes(LARGE)
    told: list[int] = []
    download_competition(SLUG, raw, client=client, progress=lambda name, done, total: told.append(done))
    assert (raw / "data" / "large.bin").read_bytes() == LARGE
    assert [request.headers.get("Range") for request in kaggle.fetched()] == ["bytes=300000-", None]
    assert told == []  # nothing was received


@pytest.mark.parametrize(
    "part", [LARGE + b"more", b"x" * 300_000, b"x" * 1000], ids=["too long", "of another file", "damaged"]
)
def test_a_part_that_does_not_fit_is_thrown_away(
    kaggle: FakeKaggle, client: Kaggle, raw: Path, part: bytes, waits: Waits
):
    kaggle.files = {"large.bin": LARGE}
    kaggle.headers = {"x-goog-hash": kaggle_md5(LARGE)}
    (raw / "data").mkdir(parents=True)
    (raw / "data" / "large.bin.part").write_bytes(part)
    download_competition(SLUG, raw, client=client)
    assert (raw / "data" / "large.bin").read_bytes() == LARGE


def kaggle_md5(content: bytes) -> str:
    import base64

    return f"md5={base64.b64encode(hashlib.md5(content).digest()).decode()}"


@pytest.mark.parametrize("header", ["x-goog-hash", "Content-MD5"])
def test_a_wrong_checksum_for_ever_is_an_error(kaggle: FakeKaggle, client: Kaggle, raw: Path, header: str):
    wrong = kaggle_md5(b"something else")
    kaggle.headers = {"x-goog-hash": None, header: wrong if header != "Content-MD5" else wrong[4:]}
    with pytest.raises(DownloadError, match=r"train\.csv: What arrived is damaged.*Gave up after 4 attempts"):
        download_competition(SLUG, raw, client=client)
    assert "train.csv" not in contents(raw / "data")
    assert len(kaggle.fetched("train.csv")) == 4


def test_the_checksum_of_a_packed_object_is_not_that_of_the_file(
    kaggle: FakeKaggle, client: Kaggle, raw: Path
):
    kaggle.headers = {"x-goog-hash": kaggle_md5(b"packed"), "x-goog-stored-content-encoding": "gzip"}
    assert contents(download_competition(SLUG, raw, client=client).data) == FILES


@pytest.mark.parametrize(
    "more", [{"Connection": "close"}, {"Transfer-Encoding": "chunked"}], ids=["until closed", "in chunks"]
)
def test_without_a_length_the_listed_size_decides(
    kaggle: FakeKaggle, client: Kaggle, raw: Path, more: dict[str, str]
):
    """An answer without a length that ends with its connection looks whole when it is cut."""
    kaggle.files = {"large.bin": LARGE}
    kaggle.headers = {"Content-Length": None, **more}
    kaggle.cuts["large.bin"].append(200_000)
    download_competition(SLUG, raw, client=client)
    assert (raw / "data" / "large.bin").read_bytes() == LARGE
    assert len(kaggle.fetched()) == 2
    assert kaggle.fetched()[1].headers["Range"] != "bytes=0-"


def test_another_size_than_listed_is_an_error(kaggle: FakeKaggle, client: Kaggle, raw: Path):
    kaggle.listed = [("test.csv", 77)]
    kaggle.headers = {"x-goog-hash": None}
    with pytest.raises(DownloadError, match=r"lists test\.csv with 77 bytes and serves 5"):
        download_competition(SLUG, raw, client=client)
    assert contents(raw / "data") == {}


def test_another_size_than_listed_passes_with_a_checksum(
    kaggle: FakeKaggle, client: Kaggle, raw: Path, caplog: pytest.LogCaptureFixture
):
    kaggle.listed = [("test.csv", 77)]
    download_competition(SLUG, raw, client=client)
    assert contents(raw / "data") == {"test.csv": FILES["test.csv"]}
    assert "lists test.csv with 77 bytes and serves 5" in caplog.text
    before = len(kaggle.requests)
    download_competition(SLUG, raw, client=client)
    assert len(kaggle.requests) == before


def test_a_part_of_another_place_is_refused(kaggle: FakeKaggle, client: Kaggle, raw: Path):
    kaggle.files = {"large.bin": LARGE}
    kaggle.cuts["large.bin"].append(200_000)
    kaggle.headers = {"Content-Range": "bytes 5-299999/300000"}
    with pytest.raises(DownloadError, match="the server sends 'bytes 5-299999/300000'"):
        download_competition(SLUG, raw, client=client)


def test_packed_content_is_refused(kaggle: FakeKaggle, client: Kaggle, raw: Path):
    kaggle.headers = {"Content-Encoding": "gzip"}
    with pytest.raises(DownloadError, match="packed with 'gzip', though asked not to"):
        download_competition(SLUG, raw, client=client)
    assert {request.headers["Accept-Encoding"] for request in kaggle.requests} == {"identity"}


# --------------------------------------------------------------------------- trying again


def test_errors_of_the_server_pass(kaggle: FakeKaggle, client: Kaggle, raw: Path, waits: Waits):
    kaggle.answers["ListDataFiles"].extend([error(500), error(503), error(502)])
    kaggle.answers["DownloadDataFile"].append(error(500))
    kaggle.answers["train.csv"].append(error(503))  # the storage's
    kaggle.answers["ListCompetitionPages"].append(error(504))
    kaggle.answers["GetLeaderboard"].append(error(500))
    download = download_competition(SLUG, raw, client=client)
    assert contents(download.data) == FILES
    assert len(contents(download.pages)) == 2
    assert download.leaderboard is not None
    assert waits == [1.0, 2.0, 4.0, 1.0, 2.0, 1.0, 1.0]


def test_errors_for_ever_end_after_the_attempts(kaggle: FakeKaggle, client: Kaggle, raw: Path, waits: Waits):
    kaggle.answers["ListDataFiles"].extend([error(503, "Down for\n repair")] * 9)
    with pytest.raises(DownloadError) as caught:
        download_competition(SLUG, raw, client=client)
    assert str(caught.value) == (
        "Kaggle answered ListDataFiles with 503: Down for repair. Gave up after 4 attempts. "
        "Run it again later: what was downloaded is kept."
    )
    assert len(kaggle.asked("ListDataFiles")) == 4
    assert waits == [1.0, 2.0, 4.0]


def test_a_file_that_never_comes_names_itself_and_keeps_the_others(
    kaggle: FakeKaggle, client: Kaggle, raw: Path
):
    kaggle.answers["test.csv"].extend([error(500)] * 4)
    with pytest.raises(
        DownloadError, match=r"^test\.csv: localhost:\d+ answered 500.*Gave up after 4 attempts"
    ):
        download_competition(SLUG, raw, client=client)
    assert list(manifest(raw)) == ["train.csv"]
    download_competition(SLUG, raw, client=client)
    assert len(kaggle.fetched("train.csv")) == 1
    assert contents(raw / "data") == FILES


def test_a_file_that_breaks_for_ever_ends_after_the_attempts(kaggle: FakeKaggle, client: Kaggle, raw: Path):
    kaggle.cuts["train.csv"].extend([10] * 9)
    with pytest.raises(DownloadError, match=r"train\.csv: .*broke off.*Gave up after 4 attempts"):
        download_competition(SLUG, raw, client=client)
    assert len(kaggle.fetched("train.csv")) == 4


def test_headway_is_no_failure(
    kaggle: FakeKaggle, client: Kaggle, raw: Path, monkeypatch: pytest.MonkeyPatch, waits: Waits
):
    monkeypatch.setattr("mledojo_env.prepare.download._HEADWAY", 20_000)
    kaggle.files = {"large.bin": LARGE}
    kaggle.cuts["large.bin"].extend([100_000] * 4)
    download_competition(SLUG, raw, client=client)
    assert (raw / "data" / "large.bin").read_bytes() == LARGE
    assert waits == [1.0] * 4


def test_too_many_requests_wait_as_long_as_asked(kaggle: FakeKaggle, client: Kaggle, raw: Path, waits: Waits):
    kaggle.answers["ListDataFiles"].append(error(429, "Slow down", Retry_After="17"))
    date = datetime.fromtimestamp(time.time() + 100, UTC).strftime("%a, %d %b %Y %H:%M:%S GMT")
    kaggle.answers["train.csv"].append(error(429, Retry_After=date))
    download_competition(SLUG, raw, client=client)
    assert waits[0] == 17 + 1.0
    assert 95 < waits[1] <= 101
    assert len(waits) == 2


def test_too_long_a_wait_is_left_to_the_user(kaggle: FakeKaggle, client: Kaggle, raw: Path, waits: Waits):
    kaggle.answers["ListDataFiles"].append(error(429, Retry_After="86400"))
    with pytest.raises(DownloadError, match="asks to wait for 86400 s, longer than 900 s"):
        download_competition(SLUG, raw, client=client)
    assert waits == []


def test_a_link_that_ran_out_is_made_anew(kaggle: FakeKaggle, client: Kaggle, raw: Path):
    kaggle.answers["train.csv"].append(Answer(403, b"<Error>ExpiredToken</Error>"))
    assert contents(download_competition(SLUG, raw, client=client).data) == FILES
    assert len(kaggle.asked("DownloadDataFile")) == len(FILES) + 1


def test_a_server_that_is_not_there_is_named(raw: Path, waits: Waits):
    backoff = Backoff(attempts=2, sleep=waits.append)
    client = Kaggle(Credentials("a test", TOKEN), url="http://127.0.0.1:9/api", backoff=backoff)
    with pytest.raises(DownloadError, match=r"No connection to 127\.0\.0\.1:9: Connection refused\."):
        download_competition(SLUG, raw, client=client)
    assert len(waits) == 1


def test_a_server_that_never_answers_is_given_up(kaggle: FakeKaggle, raw: Path, waits: Waits):
    kaggle.silent.set()
    client = Kaggle(backoff=Backoff(attempts=2, sleep=waits.append), timeouts_s=(0.05, 0.05))
    with pytest.raises(DownloadError, match=r"does not answer in time\. Gave up after 2 attempts"):
        download_competition(SLUG, raw, client=client)


def test_an_answer_that_is_not_kaggles_is_tried_again(kaggle: FakeKaggle, client: Kaggle, raw: Path):
    page = Answer(200, b"<html>Log in to this hotel's network</html>", {"Content-Type": "text/html"})
    kaggle.answers["ListDataFiles"].extend([page] * 4)
    with pytest.raises(DownloadError, match=r"answer of .* to ListDataFiles is not Kaggle's: text/html"):
        download_competition(SLUG, raw, client=client)


def test_waits_double_up_to_the_longest_with_jitter():
    waits: Waits = []
    jitters = iter([0.0, 0.5, 1.0, 0.0, 1.0])
    backoff = Backoff(attempts=6, first_s=2, longest_s=10, sleep=waits.append, jitter=lambda: next(jitters))

    def fail() -> None:
        raise TryAgain("No.")

    with pytest.raises(DownloadError, match=r"^No\. Gave up after 6 attempts\."):
        backoff.call(fail)
    assert waits == [1.0, 3.0, 8.0, 5.0, 10.0]


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        ("120", 120),
        (" 0 ", 0),
        ("Fri, 31 Dec 1999 23:59:59 GMT", 59),
        ("Fri, 31 Dec 1999 23:59:59 -0000", 59),
        ("Fri, 31 Dec 1999 20:00:00 GMT", 0),
        ("soon", None),
        ("-5", None),
        (None, None),
    ],
)
def test_retry_after_is_seconds_or_a_date(header: str | None, seconds: float | None):
    assert retry_after_s(header, datetime(1999, 12, 31, 23, 59, 0, tzinfo=UTC)) == seconds


# --------------------------------------------------------------------------- refused


def test_refused_credentials_are_named_and_never_shown(
    kaggle: FakeKaggle, client: Kaggle, raw: Path, caplog: pytest.LogCaptureFixture
):
    caplog.set_level(logging.DEBUG)
    kaggle.answers["ListDataFiles"].append(error(401, f"bad token {TOKEN} given"))
    with pytest.raises(DownloadError) as caught:
        download_competition(SLUG, raw, client=client)
    text = str(caught.value)
    assert (
        "refused the credentials from the environment variable KAGGLE_API_TOKEN (401: bad token ***" in text
    )
    assert "https://www.kaggle.com/settings/api" in text
    assert TOKEN not in text + caplog.text + repr(client.credentials)
    assert len(kaggle.requests) == 1


def test_rules_to_accept_are_linked(kaggle: FakeKaggle, client: Kaggle, raw: Path, waits: Waits):
    kaggle.answers["DownloadDataFile"].append(error(403, "You must accept this competition\u0027s rules"))
    with pytest.raises(DownloadError) as caught:
        download_competition(SLUG, raw, client=client)
    text = str(caught.value)
    assert "https://www.kaggle.com/competitions/offline-demo/rules " in text
    assert "403: You must accept this competition's rules" in text
    assert waits == []


def test_an_unknown_competition_is_named(kaggle: FakeKaggle, client: Kaggle, raw: Path):
    with pytest.raises(DownloadError, match=r"knows no competition 'titanc'.*competitions/titanc"):
        download_competition("titanc", raw, client=client)


def test_an_error_in_a_success_is_an_error(kaggle: FakeKaggle, client: Kaggle):
    body = json.dumps({"code": 403, "message": "Accept the rules"}).encode()
    kaggle.answers["ListDataFiles"].append(Answer(200, body, {"Content-Type": "application/json"}))
    with pytest.raises(DownloadError, match="403: Accept the rules"):
        client.files(SLUG)


@pytest.mark.parametrize(
    "slug", ["", "../x", "a b", "-x", "titanic/", "https://www.kaggle.com/competitions/titanic/overview"]
)
def test_what_is_no_name_of_a_competition_is_refused(kaggle: FakeKaggle, raw: Path, slug: str):
    with pytest.raises(DownloadError, match="is no competition's name") as caught:
        download_competition(slug, raw)
    assert ("Did you mean 'titanic'?" in str(caught.value)) == slug.startswith("https")
    assert not raw.exists()
    assert kaggle.requests == []


def test_no_files_is_an_error(kaggle: FakeKaggle, client: Kaggle, raw: Path):
    kaggle.files = {}
    with pytest.raises(DownloadError, match="lists no data files for offline-demo"):
        download_competition(SLUG, raw, client=client)


def test_the_disk_is_looked_at_before_anything_is_downloaded(
    kaggle: FakeKaggle, client: Kaggle, raw: Path, monkeypatch: pytest.MonkeyPatch
):
    kaggle.files = {"large.bin": LARGE, "small.bin": b"x" * 1500}
    (raw / "data").mkdir(parents=True)
    (raw / "data" / "large.bin.part").write_bytes(LARGE[:100_000])
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage(10**6, 0, 201_499))
    with pytest.raises(DownloadError, match=r"needs 201\.5 kB more, and .*raw/data has 201\.5 kB free"):
        download_competition(SLUG, raw, client=client)
    assert kaggle.fetched() == []
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage(10**6, 0, 201_500))
    assert contents(download_competition(SLUG, raw, client=client).data) == kaggle.files


def test_a_disk_that_fills_up_is_an_error_and_keeps_the_part(
    kaggle: FakeKaggle, client: Kaggle, raw: Path, monkeypatch: pytest.MonkeyPatch
):
    def full(descriptor: int) -> None:
        if os.readlink(f"/proc/self/fd/{descriptor}").endswith(".part"):
            raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr("mledojo_env.prepare.download.os.fsync", full)
        with pytest.raises(DownloadError, match=r"Cannot write offline-demo to .*No space left.*Make room"):
            download_competition(SLUG, raw, client=client)
    assert list(contents(raw / "data")) == ["train.csv.part"]
    assert contents(download_competition(SLUG, raw, client=client).data) == FILES


HOSTILE = [
    ["../evil.csv"],
    ["a/../../evil.csv"],
    ["/etc/evil.csv"],
    ["..\\evil.csv"],
    ["C:\\evil.csv"],
    ["c:evil.csv"],
    [""],
    ["a//b.csv"],
    ["./a.csv"],
    ["folder/"],
    ["a\nb.csv"],
    ["a\0b.csv"],
    ["\ud800.csv"],
    ["x" * 300],
    ["caf\u00e9.csv", "cafe\u0301.csv"],
    ["a/b.csv", "a\\b.csv"],
    ["a.csv", "a.csv.part"],
    ["a.csv.part", "a.csv"],
    ["a", "a/b.csv"],
    ["a/b/c.csv", "a/b"],
]


@pytest.mark.parametrize("names", HOSTILE, ids=lambda names: repr(names)[:30])
def test_names_that_lead_elsewhere_are_refused(
    kaggle: FakeKaggle, client: Kaggle, raw: Path, tmp_path: Path, names: list[str]
):
    kaggle.listed = [("fine.csv", 1)] + [(name, 1 + i) for i, name in enumerate(names)]
    with pytest.raises(DownloadError, match="by a name that cannot be used"):
        download_competition(SLUG, raw, client=client)
    assert kaggle.asked("DownloadDataFile") == []
    assert contents(raw / "data") == {}


def test_two_sizes_of_one_name_are_refused_and_a_repeated_entry_is_not(
    kaggle: FakeKaggle, client: Kaggle, raw: Path
):
    kaggle.listed = [("test.csv", 5), ("test.csv", 6)]
    with pytest.raises(DownloadError, match=r"collides with 'test\.csv'"):
        download_competition(SLUG, raw, client=client)
    kaggle.listed = [("test.csv", 5), ("test.csv", 5)]
    download_competition(SLUG, raw, client=client)
    assert len(kaggle.fetched()) == 1


@pytest.mark.parametrize("name", ["../evil", "", "/evil", "a\\..\\b"])
def test_names_of_pages_are_not_trusted_either(kaggle: FakeKaggle, client: Kaggle, raw: Path, name: str):
    kaggle.pages = [("fine", "text"), (name, "text")]
    with pytest.raises(DownloadError, match="by a name that cannot be used"):
        download_competition(SLUG, raw, client=client)
    assert contents(raw / "pages") == {}


def test_a_size_that_is_none_is_refused(kaggle: FakeKaggle, client: Kaggle):
    kaggle.listed = [("a.csv", -1)]
    with pytest.raises(DownloadError, match=r"lists 'a\.csv' of offline-demo with a size of -1"):
        client.files(SLUG)


# --------------------------------------------------------------------------- the leaderboard


@pytest.mark.parametrize("status", [403, 404])
def test_a_leaderboard_that_cannot_be_had_is_no_error(
    kaggle: FakeKaggle, client: Kaggle, raw: Path, caplog: pytest.LogCaptureFixture, status: int
):
    kaggle.answers["GetLeaderboard"].append(error(status, "hidden"))
    download = download_competition(SLUG, raw, client=client)
    assert download.leaderboard is None
    assert not (raw / "leaderboard.csv").exists()
    assert "The leaderboard of offline-demo cannot be had: Kaggle" in caplog.text
    assert download_competition(SLUG, raw, client=client).leaderboard == raw / "leaderboard.csv"


def test_a_leaderboard_without_scores_is_none(
    kaggle: FakeKaggle, client: Kaggle, raw: Path, caplog: pytest.LogCaptureFixture
):
    kaggle.private, kaggle.public = [(1, "ants", "")], [(1, "ants", "nan"), (2, "bees", "-")]
    assert download_competition(SLUG, raw, client=client).leaderboard is None
    assert "no team on it has a score" in caplog.text


def test_scores_that_are_no_numbers_are_blank(kaggle: FakeKaggle, client: Kaggle, raw: Path):
    kaggle.private, kaggle.public = [(1, "ants", "inf"), (2, "", "1e-3")], [(1, "ants", "-4")]
    path = download_competition(SLUG, raw, client=client).leaderboard
    assert path is not None
    assert path.read_text() == "team,public_score,private_score\nants,-4,\n2,,1e-3\n"


def test_teams_are_told_apart_by_their_ids(kaggle: FakeKaggle, client: Kaggle, raw: Path):
    kaggle.private = [(1, "twins", "1"), (2, "twins", "2")]
    kaggle.public = [(2, "twins", "20"), (1, "renamed", "10")]
    path = download_competition(SLUG, raw, client=client).leaderboard
    assert path is not None
    assert path.read_text() == "team,public_score,private_score\ntwins,10,1\ntwins,20,2\n"


def test_the_public_board_does_not_pass_for_the_private_one(
    kaggle: FakeKaggle, client: Kaggle, raw: Path, caplog: pytest.LogCaptureFixture
):
    kaggle.private = None
    path = download_competition(SLUG, raw, client=client).leaderboard
    assert path is not None
    assert path.read_text().splitlines()[1:] == ["bees,0.95,", "ants,0.91,", "late,0.2,"]
    assert "only one leaderboard" in caplog.text


# --------------------------------------------------------------------------- credentials


def test_no_credentials_say_how_to_get_some(raw: Path, kaggle: FakeKaggle, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.delenv("KAGGLE_API_TOKEN")
    with pytest.raises(DownloadError) as caught:
        download_competition(SLUG, raw)
    text = str(caught.value)
    for part in (
        "Sign in at",
        "https://www.kaggle.com/settings/api",
        "KAGGLE_API_TOKEN",
        "~/.kaggle/access_token",
    ):
        assert part in text
    assert "\n" not in text
    assert kaggle.requests == []
    monkeypatch.setenv("KAGGLE_KEY", "secret-key")
    with pytest.raises(DownloadError, match="KAGGLE_KEY is set without KAGGLE_USERNAME") as caught:
        find_credentials()
    assert "secret-key" not in str(caught.value)


def test_credentials_are_looked_for_in_order(home: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    folder = home / ".kaggle"
    folder.mkdir()
    legacy = {"username": "ann", "key": "key-file"}
    (folder / "kaggle.json").write_text(json.dumps(legacy))
    found = find_credentials()
    assert (found.username, found.secret, found.source) == (
        "ann",
        "key-file",
        f"the file {folder / 'kaggle.json'}",
    )
    monkeypatch.setenv("KAGGLE_USERNAME", "bob")
    monkeypatch.setenv("KAGGLE_KEY", "key-variable")
    assert (find_credentials().username, find_credentials().secret) == ("bob", "key-variable")
    (folder / "access_token").write_text("token-file\n")
    assert (find_credentials().username, find_credentials().secret) == (None, "token-file")
    monkeypatch.setenv("KAGGLE_API_TOKEN", "token-variable")
    assert find_credentials() == Credentials("the environment variable KAGGLE_API_TOKEN", "token-variable")
    (tmp_path / "token").write_text("token-path")
    monkeypatch.setenv("KAGGLE_API_TOKEN", str(tmp_path / "token"))
    assert find_credentials().secret == "token-path"
    monkeypatch.setenv("KAGGLE_API_TOKEN", "~/.kaggle/kaggle.json")
    assert find_credentials().username == "ann"
    monkeypatch.setenv("KAGGLE_API_TOKEN", "t" * 3000)  # longer than a file's name may be
    assert find_credentials().secret == "t" * 3000


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("kaggle.json", '{"username": "ann", "key": "sec-ret"', r"kaggle\.json should hold"),
        ("kaggle.json", '{"username": "ann", "kee": "sec-ret"}', r"kaggle\.json should hold"),
        ("kaggle.json", '{"username": 1, "key": "sec-ret"}', r"kaggle\.json should hold"),
        ("access_token", "  \n", r"access_token holds no Kaggle token"),
        ("access_token", "sec-ret\nX-Header: 1", r"access_token holds is not a Kaggle token"),
        ("access_token", "sec-ret token", r"access_token holds is not a Kaggle token"),
        ("access_token", "sec-ret\u20ac", r"access_token holds is not a Kaggle token"),
    ],
)
def test_broken_credentials_are_named_and_never_shown(home: Path, name: str, content: str, message: str):
    (home / ".kaggle").mkdir()
    (home / ".kaggle" / name).write_text(content)
    with pytest.raises(DownloadError, match=message) as caught:
        find_credentials()
    assert "sec-ret" not in str(caught.value)


def test_a_token_file_that_is_not_there_is_named(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("KAGGLE_API_TOKEN", "/no/such/token")
    with pytest.raises(DownloadError, match="KAGGLE_API_TOKEN looks like a path, and there is no such file"):
        find_credentials()


@pytest.mark.parametrize("kind", ["token", "legacy"])
def test_credentials_go_to_the_api_and_never_to_the_storage(
    kaggle: FakeKaggle, raw: Path, monkeypatch: pytest.MonkeyPatch, kind: str
):
    expected = f"Bearer {TOKEN}"
    if kind == "legacy":
        monkeypatch.delenv("KAGGLE_API_TOKEN")
        monkeypatch.setenv("KAGGLE_USERNAME", "ann")
        monkeypatch.setenv("KAGGLE_KEY", "key")
        expected = "Basic YW5uOmtleQ=="
        kaggle.authorizations = {expected}
    download_competition(SLUG, raw)
    assert {r.headers.get("Authorization") for r in kaggle.requests if r.host == "api"} == {expected}
    assert len(kaggle.fetched()) == len(FILES)
    for request in kaggle.fetched():
        assert "Authorization" not in request.headers
        assert TOKEN not in str(request.headers)


def test_links_to_files_are_not_shown(
    kaggle: FakeKaggle, client: Kaggle, raw: Path, caplog: pytest.LogCaptureFixture
):
    caplog.set_level(logging.DEBUG, "mledojo_env")
    kaggle.cuts["train.csv"].extend([3] * 4)
    with pytest.raises(DownloadError) as caught:
        download_competition(SLUG, raw, client=client)
    assert "Signature" not in str(caught.value) + caplog.text
    assert "Attempt 2 of 4" in caplog.text


# --------------------------------------------------------------------------- kagglesdk


def test_without_kagglesdk_the_install_line_is_said(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(sys.modules, "kagglesdk.competitions.types.competition_api_service", None)
    with pytest.raises(DownloadError, match=r"Run: pip install 'mledojo-train\[kaggle\]'"):
        Kaggle(Credentials("a test", TOKEN))


@pytest.mark.parametrize(
    ("environment", "url"),
    [
        (None, "https://api.kaggle.com"),
        ("TEST", "http://localhost:7777/api"),
        ("QA", "https://qa.kaggle.com/api"),
    ],
)
def test_the_address_is_kagglesdks(monkeypatch: pytest.MonkeyPatch, environment: str | None, url: str):
    if environment:
        monkeypatch.setenv("KAGGLE_API_ENVIRONMENT", environment)
    assert Kaggle(Credentials("a test", TOKEN)).url == url


def test_an_unknown_environment_is_named(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("KAGGLE_API_ENVIRONMENT", "MARS")
    with pytest.raises(DownloadError, match='"MARS"'):
        Kaggle(Credentials("a test", TOKEN))


def test_kagglesdks_own_client_asks_the_same(
    kaggle: FakeKaggle, client: Kaggle, monkeypatch: pytest.MonkeyPatch
):
    """The transport is ours; what it sends must be what kagglesdk's sends."""
    from kagglesdk import KaggleClient
    from kagglesdk.competitions.types import competition_api_service as messages

    kaggle.page_size = 10
    client.files(SLUG)
    client.pages(SLUG)
    client.leaderboard(SLUG)
    with client.open(SLUG, "train.csv") as stream:
        assert b"".join(stream) == FILES["train.csv"]
    ours, kaggle.requests = kaggle.requests, []

    monkeypatch.setenv("KAGGLE_API_ENVIRONMENT", "TEST")
    monkeypatch.setattr(
        "kagglesdk.kaggle_http_client.get_endpoint", lambda environment: kaggle.url.removesuffix("/api")
    )
    with KaggleClient(api_token=TOKEN) as official:
        service = official.competitions.competition_api_client
        listing = messages.ApiListDataFilesRequest()
        listing.competition_name, listing.page_size = SLUG, 200
        assert [file.name for file in service.list_data_files(listing).files] == list(FILES)
        pages = messages.ApiListCompetitionPagesRequest()
        pages.competition_name = SLUG
        service.list_competition_pages(pages)
        for is_public in (False, True):
            board = messages.ApiGetLeaderboardRequest()
            board.competition_name, board.override_public, board.page_size = SLUG, is_public, 200
            service.get_leaderboard(board)
        file = messages.ApiDownloadDataFileRequest()
        file.competition_name, file.file_name = SLUG, "train.csv"
        assert service.download_data_file(file).content == FILES["train.csv"]

    def essence(requests: list[Any]) -> list[Any]:
        names = ("Authorization", "Content-Type")
        return [(r.host, r.method, r.body, [r.headers.get(name) for name in names]) for r in requests]

    assert essence(ours) == essence(kaggle.requests)
    assert len(ours) == 6


# --------------------------------------------------------------------------- several at once


def test_of_two_downloads_to_one_place_one_waits(
    kaggle: FakeKaggle, client: Kaggle, raw: Path, caplog: pytest.LogCaptureFixture
):
    raw.mkdir()
    with (raw / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        thread = threading.Thread(target=download_competition, args=(SLUG, raw), kwargs={"client": client})
        thread.start()
        deadline = time.monotonic() + 10
        while "waiting until it is done" not in caplog.text and time.monotonic() < deadline:
            time.sleep(0.01)
        assert f"Another process writes {raw}; waiting" in caplog.text
        time.sleep(0.1)  # time enough to begin, if it did not wait
        assert kaggle.requests == []
    thread.join(10)
    assert contents(raw / "data") == FILES
