from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from mledojo_train.codec import FencedCodec
from mledojo_train.nano import NanoConfig, make_nano
from mledojo_train.policy.scripts import Plan, write

TEXTS = [
    write(Plan("tabular", "number", "codes", "forest")),
    write(Plan("nlp", "label", "tf-idf", "linear")),
    FencedCodec().instructions(),
    "ok | score 4.2 | rank 0.61 | steps left 2",
]


@pytest.fixture(scope="session")
def nano_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A nano checkpoint with random weights, small enough to be made in a second."""
    folder = tmp_path_factory.mktemp("nano")
    make_nano(
        TEXTS, folder, NanoConfig(vocab_size=600, hidden_size=32, intermediate_size=64, layers=2, heads=2)
    )
    return folder


@pytest.fixture(scope="session")
def nano(nano_folder: Path) -> tuple[Any, Any]:
    """The model and tokenizer of `nano_folder`."""
    from mledojo_train.policy.local import load_model

    return load_model(str(nano_folder))
