.DEFAULT_GOAL := help
SHELL := /bin/bash
BIN := .venv/bin
PYTHON ?= python3
UV_VERSION := 0.13.9

.PHONY: help
help:  ## Show this help
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-14s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

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
lock:  ## Write requirements/dev.txt anew from pyproject.toml
	$(BIN)/uv pip compile pyproject.toml --group dev --universal --generate-hashes --no-emit-index-url --quiet --output-file requirements/dev.txt
