# The page that a reader opens.

PAGE_PARTS = [
    Path(workflow.basedir, "workflow/report", name)
    for name in (
        "template.html",
        "look.css",
        "captions.yaml",
        "variants.js",
        "explorer.js",
        "sorting.js",
    )
]


rule report:
    input:
        tables=expand(
            "results/{{experiment}}/tables/{table}.parquet",
            table=[
                *("claims", "transient_ridge", "llc", "training", "evaluation"),
                *("trajectory_pca", "trajectory_pca_components"),
            ],
        ),
        figures=expand("results/{{experiment}}/figures/{figure}.png", figure=DRAWN),
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
        " --benchmarks-dir results/{wildcards.experiment}/benchmarks"
        " --figure-logs results/{wildcards.experiment}/logs/figure > {log:q} 2>&1"


# Where figures fail, so does the sweep, and the job above never starts: then the report is made
# here, of what there is.
onerror:
    report_what_there_is()
