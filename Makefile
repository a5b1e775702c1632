# Everything happens in .venv; a second call installs nothing again.
PYTHON ?= python3
BIN := .venv/bin
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt
# Where `make real` finds the real data (see CONTRIBUTING.md).
DATA ?= ../shared/data
# Two files of tests at a time on two cores; the tests of a file share what they made.
PYTEST := $(BIN)/python -m pytest --numprocesses auto --maxprocesses 4 --dist loadfile

.PHONY: help demo test coverage test-slow real bench style

help:
	@echo "make demo       the whole pipeline on the sample world; ends with where its report is (under 4 minutes)"
	@echo "make test       the tests (under 12 minutes)"
	@echo "make coverage   the same tests, and which lines and branches of the package they leave out (takes half as long again)"
	@echo "make test-slow  the slow tests: kills, the wheel, real launches, the browser"
	@echo "make real       the whole pipeline on real text in $(DATA)"
	@echo "make bench      speed and memory beside others, as benchmarks/README.md tells (an hour and a half)"
	@echo "make style      ruff and mypy"

demo: .venv/installed
	$(BIN)/hf-xling demo --output_dir runs/demo

test: .venv/installed-test
	$(PYTEST) -m "not slow"

coverage: .venv/installed-test
	$(PYTEST) -m "not slow" --cov --cov-report=term

test-slow: .venv/installed-test
	$(PYTEST) -m slow

real: .venv/installed
	$(BIN)/python tests/real.py --data $(DATA) --output_dir runs/real

bench: .venv/installed-test
	$(BIN)/python benchmarks/generation.py
	$(BIN)/python benchmarks/corpora.py
	$(BIN)/python benchmarks/simcse.py
	$(BIN)/python benchmarks/regression.py

style: .venv/installed-test
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

.venv/installed: setup.cfg pyproject.toml constraints.txt
	@$(PYTHON) -c "import sys; sys.version_info >= (3, 11) or sys.exit('Python 3.11 or newer is needed')"
	$(PYTHON) -m venv .venv
	$(PIP) --editable .
	touch $@

.venv/installed-test: .venv/installed
	$(PIP) --editable ".[test]"
	touch $@
