"""LLC diagnostics: whether the chains settled, agree, stayed close, and which were flagged."""

import math

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure, SubFigure
from matplotlib.ticker import MaxNLocator

from transience.complexity.limits import FLAGS, MAX_LOSS_RISE, MAX_RHAT, MIN_ESS
from transience.complexity.summary import llc_by_run
from transience.figures import style
from transience.figures.curves import Tables
from transience.figures.style import DiversityScale
from transience.files.selections import of_last_step
from transience.files.tables import RUN_KEYS
from transience.problem.diversity import symbol

PANELS_A_ROW = 7
MAX_LABELS = 8  # of M below the flags
WINDOWS = 20  # a trace has that many windows of its running mean
MAX_POINTS = 300  # of a trace, for a small file
MISSING = "all are missing"
TRACE_HEIGHT = 1.25  # inches: a row of traces
BY_DIVERSITY = [  # column, title, limit
    ("rhat", r"$\hat{R}$ over chains", MAX_RHAT),
    ("ess", "effective draws", MIN_ESS),
    ("loss_rise_fraction", "rise of the loss / range", MAX_LOSS_RISE),
    ("acceptance", "Metropolis acceptance", None),
    ("distance", "$|w - w^*|$ at the end", None),
]


def llc_diagnostics(tables: Tables, _window: int) -> Figure:
    """Running means of the paired traces of the last checkpoints, and what to judge them by."""
    runs = llc_by_run(tables["llc"])
    if runs.empty:
        return _of_nothing()
    scale = DiversityScale.of(runs["num_tasks"])
    rows = math.ceil(len(scale.values) / PANELS_A_ROW)
    heights = [TRACE_HEIGHT * rows + 0.4, 4.0]
    figure = Figure(figsize=(style.FULL_WIDTH, sum(heights)))
    above, below = figure.subfigures(2, 1, height_ratios=heights)
    _draw_traces(above, tables, scale, rows)
    grid = below.subplots(2, 4, gridspec_kw={"width_ratios": [1, 1, 1, 1.25]})
    _draw_halves(grid[0, 0], runs, scale)
    panels = [*grid[0, 1:3], *grid[1, :3]]
    for axes, (column, title, limit) in zip(panels, BY_DIVERSITY, strict=True):
        _draw_by_diversity(axes, runs, column, scale, limit=limit)
        axes.set_title(title)
    style.plain_log_axis(grid[0, 2])
    _draw_flags(grid[0, 3], tables["llc"], scale)
    _draw_descent(grid[1, 3], runs, scale)
    return figure


def _of_nothing() -> Figure:
    """One empty panel, which says that the LLC is off."""
    figure = Figure(figsize=(style.FULL_WIDTH, 1.0))
    axes = figure.subplots()
    axes.set_axis_off()
    style.nothing_to_show(axes, style.LLC_IS_OFF)
    return figure


def _draw_descent(axes: Axes, runs: pd.DataFrame, scale: DiversityScale) -> None:
    """How much of the estimate the paper's form misses, as weights are no minimum."""
    colours = [scale.colour(m) for m in runs["num_tasks"]]
    axes.scatter(runs["centred_llc"], runs["llc"], s=10, c=colours, linewidths=0)
    values = runs[["centred_llc", "llc"]].to_numpy()
    if np.isfinite(values).any():
        ends = [0, np.nanmax(values)]
        axes.plot(ends, ends, color=style.MUTED, linewidth=0.7, linestyle=":", zorder=0)
    else:
        style.nothing_to_show(axes, MISSING)
    axes.set_xlabel(r"centred $\hat{λ}$")
    axes.set_ylabel("paper's form")
    axes.set_title("reference point")


def _draw_traces(figure: SubFigure, tables: Tables, scale: DiversityScale, rows: int) -> None:
    columns = math.ceil(len(scale.values) / rows)
    grid = figure.subplots(rows, columns, squeeze=False, sharex=True)
    keys = [*RUN_KEYS, "step", "chain"]
    settings = of_last_step(tables["llc"])[[*keys, "nbeta"]]
    traces = tables["llc_trace"].merge(settings, on=keys).sort_values("draw")
    for axes, num_tasks in zip(grid.flat, scale.values, strict=False):
        chains = traces[traces["num_tasks"] == num_tasks].groupby(["seed", "chain"])
        for _, chain in chains:
            _draw_running_mean(axes, chain, scale.colour(num_tasks))
        axes.set_title(f"M = {symbol(num_tasks)}", pad=2)
        axes.xaxis.set_major_locator(MaxNLocator(nbins=2, steps=[1, 2, 5, 10], min_n_ticks=2))
    for axes in grid.flat[len(scale.values) :]:
        axes.remove()
    for axes in grid.flat[max(0, len(scale.values) - columns) : len(scale.values)]:
        axes.tick_params(labelbottom=True)
    figure.supylabel("running mean of $nβ\\,(L_t - L^*_t)$", fontsize=7)
    figure.supxlabel("draw, burn-in included (a line per seed and chain)", fontsize=7)


def _draw_running_mean(axes: Axes, chain: pd.DataFrame, colour: object) -> None:
    excess = chain["nbeta"] * (chain["loss"] - chain["baseline_loss"])
    mean = excess.rolling(max(1, len(excess) // WINDOWS)).mean()
    every = max(1, len(mean) // MAX_POINTS)
    axes.plot(chain["draw"].iloc[::every], mean.iloc[::every], color=colour, linewidth=0.7)


def _draw_halves(axes: Axes, runs: pd.DataFrame, scale: DiversityScale) -> None:
    colours = [scale.colour(m) for m in runs["num_tasks"]]
    axes.scatter(runs["first_half"], runs["second_half"], s=10, c=colours, linewidths=0)
    values = runs[["first_half", "second_half"]].to_numpy()
    if np.isfinite(values).any():
        ends = [np.nanmin(values), np.nanmax(values)]
        axes.plot(ends, ends, color=style.MUTED, linewidth=0.7, linestyle=":", zorder=0)
    else:
        style.nothing_to_show(axes, MISSING)
    axes.set_xlabel("first half of the draws")
    axes.set_ylabel("second half")
    axes.set_title(r"$\hat{λ}$ by halves")


def _draw_by_diversity(
    axes: Axes, runs: pd.DataFrame, column: str, scale: DiversityScale, *, limit: float | None
) -> None:
    colours = [scale.colour(m) for m in runs["num_tasks"]]
    values = runs[column].where(np.isfinite(runs[column]))  # a diverged chain may end at infinity
    axes.scatter(scale.positions(runs["num_tasks"]), values, s=10, c=colours, linewidths=0)
    if limit:
        axes.axhline(limit, color="#c00000", linewidth=0.8, linestyle=":")
    else:
        axes.set_ylim(0, 1.15 * max(values.max(), 1e-9) if values.notna().any() else 1)
    if values.isna().all():
        style.nothing_to_show(axes, MISSING)
    style.diversity_axis(axes, scale, width=0.9, label="M")


def _draw_flags(axes: Axes, llc: pd.DataFrame, scale: DiversityScale) -> None:
    last = of_last_step(llc)
    share = np.array([
        [_share(last[last["num_tasks"] == value]["flags"], flag) for value in scale.values]
        for flag in FLAGS
    ])  # fmt: skip
    axes.pcolormesh(
        np.arange(len(scale.values) + 1), np.arange(len(FLAGS) + 1), share,
        cmap="Reds", vmin=0, vmax=1, edgecolors="#dddddd", linewidth=0.4,
    )  # fmt: skip
    shown = scale.values if len(scale.values) <= MAX_LABELS else scale.axis_values(1.1)
    axes.set_xticks([scale.values.index(v) + 0.5 for v in shown], [symbol(v) for v in shown])
    axes.set_yticks(np.arange(len(FLAGS)) + 0.5, FLAGS.values())
    axes.invert_yaxis()
    axes.tick_params(length=0)
    axes.grid(False)
    axes.set_xlabel("M")
    axes.set_title("share of chains flagged")


def _share(flags: pd.Series, flag: str) -> float:
    return float(np.mean([flag in text.split(",") for text in flags])) if len(flags) else 0.0
