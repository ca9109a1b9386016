.DEFAULT_GOAL := help
SHELL := /bin/bash
BIN := .venv/bin
PYTHON ?= python3
UV_VERSION := 0.13.9

.PHONY: help
help:  ## Show this help
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / {printf "  make %-16s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

.PHONY: setup
setup: .venv/ready  ## Install everything the checkout needs, pinned, into .venv

.venv/ready: pyproject.toml requirements/dev.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || \
	  { echo "Tidegate needs Python 3.11 or later; '$(PYTHON)' is $$($(PYTHON) --version 2>&1 || echo not there). Try: make PYTHON=python3.13"; exit 1; }
	@$(PYTHON) -c 'import venv, ensurepip' 2>/dev/null || \
	  { echo "'$(PYTHON)' lacks venv or pip: install your system's python3-venv package."; exit 1; }
	@command -v git >/dev/null || { echo "Tidegate needs git."; exit 1; }
	@test -x $(BIN)/python || $(PYTHON) -m venv .venv
	@test -x $(BIN)/uv || $(BIN)/python -m pip install --quiet uv==$(UV_VERSION)
	@echo "Installing the pinned development environment…"
	@$(BIN)/uv pip sync --quiet --require-hashes requirements/dev.txt
	@$(BIN)/uv pip install --quiet --no-deps --editable .
	@touch $@

.PHONY: lock
LOCK := $(BIN)/uv pip compile --universal --generate-hashes --no-emit-index-url --quiet
lock:  ## Write requirements/ anew from pyproject.toml: dev.txt for checkouts; run.txt and build.txt, with the same versions, for the image; checkov.txt for tests/chart
	$(LOCK) pyproject.toml --group dev --output-file requirements/dev.txt
	$(LOCK) pyproject.toml --constraint requirements/dev.txt --output-file requirements/run.txt
	$(LOCK) --group build --constraint requirements/dev.txt --output-file requirements/build.txt
	$(LOCK) requirements/checkov.in --python-version 3.11 --output-file requirements/checkov.txt

.PHONY: demo
demo: setup  ## The main job on real parts: a crowd outgrows the partitions, features make way until more are approved, nothing is lost (about 6 min; the first run builds Kubernetes, Helm and Prometheus, ≈ 15 min more)
	@$(BIN)/python -m demo

.PHONY: test
test: lint unit chart stack e2e  ## Everything: lint, unit, chart, stack and end-to-end tests

.PHONY: lint
lint: setup  ## Style, types, import contracts, dependencies, generated files
	@$(BIN)/ruff check . && $(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports
	@$(BIN)/deptry .
	@$(BIN)/hadolint Dockerfile
	@$(BIN)/python -m tools.generate --check

.PHONY: unit
unit: setup  ## Tests of rules and values (seconds)
	@$(BIN)/pytest --numprocesses logical tests/unit

.PHONY: chart
chart: setup  ## Tests of the Helm chart: rendered, judged, refused, and installed into a real API server
	@$(BIN)/pytest tests/chart

.PHONY: stack
stack: setup  ## Tests against the real API server and the real broker
	@$(BIN)/pytest tests/stack

.PHONY: e2e
e2e: setup  ## Tests of the running operator with real consumers
	@$(BIN)/pytest tests/e2e

.PHONY: generate
generate: setup  ## Write crds/, the pages and the chart's copies that are made of others anew
	@$(BIN)/python -m tools.generate

.PHONY: format
format: setup  ## Format the code
	@$(BIN)/ruff check --fix --quiet . ; $(BIN)/ruff format --quiet .

.PHONY: bench-policy
bench-policy: setup  ## Every controller on every trace, against the optimum: build/bench/policy.json, docs/benchmark.md
	@$(BIN)/python -m bench.policy

.PHONY: bench-ladder
bench-ladder: setup  ## The degradation ladder on every trace, with too few replicas and with enough: build/bench/ladder.json
	@$(BIN)/python -m bench.ladder

.PHONY: bench-watch
bench-watch: setup  ## The cost of watching: 1,000 and 10,000 groups read: build/bench/watch.json
	@$(BIN)/python -m bench.watch

.PHONY: bench-scale
bench-scale: setup  ## One operator for 1,000 policies on real Deployments, its cost and how soon it obeys: build/bench/scale.json
	@$(BIN)/python -m bench.scale

.PHONY: bench-partitions
bench-partitions: setup  ## Increases under load, every kind of consumer, message by message: build/bench/partitions.json
	@$(BIN)/python -m bench.partitions

.PHONY: bench-handover
bench-handover: setup  ## The leader killed and ended fifty times under load: build/bench/handover.json
	@$(BIN)/python -m bench.handover

.PHONY: bench-step
bench-step: setup  ## The cost of one step of the engine, by partitions: build/bench/step.json
	@$(BIN)/python -m bench.step

.PHONY: clean
clean:  ## Remove what was built here (the cache of Kubernetes and Kafka stays; see python -m demo.stack --help)
	rm -rf .venv build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
