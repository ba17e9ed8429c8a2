# Where the trajectories go: one PCA of all checkpoints of all task diversities, and how far to
# trust its plane.

# Predictions of the runs that one PCA takes, in float32: 2 GB for the paper's sweep.
PROBES_MB = (
    len(RUNS)
    // len({(variant, seed) for variant, _, seed in RUNS})
    * (
        config["training"]["num_steps"] // config["checkpoints"]["linear_every"]
        + config["checkpoints"]["logarithmic_count"]
    )
    * config["probe"]["num_sequences"]
    * config["task"]["num_examples"]
    * 4
    // 2**20
)


rule trajectory_pca:
    input:
        probes=expand("results/{{experiment}}/runs/{run}/probe.parquet", run=RUN_FOLDERS),
    output:
        trajectory_pca="results/{experiment}/tables/trajectory_pca.parquet",
        trajectory_pca_components="results/{experiment}/tables/trajectory_pca_components.parquet",
    log:
        "results/{experiment}/logs/trajectory_pca/sweep.log",
    benchmark:
        "results/{experiment}/benchmarks/trajectory_pca/sweep.tsv"
    conda:
        "../../envs/transience.yaml"
    threads: config["execution"]["threads"]
    resources:
        **asks(mem_mb=1500 + 4 * PROBES_MB, runtime=60),
    params:
        **command("transience.trajectories.joint_pca", "trajectory_pca"),
    shell:
        "python -m transience.trajectories.joint_pca {params.flags} > {log:q} 2>&1"


rule trajectory_subspace:
    input:
        probes=expand("results/{{experiment}}/runs/{run}/probe.parquet", run=RUN_FOLDERS),
        trajectory_pca="results/{experiment}/tables/trajectory_pca.parquet",
    output:
        trajectory_subspace="results/{experiment}/tables/trajectory_subspace.parquet",
    log:
        "results/{experiment}/logs/trajectory_subspace/sweep.log",
    benchmark:
        "results/{experiment}/benchmarks/trajectory_subspace/sweep.tsv"
    conda:
        "../../envs/transience.yaml"
    threads: config["execution"]["threads"]
    resources:
        **asks(mem_mb=1500 + 4 * PROBES_MB, runtime=240),
    params:
        **command("transience.trajectories.robustness"),
    shell:
        "python -m transience.trajectories.robustness {params.flags} > {log:q} 2>&1"
