from pathlib import Path
from typing import Any

import pytest
import torch

from mledojo_train.nano import NanoConfig, make_nano

SMALL = NanoConfig(vocab_size=400, hidden_size=32, intermediate_size=64, layers=2, heads=2)


def test_the_default_size_is_what_the_issue_asks_for(tmp_path: Path) -> None:
    assert (
        1e6
        <= make_nano((f"value {i * 7919 % 10007} of {i}\n" for i in range(5000)), tmp_path, NanoConfig())
        <= 6e6
    )


def test_the_same_seed_gives_the_same_weights_and_leaves_the_global_state_alone(tmp_path: Path) -> None:
    from transformers import AutoModelForCausalLM

    torch.manual_seed(123)
    before = torch.get_rng_state()
    for name in ("a", "b"):
        make_nano(["print(1)\n" * 20], tmp_path / name, SMALL)
    assert torch.equal(before, torch.get_rng_state())
    a, b = (AutoModelForCausalLM.from_pretrained(tmp_path / name).state_dict() for name in ("a", "b"))
    assert all(torch.equal(a[key], b[key]) for key in a)


@pytest.mark.parametrize("text", ["def f():\n\treturn 'ü€🙂'\n", "", "\n\n\n", "<|im_end|>x", "a" * 5000])
def test_any_text_survives_the_tokenizer(nano: tuple[Any, Any], text: str) -> None:
    tokenizer = nano[1]
    assert tokenizer.decode(tokenizer(text, add_special_tokens=False)["input_ids"]) == text


def test_the_template_marks_the_assistants_tokens(nano: tuple[Any, Any]) -> None:
    tokenizer = nano[1]
    messages = [
        {"role": "user", "content": "domain: tabular"},
        {"role": "assistant", "content": "```reset\n```"},
        {"role": "user", "content": "ok"},
        {"role": "assistant", "content": "```execute_code\nprint(1)\n```"},
    ]
    rendered = tokenizer.apply_chat_template(
        messages, return_assistant_tokens_mask=True, return_dict=True, tokenize=True
    )
    learned = [i for i, m in zip(rendered["input_ids"], rendered["assistant_masks"], strict=True) if m]
    assert tokenizer.decode(learned) == "```reset\n```<|im_end|>```execute_code\nprint(1)\n```<|im_end|>"


def test_impossible_sizes_are_refused() -> None:
    with pytest.raises(ValueError, match="multiple of heads"):
        NanoConfig(hidden_size=130, heads=4)
