# Every target makes .venv and installs what it needs; the second run installs nothing.
# Needs Python 3.11 or newer, pip and make. Another interpreter: make PYTHON=python3.12 test

PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
INSTALL := $(BIN)/python -m pip install --quiet --disable-pip-version-check

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.NOTPARALLEL:
.PHONY: help demo test test-slow test-interop properties verdicts tightness fuzz mutation coverage lint docs bench clean

help:
	@echo 'make demo        verify the order of the equation of motion on two problems; results in demo/'
	@echo 'make test        the tests'
	@echo 'make test-slow   the tests that take long'
	@echo 'make test-interop  the tests of the front ends, with JAX and PyTorch'
	@echo 'make properties  the random tests, with many cases: a million of each batched bound'
	@echo 'make verdicts    10,000 verifications of right equations and of wrong ones; takes hours'
	@echo 'make tightness   the table of bounds over truth in docs/theory/distance.md'
	@echo 'make fuzz        every public function and command with 100,000 random arguments; CALLS=800 of each'
	@echo 'make mutation    how many small changes of the package the tests notice; MUTANTS=20 of each part'
	@echo 'make coverage    the lines that the tests run'
	@echo 'make lint        ruff, mypy and the floors'
	@echo 'make docs        the documentation, in docs/_build/html'
	@echo 'make bench       the measurements of speed'
	@echo 'make clean       remove everything that make made'

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(None if sys.version_info >= (3, 11) else "eomsym needs Python 3.11 or newer, but $(PYTHON) is %d.%d. Type: make PYTHON=python3.12" % sys.version_info[:2])'
	@# Some systems ship venv without ensurepip: there, their own pip installs the new one.
	@$(PYTHON) -m venv $(VENV) || { $(PYTHON) -m venv --clear --without-pip $(VENV) && $(PYTHON) -m pip --python $@ install --quiet pip; }

# One stamp for each extra of pyproject.toml.
$(VENV)/installed-%: pyproject.toml constraints.txt | $(BIN)/python
	@echo 'installing eomsym[$*] into $(VENV)'
	@$(INSTALL) --editable '.[$*]' --constraint constraints.txt
	@touch $@

demo: $(VENV)/installed-demo
	$(BIN)/eomsym verify --output demo

test: $(VENV)/installed-test
	$(BIN)/python -m pytest -n 2

test-slow: $(VENV)/installed-test
	$(BIN)/python -m pytest -n 2 -m 'slow and not bench'

test-interop: $(VENV)/installed-interop
	$(BIN)/python -m pytest -n 2 -m 'not bench' eomsym/interop tests/interop tests/codegen/test_jax_backend.py

properties: $(VENV)/installed-test
	$(BIN)/python tests/properties/million.py --cases 1000000 --processes 2
	$(BIN)/python tests/properties/search.py --generations 100 --seeds 2
	$(BIN)/python -m pytest -n 2 --dist worksteal -m properties --hypothesis-profile=thorough

verdicts: $(VENV)/installed-test
	$(BIN)/python tests/properties/verdicts.py --cases 10000
	$(BIN)/python tests/properties/verdicts.py --cases 10000 --wrong

tightness: $(VENV)/installed-test
	$(BIN)/python tests/properties/million.py --cases 80000 --processes 2 --table --kinds polynomials networks

# 800 calls of each name; a failure prints the line that repeats it.
CALLS ?= 800
fuzz: $(VENV)/installed-test
	EOMSYM_FUZZ_CALLS=$(CALLS) $(BIN)/python -m pytest -n 2 --dist worksteal tests/fuzz --hypothesis-profile=fuzz

MUTANTS ?= 20
mutation: $(VENV)/installed-test
	$(BIN)/python tests/mutation/mutate.py --each $(MUTANTS)

coverage: $(VENV)/installed-test
	$(BIN)/python -m pytest -n 2 -m 'not bench' --cov=eomsym --cov-report=term-missing:skip-covered

lint: $(VENV)/installed-lint
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

docs: $(VENV)/installed-docs
	$(BIN)/python -m sphinx -j 2 -E -n -W --keep-going -b html docs docs/_build/html

bench: $(VENV)/installed-bench
	$(BIN)/python -m pytest tests/bench -m bench --benchmark-enable

clean:
	rm -rf $(VENV) .benchmarks .hypothesis .import_linter_cache .mypy_cache .pytest_cache .ruff_cache
	rm -rf build demo dist docs/_build docs/derivations docs/internals
	find eomsym tests -name __pycache__ -type d -prune -exec rm -rf {} +
