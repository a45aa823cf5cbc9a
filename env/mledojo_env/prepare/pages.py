"""A competition's own pages, as plain text beside a prepared task: what a person who enters it would read."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from pathlib import Path

PAGES = "pages"

MAX_CHARACTERS = 20_000  # of all pages together, as they are shown
_MAX_BYTES = 1_000_000  # of a page that is read

# What a page is about, by words of its name; others (rules, prizes, timeline) do not help to solve the task.
_TOPICS = ("description", "overview", "evaluation", "data")


def keep_pages(source: Path, place: Path) -> None:
    """Write the pages on task, data and evaluation below the folder of a prepared task, as plain text."""
    for path in sorted(source.glob("*.md")):
        if not any(word in path.stem.lower() for word in _TOPICS) or path.stat().st_size > _MAX_BYTES:
            continue
        text = plain_text(path.read_text(encoding="utf-8", errors="replace"))
        if text:
            (place / PAGES).mkdir(exist_ok=True)
            (place / PAGES / path.name).write_text(text + "\n", encoding="utf-8")


def read_pages(place: Path) -> str:
    """Return the pages kept with a prepared task, each under its name; "" if there are none."""
    found = [
        f"### {path.stem}\n{path.read_text(encoding='utf-8').strip()}"
        for path in sorted((place / PAGES).glob("*.md"))
    ]
    text = "\n\n".join(found)
    return text if len(text) <= MAX_CHARACTERS else text[:MAX_CHARACTERS] + "\n[cut]"


def plain_text(page: str) -> str:
    """Return a page in HTML or Markdown without its markup in HTML."""
    parser = _Text()
    parser.feed(page)
    parser.close()
    lines = (re.sub(r"[ \t\xa0]+", " ", line).strip() for line in "".join(parser.pieces).splitlines())
    return re.sub(r"\n{3,}", "\n\n", "\n".join(lines)).strip()


class _Text(HTMLParser):
    """Collects the text of a page; blocks begin on lines of their own."""

    _BLOCKS = frozenset(
        ("p", "div", "br", "li", "ul", "ol", "table", "tr", "pre", "h1", "h2", "h3", "h4", "h5", "h6")
    )
    _SILENT = frozenset(("script", "style"))

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.pieces: list[str] = []
        self._silent = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag in self._SILENT:
            self._silent += 1
        elif tag in self._BLOCKS:
            self.pieces.append("\n- " if tag == "li" else "\n")
        elif tag in ("td", "th"):
            self.pieces.append(" ")

    def handle_endtag(self, tag: str) -> None:
        if tag in self._SILENT:
            self._silent = max(self._silent - 1, 0)
        elif tag in self._BLOCKS:
            self.pieces.append("\n")

    def handle_data(self, data: str) -> None:
        if not self._silent:
            self.pieces.append(data)
