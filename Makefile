# Everything a user or CI runs. `make help` lists it; the virtual environment is made at the first use.
SHELL := /bin/bash

PYTHON ?= python3
VENV ?= .venv
# What is installed there: the checkout, or with `.ci/run` the wheel.
PACKAGE ?= -e .[dev]
# Which configs/*/NAME.yaml the quickstart runs: `quickstart` (minutes on two cores) or `ci` (shorter still).
QUICKSTART ?= quickstart
# More options for the installation of torch, e.g. another index.
TORCH_ARGS ?=
# More options for pytest, e.g. PYTEST_ARGS='-k sandbox -x'.
PYTEST_ARGS ?=
# More options for the benchmarks, e.g. BENCH_ARGS=--quick.
BENCH_ARGS ?=

# Threads that wait give their core away instead of spinning: on two cores that others use too, training takes a
# third of the time.
export OMP_WAIT_POLICY ?= PASSIVE

BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check
INSTALLED := $(VENV)/.installed
# In place of pip's own compilation, which takes one core and three times as long: all cores, without tests and
# without the models of transformers, of which a run imports one or two. A file that fails fails at its import.
COMPILE = $(BIN)/python -m compileall -qq -j 0 -x 'site-packages/(transformers/models/|.*/tests?/)' \
	$(VENV)/lib/python3*/site-packages || true
LAUNCH = $(TIED) $(BIN)/accelerate launch --config_file configs/accelerate/cpu.yaml
# A recipe or a test run ends when make does, even when make is killed outright.
TIED := $(if $(shell command -v setpriv),setpriv --pdeathsig KILL)
STARTED := $(shell date +%s)

.DEFAULT_GOAL := help
.PHONY: help install quickstart quickstart-ci evaluation test check bench bench-sandbox soak-sandbox clean

help:  ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-15s  %s\n", $$1, $$2 }' Makefile
	@echo
	@echo "  PYTHON=python3.12      another interpreter (3.11 to 3.13) for $(VENV)"
	@echo "  TORCH_ARGS='--extra-index-url https://download.pytorch.org/whl/cpu'   torch without CUDA"
	@echo "  PYTEST_ARGS='-k sandbox -x'   options for pytest"
	@echo "  BENCH_ARGS=--quick     options for bench and bench-sandbox"

install: $(INSTALLED)  ## make .venv (done by the others when needed)

# torch comes first and by itself: it is the one big download, and the one that depends on the machine.
$(INSTALLED): pyproject.toml requirements.lock
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' \
		|| { echo "error: Python 3.11 to 3.13 is needed, and '$(PYTHON)' is $$($(PYTHON) --version 2>&1)." \
		     "Choose another: make PYTHON=python3.12"; exit 1; } >&2
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null \
		|| { echo "error: $(PYTHON) cannot make virtual environments." \
		     "On Debian or Ubuntu: apt-get install python3-venv"; exit 1; } >&2
	$(PYTHON) -m venv $(VENV)
	$(PIP) install --no-compile -c requirements.lock $(TORCH_ARGS) torch
	$(PIP) install --no-compile -c requirements.lock $(PACKAGE)
	$(COMPILE)
	@touch $@

quickstart: $(INSTALLED)  ## the main job: collect, SFT, GRPO, evaluation; results in runs/quickstart
quickstart-ci: QUICKSTART = ci
quickstart-ci: $(INSTALLED)  ## the same with a budget of about three minutes; results in runs/ci
quickstart quickstart-ci:
	$(call headline,1/4 collect: scripted agents play the training tasks)
	$(TIED) $(BIN)/python recipes/collect.py --config configs/collect/$(QUICKSTART).yaml
	$(call headline,2/4 SFT: a small model imitates them)
	$(LAUNCH) recipes/sft.py --config configs/sft/$(QUICKSTART).yaml
	$(call headline,3/4 GRPO: it learns from rollouts in the sandbox)
	$(LAUNCH) recipes/grpo.py --config configs/grpo/$(QUICKSTART).yaml
	$(call headline,4/4 evaluation: both on tasks that training never touched)
	$(TIED) $(BIN)/python recipes/eval.py --config configs/eval/$(QUICKSTART).yaml
	$(TIED) $(BIN)/mledojo-train report runs/$(QUICKSTART)/eval -o runs/$(QUICKSTART)/report.html
	$(call headline,done: runs/$(QUICKSTART)/report.html tells; the results are in runs/$(QUICKSTART))

# One line with the time since make started, the installation included.
define headline
@seconds=$$(($$(date +%s) - $(STARTED))); \
	printf '\n=== %s  (%d:%02d since the start)\n' '$(strip $(1))' $$((seconds / 60)) $$((seconds % 60))
endef

# After the quickstart; a run that was stopped goes on where it was.
evaluation: $(INSTALLED)  ## scripted agents and the quickstart's checkpoints on the whole benchmark, and a report
	$(TIED) $(BIN)/python recipes/eval.py --config configs/eval/benchmark.yaml
	$(BIN)/mledojo-train report runs/quickstart/benchmark

# `pytest` and not `python -m pytest`: the latter puts the checkout on the path, before an installed wheel.
test: $(INSTALLED)  ## the tests
	$(TIED) $(BIN)/pytest $(PYTEST_ARGS)

check: $(INSTALLED)  ## ruff and mypy
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy

bench: $(INSTALLED)  ## rollouts beside TRL's own loop, scaling, overhead; results in benchmarks/results.md; 20 min
	$(BIN)/python benchmarks/rollouts.py $(BENCH_ARGS)

# With an engine of their own where none answers; see .ci/docker.
bench-sandbox: $(INSTALLED)  ## both sandboxes beside subprocess, bwrap and docker; results in benchmarks/results
	@command -v bwrap >/dev/null || { ((EUID == 0)) && apt-get update -qq \
		&& apt-get install -y -qq --no-install-recommends bubblewrap >/dev/null; } \
		|| echo "bwrap is left out: it is not installed, and cannot be by this user"
	PYTHON=$(BIN)/python .ci/docker $(BIN)/python benchmarks/sandbox.py $(BENCH_ARGS)

soak-sandbox: $(INSTALLED)  ## 10,000 executions with random faults, and what is left; a quarter of an hour
	PYTHON=$(BIN)/python .ci/docker $(BIN)/python benchmarks/soak.py

clean:  ## remove .venv, caches and builds; runs/ stays
	rm -rf .venv build dist .mypy_cache .pytest_cache .ruff_cache .hypothesis
	find env mledojo_train tests recipes tasks benchmarks -name __pycache__ -type d -prune -exec rm -rf {} +
