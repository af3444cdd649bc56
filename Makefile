# make demo installs genoevo and trains the demo, in 15 minutes at most; make test runs all checks.
PYTHON ?= python3
BIN := .venv/bin
ENGINE := .venv-engine/bin
# The two commands of the README install files with a known hash, then this project from the checkout.
HASHED := --quiet --disable-pip-version-check --no-deps --require-hashes
THIS := --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
# The other targets install pinned versions. The environment variable also affects the environment of the build, which
# -c does not.
INSTALL := PIP_CONSTRAINT=constraints.txt PIP_DISABLE_PIP_VERSION_CHECK=1
# The directory of the demo, and more options for it: make demo RUN=runs/short DEMO='--steps 9000'.
RUN ?= runs/demo
DEMO =
# More options for the tests in the browser and those that need Ray: make test-ray AGAIN=--last-failed.
AGAIN =
# Two processes run the tests, with all tests of a file in one process: they share fixtures that are slow to make.
PYTEST := python -m pytest --numprocesses 2 --dist loadfile

.PHONY: demo test lint test-engine test-rest test-slow same-as torture torture-engine soak validate bench gpu pins audit licences test-browser test-loggers test-ray docs linkcheck figures try-wheel clean

demo: .venv/mega
	$(BIN)/genoevo mega train --preset demo --run-dir $(RUN) $(DEMO)

test: lint test-engine test-rest

lint: .venv/dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

# Run the engine's tests in an environment without torch.
test-engine: .venv-engine/installed
	$(ENGINE)/$(PYTEST) tests/engine

test-rest: .venv/dev
	$(BIN)/$(PYTEST) tests/mega tests/runs tests/scikit_learn tests/cli tests/docs tests/examples tests/supply tests/same_as

# Run the tests that take minutes.
test-slow: .venv/ray
	$(BIN)/python -m pytest tests -m slow

# Test whether this checkout trains and searches as the commit REV does, bit for bit. This takes five minutes on two
# cores, half as long if REV's own runs are still in .same-as/. WITH="--only 'mega-*'" or WITH=--quick selects runs.
same-as: .venv/dev
	@test -n "$(REV)" || { echo "REV is missing, the commit to compare with: make same-as REV=main" >&2; exit 2; }
	$(BIN)/python -m tests.same_as $(REV) $(WITH)

# Kill and resume runs and searches a hundred times each, and read 20,000 corrupt files: half an hour on two cores.
torture: .venv/dev torture-engine
	$(BIN)/python tests/mega/torture.py --runs 100
	$(BIN)/python tests/mega/fuzz.py --inputs 20000

# Train MT10 for an hour at the demo's sizes: checks memory growth, and what is left behind however a run ends.
soak: .venv/dev
	$(BIN)/python tests/mega/soak.py

torture-engine: .venv-engine/installed
	$(ENGINE)/python tests/engine/torture.py 100

# Test the pages in a real Chromium (apt-get install chromium); screenshots go to .browser/screenshots.
test-browser: .venv/browser .browser/axe.min.js
	@command -v chromium >/dev/null || { echo "chromium is not installed: apt-get install chromium" >&2; exit 1; }
	$(BIN)/python -m pytest tests/browser -m browser $(AGAIN)

# Test the loggers whose packages the other tests do not need.
test-loggers: .venv/loggers
	$(BIN)/python -m pytest tests/mega/test_loggers.py

# Compare with exact theory over many runs, and with published running times on the PBO suite: some hours on
# one free core.
validate: .venv-validate/installed
	.venv-validate/bin/python -m pytest tests/engine/test_theory.py -m "slow or not slow"
	.venv-validate/bin/python validation/pbo.py --algorithms evolution --write validation/pbo.rst
	.venv-validate/bin/python validation/pbo.py --algorithms untuned --write validation/pbo_untuned.rst

# Test what needs Ray, most of it on a cluster of several nodes on this machine.
test-ray: .venv/ray
	$(BIN)/python -m pytest -rs -m "ray and not slow" tests/cluster tests/engine/test_evaluation.py tests/engine/test_pools.py \
		tests/examples tests/mega/test_sweep_pools.py $(AGAIN)

# Measure ratios to other software and to the machine's own limits; the docstring of each file explains them.
bench: .venv/bench
	$(BIN)/python benchmarks/engine.py
	$(BIN)/python benchmarks/linkage.py
	$(BIN)/python benchmarks/rollouts.py
	$(BIN)/python benchmarks/cluster.py
	$(BIN)/python benchmarks/learner.py
	$(BIN)/python benchmarks/training.py
	$(BIN)/python benchmarks/evolving.py
	$(BIN)/python benchmarks/one_learner.py
	$(BIN)/python benchmarks/checkpoint.py
	$(BIN)/python benchmarks/report.py

# Measure learner and runs on a CUDA device and compare them with the CPU; writes gpu.json. Meant for under eight
# minutes with the installation. GPU_PYTHON=python3 uses a Python that has CUDA's torch and MEGA's other packages.
GPU_PYTHON ?= .venv-gpu/bin/python
gpu: $(if $(filter .venv-gpu/%,$(GPU_PYTHON)),.venv-gpu/installed)
	PYTHONPATH=.:adapters:cli $(GPU_PYTHON) benchmarks/gpu.py --out gpu.json

# Regenerate requirements/*.txt from pyproject.toml and constraints.txt.
pins: .venv-pins/installed
	PATH=$(CURDIR)/.venv-pins/bin:$$PATH $(PYTHON) requirements/compile.py

# Report known vulnerabilities of the pinned packages, as far as the advisory service answers; this fails nothing.
audit: .venv-audit/installed
	.venv-audit/bin/python requirements/audit.py

# Regenerate docs/reference/licences.rst.
licences: .venv/dev
	$(BIN)/python requirements/licences.py --write

# Test the wheel alone in an empty environment, with every command of the README at a small size.
try-wheel:
	PYTHON=$(PYTHON) tests/wheel.sh

docs: .venv/docs
	$(BIN)/sphinx-build -W -n --keep-going -q -b html docs docs/_build/html

# Request the addresses in docs/ and the README; this needs the network.
linkcheck: .venv/docs
	$(BIN)/sphinx-build -q -b linkcheck docs docs/_build/linkcheck

# Regenerate the pictures of docs/ from a run of the demo; this needs Chromium: see docs/figures.py.
figures: .venv/browser
	$(BIN)/python docs/figures.py

# Install torch's CPU build if pip finds it, else PyPI's build, which for Linux includes CUDA.
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

.venv/bench: .venv/ray
	$(INSTALL) $(BIN)/pip install --quiet --editable '.[bench]'
	touch $@

.venv/loggers: .venv/dev
	$(INSTALL) $(BIN)/pip install --quiet --editable '.[loggers]'
	touch $@

.venv/ray: .venv/dev requirements/ray.txt
	$(BIN)/pip install $(HASHED) -r requirements/ray.txt
	$(BIN)/pip check
	touch $@

.venv/browser: .venv/dev
	$(INSTALL) $(BIN)/pip install --quiet --editable '.[browser]'
	touch $@

# axe-core checks the pages against WCAG; the checksum is of npm's package.
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

# A separate environment, because ioh installs a package called tests, which would hide ours from spawned workers.
.venv-validate/installed: pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv-validate
	$(INSTALL) .venv-validate/bin/pip install --quiet --editable '.[validate]' pytest hypothesis
	touch $@

# The build of torch for CUDA takes gigabytes, which are worth nothing without a device.
.venv-gpu/installed: pyproject.toml requirements/mega.txt requirements/torch.txt
	@command -v nvidia-smi >/dev/null || { echo "nvidia-smi is missing: there is no CUDA device to measure" >&2; exit 2; }
	$(PYTHON) -m venv .venv-gpu
	.venv-gpu/bin/pip install $(HASHED) -r requirements/torch.txt -r requirements/mega.txt
	.venv-gpu/bin/pip install $(THIS)
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
	rm -rf .venv .venv-engine .venv-validate .venv-gpu .venv-pins .venv-audit .browser
