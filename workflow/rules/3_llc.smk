# Complexity of a run: the local learning coefficient at the chosen checkpoints, by SGLD, and cheap
# indicators of it at all of them.


rule llc:
    input:
        checkpoints="results/{experiment}/runs/{variant}/M{num_tasks}_seed{seed}/checkpoints.safetensors",
    output:
        llc="results/{experiment}/runs/{variant}/M{num_tasks}_seed{seed}/llc.parquet",
        llc_trace="results/{experiment}/runs/{variant}/M{num_tasks}_seed{seed}/llc_trace.parquet",
    log:
        "results/{experiment}/logs/llc/{variant}_M{num_tasks}_seed{seed}.log",
    benchmark:
        "results/{experiment}/benchmarks/llc/{variant}_M{num_tasks}_seed{seed}.tsv"
    priority: 1
    conda:
        "../../envs/transience.yaml"
    threads: config["execution"]["threads"]
    resources:
        mem_mb=memory(4000),
        runtime=720,
        gpu=GPUS,
        device=DEVICE,
    params:
        cfg=settings("task", "model", "llc"),
        code=code_of("transience.llc"),
    shell:
        "python -m transience.llc --settings {params.cfg:q} --code {params.code}"
        " --device {resources.device} --threads {threads}"
        " --variant {wildcards.variant} --num-tasks {wildcards.num_tasks} --seed {wildcards.seed}"
        " --state-dir results/{wildcards.experiment}/.resume/llc_{wildcards.variant}_M{wildcards.num_tasks}_seed{wildcards.seed}"
        " --checkpoints {input.checkpoints:q}"
        " --llc {output.llc:q} --llc-trace {output.llc_trace:q} > {log:q} 2>&1"


rule indicators:
    input:
        checkpoints="results/{experiment}/runs/{variant}/M{num_tasks}_seed{seed}/checkpoints.safetensors",
    output:
        indicators="results/{experiment}/runs/{variant}/M{num_tasks}_seed{seed}/indicators.parquet",
    log:
        "results/{experiment}/logs/indicators/{variant}_M{num_tasks}_seed{seed}.log",
    benchmark:
        "results/{experiment}/benchmarks/indicators/{variant}_M{num_tasks}_seed{seed}.tsv"
    conda:
        "../../envs/transience.yaml"
    threads: config["execution"]["threads"]
    resources:
        mem_mb=memory(4000),
        runtime=720,
        gpu=GPUS,
        device=DEVICE,
    params:
        cfg=settings("task", "model", "llc", "indicators"),
        code=code_of("transience.indicators"),
    shell:
        "python -m transience.indicators --settings {params.cfg:q} --code {params.code}"
        " --device {resources.device} --threads {threads}"
        " --variant {wildcards.variant} --num-tasks {wildcards.num_tasks} --seed {wildcards.seed}"
        " --checkpoints {input.checkpoints:q} --indicators {output.indicators:q} > {log:q} 2>&1"
