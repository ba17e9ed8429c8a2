# One table of the sweep from the tables of its runs, and how well cheap indicators follow the LLC.

RUN_TABLES = ["training", "evaluation", "predictors", "llc", "llc_trace", "indicators"]


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
        mem_mb=memory(1500),
        runtime=30,
    params:
        cfg=settings(),
        code=code_of("transience.collect"),
    shell:
        "python -m transience.collect --settings {params.cfg:q} --code {params.code}"
        " --table {wildcards.table} --inputs {input:q} --output {output:q} > {log:q} 2>&1"


rule indicator_agreement:
    input:
        indicators="results/{experiment}/tables/indicators.parquet",
        llc="results/{experiment}/tables/llc.parquet",
    output:
        "results/{experiment}/tables/indicator_agreement.parquet",
    log:
        "results/{experiment}/logs/indicator_agreement/sweep.log",
    benchmark:
        "results/{experiment}/benchmarks/indicator_agreement/sweep.tsv"
    conda:
        "../../envs/transience.yaml"
    threads: 1
    resources:
        mem_mb=memory(1500),
        runtime=30,
    params:
        cfg=settings(),
        code=code_of("transience.indicator_agreement"),
    shell:
        "python -m transience.indicator_agreement --settings {params.cfg:q} --code {params.code}"
        " --indicators {input.indicators:q} --llc {input.llc:q} --output {output:q} > {log:q} 2>&1"
