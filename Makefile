# `make` alone prints what there is. Everything a developer or CI does is a target here, so that
# red there is red here.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
# Two pips in one environment undo each other.
.NOTPARALLEL:
MAKEFLAGS += --no-print-directory

VENV := .venv
BIN := $(VENV)/bin
PY := $(BIN)/python
# Twice quiet: a registry's notices would bury the lines that say what takes long.
PIP := $(PY) -m pip install --quiet --quiet --disable-pip-version-check
PYTEST := $(PY) -m pytest
# Options for pytest, for example: make test ARGS="-k webhook -x"
ARGS ?=
# Tests wait for processes as often as they compute, so half as many again as there are cores.
JOBS ?= $(shell echo $$(( ($$(nproc 2>/dev/null || echo 2) * 3 + 1) / 2 )))
# How much `make reliability` does: ci (about a third), full or soak; and which of it.
SCALE ?= full
SUITES := tests/reliability
ONLY ?= $(SUITES)
# Only a full and whole run speaks for the project.
PART := $(ARGS)$(filter-out full,$(SCALE))$(filter-out $(SUITES),$(ONLY))
ATTACKS ?= build/attack-$(SCALE).json
FIGURES ?= $(if $(PART),build/reliability-$(SCALE).json,RELIABILITY.json)

# The first interpreter that is new enough and can make a virtual environment.
define FIND_PYTHON
find_python() { \
  for candidate in python3 python3.14 python3.13 python3.12 python3.11; do \
    if command -v $$candidate >/dev/null 2>&1 && $$candidate -c \
      'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1; \
    then echo $$candidate; return 0; fi; \
  done; return 1; }; \
if ! python=$$(find_python); then \
  if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null 2>&1; then \
    echo "no Python 3.11 or newer with venv: installing python3 and python3-venv"; \
    apt-get update -qq && apt-get install -y -qq python3 python3-venv >/dev/null; \
  fi; \
  python=$$(find_python) || { \
    echo "Python 3.11 or newer with its venv module is needed (on Debian: python3-venv)" >&2; \
    exit 1; }; \
fi
endef

.PHONY: help setup runtime run test browser sandbox check unit acceptance reliability \
  reliability-tools soak attack mutants bench docs lock format wheel clean

help: ## Show this list
	@awk 'BEGIN {FS = ":.*## "} /^[a-z-]+:.*## / {printf "  make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: $(VENV)/.dev $(VENV)/.project ## Make .venv with everything for development

runtime: $(VENV)/.runtime $(VENV)/.project ## Make .venv with what the daemon needs, no more

$(PY):
	@$(FIND_PYTHON); \
	echo "making $(VENV) with $$($$python --version)"; \
	$$python -m venv $(VENV)

$(VENV)/.runtime: requirements.lock requirements-build.lock | $(PY)
	@echo "installing the pinned runtime packages (about a minute the first time)"
	@$(PIP) --require-hashes -r requirements.lock -r requirements-build.lock
	@touch $@

$(VENV)/.dev: requirements-dev.lock | $(VENV)/.runtime
	@echo "installing the pinned development tools"
	@$(PIP) --require-hashes -r requirements-dev.lock
	@touch $@

$(VENV)/.project: pyproject.toml | $(VENV)/.runtime
	@$(PIP) --no-deps --no-build-isolation --editable .
	@touch $@

run: runtime ## Serve ./workspace, made from automations.example/ the first time
	@if [ -d workspace ]; then echo "environment ready."; else \
	  cp -R automations.example workspace; \
	  echo "environment ready. First start: copied automations.example/ to workspace/ (git-ignored, yours to edit)"; \
	fi
	@exec $(BIN)/amodal-rt up --workspace workspace

test: setup browser sandbox ## Run every test but the reliability suites
	@$(PYTEST) -n $(JOBS) --dist loadfile $(ARGS)

# A browser for the tests of the dashboard. Outside CI they say that there is none, and are skipped.
browser:
	@if ! command -v chromium >/dev/null 2>&1; then \
	  if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null 2>&1; then \
	    echo "installing chromium"; \
	    apt-get update -qq && DEBIAN_FRONTEND=noninteractive \
	      apt-get install -y -qq --no-install-recommends chromium fonts-dejavu-core >/dev/null \
      || echo "not installed: the tests that need it are skipped" >&2; \
	  else echo "no chromium, and not root to install it" >&2; fi; \
	fi

# bubblewrap, for the tests of sandboxes. Outside CI they say that there is none, and are skipped.
sandbox:
	@if ! command -v bwrap >/dev/null 2>&1; then \
	  if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null 2>&1; then \
	    echo "installing bubblewrap"; \
	    apt-get update -qq && DEBIAN_FRONTEND=noninteractive \
	      apt-get install -y -qq --no-install-recommends bubblewrap >/dev/null \
      || echo "not installed: the tests that need it are skipped" >&2; \
	  else echo "no bubblewrap, and not root to install it" >&2; fi; \
	fi

unit: setup ## Run the quick tests: units, contracts, the shape of the tree
	@$(PYTEST) $(wildcard tests/unit tests/contracts tests/architecture) $(ARGS)

acceptance: setup ## Run the tests that drive the built wheel from outside
	@$(PYTEST) tests/acceptance $(ARGS)

reliability: setup reliability-tools ## Break it in every way, count, write RELIABILITY.json (SCALE=ci|full)
	@AMODAL_RT_RELIABILITY=$(SCALE) $(PYTEST) $(ONLY) -n $(JOBS) --dist loadfile \
	  --figures $(FIGURES) $(ARGS)

soak: ## The same for hours
	@$(MAKE) reliability SCALE=soak

# Debian's PostgreSQL, and what injects faults from outside. Where they cannot be installed, the
# suites that need them say so and are skipped.
reliability-tools:
	@missing=(); \
	find /usr/lib/postgresql -path '*/bin/postgres' 2>/dev/null | grep -q . || missing+=(postgresql); \
	for pair in strace:strace faketime:faketime ip:iproute2; do \
	  command -v $${pair%%:*} >/dev/null 2>&1 || missing+=($${pair##*:}); \
	done; \
	if (($${#missing[@]})); then \
	  if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null 2>&1; then \
	    echo "installing $${missing[*]}"; \
	    apt-get update -qq && DEBIAN_FRONTEND=noninteractive \
	      apt-get install -y -qq --no-install-recommends "$${missing[@]}" >/dev/null \
      || echo "not installed: suites that need them are skipped" >&2; \
	  else echo "missing, and not root to install it: $${missing[*]}" >&2; fi; \
	fi

attack: setup .venv-attack/.ready ## Attack it: injected text, disguised writes, forged addresses (SCALE=ci|full)
	@AMODAL_RT_ATTACK=$(SCALE) $(PYTEST) tests/attack -n $(JOBS) --attacks $(ATTACKS) $(ARGS)

# AgentDojo brings the libraries of every provider: it gets an environment of its own.
.venv-attack/.ready: requirements-attack.lock | $(PY)
	@echo "installing AgentDojo (about two minutes the first time)"
	@$(PY) -m venv .venv-attack
	@.venv-attack/bin/python -m pip install --quiet --quiet --disable-pip-version-check \
	  --require-hashes -r requirements-attack.lock
	@touch $@

mutants: setup ## Plant known bugs one by one: each must turn its tests red
	@AMODAL_RT_RELIABILITY=full $(PYTEST) tests/reliability/mutants -n $(JOBS) $(ARGS)

check: setup ## Lint, format, types, import directions, shape of the tree
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/pyright
	@$(BIN)/lint-imports
	@$(PYTEST) -q tests/architecture

format: setup ## Rewrite the code in the house's layout
	@$(BIN)/ruff format .
	@$(BIN)/ruff check --fix .

bench: setup ## Measure, each figure as a ratio to a baseline of the same run
	@$(PY) -m bench

docs: setup ## Write the generated pages of docs/reference anew
	@$(PY) docs/generate.py

wheel: setup ## Build the wheel into dist/
	@$(PY) -m build --wheel --no-isolation --outdir dist .

# No index, link or path may stand in a lock: whoever installs brings their own registry, and the
# hashes say that it served the right thing.
COMPILE := $(BIN)/uv --no-config pip compile --quiet --universal --python-version 3.11 \
  --generate-hashes --no-emit-index-url --no-emit-find-links --no-header --no-annotate $(UPGRADE)

lock: setup ## Write the three locks anew (UPGRADE=--upgrade for newer versions)
	@$(COMPILE) pyproject.toml --extra dev --output-file requirements-dev.lock
	@$(COMPILE) pyproject.toml --constraints requirements-dev.lock --output-file requirements.lock
	@echo 'hatchling' | $(COMPILE) - --constraints requirements-dev.lock --output-file requirements-build.lock

clean: ## Remove what was built; leaves workspace/ alone
	@rm -rf $(VENV) dist build .pytest_cache .ruff_cache .import_linter_cache .hypothesis
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +
