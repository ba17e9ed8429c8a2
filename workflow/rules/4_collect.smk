# One table of the sweep from the tables of its runs.


rule collect:
    input:
        inputs=expand("results/{{experiment}}/runs/{run}/{{table}}.parquet", run=RUN_FOLDERS),
    output:
        output="results/{experiment}/tables/{table}.parquet",
    log:
        "results/{experiment}/logs/collect/{table}.log",
    benchmark:
        "results/{experiment}/benchmarks/collect/{table}.tsv"
    wildcard_constraints:
        table="|".join(set(TABLES["runs"]) & set(TABLES["tables"])),
    conda:
        "../../envs/transience.yaml"
    resources:
        **asks(mem_mb=1500, runtime=30),
    params:
        **command("transience.collect"),
    shell:
        "python -m transience.collect {params.flags} > {log:q} 2>&1"
