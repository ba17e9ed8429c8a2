# What the rules share. Snakemake compares the two params that every job has with those of its last
# run: `cfg`, the sections of the configuration that it reads, and `code`, a digest of the modules
# it runs. So an edit redoes what it touches. What changes no result is no param (threads, device).

from transience.code_digest import code_digest

RUNS = runs(config)
RUN_FOLDERS = [f"{variant}/M{num_tasks}_seed{seed}" for variant, num_tasks, seed in RUNS]

# The interpreter that runs Snakemake runs the jobs too, unless conda was asked for.
JOB_PATHS = f"export PYTHONPATH='{Path(workflow.basedir, 'workflow/lib')}'; "
if not workflow.deployment_settings.deployment_method:
    JOB_PATHS += f"export PATH='{Path(sys.executable).parent}':$PATH; "

shell.prefix(JOB_PATHS)

DEVICE = config["execution"]["device"]
GPUS = int(DEVICE == "cuda")


def memory(megabytes: int):
    """Resource: so much memory, and as much again at every further attempt."""
    return lambda wildcards, attempt: attempt * megabytes


wildcard_constraints:
    experiment=config["experiment"],
    variant="|".join({variant for variant, _, _ in RUNS}),
    num_tasks="|".join({num_tasks for _, num_tasks, _ in RUNS}),
    seed="|".join({str(seed) for _, _, seed in RUNS}),


def code_of(module: str, *data_files: Path):
    """Param: digest of what a module runs. A queued job refuses if that was edited meanwhile."""
    digest = code_digest(module, *data_files)
    variable = f"TRANSIENCE_CODE_{module.replace('.', '_')}"
    if workflow.is_main_process:
        os.environ[variable] = digest

    def code(wildcards) -> str:
        if os.environ.get(variable, digest) != digest:
            stop_at([f"the code of {module} {EDITED}"])
        return digest

    return code


def settings(*sections: str):
    """Param: these sections of the variant that the wildcards name (or of the base), as JSON."""

    def cfg(wildcards) -> str:
        variant = getattr(wildcards, "variant", None)
        chosen = variant_settings(config, variant) if variant else config
        return slice_json(chosen, *sections, experiment=wildcards.experiment)

    return cfg
