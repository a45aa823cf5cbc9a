from __future__ import annotations

from pathlib import Path

import pytest
from huggingface_hub import ModelCard

from mledojo_train.config import GRPORun
from mledojo_train.model_card import BEGIN, END, card_folder, write_card, write_results


def card(folder: Path, base: str = "Qwen/Qwen3-0.6B", data: tuple[str, ...] = ("train",)) -> str:
    folder.mkdir(parents=True, exist_ok=True)
    config = GRPORun(output_dir=str(folder), model_name_or_path=base)
    return write_card(folder, method="GRPO", base_model=base, data=data, config=config).read_text()


def test_a_card_says_what_it_is_and_names_no_place_of_this_machine(tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "adapter_config.json").write_text("{}")
    text = card(tmp_path / "mine")
    head = ModelCard.load(tmp_path / "mine" / "README.md").data
    assert (head.base_model, head.library_name) == ("Qwen/Qwen3-0.6B", "peft")
    assert "lora" in head.tags and "Not evaluated yet." in text and "max_steps: 15" in text
    assert str(tmp_path) not in text
    assert str(tmp_path) not in card(tmp_path / "mine", base=str(tmp_path / "base"))


@pytest.mark.parametrize("name", ["a: b\n---\nlicense: x", "`x` ``` <script>", "[a](b)|"])
def test_hostile_names_stay_text(tmp_path: Path, name: str) -> None:
    card(tmp_path / "m", base=name, data=(name,))
    head = ModelCard.load(tmp_path / "m" / "README.md").data.to_dict()
    assert "license" not in head and head["library_name"] == "transformers"


def test_results_are_replaced_and_nothing_else(tmp_path: Path) -> None:
    before = card(tmp_path)
    assert write_results(tmp_path, "| rank |\n|---|\n| 0.5 |")
    assert write_results(tmp_path, f"second {END} {BEGIN}")
    after = (tmp_path / "README.md").read_text()
    assert after.count(BEGIN) == after.count(END) == 1 and "second" in after and "0.5" not in after
    assert after.partition(BEGIN)[0] == before.partition(BEGIN)[0]
    assert after.partition(END)[2] == before.partition(END)[2]


def test_somebody_elses_card_is_left_alone(tmp_path: Path) -> None:
    assert not write_results(tmp_path, "x")
    (tmp_path / "README.md").write_text("mine")
    assert not write_results(tmp_path, "x")
    assert (tmp_path / "README.md").read_text() == "mine"


def test_whose_card_an_evaluation_fills_in() -> None:
    assert card_folder("local:a/b") == Path("a/b")
    assert card_folder("local:Qwen/Qwen3-4B+runs/x") == Path("runs/x")
    assert card_folder("scripted:mixed") is None and card_folder("openai:m") is None
