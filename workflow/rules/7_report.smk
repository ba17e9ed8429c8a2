# The page that a reader opens, and the whole configuration, defaults filled in, that it came from.

FREE_ENERGY = ["free_energy", "free_energy_agreement"]
SWEEP_TABLES = [
    *RUN_TABLES,
    "indicator_agreement",
    *TRAJECTORIES,
    "trajectory_subspace",
    *FREE_ENERGY,
    "claims",
]
REPORT = [
    Path(workflow.basedir, "workflow/report", name)
    for name in ("template.html", "captions.yaml", "explorer.js", "sorting.js")
]


rule configuration:
    output:
        "results/{experiment}/config.json",
    log:
        "results/{experiment}/logs/configuration.log",
    benchmark:
        "results/{experiment}/benchmarks/configuration.tsv"
    priority: 3
    conda:
        "../../envs/transience.yaml"
    threads: 1
    resources:
        mem_mb=memory(1000),
        runtime=10,
    params:
        cfg=slice_json(config, *config, configuration_files=FILES),
    shell:
        "printf %s {params.cfg:q} | python -m json.tool --no-ensure-ascii - {output:q} 2> {log:q}"


rule report:
    input:
        tables=expand("results/{{experiment}}/tables/{table}.parquet", table=SWEEP_TABLES),
        figures=expand("results/{{experiment}}/figures/{figure}.png", figure=FIGURES),
        configuration="results/{experiment}/config.json",
    output:
        report(
            "results/{experiment}/report.html",
            category="Report",
            labels={"page": "the page to read first"},
        ),
    log:
        "results/{experiment}/logs/report.log",
    benchmark:
        "results/{experiment}/benchmarks/report.tsv"
    conda:
        "../../envs/transience.yaml"
    threads: 1
    resources:
        mem_mb=memory(1500),
        runtime=30,
    params:
        cfg=settings(),
        code=code_of("transience.report", *REPORT),
    shell:
        "python -m transience.report --settings {params.cfg:q} --code {params.code}"
        " --tables-dir results/{wildcards.experiment}/tables"
        " --figures-dir results/{wildcards.experiment}/figures"
        " --benchmarks-dir results/{wildcards.experiment}/benchmarks"
        " --config-json {input.configuration:q} --output {output:q} > {log:q} 2>&1"
