# steadyrun: `make` lists the targets. Nothing here but test targets calls apt; nothing calls sudo.
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
REPORT := steadyrun-report

.DEFAULT_GOAL := help
.PHONY: help test-vm test-vm-protect vm-packages vm-image vm-shell test-packages install install-dev ramp test lint types imports unit real wheel bench bench-vm simulate clean

help: ## list the targets
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

$(VENV)/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "steadyrun: expected Python 3.11 or newer, found $$($(PYTHON) --version); set PYTHON=..." >&2; exit 2; }
	$(PYTHON) -m venv $(VENV)

$(VENV)/.installed: requirements/install.txt pyproject.toml | $(VENV)/bin/python
	$(BIN)/pip install --quiet --require-hashes -r requirements/install.txt
	$(BIN)/pip install --quiet --no-deps --no-build-isolation -e .
	@touch $@

$(VENV)/.installed-dev: requirements/dev.txt $(VENV)/.installed
	$(BIN)/pip install --quiet --require-hashes -r requirements/dev.txt
	@touch $@

install: $(VENV)/.installed ## install into .venv

install-dev: $(VENV)/.installed-dev ## install what the tests need, too

ramp: install ## run the default ramp on this machine; shows where its log is
	$(BIN)/steadyrun ramp --yes --report $(REPORT) $(if $(CMD),-- $(CMD))

test-packages: ## the Debian package the real tests use (dbus-daemon): root gets it installed, others are told
	@command -v dbus-daemon >/dev/null || { [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null && \
	  echo "make test: installing the Debian package dbus-daemon" && apt-get update -q >/dev/null && \
	  apt-get install -y -q --no-install-recommends dbus-daemon >/dev/null 2>&1; } || \
	  echo "make test: no dbus-daemon here, its tests are skipped (apt-get install dbus-daemon)"

test: test-packages install-dev wheel lint types imports ## lint, types, import rules and every test that runs here; ALL=1 the long ones, too
	$(if $(ALL),STEADYRUN_TESTS_ALL=1) $(BIN)/python tools/run_tests.py

lint: install-dev ## ruff
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: install-dev ## mypy --strict
	$(BIN)/mypy

imports: install-dev ## import-linter: imports point one way, the pure cores stay pure
	$(BIN)/lint-imports --no-cache

unit: install-dev ## the quick tests alone
	$(BIN)/pytest tests/unit tests/property tests/replay

real: install-dev ## the tests on this machine's cgroups alone
	$(BIN)/pytest tests/contract tests/real

wheel: install-dev ## build the wheel and install it into .venv-wheel, which the tests of the command use
	rm -rf dist
	$(BIN)/python -m build --no-isolation --wheel --outdir dist . >/dev/null
	test -x .venv-wheel/bin/python || $(PYTHON) -m venv .venv-wheel
	.venv-wheel/bin/pip install --quiet --require-hashes -r requirements/install.txt
	.venv-wheel/bin/pip install --quiet --no-deps --force-reinstall dist/*.whl

.venv-bench/bin/runexec: requirements/bench.txt | $(VENV)/bin/python
	test -x .venv-bench/bin/python || $(PYTHON) -m venv .venv-bench
	.venv-bench/bin/pip install --quiet --require-hashes -r requirements/bench.txt

simulate: install-dev ## seeded machines and loads under the guard's law and others'; MACHINES=10000 (half an hour on 2 cores)
	PYTHONPATH=src $(BIN)/python -m simulation --machines $(or $(MACHINES),10000)

bench: install .venv-bench/bin/runexec ## measure the budgets as ratios and print a table
	$(BIN)/python -m bench --runexec .venv-bench/bin/runexec

clean: ## remove what make made (never a report or the journal)
	rm -rf $(VENV) .venv-wheel .venv-bench dist build .mypy_cache .ruff_cache .pytest_cache .hypothesis

TESTBED := PYTHONPATH=tests/vm $(BIN)/python -m testbed

vm-packages: $(VENV)/bin/python
	@$(TESTBED) packages

test-vm: install-dev wheel vm-packages ## the tests in a virtual machine with a desktop (as root it installs QEMU and such); ALL=1 the long ones, too
	$(if $(SUITE),STEADYRUN_TESTBED_SUITE=$(SUITE)) $(if $(ALL),STEADYRUN_TESTS_ALL=1) $(BIN)/python tools/run_tests.py vm

test-vm-protect: install-dev wheel vm-packages ## the same for `steadyrun protect` alone, an hour
	$(BIN)/python tools/run_tests.py vm/protect

bench-vm: install-dev wheel vm-packages ## the hostile loads side by side in virtual machines, an hour; BENCH='--load fits --under nothing'
	PYTHONPATH=tests/vm $(BIN)/python -m bench.vm $(BENCH)

vm-image: install-dev wheel vm-packages ## the testbed: build the virtual machine, boot its desktop, suspend it (cached)
	$(TESTBED) prepare $(VM)

vm-shell: install-dev wheel vm-packages ## a shell in a fresh virtual machine; CMD='...' one command, VM='--user desk ...' options
	@$(TESTBED) shell $(VM) $(if $(CMD),-- '$(subst ','\'',$(CMD))')
