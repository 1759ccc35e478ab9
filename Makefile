# Every chore of this project. A bare `make` lists them.
SHELL := /bin/bash
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet install
ARGS ?=
# One worker more than cores: tests of servers wait as long as they work.
JOBS ?= $(shell echo $$(($$(getconf _NPROCESSORS_ONLN) + 1)))
# Byte code is kept even where the surroundings say otherwise: a run of the tests starts hundreds of processes.
export PYTHONDONTWRITEBYTECODE :=

.DEFAULT_GOAL := help
.PHONY: help demo test coverage check format bench docs lock clean

help: ## List these targets
	@awk 'BEGIN {FS = ":.*## "} /^[a-z]+:.*## / {printf "  make %-9s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

demo: $(VENV)/local.stamp ## From nothing: a local cloud, 12 servers that enrol, 15 VMs that are patched (ARGS=--json for one object)
	@$(BIN)/moorings demo $(ARGS)

test: check ## Everything: checks, unit, contract and journey tests
	@echo "· tests" >&2
	@$(BIN)/python -m pytest -n $(JOBS) --dist=worksteal $(ARGS)

coverage: $(VENV)/dev.stamp ## The same tests, and which branches of the product they run (takes nearly twice as long)
	@rm -f .coverage .coverage.*
	@$(BIN)/python -m pytest -n $(JOBS) --dist=worksteal --cov --cov-report= $(ARGS)
	@$(BIN)/coverage report | tail -n 40

check: $(VENV)/dev.stamp ## Format, lint, strict types, import rules, shell scripts, templates
	@echo "· ruff" >&2 && $(BIN)/ruff format --check --quiet . && $(BIN)/ruff check --quiet .
	@echo "· mypy --strict" >&2 && $(BIN)/mypy --no-error-summary
	@echo "· import rules" >&2 && PYTHONPATH=src $(BIN)/lint-imports --no-cache >/dev/null || PYTHONPATH=src $(BIN)/lint-imports --no-cache
	@echo "· shellcheck" >&2 && $(BIN)/shellcheck -x bin/check-host .ci/run $$(git ls-files '*.sh')
	@echo "· cfn-lint" >&2 && $(BIN)/cfn-lint src/moorings/*/*.yaml

format: $(VENV)/dev.stamp ## Format the sources
	@$(BIN)/ruff format . && $(BIN)/ruff check --fix .

bench: $(VENV)/dev.stamp ## The benchmarks and exhaustive runs, one after another
	@for each in bench/*.py; do echo "· $$each" >&2; $(BIN)/python $$each || exit 1; done

docs: $(VENV)/dev.stamp ## Check the manual, and build its site in build/site
	@$(BIN)/python -m pytest -q tests/architecture
	@$(BIN)/python -m docs.generator.site

lock: ## Write the requirements anew (needs uv)
	@flags="--generate-hashes --universal --no-header --no-annotate --no-emit-index-url --no-emit-find-links --quiet --upgrade"; \
	uv pip compile pyproject.toml --extra local --extra build --extra dev $$flags -o requirements/dev.txt && \
	uv pip compile pyproject.toml --extra local --extra build $$flags -c requirements/dev.txt -o requirements/local.txt

clean: ## Remove what these targets made
	@rm -rf $(VENV) .coverage .coverage.* .pytest_cache .mypy_cache .ruff_cache .hypothesis build dist

$(VENV)/local.stamp: requirements/local.txt pyproject.toml
	@PYTHON=$(PYTHON) bin/check-host
	@echo "· building the environment in $(VENV) (first use, about a minute)" >&2
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@$(PIP) --require-hashes -r requirements/local.txt
	@$(PIP) --no-deps --no-build-isolation --editable .
	@touch $@

$(VENV)/dev.stamp: requirements/dev.txt $(VENV)/local.stamp
	@echo "· adding the tools for tests" >&2
	@$(PIP) --require-hashes -r requirements/dev.txt
	@touch $@
