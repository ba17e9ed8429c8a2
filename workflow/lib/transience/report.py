"""The report: one page of HTML that needs nothing else, made from tables, figures, configuration.

Run as `python -m transience.report --tables-dir DIR --figures-dir DIR --config-json FILE --output
report.html`.
"""

import base64
import csv
import json
import math
import re
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import jinja2
import pandas as pd
import yaml
from markupsafe import Markup, escape

from transience import command
from transience.configuration import runs, variant_settings
from transience.errors import InputError
from transience.explorer import as_script, explorer
from transience.findings import finding, headline, missing_runs, warnings
from transience.summaries import (
    FLAGS,
    llc_by_checkpoint,
    main_variant,
    of_last_step,
    symbol,
)
from transience.tables import read_metadata, read_table, replacing

PAGE = Path(__file__).parents[2] / "report"
SCRIPTS = ("explorer.js", "sorting.js")
TABLES = (
    "claims", "transience", "llc", "training", "evaluation", "trajectory_pca",
    "trajectory_pca_components",
)  # fmt: skip
VERDICTS = ("holds", "fails", "not testable")
ACRONYMS = {"ood": "OOD", "llc": "LLC", "pc1": "PC1", "pc2": "PC2", "dmmse": "dMMSE"}
MISSING = "–"
MEASURED = ("s", "cpu_time", "max_rss")  # columns of a benchmark: seconds, seconds, MB


def render(
    tables: dict[str, pd.DataFrame],
    figures: dict[str, bytes],
    config: dict[str, Any],
    *,
    provenance: dict[str, str],
    stages: Sequence[dict[str, Any]] = (),
) -> str:
    """Write the page: `TABLES`, PNG files by name, the effective configuration, and origins."""
    environment = _environment()
    variant = main_variant(tables["transience"])
    main = tables["transience"][tables["transience"]["variant"] == variant]
    verdicts = Counter(tables["claims"]["verdict"])
    estimates = llc_by_checkpoint(tables["llc"])
    smoothing = variant_settings(config, variant)["figures"]["smoothing_window"]
    trajectories = explorer(tables, smoothing)
    return environment.get_template("template.html").render(
        experiment=config["experiment"],
        variant=variant,
        num_variants=tables["transience"]["variant"].nunique(),
        title=headline(main),
        finding=finding(main),
        warnings=[*missing_runs(tables, runs(config)), *warnings(estimates)],
        verdicts=", ".join(f"{verdict}: {verdicts[verdict]}" for verdict in VERDICTS),
        claims=tables["claims"].to_dict("records"),
        transience=tables["transience"].to_dict("records"),
        llc=of_last_step(estimates).to_dict("records"),
        configuration=yaml.safe_dump(
            config, sort_keys=False, allow_unicode=True, default_flow_style=None, width=100
        ),
        provenance=provenance,
        stages=stages,
        figures=_captions(environment, variant_settings(config, variant), figures),
        explorer=trajectories,
        smoothing=smoothing,
        explorer_data=as_script(trajectories),
        scripts=[Markup((PAGE / name).read_text(encoding="utf-8")) for name in SCRIPTS],
    )


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


def _captions(
    environment: jinja2.Environment, config: dict[str, Any], figures: dict[str, bytes]
) -> list[dict[str, Any]]:
    """Figures with their captions, filled from the configuration."""
    described = yaml.safe_load((PAGE / "captions.yaml").read_text(encoding="utf-8"))

    def caption(text: dict[str, Any]) -> Markup:
        endings = ["scale", "smoothing"] if text["smooths"] else ["scale"]
        template = " ".join([text["caption"], *(described[ending] for ending in endings)])
        return Markup(environment.from_string(template).render(config=config))

    return [
        {
            "name": name,
            "title": text["title"],
            "alt": text["alt"],
            "caption": caption(text),
            "png": base64.b64encode(figures[name]).decode(),
        }
        for name, text in described["figures"].items()
    ]


# Where it comes from


def origins(metadata: dict[str, dict[str, Any]], tables: dict[str, pd.DataFrame]) -> dict[str, str]:
    """Provenance in words, from the metadata of tables by name."""
    training = tables["training"].groupby(["variant", "num_tasks", "seed"])["seconds"].max()
    devices = {f"{name}: {_text(metadata[name].get('device'))}" for name in ("training", "llc")}
    created = [text for found in metadata.values() for text in _values(found.get("created"))]
    return {
        "Commit": _text([v for m in metadata.values() for v in _values(m.get("commit"))]),
        "Device": "; ".join(sorted(devices, reverse=True)),
        "Runs": f"{len(training)}, seeds {_text(sorted(tables['training']['seed'].unique()))}",
        "Time to train": f"{training.sum():,.0f} s in all, {training.max():,.0f} s the longest run",
        "Versions": _text([
            f"{name} {number}"
            for versions in _values(metadata["training"].get("versions"))
            for name, number in versions.items()
        ]),
        "Written": f"{min(created)} to {max(created)}" if created else "unknown",
    }  # fmt: skip


def _values(value: Any) -> list[Any]:
    """Distinct values of a merged entry: a list where the runs differ."""
    return value if isinstance(value, list) else [] if value is None else [value]


def _text(value: Any) -> str:
    return ", ".join(dict.fromkeys(map(str, _values(value)))) or "unknown"


def stage_times(benchmarks: Path) -> list[dict[str, Any]]:
    """Time and cost by rule, from Snakemake's benchmark files (folder or file: the rule's name).

    Short jobs have no processor time or memory; where no job of a rule has, they are missing.
    """
    jobs: dict[str, list[dict[str, float]]] = {}
    for path in sorted(benchmarks.rglob("*.tsv")):
        rule = path.relative_to(benchmarks).with_suffix("").parts[0]
        with path.open(encoding="utf-8", newline="") as lines:
            rows = csv.DictReader(lines, delimiter="\t")
            jobs.setdefault(rule, []).extend(
                {name: _measured(row.get(name)) for name in MEASURED} for row in rows
            )
    return sorted(
        (_stage(rule, pd.DataFrame(each)) for rule, each in jobs.items() if each),
        key=lambda stage: -stage["seconds"],
    )


def _measured(text: str | None) -> float:
    try:
        return float(text or "nan")
    except ValueError:  # "NA", or "-"
        return math.nan


def _stage(rule: str, jobs: pd.DataFrame) -> dict[str, Any]:
    return {
        "rule": rule,
        "jobs": len(jobs),
        "seconds": jobs["s"].sum(),
        "longest": jobs["s"].max(),
        "processor": jobs["cpu_time"].sum(min_count=1),
        "memory": jobs["max_rss"].max(),
    }


def read_figures(folder: Path) -> dict[str, bytes]:
    """PNG files of all figures that have a caption."""
    described = yaml.safe_load((PAGE / "captions.yaml").read_text(encoding="utf-8"))
    paths = {name: folder / f"{name}.png" for name in described["figures"]}
    for path in paths.values():
        if not path.is_file():
            raise InputError(f"{path}: expected a figure, found no such file")
    return {name: path.read_bytes() for name, path in paths.items()}


def main() -> None:
    """Read the flags and files, render, write."""
    flags = command.parser("Write the report page of a sweep.")
    for name in ("tables-dir", "figures-dir", "config-json", "output"):
        flags.add_argument(f"--{name}", type=Path, required=True)
    flags.add_argument("--benchmarks-dir", type=Path, help="adds the time by stage")
    args = flags.parse_args()
    paths = {name: args.tables_dir / f"{name}.parquet" for name in TABLES}
    tables = {name: read_table(path, name) for name, path in paths.items()}
    page = render(
        tables,
        read_figures(args.figures_dir),
        json.loads(args.config_json.read_text(encoding="utf-8")),
        provenance=origins({name: read_metadata(path) for name, path in paths.items()}, tables),
        stages=stage_times(args.benchmarks_dir) if args.benchmarks_dir else (),
    )
    with replacing(args.output) as temporary:
        temporary.write_text(page, encoding="utf-8")


if __name__ == "__main__":
    command.run(main)
