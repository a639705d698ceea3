# make demo    the whole story on this machine: a lab, a bench with a known difference, the truth beside it (about two minutes after the
#              installs; DEMO_ARGS="--same" or "--open")
# make unit    the tests that need the virtual environment and nothing else (no root, no packages of the system), but for those
#              that try very much: three minutes on two cores
# make lint    the linters; needs the virtual environment alone
# make test    every test, the end-to-end ones included, and the linters
# make selfcheck what enaxp costs: start-up, calls, wall time, as ratios
# make study   whether the bench can be believed: every word on simulated runs (WORDS_ARGS="--to FILE" goes on in another session),
#              A/A and known differences on this machine (STUDY_ARGS="--minutes 90")
# make crash   enaxp killed at every call and every save, and in twenty hostile clouds: leaks and duplicates counted
# make fuzz    every reader of data from elsewhere, ten minutes each, with whatever comes (FUZZ_MINUTES=10)
# make audit   known weaknesses of what development and the image install (asks the network; fails where that knows nothing of them)
# make acceptance   the full 10 x 10 run on the local target; Spark on what `enaxp export` writes
# make install what the above need: system packages (as root, on Debian and Ubuntu) and a virtual environment in .venv

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check
SYSTEM := sockperf sudo prometheus-node-exporter htop openssh-server openssh-client iproute2 ethtool util-linux procps libcap2-bin
OTAVA := 'apache-otava>=0.8,<0.9'
# What only the tests need.
TESTED_WITH := shellcheck chromium poppler-utils prometheus netplan.io

# Modules are compiled once, and not by each of the hundreds of programs that the tests start, whatever the environment says.
export PYTHONDONTWRITEBYTECODE :=

.PHONY: demo test tests unit lint selfcheck study crash fuzz audit acceptance install clean

demo: $(VENV)/.ready
	@PYTHON=$(PYTHON) ./scripts/install-system $(SYSTEM)
	@$(BIN)/enaxp demo $(DEMO_ARGS)

# Tests mostly wait for hosts: several files at once, each with hosts of its own (tests/conftest.py says what belongs together, and
# what is begun first).
test: install
	@PYTHON=$(PYTHON) ./scripts/install-system $(TESTED_WITH)
	@$(MAKE) --no-print-directory -j 2 lint tests

# Beside the linters: one of them takes a processor for a minute.
tests: $(VENV)/.collected
	$(BIN)/python -m pytest -n 6 --dist loadscope --no-loadscope-reorder --durations=20 $(PYTEST_ARGS)

unit: $(VENV)/.collected
	$(BIN)/python -m pytest --unit -n 3 --dist loadscope --no-loadscope-reorder $(PYTEST_ARGS)

lint: $(VENV)/.installed
	$(BIN)/ruff format --check enaxp tests selfcheck
	$(BIN)/ruff check enaxp tests selfcheck
	$(BIN)/mypy

selfcheck: install
	$(BIN)/python -m selfcheck
	$(BIN)/python -m selfcheck.dataset --runs 10 1000
	$(BIN)/python -m selfcheck.driver

study: install
	$(BIN)/python -m selfcheck.words $(WORDS_ARGS)
	$(BIN)/python -m selfcheck.crossover
	$(BIN)/python -m selfcheck.toggled
	$(BIN)/python -m selfcheck.runs
	$(BIN)/python -m selfcheck.fleets
	$(BIN)/python -m selfcheck.skew
	$(BIN)/python -m selfcheck.stopped
	$(BIN)/python -m selfcheck.study $(STUDY_ARGS)

# Every call and every save of `up` and `down`, and twenty hostile clouds.
crash: install
	$(BIN)/python -m pytest -n 4 --dist worksteal --acceptance tests/lab

fuzz: $(VENV)/.installed
	$(BIN)/python -m tests.attacks.readers $(or $(FUZZ_MINUTES),10)

audit: $(VENV)/.installed
	$(BIN)/python -m pip install --quiet --disable-pip-version-check pip-audit==2.10.1
	$(BIN)/pip-audit --strict --disable-pip --require-hashes -r requirements-dev.lock
	$(BIN)/pip-audit --strict --disable-pip --require-hashes -r monitor/requirements.lock

acceptance: install
	@PYTHON=$(PYTHON) ./scripts/install-system default-jre-headless
	@./scripts/step "installing Spark" $(PIP) 'pyspark>=4,<5'
	$(BIN)/python -m pytest tests/e2e/test_story.py tests/dataset --acceptance

install: $(VENV)/.installed
	@PYTHON=$(PYTHON) ./scripts/install-system $(SYSTEM)

# What the program itself needs, and what is needed to work on it besides. Without packages named the script installs nothing but what
# a virtual environment itself lacks.
$(VENV)/.ready: pyproject.toml
	@PYTHON=$(PYTHON) ./scripts/install-system
	@./scripts/step "making the virtual environment $(VENV)" $(PYTHON) -m venv $(VENV)
	@./scripts/step "installing enaxp and what it needs into $(VENV)" $(PIP) -e '.[local]'
	@touch $@

$(VENV)/.installed: $(VENV)/.ready
	@./scripts/step "installing what its tests need into $(VENV)" $(PIP) -e '.[local,dev]'
# The tests use its E-divisive, which needs numpy alone; what the rest of it needs would bring a numpy of its own.
	@./scripts/step "installing Otava without what it needs" $(PIP) --no-deps $(OTAVA)
	@touch $@

# pytest rewrites each file of tests when it first reads it: here once, and not in each of its workers at the same time.
$(VENV)/.collected: $(VENV)/.installed
	@./scripts/step "reading all tests for the first time" $(BIN)/python -m pytest --collect-only --quiet
	@touch $@

clean:
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache dist build
