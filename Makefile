# PYTHON is any Python 3.11 or newer: make test PYTHON=python3.12
PYTHON ?= python3
BIN := .venv/bin
READY := .venv/.ready

.DEFAULT_GOAL := help
.PHONY: help setup demo test check test-slow bench clean

help:
	@echo "make setup      make .venv with everything that development needs"
	@echo "make demo       a round of five nodes on this machine, and two frauds that are found out"
	@echo "make test       checks and tests, a few minutes"
	@echo "make check      format, lint, types, arrows between rooms"
	@echo "make test-slow  the tests that take minutes each"
	@echo "make bench      how to run the benchmarks"
	@echo "make clean      remove everything that these targets made"

setup: $(READY)

$(READY): pyproject.toml constraints-cpu.txt
	@$(PYTHON) -c 'import sys; sys.exit(None if sys.version_info >= (3, 11) else "Python 3.11 or newer is needed, this is " + sys.version.split()[0] + "; try make PYTHON=python3.12")'
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --upgrade "pip>=25.1"
	$(BIN)/python -m pip install --quiet --constraint constraints-cpu.txt torch
	$(BIN)/python -m pip install --quiet --constraint constraints-cpu.txt --group dev --editable .
	@touch $@

demo: setup
	$(BIN)/python -m node.demo

test: setup check
	$(BIN)/python -m pytest --numprocesses auto --maxprocesses 4

check: setup
	$(BIN)/ruff format --check
	$(BIN)/ruff check
	$(BIN)/mypy
	$(BIN)/lint-imports

test-slow: setup
	$(BIN)/python -m pytest -m slow

bench:
	@echo "The benchmarks compare with mergekit, take long and want an otherwise idle machine:"
	@echo "  $(BIN)/python -m benchmarks.against_mergekit --help   speed and memory"
	@echo "  $(BIN)/python -m benchmarks.agreement --help          do the outputs agree"
	@echo "What was measured lies in benchmarks/results."

clean:
	rm -rf .venv .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache build dist *.egg-info
	find umm node protocol tests benchmarks -name __pycache__ -type d -prune -exec rm -rf {} +
