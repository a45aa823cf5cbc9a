"""Imitate collected trajectories.

accelerate launch recipes/sft.py --config configs/sft/quickstart.yaml
"""

from __future__ import annotations

from pathlib import Path

from mledojo_train.config import SFTRun, parse_command_line, save_resolved
from mledojo_train.model_card import write_card
from mledojo_train.run import check_writable, recipe
from mledojo_train.sft import base_model, load_trajectories, make_dataset, make_trainer


@recipe
def main() -> None:
    """Parse, build, train, save."""
    config = parse_command_line(SFTRun)
    check_writable(config.output_dir)
    trajectories = load_trajectories(config)
    model_path = base_model(config, trajectories)
    trainer = make_trainer(config, model_path, make_dataset(trajectories))
    trainer.train()
    trainer.save_model(config.output_dir)
    if trainer.is_world_process_zero():
        save_resolved(config, config.output_dir)
        write_card(
            Path(config.output_dir), method="SFT", base_model=model_path, data=config.data, config=config
        )
        print(f"{config.output_dir}: learned from {len(trajectories)} episodes")


if __name__ == "__main__":
    main()
