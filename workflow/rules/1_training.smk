# Train one transformer and keep its weights at the scheduled steps. A run that was stopped goes on
# from its last saved state in results/<experiment>/.resume/. A branch begins where its parent's state
# was kept.

PARENTS = {
    variant: variant_settings(config, variant)["training"]["branch"]
    for variant in config["variants"]
}


def parent_files(wildcards) -> dict[str, str]:
    """Inputs of a training: none, but for a branch."""
    branch = PARENTS[wildcards.variant]
    if not branch:
        return {}
    run = "results/{experiment}/runs/{variant}/M{num_tasks}_seed{seed}/"
    parent = run.format(**dict(wildcards) | {"variant": branch["variant"]})
    files = {
        "parent_checkpoints": parent + "checkpoints.safetensors",
        "parent_states": parent + "states.safetensors",
        "parent_training": parent + "training.parquet",
    }
    if isinstance(branch.get("step"), str):
        files["branch_point"] = run.format(**wildcards) + "branch_point.parquet"
    return files


rule train:
    input:
        unpack(parent_files),
    output:
        checkpoints="results/{experiment}/runs/{variant}/M{num_tasks}_seed{seed}/checkpoints.safetensors",
        states="results/{experiment}/runs/{variant}/M{num_tasks}_seed{seed}/states.safetensors",
        training="results/{experiment}/runs/{variant}/M{num_tasks}_seed{seed}/training.parquet",
    log:
        "results/{experiment}/logs/train/{variant}_M{num_tasks}_seed{seed}.log",
    benchmark:
        "results/{experiment}/benchmarks/train/{variant}_M{num_tasks}_seed{seed}.tsv"
    priority: 2
    conda:
        "../../envs/transience.yaml"
    threads: config["execution"]["threads"]
    resources:
        **asks(mem_mb=4000, runtime=1440, gpu=GPUS),
        save_state_every=config["execution"]["save_state_every_seconds"],
    params:
        **command("transience.training", "task model training checkpoints"),
    shell:
        "python -m transience.training {params.flags}"
        " --state-dir results/{wildcards.experiment}/.resume/{wildcards.variant}_M{wildcards.num_tasks}_seed{wildcards.seed}"
        " --save-state-every {resources.save_state_every} > {log:q} 2>&1"
