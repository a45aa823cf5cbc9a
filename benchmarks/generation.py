"""What could make in-process generation faster, measured: keeping the KV cache, and continuous batching.

    python benchmarks/generation.py [--model runs/quickstart/sft] [--out benchmarks/results/generation.md]

Prompts are of the lengths that episodes reach; every request asks for 48 tokens. The share of the prefill is
the most that keeping an episode's KV cache from turn to turn could save.
"""

from __future__ import annotations

import argparse
import asyncio
import datetime
import logging
import os
import platform
import random
import statistics
import tempfile
import time
import warnings
from pathlib import Path
from typing import Any

import torch
from transformers import GenerationConfig
from transformers.generation.configuration_utils import ContinuousBatchingConfig

from mledojo_train.codec import FencedCodec
from mledojo_train.generation import Sampling
from mledojo_train.generation.in_process import TransformersGenerator
from mledojo_train.nano import NanoConfig, make_nano
from mledojo_train.policy.local import load_model

NEW = 48
LENGTHS = (100, 800)  # tokens of a prompt, from the first turn to the last
ROUNDS = 3
BATCHES = (4, 16, 64)


def main() -> None:
    """Measure, write the page."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", type=Path)
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "results" / "generation.md")
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    logging.disable(logging.WARNING)
    with tempfile.TemporaryDirectory() as folder:
        if options.model is None:
            make_nano([FencedCodec().instructions()], Path(folder), NanoConfig())
        model, tokenizer = load_model(str(options.model or folder))
    head = [
        "requests at once",
        "static batch, s",
        "of which prefill",
        "continuous batching, s",
        "static / continuous",
    ]
    lines = ["| " + " | ".join(head) + " |", "|---" * len(head) + "|"]
    for count in BATCHES:
        prompts = make_prompts(count, int(model.config.vocab_size))
        whole = median(lambda p=prompts: static(model, tokenizer, p, NEW))
        first = median(lambda p=prompts: static(model, tokenizer, p, 1))
        other = median(lambda p=prompts: continuous(model, p))
        lines.append(f"| {count} | {whole:.2f} | {first / whole:.0%} | {other:.2f} | {whole / other:.2f} |")
        print(lines[-1], flush=True)
    where = f"{datetime.date.today()}, Python {platform.python_version()}, {os.cpu_count()} cores"
    page = [
        "# In-process generation",
        "",
        f"{where}. Made by `python benchmarks/generation.py`.",
        "",
        *lines,
        "",
    ]
    options.out.write_text("\n".join(page))
    print(options.out)


def make_prompts(count: int, vocabulary: int) -> list[list[int]]:
    """Return prompts of random tokens."""
    rng = random.Random(0)
    return [[rng.randrange(5, vocabulary) for _ in range(rng.randint(*LENGTHS))] for _ in range(count)]


def median(work: Any) -> float:
    """Return the median seconds of a few rounds, after one that does not count."""
    work()
    seconds = []
    for _ in range(ROUNDS):
        began = time.perf_counter()
        work()
        seconds.append(time.perf_counter() - began)
    return statistics.median(seconds)


def static(model: Any, tokenizer: Any, prompts: list[list[int]], new: int) -> None:
    """Generate as rollouts do."""
    generator = TransformersGenerator(model, tokenizer, Sampling(temperature=1.0, batch_wait_s=0.0))
    generator._eos = [-1]  # every request takes all its tokens

    async def ask() -> None:
        await asyncio.gather(*(generator.generate(prompt, new) for prompt in prompts))

    try:
        asyncio.run(ask())
    finally:
        generator.close()


def continuous(model: Any, prompts: list[list[int]]) -> None:
    """Generate with transformers' own continuous batching."""
    model.generate_batch(
        prompts,
        generation_config=GenerationConfig(
            max_new_tokens=NEW, do_sample=True, eos_token_id=-1, pad_token_id=0
        ),
        continuous_batching_config=ContinuousBatchingConfig(
            num_blocks=2048, max_batch_tokens=2048, page_size=32, return_logprobs=True
        ),
        warmup=False,
    )


if __name__ == "__main__":
    torch.set_num_threads(max(1, (os.cpu_count() or 2) // 2))
    main()
