"""Kaggle's competitions as four questions: files, one file's bytes, pages, leaderboard.

The requests and answers are kagglesdk's; what carries them is ours. kagglesdk's own HTTP client has no
timeout, sends no Range, and reads every file that is served as JSON whole into memory, to look for an error.

`KAGGLE_API_ENVIRONMENT=TEST` makes kagglesdk speak to http://localhost:7777; `MLEDOJO_KAGGLE_URL` names any
other address of a server that speaks Kaggle's API.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from types import TracebackType
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import unquote, urlsplit

from mledojo_env.errors import CredentialsError, DownloadError
from mledojo_env.prepare.backoff import Backoff, TryAgain, retry_after_s
from mledojo_env.prepare.kaggle_credentials import NEW_TOKEN, Credentials, find_credentials

if TYPE_CHECKING:
    import requests

T = TypeVar("T")

INSTALL = "pip install 'mledojo-train[kaggle]'"

_PAGE_SIZE = 200  # the most that Kaggle gives at once
_CHUNK = 64 * 1024  # small, for what a broken connection leaves of a chunk is lost
_TIMEOUTS_S = (10.0, 60.0)  # to connect, and between two pieces of an answer


@dataclass(frozen=True)
class DataFile:
    """One file of a competition's data: Kaggle's name for it, with folders, and its size in bytes.

    The name is the server's and is not to be trusted as a path. A size of 0 may mean that Kaggle knows none.
    """

    name: str
    size: int


@dataclass(frozen=True)
class Page:
    """One page of a competition, such as its description, in Markdown or HTML."""

    name: str
    content: str


@dataclass(frozen=True)
class Team:
    """A team's scores on both parts, as Kaggle writes them; empty where the team is missing on one."""

    name: str
    public_score: str
    private_score: str


class FileStream:
    """The bytes of one file from `start` on, to be read once, inside a `with`.

    Attributes:
        start: Where the bytes begin: the offset asked for, or 0 if the server ignores offsets.
        total: The size of the whole file in bytes, if the server says.
        md5: The whole file's MD5 in Base64, if the server says.
        etag: Changes when the file does; None if the server gives none.
        is_zipped: Kaggle serves a zip of the file in place of the file.
    """

    def __init__(self, response: requests.Response, name: str, start: int, total: int | None) -> None:
        headers = response.headers
        self.start = start
        self.total = total
        self.md5 = _md5(headers)
        self.etag = headers.get("ETag")
        served = unquote(urlsplit(response.url).path).rpartition("/")[2]
        self.is_zipped = bool(response.history) and served == name.rpartition("/")[2] + ".zip"
        self._response = response

    def __iter__(self) -> Iterator[bytes]:
        """Give the bytes piece by piece.

        Raises:
            TryAgain: If the connection breaks; what was given so far is good.
        """
        with _translated(self._response.url):
            yield from self._response.iter_content(_CHUNK)

    def __enter__(self) -> FileStream:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._response.close()


class Kaggle:
    """A connection to Kaggle for one user.

    Args:
        credentials: Looked for where Kaggle's own tools look, if not given.
        url: The address of the API, such as http://localhost:7777/api; if not given, MLEDOJO_KAGGLE_URL or
            what kagglesdk says.
        backoff: What to do about failures that pass.
        timeouts_s: Seconds to connect, and between two pieces of an answer.

    Raises:
        DownloadError: If kagglesdk is not installed, or there are no credentials.
    """

    def __init__(
        self,
        credentials: Credentials | None = None,
        *,
        url: str | None = None,
        backoff: Backoff | None = None,
        timeouts_s: tuple[float, float] = _TIMEOUTS_S,
    ) -> None:
        try:
            import kagglesdk.competitions.types.competition_api_service as messages
            import requests
            from kagglesdk.kaggle_env import KaggleEnv, get_endpoint, get_env
            from kagglesdk.kaggle_http_client import KaggleHttpClient
        except ImportError as error:
            raise DownloadError(
                f"Downloads from Kaggle need the package {error.name or 'kagglesdk'}. Run: {INSTALL}"
            ) from error
        self.credentials = credentials or find_credentials()
        self.backoff = backoff or Backoff()
        self._messages: Any = messages
        url = url or os.environ.get("MLEDOJO_KAGGLE_URL")
        if not url:
            try:
                environment = get_env()
            except Exception as error:  # kagglesdk raises nothing narrower for a value it does not know
                raise DownloadError(f"kagglesdk: {error}") from error
            url = get_endpoint(environment) + ("" if environment == KaggleEnv.PROD else "/api")
        self.url = url.rstrip("/")
        self._timeouts_s = timeouts_s
        self._session = requests.Session()
        # Packed in transit, a file could neither be measured nor resumed.
        self._session.headers.update({"User-Agent": "mledojo-train", "Accept-Encoding": "identity"})
        secret, username = self.credentials.secret, self.credentials.username
        # As `auth` and not as a header: requests drops it on the way to another host.
        self._session.auth = (username, secret) if username else KaggleHttpClient.BearerAuth(secret)

    def __enter__(self) -> Kaggle:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._session.close()

    def files(self, slug: str) -> list[DataFile]:
        """Return all files of a competition's data, in Kaggle's order."""
        request = self._messages.ApiListDataFilesRequest()
        request.competition_name = slug
        found = []
        for answer in self._pages_of(request, lambda: self._service(slug).list_data_files(request)):
            for file in answer.files:
                size = file.total_bytes
                if not str(size).isdecimal():
                    raise DownloadError(f"Kaggle lists {file.name!r} of {slug} with a size of {size!r}.")
                found.append(DataFile(file.name or file.ref or "", int(size)))
        return found

    def pages(self, slug: str) -> list[Page]:
        """Return the pages of a competition."""
        request = self._messages.ApiListCompetitionPagesRequest()
        request.competition_name = slug
        answer = self.backoff.call(lambda: self._service(slug).list_competition_pages(request))
        return [Page(page.name or "", page.content or "") for page in answer.pages]

    def leaderboard(self, slug: str) -> list[Team]:
        """Return all teams, those of the private board first, in its order.

        Where the private board is not published Kaggle gives the public one in its place: the scores are then
        the same for every team.
        """
        boards: list[dict[Any, tuple[str, str]]] = []
        for is_public in (False, True):
            request = self._messages.ApiGetLeaderboardRequest()
            request.competition_name = slug
            request.override_public = is_public
            board = {}
            for answer in self._pages_of(request, lambda: self._service(slug).get_leaderboard(request)):  # noqa: B023
                for row in answer.submissions:
                    name = row.team_name or str(row.team_id)
                    board[row.team_id or name] = (name, row.score or "")
            boards.append(board)
        private, public = boards
        nowhere = ("", "")
        return [
            Team(
                (private.get(key) or public[key])[0],
                public.get(key, nowhere)[1],
                private.get(key, nowhere)[1],
            )
            for key in private | public
        ]

    def open(self, slug: str, name: str, offset: int = 0) -> FileStream:
        """Return a file's bytes from an offset on, or from the start if the server ignores offsets.

        One attempt: only the caller knows how far it came.

        Raises:
            TryAgain: If it may work in a while.
            DownloadError: If it will not.
        """
        request = self._messages.ApiDownloadDataFileRequest()
        request.competition_name = slug
        request.file_name = name
        headers = {"Range": f"bytes={offset}-"} if offset else {}
        response: requests.Response = self._service(slug, headers).download_data_file(request)
        if response.status_code == 416:  # the file is no longer than what is here
            response.close()
            return self.open(slug, name)
        packed = response.headers.get("Content-Encoding", "identity")
        if packed != "identity":
            response.close()
            raise DownloadError(
                f"The server sends {name} of {slug} packed with {packed!r}, though asked not to."
            )
        if response.status_code == 206:
            content_range = response.headers.get("Content-Range", "")
            if not content_range.startswith(f"bytes {offset}-"):
                response.close()
                raise DownloadError(
                    f"Asked for {name} of {slug} from byte {offset} on, the server sends {content_range!r}."
                )
            return FileStream(response, name, offset, _total(content_range))
        length = response.headers.get("Content-Length", "")
        return FileStream(response, name, 0, int(length) if length.isdecimal() else None)

    def _service(self, slug: str, headers: Mapping[str, str] | None = None) -> Any:
        """Return kagglesdk's competitions; with `headers` for the bytes of a file."""
        from kagglesdk.competitions.services.competition_api_service import CompetitionApiClient

        return CompetitionApiClient(_Transport(self, slug, headers))

    def _pages_of(self, request: Any, ask: Callable[[], T]) -> Iterator[T]:
        """Give one answer after the other, until one names no next."""
        request.page_size = _PAGE_SIZE
        seen = set()
        while True:
            answer: Any = self.backoff.call(ask)
            yield answer
            token = answer.next_page_token
            if not token:
                return
            if token in seen:
                raise DownloadError(
                    f"Kaggle's list for {request.competition_name} has no end: it leads to the page "
                    f"{token[:40]!r} twice."
                )
            seen.add(token)
            request.page_token = token

    def _post(
        self, method: str, slug: str, body: Any, headers: Mapping[str, str] | None
    ) -> requests.Response:
        """Return the answer to one request, its body still to come where it has `headers`.

        Raises:
            TryAgain: If it may work in a while.
            DownloadError: If it will not.
        """
        url = f"{self.url}/v1/{method}"
        with _translated(url):
            response = self._session.post(
                url, json=body, headers=headers, stream=headers is not None, timeout=self._timeouts_s
            )
        status = response.status_code
        if status == 200 and headers is None:
            # As kagglesdk's own client does: some errors come as a success that holds a code.
            code = _fields(response.text).get("code")
            status = code if isinstance(code, int) and code >= 400 else status
        if status in (200, 206) or (status == 416 and headers):
            return response
        with response:
            raise self._refusal(response, status, method.rpartition("/")[2], slug)

    def _refusal(self, response: requests.Response, status: int, method: str, slug: str) -> DownloadError:
        """Return what an answer other than a success means, and what to do about it."""
        host = urlsplit(response.url).netloc
        said = self._message(response)
        if host != urlsplit(self.url).netloc:
            # Storage, by a signed link that runs out: the next attempt gets a new one.
            if status == 404:
                return DownloadError(f"{host} has lost a file of {slug} (404{said}). Report it to Kaggle.")
            return TryAgain(
                f"{host} answered {status}{said}.", retry_after_s(response.headers.get("Retry-After"))
            )
        if status in (408, 425, 429) or status >= 500:
            wait_s = retry_after_s(response.headers.get("Retry-After"))
            return TryAgain(f"Kaggle answered {method} with {status}{said}.", wait_s)
        if status == 401:
            return CredentialsError(
                f"Kaggle refused the credentials from {self.credentials.source} (401{said}). "
                f"For new ones {NEW_TOKEN}."
            )
        if status == 403:
            return DownloadError(
                f"Kaggle gives {slug} only to those who accepted its rules (403{said}). Accept them at "
                f"https://www.kaggle.com/competitions/{slug}/rules with the account of "
                f"{self.credentials.source} (Kaggle may want a phone number verified), then run it again."
            )
        if status == 404:
            return DownloadError(
                f"Kaggle knows no competition {slug!r}, or not what was asked of it ({method}: 404{said}). "
                f"Expected is the last part of its address: see https://www.kaggle.com/competitions/{slug}"
            )
        return DownloadError(f"Kaggle answered {method} for {slug} with {status}{said}.")

    def _message(self, response: requests.Response) -> str:
        """Return Kaggle's own words as ": ...", short and without our secret; empty where there are none."""
        try:
            start = next(response.iter_content(_CHUNK), b"")
        except OSError:  # which all errors of requests are
            return ""
        said = str(_fields(start.decode("utf-8", "replace")).get("message", ""))
        words = " ".join(said.replace(self.credentials.secret, "***").split())[:200]
        return ": " + "".join(letter if letter.isprintable() else "?" for letter in words) if words else ""


@dataclass(frozen=True)
class _Transport:
    """What kagglesdk's services call in place of kagglesdk's own HTTP client."""

    kaggle: Kaggle
    slug: str
    headers: Mapping[str, str] | None  # for the bytes of a file; None for an answer in JSON

    def call(self, service_name: str, request_name: str, request: Any, response_type: Any) -> Any:
        """Return kagglesdk's form of the answer; for a file the HTTP response itself."""
        method = f"{service_name}/{request_name}"
        response = self.kaggle._post(method, self.slug, request.to_dict(), self.headers)
        try:
            return response_type.prepare_from(response)
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            raise TryAgain(
                f"The answer of {urlsplit(response.url).netloc} to {request_name} is not Kaggle's: "
                f"{response.headers.get('Content-Type', 'of no type')}, {type(error).__name__}."
            ) from error


@contextmanager
def _translated(url: str) -> Iterator[None]:
    """Turn the errors of requests into ours.

    Without the original text, which holds the whole address: that of a file carries the right to read it.
    """
    import requests

    host = urlsplit(url).netloc
    try:
        yield
    except requests.exceptions.SSLError:
        raise DownloadError(
            f"The TLS certificate of {host} cannot be verified. Behind a proxy with a certificate of its "
            "own, point REQUESTS_CA_BUNDLE at that certificate."
        ) from None
    except requests.exceptions.Timeout:
        raise TryAgain(f"{host} does not answer in time.") from None
    except requests.exceptions.ChunkedEncodingError:
        raise TryAgain(f"The connection to {host} broke off.") from None
    except requests.exceptions.ConnectionError as error:
        raise TryAgain(f"No connection to {host}: {_reason(error)}.") from None
    except requests.exceptions.RequestException as error:
        raise DownloadError(f"A request to {host} failed: {type(error).__name__}.") from None


def _reason(error: BaseException) -> str:
    """Return the operating system's words at the root of an error, such as "Connection refused"."""
    root: BaseException | None = error
    for _ in range(8):
        if root is None:
            break
        if isinstance(root, OSError) and root.strerror:
            return root.strerror
        inner = [
            part for part in (*root.args, getattr(root, "reason", None)) if isinstance(part, BaseException)
        ]
        root = inner[0] if inner else root.__cause__ or root.__context__
    return type(error).__name__


def _fields(text: str) -> dict[str, Any]:
    """Return the fields of a JSON object; none where the text is something else."""
    try:
        found = json.loads(text)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def _total(content_range: str | None) -> int | None:
    """Return the size in "bytes 10-99/100" or "bytes */100"."""
    size = (content_range or "").rpartition("/")[2]
    return int(size) if size.isdecimal() else None


def _md5(headers: Mapping[str, str]) -> str | None:
    """Return the MD5, in Base64, that Google's storage or a plain server gives for the whole file."""
    if headers.get("x-goog-stored-content-encoding", "identity") != "identity":
        return None  # it is that of the packed file
    for part in headers.get("x-goog-hash", "").split(","):
        name, _, value = part.strip().partition("=")
        if name == "md5":
            return value
    # Of a part, Content-MD5 may be that of the part.
    return None if "Content-Range" in headers else headers.get("Content-MD5")
