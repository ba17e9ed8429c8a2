"""Where the tables of a sweep come from, and how long each rule took."""

import csv
import math
from pathlib import Path
from typing import Any

import pandas as pd

from transience.files.metadata import values_of
from transience.files.tables import RUN_KEYS

MEASURED = ("s", "cpu_time", "max_rss")  # columns of a benchmark: seconds, seconds, MB


def origins(metadata: dict[str, dict[str, Any]], tables: dict[str, pd.DataFrame]) -> dict[str, str]:
    """Provenance in words, from the metadata of tables by name."""
    training = tables["training"].groupby(RUN_KEYS)["seconds"].max()
    computed = [name for name in ("training", "llc") if len(tables[name])]  # the LLC may be off
    devices = {f"{name}: {_text(metadata[name].get('device'))}" for name in computed}
    created = [text for found in metadata.values() for text in values_of(found.get("created"))]
    return {
        "Commit": _text([v for m in metadata.values() for v in values_of(m.get("commit"))]),
        "Device": "; ".join(sorted(devices, reverse=True)),
        "Runs": f"{len(training)}, seeds {_text(sorted(tables['training']['seed'].unique()))}",
        "Time to train": f"{training.sum():,.0f} s in all, {training.max():,.0f} s the longest run",
        "Versions": _text([
            f"{name} {number}"
            for versions in values_of(metadata["training"].get("versions"))
            for name, number in versions.items()
        ]),
        "Written": f"{min(created)} to {max(created)}" if created else "unknown",
    }  # fmt: skip


def _text(value: Any) -> str:
    return ", ".join(dict.fromkeys(map(str, values_of(value)))) or "unknown"


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
