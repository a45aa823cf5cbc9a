"""nano: a Llama of about a million parameters that learns to act in minutes on two cores.

It is an ordinary Hugging Face checkpoint (architecture, tokenizer, chat template), so every recipe takes it
as it takes any other model; only its birth is special: a tokenizer trained on the collected text and weights
drawn from a seeded generator.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

BEGIN, END, PAD = "<|im_start|>", "<|im_end|>", "<|pad|>"

# ChatML, with the `generation` marks that TRL needs to train on the assistant's tokens only.
CHAT_TEMPLATE = (
    "{% for message in messages %}"
    "{{ '<|im_start|>' + message['role'] + '\n' }}"
    "{% if message['role'] == 'assistant' %}"
    "{% generation %}{{ message['content'] + '<|im_end|>' }}{% endgeneration %}{{ '\n' }}"
    "{% else %}{{ message['content'] + '<|im_end|>\n' }}{% endif %}"
    "{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)


@dataclass(frozen=True)
class NanoConfig:
    """Size of a nano model; the defaults give 1.3 M parameters."""

    vocab_size: int = 2048
    hidden_size: int = 128
    intermediate_size: int = 384
    layers: int = 4
    heads: int = 4
    max_positions: int = 4096
    max_token_chars: int = 100
    seed: int = 0

    def __post_init__(self) -> None:
        if self.hidden_size % self.heads:
            raise ValueError(f"hidden_size {self.hidden_size} is not a multiple of heads {self.heads}.")
        if self.vocab_size < 300:
            raise ValueError(
                f"vocab_size {self.vocab_size} leaves no room beside 256 bytes; expected at least 300."
            )


def train_tokenizer(texts: Iterable[str], config: NanoConfig) -> Any:
    """Return a byte-level BPE tokenizer trained on `texts`, with ChatML's special tokens and template.

    Merges may cross words but not lines: the scripts are regular, so a whole line such as
    `test = pd.read_csv("/data/test.csv")` becomes one token. An episode then takes a tenth of the tokens, and
    what depends on each other (an import and the use below it) stands side by side.
    """
    from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(r"\n"), "merged_with_previous"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=config.vocab_size,
        special_tokens=[PAD, BEGIN, END],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        max_token_length=config.max_token_chars,
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    fast = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, eos_token=END, pad_token=PAD, model_max_length=config.max_positions
    )
    fast.chat_template = CHAT_TEMPLATE
    return fast


def make_nano(texts: Iterable[str], folder: Path, config: NanoConfig) -> int:
    """Train a tokenizer, draw the weights, save both to `folder`; return the number of parameters."""
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    tokenizer = train_tokenizer(texts, config)
    llama = LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=config.hidden_size,
        intermediate_size=config.intermediate_size,
        num_hidden_layers=config.layers,
        num_attention_heads=config.heads,
        num_key_value_heads=config.heads,
        max_position_embeddings=config.max_positions,
        tie_word_embeddings=True,
        bos_token_id=None,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )
    with torch.random.fork_rng():
        torch.manual_seed(config.seed)
        model = LlamaForCausalLM(llama)
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return int(model.num_parameters())
