"""All figures: drawn, labelled and legible from few and many models, seeds and gaps."""

import math
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from legible import cut_off, overlapping, texts
from made_up import FEW, PAPER, made_up_sweep, side_by_side, without_components
from matplotlib.axes import Axes
from matplotlib.collections import QuadMesh

from transience.figures import draw as draw_module
from transience.figures.captions import captions
from transience.figures.draw import draw, save
from transience.files.tables import schemas, write_table


@pytest.mark.parametrize("name", captions())
@pytest.mark.parametrize(("num_tasks", "num_seeds"), [(FEW, 1), (PAPER, 3)])
def test_every_figure_is_drawn_and_legible(name: str, num_tasks: list, num_seeds: int) -> None:
    figure = draw(name, made_up_sweep(num_tasks, num_seeds))
    assert all(axes.has_data() for axes in figure.axes)
    assert figure.get_figwidth() == 7.0
    shown = texts(figure)
    assert min(text.get_fontsize() for text in shown) >= 7
    assert overlapping(shown) == []
    assert cut_off(figure, shown) == []


@pytest.mark.parametrize("name", captions())
@pytest.mark.parametrize("family", ["gaussian_means", "features"])
def test_keys_have_room_for_the_words_of_a_family(name: str, family: str) -> None:
    figure = draw(name, made_up_sweep(FEW, 2, diverged=[FEW[1]]), family=family)
    shown = texts(figure)
    assert not [text for text in shown if "dMMSE" in text.get_text() and family != "features"]
    assert cut_off(figure, shown) == []


@pytest.mark.parametrize("name", ["figure1", "loss_by_distribution", "distances", "loss_and_llc"])
def test_every_axis_is_labelled(name: str) -> None:
    for axes in draw(name, made_up_sweep(FEW, 2)).axes:
        for axis, labels in ((axes.xaxis, "labelbottom"), (axes.yaxis, "labelleft")):
            assert bool(axis.get_label_text()) == axis.get_tick_params()[labels], axes.get_title()


INFINITY_ALONE = made_up_sweep([math.inf], 1)
ODD = {
    "infinity alone": INFINITY_ALONE,
    "no LLC": made_up_sweep(FEW, 2, diverged=FEW),
    "on a line": without_components(made_up_sweep(FEW, 2), 1),
    "all equal": without_components(made_up_sweep(FEW, 2), 0),
    "all of it": without_components(made_up_sweep([math.inf], 1, diverged=[math.inf]), 0),
}


@pytest.mark.parametrize("name", captions())
@pytest.mark.parametrize("odd", ODD)
def test_a_panel_without_data_says_why(name: str, odd: str) -> None:
    figure = draw(name, ODD[odd], smoothing_window=3)
    shown = texts(figure)
    for axes in figure.axes:
        notes = [text for text in axes.texts if text.get_position() == (0.5, 0.5)]
        assert notes or _shows_numbers(axes), axes.get_title(loc="left")
        assert len(notes) <= 1
    assert not [text for text in shown if "nan" in text.get_text()]
    assert overlapping(shown) == []
    assert cut_off(figure, shown) == []


def _shows_numbers(axes: Axes) -> bool:
    """Whether anything but reference lines across the panel is drawn, and has a number."""
    lines = [line for line in axes.lines if line.get_transform() == axes.transData]
    drawn = [np.ma.filled(line.get_xydata(), np.nan) for line in lines]
    drawn += [np.ma.filled(points.get_offsets(), np.nan) for points in axes.collections]
    drawn += [np.ones((1, 2))] * any(isinstance(mesh, QuadMesh) for mesh in axes.collections)
    return any(np.isfinite(np.reshape(xy, (-1, 2))).all(axis=1).any() for xy in drawn)


@pytest.mark.parametrize("name", captions())
def test_one_run_alone_and_twenty_seeds_are_drawn(name: str) -> None:
    for sweep in (made_up_sweep([4.0, math.inf], 1), made_up_sweep([4.0], 20)):
        texts(draw(name, sweep, smoothing_window=3))


@pytest.mark.parametrize("name", [n for n in captions() if "llc" in captions()[n].reads])
def test_a_figure_says_that_the_llc_is_off(name: str) -> None:
    tables = made_up_sweep(FEW, 2)
    off = {table: tables[table].iloc[:0] for table in ("llc", "llc_trace", "llc_curve")}
    agreement = tables["indicator_agreement"].assign(rank_correlation=math.nan)
    figure = draw(name, tables | off | {"indicator_agreement": agreement})
    said = [text.get_text().replace("\n", " ") for text in texts(figure)]
    assert "LLC is off (llc.checkpoints is empty)" in said


def test_a_figure_reads_only_what_it_says() -> None:
    tables = made_up_sweep(FEW, 1)
    for name, caption in captions().items():
        draw(name, {table: tables[table] for table in caption.reads})


def test_a_figure_shows_the_variant_that_is_asked_for() -> None:
    tables = made_up_sweep(FEW, 1)
    other = {name: frame.assign(variant="another") for name, frame in tables.items()}
    other["evaluation"] = other["evaluation"].assign(loss=99.0)
    both = {name: pd.concat([other[name], frame]) for name, frame in tables.items()}
    for variant, shown in (("main", False), ("baseline", False), ("another", True)):
        (axes, *_) = draw("loss_by_distribution", both, variant=variant).axes
        assert (max(line.get_ydata().max() for line in axes.lines) > 10) == shown


def test_a_variant_without_rows_in_a_table_is_not_replaced_by_another() -> None:
    """Of M = inf alone, nothing departs; main is still the variant that it is elsewhere."""
    alone = INFINITY_ALONE | {"claims": made_up_sweep(FEW, 1)["claims"]}
    both = side_by_side(baseline=alone, another=made_up_sweep(PAPER[3:8], 1))
    for variant in ("main", "baseline"):
        said = [text.get_text() for text in texts(draw("departure", both, variant=variant))]
        assert any("no finite M" in text for text in said)


def test_made_up_tables_keep_to_the_schemas(tmp_path: Path) -> None:
    made = made_up_sweep(FEW, 2)
    assert made.keys() == {
        name for name, schema in schemas().items() if "tables" in schema.files
    } - {*captions("on_demand")["llc_calibration"].reads}
    for name, frame in made.items():
        write_table(tmp_path / name, name, frame, {})  # columns, dtypes, nulls, keys


def test_drawing_one_figure_loads_no_other() -> None:
    program = "import sys; from transience.figures import draw; print(*sys.modules)"
    found = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True,
        env={"PYTHONPATH": str(Path(draw_module.__file__).parents[2])},
    ).stdout.split()  # fmt: skip
    figures = [f"transience.figures.{name}" for name in draw_module.FIGURES]
    assert "transience.figures.style" in found and not {*figures, "torch"} & {*found}


def test_files_are_the_same_bytes_each_time(tmp_path: Path) -> None:
    for folder in ("first", "second"):
        figure = draw("distances", made_up_sweep(FEW, 2))
        save(figure, [tmp_path / folder / f"distances.{kind}" for kind in ("png", "pdf")], dpi=80)
    for kind in ("png", "pdf"):
        first, second = (tmp_path / f / f"distances.{kind}" for f in ("first", "second"))
        assert first.read_bytes() == second.read_bytes()
    assert sorted(path.name for path in (tmp_path / "first").iterdir()) == [
        "distances.pdf",
        "distances.png",
    ]
