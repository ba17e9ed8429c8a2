# Train, evaluate and compare one transformer for each task diversity and seed of a sweep.
# `make` runs the default sweep; your own: snakemake --cores 2 --configfile config/my_sweep.yaml


include: "workflow/rules/0_planning.smk"  # the configuration, checked before any job starts
include: "workflow/rules/common.smk"  # what the rules share
# For each run: one model.
include: "workflow/rules/1_training.smk"
include: "workflow/rules/2_evaluation.smk"
include: "workflow/rules/3_complexity.smk"
# For the sweep.
include: "workflow/rules/4_collect.smk"
include: "workflow/rules/5_trajectories.smk"
include: "workflow/rules/6_departure.smk"
include: "workflow/rules/7_claims.smk"
include: "workflow/rules/8_figures.smk"
include: "workflow/rules/9_report.smk"
include: "workflow/rules/calibration.smk"  # on demand: make calibrate


rule all:
    default_target: True
    input:
        expand(
            "results/{experiment}/{file}",
            experiment=config["experiment"],
            file=[
                "report.html",
                *expand("figures/{figure}.pdf", figure=DRAWN),
                *expand("tables/{table}.parquet", table=TABLES["tables"]),
                *expand("runs/{run}/{table}.parquet", run=RUN_FOLDERS, table=TABLES["runs"]),
            ],
        ),
