"""The Herbarium competitions: specimens in a COCO-like metadata.json, cut by species."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from mledojo_env.errors import TaskDataError
from mledojo_env.prepare import split
from mledojo_env.prepare.functions import preparation
from mledojo_env.prepare.output import Output
from mledojo_env.prepare.raw import RawFiles

if TYPE_CHECKING:
    from pandas import DataFrame

_FRACTION = 0.2
_FOLDER_SIZE = 1000  # test images in one folder


@dataclass(frozen=True)
class _Layout:
    """Where a year's raw files are, and what they call things.

    Attributes:
        metadata: The JSON file of the training images.
        folder: What its file names are relative to.
        prefix: What all file names begin with, and public ones need not.
        image_key: The key of an image among the images.
        category_key: The key of a species among the categories.
        annotation: What is said of a training image besides its species.
        lists: Further lists of the file, each of which becomes a public table.
    """

    metadata: str
    folder: str
    prefix: str
    image_key: str
    category_key: str
    annotation: tuple[str, ...]
    lists: tuple[str, ...]


@preparation
def herbarium_2020(raw: RawFiles, out: Output, micro: int | None) -> None:
    """Write specimens of the New York Botanical Garden, with their region of the world."""
    folder = "nybg2020/train"
    layout = _Layout(f"{folder}/metadata.json", folder, "images/", "id", "id", ("region_id",), ("regions",))
    _prepare(layout, raw, out, micro)


@preparation
def herbarium_2021(raw: RawFiles, out: Output, micro: int | None) -> None:
    """Write specimens of five herbaria of the Americas and Oceania."""
    layout = _Layout(
        "train/metadata.json", "train", "images/", "id", "id", ("institution_id",), ("institutions",)
    )
    _prepare(layout, raw, out, micro)


@preparation
def herbarium_2022(raw: RawFiles, out: Output, micro: int | None) -> None:
    """Write specimens of North American plants, with the genera and how far they are from each other."""
    layout = _Layout(
        "train_metadata.json",
        "train_images",
        "",
        "image_id",
        "category_id",
        ("genus_id", "institution_id"),
        ("genera", "institutions", "distances"),
    )
    _prepare(layout, raw, out, micro)


def _prepare(layout: _Layout, raw: RawFiles, out: Output, micro: int | None) -> None:
    """Write a fifth of each species as test images, under names that do not tell it as the raw ones do."""
    content = _Content(raw.path(layout.metadata))
    for name in layout.lists:
        with out.table(f"{name}.csv") as writer:
            writer.write(content.table(name))
    categories = content.table("categories", [layout.category_key])
    categories = categories.rename(columns={layout.category_key: "category_id"})
    with out.table("categories.csv") as writer:
        writer.write(categories)
    rows = _specimens(content, layout)
    rng = np.random.default_rng(out.seed)
    sides = split.stratified(split.codes(rows, ["category_id"]), _FRACTION, rng)
    if micro is not None:
        sides = split.thin(sides, None, micro, rng)

    train = rows[sides == split.TRAIN]
    test = rows[sides == split.TEST]
    test = test.iloc[rng.permutation(len(test))].reset_index(drop=True)
    train = train.assign(file=[f"train/{name.removeprefix(layout.prefix)}" for name in train["file_name"]])
    test = test.assign(
        Id=np.arange(len(test)),
        file=[f"test/{number // _FOLDER_SIZE:03d}/{number}.jpg" for number in range(len(test))],
    )
    for part in (train, test):
        for source, target in zip(part["file_name"], part["file"], strict=True):
            out.link(raw.path(f"{layout.folder}/{source}"), target)
    with out.table("train.csv") as writer:
        writer.write(train[["image_id", "file", "category_id", *layout.annotation]])
    with out.table("test.csv") as writer:
        writer.write(test[["Id", "file"]])
    answers = test[["Id", "category_id"]].rename(columns={"category_id": "Predicted"})
    out.answers(answers, sample={"Predicted": int(categories["category_id"].min())})


def _specimens(content: _Content, layout: _Layout) -> DataFrame:
    """Return a row for each image of one species: `image_id`, `file_name`, `category_id` and the rest."""
    wanted = ["image_id", "category_id", *layout.annotation]
    annotations = content.table("annotations", wanted)[wanted]
    images = content.table("images", [layout.image_key, "file_name"])
    images = images[[layout.image_key, "file_name"]].rename(columns={layout.image_key: "image_id"})
    rows = images.merge(annotations, on="image_id")
    return rows.drop_duplicates("image_id", keep=False, ignore_index=True)


class _Content:
    """A metadata file, whose lists are given up one by one: together they take gigabytes.

    Args:
        path: The file; names of plants in it may be in UTF-8 or Latin-1.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        data = path.read_bytes()
        try:
            text = data.decode()
        except UnicodeDecodeError:
            text = data.decode("latin-1")
        del data
        try:
            self._lists: dict[str, Any] = json.loads(text)
        except (ValueError, RecursionError) as error:
            raise TaskDataError(f"Cannot read {path}: {error}. Delete it, and download it again.") from error

    def table(self, name: str, columns: Sequence[str] = ()) -> DataFrame:
        """Return a list of the file as a table, once.

        Raises:
            TaskDataError: If it is not there, or lacks a column.
        """
        import pandas as pd

        if not isinstance(self._lists, dict) or not isinstance(self._lists.get(name), list):
            found = ", ".join(map(str, self._lists)) if isinstance(self._lists, dict) else "something else"
            raise TaskDataError(f"{self._path} has no list {name!r}; found {found}.")
        table = pd.DataFrame(self._lists.pop(name))
        missing = [column for column in columns if column not in table.columns]
        if missing:
            found = ", ".join(map(str, table.columns))
            raise TaskDataError(f"{name} of {self._path} lack {missing[0]!r}; found {found}.")
        return table
