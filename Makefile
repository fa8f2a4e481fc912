# Everything runs from a fresh clone on Debian 12 with python3, git and make; what it makes stays under .lab/.
#   make demo    machines move from a real OpenStack to Cloud Avenue, with their network, and must run there
#                (root or sudo, 2 cores; make demo TARGET=vsphere: to vSphere)
#   make test    lint, sanity, unit, integration and end-to-end tests with one lab start
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

export HOME_OF_TESTS := $(CURDIR)/.lab/home
BIN := .lab/venv/bin
PY := $(BIN)/python
TARGET ?= cloud_avenue
say = @printf '\n==> %s\n'

# The tools find the collection where Ansible wants it, and keep off the user's own configuration.
TOOL_ENV = PATH="$(CURDIR)/$(BIN):$$PATH" ANSIBLE_COLLECTIONS_PATH="$(CURDIR)/.lab/src" ANSIBLE_HOME="$(HOME_OF_TESTS)/.ansible" \
	ANSIBLE_NOCOLOR=1 NO_COLOR=1
PYTEST = $(TOOL_ENV) $(PY) -m pytest

.PHONY: help venv packages demo test test-unit test-integration soak bench lint sanity lab-up lab-down build clean distclean

help: ## this list
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /  make \1\t/' | expand -t 26

venv: ## the Python environment that the rest uses (.lab/venv)
	@tests/tools/venv.sh

packages: venv ## the Debian packages that the lab and the tests use; only what is missing is installed
	@$(PY) -m tests.lab packages

demo: venv ## move machines that really run from OpenStack to Cloud Avenue (TARGET=vsphere: to vSphere), in the lab
	@$(TOOL_ENV) $(PY) -m tests.lab.demo --target $(TARGET)

test: lint sanity packages ## all that must pass before a change lands
	$(say) "unit, integration and end-to-end tests (one lab start)"
	@$(PYTEST) -m "not soak" --durations=20 tests/unit tests/integration tests/end_to_end

test-unit: packages ## unit tests alone, under a minute, no lab
	$(say) "unit tests"
	@$(PYTEST) -m "not soak" -q tests/unit

test-integration: venv ## integration tests (start the lab when it is not up)
	$(say) "integration tests"
	@$(PYTEST) -m "not soak" tests/integration

soak: venv ## the long tests
	$(say) "soak tests"
	@CLOUDEXIT_SOAK=1 $(PYTEST) -m soak tests/unit tests/integration tests/end_to_end

bench: venv ## paired measurements against peers, to .lab/bench/*.json
	$(say) "benchmarks"
	@for name in vmdk wave estate equivalence prepare purge; do if [ -e tests/bench/$$name.py ]; then $(TOOL_ENV) $(PY) -m tests.bench.$$name; fi; done

lint: venv ## ruff, mypy, yamllint, ansible-lint, changelog, documentation
	$(say) "ruff"
	@$(BIN)/ruff check --cache-dir .lab/cache/ruff .
	$(say) "mypy --strict plugins/module_utils"
	@MYPYPATH=.lab/src $(BIN)/mypy -p ansible_collections.cloudexit.flexible_engine.plugins.module_utils
	$(say) "yamllint"
	@$(BIN)/yamllint -s .
	$(say) "ansible-lint (production)"
	@$(TOOL_ENV) $(BIN)/ansible-lint --offline --profile production -q
	$(say) "changelog and documentation of plugins and roles"
	@$(TOOL_ENV) $(BIN)/antsibull-changelog lint
	@$(TOOL_ENV) $(BIN)/antsibull-docs lint-collection-docs --plugin-docs --validate-collection-refs=self .

sanity: venv ## ansible-test sanity on a copy of the tree
	$(say) "ansible-test sanity"
	@$(PY) tests/tools/sanity.py

build: venv ## the artefact, in dist/
	@$(TOOL_ENV) $(BIN)/ansible-galaxy collection build --force --output-path dist

lab-up: venv ## start the lab and seed its tenant
	@$(PY) -m tests.lab up
	@$(PY) -m tests.lab seed

lab-down: ## stop every lab of this checkout
	@for run in .lab/*/run; do \
	  if [ -d "$$run" ] && [ -x $(PY) ]; then $(PY) -m tests.lab down --name "$$(basename "$$(dirname "$$run")")"; fi; \
	done

clean: lab-down ## remove what runs made; keep the Python environment and the caches
	@for run in .lab/*/run; do if [ -d "$$run" ]; then rm -rf "$$(dirname "$$run")"; fi; done
	@rm -rf .lab/run .lab/sanity .lab/demo .lab/home dist .ansible collections .pytest_cache .ruff_cache .mypy_cache
	@find . -name __pycache__ -type d -not -path './.lab/*' -prune -exec rm -rf {} +

distclean: clean ## remove everything under .lab as well
	@rm -rf .lab
