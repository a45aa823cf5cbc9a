"""Reinforcement learning with online rollouts in the sandbox.

accelerate launch recipes/grpo.py --config configs/grpo/quickstart.yaml
"""

from __future__ import annotations

from pathlib import Path

from mledojo_train import grpo
from mledojo_train.config import GRPORun, expand_tasks, parse_command_line, save_resolved
from mledojo_train.model_card import write_card
from mledojo_train.policy.local import load_model
from mledojo_train.run import check_writable, make_engine, open_sandbox, process_index, recipe
from mledojo_train.trajectory import TrajectoryWriter


@recipe
def main() -> None:
    """Parse, build, train, save."""
    config = parse_command_line(GRPORun)
    check_writable(config.output_dir)
    model, tokenizer = load_model(config.model_name_or_path)
    with (
        open_sandbox(config.sandbox) as sandbox,
        TrajectoryWriter(grpo.trajectory_file(config, process_index())) as writer,
    ):
        engine = make_engine(config, sandbox)
        rollouts = grpo.OnlineRollouts(config, engine, writer if config.save_rollouts else None)
        dataset = grpo.make_dataset(config, engine, expand_tasks(config.tasks))
        trainer = grpo.make_trainer(config, model, tokenizer, dataset, rollouts)
        trainer.train()
        trainer.save_model(config.output_dir)
        rollouts.close()
    if trainer.is_world_process_zero():
        save_resolved(config, config.output_dir)
        base = config.model_name_or_path
        write_card(Path(config.output_dir), method="GRPO", base_model=base, data=config.tasks, config=config)
        print(f"{config.output_dir}: {trainer.state.global_step} steps of GRPO")


if __name__ == "__main__":
    main()
