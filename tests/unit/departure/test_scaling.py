"""From the runs of a map of scale to laws, and to what they foretell."""

import math

import numpy as np
import pandas as pd
import pytest
import yaml
from made_up import GROWTH, SECTIONS, TURNED, WIDTH, fitted_to, scaling_points
from scipy import stats

from transience.departure.knobs import LENGTH, MAIN, OTHER, values_of
from transience.departure.power_law import fit
from transience.departure.scaling import (
    AT,
    PAPER,
    POINTS,
    TASKS,
    at_the_end,
    design,
    foretell,
    growth,
    points_table,
)
from transience.training.settings import PhaseSettings

START = values_of(SECTIONS)


def exponents(tables: dict, quantity: str) -> dict[str, float]:
    rows = tables["scaling"].query("quantity == @quantity")
    return dict(zip(rows["knob"], rows["exponent"], strict=True))


def test_exponents_are_found_and_carry_to_the_paper():
    made = fitted_to(scaling_points(2, error=0.0, spread=4.0))
    expected = {knob: exponent for knob, (_, exponent) in TURNED.items()}
    assert exponents(made, "threshold") == pytest.approx(expected | {LENGTH: GROWTH})
    assert exponents(made, "departure") == pytest.approx(expected | {TASKS: 1.0})
    value = 48.0  # between the seeds
    for knob, exponent in (expected | {LENGTH: GROWTH}).items():
        value *= (PAPER[knob] / START[knob]) ** exponent
    foretold = made["extrapolation"].set_index(["quantity", AT])["value"]
    assert foretold[("threshold", 0.0)] == pytest.approx(value)
    time = 100.0 * 128 * value / 48.0 / (PAPER[LENGTH] / START[LENGTH]) ** GROWTH
    assert foretold[("t_crit", 128.0)] == pytest.approx(time)


def test_what_stands_beside_an_exponent():
    points = scaling_points(2, error=0.0)
    beyond = (points["knob"] == WIDTH) & (points["knob_value"] == 16.0)
    points.loc[beyond & points["quantity"].eq("threshold"), "value"] = math.nan
    rows = fitted_to(points)["scaling"].set_index(["quantity", "knob"])
    row = rows.loc[("threshold", WIDTH)]
    assert row[["num_values", "num_points", "num_left_out"]].tolist() == [3, 6, 2]
    assert row[["main_value", "main_quantity", "paper_value"]].tolist() == [
        48.0, pytest.approx(24.0), 512.0
    ]  # fmt: skip
    of_m = rows.loc[("departure", TASKS)]
    assert of_m["num_values"] == 2 and math.isnan(of_m["main_value"])


def test_growth_is_the_mean_of_slopes_of_trainings():
    points = scaling_points(1, error=0.0)
    slopes = []
    for number, (_, own) in enumerate(points.query("quantity == 'threshold'").groupby("variant")):
        slope = 0.3 + 0.02 * number
        points.loc[own.index, "value"] = own["value"] * own["share"] ** (slope - GROWTH)
        slopes.append(slope)
    found = growth(points)
    test = stats.ttest_1samp(slopes, 0.0).confidence_interval(0.95)
    assert found.interval == pytest.approx((np.mean(slopes), *test))
    one = growth(points[points["knob"] == MAIN])
    assert one.count == 1 and math.isnan(one.interval[1])
    assert growth(points[points["share"] == 1.0]) is None


def test_what_is_foretold_holds_as_often_as_it_says():
    """Of 200 maps: errors of runs of 10 %, and growths that differ by 0.05."""
    rng, inside = np.random.default_rng(2), []
    truth = {knob: exponent for knob, (_, exponent) in TURNED.items()}
    for number in range(200):
        points = scaling_points(1, error=0.1, seed=number)
        thresholds = points["quantity"] == "threshold"
        of_run = dict(zip(points["variant"].unique(), 0.05 * rng.standard_normal(99), strict=False))
        points.loc[thresholds, "value"] *= points["share"] ** points["variant"].map(of_run)
        law = fit(design(at_the_end(points, "threshold")))
        goal = {knob: PAPER[knob] for knob in truth}
        _, low, high = foretell(law, growth(points), goal, START, PAPER[LENGTH])
        value = 24.0 * math.exp(0.1 * rng.standard_normal())
        for knob, exponent in truth.items():
            value *= (PAPER[knob] / START[knob]) ** exponent
        value *= (PAPER[LENGTH] / START[LENGTH]) ** (GROWTH + 0.05 * rng.standard_normal())
        inside.append(low <= value <= high)
    assert np.mean(inside) == pytest.approx(0.95, abs=0.04)


def test_of_the_paper_nothing_is_foretold_if_a_setting_was_not_varied():
    points = scaling_points(2)
    made = fitted_to(points[points["knob"] != "task.task_dimension"])
    assert made["extrapolation"].empty and not made["scaling"].empty
    made = fitted_to(points[points["share"] == 1.0])  # nothing is known of growth
    assert {*made["extrapolation"]["quantity"]} == {"t_crit", "departure"}


def test_a_quantity_of_which_nothing_is_known_takes_no_other_along():
    points = scaling_points(1)
    left = points[~(points["quantity"].eq("departure") & points["knob"].ne(MAIN))]
    made = fitted_to(left[left[AT] != 16.0])
    assert {*made["scaling"]["quantity"]} == {"threshold", "t_crit"}


def test_the_papers_settings_are_those_of_its_configuration(pytestconfig):
    text = (pytestconfig.rootpath / "config/paper.yaml").read_text(encoding="utf-8")
    whole = yaml.safe_load(text)
    for knob, value in PAPER.items():
        section, _, name = knob.partition("+")[0].partition(".")
        assert whole[section][name] == value


# Points of a sweep


def runs_of(
    lengths: dict[str, int], shorter: dict[float, int] | None = None
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Tables of variants that leave ridge at step 10 M, with t_crit at M."""
    names = ["variant", "num_tasks", "seed", "step", "distribution", "position"]
    rows = []
    for variant, length in lengths.items():
        for m in (8.0, 16.0, 32.0, math.inf):
            for step in range(0, (shorter or {}).get(m, length) + 1, 20):
                # At ridge from step 40 on, and far from both before.
                r = 0.3 if step > 10 * m else 0.8
                scale = 1.0 if step < 40 else 0.05
                rows.append((variant, m, 0, step, "training", pd.NA, r * scale, (1 - r) * scale))
    evaluation = pd.DataFrame(rows, columns=[*names, "distance_to_dmmse", "distance_to_ridge"])
    runs = evaluation.groupby(["variant", "num_tasks", "seed"]).size().index.to_frame(index=False)
    runs = runs.assign(t_crit=runs["num_tasks"].replace(math.inf, 0).astype(int), transient=True)
    return evaluation.astype({"position": "Int64"}), runs


def with_training(**changes) -> dict:
    return SECTIONS | {"training": SECTIONS["training"].model_copy(update=changes)}


def test_points_of_a_sweep():
    settings = {
        "baseline": SECTIONS,
        "longer": with_training(num_steps=32_000),
        "rate": with_training(learning_rate=1e-3),
        "both": with_training(learning_rate=1e-3, beta2=0.9),
    }
    tables = runs_of({"baseline": 400, "longer": 800, "rate": 400, "both": 400})
    table = points_table(*tables, settings)
    assert list(table) == POINTS
    of = {name: rows for name, rows in table.groupby("quantity")}
    read = of["threshold"].set_index(["variant", "share"])
    assert read["step"].xs(0.25, level="share").to_dict() == {
        "baseline": 100, "longer": 200, "rate": 100, "both": 100
    }  # fmt: skip
    ends = read.xs(1.0, level="share")
    assert ends["knob"].to_dict() == {
        "baseline": MAIN, "longer": LENGTH, "rate": "training.learning_rate", "both": OTHER
    }  # fmt: skip
    assert ends.loc["rate", ["knob_value", "main_value"]].tolist() == [1e-3, 4e-3]
    assert ends.loc["baseline", ["low", "high"]].tolist() == [32.0, math.inf]
    left = of["departure"].set_index(["variant", AT])
    assert left.loc[("rate", 16.0), ["low", "high"]].tolist() == [160.0, 180.0]
    assert left.loc[("rate", 16.0), "value"] == pytest.approx(math.sqrt(160 * 180))
    for times in (of["t_crit"], of["departure"]):
        assert {*times.loc[times["variant"] == "longer", "knob"]} == {OTHER}
        assert np.isfinite(times[AT]).all()


def test_the_same_runs_count_once():
    settings = {"a_copy": with_training(log_every=50), "baseline": SECTIONS}
    table = points_table(*runs_of({"a_copy": 400, "baseline": 400}), settings)
    assert {*table["variant"]} == {"baseline"}
    apart = runs_of({"a_copy": 400, "baseline": 400})
    for frame in apart:
        frame.loc[frame["variant"] == "a_copy", "seed"] = 1
    assert {*points_table(*apart, settings)["variant"]} == {"a_copy", "baseline"}


def test_a_part_of_a_training_that_changes_is_no_shorter_one():
    phases = with_training(phases=[PhaseSettings(learning_rate_factor=0.0)])
    table = points_table(*runs_of({"baseline": 400}), {"baseline": phases})
    assert table.query("quantity == 'threshold'")["share"].tolist() == [1.0]


def test_runs_of_unequal_length_have_no_threshold():
    table = points_table(*runs_of({"baseline": 400}, {8.0: 200}), {"baseline": SECTIONS})
    assert "threshold" not in {*table["quantity"]}
