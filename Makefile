# Everything a person does here. `make help` lists it.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
# Without cached bytecode, each of the hundreds of processes that tests start compiles every module again.
unexport PYTHONDONTWRITEBYTECODE
.PHONY: help setup run example test test-client prove bench contract contract-audit lint docs fmt lock clean

BIN := .venv/bin
# The first Python on the PATH that is new enough; `make PYTHON=...` chooses another.
PYTHON ?= $(shell for name in python3 python3.14 python3.13 python3.12 python3.11; do \
	$$name -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$name && break; done)
PIP := $(BIN)/python -m pip --disable-pip-version-check -qq
# Use this machine's certificates, as pip does; give up early if there is no index, because pip is tried next.
UV := UV_SYSTEM_CERTS=1 UV_HTTP_TIMEOUT=20 UV_HTTP_RETRIES=1 $(BIN)/uv

# Where tests put their databases: in memory, if there is room. On a disk that was still writing out what setup had installed, each
# commit of a test waited, some for half a minute.
TESTS_IN := $(or $(TMPDIR),$(shell test -w /dev/shm && test $$(df -Pk /dev/shm | awk 'NR == 2 { print $$4 }') -gt 4000000 && echo /dev/shm),/tmp)

help: ## List the targets.
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-14s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

setup: .venv/.ready node_modules/.ready client/dist/served/manifest.json ## Install everything into this folder: .venv and node_modules; build the client.

.venv/.ready: requirements-setup.lock requirements-dev.lock pyproject.toml
	@test -n "$(PYTHON)" || { echo "setup: Python 3.11 or newer is needed, and none is on the PATH" >&2; exit 1; }
	@echo "setup: Python packages into .venv"
	@$(BIN)/python -m pip --version >/dev/null 2>&1 || $(PYTHON) -m venv --clear .venv
	@if $(PIP) install --require-hashes --requirement requirements-setup.lock 2>/dev/null \
		&& $(UV) pip sync --quiet --require-hashes --python $(BIN)/python requirements-dev.lock 2>/dev/null; then :; else \
		echo "setup: uv cannot reach a package index; installing with pip instead, which takes a minute"; \
		$(PIP) install --require-hashes --requirement requirements-dev.lock; \
	fi
	@$(PIP) install --no-deps --no-build-isolation --editable .
	@touch $@

node_modules/.ready: package-lock.json package.json
	@node -e 'process.exit(parseInt(process.versions.node, 10) < 20 ? 1 : 0)' 2>/dev/null \
		|| { echo "setup: Node 20 or newer is needed, for the EVM node of development and tests" >&2; exit 1; }
	@echo "setup: EVM node and contracts into node_modules"
	@npm ci --ignore-scripts --loglevel=error >/dev/null
	@touch $@

client/node_modules/.ready: node_modules/.ready client/package-lock.json client/package.json
	@echo "setup: the client's compiler into client/node_modules"
	@cd client && npm ci --ignore-scripts --loglevel=error >/dev/null
	@touch $@

client/dist/served/manifest.json: client/node_modules/.ready client/tsconfig.json client/serve.mjs client/README.md LICENSE $(wildcard client/src/* client/src/*/* client/checkout/* client/checkout/*/* client/reference/*)
	@echo "setup: building the client into client/dist"
	@rm -rf client/dist
	@cd client && npm run --silent build

run: setup ## Run everything on this machine; buy MUSD with a test card.
	@exec $(BIN)/onramp dev $(ARGS)

example: setup client/example/node_modules/.ready ## Run the example dApp beside `make run`.
	@cd client/example && exec npm start --silent

# Apart from `setup`, which does not need the 180 MB: 15 s, and 5 s to check and build.
client/example/node_modules/.ready: client/example/package-lock.json client/example/package.json
	@echo "example: Vite, wagmi and React into client/example/node_modules"
	@cd client/example && npm ci --ignore-scripts --loglevel=error >/dev/null
	@touch $@

# Most tests wait for processes half of their time. What only calculates runs in between, with what they leave of two cores.
test: setup client/example/node_modules/.ready ## The whole test suite.
	@echo "test: SQLite, Postgres and the EVM node are real; tests that cannot run here are listed at the end"
	@mkdir -p .run; rm -f .pytest_cache/v/cache/lastfailed
	@export TMPDIR=$(TESTS_IN); failed=0; \
		nice $(MAKE) --no-print-directory lint test-client >.run/lint.log 2>&1 & lint=$$!; \
		$(BIN)/python -m pytest --numprocesses 4 --dist loadfile --no-loadscope-reorder --override-ini faulthandler_timeout=240 $(ARGS) \
			|| { test $$? -eq 1 && $(BIN)/python -m tests.support.rerun; } || failed=1; \
		wait $$lint || failed=1; cat .run/lint.log; \
		test $$failed -eq 0 || { echo "test: failed; see above" >&2; exit 1; }

test-client: setup client/example/node_modules/.ready ## The tests of the TypeScript client and its example; a part of `make test`.
	@echo "test: the client"
	@cd client && npm test --silent
	@cd client/example && npm run --silent check && npm run --silent build

prove: setup ## The long campaigns: crashes on both databases, random histories (HISTORIES=n: how many of each), a rehearsal, the built image, the contract's audit.
	@$(MAKE) --no-print-directory .venv-contract/.ready || echo "prove: the contract is not audited without these tools" >&2
	@TMPDIR=$(TESTS_IN) PROVE=1 $(BIN)/python -m pytest -m "prove or not prove" $(ARGS)

bench: setup ## Measure; each figure is a ratio to a bare baseline of the same run.
	@$(BIN)/python -m tests.bench $(ARGS)

contract: setup ## Compile contracts/PayOnce.sol into contracts/PayOnce.json.
	@$(BIN)/python -m contracts.build

contract-audit: setup .venv-contract/.ready ## Prove the contract's claims by halmos, and look for faults by slither; a minute and a half.
	@.venv-contract/bin/python contracts/audit/run.py

# In an environment of their own: they take a minute to install and 400 MB, and nothing else needs them.
.venv-contract/.ready: requirements-contract.lock contracts/audit/package-lock.json
	@echo "contract-audit: halmos and slither into .venv-contract, forge into contracts/audit/node_modules"
	@$(PYTHON) -m venv --clear .venv-contract
	@$(UV) pip sync --quiet --require-hashes --python .venv-contract/bin/python requirements-contract.lock 2>/dev/null \
		|| { $(PYTHON) -m venv --clear .venv-contract \
		&& .venv-contract/bin/python -m pip --disable-pip-version-check -qq install --require-hashes --requirement requirements-contract.lock; }
	@cd contracts/audit && npm ci --ignore-scripts --loglevel=error >/dev/null
	@touch $@

lint: setup ## Check style, types, layers, and that generated documentation is up to date.
	@echo "lint: style, types, layers, documentation"
	@$(BIN)/ruff check --quiet .
	@$(BIN)/ruff format --quiet --check . || { echo "lint: not formatted; make fmt fixes it" >&2; exit 1; }
	@$(BIN)/mypy
	@$(BIN)/lint-imports
	@$(BIN)/python -m docs.generate --check
	@$(BIN)/python -m deploy.monitoring.generate --check
	@cd client && npm run --silent check

docs: .venv/.ready ## Write what docs/ generates from the code: settings, commands, routes, packages; and .env.example.
	@$(BIN)/python -m docs.generate
	@$(BIN)/python -m deploy.monitoring.generate

fmt: setup ## Format the code.
	@$(BIN)/ruff check --quiet --fix-only .
	@$(BIN)/ruff format --quiet .

lock: setup ## Resolve the dependencies again, with hashes and without host names.
	@$(UV) pip compile -q --python-version 3.11 --universal --generate-hashes --no-emit-index-url --no-header --upgrade pyproject.toml -o requirements.lock
	@$(UV) pip compile -q --python-version 3.11 --universal --generate-hashes --no-emit-index-url --no-header --group dev pyproject.toml -c requirements.lock -o requirements-dev.lock
	@$(UV) pip compile -q --python-version 3.11 --universal --generate-hashes --no-emit-index-url --no-header --upgrade contracts/audit/requirements.in -o requirements-contract.lock
	@$(UV) pip compile -q --python-version 3.11 --universal --generate-hashes --no-emit-index-url --no-header --upgrade deploy/release/requirements.in -o requirements-release.lock

clean: ## Remove what setup and the other targets created.
	@rm -rf .venv .venv-contract node_modules client/node_modules client/dist client/build client/example/node_modules client/example/dist contracts/audit/node_modules .run .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis build *.egg-info
