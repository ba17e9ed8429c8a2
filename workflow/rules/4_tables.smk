# One table of the sweep from the tables of its runs.

RUN_TABLES = ["training", "evaluation", "predictors", "llc", "llc_trace"]


rule collect:
    input:
        expand("results/{{experiment}}/runs/{run}/{{table}}.parquet", run=RUN_FOLDERS),
    output:
        "results/{experiment}/tables/{table}.parquet",
    log:
        "results/{experiment}/logs/collect/{table}.log",
    benchmark:
        "results/{experiment}/benchmarks/collect/{table}.tsv"
    wildcard_constraints:
        table="|".join(RUN_TABLES),
    conda:
        "../../envs/transience.yaml"
    threads: 1
    resources:
        mem_mb=4000,
        runtime=60,
    params:
        cfg=settings(),
        code=code_digest("transience.collect"),
    shell:
        "python -m transience.collect --settings {params.cfg:q} --code {params.code}"
        " --table {wildcards.table} --inputs {input:q} --output {output:q} > {log:q} 2>&1"
