# The page that a reader opens, and the whole configuration, defaults filled in, that it came from.

PAGE_PARTS = [
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
    resources:
        **asks(mem_mb=1000, runtime=10),
    params:
        cfg=as_parameter(config, *config, configuration_files=FILES),
    shell:
        "printf %s {params.cfg:q} | python -m json.tool --no-ensure-ascii - {output:q} 2> {log:q}"


rule report:
    input:
        tables=expand(
            "results/{{experiment}}/tables/{table}.parquet",
            table=[
                *("claims", "transient_ridge", "llc", "training", "evaluation"),
                *("trajectory_pca", "trajectory_pca_components"),
            ],
        ),
        figures=expand("results/{{experiment}}/figures/{figure}.png", figure=captions()),
        configuration="results/{experiment}/config.json",
    output:
        report=report(
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
    resources:
        **asks(mem_mb=1500, runtime=30),
    params:
        **command("transience.report", data_files=PAGE_PARTS),
    shell:
        "python -m transience.report {params.flags}"
        " --benchmarks-dir results/{wildcards.experiment}/benchmarks > {log:q} 2>&1"
