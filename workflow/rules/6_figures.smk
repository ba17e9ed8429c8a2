# Figures of the sweep's tables, each as PNG and PDF; which tables each shows.

TRAJECTORIES = ["trajectory_pca", "trajectory_pca_components", "transience"]
FIGURES = {
    "figure1": ["evaluation", *TRAJECTORIES],
    "trajectory_pca": TRAJECTORIES,
    "subspace": [*TRAJECTORIES, "trajectory_subspace"],
    "loss_by_distribution": ["evaluation", "predictors"],
    "ood_loss_by_position": ["evaluation", "predictors", "transience"],
    "distances": ["evaluation"],
    "loss_and_llc": ["evaluation", "predictors", "llc"],
    "llc_over_training": ["evaluation", "llc", "indicators", "indicator_agreement"],
    "departure": ["evaluation", "free_energy", "free_energy_agreement"],
    "llc_diagnostics": ["llc", "llc_trace"],
}


rule figure:
    input:
        lambda wildcards: [
            f"results/{wildcards.experiment}/tables/{table}.parquet"
            for table in FIGURES[wildcards.figure]
        ],
    output:
        png=report(
            "results/{experiment}/figures/{figure}.png",
            caption="../report/figure.rst",
            category="Figures",
            labels={"figure": "{figure}"},
        ),
        pdf="results/{experiment}/figures/{figure}.pdf",
    log:
        "results/{experiment}/logs/figure/{figure}.log",
    benchmark:
        "results/{experiment}/benchmarks/figure/{figure}.tsv"
    wildcard_constraints:
        figure="|".join(FIGURES),
    conda:
        "../../envs/transience.yaml"
    threads: 1
    resources:
        mem_mb=memory(1500),
        runtime=30,
    params:
        cfg=settings("figures"),
        code=code_of("transience.figures"),
    shell:
        "python -m transience.figures --settings {params.cfg:q} --code {params.code}"
        " --figure {wildcards.figure} --tables-dir results/{wildcards.experiment}/tables"
        " --output {output.png:q} > {log:q} 2>&1"
