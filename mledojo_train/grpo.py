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
from contextlib import closing, contextmanager
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

from mledojo_env.errors import ConfigError
from mledojo_train.codec import make_codec
from mledojo_train.config import GRPORun, build
from mledojo_train.generation import Generator
from mledojo_train.generation.in_process import TransformersGenerator
from mledojo_train.generation.trl_vllm import TRLVLLMGenerator
from mledojo_train.generation.vllm import VLLMGenerator, save_adapter
from mledojo_train.policy.local import ModelPolicy
from mledojo_train.prompts import opening
from mledojo_train.rollout import EpisodeSpec, RolloutEngine
from mledojo_train.run import process_count
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
        self._vllm: VLLMGenerator | None = None
        self._episodes = 0

    def __call__(self, prompts: list[Any], trainer: GRPOTrainer) -> dict[str, Any]:
        """Return TRL's columns (`prompt_ids`, `completion_ids`, ...) and `episode_reward`, a row a prompt."""
        specs = self._specs(prompts, trainer)
        tokenizer: Any = trainer.processing_class
        with self._generator(trainer) as generator:
            policy = ModelPolicy(
                f"grpo-step-{trainer.state.global_step}",
                generator,
                tokenizer,
                self._codec,
                max_new_tokens=self._config.sampling.max_new_tokens,
                max_tokens=self._config.max_tokens,
            )
            keep = self._writer.write if self._writer else None
            episodes = self._runner.run(self._engine.run(policy, specs, keep))
        self._log(trainer, episodes)
        if self._config.mask_stragglers:
            episodes = [_without(e) if e.stop_reason == "deadline" else e for e in episodes]
        return _columns(episodes, tokenizer.eos_token_id)

    def close(self) -> None:
        """Close connections, and the event loop that the rollouts ran in."""
        if self._vllm is not None:
            self._runner.run(self._vllm.aclose())
        self._runner.close()

    def use_servers(self, trainer: GRPOTrainer) -> None:
        """Sample from vLLM servers: check them, and have the trainer tell when its weights have changed.

        TRL synchronises its own vLLM before each rollout and corrects for the difference between what sampled
        and what is trained; with its object in place of which ours stands, it does both for our servers.

        Raises:
            ConfigError: If a server does not fit the trainer.
            GenerationError: If one does not answer.
        """
        config = self._config
        if config.lora is None:
            raise ConfigError("generator: vllm swaps LoRA adapters; set lora, or sample in-process.")
        self._vllm = VLLMGenerator(
            config.vllm,
            config.model_name_or_path,
            trainer.processing_class,
            config.sampling,
            leads=trainer.is_world_process_zero(),
        )
        self._runner.run(self._vllm.check(lora=True))
        ours: Any = trainer
        ours.use_vllm, ours.vllm_mode, ours._last_loaded_step = True, "server", -1
        ours.vllm_generation = SimpleNamespace(sync_weights=lambda: self._sync_weights(trainer))

    def _sync_weights(self, trainer: GRPOTrainer) -> None:
        """Give the servers the adapter as it is now; all processes wait until they have it."""
        assert self._vllm is not None
        version = trainer.state.global_step
        folder = Path(self._config.output_dir) / "adapters"
        with _generation_model(trainer) as model:
            if trainer.is_world_process_zero():
                folder.mkdir(parents=True, exist_ok=True)
                save_adapter(model, folder, version)
        trainer.accelerator.wait_for_everyone()
        self._runner.run(self._vllm.update(folder / str(version), version))
        trainer.accelerator.wait_for_everyone()

    @contextmanager
    def _generator(self, trainer: GRPOTrainer) -> Iterator[Generator]:
        """Yield where this rollout's tokens come from."""
        ours: Any = trainer
        sampling, version = self._config.sampling, trainer.state.global_step
        if self._vllm is not None:
            yield self._vllm
        elif ours.use_vllm:
            with closing(
                TRLVLLMGenerator(ours.vllm_generation, ours.processing_class, sampling, version=version)
            ) as generator:
                yield generator
        else:
            with _generation_model(trainer) as model:
                made = TransformersGenerator(model, ours.processing_class, sampling, version=version)
                with closing(made):
                    yield made

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
        _check_trl_vllm(config, arguments)
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
    if config.generator == "vllm":
        rollouts.use_servers(trainer)
    training_log.install(trainer, config.output_dir)
    return trainer


def _check_trl_vllm(config: GRPORun, arguments: Any) -> None:
    """Refuse what cannot work: episodes ask for turns one by one, these modes want all processes at once."""
    if config.generator == "vllm":
        raise ConfigError("generator: vllm and trainer.use_vllm are two ways to one end; remove one of them.")
    together = arguments.vllm_mode == "server" or arguments.vllm_tensor_parallel_size > 1
    if together and process_count() > 1:
        raise ConfigError(
            f"trainer.use_vllm with vllm_mode {arguments.vllm_mode} and tensor parallelism "
            f"{arguments.vllm_tensor_parallel_size} generates for all {process_count()} processes in step, "
            "which rollouts are not. Use generator: vllm with servers of your own, or vllm_mode: colocate "
            "without tensor parallelism."
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
