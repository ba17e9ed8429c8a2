# Where the trajectories go: one PCA of all checkpoints of all task diversities; when and how far
# each run bends towards ridge; whether loss and complexity predict when it leaves ridge; and the
# paper's claims, tested.

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
        trajectory="results/{experiment}/tables/trajectory_pca.parquet",
        components="results/{experiment}/tables/trajectory_pca_components.parquet",
    log:
        "results/{experiment}/logs/trajectory_pca/sweep.log",
    benchmark:
        "results/{experiment}/benchmarks/trajectory_pca/sweep.tsv"
    conda:
        "../../envs/transience.yaml"
    threads: config["execution"]["threads"]
    resources:
        mem_mb=memory(1500 + 4 * PROBES_MB),
        runtime=60,
    params:
        cfg=settings("trajectory_pca"),
        code=code_of("transience.trajectory_pca"),
    shell:
        "python -m transience.trajectory_pca --settings {params.cfg:q} --code {params.code}"
        " --threads {threads} --probes {input.probes:q}"
        " --trajectory {output.trajectory:q} --components {output.components:q} > {log:q} 2>&1"


rule transient_ridge:
    input:
        probes=expand("results/{{experiment}}/runs/{run}/probe.parquet", run=RUN_FOLDERS),
        evaluation="results/{experiment}/tables/evaluation.parquet",
        predictors="results/{experiment}/tables/predictors.parquet",
        trajectory_pca="results/{experiment}/tables/trajectory_pca.parquet",
    output:
        "results/{experiment}/tables/transience.parquet",
    log:
        "results/{experiment}/logs/transient_ridge/sweep.log",
    benchmark:
        "results/{experiment}/benchmarks/transient_ridge/sweep.tsv"
    conda:
        "../../envs/transience.yaml"
    threads: config["execution"]["threads"]
    resources:
        mem_mb=memory(1500),
        runtime=30,
    params:
        cfg=settings(),
        code=code_of("transience.transient_ridge"),
    shell:
        "python -m transience.transient_ridge --settings {params.cfg:q} --code {params.code}"
        " --threads {threads} --probes {input.probes:q} --evaluation {input.evaluation:q}"
        " --predictors {input.predictors:q} --trajectory-pca {input.trajectory_pca:q}"
        " --transience {output:q} > {log:q} 2>&1"


rule trajectory_subspace:
    input:
        probes=expand("results/{{experiment}}/runs/{run}/probe.parquet", run=RUN_FOLDERS),
        trajectory_pca="results/{experiment}/tables/trajectory_pca.parquet",
    output:
        "results/{experiment}/tables/trajectory_subspace.parquet",
    log:
        "results/{experiment}/logs/trajectory_subspace/sweep.log",
    benchmark:
        "results/{experiment}/benchmarks/trajectory_subspace/sweep.tsv"
    conda:
        "../../envs/transience.yaml"
    threads: config["execution"]["threads"]
    resources:
        mem_mb=memory(1500 + 4 * PROBES_MB),
        runtime=240,
    params:
        cfg=settings(),
        code=code_of("transience.trajectory_subspace"),
    shell:
        "python -m transience.trajectory_subspace --settings {params.cfg:q} --code {params.code}"
        " --threads {threads} --probes {input.probes:q}"
        " --trajectory-pca {input.trajectory_pca:q} --output {output:q} > {log:q} 2>&1"


rule free_energy:
    input:
        evaluation="results/{experiment}/tables/evaluation.parquet",
        predictors="results/{experiment}/tables/predictors.parquet",
        llc="results/{experiment}/tables/llc.parquet",
    output:
        free_energy="results/{experiment}/tables/free_energy.parquet",
        agreement="results/{experiment}/tables/free_energy_agreement.parquet",
    log:
        "results/{experiment}/logs/free_energy/sweep.log",
    benchmark:
        "results/{experiment}/benchmarks/free_energy/sweep.tsv"
    conda:
        "../../envs/transience.yaml"
    threads: 1
    resources:
        mem_mb=memory(1500),
        runtime=30,
    params:
        cfg=settings("task", "training", "variants"),
        code=code_of("transience.free_energy"),
    shell:
        "python -m transience.free_energy --settings {params.cfg:q} --code {params.code}"
        " --evaluation {input.evaluation:q} --predictors {input.predictors:q} --llc {input.llc:q}"
        " --free-energy {output.free_energy:q} --agreement {output.agreement:q} > {log:q} 2>&1"


rule claims:
    input:
        evaluation="results/{experiment}/tables/evaluation.parquet",
        predictors="results/{experiment}/tables/predictors.parquet",
        trajectory_pca="results/{experiment}/tables/trajectory_pca.parquet",
        components="results/{experiment}/tables/trajectory_pca_components.parquet",
        subspace="results/{experiment}/tables/trajectory_subspace.parquet",
        llc="results/{experiment}/tables/llc.parquet",
        transience="results/{experiment}/tables/transience.parquet",
        free_energy="results/{experiment}/tables/free_energy.parquet",
        agreement="results/{experiment}/tables/free_energy_agreement.parquet",
    output:
        "results/{experiment}/tables/claims.parquet",
    log:
        "results/{experiment}/logs/claims/sweep.log",
    benchmark:
        "results/{experiment}/benchmarks/claims/sweep.tsv"
    conda:
        "../../envs/transience.yaml"
    threads: 1
    resources:
        mem_mb=memory(1500),
        runtime=30,
    params:
        cfg=settings(),
        code=code_of("transience.claims"),
    shell:
        "python -m transience.claims --settings {params.cfg:q} --code {params.code}"
        " --evaluation {input.evaluation:q} --predictors {input.predictors:q}"
        " --trajectory-pca {input.trajectory_pca:q}"
        " --trajectory-pca-components {input.components:q}"
        " --trajectory-subspace {input.subspace:q} --llc {input.llc:q}"
        " --transience {input.transience:q} --free-energy {input.free_energy:q}"
        " --free-energy-agreement {input.agreement:q} --claims {output:q} > {log:q} 2>&1"
