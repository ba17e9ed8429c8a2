# The paper's claims, and expectations of interventions, tested on the tables of the sweep.


rule claims:
    input:
        tables=expand(
            "results/{{experiment}}/tables/{table}.parquet",
            table=[
                *("evaluation", "predictors", "llc", "llc_curve", "transient_ridge"),
                *("trajectory_pca", "trajectory_pca_components", "trajectory_subspace"),
                *("free_energy", "free_energy_agreement", "departure_prediction_scores"),
                "interventions",
            ],
        ),
    output:
        claims="results/{experiment}/tables/claims.parquet",
    log:
        "results/{experiment}/logs/claims/sweep.log",
    benchmark:
        "results/{experiment}/benchmarks/claims/sweep.tsv"
    conda:
        "../../envs/transience.yaml"
    resources:
        **asks(mem_mb=1500, runtime=30),
    params:
        **command("transience.claims", "family"),
    shell:
        "python -m transience.claims {params.flags} > {log:q} 2>&1"
