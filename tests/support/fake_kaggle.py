"""Kaggle on the loopback: its API on one host:port and, behind redirects, its storage on another.

It answers what the tests of downloads ask for as Kaggle does, and misbehaves on request.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
import socket
import threading
from collections import defaultdict, deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any
from urllib.parse import quote, unquote, urlsplit

SLUG = "offline-demo"
TOKEN = "KGAT_0123456789abcdef"
SERVICE = "/api/v1/competitions.CompetitionApiService/"


@dataclass(frozen=True)
class Request:
    """One request as it arrived."""

    host: str  # "api" or "storage"
    method: str  # "ListDataFiles", or a file's name
    headers: Mapping[str, str]
    body: dict[str, Any]


@dataclass(frozen=True)
class Answer:
    """An answer in place of the usual one."""

    status: int
    body: bytes = b""
    headers: Mapping[str, str | None] = field(default_factory=dict)  # None: without that one


def error(status: int, message: str = "", **headers: str) -> Answer:
    """Return an error in Kaggle's form; `Retry_After="1"` becomes a header."""
    body = json.dumps({"code": status, "message": message}).encode()
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return Answer(status, body, {"Content-Type": "application/json", **named})


class Server(ThreadingHTTPServer):
    """A server that says nothing about clients that go away."""

    daemon_threads = True

    def handle_error(self, request: Any, client_address: Any) -> None:
        pass


class FakeKaggle:
    """A server with one competition; its attributes may be changed at any time.

    Attributes:
        slug: The competition.
        files: Kaggle's names and contents.
        listed: Names and sizes in the list, if not those of `files`.
        pages: Names and contents.
        private: Rows of the private board: team id, team name, score. None: there is none, and Kaggle gives
            the public one.
        public: Rows of the public board.
        page_size: The most entries it gives at once, whatever it is asked for.
        zipped: Files that it serves as a zip, whose content is here.
        answers: By method of the API or name of a file: answers to give first, one a request.
        cuts: By name of a file: after how many bytes the next answers break off.
        knows_ranges: Whether it honours Range.
        headers: Headers for the content of files, in place of the usual ones; None: without that one.
        redirects: Whether files come from the storage, or else from the API itself.
        authorizations: The Authorization headers it accepts.
        requests: All requests so far.
    """

    def __init__(self, slug: str = SLUG) -> None:
        self.slug = slug
        self.files: dict[str, bytes] = {}
        self.listed: list[tuple[str, int]] | None = None
        self.pages: list[tuple[str, str]] = []
        self.private: list[tuple[int, str, str]] | None = []
        self.public: list[tuple[int, str, str]] = []
        self.page_size = 2
        self.zipped: dict[str, bytes] = {}
        self.answers: defaultdict[str, deque[Answer]] = defaultdict(deque)
        self.cuts: defaultdict[str, deque[int]] = defaultdict(deque)
        self.knows_ranges = True
        self.headers: dict[str, str | None] = {}
        self.redirects = True
        self.authorizations = {f"Bearer {TOKEN}"}
        self.requests: list[Request] = []
        self.silent = threading.Event()  # set: it takes requests and never answers
        self.released = threading.Event()
        self._servers = [self._server("api"), self._server("storage")]
        self.url = f"http://127.0.0.1:{self._servers[0].server_port}/api"
        self.storage = f"http://localhost:{self._servers[1].server_port}"

    def __enter__(self) -> FakeKaggle:
        for server in self._servers:
            threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.released.set()
        for server in self._servers:
            server.shutdown()
            server.server_close()

    def asked(self, method: str) -> list[Request]:
        """Return the requests to a method of the API."""
        return [request for request in self.requests if (request.host, request.method) == ("api", method)]

    def fetched(self, name: str | None = None) -> list[Request]:
        """Return the requests to the storage, of one file or all."""
        return [r for r in self.requests if r.host == "storage" and (name is None or r.method == name)]

    def _server(self, host: str) -> ThreadingHTTPServer:
        kaggle = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True  # a body would wait for the headers' acknowledgement, 40 ms

            def do_POST(self) -> None:
                kaggle._post(self)

            def do_GET(self) -> None:
                kaggle._get(self)

            def log_message(self, format: str, *arguments: Any) -> None:
                pass

        Handler.host = host  # type: ignore[attr-defined]
        return Server(("127.0.0.1", 0), Handler)

    # ----------------------------------------------------------------------- the API

    def _post(self, handler: Any) -> None:
        length = int(handler.headers.get("Content-Length", 0))
        body = json.loads(handler.rfile.read(length) or b"{}")
        path = urlsplit(handler.path).path
        method = path.removeprefix(SERVICE)
        self.requests.append(Request(handler.host, method, dict(handler.headers), body))
        if self.silent.is_set():
            self.released.wait(10)
            handler.close_connection = True
            return
        if handler.host != "api" or method == path:
            answer = error(404, "no such address")
        elif self.answers[method]:
            answer = self.answers[method].popleft()
        elif handler.headers.get("Authorization") not in self.authorizations:
            answer = error(401, "Unauthenticated")
        elif body.get("competitionName") != self.slug:
            answer = error(404, "Competition not found")
        elif method == "DownloadDataFile":
            self._file(handler, body["fileName"])
            return
        else:
            answer = self._answer(method, body)
        send(handler, answer)

    def _answer(self, method: str, body: dict[str, Any]) -> Answer:
        content: dict[str, Any]
        if method == "ListDataFiles":
            listed = self.listed
            if listed is None:
                listed = [(name, len(content)) for name, content in self.files.items()]
            entries = [{"name": name, "ref": name, "totalBytes": size} for name, size in listed]
            content = self._page("files", entries, body)
        elif method == "ListCompetitionPages":
            content = {"pages": [{"name": name, "content": text} for name, text in self.pages]}
        elif method == "GetLeaderboard":
            is_public = body.get("overridePublic", False) or self.private is None
            board = self.public if is_public else self.private or []
            rows = [{"teamId": team, "teamName": name, "score": score} for team, name, score in board]
            content = self._page("submissions", rows, body)
        else:
            return error(404, "no such method")
        return Answer(200, json.dumps(content).encode(), {"Content-Type": "application/json; charset=utf-8"})

    def _page(self, name: str, entries: list[Any], body: dict[str, Any]) -> dict[str, Any]:
        first = int(body.get("pageToken") or 0)
        last = first + min(self.page_size, body.get("pageSize") or 20)
        token = {"nextPageToken": str(last)} if last < len(entries) else {}
        return {name: entries[first:last], **token}

    # ----------------------------------------------------------------------- files

    def _file(self, handler: Any, name: str) -> None:
        if name not in self.files:
            send(handler, error(404, "File not found"))
        elif self.redirects:
            served = f"{name}.zip" if name in self.zipped else name
            link = f"{self.storage}/bucket/{quote(served)}?Signature=of-this-link"
            send(handler, Answer(302, b"", {"Location": link}))
        else:
            self._content(handler, name)

    def _get(self, handler: Any) -> None:
        served = unquote(urlsplit(handler.path).path).removeprefix("/bucket/")
        name = served if served in self.files else served.removesuffix(".zip")
        self.requests.append(Request(handler.host, name, dict(handler.headers), {}))
        if self.answers[name]:
            send(handler, self.answers[name].popleft())
        else:
            self._content(handler, name)

    def _content(self, handler: Any, name: str) -> None:
        whole = self.zipped.get(name, self.files[name])
        wanted = re.fullmatch(r"bytes=(\d+)-", handler.headers.get("Range", ""))
        start = int(wanted[1]) if wanted and self.knows_ranges else 0
        headers = {
            "Content-Type": "application/json" if name.endswith(".json") else "application/octet-stream",
            "Content-Length": str(len(whole) - start),
            "ETag": f'"{hashlib.sha256(whole).hexdigest()[:12]}"',
            "x-goog-hash": f"crc32c=AAAAAA==,md5={base64.b64encode(hashlib.md5(whole).digest()).decode()}",
        }
        if start:
            headers["Content-Range"] = f"bytes {start}-{len(whole) - 1}/{len(whole)}"
        if start and start >= len(whole):
            send(handler, Answer(416, b"beyond the end", {"Content-Range": f"bytes */{len(whole)}"}))
            return
        cut = self.cuts[name].popleft() if self.cuts[name] else None
        send(handler, Answer(206 if start else 200, whole[start:], {**headers, **self.headers}), cut)


def send(handler: Any, answer: Answer, cut: int | None = None) -> None:
    """Write an answer; with `cut` only so many bytes of its body, and then break the connection."""
    body = answer.body if cut is None else answer.body[:cut]
    handler.send_response(answer.status)
    for name, value in {"Content-Length": str(len(answer.body)), **answer.headers}.items():
        if value is not None:
            handler.send_header(name, value)
    handler.end_headers()
    if answer.headers.get("Transfer-Encoding") == "chunked":
        body = b"".join(b"%x\r\n%s\r\n" % (len(part), part) for part in _parts(body))
        body += b"0\r\n\r\n" if cut is None else b""
    handler.wfile.write(body)
    if cut is not None or answer.headers.get("Connection") == "close":
        handler.wfile.flush()
        handler.close_connection = True
        handler.connection.shutdown(socket.SHUT_RDWR)


def _parts(body: bytes) -> list[bytes]:
    return [body[first : first + 10_000] for first in range(0, len(body), 10_000)]
