"""What the page on scale says, computed from the tables of its sweep and of others."""

import json
import math

import numpy as np
import pandas as pd
import pytest
from wording import ROOT, flat, page, reference

from transience.departure.knobs import LENGTH, SECTIONS, WIDTH, values_of
from transience.departure.power_law import fit
from transience.departure.scaling import AT, PAPER, TASKS, at_the_end, design, foretell, growth
from transience.departure.thresholds import thresholds_table
from transience.model.settings import ModelSettings
from transience.problem.settings import TaskSettings
from transience.training.settings import TrainingSettings

FOLDER = ROOT / "results/reference/scales"
PAGE = page("scales.md")
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
    frame = reference("scales", "transient_ridge").set_index(["variant", "num_tasks"])
    return frame[np.isfinite(frame.index.get_level_values("num_tasks"))]


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


def threshold_text(variant: str) -> str:
    """M_1/2 at the end, or the bound that it is beyond."""
    rows = points().query("quantity == 'threshold' and variant == @variant")
    row = rows.set_index("share").loc[1.0]
    if math.isnan(row["value"]):
        return f"> {row['low']:.0f}" if math.isinf(row["high"]) else f"< {row['high']:.0f}"
    return f"{row['value']:.0f}"


def steps_text(quantity: str, variant: str, num_tasks: float) -> str:
    found = points()[lambda rows: rows["quantity"].eq(quantity) & rows["variant"].eq(variant)]
    found = found.loc[found[AT] == num_tasks, "value"]
    return f"{found.item():,.0f}" if len(found) else "–"


def row(label: str) -> str:
    """Of one variant: transient M, M_1/2, t_crit in steps and sequences, departures, rise."""
    variant = ROWS[label]
    own = runs().loc[variant]
    transient = ", ".join(f"{m:.0f}" for m in own.index[own["transient"]]) or "none"
    t_crit = steps_text("t_crit", variant, 16.0)
    if t_crit != "–":
        sequences = own.loc[16.0, "t_crit"] * batch_size(variant) / 1000
        t_crit += f" ({sequences:,.0f})"
    departures = [steps_text("departure", variant, m) for m in (8.0, 16.0)]
    rises = [f"{100 * (own.loc[m, 'rise'] - 1):.0f} %" for m in (8.0, 16.0)]
    cells = [label, transient, threshold_text(variant), t_crit, *departures, *rises]
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


def foretold_at(goal: dict[str, float], steps: float) -> tuple[float, float, float]:
    law = fit(design(at_the_end(points(), "threshold").dropna(subset=["value"])))
    return foretell(law, growth(points()), goal, start(), steps)


def observed(folder: str) -> pd.DataFrame:
    return thresholds_table(reference(folder, "evaluation"))


def goals() -> dict[str, tuple[dict[str, float], float, str]]:
    """By name: settings, steps, and what was seen there."""
    paper = {key: value for key, value in PAPER.items() if key != LENGTH}
    of_bridge = {WIDTH: 128, "model.num_layers": 4, "training.batch_size": 512}
    bridge = observed("bridge").query("share == 1")["value"]
    short = observed("paper-short").query("share == 1")["value"].item()
    both = " and ".join(f"{value:.0f}" for value in sorted(bridge))
    return {
        "the bridge, 25,000 steps": (paper | of_bridge, 25_000, both),
        "the paper's model, 20,000 steps": (paper, 20_000, f"{short:.0f}"),
        "the paper, 150,000 steps": (paper, PAPER[LENGTH], "128 to 362, by the paper"),
    }


def foretold(name: str) -> str:
    goal, steps, seen = goals()[name]
    value, low, high = foretold_at(goal, steps)
    return f"| {name} | {value:,.0f} ({low:,.0f} to {high:,.0f}) | {seen} |"


@pytest.mark.parametrize(
    "name",
    ["the bridge, 25,000 steps", "the paper's model, 20,000 steps", "the paper, 150,000 steps"],
)
def test_what_is_foretold(name):
    assert flat(foretold(name)) in PAGE


def test_the_table_foretells_the_same():
    table = reference("scales", "extrapolation").query("quantity == 'threshold'").iloc[0]
    goal, steps, _ = goals()["the paper, 150,000 steps"]
    assert table[["value", "low", "high"]].tolist() == pytest.approx(foretold_at(goal, steps))


def slopes(folder: str) -> np.ndarray:
    """Exponents (seeds,) of M_1/2 in steps, from a quarter of training to its end."""
    seeds = observed(folder).dropna(subset=["value"]).groupby("seed")
    return np.array([
        np.polyfit(np.log(rows["step"]), np.log(rows["value"]), 1)[0] for _, rows in seeds
    ])  # fmt: skip


def observed_course(variant: str) -> pd.Series:
    """M½ of a variant of the map by step."""
    rows = points().query("quantity == 'threshold' and variant == @variant")
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
         "yes: {} to {} from width 16 to 96, {} to {} from batches of 16 to 256"),
        (("rate_1e-3", "baseline", "rate_8e-3"), "no: {}, {}, {} at 1e-3, 4e-3, 8e-3;"),
        (("dimension_2", "dimension_3", "baseline", "dimension_6"),
         "no: {}, {}, {}, {} at D = 2, 3, 4, 6"),
        (("noise_quarter", "baseline", "noise_fourfold", "examples_8", "baseline", "examples_32"),
         "no: {}, {}, {} and {}, {}, {} |"),
        (("baseline", "depth_4"), "two and four blocks {} and {}; one block"),
    ],
)  # fmt: skip
def test_what_was_expected(variants, said):
    assert said.format(*map(threshold_text, variants)) in PAGE


def test_what_is_said_of_transience():
    frame = runs()
    shown = frame["transient"].groupby(level="variant").any()
    assert shown[~shown].index.tolist() == ["depth_1"]
    far = frame.loc["depth_1"]
    least = (far["least_ood_loss"] / far["ridge_ood_loss"]).min()
    assert f"one block comes to {least:.1f} times ridge's loss at best" in PAGE
    most = frame["rise"].idxmax()
    assert most[0] == "examples_32" and f"up to {100 * (frame['rise'].max() - 1):.0f} %" in PAGE


def test_what_is_said_of_steps_and_of_seeds():
    short, slope = (
        observed("paper-short").query("share == 1")["value"].item(),
        slopes("paper-short"),
    )
    assert f"at {short:.0f} after 20,000 steps, would come to" in PAGE
    assert f"come to {short * 7.5 ** slope[0]:.0f} after 150,000" in PAGE
    of_all = np.concatenate([slopes(folder) for folder in ("laptop", "bridge", "paper-short")])
    assert f"{8 ** of_all.min():.1f} to {8 ** of_all.max():.1f} times as many tasks" in PAGE
    seeds = observed("laptop").query("share == 1").set_index("seed")["value"]
    own = observed_course("baseline")
    slope = np.polyfit(np.log(own.index), np.log(own), 1)[0]
    assert f"with it seed 0 has {slope:.2f}, and the variants" in PAGE
    small, large = observed_course("batch_16"), observed_course("batch_256")
    assert f"{small.iloc[-1]:.1f} at batches of 16 after 16,000 steps and {own.iloc[0]:.1f}" in PAGE
    assert f"{own.iloc[-1]:.0f} at 64 after 16,000 and {large.iloc[0]:.0f} at" in PAGE
    assert f"have M½ = {seeds[0]:.0f} and {seeds[1]:.0f}." in PAGE
    assert f"have {seeds[0]:.0f} instead of {threshold_text('baseline')}" in PAGE
    value, low, high = foretold_at(*goals()["the paper, 150,000 steps"][:2])
    assert f"we expect {value:.0f}, and the interval is {low:.0f} to {high:.0f}.**" in PAGE
    assert f"spans a factor of {high / low:.0f}." in PAGE
