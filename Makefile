# Two commands do everything on a fresh Debian: `make run` and `make test`.
.DEFAULT_GOAL := help
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
VENV := .venv
PYTHON := $(VENV)/bin/python
MODULES := probe protocols tests

.PHONY: help run test lint bench lab lock clean tools

help: ## Show what can be made
	@awk -F ':.*## ' '/^[a-z]+:.*## /{printf "%-7s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

run: $(VENV)/.runs ## Watch a simulated cluster on loopback: page and metrics on port 10564
	$(VENV)/bin/tribes-probe demo

test: tools $(VENV)/.tests lint ## Set up what the tests need and run everything
	$(PYTHON) -m pytest $(ARGS)

lint: $(VENV)/.tests ## Style, types and who may import whom
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/mypy $(MODULES)
	$(VENV)/bin/lint-imports

bench: tools $(VENV)/.tests ## Measure speed against peers and floors; print the table
	PYTHONPATH=tests $(PYTHON) -m benchmarks.table $(ARGS)

lab: tools $(VENV)/.tests ## Let real Tomcats suffer in network namespaces; print what each probe says (as root)
	PYTHONPATH=tests $(PYTHON) -m netns.lab $(ARGS)

tools: ## Install the programs the tests need (Debian, as root)
	@tests/tools.sh

lock: $(VENV)/.tests ## Pin every dependency, with hashes
	$(VENV)/bin/pip-compile -q --generate-hashes --strip-extras --no-emit-index-url --no-emit-find-links \
	  --no-header --output-file=deploy/requirements.txt pyproject.toml
	$(VENV)/bin/pip-compile -q --generate-hashes --strip-extras --no-emit-index-url --no-emit-find-links \
	  --no-header --allow-unsafe --output-file=tests/requirements.txt tests/requirements.in deploy/requirements.txt

clean: ## Remove what was made
	rm -rf $(VENV) build dist tests/tomcat/target .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache

$(VENV)/bin/python:
	@deploy/environment.sh $(VENV)

$(VENV)/.runs: deploy/requirements.txt pyproject.toml | $(VENV)/bin/python
	$(PYTHON) -m pip install -q --disable-pip-version-check --require-hashes -r deploy/requirements.txt
	$(PYTHON) -m pip install -q --disable-pip-version-check --no-deps -e .
	@touch $@

$(VENV)/.tests: tests/requirements.txt pyproject.toml | $(VENV)/bin/python
	$(PYTHON) -m pip install -q --disable-pip-version-check --require-hashes -r tests/requirements.txt
	$(PYTHON) -m pip install -q --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@ $(VENV)/.runs
