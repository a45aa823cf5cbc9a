"""What every recipe does around its work: errors in one line, the sandbox, progress, seeds."""

from __future__ import annotations

import asyncio
import functools
import os
import random
import signal
import sys
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from mledojo_env.errors import ConfigError, MLEDojoError, SandboxUnavailable, did_you_mean
from mledojo_env.execution_cache import ExecutionCache
from mledojo_env.sandbox import syscalls
from mledojo_env.sandbox.base import Sandbox
from mledojo_train.codec import make_codec
from mledojo_train.config import CollectRun, EvalRun, GRPORun, SandboxOptions, config_hash
from mledojo_train.gate import GateSettings
from mledojo_train.policy.base import Policy
from mledojo_train.rollout import EpisodeSpec, RolloutEngine
from mledojo_train.trajectory import Trajectory

INTERRUPTED = 130


def recipe(main: Callable[[], None]) -> Callable[[], None]:
    """Make a recipe's errors end in one clear line and an exit code: 1 for ours, 130 for Ctrl-C."""

    @functools.wraps(main)
    def wrapped() -> None:
        _silence_libraries()
        _end_with_launcher()
        try:
            main()
        except MLEDojoError as error:
            print(f"error: {error}", file=sys.stderr)
            raise SystemExit(1) from None
        except KeyboardInterrupt:
            print("interrupted: what was written so far is complete and readable", file=sys.stderr)
            raise SystemExit(INTERRUPTED) from None

    return wrapped


def _silence_libraries() -> None:
    """Keep what libraries say about their own future out of a user's way."""
    os.environ.setdefault("TRL_EXPERIMENTAL_SILENCE", "1")  # rollout_func: pinned below the next release
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    warnings.filterwarnings("ignore", category=FutureWarning, module=r"(transformers|trl|peft)\b")
    warnings.filterwarnings("ignore", message=".*pin_memory.*")


def _end_with_launcher() -> None:
    """Receive SIGTERM when `accelerate launch` or `torchrun` dies: killed outright, they leave their workers.

    A recipe that was started by hand keeps running when its shell ends, as under nohup.
    """
    if not {"ACCELERATE_MIXED_PRECISION", "TORCHELASTIC_RUN_ID"} & os.environ.keys():
        return
    launcher = _command_line(os.getppid())
    if b"accelerate" in launcher or b"torchrun" in launcher or b"torch.distributed" in launcher:
        syscalls.prctl(syscalls.PR_SET_PDEATHSIG, signal.SIGTERM)
        if _command_line(os.getppid()) == launcher:
            return
    elif os.getppid() != 1:  # another program starts the workers, and looks after them
        return
    raise SystemExit("error: the launcher that started this recipe is gone")


def _command_line(pid: int) -> bytes:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return b""


def process_index() -> int:
    """Return this process's place among those that `accelerate launch` or `torchrun` started."""
    return int(os.environ.get("RANK", "0"))


def process_count() -> int:
    """Return how many processes the launcher started."""
    return int(os.environ.get("WORLD_SIZE", "1"))


@contextmanager
def open_sandbox(options: SandboxOptions) -> Iterator[Sandbox]:
    """Yield the sandbox that a run asks for.

    Raises:
        ConfigError: If there is no such backend, or its options are wrong.
    """
    with _make_sandbox(options) as sandbox:
        yield sandbox


def gate_settings(options: SandboxOptions) -> GateSettings:
    """Return how much may run at once; the machine is shared between the launcher's processes."""
    return GateSettings.for_machine(options.max_concurrent, process_count())


def make_engine(config: CollectRun | GRPORun | EvalRun, sandbox: Sandbox) -> RolloutEngine:
    """Return the engine that plays a run's episodes.

    Raises:
        ConfigError: If there is no such action format, or the cache of executions cannot be opened.
    """
    return RolloutEngine(
        sandbox,
        make_codec(config.action_format),
        config.episode,
        gate=gate_settings(config.sandbox),
        cache=ExecutionCache(max_mb=config.cache_mb) if config.cache_mb else None,
        config_hash=config_hash(config),
    )


def play_all(
    engine: RolloutEngine,
    policy: Policy,
    specs: Sequence[EpisodeSpec],
    on_episode: Callable[[Trajectory], None] | None = None,
) -> list[Trajectory]:
    """Play every spec, as `RolloutEngine.run`, and release the policy."""

    async def play() -> list[Trajectory]:
        try:
            return await engine.run(policy, specs, on_episode)
        finally:
            await policy.aclose()

    return asyncio.run(play())


def _make_sandbox(options: SandboxOptions) -> Sandbox:
    concurrent = gate_settings(options).ceiling  # who waits does so at the engine's gate
    if options.backend == "local":
        return _local_sandbox(options, concurrent)
    if options.backend == "docker":
        from mledojo_env.sandbox.docker import DockerSandbox, DockerSettings

        gpus = tuple(options.gpus) if isinstance(options.gpus, list) else options.gpus
        try:
            settings = DockerSettings(options.image, options.runtime, gpus, options.pool_size)
        except ValueError as error:
            raise ConfigError(f"sandbox: {error}") from None
        return DockerSandbox(settings, preload=_modules(options), max_concurrent=concurrent)
    hint = did_you_mean(options.backend, ("local", "docker"))
    raise ConfigError(f"Unknown sandbox backend {options.backend!r}; expected 'local' or 'docker'.{hint}")


def _modules(options: SandboxOptions) -> bool | list[str]:
    return True if options.preload is None else options.preload


def _local_sandbox(options: SandboxOptions, concurrent: int) -> Sandbox:
    """Return the local sandbox; one without isolation where that was asked for and no other can be had."""
    from mledojo_env.sandbox.local import LocalSandbox
    from mledojo_env.sandbox.packages import DEFAULT_PACKAGES

    allowed = DEFAULT_PACKAGES if options.packages is None else options.packages
    sandbox = LocalSandbox(allowed, _modules(options), concurrent)
    if not options.unsafe:
        return sandbox
    try:
        sandbox.start()
    except SandboxUnavailable:
        from mledojo_env.sandbox.unsafe import UnsafeSandbox, describe_protections

        sandbox.close()
        print(f"warning: {describe_protections()}", file=sys.stderr)
        return UnsafeSandbox(allowed, concurrent)
    return sandbox


@contextmanager
def episode_progress(
    title: str, total: int, keep: Callable[[Trajectory], None]
) -> Iterator[Callable[[Trajectory], None]]:
    """Yield a callback that keeps an episode and moves a progress bar."""
    from tqdm import tqdm

    ranks: list[float] = []
    with tqdm(total=total, desc=title, unit="episode", mininterval=0.5 if sys.stderr.isatty() else 10) as bar:

        def on_episode(trajectory: Trajectory) -> None:
            keep(trajectory)
            if not trajectory.broken:
                ranks.append(trajectory.rank)
                bar.set_postfix(rank=f"{sum(ranks) / len(ranks):.3f}", refresh=False)
            bar.update()

        yield on_episode


def check_writable(folder: str) -> None:
    """Fail before any work is done if results cannot be written.

    Raises:
        ConfigError: If the folder cannot be made or written.
    """
    probe = Path(folder) / f".writable-{os.getpid()}"
    try:
        probe.parent.mkdir(parents=True, exist_ok=True)
        probe.touch()
        probe.unlink()
    except OSError as error:
        raise ConfigError(
            f"Cannot write to {folder}: {error.strerror}. Choose another output_dir."
        ) from error


def seed_everything(seed: int) -> None:
    """Seed Python, NumPy and torch in this process."""
    import numpy as np
    import torch

    random.seed(seed)
    np.random.seed(seed % 2**32)
    torch.manual_seed(seed)
