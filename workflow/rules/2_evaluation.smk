# Compare every checkpoint of a run with dMMSE_M and ridge: losses and distances on three task
# distributions, the least losses that can be had together, and predictions on the probe.


rule evaluate:
    input:
        checkpoints="results/{experiment}/runs/{variant}/M{num_tasks}_seed{seed}/checkpoints.safetensors",
    output:
        evaluation="results/{experiment}/runs/{variant}/M{num_tasks}_seed{seed}/evaluation.parquet",
        predictors="results/{experiment}/runs/{variant}/M{num_tasks}_seed{seed}/predictors.parquet",
        front="results/{experiment}/runs/{variant}/M{num_tasks}_seed{seed}/front.parquet",
        probe="results/{experiment}/runs/{variant}/M{num_tasks}_seed{seed}/probe.parquet",
    log:
        "results/{experiment}/logs/evaluate/{variant}_M{num_tasks}_seed{seed}.log",
    benchmark:
        "results/{experiment}/benchmarks/evaluate/{variant}_M{num_tasks}_seed{seed}.tsv"
    conda:
        "../../envs/transience.yaml"
    threads: config["execution"]["threads"]
    resources:
        **asks(mem_mb=4000, runtime=240, gpu=GPUS),
    params:
        **command("transience.evaluation", "task model evaluation probe"),
    shell:
        "python -m transience.evaluation {params.flags} > {log:q} 2>&1"
