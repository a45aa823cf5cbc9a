"""GRPO with online rollouts: glue between TRL's `GRPOTrainer` and the rollout engine.

TRL hands `rollout_func` a batch of prompts and takes back token ids, log-probs, a mask and any further
columns; the episode's reward travels as such a column. A prompt is a list of messages, so the task's id rides
in an extra key of its last message.
"""

from __future__ import annotations

import asyncio
import hashlib
import statistics
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mledojo_env.errors import ConfigError
from mledojo_env.sandbox.base import Sandbox
from mledojo_train.codec import make_codec
from mledojo_train.config import GRPORun, build, config_hash
from mledojo_train.generation.in_process import TransformersGenerator
from mledojo_train.policy.local import ModelPolicy
from mledojo_train.prompts import opening
from mledojo_train.rollout import EpisodeSpec, RolloutEngine
from mledojo_train.run import gate_settings, open_cache
from mledojo_train.trajectory import Trajectory, TrajectoryWriter

if TYPE_CHECKING:
    from datasets import Dataset
    from trl import GRPOTrainer

TASK_KEY = "mledojo_task"


def make_dataset(config: GRPORun, engine: RolloutEngine, tasks: Sequence[str]) -> Dataset:
    """Return one prompt a task: its opening conversation, with the task's id on the last message."""
    from datasets import Dataset

    codec = make_codec(config.action_format)
    rows = []
    for task_id in tasks:
        conversation = opening(
            engine.task(task_id), codec, config.episode.prompt_style, config.episode.max_steps
        )
        prompt = [{**message, TASK_KEY: None} for message in conversation]
        prompt[-1][TASK_KEY] = task_id
        rows.append({"prompt": prompt})
    return Dataset.from_list(rows)


def episode_reward(prompts: list[Any], episode_reward: list[float | None], **_: Any) -> list[float | None]:
    """Return each episode's reward; None, left out of its group's baseline by TRL, for one that we broke."""
    return episode_reward


class OnlineRollouts:
    """TRL's `rollout_func`: plays an episode for every prompt with the trainer's current model."""

    def __init__(
        self, config: GRPORun, engine: RolloutEngine, writer: TrajectoryWriter | None = None
    ) -> None:
        self._config, self._engine, self._writer = config, engine, writer
        self._codec = make_codec(config.action_format)
        self._runner = asyncio.Runner()
        self._episodes = 0

    def __call__(self, prompts: list[Any], trainer: GRPOTrainer) -> dict[str, Any]:
        """Return TRL's columns (`prompt_ids`, `completion_ids`, ...) and `episode_reward`, a row a prompt."""
        specs = self._specs(prompts, trainer)
        tokenizer: Any = trainer.processing_class
        with _generation_model(trainer) as model:
            generator = TransformersGenerator(
                model, tokenizer, self._config.sampling, version=trainer.state.global_step
            )
            policy = ModelPolicy(
                f"grpo-step-{trainer.state.global_step}",
                generator,
                tokenizer,
                self._codec,
                max_new_tokens=self._config.sampling.max_new_tokens,
                max_tokens=self._config.max_tokens,
            )
            keep = self._writer.write if self._writer else None
            try:
                episodes = self._runner.run(self._engine.run(policy, specs, keep))
            finally:
                generator.close()
        self._log(trainer, episodes)
        if self._config.mask_stragglers:
            episodes = [_without(e) if e.stop_reason == "deadline" else e for e in episodes]
        return _columns(episodes, tokenizer.eos_token_id)

    def close(self) -> None:
        """Close the event loop that the rollouts ran in."""
        self._runner.close()

    def _specs(self, prompts: list[Any], trainer: GRPOTrainer) -> list[EpisodeSpec]:
        """Return what to play for each prompt; a group is the episodes of a task in this rollout.

        Scripts of a group see one seed by default: episodes that are compared play under equal conditions,
        and equal scripts need to run only once.
        """
        first = self._episodes * trainer.accelerator.num_processes
        first += trainer.accelerator.process_index * len(prompts)
        self._episodes += len(prompts)
        specs = []
        for place, prompt in enumerate(prompts):
            task = _task_of(prompt)
            group = f"{task} at step {trainer.state.global_step}"
            own = {"task": task, "group": group, "episode": f"episode {first + place}"}
            specs.append(EpisodeSpec(task, _seed(self._config.seed, own[self._config.seed_each]), group))
        return specs

    def _log(self, trainer: GRPOTrainer, episodes: list[Trajectory]) -> None:
        """Add this rollout's figures to the trainer's log, those of this process.

        `episodes/` are means over unbroken episodes or their steps, `rollout/` what the engine measured.
        """
        scored = [episode for episode in episodes if not episode.broken]
        steps = [step for episode in scored for step in episode.steps]
        figures = {
            "rank": [episode.rank for episode in scored],
            "valid_rate": [float(episode.valid) for episode in scored],
            "steps": [float(len(episode.steps)) for episode in scored],
            "malformed_rate": [float(step.action is None) for step in steps],
            "generate_s": [step.generate_s for step in steps],
            "execute_s": [step.execute_s for step in steps],
            "run_s": [step.run_s for step in steps],
        }
        model: Any = trainer.model
        mode = "train" if model.training else "eval"
        for name, values in figures.items():
            if values:
                trainer._metrics[mode][f"episodes/{name}"].append(statistics.fmean(values))
        for name, value in self._engine.figures.items():
            trainer._metrics[mode][f"rollout/{name}"].append(value)


def make_trainer(
    config: GRPORun, model: Any, tokenizer: Any, dataset: Dataset, rollouts: OnlineRollouts
) -> GRPOTrainer:
    """Return a `GRPOTrainer` whose completions come from online episodes."""
    from peft import LoraConfig
    from trl import GRPOConfig, GRPOTrainer

    from mledojo_train import training_log

    sampling = config.sampling
    arguments = build(
        GRPOConfig,
        "trainer",
        config.trainer,
        output_dir=config.output_dir,
        seed=config.seed,
        temperature=sampling.temperature,
        top_p=sampling.top_p,
        top_k=sampling.top_k,
        max_completion_length=config.max_tokens,
    )
    if arguments.use_vllm:
        raise ConfigError(
            "trainer.use_vllm is set, but rollouts sample from the in-process model; remove it."
        )
    trainer = GRPOTrainer(
        model=model,
        args=arguments,
        reward_funcs=episode_reward,
        train_dataset=dataset,
        processing_class=tokenizer,
        peft_config=build(LoraConfig, "lora", config.lora, task_type="CAUSAL_LM")
        if config.lora is not None
        else None,
        rollout_func=rollouts,
    )
    training_log.install(trainer, config.output_dir)
    return trainer


def make_engine(config: GRPORun, sandbox: Sandbox) -> RolloutEngine:
    """Return the engine that plays this run's episodes."""
    return RolloutEngine(
        sandbox,
        make_codec(config.action_format),
        config.episode,
        gate=gate_settings(config.sandbox),
        cache=open_cache(config.cache_mb),
        config_hash=config_hash(config),
    )


def trajectory_file(config: GRPORun, process_index: int) -> Path:
    """Return where a process writes its rollouts: one file each, so that lines never interleave."""
    return Path(config.output_dir) / f"rollouts-{process_index}.jsonl"


@contextmanager
def _generation_model(trainer: GRPOTrainer) -> Iterator[Any]:
    """Yield the trainer's bare model in evaluation mode, sharded weights gathered once for all episodes."""
    from trl.models import unwrap_model_for_generation

    if trainer.accelerator.distributed_type == "FSDP":
        raise ConfigError(
            "In-process rollouts need whole weights on every process, and FSDP shards them layer by layer. "
            "Launch GRPO with configs/accelerate/ddp.yaml or zero3.yaml."
        )
    arguments: Any = trainer.args
    wrapped: Any = trainer.model_wrapped
    was_training = wrapped.training
    with unwrap_model_for_generation(
        wrapped,
        trainer.accelerator,
        gather_deepspeed3_params=arguments.ds3_gather_for_generation,
        gradient_checkpointing_kwargs=arguments.gradient_checkpointing_kwargs,
    ) as model:
        model.eval()
        try:
            yield model
        finally:
            model.train(was_training)


def _task_of(prompt: list[dict[str, Any]]) -> str:
    task = prompt[-1].get(TASK_KEY)
    if not task:
        raise ConfigError(
            f"A prompt's last message lacks {TASK_KEY!r}; build the dataset with grpo.make_dataset."
        )
    return str(task)


def _seed(seed: int, name: str) -> int:
    """Return a seed below 2**31 that depends on both, the same in every process."""
    return int.from_bytes(hashlib.sha256(f"{seed}/{name}".encode()).digest()[:4], "big") >> 1


def _without(episode: Trajectory) -> Trajectory:
    """Return an episode that neither the loss nor the baseline counts."""
    return replace(episode, reward=None, mask=[0] * len(episode.mask))


def _columns(episodes: list[Trajectory], eos: int) -> dict[str, Any]:
    """Turn trajectories into TRL's columns; one without tokens becomes one masked end-of-turn token."""
    rows = [
        (e.prompt_ids or [eos], e.completion_ids, e.mask, e.logprobs)
        if e.completion_ids
        else (e.prompt_ids or [eos], [eos], [0], [0.0])
        for e in episodes
    ]
    prompt_ids, completion_ids, mask, logprobs = (list(column) for column in zip(*rows, strict=True))
    return {
        "prompt_ids": prompt_ids,
        "completion_ids": completion_ids,
        "env_mask": mask,
        "logprobs": logprobs,
        "episode_reward": [episode.reward for episode in episodes],
    }
