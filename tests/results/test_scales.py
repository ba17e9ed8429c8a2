"""What the page on scale says, computed from the tables of its sweep and of others."""

import json
import math

import numpy as np
import pandas as pd
import pytest
from halfway import (
    departure_bounds,
    departure_step,
    growth_exponent,
    threshold_at_the_end,
    thresholds_of,
)
from wording import ROOT, flat, page, reference

from transience.departure.knobs import LENGTH, SECTIONS, WIDTH, values_of
from transience.departure.power_law import Interval, PowerLaw, fit
from transience.departure.scaling import AT, PAPER, TASKS, at_the_end, design, foretell, growth
from transience.model.settings import ModelSettings
from transience.problem.settings import TaskSettings
from transience.training.settings import TrainingSettings

FOLDER = ROOT / "results/reference/scales"
PAGE = page("scales.md")
SEEDS = (0, 1)
LONG = "paper-long"
ROWS = {  # what was changed, and its variant
    "nothing": "baseline",
    "width 16": "width_16",
    "width 24": "width_24",
    "width 96": "width_96",
    "one block": "depth_1",
    "four blocks": "depth_4",
    "D = 2": "dimension_2",
    "D = 3": "dimension_3",
    "D = 6": "dimension_6",
    "K = 8": "examples_8",
    "K = 32": "examples_32",
    "σ² = 0.03125": "noise_quarter",
    "σ² = 0.5": "noise_fourfold",
    "batches of 16": "batch_16",
    "batches of 256": "batch_256",
    "rate 1e-3": "rate_1e-3",
    "rate 8e-3": "rate_8e-3",
}
KNOBS = {
    "width": WIDTH,
    "blocks": "model.num_layers",
    "D": "task.task_dimension",
    "K, examples": "task.num_examples",
    "σ², noise": "task.noise_variance",
    "batch": "training.batch_size",
    "rate": "training.learning_rate",
    "T, steps": LENGTH,
    "M": TASKS,
}
SWEEPS = {  # others whose models were trained at a constant rate: folder, what it is called
    "laptop": "the default sweep",
    "bridge": "the bridge",
    "paper-short": "the paper's model",
    "features": "features",
    "gaussian_means": "gaussian_means",
}


def points() -> pd.DataFrame:
    return reference("scales", "scaling_points")


def runs() -> pd.DataFrame:
    frame = reference("scales", "transient_ridge").set_index(["variant", "num_tasks", "seed"])
    return frame[np.isfinite(frame.index.get_level_values("num_tasks"))]


def of_seeds(cells: list[str]) -> str:
    """Of seeds 0 and 1, once where they say the same."""
    return "; ".join(dict.fromkeys(cells))


def batch_size(variant: str) -> int:
    config = json.loads((FOLDER / "config.json").read_text(encoding="utf-8"))
    own = config["variants"][variant].get("training", {})
    return (config["training"] | own)["batch_size"]


def start() -> dict[str, float]:
    """The main variant's values."""
    config = json.loads((FOLDER / "config.json").read_text(encoding="utf-8"))
    kinds = (TaskSettings, ModelSettings, TrainingSettings)
    return values_of({
        name: kind(**config[name]) for name, kind in zip(SECTIONS, kinds, strict=True)
    })  # fmt: skip


def thresholds(variant: str) -> pd.Series:
    """M_1/2 at the end by seed."""
    rows = readings().query("share == 1 and variant == @variant")
    assert rows["value"].notna().all()
    return rows.set_index("seed")["value"].sort_index()


def threshold_text(variant: str) -> str:
    return of_seeds([f"{value:.0f}" for value in thresholds(variant)])


def steps(quantity: str, variant: str, num_tasks: float) -> list[float]:
    """Of seeds 0 and 1; NaN where there is none."""
    found = points()[lambda rows: rows["quantity"].eq(quantity) & rows["variant"].eq(variant)]
    of_m = found[found[AT] == num_tasks].set_index("seed")["value"]
    return of_m.reindex(SEEDS).tolist()


def counts(values: list[float]) -> str:
    return of_seeds(["–" if math.isnan(value) else f"{value:,.0f}" for value in values])


def row(label: str) -> str:
    """Of one variant: transient M, M_1/2, t_crit in steps and sequences, departures, rise."""
    variant = ROWS[label]
    own = runs().loc[variant]
    of_m = [own.xs(seed, level="seed") for seed in SEEDS]
    transient = of_seeds([
        ", ".join(f"{m:.0f}" for m in one.index[one["transient"]]) or "none" for one in of_m
    ])  # fmt: skip
    t_crit = steps("t_crit", variant, 16.0)
    cell = counts(t_crit)
    if cell != "–":
        cell += f" ({counts([step * batch_size(variant) / 1000 for step in t_crit])})"
    departures = [counts(steps("departure", variant, m)) for m in (8.0, 16.0)]
    rises = [
        of_seeds([f"{100 * (one.loc[m, 'rise'] - 1):.0f}" for one in of_m]) + " %"
        for m in (8.0, 16.0)
    ]
    cells = [label, transient, threshold_text(variant), cell, *departures, *rises]
    return f"| {' | '.join(cells)} |"


@pytest.mark.parametrize("label", ROWS)
def test_a_row_of_the_table(label):
    assert flat(row(label)) in PAGE


def test_every_variant_has_a_row():
    assert {*ROWS.values()} == {*runs().index.unique("variant")}


def exponents(label: str) -> str:
    """Of one knob: exponents of M_1/2, of t_crit and of the departure, with intervals."""
    table = reference("scales", "scaling").set_index(["quantity", "knob"])
    cells = []
    for quantity in ("threshold", "t_crit", "departure"):
        if (quantity, KNOBS[label]) not in table.index:
            cells.append("–")
            continue
        found = table.loc[(quantity, KNOBS[label])]
        cells.append(f"{found['exponent']:.2f} ({found['low']:.2f} to {found['high']:.2f})")
    return f"| {label} | {' | '.join(cells)} |"


@pytest.mark.parametrize("label", KNOBS)
def test_a_row_of_exponents(label):
    assert flat(exponents(label)) in PAGE


# What they foretell


def law(rows: pd.DataFrame) -> PowerLaw:
    """Of M_1/2 at the end, fitted to some of the points."""
    return fit(design(at_the_end(rows, "threshold").dropna(subset=["value"])))


def without(variant: str) -> pd.DataFrame:
    return points()[lambda table: table["variant"].ne(variant)]


def foretold_by(rows: pd.DataFrame, goal: dict[str, float], steps: float) -> Interval:
    return foretell(law(rows), growth(rows), goal, start(), steps)


def goals() -> dict[str, tuple[dict[str, float], float, str]]:
    """By name: settings, steps, and what was seen there."""
    paper = {key: value for key, value in PAPER.items() if key != LENGTH}
    of_bridge = {WIDTH: 128, "model.num_layers": 4, "training.batch_size": 512}
    bridge = thresholds_of("bridge").query("share == 1")["value"]
    short, long = map(threshold_at_the_end, ("paper-short", LONG))
    both = " and ".join(f"{value:.0f}" for value in sorted(bridge))
    return {
        "the bridge, 25,000 steps": (paper | of_bridge, 25_000, both),
        "the paper's model, 20,000 steps": (paper, 20_000, f"{short:.0f}"),
        "the paper, 150,000 steps": (
            paper,
            PAPER[LENGTH],
            f"{long:.0f}; 128 to 362, by the paper",
        ),
    }


def foretold(name: str) -> str:
    goal, steps, seen = goals()[name]
    cells = [
        "{:,.0f} ({:,.0f} to {:,.0f})".format(*foretold_by(rows, goal, steps))
        for rows in (points(), points().query("seed == 0"))
    ]
    return f"| {name} | {' | '.join(cells)} | {seen} |"


@pytest.mark.parametrize(
    "name",
    ["the bridge, 25,000 steps", "the paper's model, 20,000 steps", "the paper, 150,000 steps"],
)
def test_what_is_foretold(name):
    assert flat(foretold(name)) in PAGE


def test_what_limitations_say_of_it():
    goal, steps, _ = goals()["the paper, 150,000 steps"]
    value, low, high = foretold_by(points(), goal, steps)
    assert round(value / low) == round(high / value) == 3
    said = (
        f"uncertain by a factor of 3 both ways, and {threshold_at_the_end(LONG) / value:.1f} times"
    )
    assert said in page("limitations.md")


def test_the_table_foretells_the_same():
    table = reference("scales", "extrapolation").query("quantity == 'threshold'").iloc[0]
    goal, steps, _ = goals()["the paper, 150,000 steps"]
    assert table[["value", "low", "high"]].tolist() == pytest.approx(
        foretold_by(points(), goal, steps)
    )


def slopes(folder: str) -> np.ndarray:
    """Exponents (seeds,) of M_1/2 in steps, from a quarter of training to its end."""
    return np.array([growth_exponent(rows) for _, rows in thresholds_of(folder).groupby("seed")])


def readings() -> pd.DataFrame:
    """M_1/2 of the map at all shares of training."""
    return points().query("quantity == 'threshold'")


def observed_course(variant: str, seed: int) -> pd.Series:
    """M½ of a variant of the map by step."""
    rows = readings().query("variant == @variant and seed == @seed")
    return rows.sort_values("step").set_index("step")["value"]


def growth_text(folder: str) -> str:
    values = sorted(f"{value:.2f}" for value in slopes(folder))
    return f"{SWEEPS[folder]} {' and '.join(values)}"


@pytest.mark.parametrize("folder", SWEEPS)
def test_how_it_grows_with_steps_elsewhere(folder):
    assert growth_text(folder) in PAGE


@pytest.mark.parametrize(
    ("variants", "said"),
    [
        (("width_16", "width_96", "batch_16", "batch_256"),
         "yes, with width up to 48: {} to {} from width 16 to 96, "
         "{} to {} from batches of 16 to 256"),
        (("rate_1e-3", "baseline", "rate_8e-3"), "in one seed: {}, {}, {} at 1e-3, 4e-3, 8e-3;"),
        (("dimension_2", "dimension_3", "baseline", "dimension_6"),
         "not shown: {}, {}, {}, {} at D = 2, 3, 4, 6"),
        (("noise_quarter", "baseline", "noise_fourfold", "examples_8", "baseline", "examples_32"),
         "no: {}, {}, {} and {}, {}, {} |"),
        (("baseline", "depth_4"), "two and four blocks {} and {}; one block"),
    ],
)  # fmt: skip
def test_what_was_expected(variants, said):
    assert said.format(*map(threshold_text, variants)) in PAGE


def test_what_was_expected_of_seed_1():
    grown = [thresholds("width_96")[seed] / thresholds("baseline")[seed] for seed in SEEDS]
    assert f"hardly grows ({grown[0]:.1f} and {grown[1]:.1f} times)" in PAGE
    factors = {name: thresholds(variant) for name, variant in ROWS.items()}
    factors = {name: found[1] / found[0] for name, found in factors.items()}
    far = {name: f"{one:.2f}" for name, one in factors.items() if not 1 / 1.5 < one < 1.5}
    assert (
        f"in {len(ROWS) - len(far)} of {len(ROWS)}; not at D = 2 ({far.pop('D = 2')} times) "
        in PAGE
    )
    said = f"and 3 ({far.pop('D = 3')}), σ² = 0.5 ({far.pop('σ² = 0.5')}) and rate 8e-3 "
    assert said + f"({far.pop('rate 8e-3')}) |" in PAGE and not far
    of_all = law(points())
    ends = {name: of_all.exponent(name)[1:] for name in of_all.factors}
    sure = {name for name, (low, high) in ends.items() if not low <= 0 <= high}
    named = ("width", "batch", "blocks", "D")
    assert sure == {KNOBS[name] for name in named}
    greatest = max(max(one, 1 / one) for one in factors.values())
    assert f"by factors of up to {greatest:.1f} in M½" in PAGE


def test_whose_exponents_rest_on_one_variant():
    for name in ("width", "batch"):
        lows = {one: law(without(one)).exponent(KNOBS[name])[1] for one in ROWS.values()}
        assert min(lows.values()) > 0
        worst = {"width": "width 16", "batch": "batches of 256"}[name]
        assert min(lows, key=lows.get) == ROWS[worst]
        assert f"{min(lows.values()):.2f} without {worst}" in PAGE
    text = "{:.2f} ({:.2f} to {:.2f})"
    blocks = "{:.2f}, {:.2f} to {:.2f}".format(*law(without("depth_1")).exponent(KNOBS["blocks"]))
    assert f"without the one-block model ({blocks})" in PAGE
    assert f"turns to {text.format(*law(without('dimension_2')).exponent(KNOBS['D']))}" in PAGE
    grown = [growth_exponent(rows) for _, rows in readings().groupby(["variant", "seed"])]
    assert f"over the {len(grown)} sweeps" in PAGE
    assert f"single ones have {min(grown):.2f} to {max(grown):.2f}." in PAGE


def test_departures_fail_at_the_papers_size():
    foretold_ = reference("scales", "extrapolation").set_index(["quantity", AT])
    _, low, high = foretold_.loc[("departure", 128.0), ["value", "low", "high"]]
    assert departure_bounds("paper-short", 128.0)[1] < low
    assert f"({10_000 * round(low / 10_000):,} to {high / 1e6:.0f} m" in PAGE
    left = 1000 * round(departure_step("paper-short", 128.0) / 1000)
    assert f"and left after {left:,}." in PAGE


def test_what_is_said_of_transience():
    frame = runs()
    shown = frame["transient"].groupby(level=["seed", "variant"]).any()
    absent = shown[~shown].index.tolist()
    assert absent == [
        (0, "depth_1"),
        *((1, v) for v in ("depth_1", "examples_8", "width_16", "width_24")),
    ]
    far = frame.loc["depth_1"]
    least = (far["least_ood_loss"] / far["ridge_ood_loss"]).min()
    assert f"one block comes to {least:.1f} times ridge's loss at best" in PAGE
    most = frame["rise"].idxmax()
    assert most[0] == "examples_32" and f"up to {100 * (frame['rise'].max() - 1):.0f} %" in PAGE


def test_what_is_said_of_steps():
    short, slope = threshold_at_the_end("paper-short"), slopes("paper-short")[0]
    assert f"at {short:.0f} after 20,000 steps, would come to" in PAGE
    assert f"come to {short * 7.5**slope:.0f} after 150,000" in PAGE
    assert f"**It came to {threshold_at_the_end(LONG):.0f}**" in PAGE
    of_all = np.concatenate([slopes(folder) for folder in ("laptop", "bridge", "paper-short")])
    assert f"{8 ** of_all.min():.1f} to {8 ** of_all.max():.1f} times as many tasks" in PAGE
    assert f"by the map's mean {8 ** growth(points()).exponent:.1f};" in PAGE
    own = [readings().query("variant == 'baseline' and seed == @seed") for seed in SEEDS]
    grown = [f"{growth_exponent(one):.2f}" for one in own]
    assert f"seeds 0 and 1 have {grown[0]} and {grown[1]}, and the variants" in PAGE


def test_what_is_said_of_batches_and_of_seeds():
    small, own, large = (
        [observed_course(variant, seed) for seed in SEEDS]
        for variant in ("batch_16", "baseline", "batch_256")
    )
    assert " and ".join(f"{one.iloc[-1]:.1f}" for one in small) + " at batches of 16 after" in PAGE
    assert f"and {own[0].iloc[0]:.1f} at 64 after 4,000" in PAGE
    assert " and ".join(f"{one.iloc[-1]:.0f}" for one in own) + " at 64 after 16,000 and " in PAGE
    assert " and ".join(f"{one.iloc[0]:.0f}" for one in large) + " at 256 after 4,000" in PAGE
    flat_ones = [observed_course("dimension_2", seed) for seed in SEEDS]
    early, late = (" and ".join(f"{one.iloc[at]:.0f}" for one in flat_ones) for at in (0, -1))
    assert f"it is {early} after a quarter of training, {late} at the end" in PAGE
    seed_0 = thresholds_of("laptop").query("share == 1 and seed == 0")["value"].item()
    assert f"have {seed_0:.0f} instead of {thresholds('baseline')[0]:.0f}" in PAGE


def test_most_of_the_shortfall_is_of_d():
    rows = without("dimension_2")
    found = [f"{foretold_by(rows, *one[:2])[0]:.0f}" for one in goals().values()]
    assert f"without D = 2 the three are {found[0]}, {found[1]} and {found[2]}, seen" in PAGE
    by_seed = [growth(points().query("seed == @seed")).exponent for seed in SEEDS]
    assert f"By seed that of T is {by_seed[0]:.2f} and {by_seed[1]:.2f}:" in PAGE


# Afterwards


def test_the_papers_dimension():
    key, own = KNOBS["D"], reference("scales_dimension_8", "scaling_points")
    own = own.assign(variant="dimension_8", knob=key, knob_value=8.0, main_value=4.0)
    seen = own.query("quantity == 'threshold' and share == 1").set_index("seed")["value"]
    default = thresholds("baseline")
    assert (seen / default).between(1 / 1.5, 1.5).all()
    assert f"**M½ is {of_seeds([f'{v:.0f}' for v in seen])} there**" in PAGE
    told = [
        "{:.0f} ({:.0f} to {:.0f})".format(
            *foretell(law(rows), growth(rows), {key: 8.0}, start(), None)
        )
        for rows in (points(), without("dimension_2"))
    ]
    assert f"where the law foretells {told[0]} and the law without D = 2 {told[1]}:" in PAGE
    with_it = pd.concat([points(), own], ignore_index=True)
    without_2 = with_it[with_it["variant"] != "dimension_2"]
    text = "{:.2f} ({:.2f} to {:.2f})"
    exponents_ = [law(rows).exponent(key) for rows in (with_it, without_2)]
    assert f"the exponent of D is {text.format(*exponents_[0])}, so" in PAGE
    assert f"without D = 2 it is {text.format(*exponents_[1])}, which" in PAGE
    goal, steps, _ = goals()["the paper, 150,000 steps"]
    paper = ["{:.0f} ({:.0f} to {:.0f})".format(*foretold_by(rows, goal, steps))
             for rows in (with_it, without_2)]  # fmt: skip
    assert f"foretold at {paper[0]}, without D = 2 at {paper[1]}; seen were" in PAGE
    assert f"seen were {threshold_at_the_end(LONG):.0f}." in PAGE
    found = reference("scales_dimension_8", "transient_ridge").set_index(["num_tasks", "seed"])
    assert found.index[found["transient"]].tolist() == [(8.0, 1), (16.0, 1)]
    assert f"(M = 8 rises by {100 * (found.loc[(8.0, 0), 'rise'] - 1):.0f} %" in PAGE
