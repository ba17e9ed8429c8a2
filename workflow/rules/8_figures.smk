# Figures of the sweep's tables, each as PNG and PDF. workflow/report/captions.yaml says what there
# is, what each reads, and what to look for.

FIGURES = captions() | captions("comparison") | captions("on_demand")
# Those of the variant shown, the comparison of variants, and wide/figure1 of another one.
DRAWN = of_sweep(config)


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
        figure="|".join(captions() | captions("comparison")),
    conda:
        "../../envs/transience.yaml"
    resources:
        **asks(mem_mb=1500, runtime=30),
    params:
        **command("transience.figures", "figures family", figures=FIGURES),
        caption=lambda wildcards, output: filled(
            wildcards.figure,
            variant_settings(config, wildcards.get("variant", config["figures"]["variant"])),
        ),
    shell:
        "python -m transience.figures {params.flags} > {log:q} 2>&1"


# Any variant, also the one shown, can be asked for: results/NAME/figures/wide/figure1.pdf.
use rule figure as figure_of_variant with:
    output:
        png=report(
            "results/{experiment}/figures/{variant}/{figure}.png",
            caption="../report/figure.rst",
            category="Figures",
            labels={"figure": "{figure}", "variant": "{variant}"},
        ),
        pdf="results/{experiment}/figures/{variant}/{figure}.pdf",
    log:
        "results/{experiment}/logs/figure/{variant}/{figure}.log",
    benchmark:
        "results/{experiment}/benchmarks/figure/{variant}/{figure}.tsv"
    wildcard_constraints:
        figure="|".join(captions()),
