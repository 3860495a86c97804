# Two commands for a fresh Debian or Ubuntu with Python 3.11 or newer:
#   make serve    look at images in a browser        make test    run every check
# What is installed lives in .venv and .tox; system packages are added only if something is missing and
# apt-get may be used (as root or by sudo without a password). The second time is quick.

DIR ?= examples/first-look
HOST ?= 127.0.0.1
PORT ?= 8182
TOX_ARGS ?=

PYTHON := .venv/bin/python
SERVE_READY := .venv/.ready-to-serve
TEST_READY := .venv/.ready-to-test

.DEFAULT_GOAL := help
.PHONY: help serve test lint clean

help: ## Show these commands
	@grep -E '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z]+):.*## /  make \1\t/' | expand -t 16
	@echo 'Variables of make serve: DIR=$(DIR) HOST=$(HOST) PORT=$(PORT)'

serve: $(SERVE_READY) ## Serve the images below DIR and show them in a viewer
	@echo 'Serving $(DIR): open http://$(HOST):$(PORT)/ in a browser; Ctrl+C ends it.'
	@$(PYTHON) -m iiif_server serve '$(DIR)' --host '$(HOST)' --port '$(PORT)'

# Most of the time of the first ones is one process installing packages: two of them fit beside each other, and
# those that take longest come first.
test: $(TEST_READY) ## Run every check: lint, types, docs, plugins, tests, chaos (TOX_ARGS='-e lint' runs one)
ifeq ($(TOX_ARGS),)
	@$(PYTHON) -m tox run-parallel --parallel 2 --parallel-no-spinner --parallel-live -e plugins,packages,typing,lint,docs
	@$(PYTHON) -m tox run -e tests,chaos
else
	@$(PYTHON) -m tox run $(TOX_ARGS)
endif

lint: $(TEST_READY) ## Run the quick checks only: format, lint, imports, types
	@$(PYTHON) -m tox run -e lint,typing

clean: ## Remove what these commands made, but no system packages
	rm -rf .venv .tox build dist site .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache

$(SERVE_READY): pyproject.toml scripts/setup scripts/install-jpegtran
	@scripts/setup serve
	@touch $@

$(TEST_READY): pyproject.toml scripts/setup scripts/install-jpegtran
	@scripts/setup test
	@touch $@
