# Two commands do everything on a machine that has Python 3.11 and make:
#   make serve     install what serving needs, and serve the generators in models/
#   make test      install what tests need, and run all of them
# Also: make install (both wings, for training), make check (lint and types alone), make bench, make clean.

PYTHON ?= $(shell command -v python3.11 || command -v python3)
VENV := .venv
BIN := $(VENV)/bin

.PHONY: serve test check install bench clean

serve: $(VENV)/serve.done
	$(BIN)/seedmint serve $(ARGS)

test: check
	$(BIN)/python -m pytest --numprocesses auto --dist loadfile -m "not slow"

check: $(VENV)/test.done
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache

install: $(VENV)/train.done
	@echo "Installed. Next: $(BIN)/seedmint train digits --out runs/d"

bench: $(VENV)/test.done
	$(BIN)/python benchmarks/noise.py
	$(BIN)/python -m benchmarks.training
	$(BIN)/python -m benchmarks.batch

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Seedmint needs Python 3.11 or newer; set PYTHON=...")'
	$(PYTHON) -m venv $(VENV)

$(VENV)/serve.done: pyproject.toml | $(BIN)/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[serve]'
	@touch $@

$(VENV)/train.done: pyproject.toml | $(BIN)/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[serve,batch,train]'
	@touch $@

$(VENV)/test.done: pyproject.toml | $(BIN)/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[test]'
	@touch $@

clean:
	rm -rf $(VENV) *.egg-info .mypy_cache .pytest_cache .ruff_cache .hypothesis
