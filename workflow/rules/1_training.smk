# Train one transformer and keep its weights at the scheduled steps. A run that was stopped goes on
# from its last saved state in results/<experiment>/.resume/. A branch begins where its parent's state
# was kept.


rule train:
    input:
        unpack(parent_files),
    output:
        checkpoints="results/{experiment}/runs/{variant}/M{num_tasks}_seed{seed}/checkpoints.safetensors",
        states="results/{experiment}/runs/{variant}/M{num_tasks}_seed{seed}/states.safetensors",
        training="results/{experiment}/runs/{variant}/M{num_tasks}_seed{seed}/training.parquet",
        signals="results/{experiment}/runs/{variant}/M{num_tasks}_seed{seed}/signals.parquet",
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
