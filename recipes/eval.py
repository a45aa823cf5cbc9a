"""Play checkpoints (or any policies) on the benchmark tasks and compare them.

python recipes/eval.py --config configs/eval/quickstart.yaml
"""

from __future__ import annotations

from mledojo_train.config import EvalRun, parse_command_line
from mledojo_train.evaluate import evaluate
from mledojo_train.report import print_results
from mledojo_train.run import recipe


@recipe
def main() -> None:
    """Parse, play what is missing, summarise, print."""
    config = parse_command_line(EvalRun)
    print_results(evaluate(config), config.output_dir)


if __name__ == "__main__":
    main()
