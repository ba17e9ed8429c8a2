# When and how far each run bends towards ridge and leaves it, whether the trade-off between loss and
# complexity predicts when, and which theory predicts it for runs it has not seen.


rule transient_ridge:
    input:
        probes=expand("results/{{experiment}}/runs/{run}/probe.parquet", run=RUN_FOLDERS),
        evaluation="results/{experiment}/tables/evaluation.parquet",
        predictors="results/{experiment}/tables/predictors.parquet",
        trajectory_pca="results/{experiment}/tables/trajectory_pca.parquet",
    output:
        transient_ridge="results/{experiment}/tables/transient_ridge.parquet",
    log:
        "results/{experiment}/logs/transient_ridge/sweep.log",
    benchmark:
        "results/{experiment}/benchmarks/transient_ridge/sweep.tsv"
    conda:
        "../../envs/transience.yaml"
    threads: config["execution"]["threads"]
    resources:
        **asks(mem_mb=1500, runtime=30),
    params:
        **command("transience.departure.transient_ridge"),
    shell:
        "python -m transience.departure.transient_ridge {params.flags} > {log:q} 2>&1"


rule free_energy:
    input:
        evaluation="results/{experiment}/tables/evaluation.parquet",
        predictors="results/{experiment}/tables/predictors.parquet",
        llc="results/{experiment}/tables/llc.parquet",
        training="results/{experiment}/tables/training.parquet",
    output:
        free_energy="results/{experiment}/tables/free_energy.parquet",
        free_energy_agreement="results/{experiment}/tables/free_energy_agreement.parquet",
    log:
        "results/{experiment}/logs/free_energy/sweep.log",
    benchmark:
        "results/{experiment}/benchmarks/free_energy/sweep.tsv"
    conda:
        "../../envs/transience.yaml"
    resources:
        **asks(mem_mb=1500, runtime=30),
    params:
        **command("transience.departure.free_energy", "task variants"),
    shell:
        "python -m transience.departure.free_energy {params.flags} > {log:q} 2>&1"


rule departure_prediction:
    input:
        free_energy="results/{experiment}/tables/free_energy.parquet",
    output:
        departure_prediction="results/{experiment}/tables/departure_prediction.parquet",
        departure_prediction_scores="results/{experiment}/tables/departure_prediction_scores.parquet",
    log:
        "results/{experiment}/logs/departure_prediction/sweep.log",
    benchmark:
        "results/{experiment}/benchmarks/departure_prediction/sweep.tsv"
    conda:
        "../../envs/transience.yaml"
    resources:
        **asks(mem_mb=1500, runtime=30),
    params:
        **command("transience.departure.held_out", "task variants"),
    shell:
        "python -m transience.departure.held_out {params.flags} > {log:q} 2>&1"


# Where a branch leaves its parent, if that is said in words.
rule branch_point:
    input:
        evaluation=lambda wildcards: (
            "results/{experiment}/runs/{variant}/M{num_tasks}_seed{seed}/evaluation.parquet".format(
                **dict(wildcards) | {"variant": PARENTS[wildcards.variant]["variant"]}
            )
        ),
    output:
        branch_point="results/{experiment}/runs/{variant}/M{num_tasks}_seed{seed}/branch_point.parquet",
    log:
        "results/{experiment}/logs/branch_point/{variant}_M{num_tasks}_seed{seed}.log",
    benchmark:
        "results/{experiment}/benchmarks/branch_point/{variant}_M{num_tasks}_seed{seed}.tsv"
    priority: 2
    conda:
        "../../envs/transience.yaml"
    resources:
        **asks(mem_mb=1500, runtime=30),
    params:
        **command("transience.departure.branch_point", "task model training.branch"),
    shell:
        "python -m transience.departure.branch_point {params.flags} > {log:q} 2>&1"


# The components are fitted again on the probes of the variant that is left, as the table of them has
# no mean.
rule branch_trajectories:
    input:
        probes=expand("results/{{experiment}}/runs/{run}/probe.parquet", run=RUN_FOLDERS),
    output:
        branch_trajectories="results/{experiment}/tables/branch_trajectories.parquet",
    log:
        "results/{experiment}/logs/branch_trajectories/sweep.log",
    benchmark:
        "results/{experiment}/benchmarks/branch_trajectories/sweep.tsv"
    conda:
        "../../envs/transience.yaml"
    threads: config["execution"]["threads"]
    resources:
        **asks(mem_mb=1500 + 4 * PROBES_MB, runtime=60),
    params:
        **command("transience.departure.branch_trajectories", "training variants trajectory_pca"),
    shell:
        "python -m transience.departure.branch_trajectories {params.flags} > {log:q} 2>&1"


rule interventions:
    input:
        evaluation="results/{experiment}/tables/evaluation.parquet",
        training="results/{experiment}/tables/training.parquet",
        front="results/{experiment}/tables/front.parquet",
    output:
        interventions="results/{experiment}/tables/interventions.parquet",
        intervention_effects="results/{experiment}/tables/intervention_effects.parquet",
    log:
        "results/{experiment}/logs/interventions/sweep.log",
    benchmark:
        "results/{experiment}/benchmarks/interventions/sweep.tsv"
    conda:
        "../../envs/transience.yaml"
    resources:
        **asks(mem_mb=1500, runtime=30),
    params:
        **command("transience.departure.interventions", "training variants"),
    shell:
        "python -m transience.departure.interventions {params.flags} > {log:q} 2>&1"


rule scaling:
    input:
        evaluation="results/{experiment}/tables/evaluation.parquet",
        transient_ridge="results/{experiment}/tables/transient_ridge.parquet",
    output:
        scaling_points="results/{experiment}/tables/scaling_points.parquet",
        scaling="results/{experiment}/tables/scaling.parquet",
        extrapolation="results/{experiment}/tables/extrapolation.parquet",
    log:
        "results/{experiment}/logs/scaling/sweep.log",
    benchmark:
        "results/{experiment}/benchmarks/scaling/sweep.tsv"
    conda:
        "../../envs/transience.yaml"
    resources:
        **asks(mem_mb=1500, runtime=30),
    params:
        **command("transience.departure.scaling", "task model training variants"),
    shell:
        "python -m transience.departure.scaling {params.flags} > {log:q} 2>&1"


rule alarms:
    input:
        evaluation="results/{experiment}/tables/evaluation.parquet",
        training="results/{experiment}/tables/training.parquet",
        signals="results/{experiment}/tables/signals.parquet",
    output:
        alarms="results/{experiment}/tables/alarms.parquet",
    log:
        "results/{experiment}/logs/alarms/sweep.log",
    benchmark:
        "results/{experiment}/benchmarks/alarms/sweep.tsv"
    conda:
        "../../envs/transience.yaml"
    resources:
        **asks(mem_mb=1500, runtime=30),
    params:
        **command("transience.departure.alarms"),
    shell:
        "python -m transience.departure.alarms {params.flags} > {log:q} 2>&1"
