# The front door for a fresh machine with Python 3.11 or newer; Snakemake does the work.
#
#   make            set up .venv, run the default sweep, name the report
#   make CONFIG=config/mine.yaml
#                   the same with a sweep of your own; also for calibrate, watch and verify
#   make smoke      the same with a tiny sweep, in about a minute
#   make calibrate  check the settings of the sweep's LLC, name the proposal
#   make watch      the sweep while it runs, on a page (or EXPERIMENT=mine; WATCH="--once" for other
#                   options; Ctrl-C ends it)
#   make verify     check that the results of the sweep belong together
#   make test       set up .venv, run the tests
#   make oracles    known answers for the LLC estimator, the full grid (about ten minutes)
#   make slurm-test start a SLURM cluster on this machine, run sweeps on it, stop it (Debian, root)
#   make benchmark  speed of training, evaluation and SGLD on this machine (some minutes)
#   make lint       set up .venv, check style and the workflow
#
# CORES=4 limits the cores, PYTHON=python3.12 chooses an interpreter.

# All there are: in a shell with OMP_NUM_THREADS=1, which is about threads of a job, nproc says 1.
CORES ?= $(shell env -u OMP_NUM_THREADS nproc 2>/dev/null || getconf _NPROCESSORS_ONLN)
PYTHON ?= python3
CONFIG ?= config/config.yaml
EXPERIMENT ?= $(call experiment,$(CONFIG))

BIN := .venv/bin
READY := .venv/.installed
SLURM_READY := .venv/.installed-slurm
CLUSTER := tests/workflow/slurm/local_cluster.sh
# Ends with an option that takes no values, or it would take the target for one.
SWEEP := PYTHONPATH=workflow/lib $(BIN)/snakemake --cores $(CORES) --logger sweep \
	--scheduler greedy --rerun-incomplete --keep-going
OWN = $(filter-out config/config.yaml,$(CONFIG))
CONFIGURED = $(if $(OWN),--configfile $(CONFIG))
# Told by the shell that runs a recipe, when .venv is there.
FILES := PYTHONPATH=workflow/lib $(BIN)/python -m transience.planning.yaml_files
experiment = $$($(FILES) --experiment $(1))

.PHONY: readable sweep smoke calibrate watch verify test oracles slurm-test cluster-check benchmark lint

sweep: readable
	@$(SWEEP) $(CONFIGURED)
	@echo "Report: results/$(EXPERIMENT)/report.html"

smoke: $(READY)
	@$(SWEEP) --configfile config/smoke.yaml
	@echo "Report: results/$(call experiment,config/smoke.yaml)/report.html"

calibrate: readable
	@$(SWEEP) llc_calibration $(CONFIGURED)
	@echo "Proposal: results/$(EXPERIMENT)/llc_proposal.yaml"

watch: readable
	@PYTHONPATH=workflow/lib $(BIN)/python -m transience.watch results/$(EXPERIMENT) $(WATCH)

verify: readable
	@PYTHONPATH=workflow/lib $(BIN)/python -m transience.verify results/$(EXPERIMENT)

# In our words: Snakemake's name no file, or are a traceback.
readable: $(READY)
	@$(FILES) config/config.yaml $(OWN)

# A file's tests stay together, as they share sweeps; files in the order of pyproject.toml. With SLURM's
# plugin installed every snakemake asks the cluster, and waits 10 s for one that is down: so none is named.
test: $(READY)
	@SLURM_CONF=/dev/null OMP_NUM_THREADS=1 $(BIN)/python -m pytest \
		--numprocesses $(CORES) --maxprocesses 8 --dist loadfile --no-loadscope-reorder

oracles: $(READY)
	@OMP_NUM_THREADS=1 $(BIN)/python -m pytest -m oracles

slurm-test: cluster-check $(SLURM_READY)
	@$(CLUSTER) up
	@$(BIN)/python -m pytest -m slurm; status=$$?; $(CLUSTER) down; exit $$status

cluster-check:
	@$(CLUSTER) check

benchmark: $(READY)
	@$(BIN)/python tests/benchmarks/speed.py

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

$(SLURM_READY): envs/requirements-slurm.txt $(READY)
	@$(BIN)/python -m pip install -qq --disable-pip-version-check --requirement $<
	@touch $@
