"""Products as BSON documents: an id, a category and one to four images."""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np

CATEGORIES = [1000010653, 1000004079, 1000016018]


def fabricate(folder: Path, random: np.random.Generator) -> None:
    """Write train.bson, test.bson and category_names.csv."""
    categories = random.choice(CATEGORIES, 260)
    products = [_product(number, int(category), random) for number, category in enumerate(categories)]
    (folder / "train.bson").write_bytes(b"".join(products))
    (folder / "test.bson").write_bytes(b"".join(_product(number, None, random) for number in range(300, 320)))
    names = ["category_id,category_level1,category_level2,category_level3"]
    names += [f"{category},LIVRE,ROMAN,ROMAN {category % 7}" for category in CATEGORIES]
    (folder / "category_names.csv").write_text("\n".join(names) + "\n")


def _product(number: int, category: int | None, random: np.random.Generator) -> bytes:
    images = [_document(_field(5, "picture", _binary(random.bytes(16)))) for _ in range(1 + number % 4)]
    listed = b"".join(_field(3, str(place), image) for place, image in enumerate(images))
    fields = _field(16, "_id", struct.pack("<i", number)) + _field(4, "imgs", _document(listed))
    if category is not None:
        fields += _field(16, "category_id", struct.pack("<i", category))
    return _document(fields)


def _document(fields: bytes) -> bytes:
    return struct.pack("<i", len(fields) + 5) + fields + b"\0"


def _field(kind: int, name: str, value: bytes) -> bytes:
    return bytes([kind]) + name.encode() + b"\0" + value


def _binary(data: bytes) -> bytes:
    return struct.pack("<i", len(data)) + b"\0" + data
