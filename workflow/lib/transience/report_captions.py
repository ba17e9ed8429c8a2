"""Captions of the figures for `snakemake --report`, from those of the report page.

After an edit of workflow/report/captions.yaml:
PYTHONPATH=workflow/lib python -m transience.report_captions > workflow/report/figure.rst
"""

from pathlib import Path

import yaml

PAGE = Path(__file__).parents[2] / "report"
HEADER = """\
{# Written by transience.report_captions from captions.yaml. -#}
{% set config = snakemake.config -%}
.. raw:: html

"""


def report_captions() -> str:
    """Text of figure.rst, which Snakemake fills: one caption for each value of {figure}."""
    described = yaml.safe_load((PAGE / "captions.yaml").read_text(encoding="utf-8"))
    return HEADER + "".join(
        f'{{% if snakemake.wildcards.figure == "{name}" %}}\n'
        f"   <p><b>{text['title']}.</b> {text['caption']}</p>\n"
        f"   <p>{described['scale']} {described['smoothing'] if text['smooths'] else ''}</p>\n"
        "{% endif %}\n"
        for name, text in described["figures"].items()
    )


if __name__ == "__main__":
    print(report_captions(), end="")
