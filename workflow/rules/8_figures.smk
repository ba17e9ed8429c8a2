# Figures of the sweep's tables, each as PNG and PDF. workflow/report/captions.yaml says what there
# is, what each reads, and what to look for.

FIGURES = captions() | captions("on_demand")
# Figures show one variant: `files.selections.main_variant`.
SHOWN = "baseline" if "baseline" in config["variants"] else min(config["variants"])


rule figure:
    input:
        tables=lambda wildcards: expand(
            "results/{experiment}/tables/{table}.parquet",
            experiment=wildcards.experiment,
            table=FIGURES[wildcards.figure].reads,
        ),
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
        figure="|".join(captions()),
    conda:
        "../../envs/transience.yaml"
    resources:
        **asks(mem_mb=1500, runtime=30),
    params:
        **command("transience.figures", "figures", figures=FIGURES),
        caption=lambda wildcards, output: filled(wildcards.figure, variant_settings(config, SHOWN)),
    shell:
        "python -m transience.figures {params.flags} > {log:q} 2>&1"
