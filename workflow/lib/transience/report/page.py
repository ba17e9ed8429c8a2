"""The page: the template of workflow/report, filled."""

import math
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import jinja2
import pandas as pd
import yaml
from markupsafe import Markup, escape

from transience.complexity.limits import FLAGS
from transience.complexity.summary import LLC_IS_OFF, llc_by_checkpoint
from transience.figures.captions import PAGE, of_sweep
from transience.figures.settings import variant_shown
from transience.files.selections import of_last_step
from transience.planning.configuration import runs as configured_runs
from transience.planning.configuration import sweep_family
from transience.problem.diversity import symbol
from transience.problem.words import page_in_words_of
from transience.report.explorer import as_script, explorer
from transience.report.headline import headline, main_result, missing_runs, warnings
from transience.report.missing import missing_figures
from transience.report.pictures import pictures

SCRIPTS = ("variants.js", "explorer.js", "sorting.js")
VERDICTS = ("holds", "fails", "not testable")
ACRONYMS = {"ood": "OOD", "llc": "LLC", "pc1": "PC1", "pc2": "PC2", "dmmse": "dMMSE"}
MISSING = "–"


def render(
    tables: dict[str, pd.DataFrame],
    figures: dict[str, bytes],
    config: dict[str, Any],
    *,
    provenance: dict[str, str],
    missing: Mapping[str, str] | None = None,
    stages: Sequence[dict[str, Any]] = (),
) -> str:
    """Write the page: tables, PNG files of `of_sweep` or why one is missing, and whence it came."""
    variants = config["variants"]
    shown = variant_shown(config["figures"]["variant"], variants)
    order = [shown, *sorted(variant for variant in variants if variant != shown)]
    estimates = llc_by_checkpoint(tables["llc"])
    smoothing = config["figures"]["smoothing_window"]
    trajectories = explorer(tables, smoothing, first=shown)
    missing = missing_figures(of_sweep(config), figures) | dict(missing or {})
    template = _environment().get_template("template.html")
    page = template.render(
        experiment=config["experiment"],
        shown=shown,
        versions={variant: _version(tables, variant) for variant in order},
        warnings=[*missing_runs(tables, configured_runs(config)), *warnings(estimates)],
        claims=tables["claims"].to_dict("records"),
        runs=tables["transient_ridge"].to_dict("records"),
        llc=of_last_step(estimates).to_dict("records"),
        llc_is_off=LLC_IS_OFF,
        configuration=config,
        provenance=provenance,
        stages=stages,
        figures=pictures(config, figures, missing),
        explorer=trajectories,
        smoothing=smoothing,
        explorer_data=as_script(trajectories),
        scripts=[Markup((PAGE / name).read_text(encoding="utf-8")) for name in SCRIPTS],
    )
    return page_in_words_of(sweep_family(config), page)


def _version(tables: dict[str, pd.DataFrame], variant: str) -> dict[str, str]:
    """What the page says of one variant, in words."""
    runs, claims = (
        table[table["variant"] == variant]
        for table in (tables["transient_ridge"], tables["claims"])
    )
    verdicts = Counter(claims["verdict"])
    return {
        "title": headline(runs),
        "main_result": main_result(runs),
        "verdicts": ", ".join(f"{verdict}: {verdicts[verdict]}" for verdict in VERDICTS),
    }


def _environment() -> jinja2.Environment:
    """Templates in which nothing is forgotten, and all but the templates' own text is escaped."""
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(PAGE), autoescape=True, undefined=jinja2.StrictUndefined
    )
    environment.filters |= {
        "symbol": symbol,
        "prose": prose,
        "title_words": title_words,
        "flags": lambda text: ", ".join(FLAGS[flag] for flag in text.split(",") if flag),
        "decimals": lambda x, n: MISSING if math.isnan(x) else f"{x:,.{n}f}",
        "yaml": lambda config: yaml.safe_dump(
            config, sort_keys=False, allow_unicode=True, default_flow_style=None, width=100
        ),
        "percent": lambda x: MISSING if math.isnan(x) else f"{x:.1%}",
    }
    return environment


def title_words(name: str) -> str:
    """Name of a claim as words: `ood_loss_falls` is OOD loss falls."""
    first, *rest = name.split("_")
    words = [ACRONYMS.get(first, first.capitalize()), *(ACRONYMS.get(word, word) for word in rest)]
    return " ".join(words)


def prose(text: str) -> Markup:
    """Plain text of a table for the page: escaped, with subscripts and the sign of infinity."""
    text = re.sub(r"\binf\b", "∞", str(escape(text)))
    return Markup(re.sub(r"\b(dMMSE|q)_([M1∞])", r"\1<sub>\2</sub>", text))
