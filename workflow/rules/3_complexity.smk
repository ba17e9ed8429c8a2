# Complexity of a run: the local learning coefficient at the chosen checkpoints, by SGLD, cheap
# indicators of it at all of them, and how well they follow it in the sweep.


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
        **asks(mem_mb=4000, runtime=720, gpu=GPUS),
    params:
        **command("transience.complexity.llc", "task model llc"),
    shell:
        "python -m transience.complexity.llc {params.flags}"
        " --state-dir results/{wildcards.experiment}/.resume/llc_{wildcards.variant}_M{wildcards.num_tasks}_seed{wildcards.seed}"
        " > {log:q} 2>&1"


rule llc_curve:
    input:
        checkpoints="results/{experiment}/runs/{variant}/M{num_tasks}_seed{seed}/checkpoints.safetensors",
    output:
        llc_curve="results/{experiment}/runs/{variant}/M{num_tasks}_seed{seed}/llc_curve.parquet",
    log:
        "results/{experiment}/logs/llc_curve/{variant}_M{num_tasks}_seed{seed}.log",
    benchmark:
        "results/{experiment}/benchmarks/llc_curve/{variant}_M{num_tasks}_seed{seed}.tsv"
    priority: 1
    conda:
        "../../envs/transience.yaml"
    threads: config["execution"]["threads"]
    resources:
        **asks(mem_mb=4000, runtime=720, gpu=GPUS),
    params:
        **command("transience.complexity.llc_curve", "task model llc llc_curve"),
    shell:
        "python -m transience.complexity.llc_curve {params.flags} > {log:q} 2>&1"


# Where it is off, no job of a run is planned, and the sweep's tables of it have no rows.
if not config["llc"]["checkpoints"]:

    rule no_llc:
        input:
            indicators="results/{experiment}/tables/indicators.parquet",
        output:
            llc="results/{experiment}/tables/llc.parquet",
            llc_trace="results/{experiment}/tables/llc_trace.parquet",
            llc_curve="results/{experiment}/tables/llc_curve.parquet",
        log:
            "results/{experiment}/logs/no_llc/sweep.log",
        benchmark:
            "results/{experiment}/benchmarks/no_llc/sweep.tsv"
        conda:
            "../../envs/transience.yaml"
        resources:
            **asks(mem_mb=1500, runtime=30),
        params:
            **command("transience.complexity.no_llc", "llc.checkpoints"),
        shell:
            "python -m transience.complexity.no_llc {params.flags} > {log:q} 2>&1"


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
        **asks(mem_mb=4000, runtime=720, gpu=GPUS),
    params:
        **command("transience.complexity.indicators", "task model indicators llc.nbeta llc.gamma"),
    shell:
        "python -m transience.complexity.indicators {params.flags} > {log:q} 2>&1"


rule indicator_agreement:
    input:
        indicators="results/{experiment}/tables/indicators.parquet",
        llc="results/{experiment}/tables/llc.parquet",
    output:
        indicator_agreement="results/{experiment}/tables/indicator_agreement.parquet",
    log:
        "results/{experiment}/logs/indicator_agreement/sweep.log",
    benchmark:
        "results/{experiment}/benchmarks/indicator_agreement/sweep.tsv"
    conda:
        "../../envs/transience.yaml"
    resources:
        **asks(mem_mb=1500, runtime=30),
    params:
        **command("transience.complexity.indicator_agreement"),
    shell:
        "python -m transience.complexity.indicator_agreement {params.flags} > {log:q} 2>&1"
