"""What a trainer says while it works: a short line on the terminal, every figure in a file."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from transformers import Trainer
from transformers.trainer_callback import PrinterCallback, ProgressCallback

# A trainer's figure -> how its short line names it. Those that a log lacks are left out.
BRIEF = {
    "loss": "loss {:.3f}",
    "mean_token_accuracy": "accuracy {:.3f}",
    "reward": "reward {:.3f}",
    "episodes/rank": "rank {:.3f}",
    "episodes/valid_rate": "valid {:.0%}",
    "episodes/steps": "turns {:.1f}",
    "frac_reward_zero_std": "flat groups {:.0%}",
    "entropy": "entropy {:.3f}",
    "grad_norm": "gradient {:.3f}",
    "step_time": "{:.1f} s",
}


class TrainingLog(ProgressCallback):
    """A progress bar with one short line a log; all figures go to `path`, a JSON object a line."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self._path = path

    def on_train_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """Open the bar, unless the run asked for none (`disable_tqdm: true`)."""
        if not args.disable_tqdm:
            super().on_train_begin(args, state, control)

    def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """Move the bar."""
        if self.training_bar is not None:
            super().on_step_end(args, state, control)

    def on_train_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """Close the bar."""
        if self.training_bar is not None:
            super().on_train_end(args, state, control)

    def on_log(self, args: Any, state: Any, control: Any, logs: Any = None, **_: Any) -> None:
        """Print the figures that tell whether it learns, and append them all to the file."""
        if not state.is_world_process_zero or not logs:
            return
        with self._path.open("a") as file:
            file.write(json.dumps({"step": state.global_step, "max_steps": state.max_steps, **logs}) + "\n")
        words = [text.format(float(logs[name])) for name, text in BRIEF.items() if name in logs]
        line = f"step {state.global_step}/{state.max_steps}  " + "  ".join(words)
        if words and self.training_bar is not None:
            self.training_bar.write(line)
        elif words:
            print(line, flush=True)


def install(trainer: Trainer, output_dir: str) -> None:
    """Replace the trainer's own printing, a dictionary of some thirty figures a step."""
    for printing in (ProgressCallback, PrinterCallback):
        trainer.remove_callback(printing)
    trainer.add_callback(TrainingLog(Path(output_dir) / "log.jsonl"))
