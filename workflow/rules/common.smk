# What the rules share: which runs and tables there are, what a job asks for, what it is told.

import atexit
import shlex
import subprocess

import yaml
from snakemake.logging import logger
from transience.figures.captions import captions, filled, of_sweep
from transience.planning import cost, gpus
from transience.planning.code_digest import closure, code_digest
from transience.problem.diversity import format_num_tasks

RUNS = runs(config)
RUN_FOLDERS = [run_folder(*run) for run in RUNS]

# Tables of runs and of the sweep. Those that a figure on demand reads are made on demand.
ON_DEMAND = {table for figure in captions("on_demand").values() for table in figure.reads}
SCHEMAS = yaml.safe_load(Path(workflow.basedir, "workflow/schemas/tables.yaml").read_bytes())
TABLES = {
    kind: [name for name in SCHEMAS if kind in SCHEMAS[name]["files"] and name not in ON_DEMAND]
    for kind in ("runs", "tables")
}
# Where the LLC is off, the sweep has empty tables of it, and runs have none.
TABLES["runs"] = [name for name in TABLES["runs"] if name not in tables_left_out(config)]

# A module that imports this one loads a file beside it, by the name of the family of problems.
FAMILY = "transience.problem.families.family"

# The interpreter that runs Snakemake runs the jobs too, unless conda was asked for. It takes the place
# of the shell, which would print the whole command of a job that was killed. A PYTHONPATH from outside is
# left out: on clusters, modules set it to packages of other versions.
JOB_PATHS = f"export PYTHONPATH={shlex.quote(str(Path(workflow.basedir, 'workflow/lib')))}; "
if not workflow.deployment_settings.deployment_method:
    JOB_PATHS += f"export PATH={shlex.quote(str(Path(sys.executable).parent))}:$PATH; "

shell.prefix(f"{JOB_PATHS}exec ")

# Where jobs compute. Only who goes on a cluster gives a number of jobs besides the cores; a job there
# is told what was decided here. On this machine jobs on GPUs take turns (--resources gpu=2: two).
PLACE = {
    "cluster": workflow.resource_settings.nodes is not None,
    "own_torch": not workflow.deployment_settings.deployment_method,
}
# There `cores` is what one job may ask for, and Snakemake would silently give it no more threads.
if workflow.is_main_process and PLACE["cluster"]:
    most, threads = workflow.resource_settings.cores, config["execution"]["threads"]
    if most is not None and most < threads:
        found = f"execution.threads: expected at most the CPUs of a job ({most}); found {threads}"
        stop_at([f"{found}; add --cores {threads}"])
DEVICE = gpus.resolved(config["execution"]["device"], **PLACE)
if workflow.is_main_process:
    os.environ.update(TRANSIENCE_DEVICE=DEVICE)
    if line := gpus.note(config["execution"]["device"], **PLACE):
        logger.info(line)
else:
    DEVICE = os.environ.get("TRANSIENCE_DEVICE", "cpu")
GPUS = int(DEVICE == "cuda")
if GPUS and workflow.is_main_process and not PLACE["cluster"]:
    if "gpu" not in workflow.global_resources:
        workflow.register_resource("gpu", 1)


onstart:
    # To keep to a number of jobs a second, Snakemake looks at all of them again a second after each
    # time that it did: the longer a sweep, the more often. On this machine cores limit jobs already.
    if workflow.is_main_process and not PLACE["cluster"]:
        workflow.scheduler.job_rate_limiter = None
    if workflow.is_main_process and any(
        job.resources.get("gpu") for job in workflow.dag.needrun_jobs()
    ):
        stop_at(list(filter(None, [gpus.problem(**PLACE)])))


def say_what_it_costs() -> None:
    """Below a dry run: what its jobs would take."""
    if not workflow.dryrun or workflow.dag is None:
        return
    planned = workflow.dag.needrun_jobs(exclude_finished=False)
    jobs = [(job.rule.name, job.wildcards_dict.get("variant")) for job in planned]
    jobs = [one for one in jobs if one[0] != "all"]
    where = {"cores": workflow.resource_settings.cores or 1, "device": DEVICE}
    for line in cost.estimate(config, jobs, results=Path("results"), **where):
        print(line, file=sys.stderr)


if workflow.is_main_process:
    atexit.register(say_what_it_costs)


wildcard_constraints:
    experiment=config["experiment"],
    variant="|".join({variant for variant, _, _ in RUNS}),
    num_tasks="|".join({format_num_tasks(num_tasks) for _, num_tasks, _ in RUNS}),
    seed="|".join({str(seed) for _, _, seed in RUNS}),


def asks(*, mem_mb: int, **others: int) -> dict:
    """Resources of a job: these, and as much memory again at every further attempt."""
    return {"mem_mb": lambda wildcards, attempt: attempt * mem_mb, **others}


def command(module: str, reads: str = "", *, figures=("",), data_files=()) -> dict:
    """Params of a rule that runs a module.

    Snakemake compares `cfg`, what is read of the configuration ("llc", "llc.nbeta"), and `code`, a
    digest, with those of a job's last run, so an edit redoes what it touches. It can't compare
    `flags`, which are these two, how to compute, and the rule's wildcards and files by their names.
    """
    code = code_of(module, figures, data_files)

    def cfg(wildcards) -> str:
        variant = wildcards.get("variant")
        chosen = variant_settings(config, variant) if variant else config
        chosen = chosen | {"family": sweep_family(config)}
        return as_parameter(chosen, *reads.split(), experiment=wildcards.experiment)

    def flags(wildcards, input, output, threads) -> str:
        words = ["--settings", cfg(wildcards), "--code", code(wildcards)]
        words += ["--device", DEVICE, "--threads", str(threads)]
        for name, value in (*wildcards.items(), *input.items(), *output.items()):
            if name != "experiment":
                values = [value] if isinstance(value, str) else value
                words += [f"--{name.replace('_', '-')}", *values]
        return shlex.join(words)

    return {"cfg": cfg, "code": code, "flags": flags}


# Where runs of each variant begin in the course of another one's; empty for those that don't.
PARENTS = {
    variant: variant_settings(config, variant)["training"]["branch"]
    for variant in config["variants"]
}


def parent_files(wildcards) -> dict[str, str]:
    """Inputs of a training: none, but for a branch."""
    branch = PARENTS[wildcards.variant]
    if not branch:
        return {}
    run = f"M{wildcards.num_tasks}_seed{wildcards.seed}"
    runs = f"results/{wildcards.experiment}/runs"
    files = {
        "parent_checkpoints": f"{runs}/{branch['variant']}/{run}/checkpoints.safetensors",
        "parent_states": f"{runs}/{branch['variant']}/{run}/states.safetensors",
        "parent_training": f"{runs}/{branch['variant']}/{run}/training.parquet",
        "parent_signals": f"{runs}/{branch['variant']}/{run}/signals.parquet",
    }
    if isinstance(branch.get("step"), str):
        files["branch_point"] = f"{runs}/{wildcards.variant}/{run}/branch_point.parquet"
    return files


def checkpoints_to_calibrate(wildcards) -> str:
    """Input of a calibration; the plan ends in a line where there is no LLC to calibrate."""
    if not config["llc"]["checkpoints"]:
        stop_at(
            ["llc.checkpoints: expected checkpoints whose LLC to calibrate; found none: LLC is off"]
        )
    return rules.train.output.checkpoints.format(**wildcards)


def report_what_there_is() -> None:
    """Write the report of a sweep that failed, if nothing but figures is missing for it.

    Its command is that of its job, which waits for them; it names them at its head. Snakemake
    still fails, and draws them when it is run again, and then writes the whole report.
    """
    left = list(workflow.dag.needrun_jobs())
    reports = [job for job in left if job.rule.name == "report"]
    if not (workflow.is_main_process and reports):
        return
    (job,), late = reports, {str(file) for one in left for file in one.output}
    missing = [path for path in job.input.figures if path in late]
    if not missing or late & ({*map(str, job.input)} - {*missing}):
        return
    folder = Path(job.output[0]).parent / "figures"
    names = [Path(path).relative_to(folder).with_suffix("").as_posix() for path in missing]
    # Flags may stand behind the job's redirection to its log.
    words = shlex.join(["--not-drawn", *names])
    made = subprocess.run(["bash", "-c", f"{JOB_PATHS}{job.shellcmd} {words}"]).returncode == 0
    said = f"without {', '.join(names)}" if made else f"not written; log: {job.log[0]}"
    print(f"Report: {job.output[0]}, {said}", file=sys.stderr)


def code_of(module: str, figures=("",), data_files=()):
    """Param: digest of what a module runs, with that of the figure which the wildcards name.

    And with that of the variant's family of problems, or of all if there is no variant, where the
    module loads one by name. A queued job refuses if that was edited meanwhile.
    """
    families = {variant: variant_settings(config, variant)["task"]["family"] for variant in PARENTS}
    loads = FAMILY in closure(module)
    kinds = {None: {*families.values()}} | {name: {name} for name in families.values()}
    digests = {}
    for figure in figures:
        for kind, names in kinds.items() if loads else [(None, ())]:
            name = f"{module}.{figure}".strip(".")
            modules = sorted(f"{FAMILY.rpartition('.')[0]}.{one}" for one in names)
            digests[name, kind] = code_digest(module, name, *modules, data_files=data_files)
    variables = {
        key: "_".join(["TRANSIENCE_CODE", *filter(None, key)]).replace(".", "_") for key in digests
    }
    if workflow.is_main_process:
        os.environ.update({variables[key]: digest for key, digest in digests.items()})

    def code(wildcards) -> str:
        name = f"{module}.{wildcards.get('figure', '')}".strip(".")
        kind = families.get(wildcards.get("variant")) if loads else None
        if os.environ.get(variables[name, kind], digests[name, kind]) != digests[name, kind]:
            stop_at([f"the code of {name} {EDITED}"])
        return digests[name, kind]

    return code
