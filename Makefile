# The two commands of a fresh machine: `make quickstart` and `make test`. Both make .venv and install into it.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
TESTS ?= tests

.PHONY: help install quickstart test lint types unit bench clean

help:
	@echo "make quickstart   set up, run the main job on bundled data, print its table (minutes)"
	@echo "make test         set up, lint, check types, run the tests"
	@echo "make bench        measure speed on this machine"
	@echo "make clean        remove the virtual environment and caches"

$(BIN)/python:
	$(PYTHON) -m venv $(VENV)

# Installed is what pyproject.toml says: the stamp is older than it when something changed.
$(VENV)/.installed: pyproject.toml | $(BIN)/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e .
	@touch $@

$(VENV)/.installed-test: pyproject.toml $(VENV)/.installed
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[test]'
	@touch $@

install: $(VENV)/.installed

quickstart: $(VENV)/.installed
	$(BIN)/lnlbench run --suite quickstart --db quickstart.sqlite
	$(BIN)/lnlbench report --suite quickstart --db quickstart.sqlite

lint: $(VENV)/.installed-test
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(VENV)/.installed-test
	$(BIN)/mypy lnlbench

unit: $(VENV)/.installed-test
	OMP_NUM_THREADS=1 OMP_WAIT_POLICY=PASSIVE $(BIN)/python -m pytest $(TESTS) -n 2 --dist worksteal

test: lint types unit

bench: $(VENV)/.installed
	$(BIN)/python benchmarks/throughput.py

clean:
	rm -rf $(VENV) .pytest_cache .mypy_cache .ruff_cache
