# make demo    the whole loop on text that every machine has     make test    set up, then every check but the slow tests
# make check   the checks alone       make bench   measure speed and memory       make clean   remove what was made
# make test-slow   the tests left out: proofs on many made texts, kills, real proxies     make test-all   both at once
# make test-whole  the same proofs on as many texts, kills and proxies as the published figures rest on, in half an hour
# make test-slurm  the proof on a real Slurm, which it installs on Debian as root; without one it is left out
# make reliability   32 promises and what breaks them, counted anew for tests/reliability/README.md, in about 40 minutes
# make bench-gpu   measure proxies on a card, by any Python with torch, numpy and pyarrow (PYTHON=...), in eight minutes
#
# All paths are relative, so that a folder with a space in its name works. Another Python: make PYTHON=python3.12 ...
# Tests run in two processes; on more cores: make test JOBS=8

PYTHON ?= python3
BIN := .venv/bin
READY := .venv/ready
PIP := $(BIN)/python -m pip --disable-pip-version-check
JOBS ?= 2
TESTS := not slow
PYTEST := $(BIN)/python -m pytest --numprocesses $(JOBS) --dist loadfile --no-loadscope-reorder

# Nothing here is compiled when it is installed, so Python keeps what it compiles even where a container's environment
# says otherwise: without that, each process compiles all that it imports anew, one second for a verb, three with torch.
export PYTHONDONTWRITEBYTECODE :=

.PHONY: demo test test-slow test-whole test-all test-slurm reliability check types tests bench bench-gpu clean browser

demo: $(READY)
	@$(BIN)/tamis run recipes/quickstart.yaml; code=$$?; [ $$code -eq 3 ] || exit $$code

test: $(READY) browser
	@$(MAKE) --no-print-directory check

test-slow: $(READY)
	@$(PYTEST) -m slow

test-whole: $(READY)
	@PROOFS=whole $(PYTEST) -m slow

test-all: $(READY) browser
	@$(MAKE) --no-print-directory check TESTS="not few"

# Debian's slurmd serves several nodes on one machine, so this needs no other.
test-slurm: $(READY)
	@command -v slurmctld >/dev/null || { apt-get -qq update && DEBIAN_FRONTEND=noninteractive apt-get -qq install -y \
	    --no-install-recommends slurmctld slurmd slurm-client munge shellcheck; } >/dev/null
	@$(BIN)/python -m pytest -m "slow or not slow" tests/pipeline/engine/test_slurm.py

check: $(READY)
	@$(BIN)/python -m ruff format --check .
	@$(BIN)/python -m ruff check .
	@$(MAKE) --no-print-directory --jobs 2 types tests

types: $(READY)
	@$(BIN)/python -m mypy
	@$(BIN)/lint-imports --no-logo

tests: $(READY)
	@$(PYTEST) -m "$(TESTS)"

reliability: $(READY)
	@$(BIN)/python -m tests.reliability.claude --write
	@$(BIN)/python -m tests.reliability.figures

bench: $(READY)
	@$(BIN)/python -m tests.benchmarks.bench

bench-gpu:
	@"$(PYTHON)" -m tests.benchmarks.gpu

clean:
	rm -rf .venv .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache build dist workspace *.egg-info

# Made last, so an interrupted set-up is taken up again; older than the pins, it is made anew. Python compiles what it
# imports, when it does: compiling all 16,000 files takes a minute of one core.
$(READY): requirements-pip.lock requirements.lock requirements-torch.lock pyproject.toml
	@"$(PYTHON)" -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	    { echo 'Tamis needs Python 3.11 or newer. Name one: make PYTHON=python3.12 $(MAKECMDGOALS)' >&2; exit 2; }
	@echo 'Setting up .venv from requirements.lock; this takes a few minutes, once.'
	@"$(PYTHON)" -m venv .venv
	@$(PIP) install --quiet --no-compile --require-hashes -r requirements-pip.lock
	@$(PIP) install --quiet --no-compile --require-hashes --no-deps -r requirements.lock
	@$(PIP) install --quiet --no-compile -r requirements-torch.lock
	@PYTHONWARNINGS=ignore $(PIP) install --quiet --no-deps --no-build-isolation --editable .
	@$(PIP) check
	@touch $(READY)

# The browser test wants a Chromium. Only root on Debian can fetch one here; without it that test says that it is missing.
browser:
	@if ! command -v chromium >/dev/null && [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
	    { apt-get -qq update && DEBIAN_FRONTEND=noninteractive apt-get -qq install -y --no-install-recommends chromium; } \
	        >/dev/null 2>&1 || echo 'Chromium could not be installed; the browser test is left out.' >&2; \
	fi
