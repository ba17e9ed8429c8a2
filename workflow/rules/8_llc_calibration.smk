# Check the settings of the LLC: the stiffest curvature, and estimates at other ε, nβ and γ, on
# chosen runs; one proposal for all. Only on demand: `make calibrate`.

from transience.configuration import calibrated_runs

CALIBRATION_TABLES = ["llc_calibration", "llc_curvature"]
CALIBRATED = [
    f"{variant}/M{num_tasks}_seed{seed}" for variant, num_tasks, seed in calibrated_runs(config)
]


rule llc_calibration:
    input:
        expand(
            "results/{experiment}/{output}",
            experiment=config["experiment"],
            output=["llc_proposal.yaml", "figures/llc_calibration.png"],
        ),


rule calibrate_llc:
    input:
        checkpoints="results/{experiment}/runs/{variant}/M{num_tasks}_seed{seed}/checkpoints.safetensors",
    output:
        calibration="results/{experiment}/runs/{variant}/M{num_tasks}_seed{seed}/llc_calibration.parquet",
        curvature="results/{experiment}/runs/{variant}/M{num_tasks}_seed{seed}/llc_curvature.parquet",
    log:
        "results/{experiment}/logs/calibrate_llc/{variant}_M{num_tasks}_seed{seed}.log",
    benchmark:
        "results/{experiment}/benchmarks/calibrate_llc/{variant}_M{num_tasks}_seed{seed}.tsv"
    conda:
        "../../envs/transience.yaml"
    threads: config["execution"]["threads"]
    resources:
        mem_mb=memory(4000),
        runtime=720,
        gpu=GPUS,
        device=DEVICE,
    params:
        cfg=settings("task", "model", "llc", "llc_calibration"),
        code=code_of("transience.llc_calibration"),
    shell:
        "python -m transience.llc_calibration --settings {params.cfg:q} --code {params.code}"
        " --device {resources.device} --threads {threads}"
        " --variant {wildcards.variant} --num-tasks {wildcards.num_tasks} --seed {wildcards.seed}"
        " --checkpoints {input.checkpoints:q} --calibration {output.calibration:q}"
        " --curvature {output.curvature:q} > {log:q} 2>&1"


rule collect_llc_calibration:
    input:
        expand("results/{{experiment}}/runs/{run}/{{table}}.parquet", run=CALIBRATED),
    output:
        "results/{experiment}/tables/{table}.parquet",
    log:
        "results/{experiment}/logs/collect/{table}.log",
    benchmark:
        "results/{experiment}/benchmarks/collect/{table}.tsv"
    wildcard_constraints:
        table="|".join(CALIBRATION_TABLES),
    conda:
        "../../envs/transience.yaml"
    threads: 1
    resources:
        mem_mb=memory(1500),
        runtime=30,
    params:
        cfg=settings(),
        code=code_of("transience.collect"),
    shell:
        "python -m transience.collect --settings {params.cfg:q} --code {params.code}"
        " --table {wildcards.table} --inputs {input:q} --output {output:q} > {log:q} 2>&1"


rule propose_llc:
    input:
        calibration="results/{experiment}/tables/llc_calibration.parquet",
        curvature="results/{experiment}/tables/llc_curvature.parquet",
    output:
        ordering="results/{experiment}/tables/llc_ordering.parquet",
        proposal="results/{experiment}/llc_proposal.yaml",
    log:
        "results/{experiment}/logs/propose_llc.log",
    benchmark:
        "results/{experiment}/benchmarks/propose_llc.tsv"
    conda:
        "../../envs/transience.yaml"
    threads: 1
    resources:
        mem_mb=memory(1500),
        runtime=30,
    params:
        cfg=settings("llc"),
        code=code_of("transience.llc_proposal"),
    shell:
        "python -m transience.llc_proposal --settings {params.cfg:q} --code {params.code}"
        " --calibration {input.calibration:q} --curvature {input.curvature:q}"
        " --ordering {output.ordering:q} --proposal {output.proposal:q} > {log:q} 2>&1"


rule llc_calibration_figure:
    input:
        expand(
            "results/{{experiment}}/tables/{table}.parquet",
            table=[*CALIBRATION_TABLES, "llc_ordering"],
        ),
    output:
        png="results/{experiment}/figures/llc_calibration.png",
        pdf="results/{experiment}/figures/llc_calibration.pdf",
    log:
        "results/{experiment}/logs/llc_calibration_figure.log",
    benchmark:
        "results/{experiment}/benchmarks/llc_calibration_figure.tsv"
    conda:
        "../../envs/transience.yaml"
    threads: 1
    resources:
        mem_mb=memory(1500),
        runtime=30,
    params:
        cfg=settings("figures"),
        code=code_of("transience.figures.calibration"),
    shell:
        "python -m transience.figures.calibration --settings {params.cfg:q} --code {params.code}"
        " --tables-dir results/{wildcards.experiment}/tables --output {output.png:q}"
        " > {log:q} 2>&1"
