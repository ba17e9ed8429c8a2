# Train one transformer and keep its weights at the scheduled steps. A run that was stopped goes on
# from its last saved state in results/<experiment>/.resume/.


rule train:
    output:
        checkpoints="results/{experiment}/runs/{variant}/M{num_tasks}_seed{seed}/checkpoints.safetensors",
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
        mem_mb=memory(4000),
        runtime=1440,
        gpu=GPUS,
        device=DEVICE,
        save_state_every=config["execution"]["save_state_every_seconds"],
    params:
        cfg=settings("task", "model", "training", "checkpoints"),
        code=code_of("transience.training"),
    shell:
        "python -m transience.training --settings {params.cfg:q} --code {params.code}"
        " --device {resources.device} --threads {threads}"
        " --variant {wildcards.variant} --num-tasks {wildcards.num_tasks} --seed {wildcards.seed}"
        " --state-dir results/{wildcards.experiment}/.resume/{wildcards.variant}_M{wildcards.num_tasks}_seed{wildcards.seed}"
        " --save-state-every {resources.save_state_every}"
        " --checkpoints {output.checkpoints:q} --training {output.training:q} > {log:q} 2>&1"
