# make demo     a whole campaign on twins, with its report in runs/demo
# make test     all tests: first the fast ones, then those that start Ray
# make check    style, types and the order of the rooms
# make compare  policies against each other on the demo's campaign
# make bench    all benchmarks and docs/benchmarks.md from them; goes on where it was interrupted
#
# Each is complete on a machine that has Python 3.11 or newer and make. Everything is installed into
# .venv; VENV=path puts it elsewhere, PYTHON=path chooses the interpreter, PIP_FLAGS is handed to pip.

VENV ?= .venv
PIP_FLAGS ?=
BIN := $(VENV)/bin
RUN := runs/demo
# For make bench: which seeds, how many at once, and where the recorded data lie. With the path of a
# checkout of p-KGFN's or MSBO's code and the interpreter of an environment for it, these run too, each
# run for so many seconds of processor time.
SEEDS ?= 0-29
FEW_SEEDS ?= 0-9
PEER_SEEDS ?= 0-2
PEER_CPU_S ?= 600
WORKERS ?= 1
DATA ?= ../shared/data
P_KGFN_PATH ?=
P_KGFN_PYTHON ?=
MSBO_PATH ?=
MSBO_PYTHON ?=
SUITES := function_networks cascades funnels multifidelity uneven materials

# The planner's matrices are small: more threads only wait for each other.
export OMP_NUM_THREADS := 1
# Every process of the tests would compile the package and rewrite all assertions anew.
unexport PYTHONDONTWRITEBYTECODE

# The first interpreter on the path that is new enough and can make a virtual environment.
USABLE := import ensurepip, sys, venv; sys.exit(sys.version_info < (3, 11))
PYTHON ?= $(shell for p in python3.13 python3.12 python3.11 python3 python; do \
	"$$p" -c "$(USABLE)" >/dev/null 2>&1 && { command -v "$$p"; break; }; done)

.PHONY: help demo test test-fast test-ray test-slow check compare bench clean
.DELETE_ON_ERROR:
.NOTPARALLEL:

help:
	@sed -n '/^# make/s/^# //p' Makefile

demo: $(VENV)/.installed
	$(BIN)/probewise run sm-bfo --seed 0 --out $(RUN) --move-aside

compare: $(VENV)/.installed
	$(BIN)/probewise compare sm-bfo

# What fails (for a peer that is not installed, or data that are not there) is told, and the rest goes on.
BENCH = $(BIN)/python -m benchmarks
PEERS = $(BENCH).peers --seeds $(PEER_SEEDS) --cpu-s $(PEER_CPU_S) --data $(DATA)
SESSIONS := session session-explore xy-gp random

bench: $(VENV)/.installed
	-for suite in $(SUITES); do \
		$(BENCH).$$suite --seeds $(SEEDS) --workers $(WORKERS) --data $(DATA); \
	done
	-$(BENCH).speed --seeds 0
	-$(BENCH).goals --seeds 10 --out runs/bench/goals.jsonl
	-$(BENCH).tiers --seeds 0-29
	-for truth in waves bumps; do $(BENCH).forecast --truth $$truth --seeds 0-39; done
	-$(BENCH).cryoem --seeds $(FEW_SEEDS) --data $(DATA) --page docs/cryoem.md
	-$(BENCH).structure_property --seeds $(FEW_SEEDS) --data $(DATA) --policies dklgpr
	-$(BENCH).structure_property --seeds $(FEW_SEEDS) --data $(DATA) --policies $(SESSIONS) --page
	-[ -z "$(P_KGFN_PATH)" ] || $(PEERS) --p-kgfn-path "$(P_KGFN_PATH)" --python "$(P_KGFN_PYTHON)"
	-[ -z "$(MSBO_PATH)" ] || $(PEERS) --msbo-path "$(MSBO_PATH)" --python "$(MSBO_PYTHON)"
	$(BENCH).report --data $(DATA)

test: test-fast test-ray test-slow

test-fast: $(VENV)/.installed-dev
	@echo "== fast tests =="
	$(BIN)/python -m pytest -q -n auto --maxprocesses 8 --dist loadfile -m "not ray and not slow"

test-ray: $(VENV)/.installed-dev
	@echo "== tests that start Ray =="
	$(BIN)/python -m pytest -q -m "ray and not slow"

test-slow: $(VENV)/.installed-dev
	@echo "== slow tests =="
	$(BIN)/python -m pytest -q -m slow

# The checkout itself is the package `probewise`, under whatever name it was cloned. An editable install
# finds it by an import hook, which a static tool does not run; .links/probewise is for such tools.
check: $(VENV)/.installed-dev
	@mkdir -p .links && ln -sfn .. .links/probewise
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/pyright --pythonpath $(BIN)/python
	$(BIN)/lint-imports --no-cache

$(BIN)/python:
	@if [ -z "$(PYTHON)" ] || ! "$(PYTHON)" -c "$(USABLE)"; then \
		echo "probewise needs Python 3.11 or newer with the modules venv and ensurepip;" >&2; \
		echo "found: $(or $(PYTHON),none). Install one (on Debian and Ubuntu also python3-venv)," >&2; \
		echo "or name it: make demo PYTHON=/path/to/python3.12" >&2; \
		exit 1; \
	fi
	"$(PYTHON)" -m venv $(VENV)

$(VENV)/.installed: pyproject.toml | $(BIN)/python
	@echo "Installing into $(VENV): some minutes and 2 GB the first time."
	$(BIN)/python -m pip install --quiet $(PIP_FLAGS) --editable .
	@touch $@

$(VENV)/.installed-dev: $(VENV)/.installed
	$(BIN)/python -m pip install --quiet $(PIP_FLAGS) --editable ".[dev]"
	@touch $@

clean:
	rm -rf $(VENV) .links build *.egg-info .pytest_cache .ruff_cache .hypothesis
