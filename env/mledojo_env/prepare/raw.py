"""The raw files of a competition: found by name, or an error that says what was found instead."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from mledojo_env.errors import TaskDataError, did_you_mean

_NAMED = 12  # files that a message lists


@dataclass(frozen=True)
class RawFiles:
    """A folder of raw files, archives unpacked.

    Attributes:
        folder: Where they lie.
        slug: The competition, for messages.
    """

    folder: Path
    slug: str

    @cached_property
    def names(self) -> list[str]:
        """Every file's path below the folder, sorted."""
        found = []
        for top, folders, names in os.walk(self.folder):
            folders.sort()
            relative = os.path.relpath(top, self.folder)
            found += [name if relative == "." else f"{relative}/{name}" for name in names]
        return sorted(found)

    def path(self, name: str) -> Path:
        """Return the path of a file, which may lie in the folder that a zip of its name was unpacked to.

        Kaggle packs old competitions' files one by one: train.csv may be inside train.csv.zip or train.zip.

        Raises:
            TaskDataError: If it is not there; says what is.
        """
        path = self.folder / name
        for place in (path, path.parent / path.stem / path.name):
            if place.is_file() and place.resolve().is_relative_to(self.folder.resolve()):
                return place
        raise TaskDataError(f"The raw files of {self.slug} lack {name}.{self._found(name)}")

    def folder_path(self, name: str) -> Path:
        """Return the path of a folder.

        Raises:
            TaskDataError: If it is not there; says what is.
        """
        path = self.folder / name
        if path.is_dir():
            return path
        raise TaskDataError(f"The raw files of {self.slug} lack the folder {name}/.{self._found(name)}")

    def match(self, pattern: str) -> Iterator[tuple[str, dict[str, str]]]:
        """Yield the name and named groups of every file whose whole path a regular expression matches.

        Raises:
            TaskDataError: If none does; says what is there.
        """
        expression = re.compile(pattern)
        any_found = False
        for name in self.names:
            found = expression.fullmatch(name)
            if found:
                any_found = True
                yield name, found.groupdict()
        if not any_found:
            raise TaskDataError(
                f"The raw files of {self.slug} hold nothing like {pattern}.{self._found(pattern)}"
            )

    def _found(self, wanted: str) -> str:
        if not self.names:
            return f" {self.folder} is empty: download the competition's data again."
        tops = list(dict.fromkeys(f"{first}/" if rest else first for first, _, rest in self._split()))
        listed = ", ".join(tops[:_NAMED]) + (f" and {len(tops) - _NAMED} more" if len(tops) > _NAMED else "")
        hint = did_you_mean(wanted, [*self.names[:10_000], *tops])
        return f"{hint} Found in {self.folder}: {listed}."

    def _split(self) -> Iterator[tuple[str, str, str]]:
        return (name.partition("/") for name in self.names)


def place_file(source: Path, target: Path) -> None:
    """Put a file where it is needed: as a hard link where that is possible, else as a copy.

    Raises:
        OSError: If neither works, e.g. because the disk is full.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        os.link(source, target)
    except OSError:  # another disk, or one without links
        shutil.copyfile(source, target)
