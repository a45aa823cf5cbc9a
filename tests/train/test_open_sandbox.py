"""Which sandbox a run gets for which options."""

from __future__ import annotations

import subprocess
import sys

import pytest

from mledojo_env.errors import ConfigError
from mledojo_env.sandbox import DockerSandbox, LocalSandbox
from mledojo_train.config import EvalRun, SandboxOptions, parse_command_line
from mledojo_train.run import open_sandbox


def test_the_backend_is_chosen_by_name_and_nothing_is_started():
    with open_sandbox(SandboxOptions()) as sandbox:
        assert isinstance(sandbox, LocalSandbox)
    options = SandboxOptions(backend="docker", image="mine:1", runtime="runsc", gpus=["0", "1"], pool_size=3)
    with open_sandbox(options) as sandbox:
        assert isinstance(sandbox, DockerSandbox)
        settings = sandbox.settings
        assert (settings.image, settings.runtime, settings.gpus) == ("mine:1", "runsc", ("0", "1"))
        assert settings.pool_size == 3


def test_the_nearest_backend_is_named():
    with pytest.raises(ConfigError, match="Did you mean 'docker'"), open_sandbox(SandboxOptions("dokcer")):
        pass


def test_options_that_make_no_sense_are_a_configuration_error():
    options = SandboxOptions(backend="docker", pool_size=-1)
    with pytest.raises(ConfigError, match=r"sandbox: pool_size is -1"), open_sandbox(options):
        pass


@pytest.mark.parametrize(("text", "gpus"), [("all", "all"), ("2", 2), ("['0', '1']", ["0", "1"])])
def test_gpus_from_the_command_line(text: str, gpus: object):
    words = ["--output_dir", "x", "--policies", "{a: 'scripted:mixed'}", "--sandbox.gpus", text]
    assert parse_command_line(EvalRun, words).sandbox.gpus == gpus


REFUSES = """
import sys
from mledojo_env.errors import SandboxUnavailable
from mledojo_env.sandbox import local
from mledojo_train.config import SandboxOptions
from mledojo_train.run import open_sandbox

def refuse(config):
    raise SandboxUnavailable("no namespaces here")

if sys.argv[1] == "refused":
    local.Connection = refuse
with open_sandbox(SandboxOptions(unsafe=True)) as sandbox:
    print(sandbox.name)
"""


@pytest.mark.parametrize(("machine", "name"), [("refused", "unsafe"), ("able", "local")])
def test_unsafe_is_for_machines_that_cannot_isolate_and_says_so(machine: str, name: str):
    done = subprocess.run([sys.executable, "-c", REFUSES, machine], capture_output=True, text=True)
    if machine == "able" and "unsafe" in done.stdout:
        pytest.skip("this machine cannot isolate code")
    assert done.stdout == f"{name}\n", done.stderr
    assert done.stderr.startswith("warning: UNSAFE sandbox: no namespaces") == (name == "unsafe"), done.stderr
    assert len(done.stderr.splitlines()) == (name == "unsafe")
