# Check the settings of the LLC: the stiffest curvature, and estimates at other ε, nβ and γ, on
# chosen runs; one proposal for all. Only on demand: `make calibrate`.

CALIBRATED = [run_folder(*run) for run in calibrated_runs(config)]


rule llc_calibration:
    input:
        expand(
            "results/{experiment}/{file}",
            experiment=config["experiment"],
            file=["llc_proposal.yaml", "figures/llc_calibration.png"],
        ),


rule calibrate_llc:
    input:
        checkpoints=checkpoints_to_calibrate,
    output:
        llc_calibration="results/{experiment}/runs/{variant}/M{num_tasks}_seed{seed}/llc_calibration.parquet",
        llc_curvature="results/{experiment}/runs/{variant}/M{num_tasks}_seed{seed}/llc_curvature.parquet",
    log:
        "results/{experiment}/logs/calibrate_llc/{variant}_M{num_tasks}_seed{seed}.log",
    benchmark:
        "results/{experiment}/benchmarks/calibrate_llc/{variant}_M{num_tasks}_seed{seed}.tsv"
    conda:
        "../../envs/transience.yaml"
    threads: config["execution"]["threads"]
    resources:
        **asks(mem_mb=4000, runtime=720, gpu=GPUS),
    params:
        **command("transience.complexity.calibration.calibrate", "task model llc llc_calibration"),
    shell:
        "python -m transience.complexity.calibration.calibrate {params.flags} > {log:q} 2>&1"


use rule collect as collect_llc_calibration with:
    input:
        inputs=expand("results/{{experiment}}/runs/{run}/{{table}}.parquet", run=CALIBRATED),
    wildcard_constraints:
        table="llc_calibration|llc_curvature",


rule propose_llc:
    input:
        llc_calibration="results/{experiment}/tables/llc_calibration.parquet",
        llc_curvature="results/{experiment}/tables/llc_curvature.parquet",
    output:
        llc_ordering="results/{experiment}/tables/llc_ordering.parquet",
        proposal="results/{experiment}/llc_proposal.yaml",
    log:
        "results/{experiment}/logs/propose_llc.log",
    benchmark:
        "results/{experiment}/benchmarks/propose_llc.tsv"
    conda:
        "../../envs/transience.yaml"
    resources:
        **asks(mem_mb=1500, runtime=30),
    params:
        **command("transience.complexity.calibration.propose", "llc"),
    shell:
        "python -m transience.complexity.calibration.propose {params.flags} > {log:q} 2>&1"


use rule figure as llc_calibration_figure with:
    output:
        png="results/{experiment}/figures/{figure}.png",
        pdf="results/{experiment}/figures/{figure}.pdf",
    wildcard_constraints:
        figure="llc_calibration",
    params:
        caption="",
