"""Supervised fine-tuning on collected trajectories: glue to TRL's `SFTTrainer`."""

from __future__ import annotations

import random
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mledojo_env.errors import ConfigError
from mledojo_train.config import SFTRun, build
from mledojo_train.nano import make_nano
from mledojo_train.policy.checkpoint import check_model_path
from mledojo_train.trajectory import Trajectory, read_trajectories, to_conversations

if TYPE_CHECKING:
    from datasets import Dataset


def load_trajectories(config: SFTRun) -> list[Trajectory]:
    """Return the episodes to imitate: unbroken, at least `min_rank`, in a seeded order.

    Raises:
        ConfigError: If none is left.
    """
    episodes = [episode for path in config.data for episode in read_trajectories(Path(path))]
    kept = [e for e in episodes if not e.broken and e.steps and e.rank >= config.min_rank]
    if not kept:
        raise ConfigError(
            f"No trajectory to train on: {len(episodes)} read from {', '.join(config.data)}, none of them "
            f"unbroken with a rank of at least {config.min_rank}. Collect more, or lower min_rank."
        )
    random.Random(config.seed).shuffle(kept)
    return kept


def make_dataset(trajectories: list[Trajectory]) -> Dataset:
    """Return a TRL conversational dataset: one `messages` column, a row an episode."""
    from datasets import Dataset

    return Dataset.from_list(list(to_conversations(trajectories)))


def base_model(config: SFTRun, trajectories: list[Trajectory]) -> str:
    """Return the checkpoint to start from; `nano` is made first, from the text of the trajectories."""
    if config.model_name_or_path != "nano":
        check_model_path(config.model_name_or_path)
        return config.model_name_or_path
    from accelerate import PartialState

    folder = Path(config.output_dir) / "nano-init"
    if PartialState().is_main_process:
        texts = [str(message["content"]) for episode in trajectories for message in episode.messages]
        parameters = make_nano(texts, folder, config.nano)
        print(
            f"nano: {parameters / 1e6:.2f} M parameters, {config.nano.vocab_size} tokens, "
            f"seed {config.nano.seed}"
        )
    PartialState().wait_for_everyone()
    return str(folder)


def make_trainer(config: SFTRun, model_path: str, dataset: Dataset) -> Any:
    """Return an `SFTTrainer` that learns the assistant's tokens only."""
    from peft import LoraConfig
    from transformers import AutoTokenizer
    from trl import SFTConfig, SFTTrainer

    from mledojo_train import training_log

    arguments = build(
        SFTConfig,
        "trainer",
        config.trainer,
        output_dir=config.output_dir,
        seed=config.seed,
        assistant_only_loss=True,
    )
    trainer = SFTTrainer(
        model=model_path,
        args=arguments,
        train_dataset=dataset,
        processing_class=AutoTokenizer.from_pretrained(model_path),
        peft_config=build(LoraConfig, "lora", config.lora, task_type="CAUSAL_LM") if config.lora else None,
    )
    training_log.install(trainer, config.output_dir)
    return trainer
