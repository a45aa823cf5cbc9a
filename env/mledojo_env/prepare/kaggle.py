"""A Kaggle task from the competition's files: downloaded or given, unpacked, prepared."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from mledojo_env.errors import TaskDataError
from mledojo_env.prepare.archives import unpack_all, unpacked_archives
from mledojo_env.prepare.raw import place_file
from mledojo_env.prepare.run import check_recipe, prepare_raw
from mledojo_env.prepare.store import Prepared, raw_place

if TYPE_CHECKING:
    from mledojo_env.task import TaskFacts

BOARD = "leaderboard.csv"

Progress = Callable[[str, int, int], None]
"""Called with a file's name, the bytes that are there, and all of them."""


def prepare_kaggle(
    facts: TaskFacts, *, raw: Path | None = None, micro: int | None = None, progress: Progress | None = None
) -> Prepared:
    """Prepare a Kaggle task.

    What was downloaded is kept, also when preparation fails: the next call continues from there.

    Args:
        facts: The task's task.yaml.
        raw: Folder of the raw files, archives or not, with leaderboard.csv in it if there is one; it is not
            changed. None: they are downloaded.
        micro: Rows to keep on each side, for a small variant.
        progress: Told of what is downloaded.

    Raises:
        DownloadError: If they cannot be downloaded: no credentials, rules not accepted, no room ...
        TaskDataError: If they are not what is expected.
    """
    check_recipe(facts)
    slug = facts.id.split("/", 1)[-1]
    if facts.prepare.strategy == "import":
        raise TaskDataError(
            f"{facts.id} cannot be cut from Kaggle's files. Import what MLE-Dojo or MLE-bench prepared: "
            f"mledojo-train tasks import {facts.id} --from mle-dojo DIR"
        )
    if raw is None:
        from mledojo_env.prepare.download import download_competition

        download = download_competition(slug, raw_place(slug), progress=progress)
        data, board, pages, place = download.data, download.leaderboard, download.pages, "unpacked"
    else:
        if not raw.is_dir():
            raise TaskDataError(f"The raw files of {slug} are not there: {raw} is no folder.")
        data, board, pages = raw, raw / BOARD if (raw / BOARD).is_file() else None, None
        place = f"unpacked-{hashlib.sha256(str(raw.resolve()).encode()).hexdigest()[:8]}"
    unpacked = unpack_copy(data, raw_place(slug) / place)
    return prepare_raw(facts, unpacked, leaderboard=board, pages=pages, micro=micro)


def unpack_copy(data: Path, target: Path) -> Path:
    """Return a copy of a folder, of links where that is possible, in which every archive is unpacked.

    Continues where an earlier call for the same folder stopped.

    Raises:
        TaskDataError: If the disk is full, or an archive is broken or hostile; names it.
    """
    try:
        target.mkdir(parents=True, exist_ok=True)
        done = unpacked_archives(target)
        for top, folders, names in os.walk(data):
            folders.sort()
            for name in sorted(names):
                source = Path(top, name)
                relative = source.relative_to(data)
                if source.is_symlink() or relative.as_posix() in done:
                    continue
                if not (target / relative).exists():
                    place_file(source, target / relative)
    except OSError as error:
        raise TaskDataError(
            f"Cannot copy {data} to {target}: {error.strerror or error}. Make room."
        ) from error
    unpack_all(target)
    return target
