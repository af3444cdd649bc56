# make demo: install and train, 15 minutes at most; make test: everything that must hold.
PYTHON ?= python3
BIN := .venv/bin
ENGINE := .venv-engine/bin
# The environment variable reaches the build's own environment too, which -c does not.
INSTALL := PIP_CONSTRAINT=constraints.txt PIP_DISABLE_PIP_VERSION_CHECK=1
RUN ?= runs/demo

.PHONY: demo test lint test-engine test-rest test-slow torture-engine validate bench docs clean

demo: .venv/mega
	$(BIN)/genoevo mega train --preset demo --run-dir $(RUN)

test: lint test-engine test-rest

lint: .venv/dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

# The engine's tests run where torch is not installed.
test-engine: .venv-engine/installed
	$(ENGINE)/python -m pytest tests/engine

test-rest: .venv/dev
	$(BIN)/python -m pytest tests/mega tests/cli tests/examples

# Tests that take minutes.
test-slow: .venv/dev
	$(BIN)/python -m pytest tests -m slow

# A hundred searches of the engine, killed at random moments and gone on with: ten minutes.
torture-engine: .venv-engine/installed
	$(ENGINE)/python tests/engine/torture.py 100

# Exact theory with many runs, and the PBO suite beside published running times: a quarter of an hour on one free core.
validate: .venv-validate/installed
	.venv-validate/bin/python -m pytest tests/engine/test_theory.py -m "slow or not slow"
	.venv-validate/bin/python validation/pbo.py --write validation/pbo.rst

# Ratios to other software and to the machine's own limits; each says what it measures at its head.
bench: .venv/bench
	$(BIN)/python benchmarks/engine.py
	$(BIN)/python benchmarks/rollouts.py
	$(BIN)/python benchmarks/learner.py
	$(BIN)/python benchmarks/training.py

docs: .venv/docs
	$(BIN)/sphinx-build -W --keep-going -b html docs docs/_build/html

.venv/mega: pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv
	$(INSTALL) $(BIN)/pip install --quiet --editable '.[mega]'
	touch $@

.venv/dev: .venv/mega
	$(INSTALL) $(BIN)/pip install --quiet --editable '.[dev]'
	touch $@

.venv/bench: .venv/mega
	$(INSTALL) $(BIN)/pip install --quiet --editable '.[bench]'
	touch $@

.venv/docs: .venv/mega
	$(INSTALL) $(BIN)/pip install --quiet --editable '.[docs]'
	touch $@

.venv-engine/installed: pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv-engine
	$(INSTALL) $(ENGINE)/pip install --quiet --editable '.[graph]' pytest hypothesis
	touch $@

# Apart, because ioh installs a package called tests, which would hide ours from spawned workers.
.venv-validate/installed: pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv-validate
	$(INSTALL) .venv-validate/bin/pip install --quiet --editable '.[validate]' pytest hypothesis
	touch $@

clean:
	rm -rf .venv .venv-engine .venv-validate
