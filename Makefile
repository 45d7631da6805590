# Everything a person types. `make` lists the targets; each makes the environment first when needed.

# Set on the command line, as in `make train LUT=package:8t-64`.
PLAN    = 8t-64
SET     =
JOBS    =
MODEL   =
DATASET =
LUT     =
ARGS    =
PYTHON  = python3

jobs    = $(if $(JOBS),--jobs '$(JOBS)')
lut     = $(if $(LUT),--lut '$(LUT)')
model   = $(if $(MODEL),--model '$(MODEL)')
dataset = $(if $(DATASET),--dataset '$(DATASET)')

SHELL := bash
PY    := .venv/bin/python
PRCIM := .venv/bin/prcim
# The environment is whole when this file is there: the last thing an install writes.
READY := .venv/.ready
PIP   := $(PY) -m pip --disable-pip-version-check --no-input

# An environment whose interpreter is gone (a system upgrade, a moved checkout) is made again.
$(shell [ -x $(PY) ] || rm -f .venv/.packages $(READY))

.DEFAULT_GOAL := help
# The order of prerequisites is meant: ngspice is looked for before anything long starts.
.NOTPARALLEL:
.PHONY: help setup ngspice hooks characterize train test slow check notebooks bench gates lint types wheel clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-13s %s\n", $$1, $$2 }' Makefile

setup: ngspice $(READY) ## ngspice, .venv and the pinned packages (PYTHON=python3.12)

hooks: $(READY) ## install the git hooks: lint, format, types before a commit
	$(PY) -m pre_commit install --hook-type pre-commit --hook-type pre-push

characterize: ngspice $(READY) ## Monte Carlo in ngspice -> error table, figures (PLAN=8t-64 SET='rows=128 seed=3' JOBS=2)
	$(PRCIM) characterize '$(PLAN)' $(strip $(foreach s,$(SET),--set '$(s)') $(jobs) $(ARGS))

# A network can be trained on a given table without a simulator.
train: $(if $(LUT),,ngspice) $(READY) ## table -> trained network, accuracy over virtual chips (LUT=FILE|package:8t-64 MODEL= DATASET= JOBS=)
	$(PRCIM) train $(strip $(lut) $(model) $(dataset) $(jobs) $(ARGS))

# One thread a worker: more of them than cores make each other slow.
PYTEST = OMP_NUM_THREADS=1 $(PY) -m pytest -n $(or $(JOBS),2)

test: ngspice $(READY) ## the tests, without the slow ring (ARGS='-k lut')
	$(PYTEST) -m 'not slow' $(ARGS)

slow: ngspice $(READY) ## the slow ring of the tests
	$(PYTEST) -m slow $(ARGS)

check: ngspice $(READY) ## all that must pass: lint, types, wheel, notebooks, slow, test; stops at the first failure
	@for stage in lint types wheel notebooks slow test; do \
	  echo "== $$stage"; start=$$SECONDS; \
	  $(MAKE) --no-print-directory $$stage || { echo "== $$stage FAILED after $$((SECONDS - start)) s" >&2; exit 1; }; \
	  echo "== $$stage passed in $$((SECONDS - start)) s"; \
	done; echo "== check passed in $$SECONDS s"

notebooks: ngspice $(READY) ## execute every notebook into build/notebooks
	$(PY) scripts/run_notebooks.py $(ARGS)

bench: ngspice $(READY) ## speed against the obvious way, side by side -> build/bench/*.json (ARGS='engines --only column/8t --quick')
	$(PY) -m benchmarks $(ARGS)

gates: ngspice $(READY) ## the accuracies asked for, hours; goes on where it was (ARGS='mnist --data FOLDER')
	$(PY) scripts/gates.py $(ARGS)

lint: $(READY) ## ruff
	$(PY) -m ruff check .
	$(PY) -m ruff format --check .

types: $(READY) ## mypy, strict
	$(PY) -m mypy -p prcim
	$(PY) -m mypy tests scripts benchmarks

# What an earlier build left there would be packed again.
wheel: $(READY) ## build the wheel into dist
	@rm -rf build/wheel dist && mkdir -p build/wheel
	@$(PY) -m build --wheel --no-isolation --outdir dist . >build/wheel/log 2>&1 || { cat build/wheel/log >&2; exit 1; }
	@ls dist/*

clean: ## remove what the tools leave; results in build/ and .venv stay
	rm -rf dist build/wheel build/notebooks *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find . -name __pycache__ -not -path './.venv/*' -prune -exec rm -rf {} +

ngspice:
	@scripts/ngspice

# From nothing each time, so that an install that was cut off, or an older lock, leaves no trace. pip tells of big files only.
.venv/.packages: requirements.lock
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || { \
	  echo "prcim needs Python 3.11 or newer; '$(PYTHON) --version' says: $$($(PYTHON) --version 2>&1). Name another: make setup PYTHON=python3.12" >&2; exit 2; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { \
	  echo "'$(PYTHON)' cannot make a virtual environment. On Debian and Ubuntu: sudo apt-get install python3-venv" >&2; exit 2; }
	@echo "setup 1/3: .venv with $$($(PYTHON) --version)"
	@rm -f $@ $(READY) && $(PYTHON) -m venv --clear .venv
	@echo "setup 2/3: $$(grep -c == $<) pinned packages, some 650 MB to download; PyPI's torch for Linux adds its CUDA libraries, some GB more"
	@echo "           (to get a CPU build, point PIP_EXTRA_INDEX_URL or PIP_FIND_LINKS at one; details in .venv/pip.log)"
	@set -o pipefail; $(PIP) install -r $< | tee .venv/pip.log | while read -r line; do case $$line in \
	    Downloading*[0-9][0-9].[0-9]\ MB*|Downloading*\ GB*) echo "           $$line";; \
	    Installing\ collected*) echo "           unpacking";; \
	  esac; done
	@touch $@

$(READY): .venv/.packages setup.cfg
	@echo "setup 3/3: prcim itself, editable"
	@$(PIP) install --quiet --no-deps --no-build-isolation --editable .
	@touch $@
