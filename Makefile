# Two commands are enough: `make run` and `make test`. Both set up what they need and do nothing twice.

PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
SHELL  := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help

DASHBOARD := src/web/dashboard/index.html
FRONTEND_SOURCES := $(shell find frontend -type f -not -path '*/node_modules/*' -not -path '*/dist/*' 2>/dev/null)

# The Python tests run in this many processes at once; 0 runs them in one, with readable output while they run.
WORKERS ?= $(shell n=$$(nproc 2>/dev/null || echo 2); echo $$(( n < 4 ? n : 4 )))
PYTEST := $(BIN)/python -m pytest --numprocesses=$(WORKERS) --dist=worksteal

.PHONY: help setup run test test-fast test-python test-frontend test-browser test-file check bench fmt lock wheel clean

help: ## list the targets
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /  make \1\t/' | expand -t 22

setup: $(VENV)/.ready $(DASHBOARD) ## the virtual environment in .venv, and the dashboard

$(VENV)/.ready: requirements/dev.txt pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Fantail needs Python 3.11 or later; name one with: make PYTHON=python3.12 …"; exit 1; }
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/dev.txt
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	touch $@

frontend/node_modules/.ready: frontend/package-lock.json
	@command -v npm >/dev/null && node -e 'const [a, b] = process.versions.node.split("."); process.exit(a > 20 || (a == 20 && b >= 19) ? 0 : 1)' || \
	  { echo "The dashboard is built with npm and Node 20.19 or later; found: $$(node --version 2>/dev/null || echo none)."; exit 1; }
	cd frontend && npm ci --no-audit --no-fund --loglevel=error
	touch $@

$(DASHBOARD): frontend/node_modules/.ready $(FRONTEND_SOURCES)
	cd frontend && npm run --silent build
	touch $@

run: setup ## start the server and, beside it, a first real job (or CMD="…")
	$(BIN)/python scripts/run_demo.py $(if $(value CMD),--command '$(subst ','\'',$(value CMD))')

test: setup test-python test-frontend test-browser ## everything: Python, front end, browser

test-fast: $(VENV)/.ready frontend/node_modules/.ready ## unit and property tests of both sides
	$(PYTEST) -q -m "not slow and not services" tests/broker tests/properties tests/conformance tests/test_documents.py
	cd frontend && npm run --silent test

test-file: setup ## one test file of either side: FILE=tests/broker/test_jobs.py, frontend/tests/… or tests/browser/…
	@case '$(FILE)' in \
	  tests/browser/*) scripts/browser_tests.sh '$(notdir $(FILE))' ;; \
	  frontend/*) cd frontend && npm run --silent test -- '$(FILE:frontend/%=%)' ;; \
	  ?*) $(BIN)/python -m pytest '$(FILE)' ;; \
	  *) echo "Name a test file: make test-file FILE=tests/broker/test_jobs.py"; exit 2 ;; \
	esac

test-python: $(VENV)/.ready
	$(PYTEST) --ignore=tests/browser

test-frontend: frontend/node_modules/.ready
	cd frontend && npm run --silent test

test-browser: setup
	scripts/browser_tests.sh

check: setup ## format, lint, types, import rules
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	cd frontend && npm run --silent check

bench: setup ## measure, and write bench/RESULTS.md (or ARGS=frontend, say, for some of it)
	$(BIN)/python -m bench $(ARGS)

fmt: $(VENV)/.ready ## format and fix what can be fixed
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

lock: ## resolve the pins anew (needs uv on PATH)
	uv pip compile -q pyproject.toml --extra sql --universal --generate-hashes --no-emit-index-url --no-header --no-annotate --python-version 3.11 -o requirements/runtime.txt
	uv pip compile -q pyproject.toml --extra sql --group dev --universal --generate-hashes --no-emit-index-url --no-header --no-annotate --python-version 3.11 -c requirements/runtime.txt -o requirements/dev.txt

wheel: setup ## build the wheel, dashboard inside, into dist/
	$(BIN)/python -m hatchling build -t wheel

clean: ## remove what was built
	rm -rf $(VENV) dist src/web/dashboard frontend/node_modules
