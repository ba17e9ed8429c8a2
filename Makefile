# The front door for a fresh machine with Python 3.11 or newer; Snakemake does the work.
#
#   make          set up .venv, run the default sweep, name the report
#   make smoke    the same with a tiny sweep, in about a minute
#   make test     set up .venv, run the tests
#   make lint     set up .venv, check style and the workflow
#
# CORES=4 limits the cores, PYTHON=python3.12 chooses an interpreter.

CORES ?= $(shell nproc 2>/dev/null || getconf _NPROCESSORS_ONLN)
PYTHON ?= python3

BIN := .venv/bin
READY := .venv/.installed
SWEEP := PYTHONPATH=workflow/lib $(BIN)/snakemake --cores $(CORES) --keep-going \
	--rerun-incomplete --scheduler greedy --logger sweep
report = results/$(shell sed -n 's/^experiment: *\([A-Za-z0-9_-]*\).*/\1/p' $(1))/report.html

.PHONY: sweep smoke test lint

sweep: $(READY)
	@$(SWEEP)
	@echo "Report: $(call report,config/config.yaml)"

smoke: $(READY)
	@$(SWEEP) --configfile config/smoke.yaml
	@echo "Report: $(call report,config/smoke.yaml)"

test: $(READY)
	@$(BIN)/python -m pytest

lint: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/snakefmt --check --compact-diff Snakefile workflow/rules
	$(BIN)/snakemake --lint

$(READY): envs/requirements.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "make: expected Python 3.11 or newer, found $$($(PYTHON) --version 2>&1);" \
		"name another: make PYTHON=python3.12"; exit 1; }
	@echo "Setting up .venv with the versions of $< (once, some minutes)"
	@test -x $(BIN)/python || $(PYTHON) -m venv .venv
	@$(BIN)/python -m pip install -qq --disable-pip-version-check --requirement $<
	@touch $@
