"""Do the sweep's tables follow from those of the runs?

Collected rows are those of the runs. What is computed from tables and costs seconds is computed
anew: the joint PCA (where there are probes), transience, free_energy, claims, and
indicator_agreement.
"""

import math
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from transience import claims, trajectory_pca
from transience.free_energy import agreement_table, free_energy_table
from transience.indicator_agreement import agreement, matched
from transience.tables import schemas
from transience.tasks import parse_num_tasks
from transience.transient_ridge import probe_end_distances, transience_table
from transience.verify.files import Config, File, Run
from transience.verify.runs import RTOL, difference_line, difference_of, in_file_order


def collected_lines(files: dict[str, File], sweep: dict[str, File], run: Run) -> Iterator[str]:
    """Tables of the sweep that don't hold just the rows of a run's table."""
    variant, num_tasks, seed = run
    for name in [name for name in files if name in sweep]:
        whole = sweep[name].content
        of_run = (whole["variant"] == variant) & (whole["seed"] == seed)
        of_run &= whole["num_tasks"] == parse_num_tasks(num_tasks)
        if not whole[of_run].reset_index(drop=True).equals(files[name].content):
            yield from difference_line(sweep[name], f"the rows of {files[name].path}", "others")


def computed_lines(sweep: dict[str, File], probes: Sequence[Path], config: Config) -> Iterator[str]:
    """Tables of the sweep that don't follow from those they come from; `probes` may be none."""
    tables = {name: file.content for name, file in sweep.items()}
    paths = [str(path) for path in probes]
    for names, sources, compute in COMPUTED:
        if {*names, *sources} <= {*tables, *(["probe"] if paths else [])}:
            expected = compute(tables, paths, config)
            for name, frame in zip(names, expected, strict=True):
                what = f"what follows from {', '.join(sources)}"
                difference = _frames_apart(frame, tables[name], name)
                yield from difference_line(sweep[name], what, difference)
                if difference:
                    del tables[name]  # nothing is compared with what follows from it


def _frames_apart(expected: pd.DataFrame, found: pd.DataFrame, name: str) -> str | None:
    """How a table differs from one computed anew, and in which column."""
    expected = in_file_order(expected, name) if schemas()[name].sorted else expected
    for column in (column.name for column in schemas()[name].columns):
        if column not in expected:
            continue
        pair = expected[column], found[column]
        if pd.api.types.is_numeric_dtype(found[column].dtype):
            exact = column in schemas()[name].keys
            numbers = (values.to_numpy(np.float64, na_value=math.nan) for values in pair)
            difference = difference_of(*numbers, rtol=0.0 if exact else RTOL)
        else:
            texts = [values.fillna("").tolist() for values in pair]
            difference = None if texts[0] == texts[1] else "others"
        if difference:
            return f"{difference} ({column})"
    return None


Tables = dict[str, pd.DataFrame]


def _trajectories(tables: Tables, probes: list[str], config: Config) -> list[pd.DataFrame]:
    groups = trajectory_pca.group_runs(probes).items()
    number = config["trajectory_pca"]["num_components"]
    fitted = [
        [
            frame.assign(variant=variant, seed=seed)
            for frame in trajectory_pca.fit_group(runs, number)
        ]
        for (variant, seed), runs in groups
    ]
    return [pd.concat(frames, ignore_index=True) for frames in zip(*fitted, strict=True)]


def _transience(tables: Tables, probes: list[str], config: Config) -> list[pd.DataFrame]:
    sources = [tables[name] for name in ("evaluation", "predictors", "trajectory_pca")]
    of_probe = ["root_distance_to_ridge_at_end", "root_distance_to_nearest_dmmse_at_end"]
    kept = tables["transience"][["variant", "num_tasks", "seed", *of_probe]]
    return [transience_table(*sources, probe_end_distances(probes) if probes else kept)]


def _free_energy(tables: Tables, probes: list[str], config: Config) -> list[pd.DataFrame]:
    sources = [tables[name] for name in ("evaluation", "predictors", "llc")]
    table = free_energy_table(*sources, config)
    return [table, agreement_table(table)]


def _claims(tables: Tables, probes: list[str], config: Config) -> list[pd.DataFrame]:
    return [claims.check(tables)]


def _agreement(tables: Tables, probes: list[str], config: Config) -> list[pd.DataFrame]:
    points = matched(tables["indicators"], tables["llc"])
    variants = tables["indicators"]["variant"].unique()
    frames = [agreement(points[points["variant"] == v]).assign(variant=v) for v in variants]
    return [pd.concat(frames)]


Compute = Callable[[Tables, list[str], dict], list[pd.DataFrame]]
PCA = ("trajectory_pca", "trajectory_pca_components")
FREE_ENERGY = ("free_energy", "free_energy_agreement")
COMPUTED: list[tuple[tuple[str, ...], tuple[str, ...], Compute]] = [
    (PCA, ("probe",), _trajectories),
    (("transience",), ("evaluation", "predictors", "trajectory_pca"), _transience),
    (FREE_ENERGY, ("evaluation", "predictors", "llc"), _free_energy),
    (
        ("claims",),
        (
            "evaluation",
            "predictors",
            *PCA,
            "trajectory_subspace",
            "llc",
            "transience",
            *FREE_ENERGY,
        ),
        _claims,
    ),
    (("indicator_agreement",), ("indicators", "llc"), _agreement),
]
