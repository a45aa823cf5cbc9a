"""Where a user's Kaggle credentials are, in the order in which Kaggle's own tools look for them."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass, field
from pathlib import Path

from mledojo_env.errors import CredentialsError

NEW_TOKEN = (
    "open https://www.kaggle.com/settings/api, choose 'Generate New Token', and put the token into the "
    "environment variable KAGGLE_API_TOKEN or into the file ~/.kaggle/access_token (chmod 600)"
)


@dataclass(frozen=True)
class Credentials:
    """What Kaggle is asked with. Only `source` may be shown.

    Attributes:
        source: Where it was found, for messages.
        secret: An API token or, with a username, a legacy API key.
        username: The owner of a legacy key; None with a token.
    """

    source: str
    secret: str = field(repr=False)
    username: str | None = None

    def __post_init__(self) -> None:
        # The HTTP library quotes a header it cannot send, and with it the secret, in its error.
        for part in (self.secret, self.username or "x"):
            if not part.isascii() or not part.isprintable() or " " in part:
                raise CredentialsError(
                    f"What {self.source} holds is not a Kaggle token: it has several words or lines, or "
                    f"characters outside ASCII. For a new one {NEW_TOKEN}."
                )


def find_credentials() -> Credentials:
    """Return the first credentials found: token variable, token file, legacy variables, legacy file.

    Raises:
        CredentialsError: If there are none, or the first that is there cannot be read; never holds a value.
    """
    folder = Path.home() / ".kaggle"
    token = os.environ.get("KAGGLE_API_TOKEN", "").strip()
    if token:
        return _from_variable(token)
    for name in ("access_token", "access_token.txt"):
        if (folder / name).is_file():
            return _from_file(folder / name)
    username = os.environ.get("KAGGLE_USERNAME", "").strip()
    key = os.environ.get("KAGGLE_KEY", "").strip()
    if username and key:
        return Credentials("the environment variables KAGGLE_USERNAME and KAGGLE_KEY", key, username)
    if (folder / "kaggle.json").is_file():
        return _from_file(folder / "kaggle.json")
    half = ""
    if username or key:
        there, missing = ("KAGGLE_USERNAME", "KAGGLE_KEY") if username else ("KAGGLE_KEY", "KAGGLE_USERNAME")
        half = f" {there} is set without {missing}."
    raise CredentialsError(
        f"No Kaggle credentials were found.{half} Sign in at https://www.kaggle.com (accounts are free), "
        f"{NEW_TOKEN}. Also read: KAGGLE_USERNAME with KAGGLE_KEY, and ~/.kaggle/kaggle.json."
    )


def _from_variable(value: str) -> Credentials:
    """Return the credentials in KAGGLE_API_TOKEN: a token, or the path of a file that holds one."""
    source = "the environment variable KAGGLE_API_TOKEN"
    if not value.startswith(("/", "~", "./", "../", "{")):
        try:
            is_file = Path(value).is_file()
        except OSError:  # a token longer than a file's name may be; the error would quote it
            is_file = False
        if not is_file:
            return Credentials(source, value)
    if value.startswith("{"):
        return _parse(value, source)
    path = Path(value).expanduser()
    if not path.is_file():
        raise CredentialsError(
            f"{source} looks like a path, and there is no such file. Correct it, or {NEW_TOKEN}."
        )
    return _from_file(path, f"{path} (named by KAGGLE_API_TOKEN)")


def _from_file(path: Path, source: str | None = None) -> Credentials:
    source = source or f"the file {path}"
    try:
        text = path.read_text(encoding="utf-8").strip()
    except OSError as error:
        raise CredentialsError(
            f"Cannot read Kaggle credentials from {path}: {error.strerror or error}."
        ) from error
    except UnicodeDecodeError:
        text = ""
    if not text:
        raise CredentialsError(
            f"{path} holds no Kaggle token: it is empty or not text. For one, {NEW_TOKEN}."
        )
    return _parse(text, source)


def _parse(text: str, source: str) -> Credentials:
    """Return the token, or the username and key of a kaggle.json."""
    if not text.startswith("{"):
        return Credentials(source, text)
    try:
        content = json.loads(text)
        username, key = content["username"], content["key"]
    except (ValueError, KeyError):
        username = key = None
    if not (isinstance(username, str) and isinstance(key, str) and username and key):
        # Nothing of the content is shown: a broken file may still hold the key.
        raise CredentialsError(
            f'{source} should hold {{"username": ..., "key": ...}} and does not. '
            f"Download it again, or {NEW_TOKEN}."
        )
    return Credentials(source, key.strip(), username.strip())
