"""Cdiscount's image classification: products in BSON files, read and cut without the bson package."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from mledojo_env.errors import TaskDataError
from mledojo_env.prepare.functions import preparation
from mledojo_env.prepare.output import Output
from mledojo_env.prepare.raw import RawFiles

TEST_SHARE = 0.1
LARGEST = 1 << 26  # bytes of a product; MongoDB allows a quarter of it

_WIDTHS = {0x01: 8, 0x08: 1, 0x09: 8, 0x0A: 0, 0x10: 4, 0x12: 8}  # of values, by kind
_SIZED = {0x02: 4, 0x03: 0, 0x04: 0, 0x05: 5}  # those that begin with their size: bytes that it leaves out


@preparation
def bson_products(raw: RawFiles, out: Output, micro: int | None) -> None:
    """Test on a tenth of the products, whose documents lose their `category_id`.

    The file is read as a stream, one product at a time; of a small variant, only as far as needed.

    Raises:
        TaskDataError: If a file is missing, or train.bson is no such file.
    """
    import pandas as pd

    random = np.random.default_rng(out.seed)
    answers: list[tuple[int, int]] = []
    trained = 0
    with out.public("train.bson").open("wb") as train, out.public("test.bson").open("wb") as test:
        for document in _documents(raw.path("train.bson")):
            if random.random() < TEST_SHARE:
                if micro is None or len(answers) < micro:
                    product, category, shown = _without_category(document)
                    answers.append((product, category))
                    test.write(shown)
            elif micro is None or trained < micro:
                train.write(document)
                trained += 1
            if micro is not None and len(answers) == micro == trained:
                break
    out.link(raw.path("category_names.csv"), "category_names.csv")
    table = pd.DataFrame(answers, columns=["_id", "category_id"])
    out.answers(table, sample={"category_id": 1000010653})


def _documents(path: Path) -> Iterator[bytes]:
    with path.open("rb", buffering=1 << 20) as file:
        while head := file.read(4):
            size = int.from_bytes(head, "little")
            body = file.read(size - 4) if 5 <= size <= LARGEST else b""
            if len(head) + len(body) != size:
                raise TaskDataError(f"{path} is truncated or no BSON file. Delete it, and download it again.")
            yield head + body


def _without_category(document: bytes) -> tuple[int, int, bytes]:
    """Return a product's id, its category, and the document without that."""
    fields = {name: (first, value, end) for name, first, value, end in _fields(document)}
    if not {"_id", "category_id"} <= fields.keys():
        raise TaskDataError(f"A product of train.bson lacks _id or category_id; found {', '.join(fields)}.")
    product, category = (
        int.from_bytes(document[fields[name][1] : fields[name][2]], "little", signed=True)
        for name in ("_id", "category_id")
    )
    first, _, end = fields["category_id"]
    shown = document[4:first] + document[end:]
    return product, category, (len(shown) + 4).to_bytes(4, "little") + shown


def _fields(document: bytes) -> Iterator[tuple[str, int, int, int]]:
    """Yield the name of each field, and where the field, its value and what follows begin."""
    at = 4
    try:
        while document[at]:
            kind, value = document[at], document.index(0, at + 1) + 1
            if kind in _SIZED:
                width = int.from_bytes(document[value : value + 4], "little") + _SIZED[kind]
            else:
                width = _WIDTHS[kind]
            yield document[at + 1 : value - 1].decode(), at, value, value + width
            at = value + width
    except (IndexError, KeyError, ValueError) as error:
        raise TaskDataError(f"train.bson holds something else than products: {error}.") from error
