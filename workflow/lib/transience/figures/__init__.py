"""Figures of a sweep, drawn from its tables.

A figure is a function of the tables that it reads (`READS`) and the smoothing window, and has no
side effects; `transience.figures.__main__` reads, draws and saves.

- `style`: sizes, fonts, the one colour scale of M, the M axis
- `curves`: losses and distances over training
- `positions`: the OOD loss by position in the context
- `trajectories`: joint trajectory PCA
- `subspace`: how far to trust its plane
- `figure1`: the paper's Figure 1
- `complexity`: the paper's Figure 3, loss and LLC against M
- `llc_over_training`: loss, LLC and a cheap indicator of it over training
- `departure`: when runs leave ridge, and when loss and complexity say they should
- `diagnostics`: LLC diagnostics
"""

from collections.abc import Callable

import matplotlib
from matplotlib.figure import Figure

from transience.figures.complexity import loss_and_llc
from transience.figures.curves import Tables, distances, loss_by_distribution
from transience.figures.departure import departure
from transience.figures.diagnostics import llc_diagnostics
from transience.figures.figure1 import figure1
from transience.figures.llc_over_training import llc_over_training
from transience.figures.positions import ood_loss_by_position
from transience.figures.style import STYLE
from transience.figures.subspace import subspace
from transience.figures.trajectories import trajectory_pca
from transience.summaries import main_variant

FIGURES: dict[str, Callable[[Tables, int], Figure]] = {
    "figure1": figure1,
    "trajectory_pca": trajectory_pca,
    "subspace": subspace,
    "loss_by_distribution": loss_by_distribution,
    "ood_loss_by_position": ood_loss_by_position,
    "distances": distances,
    "loss_and_llc": loss_and_llc,
    "llc_over_training": llc_over_training,
    "departure": departure,
    "llc_diagnostics": llc_diagnostics,
}
_TRAJECTORIES = ("trajectory_pca", "trajectory_pca_components", "transience")
READS: dict[str, tuple[str, ...]] = {
    "figure1": ("evaluation", *_TRAJECTORIES),
    "trajectory_pca": _TRAJECTORIES,
    "subspace": (*_TRAJECTORIES, "trajectory_subspace"),
    "loss_by_distribution": ("evaluation", "predictors"),
    "ood_loss_by_position": ("evaluation", "predictors", "transience"),
    "distances": ("evaluation",),
    "loss_and_llc": ("evaluation", "predictors", "llc"),
    "llc_over_training": ("evaluation", "llc", "indicators", "indicator_agreement"),
    "departure": ("evaluation", "free_energy", "free_energy_agreement"),
    "llc_diagnostics": ("llc", "llc_trace"),
}


def draw(name: str, tables: Tables, *, smoothing_window: int = 1) -> Figure:
    """Draw a figure of the sweep's main variant from (at least) the tables that it reads."""
    read = {table: tables[table] for table in READS[name]}
    main = main_variant(next(iter(read.values())))
    read = {table: frame[frame["variant"] == main] for table, frame in read.items()}
    with matplotlib.rc_context(STYLE):
        return FIGURES[name](read, smoothing_window)
