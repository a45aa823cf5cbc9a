"""What a typo in a YAML file is answered with."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import pytest
from pydantic import BaseModel, ConfigDict

from mledojo_env.errors import ConfigError
from mledojo_env.typed_yaml import load_yaml, parse_mapping, read_mapping


@dataclass(frozen=True)
class Sampling:
    temperature: float = 1.0
    top_k: int | None = None


@dataclass(frozen=True)
class Run:
    output_dir: str
    episodes: int = 4
    sampling: Sampling = field(default_factory=Sampling)
    tasks: list[str] = field(default_factory=list)


class Facts(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)
    name: str
    run: Run | None = None


def write(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "run.yaml"
    path.write_text(text)
    return path


def test_a_file_becomes_its_model(tmp_path: Path):
    path = write(
        tmp_path, "# how to run it\noutput_dir: runs/x\nsampling:\n  temperature: 0.5\ntasks: [a, b]\n"
    )
    assert load_yaml(path, Run) == Run("runs/x", sampling=Sampling(0.5), tasks=["a", "b"])
    nested = write(tmp_path, "name: x\nrun: {output_dir: y}\n")
    assert load_yaml(nested, Facts) == Facts(name="x", run=Run("y"))


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("output_dir: x\nepisods: 3\n", "run.yaml, line 2: unknown key 'episods'. Did you mean 'episodes'?"),
        (
            "output_dir: x\nsampling:\n  temprature: 1\n",
            "line 3: unknown key 'temprature'. Did you mean 'temperature'?",
        ),
        ("output_dir: x\nzzz: 1\n", "unknown key 'zzz'. Known: output_dir, episodes, sampling, tasks"),
        ("output_dir: x\nepisodes: many\n", "line 2: episodes: found 'many'"),
        ("output_dir: x\ntasks:\n  - a\n  - [b]\n", "line 4"),
        ("episodes: 3\n", "the key 'output_dir' is missing"),
        ("", "the key 'output_dir' is missing"),
        ("output_dir: x\nepisodes: 1\nepisodes: 2\n", "line 3: the key 'episodes' is there twice"),
        ("output_dir: x\n  episodes: 2\n", "line 2: not valid YAML"),
        ("output_dir: [x\n", "not valid YAML"),
        ("- a\n- b\n", "found a list; expected a mapping"),
        ("output_dir: &a [*a]\n", "run.yaml"),
        ("output_dir: \x07\n", "run.yaml"),
        ("output_dir: !!python/object/apply:os.system [ls]\n", "not valid YAML"),
    ],
)
def test_mistakes_name_file_line_and_the_nearest_key(tmp_path: Path, text: str, found: str):
    path = write(tmp_path, text)
    with pytest.raises(ConfigError) as error:
        load_yaml(path, Run)
    assert found in str(error.value)
    assert str(path) in str(error.value)


def test_every_mistake_gets_a_line(tmp_path: Path):
    with pytest.raises(ConfigError) as error:
        load_yaml(write(tmp_path, "output_dir: x\nepisods: 3\ntaks: []\n"), Run)
    assert [line.split(": ")[0][-6:] for line in str(error.value).splitlines()] == ["line 2", "line 3"]


def test_overrides_name_where_they_came_from():
    assert parse_mapping({"output_dir": "x", "episodes": "7"}, Run, "the command line").episodes == 7
    with pytest.raises(ConfigError, match="the command line: unknown key 'episods'"):
        parse_mapping({"output_dir": "x", "episods": 7}, Run, "the command line")


def test_files_that_cannot_be_read(tmp_path: Path):
    with pytest.raises(ConfigError, match=r"none\.yaml: No such file"):
        read_mapping(tmp_path / "none.yaml")
    with pytest.raises(ConfigError, match="directory"):
        read_mapping(tmp_path)
    (tmp_path / "bytes.yaml").write_bytes(b"a: \xff\n")
    with pytest.raises(ConfigError, match="not UTF-8 text"):
        read_mapping(tmp_path / "bytes.yaml")
