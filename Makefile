# make demo: install and train, 15 minutes at most; make test: everything that must hold.
PYTHON ?= python3
BIN := .venv/bin
ENGINE := .venv-engine/bin
# What the two commands of the README install: files whose hash is written down, then this project as it lies here.
HASHED := --quiet --disable-pip-version-check --no-deps --require-hashes
THIS := --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
# What the other targets install: pinned versions. The environment variable reaches the build's own environment too,
# which -c does not.
INSTALL := PIP_CONSTRAINT=constraints.txt PIP_DISABLE_PIP_VERSION_CHECK=1
# Where the demo goes, and more options for it: make demo RUN=runs/short DEMO='--steps 9000'.
RUN ?= runs/demo
DEMO =
# Two tests at a time, those of a file by one process: they share what its fixtures take long to make.
PYTEST := python -m pytest --numprocesses 2 --dist loadfile

.PHONY: demo test lint test-engine test-rest test-slow same-as torture torture-engine soak validate bench pins audit licences test-browser test-loggers docs linkcheck figures try-wheel clean

demo: .venv/mega
	$(BIN)/genoevo mega train --preset demo --run-dir $(RUN) $(DEMO)

test: lint test-engine test-rest

lint: .venv/dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

# The engine's tests run where torch is not installed.
test-engine: .venv-engine/installed
	$(ENGINE)/$(PYTEST) tests/engine

test-rest: .venv/dev
	$(BIN)/$(PYTEST) tests/mega tests/runs tests/cli tests/docs tests/examples tests/supply tests/same_as

# Tests that take minutes.
test-slow: .venv/dev
	$(BIN)/python -m pytest tests -m slow

# Whether this checkout trains and searches as the commit REV does, bit for bit: five minutes on two cores, half of
# them where REV's own runs are still in .same-as/. WITH="--only 'mega-*'" or WITH=--quick for some of the runs.
same-as: .venv/dev
	@test -n "$(REV)" || { echo "say which commit to compare with: make same-as REV=main" >&2; exit 2; }
	$(BIN)/python -m tests.same_as $(REV) $(WITH)

# Runs and searches killed a hundred times each and gone on with, and 20,000 spoilt files: half an hour on two cores.
torture: .venv/dev torture-engine
	$(BIN)/python tests/mega/torture.py --runs 100
	$(BIN)/python tests/mega/fuzz.py --inputs 20000

# An hour of MT10 at the demo's sizes: memory that grows, and what is left behind however a run ends.
soak: .venv/dev
	$(BIN)/python tests/mega/soak.py

torture-engine: .venv-engine/installed
	$(ENGINE)/python tests/engine/torture.py 100

# The pages in a real Chromium, which must be there (apt-get install chromium); screenshots go to .browser/screenshots.
test-browser: .venv/browser .browser/axe.min.js
	@command -v chromium >/dev/null || { echo "there is no chromium: apt-get install chromium" >&2; exit 1; }
	$(BIN)/python -m pytest tests/browser -m browser

# The loggers whose packages the other tests do without.
test-loggers: .venv/loggers
	$(BIN)/python -m pytest tests/mega/test_loggers.py

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
	$(BIN)/python benchmarks/checkpoint.py
	$(BIN)/python benchmarks/report.py

# Write requirements/*.txt anew, from pyproject.toml and constraints.txt.
pins: .venv-pins/installed
	PATH=$(CURDIR)/.venv-pins/bin:$$PATH $(PYTHON) requirements/compile.py

# Known vulnerabilities of what is pinned, as far as the advisory service can be reached: a report that fails nothing.
audit: .venv-audit/installed
	.venv-audit/bin/python requirements/audit.py

# Write docs/reference/licences.rst anew.
licences: .venv/dev
	$(BIN)/python requirements/licences.py --write

# The wheel alone in an empty environment, and every command of the README, small.
try-wheel:
	PYTHON=$(PYTHON) tests/wheel.sh

docs: .venv/docs
	$(BIN)/sphinx-build -W -n --keep-going -q -b html docs docs/_build/html

# Whether the addresses that docs/ and the README name answer; needs the network.
linkcheck: .venv/docs
	$(BIN)/sphinx-build -q -b linkcheck docs docs/_build/linkcheck

# Draw every picture of docs/ anew, from a run of the demo; needs Chromium: see docs/figures.py.
figures: .venv/browser
	$(BIN)/python docs/figures.py

# Torch's CPU build where pip finds it, else PyPI's, which for Linux brings CUDA.
.venv/mega: pyproject.toml requirements/mega.txt requirements/torch.txt requirements/torch-cpu.txt
	$(PYTHON) -m venv .venv
	$(BIN)/pip install $(HASHED) -r requirements/torch-cpu.txt 2>/dev/null || \
		$(BIN)/pip install $(HASHED) -r requirements/torch.txt
	$(BIN)/pip install $(HASHED) -r requirements/mega.txt
	$(BIN)/pip install $(THIS)
	touch $@

.venv/dev: .venv/mega requirements/dev.txt
	$(BIN)/pip install $(HASHED) -r requirements/dev.txt
	$(BIN)/pip check
	touch $@

.venv/bench: .venv/mega
	$(INSTALL) $(BIN)/pip install --quiet --editable '.[bench]'
	touch $@

.venv/loggers: .venv/dev
	$(INSTALL) $(BIN)/pip install --quiet --editable '.[loggers]'
	touch $@

.venv/browser: .venv/dev
	$(INSTALL) $(BIN)/pip install --quiet --editable '.[browser]'
	touch $@

# What checks the pages against WCAG; the sum is that of npm's package.
.browser/axe.min.js:
	mkdir -p $(@D)
	cd $(@D) && npm pack --silent axe-core@4.14.1
	cd $(@D) && echo "e6b0ce02b84d892e2e33e403485e7f3d6c29e2be6df65daf44d89ba564139745  axe-core-4.14.1.tgz" | sha256sum --check --quiet
	tar -xzf $(@D)/axe-core-4.14.1.tgz -C $(@D) --strip-components=1 --touch package/axe.min.js

.venv/docs: .venv/mega requirements/docs.txt
	$(BIN)/pip install $(HASHED) -r requirements/docs.txt
	touch $@

.venv-engine/installed: pyproject.toml requirements/engine.txt
	$(PYTHON) -m venv .venv-engine
	$(ENGINE)/pip install $(HASHED) -r requirements/engine.txt
	$(ENGINE)/pip install $(THIS)
	touch $@

# Apart, because ioh installs a package called tests, which would hide ours from spawned workers.
.venv-validate/installed: pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv-validate
	$(INSTALL) .venv-validate/bin/pip install --quiet --editable '.[validate]' pytest hypothesis
	touch $@

.venv-pins/installed:
	$(PYTHON) -m venv .venv-pins
	.venv-pins/bin/pip install --quiet --disable-pip-version-check uv
	touch $@

.venv-audit/installed: requirements/audit.txt
	$(PYTHON) -m venv .venv-audit
	.venv-audit/bin/pip install $(HASHED) -r requirements/audit.txt
	touch $@

clean:
	rm -rf .venv .venv-engine .venv-validate .venv-pins .venv-audit .browser
