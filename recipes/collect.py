"""Let policies act on tasks and keep their trajectories.

python recipes/collect.py --config configs/collect/quickstart.yaml
"""

from __future__ import annotations

from pathlib import Path

from mledojo_train.codec import make_codec
from mledojo_train.config import CollectRun, expand_tasks, parse_command_line, save_resolved
from mledojo_train.policy import check_policy, load_policy
from mledojo_train.rollout import EpisodeSpec, spread
from mledojo_train.run import episode_progress, make_engine, open_sandbox, play_all, recipe
from mledojo_train.trajectory import TrajectoryWriter, read_trajectories


@recipe
def main() -> None:
    """Parse, resume, play, save."""
    config = parse_command_line(CollectRun)
    for name in config.policies:
        check_policy(name)
    save_resolved(config, config.output_dir)
    path = Path(config.output_dir) / "trajectories.jsonl"
    codec = make_codec(config.action_format)
    specs = spread(expand_tasks(config.tasks), config.episodes, config.seed)
    done = {(t.policy, t.task, t.seed) for t in read_trajectories(path)} if path.exists() else set()
    with open_sandbox(config.sandbox) as sandbox, TrajectoryWriter(path) as writer:
        engine = make_engine(config, sandbox)
        for name in config.policies:
            policy = load_policy(
                name, codec, config.sampling, max_tokens=config.max_tokens, endpoint=config.endpoint
            )
            todo: list[EpisodeSpec] = [
                s for s in specs if (policy.name, engine.task(s.task).id, s.seed) not in done
            ]
            with episode_progress(f"collect {name}", len(todo), writer.write) as on_episode:
                play_all(engine, policy, todo, on_episode)
    episodes = list(read_trajectories(path))
    valid = sum(t.valid for t in episodes) / len(episodes)
    rank = sum(t.rank for t in episodes) / len(episodes)
    print(f"{path}: {len(episodes)} episodes, {valid:.0%} with a valid submission, mean rank {rank:.3f}")


if __name__ == "__main__":
    main()
