"""Figures: all are drawn, labelled and legible from few and many models, seeds and gaps."""

import itertools
import math
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.text import Text
from matplotlib.transforms import Bbox

from transience import summaries
from transience.figures import FIGURES, READS, curves, draw, positions, style
from transience.figures.__main__ import save
from transience.tables import schemas
from transience.transient_ridge import FALL

Tables = dict[str, pd.DataFrame]
FEW = [1.0, 8.0, math.inf]
PAPER = [
    *[1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 46, 64, 90, 128, 182, 256, 362, 512, 724, 1024, 2048, 4096],
    *[8192, 16384, 32768, math.inf],
]


def texts(figure: Figure) -> list[Text]:
    """All text that a reader sees: ticks beyond the ends of an axis are made, but not shown."""
    FigureCanvasAgg(figure).draw()
    hidden = set()
    for axes in figure.axes:
        frame = axes.get_window_extent().padded(1)
        for axis, low, high in ((axes.xaxis, frame.x0, frame.x1), (axes.yaxis, frame.y0, frame.y1)):
            for tick in (*axis.get_major_ticks(), *axis.get_minor_ticks()):
                x, y = axes.transData.transform((tick.get_loc(), tick.get_loc()))
                if not low <= (x if axis is axes.xaxis else y) <= high:
                    hidden |= {tick.label1, tick.label2}
    found = figure.findobj(Text)
    return [t for t in found if t.get_visible() and t.get_text().strip() and t not in hidden]


def overlapping(figure: Figure) -> list[tuple[str, str]]:
    """Pairs of texts that touch."""
    boxes = [(text.get_text(), text.get_window_extent()) for text in texts(figure)]
    pairs = itertools.combinations(boxes, 2)
    return [(a, b) for (a, one), (b, two) in pairs if one.padded(-1).overlaps(two.padded(-1))]


@pytest.mark.parametrize("name", FIGURES)
@pytest.mark.parametrize(("num_tasks", "num_seeds"), [(FEW, 1), (PAPER, 3)])
def test_every_figure_is_drawn_and_legible(
    name: str, num_tasks: list, num_seeds: int, made_up_sweep: Callable[..., Tables]
) -> None:
    figure = draw(name, made_up_sweep(num_tasks, num_seeds))
    assert all(axes.has_data() for axes in figure.axes)
    assert figure.get_figwidth() == 7.0
    assert min(text.get_fontsize() for text in texts(figure)) >= 7
    assert overlapping(figure) == []
    page = figure.bbox.padded(0.5)
    outside = [t.get_text() for t in texts(figure) if not _within(t.get_window_extent(), page)]
    assert outside == []


def _within(box: Bbox, page: Bbox) -> bool:
    return page.x0 <= box.x0 and box.x1 <= page.x1 and page.y0 <= box.y0 and box.y1 <= page.y1


@pytest.mark.parametrize("name", ["figure1", "loss_by_distribution", "distances", "loss_and_llc"])
def test_every_axis_is_labelled(name: str, made_up_sweep: Callable[..., Tables]) -> None:
    for axes in draw(name, made_up_sweep(FEW, 2)).axes:
        for axis, labels in ((axes.xaxis, "labelbottom"), (axes.yaxis, "labelleft")):
            assert bool(axis.get_label_text()) == axis.get_tick_params()[labels], axes.get_title()


@pytest.mark.parametrize("name", FIGURES)
def test_one_run_alone_and_twenty_seeds_are_drawn(
    name: str, made_up_sweep: Callable[..., Tables]
) -> None:
    for sweep in (made_up_sweep([4.0, math.inf], 1), made_up_sweep([4.0], 20)):
        texts(draw(name, sweep, smoothing_window=3))


def test_a_figure_reads_only_what_it_says(made_up_sweep: Callable[..., Tables]) -> None:
    tables = made_up_sweep(FEW, 1)
    for name, read in READS.items():
        draw(name, {table: tables[table] for table in read})
        assert set(read) <= set(schemas())
    assert READS.keys() == FIGURES.keys()


def test_figures_show_the_main_variant(made_up_sweep: Callable[..., Tables]) -> None:
    tables = made_up_sweep(FEW, 1)
    other = {name: frame.assign(variant="another") for name, frame in tables.items()}
    other["evaluation"] = other["evaluation"].assign(loss=99.0)
    both = {name: pd.concat([other[name], frame]) for name, frame in tables.items()}
    (axes, *_) = draw("loss_by_distribution", both).axes
    assert max(line.get_ydata().max() for line in axes.lines) < 10


def test_made_up_tables_keep_to_the_schemas(made_up_sweep: Callable[..., Tables]) -> None:
    for name, frame in made_up_sweep(FEW, 2).items():
        assert set(frame) == {column.name for column in schemas()[name].columns}, name


# What stands in them


def test_ood_loss_has_a_circle_at_t_crit_of_every_run_and_ridge(
    made_up_sweep: Callable[..., Tables],
) -> None:
    tables = made_up_sweep(FEW, 3)
    loss = draw("figure1", tables).axes[0]
    (circles,) = loss.collections
    expected = tables["transience"][["t_crit", "least_ood_loss"]].to_numpy()
    np.testing.assert_allclose(circles.get_offsets(), expected)
    levels = [line.get_ydata()[0] for line in loss.lines if line.get_linestyle() == ":"]
    assert levels == [pytest.approx(tables["transience"]["ridge_ood_loss"].mean())]


def test_the_rise_by_position_is_the_end_over_t_crit(made_up_sweep: Callable[..., Tables]) -> None:
    tables = made_up_sweep([8.0, math.inf], 1)
    frame, t_crit = tables["evaluation"], tables["transience"].set_index("num_tasks")["t_crit"][8]
    of_eight = (frame["num_tasks"] == 8) & (frame["distribution"] == "gaussian")
    for step, level in ((t_crit, 2.0), (frame["step"].max(), 3.0)):
        frame.loc[of_eight & (frame["step"] == step) & (frame["position"] == 0), "loss"] = level
    late, rise = draw("ood_loss_by_position", tables).axes
    _, eight, infinite = rise.lines  # after the line at 1
    assert eight.get_xdata().tolist() == infinite.get_xdata().tolist() == [0, 1]
    assert eight.get_ydata()[0] == pytest.approx(1.5)
    np.testing.assert_allclose(infinite.get_ydata(), 1, atol=0.02)
    assert late.get_title(loc="left").endswith("after 1 examples")  # the last quarter of two
    shown = frame[of_eight & (frame["position"] == 1)]
    np.testing.assert_allclose(late.lines[0].get_ydata(), shown["loss"])


def test_the_rise_by_position_leaves_out_runs_that_never_fall(
    made_up_sweep: Callable[..., Tables],
) -> None:
    tables = made_up_sweep([1.0, 8.0], 2)
    runs = tables["transience"]
    level = runs["least_ood_loss"].where(runs["num_tasks"] > 1, 0.95 * runs["initial_ood_loss"])
    tables["transience"] = runs.assign(least_ood_loss=level)
    _, rise = draw("ood_loss_by_position", tables).axes
    assert positions.FALLEN == 1 - FALL
    colours = {line.get_color() for line in rise.lines}
    assert colours == {style.MUTED, style.DiversityScale.of([1.0, 8.0]).colour(8.0)}


def test_the_thick_curve_is_the_mean_over_seeds(made_up_sweep: Callable[..., Tables]) -> None:
    tables = made_up_sweep([4.0], 2)
    (axes, *_) = draw("loss_by_distribution", tables).axes
    frame = summaries.mean_over_positions(tables["evaluation"], "training")
    expected = frame.groupby("step")["loss"].mean()
    thick = [
        line for line in axes.lines if line.get_linewidth() == 1.2 and len(line.get_xdata()) > 1
    ]
    np.testing.assert_allclose(thick[0].get_ydata(), expected)


def test_smoothing_is_a_centred_mean() -> None:
    curve = pd.Series([0.0, 3.0, 0.0, 6.0])
    assert curves.smooth(curve, 1) is curve
    assert curves.smooth(curve, 3).tolist() == [1.5, 1.0, 3.0, 3.0]


def test_checkpoints_that_nearly_coincide_make_no_cliff() -> None:
    steps = pd.Series([100, 200, 400, 401, 800, 1600])
    assert curves.smoothed_steps(steps, 1).tolist() == steps.tolist()
    apart = np.diff(np.log(curves.smoothed_steps(steps, 3)))
    assert apart.min() > 0.2  # 400 and 401 are 0.0025 apart


@pytest.mark.parametrize(("count", "shape"), [(3, (1, 3)), (8, (2, 4)), (26, (4, 7))])
def test_traces_fill_their_rows(
    made_up_sweep: Callable[..., Tables], count: int, shape: tuple[int, int]
) -> None:
    tables = made_up_sweep([2.0**k for k in range(count)], 1)
    grid = draw("llc_diagnostics", tables).axes[0].get_gridspec()
    assert (grid.nrows, grid.ncols) == shape


def test_flagged_and_missing_llc_are_marked(made_up_sweep: Callable[..., Tables]) -> None:
    tables = made_up_sweep([1.0, 4.0, 64.0, math.inf], 2, diverged=[4.0])
    _, axes = draw("loss_and_llc", tables).axes
    papers, _, filled, flagged = (container.lines[0] for container in axes.containers)
    assert filled.get_ydata().tolist() == pytest.approx([48.7, 51.7], abs=0.1)  # M = 1
    assert papers.get_ydata().tolist() == pytest.approx([42.7, 45.7], abs=0.1)  # 6 lower
    assert len(flagged.get_ydata()) == 4  # M = 64 and inf
    assert to_rgb(flagged.get_markerfacecolor()) == (1, 1, 1)
    (crosses,) = (line for line in axes.lines if line.get_marker() == "x")
    np.testing.assert_allclose(crosses.get_xdata(), 2, atol=0.2)  # log2 4


def test_all_llc_missing_is_drawn(made_up_sweep: Callable[..., Tables]) -> None:
    tables = made_up_sweep(FEW, 1, diverged=FEW)
    for name in ("loss_and_llc", "llc_diagnostics"):
        texts(draw(name, tables))


def test_llc_by_run_is_missing_if_a_chain_diverged(made_up_sweep: Callable[..., Tables]) -> None:
    llc = made_up_sweep([1.0, 4.0], 1, diverged=[4.0])["llc"]
    sound, diverged = summaries.llc_by_run(llc).to_dict("records")
    chains = llc[llc["num_tasks"] == 1]["centred_llc"]
    assert sound["centred_llc"] == pytest.approx(chains.mean())
    assert sound["llc"] == pytest.approx(chains.mean() - 6)
    assert sound["error"] == pytest.approx(chains.std(ddof=1) / 2)
    assert math.isnan(diverged["llc"]) and math.isnan(diverged["centred_llc"])
    assert (diverged["diverged"], diverged["chains"], diverged["flags"]) == (1, 4, "DIVERGED")


# The scale of M


def test_infinity_is_black_dashed_and_a_tick_of_its_own() -> None:
    scale = style.DiversityScale.of([8.0, math.inf, 1.0])
    assert scale.values == (1, 8, math.inf)
    assert scale.positions([1, 8, math.inf]).tolist() == [0, 3, 3 + style.INFINITE_GAP]
    assert scale.line(math.inf)["color"] == "#000000"
    assert "linestyle" in scale.line(math.inf)
    assert "linestyle" not in scale.line(8)


def test_colours_get_lighter_with_diversity() -> None:
    scale = style.DiversityScale.of(PAPER)
    lightness = [
        0.2126 * r + 0.7152 * g + 0.0722 * b for r, g, b, _ in map(scale.colour, PAPER[:-1])
    ]
    assert lightness == sorted(lightness)
    assert len(set(lightness)) == len(lightness)
    contrast = 1.05 / (max(lightness) ** 2.2 + 0.05)
    assert contrast > 1.7  # the lightest on white


@pytest.mark.parametrize("width", [0.9, 1.35, 2.9])
def test_labels_of_the_axis_fit(width: float) -> None:
    scale = style.DiversityScale.of(PAPER)
    shown = scale.axis_values(width)
    assert shown[0] == 1
    assert shown[-1] == math.inf
    inches = width / (scale.position(math.inf) + 1)
    gaps = np.diff(scale.positions(shown)) * inches
    digits = [len(summaries.symbol(value)) for value in shown]
    halves = [0.055 * (a + b) / 2 for a, b in itertools.pairwise(digits)]
    assert (gaps > halves).all()


def test_a_long_key_is_thinned_and_keeps_infinity() -> None:
    assert style.DiversityScale.of(FEW).key_values() == tuple(FEW)
    shown = style.DiversityScale.of(PAPER).key_values()
    assert len(shown) <= style.MAX_KEY_ENTRIES
    assert {1.0, math.inf} <= set(shown)
    assert style.DiversityScale.of([1, 2, 6, 8, 12]).axis_values(0.9) == (1, 2, 6, 12)
    odd = style.DiversityScale.of([3.0 * k for k in range(1, 40)])
    assert len(odd.key_values()) <= style.MAX_KEY_ENTRIES


# Files


def test_files_are_the_same_bytes_each_time(
    made_up_sweep: Callable[..., Tables], tmp_path: Path
) -> None:
    for folder in ("first", "second"):
        figure = draw("distances", made_up_sweep(FEW, 2))
        save(figure, tmp_path / folder / "distances.png", dpi=80)
    for kind in ("png", "pdf"):
        first, second = (tmp_path / f / f"distances.{kind}" for f in ("first", "second"))
        assert first.read_bytes() == second.read_bytes()
    assert sorted(path.name for path in (tmp_path / "first").iterdir()) == [
        "distances.pdf",
        "distances.png",
    ]
