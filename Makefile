.DEFAULT_GOAL := help
PYTHON ?= python3
ARGS ?=
SECONDS ?= 60
BIN := .venv/bin
RUN := $(BIN)/python -m standalone run --quiet --ephemeral --port 0 --

.PHONY: help demo serve test lint bench chaos docs-pictures clean

help: ## show this list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /  make \1\t/' | expand -t 22

demo: .venv/runtime ## train the published run over REST and print the article's output (ARGS=--without-regularization)
	@$(RUN) $(BIN)/python -m client demo $(ARGS)

serve: .venv/runtime ## everything on this machine, in the foreground, on NEURON_HOST:NEURON_PORT
	@exec $(BIN)/python -m standalone $(ARGS)

# Bytecode is kept: else each of some hundred processes compiles what it imports.
test: .venv/development ## the whole test suite
	env -u PYTHONDONTWRITEBYTECODE $(BIN)/python -m pytest -n 5 --dist loadfile --no-loadscope-reorder $(ARGS)

lint: .venv/development ## ruff and mypy
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy

bench: .venv/development ## how fast, as ratios in one run (ARGS=peers: beside MLServer, which it installs)
	$(BIN)/python -m benchmarks $(ARGS)

chaos: .venv/development ## kill, stop and cut the service for SECONDS=60 as SEED decides, and check it (ARGS=--mutants)
	@$(BIN)/python -m chaos --seconds $(SECONDS) $(if $(SEED),--seed $(SEED)) $(ARGS)

docs-pictures: .venv/development ## take the pictures of docs/how-it-learns.md (needs Chromium)
	$(BIN)/python -m tests.pictures

clean: ## remove what was installed and cached; data in .data/ stay
	rm -rf .venv .mypy_cache .ruff_cache .pytest_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

.venv/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
	  || { echo "Python 3.11 or later is needed; name it with make PYTHON=..."; exit 1; }
	@echo "Installing into .venv (once, about a minute) ..." >&2
	@$(PYTHON) -m venv .venv

.venv/runtime: requirements.txt | .venv/bin/python
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements.txt >&2
	@touch $@

.venv/development: requirements-dev.txt requirements.txt | .venv/bin/python
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements-dev.txt >&2
	@touch $@ .venv/runtime
