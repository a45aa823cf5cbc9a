"""Images that JSON files annotate, as the FGVC workshops give them: lists of images and of annotations."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from mledojo_env.errors import TaskDataError
from mledojo_env.prepare import split
from mledojo_env.prepare.functions import preparation
from mledojo_env.prepare.output import Output
from mledojo_env.prepare.raw import RawFiles

_FURNITURE_SHARE = 0.066  # of all images that Kaggle gave for training and test
_INATURALIST_SHARE = 0.12
_IWILDCAM_SHARE = 0.22


@preparation
def furniture(raw: RawFiles, out: Output, micro: int | None) -> None:
    """Hold out the same share of each class of furniture. There are addresses of images, and no images."""
    import pandas as pd

    content, labels = _annotated(raw, "train.json", ("image_id",), "label_id")
    ids = [image["image_id"] for image in content["images"]]
    sides = _sides(ids, labels, _FURNITURE_SHARE, np.random.default_rng(out.seed), micro)
    train = {ids[row] for row in np.flatnonzero(sides == split.TRAIN)}
    _write_json(
        out,
        "train.json",
        {
            **content,
            "images": _chosen(content["images"], sides == split.TRAIN),
            "annotations": [cell for cell in content["annotations"] if cell["image_id"] in train],
        },
    )
    _write_json(out, "test.json", {"images": _chosen(content["images"], sides == split.TEST)})
    out.link(raw.path("validation.json"), "validation.json")
    test = _chosen(ids, sides == split.TEST)
    answers = pd.DataFrame({"id": test, "predicted": [labels[name] for name in test]})
    out.answers(answers, sample={"predicted": 1})


@preparation
def inaturalist_2019(raw: RawFiles, out: Output, micro: int | None) -> None:
    """Hold out the same share of each species. Test images get numbers and places that tell no species."""
    import pandas as pd

    content, labels = _annotated(raw, "train2019.json", ("id", "file_name"), "category_id")
    validation, _ = _annotated(raw, "val2019.json", ("id", "file_name"), "category_id")
    images = content["images"]
    ids = [image["id"] for image in images]
    rng = np.random.default_rng(out.seed)
    sides = _sides(ids, labels, _INATURALIST_SHARE, rng, micro)
    train = {ids[row] for row in np.flatnonzero(sides == split.TRAIN)}
    shown = {
        **content,
        "images": _chosen(images, sides == split.TRAIN),
        "annotations": [cell for cell in content["annotations"] if cell["image_id"] in train],
    }
    first = 1 + max(image["id"] for image in (*images, *validation["images"]))
    test, answers = [], []
    for number, row in enumerate(rng.permutation(np.flatnonzero(sides == split.TEST)), start=first):
        image = images[row]
        name = "test2019/" + image["file_name"].rpartition("/")[2]
        out.link(raw.path(image["file_name"]), name)
        test.append({**image, "id": number, "file_name": name})
        answers.append((number, labels[image["id"]]))
    for image in (*shown["images"], *validation["images"]):
        out.link(raw.path(image["file_name"]), image["file_name"])
    _write_json(out, "train2019.json", shown)
    out.link(raw.path("val2019.json"), "val2019.json")
    rest = {name: part for name, part in content.items() if name not in ("annotations", "categories")}
    _write_json(out, "test2019.json", {**rest, "images": test})
    out.answers(pd.DataFrame(answers, columns=["id", "predicted"]), sample={"predicted": 0})


@preparation
def iwildcam_2020(raw: RawFiles, out: Output, micro: int | None) -> None:
    """Hold out whole places. Images of theirs with no category, or several, are left out for good."""
    import pandas as pd

    name, test_name = "iwildcam2020_train_annotations.json", "iwildcam2020_test_information.json"
    detections = "iwildcam2020_megadetector_results.json"
    needed = {
        "images": ("id", "file_name", "location", "seq_id"),
        "annotations": ("image_id", "category_id"),
        "categories": ("id", "name"),
    }
    content = _read_json(raw, name, needed)
    images = content["images"]
    found: dict[Any, set[int]] = {}
    for cell in content["annotations"]:
        found.setdefault(cell["image_id"], set()).add(cell["category_id"])
    rng = np.random.default_rng(out.seed)
    places = np.unique([str(image["location"]) for image in images], return_inverse=True)[1]
    sides = split.whole_groups(places, _IWILDCAM_SHARE, rng)
    has_answer = np.array([len(found.get(image["id"], ())) == 1 for image in images])
    sides[(sides == split.TEST) & ~has_answer] = split.LEFT_OUT
    if micro is not None:
        sides = split.thin(sides, places, micro, rng)
    parts = {side: _chosen(images, sides == code) for side, code in (("train", 0), ("test", 1))}
    for side, chosen in parts.items():
        for image in chosen:
            out.link(raw.path(f"train/{image['file_name']}"), f"{side}/{image['file_name']}")
    train = {image["id"] for image in parts["train"]}
    shown = [cell for cell in content["annotations"] if cell["image_id"] in train]
    _write_json(out, name, {**content, "images": parts["train"], "annotations": shown})
    rest = {key: part for key, part in content.items() if key != "annotations"}
    _write_json(out, test_name, {**rest, "images": parts["test"]})
    out.link(raw.path(detections), detections)
    rows = [(image["id"], *found[image["id"]], image["seq_id"]) for image in parts["test"]]
    answers = pd.DataFrame(rows, columns=["Id", "Category", "sequence"])
    out.answers(answers, sample={"Category": 0}, part_by=["sequence"])


def _annotated(
    raw: RawFiles, name: str, image: tuple[str, ...], label: str
) -> tuple[dict[str, Any], dict[Any, Any]]:
    """Return the content of a JSON file whose images have these keys, and the label of each image."""
    content = _read_json(raw, name, {"images": image, "annotations": ("image_id", label)})
    return content, {cell["image_id"]: cell[label] for cell in content["annotations"]}


def _read_json(raw: RawFiles, name: str, needed: dict[str, tuple[str, ...]]) -> dict[str, Any]:
    """Return the content of a JSON file.

    Raises:
        TaskDataError: If it is none, or lacks one of these lists, or an entry of a list one of its keys.
    """
    path = raw.path(name)
    try:
        content: dict[str, Any] = json.loads(path.read_bytes())
        for part, keys in needed.items():
            for entry in content[part]:
                for key in keys:
                    entry[key]
    except KeyError as error:
        raise TaskDataError(f"{path} lacks {error}, in it or in one of its entries.") from error
    except (ValueError, TypeError) as error:
        raise TaskDataError(f"Cannot read {path}: {error}. Delete it, and download it again.") from error
    return content


def _write_json(out: Output, name: str, content: dict[str, Any]) -> None:
    with out.public(name).open("w", encoding="utf-8") as file:
        json.dump(content, file)


def _sides(
    ids: Sequence[Any], labels: dict[Any, Any], share: float, rng: np.random.Generator, micro: int | None
) -> np.ndarray:
    """Return the side of each image, the same share of every label on the test side."""
    unknown = [name for name in ids if name not in labels]
    if unknown:
        raise TaskDataError(f"The image {unknown[0]} has no annotation ({len(unknown)} such).")
    codes = np.unique([labels[name] for name in ids], return_inverse=True)[1]
    sides = split.stratified(codes, share, rng)
    return sides if micro is None else split.thin(sides, None, micro, rng)


def _chosen(rows: Iterable[Any], which: np.ndarray) -> list[Any]:
    return [row for row, is_chosen in zip(rows, which, strict=True) if is_chosen]
