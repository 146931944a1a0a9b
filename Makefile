# Everything a person does here. `make help` lists it.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.PHONY: help setup run test prove bench lint fmt lock clean

PYTHON ?= python3
BIN := .venv/bin
PLATFORM := $(shell uname -s | tr A-Z a-z)-$(shell uname -m | sed -e 's/x86_64/amd64/' -e 's/aarch64/arm64/')
ANVIL := $(shell sed -n 's/.*"@foundry-rs\/anvil-linux-amd64": "\(.*\)".*/\1/p' package.json)

help: ## Show what there is.
	@grep -E '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z]+):.*## /  make \1|/' | column -t -s '|'

setup: .venv/.ready node_modules/.ready ## Install everything into this folder: .venv and node_modules.

.venv/.ready: requirements-dev.lock pyproject.toml
	@echo "setup: Python packages into .venv"
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "setup: Python 3.11 or newer is needed" >&2; exit 1; }
	@test -x $(BIN)/python || $(PYTHON) -m venv .venv
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes --requirement requirements-dev.lock
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@touch $@

node_modules/.ready: package-lock.json package.json
	@echo "setup: EVM node and contracts into node_modules"
	@npm ci --silent
	@test "$(PLATFORM)" = linux-amd64 || npm install --silent --no-save @foundry-rs/anvil-$(PLATFORM)@$(ANVIL)
	@touch $@

run: setup ## Run everything on this machine; buy MUSD with a test card.
	@exec $(BIN)/onramp dev $(ARGS)

test: setup lint ## The whole test suite.
	@$(BIN)/python -m pytest $(ARGS)

prove: setup ## The long campaigns: crashes on both databases, random histories.
	@PROVE=1 $(BIN)/python -m pytest -m "prove or not prove" $(ARGS)

bench: setup ## Measure, each figure as a ratio against a bare baseline in the same run.
	@$(BIN)/python -m tests.bench $(ARGS)

lint: setup ## Style, types, and the one direction between floors.
	@$(BIN)/ruff check --quiet . && $(BIN)/ruff format --quiet --check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports

fmt: setup ## Format.
	@$(BIN)/ruff check --quiet --fix-only . ; $(BIN)/ruff format --quiet .

lock: ## Resolve the dependencies anew (needs uv in .venv).
	@$(BIN)/uv pip compile -q --python-version 3.11 --universal --generate-hashes --no-emit-index-url --no-header --upgrade pyproject.toml -o requirements.lock
	@$(BIN)/uv pip compile -q --python-version 3.11 --universal --generate-hashes --no-emit-index-url --no-header --group dev pyproject.toml -c requirements.lock -o requirements-dev.lock

clean: ## Remove what setup made.
	@rm -rf .venv node_modules .run .mypy_cache .ruff_cache .pytest_cache
