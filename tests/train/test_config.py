from pathlib import Path

import pytest

from mledojo_env.errors import ConfigError
from mledojo_train.config import (
    CollectRun,
    EvalRun,
    GRPORun,
    SFTRun,
    build,
    config_hash,
    parse_command_line,
    save_resolved,
)

ROOT = Path(__file__).parents[2]
MODELS = {"collect": CollectRun, "sft": SFTRun, "grpo": GRPORun, "eval": EvalRun}
CONFIGS = sorted(path for kind in MODELS for path in (ROOT / "configs" / kind).rglob("*.yaml"))


def test_there_are_configs() -> None:
    assert len(CONFIGS) > 15
    assert {path.parent.name for path in CONFIGS} == set(MODELS)


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_every_config_parses_and_opens_with_its_launch_command(path: Path) -> None:
    from peft import LoraConfig
    from trl import GRPOConfig, SFTConfig

    config = parse_command_line(MODELS[path.parent.name], ["--config", str(path)])
    assert f"--config configs/{path.parent.name}/{path.name}" in path.read_text().splitlines()[0]
    if isinstance(config, SFTRun | GRPORun):
        made = {"sft": SFTConfig, "grpo": GRPOConfig}[path.parent.name]
        # No GPU here: a config that asks for bf16 must still name only fields that exist.
        section = {k: v for k, v in config.trainer.items() if k not in ("bf16", "use_cpu")}
        build(made, "trainer", section, output_dir=config.output_dir, use_cpu=True, bf16=False)
        if config.lora:
            build(LoraConfig, "lora", config.lora, task_type="CAUSAL_LM")


@pytest.mark.parametrize(
    "path", sorted((ROOT / "configs/accelerate").glob("*.yaml")), ids=lambda path: path.stem
)
def test_every_accelerate_config_is_one(path: Path) -> None:
    from accelerate.commands.config.config_args import load_config_from_file

    assert load_config_from_file(str(path)).num_processes >= 1
    assert str(path.relative_to(ROOT)) in path.read_text().splitlines()[0]


def write(tmp_path: Path, text: str) -> list[str]:
    path = tmp_path / "run.yaml"
    path.write_text(text)
    return ["--config", str(path)]


def test_the_command_line_overrides_the_file(tmp_path: Path) -> None:
    words = write(tmp_path, "output_dir: a\nmodel_name_or_path: m\nsampling: {temperature: 0.5}\n")
    words += [
        "--output_dir=b",
        "--sampling.max_new_tokens",
        "7",
        "--trainer.learning_rate",
        "1.0e-3",
        "--tasks",
        "[x]",
    ]
    config = parse_command_line(GRPORun, words)
    assert (config.output_dir, config.sampling.temperature, config.sampling.max_new_tokens) == ("b", 0.5, 7)
    assert config.trainer == {"learning_rate": 1e-3}
    assert config.tasks == ["x"]


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("output_dir: a\nmodel_name_or_path: m\nepisode: {max_step: 3}\n", "max_steps"),
        ("output_dir: a\nmodel_name_or_pth: m\n", "model_name_or_path"),
        ("output_dir: a\nmodel_name_or_path: m\nepisode: {max_steps: three}\n", "max_steps"),
        ("output_dir: a\n  broken: [\n", "line 2"),
        ("- a\n", "mapping"),
        ("", "output_dir"),
    ],
)
def test_typos_are_named_with_the_nearest_key(tmp_path: Path, text: str, found: str) -> None:
    with pytest.raises(ConfigError, match=found) as error:
        parse_command_line(GRPORun, write(tmp_path, text))
    assert "run.yaml" in str(error.value)


@pytest.mark.parametrize(
    ("words", "found"),
    [
        (["--config"], "no value"),
        (["output_dir"], "where an option was expected"),
        (["--output_dir", "a", "--tasks", "[a"], "YAML"),
        (["--output_dir", "a", "--output_dir.x", "1"], "not a section"),
        (["--config", "none.yaml"], "none.yaml"),
        (["--ouput_dir", "a"], "output_dir"),
    ],
)
def test_bad_command_lines_are_errors(words: list[str], found: str) -> None:
    with pytest.raises(ConfigError, match=found):
        parse_command_line(CollectRun, words)


def test_numbers_that_clash_are_shown(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="max_steps is 0; expected more than 0"):
        parse_command_line(CollectRun, ["--output_dir", "a", "--episode.max_steps", "0"])


def test_the_resolved_config_reads_back_as_itself(tmp_path: Path) -> None:
    config = parse_command_line(CollectRun, ["--output_dir", str(tmp_path / "out")])
    path = save_resolved(config, config.output_dir)
    again = parse_command_line(CollectRun, ["--config", str(path)])
    assert again == config
    assert config_hash(again) == config_hash(config)
    changed = parse_command_line(CollectRun, ["--config", str(path), "--seed", "1"])
    assert config_hash(changed) != config_hash(config)


def test_an_output_dir_that_cannot_be_written_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    config = parse_command_line(CollectRun, ["--output_dir", str(tmp_path / "file" / "out")])
    with pytest.raises(ConfigError, match="another output_dir"):
        save_resolved(config, config.output_dir)


def test_unknown_trainer_keys_name_the_nearest() -> None:
    from trl import GRPOConfig

    with pytest.raises(ConfigError, match="'learning_rate'"):
        build(GRPOConfig, "trainer", {"learning_rte": 1.0}, output_dir="x")
    with pytest.raises(ConfigError, match="own configuration"):
        build(GRPOConfig, "trainer", {"output_dir": "y"}, output_dir="x")


@pytest.mark.parametrize("model", MODELS.values())
def test_help_lists_every_option(model: type, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as exit_:
        parse_command_line(model, ["--help"])
    assert exit_.value.code == 0
    assert "--output_dir  (required)" in capsys.readouterr().out
